"""A faceset in one file, `.faceset`: faces as they are stored, uncompressed, for training; written by `pack`.

    page 0    magic `USFACES\\n`, version and page size as uint32, the table's offset and length as uint64, its
              SHA-256; little endian, like all that follows
    faces     each begins at a page of 4096 bytes: its planes, part by part and channel by channel, rows from the top,
              in their stored types, and right after them a JSON: windows, channels and header entries of its
              image, to the byte
    beside    what lay beside the faces: `release.json`, `extract.jsonl`, `labels/…`, …
    table     `table`: the columns, the place of everything above; the file ends with it

Nothing in it is code, and nothing is allocated for a length that the file says before it is known that as many bytes
are there. A pack is not changed: what rejects or adds faces works on folders.

Version 2 is of packs that hold labels or mattes, which who reads version 1 does not know.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput
from understudy.core.faceset import table
from understudy.core.faceset.columns import Columns
from understudy.core.files import Places
from understudy.core.frames import Array, Frame, Window
from understudy.core.plate.exr import MAXIMUM_HEADER, MAXIMUM_PARTS, Raw
from understudy.core.plate.metadata import decode, encode

SUFFIX = ".faceset"
PAGE = 4096
VERSION = 2

_MAGIC = b"USFACES\n"
_HEAD = struct.Struct("<8sIIQQ32s")
_KINDS: dict[str, np.dtype[Any]] = {
    "half": np.dtype("<f2"),
    "float": np.dtype("<f4"),
    "uint": np.dtype("<u4"),
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FACE = re.compile(r"[^./\\\0][^/\\\0]*\.exr")
_PLAIN = r"[^./\\\0][^/\\\0]*"  # a file's name that leads out of no folder
_BESIDE = re.compile(
    rf"{_PLAIN}\.jsonl?|dfl/{_PLAIN}\.(json|png|jpg)|labels/{_PLAIN}\.(json|exr)|mattes/{_PLAIN}\.exr"
)
_LATER = ("labels/", "mattes/")  # since version 2

Spans = npt.NDArray[np.int64]
"""(N, 2) offset and length of N runs of bytes in the file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """An opened pack.

    Attributes:
        path: its file.
        columns: of its faces, in the order of a faceset.
        planes, headers: place of each face's pixels and of its header.
        files: name → offset and length of what lay beside the faces.
    """

    path: Path
    columns: Columns
    planes: Spans
    headers: Spans
    files: Mapping[str, tuple[int, int]]
    source: Places

    @classmethod
    def open(cls, path: Path) -> Packed:
        """Read the table. A pack that is replaced while it is open goes on being read as it was.

        Raises:
            InvalidInput: the file is no pack, or one of a newer version.
            FrameUnreadable: it is truncated, longer than it should be, or corrupt: names the byte.
        """
        try:
            source = Places(path)
        except OSError as error:
            raise FrameUnreadable(f"{path}: cannot be read: {error.strerror}", path=path) from error
        offset, length, digest = _head(source, path)
        content = _read(source, path, offset, length)
        if hashlib.sha256(content).digest() != digest:
            raise broken(path, offset, "the table is not the one that was written")
        try:
            found = table.decode(content)
            columns = table.to_columns(found.arrays)
            names = table.untexts(found.arrays["beside.name"], "beside.name")
            places = [_spans(found.arrays, key, n) for key, n in _counts(len(columns), len(names)).items()]
            _check(columns.name.tolist(), names, places, offset)
        except (table.Broken, KeyError, ValueError) as error:
            at = offset + (error.at if isinstance(error, table.Broken) else 0)
            raise broken(path, at, f"the table is malformed: {error}") from error
        planes, headers, files = places
        beside = {name: (int(at), int(size)) for name, (at, size) in zip(names, files, strict=True)}
        return cls(path=path, columns=columns, planes=planes, headers=headers, files=beside, source=source)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.columns.name.tolist())}

    def frame(self, name: str) -> Frame:
        """One face's image as it was, every plane in its stored type and every header entry.

        Raises:
            FrameMissing: there is no such face in it.
            FrameUnreadable: the file was cut short, or is corrupt there.
        """
        row = self._rows.get(name)
        if row is None:
            raise FrameMissing(f"{self.path}: has no face {name}", path=self.path)
        at, length = self.headers[row].tolist()
        text = _read(self.source, self.path, at, length)
        try:
            parts = [_part(part) for part in json.loads(text.tobytes())]
            sizes = [_size(part, kinds) for part, kinds in parts]
            if not 1 <= len(parts) <= MAXIMUM_PARTS or sum(sizes) != self.planes[row][1]:
                raise ValueError(f"{len(parts)} parts of {sum(sizes)} bytes in {self.planes[row][1]}")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise broken(self.path, at, f"the header of {name} is malformed: {error!r}") from error
        pixels = np.frombuffer(_read(self.source, self.path, *self.planes[row].tolist()), np.uint8)
        ends = np.cumsum(sizes)[:-1]
        filled = [_filled(*part, run) for part, run in zip(parts, np.split(pixels, ends), strict=True)]
        return replace(filled[0], others=tuple(filled[1:]))

    def beside(self, name: str) -> bytes | None:
        """What lay beside the faces under that name, or None; raises FrameUnreadable."""
        if name not in self.files:
            return None
        return _read(self.source, self.path, *self.files[name]).tobytes()


