"""DPX files (SMPTE ST 268): code values of 8 to 16 bits as they are, and headers that keep every byte.

We read and write them ourselves. OpenImageIO (3.2.2) misreads the last code of filled 10-bit lines of some widths,
writes 12 bits and luma of 10 packed whatever the plate had, drops user data, and truncates where it should round.

A frame that was read from a DPX remembers the file around its codes. Written again it is the plate's file, byte for
byte, but for the codes that changed and the file's name in its header. Two entries of its metadata hold that:
`dpx:header`, all before the picture with the user data, and `dpx:rest`, what else is neither header nor code (data
after the picture, padding and fill bits that are not 0), which most files have none of.

Picture lines come as one looks at them, from the top and from the left; a file may store them otherwise, and keeps to
that. Reference codes for black and white are the header's to say: planes hold codes from 0 to `maximum` as stored.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, WriteFailed
from understudy.core.frames import Array, Frame, Window
from understudy.core.plate import dpx_fields as fields
from understudy.core.plate import dpx_header as head
from understudy.core.plate.dpx_header import Malformed
from understudy.core.plate.dpx_pixels import Element
from understudy.core.plate.exr import MAXIMUM_HEADER, MAXIMUM_PIXELS
from understudy.core.plate.header import Header
from understudy.core.plate.metadata import Typed
from understudy.core.plate.timing import KEYCODE_KEY, RATE_KEY, TIMECODE_KEY

HEADER_KEY, REST_KEY = "dpx:header", "dpx:rest"

Rest = dict[int, bytes]
"""Where in the file, and what."""


def read(path: Path, number: int | None = None) -> Frame:
    """Read a DPX: planes of codes, uint8 for 8 bits and else uint16, read-only; `maximum` is 2^bits − 1.

    Raises:
        FrameMissing: the file is not there.
        FrameUnreadable: it is empty, truncated, or of a kind we refuse; the message says which.
    """
    with _opened(path, number) as (file, size):
        raw, elements = _header(file, size)
        flip = head.orientation(raw)
        planes: dict[str, Array] = {}
        rest = _outside(file, elements, size)
        for element in elements:
            codes, padding = _codes(file, element)
            planes |= {name: _upright(plane, flip) for name, plane in codes.items()}
            rest |= padding
        if rest or elements != head.elements(raw):
            rest[size] = b""
        for plane in planes.values():
            plane.setflags(write=False)
        window = Window(0, 0, *head.size(raw))
        entries = _metadata(raw) | ({REST_KEY: Typed("bytes", _joined(rest))} if rest else {})
        return Frame(
            number=number or 0,
            planes={name: planes[name] for name in "RGBAY" if name in planes},
            display=window,
            data=window,
            pixel_aspect=fields.pixel_aspect(raw),
            metadata=entries,
            maximum=float(elements[0].maximum),
        )


def read_header(path: Path, number: int | None = None) -> Header:
    """What `read` would give but the pixels and `dpx:rest`; raises the same, also where pixels are cut off."""
    with _opened(path, number) as (file, size):
        raw, elements = _header(file, size)
        names = {name for element in elements for name in element.channels}
        window = Window(0, 0, *head.size(raw))
        return Header(
            channels={name: elements[0].dtype for name in "RGBAY" if name in names},
            display=window,
            data=window,
            format="dpx",
            pixel_aspect=fields.pixel_aspect(raw),
            metadata=_metadata(raw),
            maximum=float(elements[0].maximum),
        )


def write(frame: Frame, beside: Path, path: Path) -> None:
    """Write a frame of codes, and read it again to compare every plane and the header.

    A frame that was read from a DPX, and still has its size, depth and channels, gives that file again: its header,
    user data, padding and what followed the picture. Header fields differ only where the frame's entries do. Any other
    frame gets a header of V2.0 from its entries: big-endian and, of 10 and 12 bits, filled by method A, unless
    `dpx:Endian` (`little`), `dpx:Packing` or `dpx:ImageDescriptor` (`ABGR`) say otherwise.

    Args:
        frame: planes R, G, B and perhaps A; or one alone of R, G, B, A and Y (luma); codes of 8, 10, 12 or 16 bits.
        beside: the file to make.
        path: the name it will have: it is put into the header.

    Raises:
        InvalidInput: planes or entries that DPX cannot hold.
        WriteFailed: the file came back otherwise.
        OSError: the system's.
    """
    _refuse(frame, path)
    raw, elements, rest = _of_plate(frame) or _new(frame)
    name = path.name.encode("ascii", "replace")[: head.NAME_SIZE - 1]
    raw[head.NAME_AT : head.NAME_AT + head.NAME_SIZE] = name.ljust(head.NAME_SIZE, b"\0")
    try:
        fields.update(raw, frame.metadata, frame.pixel_aspect)
    except InvalidInput as error:
        raise InvalidInput(
            f"{path}: {error.message}", path=path, field=error.field, value=error.value
        ) from error
    flip, kept = head.orientation(bytes(raw)), _joined(rest)
    planes = {name: _upright(plane, flip) for name, plane in frame.planes.items()}
    with beside.open("wb", buffering=0) as file:
        _put(file, 0, raw)
        for element in elements:
            _save(file, element, planes, rest)
        for at, data in rest.items():
            _put(file, at, data)
        file.truncate(max([*rest, *(element.end for element in elements)]))
    _look_again(frame, {HEADER_KEY: bytes(raw), REST_KEY: kept}, beside, path)


def comparable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Of a frame's entries those that a DPX made from it must have as they are; the header without the file's name."""
    shared = (TIMECODE_KEY, KEYCODE_KEY, RATE_KEY)
    kept = {name: value for name, value in metadata.items() if name in shared or name.startswith("dpx:")}
    stored = _bytes(metadata, HEADER_KEY)
    if stored:
        blank = stored[: head.NAME_AT] + bytes(head.NAME_SIZE) + stored[head.NAME_AT + head.NAME_SIZE :]
        kept[HEADER_KEY] = Typed("bytes", blank)
    return kept


