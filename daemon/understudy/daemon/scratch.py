"""Files that callers without shared storage send and fetch: every user's own folder, and nothing beside it.

Names are relative and checked here; then a file is reached folder by folder, each opened below the one before without
following links, so that none leads elsewhere whatever lies there. What is sent grows in a file of its own below
`.parts`, named after name, size and digest; it gets its name once all of it has the digest that was promised.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import InvalidInput, NotFound, UnderstudyError, WriteFailed
from understudy.core.files import failed
from understudy.daemon.errors import LimitReached, PathNotAllowed
from understudy.daemon.scratch_names import PREFIX, parts

PARTS = ".parts"  # of files under way; no name that is sent may begin with a dot
BLOCK = 4096  # bytes that a file takes at least
COUNTED_SECONDS = 30.0  # that a count of a user's bytes holds
HASHED = 1 << 20  # bytes at a time
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in its place keeps nobody waiting


@dataclass(frozen=True)
class Received:
    """How far a file is: bytes of it, and whether it is all there under its name."""

    size: int
    complete: bool


@dataclass(frozen=True)
class Given:
    """A part of a file of `size` bytes; `sha256`, of all of it, comes with the last part."""

    size: int
    data: bytes = b""
    sha256: str = ""
    same: bool = False


@dataclass(frozen=True, order=True)
class File:
    """A name, bytes, and when it was written: seconds UTC."""

    name: str
    size: int
    modified: float


class Folder:
    """One user's files. Safe to use from any thread.

    Args:
        place: of the files; made where it is not there. The folder that it is in must be.
        quota: bytes that may be sent and kept; 0: any number.
    """

    def __init__(self, place: Path, quota: int) -> None:
        self.place, self.quota = place, quota
        self._locks = [threading.Lock() for _ in range(64)]  # of files under way, by their keys
        self._counting = threading.Lock()
        self._used, self._counted = 0, float("-inf")

    def path(self, name: str) -> Path:
        """Where a name leads. Raises InvalidInput."""
        return self.place.joinpath(*parts(name))

    def receive(self, name: str, size: int, sha256: str, offset: int, data: bytes) -> Received:
        """Take a part of a file; one that begins beyond what is here is not looked at.

        Raises:
            InvalidInput: the name, the size, the digest or the offset; a folder or a file is in the way.
            PathNotAllowed: a link is.
            LimitReached: it does not fit into the quota.
            WriteFailed: it cannot be written, or all of it is here and has another digest; DiskFull.
        """
        *folders, last = parts(name)
        _check(size, sha256, offset, len(data))
        key = hashlib.sha256(f"{name}\0{size}\0{sha256}".encode()).hexdigest()
        with (
            self._locks[int(key[:4], 16) % 64],
            self._told(name),
            self._opened((PARTS,), make=True) as beside,
        ):
            held = _size(key, beside)
            if held is None and self._is(name, size, sha256):
                return Received(size, True)
            held = held or 0
            if data and offset <= held:
                self._room(size - held)
                held = max(held, _put(key, beside, offset, data))
                self._count(len(data))
            if held < size:
                return Received(held, False)
            _finished(key, beside, name, sha256)
            with self._opened(folders, make=True) as folder:
                os.rename(key, last, src_dir_fd=beside, dst_dir_fd=folder)
            return Received(size, True)

    def give(self, name: str, offset: int, most: int, sha256: str = "") -> Given:
        """A part of a file.

        Args:
            most: bytes.
            sha256: of the file that the caller has; where it is the same, that is all there is to say.

        Raises:
            InvalidInput: of the name or the offset.
            NotFound: there is no such file.
            PathNotAllowed: a link lies there.
        """
        if offset < 0:
            raise InvalidInput(f"offset: {offset} is negative", field="offset", value=offset)
        with self._told(name), self._file(parts(name)) as file:
            size = os.fstat(file).st_size
            if sha256 and not offset and _digest(file) == sha256:
                return Given(size, sha256=sha256, same=True)
            data = os.pread(file, most, offset) if offset < size else b""
            return Given(size, data, _digest(file) if offset + len(data) >= size else "")

    def files(self, name: str = "") -> list[File]:
        """A file, or what is in a folder and below, by name; nothing where there is neither. Links are none.

        Raises:
            InvalidInput: of the name.
            PathNotAllowed: a link lies on the way.
        """
        given = parts(name) if name else ()
        with suppress(NotFound), self._told(name):
            with suppress(NotADirectoryError), self._opened(given) as folder:
                return sorted(_walk(folder, "/".join(given)))
            with self._file(given) as file:
                found = os.fstat(file)
                return [File(name, found.st_size, found.st_mtime)]
        return []

    def delete(self, name: str) -> int:
        """Delete a file, or a folder and all that is in it; gives how many files, which may be none.

        Raises:
            InvalidInput, PathNotAllowed, WriteFailed.
        """
        return self.remove(parts(name))

    def remove(self, names: tuple[str, ...]) -> int:
        """As `delete`, of what need not have been sent."""
        with suppress(NotFound), self._told("/".join(names)), self._opened(names[:-1]) as folder:
            count = _remove(names[-1], folder)
            self._counted = float("-inf")
            return count
        return 0

    def entries(self) -> list[tuple[str, ...]]:
        """What there is to forget: whatever lies in the folder itself, and every file under way."""
        found: list[tuple[str, ...]] = []
        for folders in ((), (PARTS,)):
            with suppress(FileNotFoundError), self._opened(folders) as folder:
                found += [(*folders, each) for each in _names(folder) if each != PARTS]
        return found

    def newest(self, names: tuple[str, ...]) -> float:
        """When something was written last in a folder and below, or a file: seconds UTC; infinity where it is gone."""
        with suppress(FileNotFoundError):
            with self._opened(names[:-1]) as above:
                status = os.stat(names[-1], dir_fd=above, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                return status.st_mtime
            with self._opened(names) as folder:
                return max(
                    (each.modified for each in _walk(folder, "", hidden=True)), default=status.st_mtime
                )
        return float("inf")

    def used(self) -> int:
        """Bytes of all files, those under way among them, as counted not long ago."""
        with self._counting:
            if time.monotonic() - self._counted > COUNTED_SECONDS:
                with suppress(NotFound), self._told(""), self._opened(()) as folder:
                    self._used = sum(max(each.size, BLOCK) for each in _walk(folder, "", hidden=True))
                self._counted = time.monotonic()
            return self._used

    def _count(self, more: int) -> None:
        with self._counting:
            self._used += more

    def _room(self, more: int) -> None:
        used = self.used()
        if self.quota and used + max(more, BLOCK) > self.quota:
            raise LimitReached(
                f"{more} bytes more do not fit: {used} of your {self.quota} bytes of scratch are taken "
                "(scratch.quota_mib of the daemon's configuration); delete what is no longer needed",
                field="scratch.quota_mib",
                value=used + more,
            )

    def _is(self, name: str, size: int, sha256: str) -> bool:
        """Whether this file is here already."""
        try:
            with self._file(parts(name)) as file:
                return os.fstat(file).st_size == size and _digest(file) == sha256
        except (FileNotFoundError, NotADirectoryError):
            return False

    @contextmanager
    def _opened(self, folders: list[str] | tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder. Raises OSError."""
        if make:
            with suppress(FileExistsError):
                self.place.mkdir(mode=0o700)
        at = os.open(self.place, _FOLDER)
        try:
            for each in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(each, dir_fd=at)
                below = _open(each, _FOLDER, at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    @contextmanager
    def _file(self, names: tuple[str, ...]) -> Iterator[int]:
        """A descriptor of a file, to read. Raises OSError."""
        with self._opened(names[:-1]) as folder:
            file = _open(names[-1], os.O_RDONLY | _FILE, folder)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileNotFoundError(errno.ENOENT, "is a folder or no file")
            yield file
        finally:
            os.close(file)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """The system's errors in our words, with the name that the caller knows."""
        path = f"{PREFIX}{name}"
        try:
            yield
        except UnderstudyError:
            raise
        except FileNotFoundError as error:
            raise NotFound(f"name: there is no file {path}", path=path, field="name", value=name) from error
        except (NotADirectoryError, IsADirectoryError) as error:
            what = "a file" if isinstance(error, NotADirectoryError) else "a folder"
            raise InvalidInput(f"name: {path}: {what} is in the way", field="name", value=name) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise PathNotAllowed(
                    f"name: {path}: a link lies there, and links are not followed",
                    path=path,
                    field="name",
                    value=name,
                ) from error
            raise failed(Path(path), error) from error


def _remove(name: str, folder: int) -> int:
    """Delete what has this name in an opened folder, with all below it, following no link; gives how many files."""
    try:
        os.unlink(name, dir_fd=folder)
    except (IsADirectoryError, PermissionError):  # the latter of a folder on macOS
        below = _open(name, _FOLDER, folder)
        try:
            count = sum(_remove(each, below) for each in _names(below))
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=folder)
        return count
    return 1


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(each.name for each in entries)