def head(offset: int, content: bytes, beside: Iterable[str] = ()) -> bytes:
    """Page 0 of a pack whose table is `content`, at `offset`; it has these files beside the faces."""
    version = VERSION if any(name.startswith(_LATER) for name in beside) else 1
    written = _HEAD.pack(_MAGIC, version, PAGE, offset, len(content), hashlib.sha256(content).digest())
    return written.ljust(PAGE, b"\0")


def header(frame: Frame) -> bytes:
    """All of an image but its pixels, as JSON."""
    parts = [
        {
            "number": frame.number,
            "name": part.name,
            "display": [part.display.x, part.display.y, part.display.width, part.display.height],
            "data": [part.data.x, part.data.y, part.data.width, part.data.height],
            "pixel_aspect": part.pixel_aspect,
            "planes": [[name, _NAMES[plane.dtype]] for name, plane in part.planes.items()],
            "metadata": {name: _entry(encode(value)) for name, value in part.metadata.items()},
        }
        for part in (frame, *frame.others)
    ]
    return json.dumps(parts, separators=(",", ":")).encode()


def runs(frame: Frame) -> list[bytes]:
    """The pixels of an image, plane by plane, as they lie in a pack."""
    return [plane.tobytes() for part in (frame, *frame.others) for plane in part.planes.values()]


def is_beside(name: str) -> bool:
    """Whether a file of a faceset's folder goes into a pack beside the faces."""
    return _BESIDE.fullmatch(name) is not None