# Reading


@contextmanager
def _opened(path: Path, number: int | None) -> Iterator[tuple[FileIO, int]]:
    """The file and its size; what goes wrong inside is said with path and frame."""
    frame = "" if number is None else f"frame {number} "
    if not path.is_file():
        raise FrameMissing(f"{path}: {frame}is not on disk", path=path, frame=number)
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            if not size:
                raise Malformed("is empty (zero bytes): the render or copy that should have made it failed")
            yield file, size
    except (Malformed, OSError) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise FrameUnreadable(f"{path}: {frame}{why}", path=path, frame=number) from error


def _header(file: FileIO, size: int) -> tuple[bytes, tuple[Element, ...]]:
    """All bytes before the picture, and where its elements lie, known to be inside the file."""
    raw = _get(file, 0, min(size, head.WHOLE))
    head.byte_order(raw)
    if len(raw) < head.GENERIC:
        raise Malformed(f"is truncated: {head.GENERIC - len(raw)} bytes of its header are missing")
    width, height = head.size(raw)
    if not 0 < width * height <= MAXIMUM_PIXELS:
        raise Malformed(f"is {width}×{height} pixels; we take 1 to {MAXIMUM_PIXELS}")
    elements = head.elements(raw, size)
    head.orientation(raw)
    in_order = sorted(elements, key=lambda element: element.offset)
    missing = in_order[-1].end - size
    if missing > 0:
        raise Malformed(f"is truncated: {missing} of {in_order[-1].end} bytes are missing")
    if any(a.end > b.offset for a, b in pairwise(in_order)):
        raise Malformed("has image elements that overlap")
    around = size - sum(element.end - element.offset for element in elements)
    if around > MAXIMUM_HEADER:
        raise Malformed(f"has {around} bytes around its picture; we take {MAXIMUM_HEADER}")
    return _get(file, 0, in_order[0].offset), elements


