"""A faceset's folder read at once: what headers say is kept in the hidden `.index/faces`, and only new ones are read.

The index is disposable and never trusted over the files. One look at the folder (`os.scandir`) tells size and time of
every file; what is kept of a file counts only where both are the same, and where the file was not changed within the
clock's grain of the look it was kept from, when it could have been changed again without a trace (Git calls
such entries racy: git-scm.com/docs/racy-git). An index that is broken, of another version or cannot be written costs
time and nothing else. Two processes may write it at once: each writes a whole one. A process that may write less than
the system lets it says so once (`keep_below`): opening is reading, and keeps an index there only.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core import plate
from understudy.core.errors import FrameMissing, NotFound, UnderstudyError, WriteFailed
from understudy.core.faceset import table
from understudy.core.faceset.columns import Columns, empty, fits
from understudy.core.faceset.record import FaceRecord
from understudy.core.files import replacing

FOLDER = ".index"
"""Hidden in a faceset's folder: what can be made again from its files."""

_FILE = "faces"
_FORMAT = "understudy.index/2"
_GRAIN = 2 * 10**9  # ns: of the coarsest clock of a file system (FAT)
_READERS = 8  # threads: reading headers is waiting where the folder is on another machine
_BLOCK = 2048  # headers on their way
_SHARE = 100  # one in so many files has to be new before the index is written again
_LEFTOVER = 3600.0  # seconds after which a half-written index has no writer any more

_BELOW: list[Path] = []  # see `keep_below`

Stamp = tuple[int, int]
"""Size in bytes and mtime in ns of a file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What is known of a folder's files.

    Attributes:
        columns: of those that are faces, in the order of a faceset.
        broken: name → stamp of the file and what is wrong with it, in words that follow its path.
    """

    columns: Columns
    broken: dict[str, tuple[Stamp, str]]


def read(folder: Path) -> tuple[Columns, tuple[str, ...]]:
    """The faces of all images in the folder, in order, and a sentence for each image that is none.

    A file that goes while the folder is read is as if it had gone before.

    Raises:
        NotFound: the folder cannot be looked into.
    """
    began = time.monotonic()
    files = _listing(folder)
    known = _still(_load(folder / FOLDER / _FILE), files)
    if len(known.columns) + len(known.broken) == len(files):
        return known.columns, _sentences(folder, known)
    fresh = sorted(files.keys() - known.broken.keys() - set(known.columns.name.tolist()))
    parts, broken, passing = [known.columns], dict(known.broken), dict[str, tuple[Stamp, str]]()
    for found in _headers(folder, fresh):
        records = [record for record in found if isinstance(record, FaceRecord)]
        parts.append(Columns.of(records, [files[record.path.name] for record in records]))
        for failure in found:
            if isinstance(failure, _Failure):
                kept = broken if failure.lasting else passing
                kept[failure.name] = (files[failure.name], failure.why)
    found_now = _Known(columns=Columns.joined(parts).ordered(), broken=broken)
    if len(fresh) * _SHARE >= len(files) and _may_keep(folder / FOLDER / _FILE):
        _save(found_now, folder / FOLDER / _FILE, began)
    return found_now.columns, _sentences(
        folder, _Known(columns=found_now.columns, broken={**broken, **passing})
    )


def keep_below(folders: Iterable[Path]) -> None:
    """From now on this process keeps an index in these folders only, wherever links lead; of none given: anywhere."""
    _BELOW[:] = (Path(os.path.realpath(folder)) for folder in folders)


def _may_keep(file: Path) -> bool:
    real = Path(os.path.realpath(file))
    return not _BELOW or any(real.is_relative_to(folder) for folder in _BELOW)


def _sentences(folder: Path, known: _Known) -> tuple[str, ...]:
    return tuple(f"{folder / name}{known.broken[name][1]}" for name in sorted(known.broken))


def _listing(folder: Path) -> dict[str, Stamp]:
    """The images of a folder; not those that are being written under a hidden name."""
    files: dict[str, Stamp] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(".exr") and name[0] != "." and (stamp := _stamp(entry)):
                    files[name] = stamp
    except OSError as error:
        raise NotFound(
            f"{folder}: the folder cannot be read: {error.strerror}",
            path=folder,
            field="faceset",
            value=folder,
        ) from error
    return files


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    """None of a file that has gone since; a link that leads nowhere has not."""
    try:
        stat = entry.stat()
    except FileNotFoundError:
        if not entry.is_symlink():
            return None
        stat = entry.stat(follow_symlinks=False)
    return stat.st_size, stat.st_mtime_ns


