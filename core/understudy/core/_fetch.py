"""How files of weights come here: by a URL, or as members of a package that pip fetches and nobody installs."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

_CHUNK = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Package:
    """A release on the package index: a wheel, or with `sdist_sha256` the source distribution of that digest.

    pip learns a source distribution's name by running its setup.py. So that this is the one we have read, the whole
    archive's digest is known here, and pip looks at it first.

    Attributes:
        requirement: `project==version`.
        size: bytes of the download.
        python, platform: of a wheel that exists, whatever interpreter runs us.
    """

    requirement: str
    size: int
    python: str = ""
    platform: str = ""
    sdist_sha256: str = ""

    @property
    def pattern(self) -> str:
        """What its file is called, as a glob."""
        project, version = self.requirement.split("==")
        return f"{project}-{version}.tar.gz" if self.sdist_sha256 else f"{project}-{version}-*.whl"


class Unreachable(Exception):
    """A source could not be reached; the message says why."""


class NotInArchive(Exception):
    """A package's file is no archive, or has no such member."""


def extract(archive: Path, member: str, target: Path) -> None:
    """One member of a wheel or of a source distribution.

    Raises:
        NotInArchive: the archive is broken or lacks the member.
        OSError: `target` cannot be written.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as z, z.open(member) as source:
                _save(source, target)
        else:
            with tarfile.open(archive, "r:gz") as t:
                found = t.extractfile(member)
                if found is None:
                    raise KeyError(f"{member} is no file")
                with found:
                    _save(found, target)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError) as error:
        raise NotInArchive(f"{archive} is no package with a member {member}: {error}") from error


def _save(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(source, out)


def pip_download(package: Package, folder: Path) -> Iterator[int]:
    """Let pip fetch a package into `folder`: it knows the site's index, proxy, certificates and credentials.

    Yields:
        Bytes that have come so far, five times a second.

    Raises:
        Unreachable: with pip's own words.
    """
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, *_wanted(package, folder)]
    log = folder / "pip.log"
    # pip gathers a download below its temporary folder: with that inside ours, its size is our progress.
    place = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    with log.open("w") as out:
        pip = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=os.environ | place
        )
    try:
        while pip.poll() is None:
            yield max((_size(p) for p in folder.rglob(f"*{Path(package.pattern).suffix}")), default=0)
            try:
                pip.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if pip.poll() is None:
            pip.terminate()
            pip.wait()
    if pip.returncode:
        raise Unreachable(" ".join(log.read_text(errors="replace").split())[-600:])


def _wanted(package: Package, folder: Path) -> list[str]:
    """What to fetch, as pip's arguments."""
    if not package.sdist_sha256:
        which = ["--only-binary=:all:", "--implementation", "cp", "--python-version", package.python]
        return [*which, "--platform", package.platform, package.requirement]
    hashed = folder / "wanted.txt"  # pip takes a digest in a file of requirements only
    hashed.write_text(f"{package.requirement} --hash=sha256:{package.sdist_sha256}\n")
    return ["--no-binary=:all:", "--require-hashes", "--requirement", str(hashed)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # pip moves it while we look
        return 0


def download(url: str, target: Path) -> Iterator[int]:
    """One file by its URL.

    Yields:
        Bytes that have come so far.

    Raises:
        Unreachable: with the reason.
        OSError: the disk is full.
    """
    try:
        with urllib.request.urlopen(url, timeout=30) as reply, target.open("wb") as out:  # noqa: S310 - the registry's
            yield from _copy(reply, out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unreachable(str(error)) from error


def _copy(reply: BinaryIO, out: BinaryIO) -> Iterator[int]:
    done = 0
    while chunk := reply.read(_CHUNK):
        out.write(chunk)
        done += len(chunk)
        yield done
