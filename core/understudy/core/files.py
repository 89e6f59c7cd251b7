"""Nothing half-written: files are made beside their place and renamed into it (promise 5)."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from understudy.core import confine
from understudy.core.errors import DiskFull, WriteFailed

_HIDDEN = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{12}(?P<suffix>\.[^.]+)?")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path`, with its extension, to write to; on success it becomes `path`.

    The folder is made. The bytes are on the disk (fsync) before the rename, so that who sees the name sees
    all of the file. When the block raises, nothing is left behind and an older `path` stays as it was.

    Raises:
        DiskFull, WriteFailed: with the path and the system's words.
    """
    try:
        with confine.opened(path.parent) as folder:
            beside = folder / f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}"
            try:
                yield beside
                _force(beside)
                os.replace(beside, folder / path.name)  # noqa: PTH105  Path.replace says less about what fails
            finally:
                if os.path.lexists(
                    beside
                ):  # in a folder that is none, unlink would raise over the error that matters
                    beside.unlink()
    except OSError as error:
        raise failed(path, error) from error


def _force(file: Path) -> None:
    """Onto the disk."""
    descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Give a hidden folder beside `folder` to fill; on success it becomes `folder`, which is empty or not there yet.

    When the block raises, or is closed as a generator, nothing is left behind.

    Raises:
        DiskFull, WriteFailed: with the path and the system's words.
    """
    try:
        with confine.opened(folder.parent) as parent:
            beside, there = parent / f".{folder.name}.{uuid.uuid4().hex[:12]}", parent / folder.name
            try:
                beside.mkdir()
                yield beside
                if there.is_dir():
                    there.rmdir()  # an empty one: os.replace takes its place on some systems only
                os.replace(beside, there)  # noqa: PTH105  Path.replace says less about what fails
            finally:
                if beside.exists():
                    shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise failed(folder, error) from error


def unfinished(folder: Path) -> Iterator[tuple[Path, str]]:
    """What `replacing` and `making` left in a folder where their process was killed, each with the name that it would
    have got; what another process is at just now too.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if found := _HIDDEN.fullmatch(entry.name):
                yield folder / entry.name, found["stem"] + (found["suffix"] or "")


@contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write at its end; it and its folder are made. Where writing is confined, a link in its place is
    not followed.

    Raises:
        OSError: as the system says it.
    """
    with confine.opened(path.parent) as folder:
        how = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        follow = 0 if folder == path.parent else os.O_NOFOLLOW
        with os.fdopen(os.open(folder / path.name, how | follow, 0o666), "ab") as file:
            yield file


class Places:
    """A file of which parts are read, by any thread, without a map: what was read does not stay resident, and a file
    cut short meanwhile is an error, not the end of the process. It stays this file when its name goes to another.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        self._lock = threading.Lock()

    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._file).st_size

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer`, of bytes, from `offset` on, and give how many: less than all where the file ends."""
        done = 0
        while done < len(buffer) and (count := self._some(buffer[done:], offset + done)):
            done += count
        return done

    def _some(self, buffer: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file, [buffer], offset)
        with self._lock:  # Windows
            os.lseek(self._file, offset, os.SEEK_SET)
            found = os.read(self._file, len(buffer))
        buffer[: len(found)] = found
        return len(found)


def failed(path: Path, error: OSError) -> WriteFailed:
    """The system's error about a file that was to be written, in our words."""
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else WriteFailed
    return kind(f"{path}: could not be written: {error.strerror or error}", path=path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that readers see the old file or the new one, never a part."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