def _metadata(raw: bytes) -> dict[str, Any]:
    return {**fields.metadata(raw), HEADER_KEY: Typed("bytes", raw)}


def _outside(file: FileIO, elements: tuple[Element, ...], size: int) -> Rest:
    """What lies between elements and after the last."""
    in_order = sorted(elements, key=lambda element: element.offset)
    starts = [*(element.offset for element in in_order[1:]), size]
    return {
        element.end: _get(file, element.end, start - element.end)
        for element, start in zip(in_order, starts, strict=True)
        if start > element.end
    }


def _codes(file: FileIO, element: Element) -> tuple[dict[str, Array], Rest]:
    """(height, width) codes of each channel, as stored, and the bits beside them that are not 0."""
    shape = (element.height, element.width)
    planes = {name: np.empty(shape, element.dtype) for name in element.channels}
    padding: Rest = {}
    lines = np.empty((element.rows, element.pitch), np.uint8)
    for first in range(0, element.height, element.rows):
        lines = lines[: element.height - first]
        at = element.offset + first * element.pitch
        _fill(file, at, lines)
        codes = element.unpack(lines)
        for index, plane in enumerate(planes.values()):
            plane[first : first + len(lines)] = codes[:, index :: len(planes)]
        beside = element.padding(lines)
        if beside is not None:
            padding[at] = beside.tobytes()
    return planes, padding


def _upright(plane: Array, orientation: int) -> Array:
    """Between the lines as stored and as seen; its own inverse."""
    across = slice(None, None, -1 if orientation & 1 else 1)
    down = slice(None, None, -1 if orientation & 2 else 1)
    return np.ascontiguousarray(plane[down, across]) if orientation else plane


def _get(file: FileIO, at: int, count: int) -> bytes:
    data = bytearray(count)
    _fill(file, at, np.frombuffer(data, np.uint8))
    return bytes(data)


def _fill(file: FileIO, at: int, target: Array) -> None:
    """Read into all of an array."""
    file.seek(at)
    view = memoryview(target.data).cast("B") if target.size else memoryview(b"")
    while view:
        got = file.readinto(view)
        if not got:
            raise Malformed(f"is truncated: {len(view)} bytes at {at} are missing")
        view = view[got:]


# Writing


def _refuse(frame: Frame, path: Path) -> None:
    """Raise InvalidInput for planes that DPX cannot hold."""
    names, depth = "".join(sorted(frame.planes)), int(frame.maximum).bit_length()
    wide = frame.data != frame.display or (frame.data.x, frame.data.y) != (0, 0)
    kinds = {plane.dtype for plane in frame.planes.values()}
    why: tuple[tuple[bool, str, object], ...] = (
        (
            depth not in (8, 10, 12, 16) or frame.maximum != 2**depth - 1,
            f"DPX holds codes of 8, 10, 12 or 16 bits, not planes with 1.0 at {frame.maximum:g}",
            frame.maximum,
        ),
        (
            names not in head.PICTURES,
            f"DPX holds R, G, B and A, not {', '.join(frame.planes)}",
            ",".join(frame.planes),
        ),
        (
            wide,
            f"DPX has one window at 0, 0; the frame has {frame.display} and {frame.data}",
            frame.data,
        ),
        (
            any(kind.kind != "u" for kind in kinds)
            or any(plane.max(initial=0) > frame.maximum for plane in frame.planes.values()),
            f"{', '.join(map(str, kinds))} planes are not codes from 0 to {frame.maximum:g}",
            ",".join(map(str, kinds)),
        ),
    )
    for bad, words, value in why:
        if bad:
            raise InvalidInput(f"{path}: {words}", path=path, field="channels", value=value)


