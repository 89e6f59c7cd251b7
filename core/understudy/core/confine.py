"""Writing below some folders only, whatever links others lay meanwhile.

Who checks a path and then writes by its name can be led elsewhere in between: a folder on the way is swapped for a
link. So a folder is opened first, what was opened is looked at, and from then on it is named by its descriptor
(`/proc/self/fd/N`, which the kernel resolves to that folder, wherever it is by then and whatever has its name).
Without these, as on systems other than Linux, the path is looked at right before it is used.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_FDS = Path("/proc/self/fd")


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """Attributes:
    roots: as given, and where they really are.
    own: folders of this process's own, which nobody names to it: not looked at.
    """

    roots: tuple[Path, ...] = ()
    own: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        return not self.roots or any(path.is_relative_to(root) for root in self.roots)

    def free(self, path: Path) -> bool:
        """Whether a path is not looked at."""
        if not self.roots:
            return True
        return not self.holds(path) and any(path.is_relative_to(folder) for folder in self.own)


_bounds = _Bounds()


@contextmanager
def below(roots: Iterable[Path], own: Iterable[Path] = ()) -> Iterator[None]:
    """While the block lasts, this process writes (`opened`) below these folders only; none: anywhere.

    Args:
        own: folders that requests do not name: state, caches, for what is temporary.
    """
    global _bounds  # noqa: PLW0603  of the process, as its folder and its user are
    before, given = _bounds, tuple(roots)
    real = (Path(os.path.realpath(root)) for root in given)
    _bounds = _Bounds(roots=tuple(dict.fromkeys((*given, *real))), own=tuple(own))
    try:
        yield
    finally:
        _bounds = before


@contextmanager
def adding(folders: Iterable[Path]) -> Iterator[None]:
    """While the block lasts, this process may write below these folders too, where `below` sets bounds."""
    with below((*_bounds.roots, *folders) if _bounds.roots else (), _bounds.own):
        yield


@contextmanager
def opened(folder: Path) -> Iterator[Path]:
    """A name of the folder, made where it is not there, that stays its own until the block ends.

    Raises:
        OSError: it cannot be made; PermissionError: it leads out of the folders that may be written.
    """
    if _bounds.free(folder):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    elif hasattr(os, "O_PATH") and _FDS.is_dir():
        descriptor = _descended(folder)
        try:
            yield _FDS / str(descriptor)
        finally:
            os.close(descriptor)
    else:
        _refuse(folder, Path(os.path.realpath(folder)))
        folder.mkdir(parents=True, exist_ok=True)
        _refuse(folder, Path(os.path.realpath(folder)))
        yield folder


def _descended(folder: Path) -> int:
    """A descriptor of the folder; what is made on the way is made in folders that were looked at."""
    how = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, how)
    except FileNotFoundError:
        if os.path.lexists(folder) or folder.parent == folder:
            raise  # a link to nothing
        parent = _descended(folder.parent)
        try:
            with suppress(FileExistsError):  # another thread's, or another process's
                os.mkdir(folder.name, dir_fd=parent)
            descriptor = os.open(folder.name, how | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    try:
        _refuse(folder, (_FDS / str(descriptor)).readlink())
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(folder: Path, real: Path) -> None:
    if not _bounds.holds(real):
        raise PermissionError(
            errno.EPERM, f"{folder} leads to {real}, outside of the folders that may be written", str(folder)
        )