def broken(path: Path, at: int, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: at byte {at}: {why}; copy or pack it again", path=path)


def _head(source: Places, path: Path) -> tuple[int, int, bytes]:
    """Offset, length and digest of the table."""
    size = source.size()
    written = _read(source, path, 0, min(size, _HEAD.size)).tobytes()
    if not written.startswith(_MAGIC):
        raise InvalidInput(
            f"{path}: is a file but not a packed faceset: name a folder of faces, or a pack",
            path=path,
            field="faceset",
            value=path,
        )
    if len(written) < _HEAD.size:
        raise broken(path, size, f"is truncated: ends after {size} bytes")
    _, version, page, offset, length, digest = _HEAD.unpack(written)
    if not 1 <= version <= VERSION or page != PAGE:
        raise InvalidInput(
            f"{path}: is a pack of version {version}; this software reads versions up to {VERSION}",
            path=path,
            field="faceset",
            value=path,
        )
    if size < offset + length:
        raise broken(path, size, f"is truncated: should have {offset + length} bytes")
    if size > offset + length or offset < PAGE:
        raise broken(path, 0, f"has {size} bytes, but its table says {offset} + {length}")
    return offset, length, digest


def _read(source: Places, path: Path, offset: int, length: int) -> memoryview:
    """Bytes that are known to be in the file; not to be written to."""
    found = bytearray(length)
    try:
        count = source.read_into(memoryview(found), offset)
    except OSError as error:
        raise FrameUnreadable(f"{path}: cannot be read: {error.strerror}", path=path) from error
    if count != length:
        raise broken(path, offset + count, "was cut short after it was opened")
    return memoryview(found).toreadonly()


def _counts(faces: int, files: int) -> dict[str, int]:
    return {"planes": faces, "headers": faces, "beside.place": files}


def _spans(arrays: Mapping[str, Array], name: str, count: int) -> Spans:
    spans = arrays[name]
    if spans.dtype != np.int64 or spans.shape != (count, 2):
        raise ValueError(f"{name} is {spans.dtype} {spans.shape}")
    return spans


def _check(names: list[str], files: list[str], places: list[Spans], end: int) -> None:
    """Raises ValueError: a name that leads out of a folder, or a run of bytes that is not between head and table."""
    if wrong := [name for name in names if not _FACE.fullmatch(name)]:
        raise ValueError(f"a face is called {wrong[0]!r}")
    if wrong := [name for name in files if not is_beside(name)]:
        raise ValueError(f"a file is called {wrong[0]!r}")
    if len(set(names)) < len(names) or len(set(files)) < len(files):
        raise ValueError("a name that is there twice")
    for spans in places:
        at, length = spans[:, 0], spans[:, 1]
        outside = (at < PAGE) | (at > end) | (length < 0) | (length > end - np.clip(at, 0, end))
        if outside.any():
            raise ValueError(f"bytes at {spans[outside][0].tolist()}, outside {PAGE} to {end}")
    planes, headers, _ = places
    if (planes[:, 0] % PAGE).any() or (headers[:, 1] > MAXIMUM_HEADER * 2).any():
        raise ValueError("a face that begins at no page, or whose header is too large")


def _part(said: Mapping[str, Any]) -> tuple[Frame, list[tuple[str, np.dtype[Any]]]]:
    """A part without its planes, and their names and types."""
    frame = Frame(
        number=int(said["number"]),
        planes={},
        display=_window(said["display"]),
        data=_window(said["data"]),
        pixel_aspect=float(said["pixel_aspect"]),
        metadata={str(name): decode(_raw(*entry)) for name, entry in said["metadata"].items()},
        name=str(said["name"]),
    )
    return frame, [(str(name), _KINDS[kind]) for name, kind in said["planes"]]


def _window(said: list[int]) -> Window:
    x, y, width, height = map(int, said)
    if width <= 0 or height <= 0:
        raise ValueError(f"a window of {width} × {height}")
    return Window(x, y, width, height)


def _size(frame: Frame, kinds: list[tuple[str, np.dtype[Any]]]) -> int:
    return sum(frame.data.width * frame.data.height * kind.itemsize for _, kind in kinds)


def _filled(frame: Frame, kinds: list[tuple[str, np.dtype[Any]]], run: npt.NDArray[np.uint8]) -> Frame:
    planes, at, pixels = {}, 0, frame.data.width * frame.data.height
    for name, kind in kinds:
        end = at + pixels * kind.itemsize
        planes[name] = run[at:end].view(kind).reshape(frame.data.height, frame.data.width)
        at = end
    return replace(frame, planes=planes)


def _entry(raw: Raw) -> list[str]:
    """A header entry: its type, its bytes, and how these are written down: text reads and packs best as text."""
    if raw.type == "string":
        try:
            return [raw.type, raw.data.decode("utf-8"), "utf-8"]
        except UnicodeDecodeError:
            pass
    return [raw.type, base64.b64encode(raw.data).decode(), "base64"]


def _raw(kind: str, text: str, written: str) -> Raw:
    return Raw(
        str(kind), text.encode("utf-8") if written == "utf-8" else base64.b64decode(text, validate=True)
    )