class _Failure:
    """Why a file is no face; `lasting` if it is so until the file changes."""

    def __init__(self, file: Path, message: str, *, lasting: bool) -> None:
        self.name, self.why, self.lasting = file.name, message.removeprefix(str(file)), lasting


def _headers(folder: Path, names: Sequence[str]) -> Iterator[list[FaceRecord | _Failure]]:
    """What the files say, in blocks; without those that are gone."""
    waiting = iter(names)
    with ThreadPoolExecutor(_READERS, "header") as readers:
        while block := [folder / name for name in islice(waiting, _BLOCK)]:
            yield [found for found in readers.map(_header, block) if found is not None]


def _header(file: Path) -> FaceRecord | _Failure | None:
    try:
        header = plate.read_header(file)
        record = FaceRecord.from_header(file, header.metadata, header.data.width)
    except UnderstudyError as error:
        if isinstance(error, FrameMissing) and not os.path.lexists(file):
            return None
        # a disk that does not answer and a lock may pass without a change to the file
        return _Failure(file, error.message, lasting=not isinstance(error.__cause__, OSError))
    if not fits(record):
        what = f"frame {record.face.frame}, track {record.face.track} of {record.faces} faces"
        return _Failure(file, f"{file}: not an image of a faceset: {what} is beyond any", lasting=True)
    return record


def _still(known: _Known, files: dict[str, Stamp]) -> _Known:
    """What is known of files that are there as they were."""
    columns = known.columns
    stamps = zip(columns.file_size.tolist(), columns.mtime_ns.tolist(), strict=True)
    there = map(files.get, columns.name.tolist())
    same = np.array([now == stamp for now, stamp in zip(there, stamps, strict=True)], bool)
    broken = {name: kept for name, kept in known.broken.items() if files.get(name) == kept[0]}
    return _Known(columns=columns if same.all() else columns.take(same), broken=broken)


def _load(file: Path) -> _Known:
    """What the index says of files that its writer saw at rest; nothing if it is not there, broken or another's."""
    nothing = _Known(columns=empty(), broken={})
    try:
        with file.open("rb") as opened:
            looked = os.fstat(opened.fileno()).st_mtime_ns  # `_save` put the time of the look there
            buffer = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        content, checksum = buffer[:-32], buffer[-32:]
        if hashlib.sha256(content).digest() != checksum:
            return nothing
        found = table.decode(content)
        if found.about != _about():
            return nothing
        columns, broken = table.to_columns(found.arrays), _broken(found)
    except (OSError, ValueError, KeyError, TypeError, table.Broken):  # ValueError: mmap's, of an empty file
        return nothing
    rest = np.abs(columns.mtime_ns - looked) > _GRAIN
    broken = {name: kept for name, kept in broken.items() if abs(kept[0][1] - looked) > _GRAIN}
    return _Known(columns=columns if rest.all() else columns.take(rest), broken=broken)


def _save(known: _Known, file: Path, began: float) -> None:
    """Write the index of a look that began at `began`, by `time.monotonic`; or not, where we may not."""
    names = list(known.broken)
    stamps = np.array([known.broken[name][0] for name in names], np.int64).reshape(-1, 2)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        **table.of_columns(known.columns),
        "broken.name": table.texts(names),
        "broken.stamp": stamps,
        "broken.why": table.texts([known.broken[name][1] for name in names]),
    }
    content = table.encode(arrays, _about())
    with suppress(WriteFailed), replacing(file) as beside:
        with beside.open("wb") as opened:
            opened.write(content)
            opened.write(hashlib.sha256(content).digest())
        # The file system's clock, not ours, says when the look began: theirs may be another machine's.
        looked = beside.stat().st_mtime_ns - int((time.monotonic() - began) * 1e9)
        os.utime(beside, ns=(looked, looked))
    _tidy(file)


def _tidy(file: Path) -> None:
    """Remove what killed writers left behind."""
    for left in file.parent.glob(f".{file.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFTOVER:
                left.unlink()


def _broken(found: table.Table) -> dict[str, tuple[Stamp, str]]:
    names = table.untexts(found.arrays["broken.name"], "broken.name")
    whys = table.untexts(found.arrays["broken.why"], "broken.why")
    stamps = found.arrays["broken.stamp"].tolist()
    return {name: ((size, mtime), why) for name, (size, mtime), why in zip(names, stamps, whys, strict=True)}


def _about() -> dict[str, str]:
    return {"format": _FORMAT, "version": version("understudy")}