def _of_plate(frame: Frame) -> tuple[bytearray, tuple[Element, ...], Rest] | None:
    """The file that the frame was read from, if it is one that these planes go into."""
    raw = _bytes(frame.metadata, HEADER_KEY)
    if len(raw) < head.GENERIC:
        return None
    rest = _split(_bytes(frame.metadata, REST_KEY))
    try:
        elements = head.elements(raw, max(rest, default=None))
        head.orientation(raw)
    except Malformed:
        return None
    names = {name for element in elements for name in element.channels}
    fits = (
        names == set(frame.planes)
        and head.size(raw) == (frame.data.width, frame.data.height)
        and elements[0].maximum == frame.maximum
        and min(element.offset for element in elements) == len(raw)
    )
    return (bytearray(raw), elements, rest) if fits else None


def _new(frame: Frame) -> tuple[bytearray, tuple[Element, ...], Rest]:
    """The file of a frame that comes from elsewhere."""
    channels = tuple(name for name in "RGBAY" if name in frame.planes)
    if len(channels) == 4 and frame.metadata.get("dpx:ImageDescriptor") == "ABGR":
        channels = channels[::-1]
    element = Element(
        channels=channels,
        depth=int(frame.maximum).bit_length(),
        packing=fields.packing(frame.metadata.get("dpx:Packing")),
        big_endian=frame.metadata.get("dpx:Endian") != "little",
        width=frame.data.width,
        height=frame.data.height,
    )
    raw = head.fresh(element)
    return raw, head.elements(bytes(raw)), {}


def _save(file: FileIO, element: Element, planes: Mapping[str, Array], rest: Rest) -> None:
    """Write one element's lines, with the bits beside the codes that `rest` has for them, which it takes out."""
    shape = (min(element.rows, element.height), element.width, len(element.channels))
    codes = np.empty(shape, element.dtype)
    for first in range(0, element.height, element.rows):
        codes = codes[: element.height - first]
        for index, name in enumerate(element.channels):
            codes[..., index] = planes[name][first : first + len(codes)]
        lines = element.pack(codes.reshape(len(codes), -1))
        at = element.offset + first * element.pitch
        beside = rest.pop(at, b"")
        if len(beside) == lines.size:
            lines |= np.frombuffer(beside, np.uint8).reshape(lines.shape)
        _put(file, at, lines)


def _put(file: FileIO, at: int, data: Any) -> None:
    file.seek(at)
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def _look_again(frame: Frame, stored: Mapping[str, bytes], beside: Path, path: Path) -> None:
    """Read what was written; a difference in silence is the one thing that must not happen."""
    try:
        again = read(beside)
    except FrameUnreadable as error:
        raise WriteFailed(f"{path}: written, but {error.message}", path=path) from error
    for key, data in stored.items():
        if _bytes(again.metadata, key) != data:
            raise WriteFailed(f"{path}: {key} came back with other bytes", path=path, field=key)
    if (again.data, again.maximum, set(again.planes)) != (frame.data, frame.maximum, set(frame.planes)):
        raise WriteFailed(f"{path}: {frame.data} came back as {again.data}", path=path)
    for name, plane in frame.planes.items():
        if not np.array_equal(again.planes[name], plane):
            raise WriteFailed(f"{path}: channel {name} came back with other values", path=path, field=name)


# The two entries


def _bytes(metadata: Mapping[str, Any], key: str) -> bytes:
    entry = metadata.get(key)
    return entry.value if isinstance(entry, Typed) and isinstance(entry.value, bytes) else b""


def _joined(rest: Rest) -> bytes:
    """As one run of bytes: of each piece its place, its length and itself."""
    return b"".join(struct.pack("<QQ", at, len(data)) + data for at, data in rest.items())


def _split(joined: bytes) -> Rest:
    rest: Rest = {}
    at = 0
    while at + 16 <= len(joined):
        place, count = struct.unpack_from("<QQ", joined, at)
        rest[place] = joined[at + 16 : at + 16 + count]
        at += 16 + count
    return rest
