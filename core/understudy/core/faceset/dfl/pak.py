"""DeepFaceLab's `faceset.pak`: many face files in one.

    uint64 version = 1 · uint64 length · a pickled list of what it knows of each face · (n + 1) uint64 offsets · JPEGs

Offsets count from the first JPEG. The last one, which ends the last JPEG, is written as a place in the file instead:
a slip of the writer that no reader of it minds; the last JPEG ends where the file ends.

Only the table is read at once, and of the pickle a face at a time; JPEGs when they are asked for. The JPEGs are whole
face files with all metadata; of the pickle only the names are taken.

Source: DeepFaceLab's samplelib/PackedFaceset.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameUnreadable
from understudy.core.faceset.dfl import pickles

NAME = "faceset.pak"

_VERSION = 1
_HEAD = struct.Struct("<QQ")
_LARGEST = 64 << 20  # bytes of one JPEG


@dataclass(frozen=True)
class Packed:
    """A face in the file: its name, and who it is, where faces of several people lie in sub-folders."""

    filename: str
    person: str


@dataclass(frozen=True)
class Pak:
    """A `faceset.pak`.

    Attributes:
        faces: in the file's order.
        starts: (N + 1,) int64, where in the file each JPEG begins, and the last one ends.
    """

    path: Path
    faces: tuple[Packed, ...]
    starts: npt.NDArray[np.int64]

    @classmethod
    def open(cls, path: Path) -> Pak:
        """Read names and table.

        Raises:
            FrameUnreadable: of another version, damaged, or its pickle asks for what it may not.
        """
        with path.open("rb") as file:
            whole = path.stat().st_size
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise _damaged(path, "it has no header")
            version, length = _HEAD.unpack(head)
            if version != _VERSION:
                raise _damaged(path, f"version {version}, and there is only {_VERSION}")
            if length > whole - _HEAD.size:
                raise _damaged(path, f"it says that {length} bytes of names follow, and is {whole} long")
            faces = tuple(_packed(each, path) for each in pickles.entries(file, length, path))
            file.seek(_HEAD.size + length)
            return cls(path, faces, _starts(file, len(faces), whole, path))

    def read(self, index: int) -> bytes:
        """The JPEG of a face.

        Raises:
            FrameUnreadable: the file is shorter than it was, or the JPEG larger than 64 MiB.
        """
        start, end = (int(at) for at in self.starts[index : index + 2])
        if end - start > _LARGEST:
            raise _damaged(self.path, f"face {index} has {end - start} bytes")
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
        if len(data) < end - start:
            raise _damaged(self.path, f"it breaks off in face {index}")
        return data


def _packed(entry: Any, path: Path) -> Packed:
    if not isinstance(entry, dict):
        raise _damaged(path, f"a face is described by {str(entry)[:40]!r}")
    filename, person = entry.get("filename"), entry.get("person_name") or ""
    if not isinstance(filename, str) or not isinstance(person, str):
        raise _damaged(path, f"a face is called {str(filename)[:40]!r} of {str(person)[:40]!r}")
    return Packed(filename, person)


def _starts(file: BinaryIO, count: int, whole: int, path: Path) -> npt.NDArray[np.int64]:
    table = file.read(8 * (count + 1))
    if len(table) < 8 * (count + 1):
        raise _damaged(path, "it breaks off in its table")
    offsets = np.frombuffer(table, "<u8")[:-1]
    first = file.tell()
    if offsets.max(initial=0) > whole - first or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise _damaged(path, "its table points outside the file, or backwards")
    return np.append(offsets.astype(np.int64) + first, whole)


def _damaged(path: Path, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: not a faceset.pak that can be read: {why}", path=path)
