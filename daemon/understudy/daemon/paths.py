"""Which paths the daemon may touch. Links are followed before anything is compared, so none leads out of a root."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.daemon.errors import PathNotAllowed

LONGEST, LONGEST_NAME = 4095, 255  # bytes of a path and of a name in it: Linux' PATH_MAX and NAME_MAX
KERNEL = ("/proc", "/sys", "/dev")  # no files of anybody's: their end may never come


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Folders that requests may name paths in; empty: whatever the daemon's user may.

    Where reading is limited, the folders that may be written are readable too: stages read what stages wrote.

    Attributes:
        own: the caller's folder among those of all users, of which this is the only one that they may read and write,
            whatever the other roots are; it need not be there.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    own: Path | None = None

    def __post_init__(self) -> None:
        if self.own is not None:
            return  # of one caller: the folders were looked at when the daemon began
        for name in ("read", "write"):
            for root in getattr(self, name):
                if not root.is_absolute() or not root.is_dir():
                    raise InvalidInput(
                        f"roots.{name} (--{name}-root {root}): must be an absolute path of a folder that is there",
                        path=root,
                        field=f"{name}_root",
                        value=root,
                    )

    def readable(self, path: str | Path, field: str) -> Path:
        """The path, where it may be read; it need not be there.

        Raises:
            InvalidInput: empty, relative, too long, or with a control character in it.
            PathNotAllowed: it, or what it links to, is outside the roots, or no file or folder.
        """
        return self._within(path, (*self.read, *self.written) if self.read else (), field, "read")

    def writable(self, path: str | Path, field: str) -> Path:
        """The path, where it may be written; errors as `readable`."""
        return self._within(path, self.written, field, "write")

    @property
    def written(self) -> tuple[Path, ...]:
        """Folders that the caller may write in; none: whatever the daemon's user may, but what is others' own."""
        return (*self.write, self.own) if self.write and self.own else self.write

    def _within(self, path: str | Path, roots: tuple[Path, ...], field: str, verb: str) -> Path:
        given = absolute(path, field)
        if self.own and Path(os.path.realpath(given)).is_relative_to(os.path.realpath(self.own.parent)):
            roots = (self.own,)
        return _within(given, roots, field, verb)

    def readable_within(self, folder: Path, field: str) -> None:
        """Follow the links among what lies in the folder, and nothing else: a folder may hold 100,000 files."""
        if self.read or self.own:
            with os.scandir(folder) as entries:
                self.readable_links((Path(entry.path) for entry in entries if entry.is_symlink()), field)

    def readable_links(self, paths: Iterable[Path], field: str) -> None:
        """Follow those of the files that are links: a link in an allowed folder may lead out of it."""
        if self.read or self.own:
            for path in paths:
                if path.is_symlink():
                    self.readable(path, field)


def absolute(path: str | Path, field: str) -> Path:
    """The path as it was sent, normalised in writing only (`//`, `/./`)."""
    text = str(path)
    if not text:
        raise InvalidInput(f"{field} is not set; an absolute path is needed", field=field, value="")
    if not text.isprintable() and (bad := [c for c in text if ord(c) < 32 or ord(c) == 127]):
        name = "NUL" if bad[0] == "\0" else f"control (U+{ord(bad[0]):04X})"
        raise InvalidInput(f"{field}: {text!r} has a {name} character in it", field=field, value=repr(text))
    if not text.startswith("/"):
        raise InvalidInput(
            f"{field}: {text!r} is relative; the daemon takes absolute paths and expands nothing (no ~, no $VAR)",
            field=field,
            value=text,
        )
    raw = os.fsencode(text)
    if len(raw) > LONGEST or max(map(len, raw.split(b"/"))) > LONGEST_NAME:
        raise InvalidInput(
            f"{field}: {text[:80]!r}… is longer than a path can be ({LONGEST} bytes, {LONGEST_NAME} a name)",
            field=field,
            value=text[:80],
        )
    return Path(text)


def nearest(path: Path) -> Path:
    """The path, or what is nearest to it among the folders above that are there."""
    # not Path.exists: it raises where a folder above may not be searched
    return next(place for place in (path, *path.parents) if os.path.exists(place))  # noqa: PTH110


def _within(path: Path, roots: tuple[Path, ...], field: str, verb: str) -> Path:
    real = os.path.realpath(path)
    leads = f" (a link to {real})" if real != os.path.normpath(path) else ""
    if roots and not any(Path(real).is_relative_to(os.path.realpath(root)) for root in roots):
        named = ", ".join(map(str, dict.fromkeys(roots)))  # what may be written may be read too
        raise PathNotAllowed(
            f"{field}: {path}{leads} is outside what this daemon may {verb}: {named}",
            path=path,
            field=field,
            value=path,
        )
    if any(Path(real).is_relative_to(folder) for folder in KERNEL) or _is_special(real):
        raise PathNotAllowed(
            f"{field}: {path}{leads} is a device, a pipe, a socket or the kernel's; files and folders are taken",
            path=path,
            field=field,
            value=path,
        )
    return path


def _is_special(real: str) -> bool:
    """Whether something is there that is neither a file nor a folder: reading it might never end."""
    try:
        mode = Path(real).stat().st_mode
    except OSError:  # not there, or not ours to see: who opens it will say so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
