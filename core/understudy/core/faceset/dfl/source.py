"""The faces of a DeepFaceLab faceset, wherever they lie: in a folder, in its people's sub-folders, or in a pak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from understudy.core.errors import NotFound
from understudy.core.faceset.dfl import pak

_PICTURES = (".jpg", ".jpeg", ".png")
_HEAD = 256 << 10  # bytes; holds four full segments


@dataclass(frozen=True, eq=False)
class Source:
    """One face file.

    Attributes:
        where: for messages: the file, or the pak and the name in it.
        file: its own name; a plain one, whatever a pak says.
        person: the sub-folder that it is in; empty for none.
        head: reads the file's beginning; all of it, where that is shorter or the file is in a pak.
        read: reads all of it.
    """

    where: str
    file: str
    person: str
    head: Callable[[], bytes]
    read: Callable[[], bytes]


def find(source: Path) -> list[Source]:
    """The face files of a folder, or of a `faceset.pak`: one that is named, or lies in the folder, in place of it.

    Pictures of any kind are listed; whether they are faces their content says.

    Raises:
        NotFound: there is nothing of that name, or no picture in it.
        FrameUnreadable: the pak can not be read.
    """
    packed = source / pak.NAME if source.is_dir() else source
    if packed.is_file():
        return _in_pak(packed)
    if not source.is_dir():
        raise NotFound(
            f"{source}: there is no such folder or {pak.NAME}", path=source, field="source", value=source
        )
    people = sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [
        Source(str(file), file.name, person, partial(_head, file), file.read_bytes)
        for folder, person in [(source, ""), *((p, p.name) for p in people)]
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _PICTURES and not file.name.startswith(".") and file.is_file()
    ]
    if not found:
        raise NotFound(
            f"{source}: no face of DeepFaceLab in it: neither JPEGs nor a {pak.NAME}",
            path=source,
            field="source",
        )
    return found


def _in_pak(path: Path) -> list[Source]:
    opened = pak.Pak.open(path)
    found = []
    for index, face in enumerate(opened.faces):
        read = partial(opened.read, index)
        where = f"{path}: {face.person + '/' if face.person else ''}{face.filename}"
        file = plain(face.filename) or f"{index:05d}.jpg"
        found.append(Source(where, file, plain(face.person), read, read))
    return found


def plain(name: str) -> str:
    """A file's name without folders and what no file's name may have; empty if nothing is left."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*')
    return kept.lstrip(". ").rstrip(" ")[-150:]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