def _walk(folder: int, at: str, *, hidden: bool = False) -> Iterator[File]:
    """The files in an opened folder and below. What goes meanwhile is left out."""
    with os.scandir(folder) as found:
        entries = [each for each in found if hidden or not each.name.startswith(".")]
    for entry in entries:
        name = f"{at}/{entry.name}" if at else entry.name
        with suppress(FileNotFoundError, NotADirectoryError):
            if entry.is_dir(follow_symlinks=False):
                below = _open(entry.name, _FOLDER, folder)
                try:
                    yield from _walk(below, name, hidden=hidden)
                finally:
                    os.close(below)
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield File(name, status.st_size, status.st_mtime)


def _open(name: str, how: int, folder: int) -> int:
    """As os.open; ELOOP for a link also where a folder was wanted, of which the system says that it is none."""
    try:
        return os.open(name, how, 0o666, dir_fd=folder)
    except NotADirectoryError as error:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a link") from error
        raise


def _check(size: int, sha256: str, offset: int, count: int) -> None:
    if size < 0:
        raise InvalidInput(f"size_bytes: {size} is negative", field="size_bytes", value=size)
    if not _DIGEST.fullmatch(sha256):
        raise InvalidInput("sha256: is not 64 lower-case hex digits", field="sha256", value=sha256[:80])
    if offset < 0 or offset + count > size:
        raise InvalidInput(
            f"offset: {count} bytes from {offset} on are not within a file of {size}",
            field="offset",
            value=offset,
        )


