"""What a person takes out of a faceset, and puts back: files move into its folder `rejected/`, nothing is deleted.

One file at a time, each at once: a kill leaves some moved and some not, and the same again moves the rest. What lies
in other sub-folders under a face's name (`labels/shot_t0.1001.json`) stays where it is, and is there when the face
returns.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from understudy.core import confine
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset.columns import Indices
from understudy.core.faceset.store import Faceset
from understudy.core.files import failed

FOLDER = "rejected"
"""In a faceset's folder; opening a faceset does not look into it."""

_AGAIN = re.compile(r"\.rejected-\d+(?=\.exr$)")  # put into the name of a second face of the same name
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES)


def reject(faceset: Faceset, indices: Indices) -> int:
    """Move the files of these rows of `faceset.columns` into `rejected/`; how many were moved.

    A file that has gone since is passed over. Where a face of that name was rejected before, the name gets
    `.rejected-2`, which `restore` takes off again.

    Raises:
        InvalidInput: the faceset is a pack.
        DiskFull, WriteFailed: naming the file; those before it are moved.
    """
    _refuse_pack(faceset.path)
    folder, moved = faceset.path / FOLDER, 0
    try:
        with confine.opened(folder) as held:
            for name in faceset.columns.name[indices].tolist():
                moved += _set_aside(faceset.path / name, held)
    except OSError as error:
        raise failed(folder, error) from error
    return moved


def restore(path: Path, names: Sequence[str] = ()) -> int:
    """Move files from `rejected/` back into the faceset; how many.

    Args:
        path: the faceset's folder.
        names: of files in `rejected/`; none: all that are there.

    Raises:
        InvalidInput: a face of that name is there, or two of `names` were once called the same; nothing is moved. The
            faceset is a pack.
        NotFound: there is no such rejected face, or none at all.
        DiskFull, WriteFailed: naming the file; those before it are moved.
    """
    _refuse_pack(path)
    folder = path / FOLDER
    there = rejected_names(path)
    if missing := sorted(set(names) - set(there)):
        raise NotFound(
            f"{folder}: {missing[0]} is not there", path=folder / missing[0], field="names", value=missing[0]
        )
    wanted = list(dict.fromkeys(names)) or there
    if not wanted:
        raise NotFound(f"{folder}: no face was rejected", path=folder, field="path", value=path)
    homes = {name: home(name) for name in wanted}
    _refuse_clashes(path, homes)
    return sum(_put_back(folder / name, path / its) for name, its in homes.items())


def rejected(path: Path) -> int:
    """How many faces lie in `rejected/`; of a pack none."""
    return len(rejected_names(path))


def rejected_names(path: Path) -> list[str]:
    """The files in `rejected/`, sorted."""
    folder = path / FOLDER
    found = folder.glob("*.exr") if folder.is_dir() else ()
    return sorted(file.name for file in found if not file.name.startswith("."))


def home(name: str) -> str:
    """What a file in `rejected/` was called among the faces."""
    return _AGAIN.sub("", name)


def _refuse_clashes(path: Path, homes: dict[str, str]) -> None:
    """Before anything moves: name in `rejected/` → name among the faces, which must be free."""
    takers: dict[str, str] = {}
    for name, its in homes.items():
        there, other = path / its, takers.setdefault(its, name)
        if other != name:
            raise InvalidInput(
                f"{path}: {other} and {name} were both called {its}; restore one of them, by its name",
                path=there,
                field="names",
                value=name,
            )
        if os.path.lexists(there) and not _same(path / FOLDER / name, there):
            raise InvalidInput(
                f"{there}: a face of that name is there; reject it or move it away first",
                path=there,
                field="names",
                value=name,
            )


def numbered(name: str) -> Iterator[str]:
    """What a face may be called in `rejected/`, where others of its name were before it."""
    yield name
    yield from (f"{name.removesuffix('.exr')}.{FOLDER}-{number}.exr" for number in count(2))


def _refuse_pack(path: Path) -> None:
    if path.is_file():
        raise InvalidInput(
            f"{path}: is a pack, which is never changed: unpack it, and pack the folder again",
            path=path,
            field="faceset",
            value=path,
        )


def _set_aside(file: Path, folder: Path) -> bool:
    """Move a file into `folder`, under the first name that is free; False if it has gone."""
    try:
        return any(_move(file, folder / name) for name in numbered(file.name))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failed(file, error) from error


def _put_back(file: Path, home: Path) -> bool:
    """Move a file to where it was; False if it has gone."""
    try:
        if _move(file, home):
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failed(home, error) from error
    raise failed(home, FileExistsError(errno.EEXIST, "a face of that name has come meanwhile"))


def _move(file: Path, to: Path) -> bool:
    """Move a file to a name that must be free, which no other process can take meanwhile; False if it is not.

    First a link, then the old name goes: a kill in between leaves the file under both names, and the same again ends
    it.
    """
    try:
        os.link(file, to, follow_symlinks=os.link not in os.supports_follow_symlinks)
    except FileExistsError:
        if not _same(file, to):
            return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(to):
            return False
        file.rename(to)  # the disk has no links
        return True
    file.unlink()
    return True


def _same(file: Path, other: Path) -> bool:
    """Whether two names are of one file, as a move leaves them when it is killed."""
    try:
        one, two = file.lstat(), other.lstat()
    except FileNotFoundError:
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