def _size(name: str, folder: int) -> int | None:
    """Bytes of a file; None where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _put(name: str, folder: int, offset: int, data: bytes) -> int:
    """Write a part; gives where it ends."""
    file = _open(name, os.O_WRONLY | os.O_CREAT | _FILE, folder)
    try:
        view, at = memoryview(data), offset
        while view:
            count = os.pwrite(file, view, at)
            view, at = view[count:], at + count
        return at
    finally:
        os.close(file)


def _finished(key: str, beside: int, name: str, sha256: str) -> None:
    """See that all of a file is what was promised, and on the disk; else it goes. Raises WriteFailed."""
    file = _open(key, os.O_RDWR | os.O_CREAT | _FILE, beside)  # an empty one was never written to
    try:
        found = _digest(file)
        os.fsync(file)
    finally:
        os.close(file)
    if found != sha256:
        os.unlink(key, dir_fd=beside)
        raise WriteFailed(
            f"name: {PREFIX}{name}: what came has the SHA-256 {found}, not {sha256}: it was changed on the way, or "
            "while it was read; send it again",
            path=f"{PREFIX}{name}",
        )


def _digest(file: int) -> str:
    """SHA-256 of a whole opened file, as hex digits."""
    digest, at, buffer = hashlib.sha256(), 0, bytearray(HASHED)
    view = memoryview(buffer)
    while count := os.preadv(file, [view], at):
        digest.update(view[:count])
        at += count
    return digest.hexdigest()
