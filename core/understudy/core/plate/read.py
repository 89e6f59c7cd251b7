"""Frames off the disk: every part and channel in its stored type, bit for bit, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from understudy.core.errors import FrameMissing, FrameUnreadable
from understudy.core.frames import Array, Frame
from understudy.core.plate import chunks, dpx, exr
from understudy.core.plate.header import Header
from understudy.core.plate.metadata import STRUCTURE, decode
from understudy.core.plate.template import Template

EXTENSIONS = (".exr", ".dpx")

_DPX_MAGIC = (b"SDPX", b"XPDS")
_TYPES: Mapping[np.dtype[Any], str] = {
    np.dtype(np.float16): "half",
    np.dtype(np.float32): "float",
    np.dtype(np.uint32): "uint",
}
_ROWS = 64  # decoded at a time: what is interleaved by the decoder is parted while it is in the cache
_STRIP = 8


def read(template: Template, number: int, *, writable: bool = False) -> Frame:
    """Read one frame with all its parts and channels.

    Nothing is converted: halves, floats and whole numbers of an OpenEXR, code values of a DPX (0 to 1023 for 10
    bits). Of a tiled part with several levels the picture itself is read, level 0. The planes are read-only.

    Args:
        writable: those of an OpenEXR may be written into. They are the caller's alone in any case.

    Raises:
        FrameMissing: the file is not there.
        FrameUnreadable: it is there but zero bytes, truncated, corrupt, beyond the limits of `exr`, deep or
            sub-sampled; the message says which.
    """
    return read_file(template.path(number), number, writable=writable)


def read_file(path: Path, number: int | None = None, *, writable: bool = False) -> Frame:
    """`read` for a file that is not part of a sequence; its number is 0 unless given."""
    with _opened(path, number) as (file, is_dpx):
        if is_dpx:
            return dpx.read(path, number)
        layout = exr.parse(file)
        chunks.check(file.fileno(), layout)
        with decoders(path, layout) as parts:
            pixels = [part.planes(writable=writable) for part in parts]
        first, *others = map(_frame, layout.parts, pixels, repeat(number or 0))
        return replace(first, others=tuple(others))


def read_header(path: Path, number: int | None = None, *, whole: bool = False) -> Header:
    """What `read` would give but the pixels; raises the same, yet cannot see that pixels are cut off.

    Args:
        whole: look at that too, of an OpenEXR: at a few bytes of every chunk.
    """
    with _opened(path, number) as (file, is_dpx):
        if is_dpx:
            return dpx.read_header(path, number)
        layout = exr.parse(file)
        if whole:
            chunks.check(file.fileno(), layout)
        return _headers(layout)


def _headers(layout: exr.Layout) -> Header:
    first, *others = map(_header, layout.parts)
    return replace(first, others=tuple(others))


@contextmanager
def _opened(path: Path, number: int | None) -> Iterator[tuple[BinaryIO, bool]]:
    """The file at its beginning, and whether it is a DPX; what is wrong with it gets its name and number."""

    def unreadable(why: str) -> FrameUnreadable:
        return FrameUnreadable(f"{path}: {frame}{why}", path=path, frame=number)

    frame = "" if number is None else f"frame {number} "
    if not path.is_file():
        raise FrameMissing(f"{path}: {frame}is not on disk", path=path, frame=number)
    try:
        with path.open("rb", buffering=0) as file:
            magic = file.read(4)
            file.seek(0)
            if not magic:
                raise unreadable("is empty (zero bytes): the render or copy that should have made it failed")
            if magic not in (exr.MAGIC, *_DPX_MAGIC):
                raise unreadable(
                    f"is not an image we can open: it begins neither as OpenEXR nor as DPX ({magic!r})"
                )
            yield file, magic in _DPX_MAGIC
    except exr.Broken as broken:
        raise unreadable(str(broken)) from broken
    except OSError as error:
        raise unreadable(f"cannot be read: {error.strerror or error}") from error


def _header(part: exr.Part) -> Header:
    return Header(
        channels={name: part.channels[name] for name in _order(part.channels)},
        display=part.display,
        data=part.data,
        format="openexr",
        pixel_aspect=part.pixel_aspect,
        metadata=_metadata(part),
        name=part.name,
        compression=part.compression,
        tiles=None if part.tiles is None else (part.tiles.width, part.tiles.height),
    )


def _frame(part: exr.Part, planes: Mapping[str, Array], number: int) -> Frame:
    return Frame(
        number=number,
        planes={name: planes[name] for name in _order(planes)},
        display=part.display,
        data=part.data,
        pixel_aspect=part.pixel_aspect,
        metadata=_metadata(part),
        name=part.name,
    )


def _metadata(part: exr.Part) -> dict[str, Any]:
    found = {name: decode(raw) for name, raw in part.attributes.items() if name not in STRUCTURE}
    return {**found, "compression": part.compression}


def _order(names: Iterable[str]) -> list[str]:
    """R, G, B and A first, then as the file has them."""
    rgba = [name for name in "RGBA" if name in names]
    return [*rgba, *(name for name in names if name not in rgba)]


@contextmanager
def decoders(path: Path, layout: exr.Layout) -> Iterator[list[Decoder]]:
    """What gives the pixels of an OpenEXR's parts, in their order.

    Raises:
        exr.Broken: OpenImageIO cannot open the file, or sees another picture than the header says.
    """
    try:
        source = oiio.ImageInput.open(str(path))
    except TypeError:  # of a name that is not Unicode
        raise exr.Broken("has a name that is not UTF-8, which OpenImageIO cannot open; rename it") from None
    if source is None:
        raise exr.Broken(f"is not an image we can open: {_words(oiio.geterror())}")
    try:
        yield [Decoder(source, index, part) for index, part in enumerate(layout.parts)]
    finally:
        source.close()


class Decoder:
    """One part's pixels out of OpenImageIO, which hands them out interleaved, in one type at a time."""

    def __init__(self, source: Any, index: int, part: exr.Part) -> None:
        if not source.seek_subimage(index, 0):
            raise exr.Broken(f"is truncated or corrupt: part {index}: {_words(source.geterror())}")
        spec = source.spec()
        seen = (spec.x, spec.y, spec.width, spec.height, set(spec.channelnames))
        if seen != (part.data.x, part.data.y, part.data.width, part.data.height, set(part.channels)):
            raise exr.Broken(f"is read by OpenImageIO as another picture than its header says: {seen}")
        self._source, self._index, self._part = source, index, part
        self._names: tuple[str, ...] = spec.channelnames
        self._step = part.lines if part.tiles is None else part.tiles.height

    def planes(self, rows: slice = slice(None), *, writable: bool = False) -> dict[str, Array]:
        """(H, W) of each channel, or of some rows of the data window counted from its top; read-only unless said.

        Raises:
            exr.Broken: they do not decode.
        """
        part = self._part
        first, last, _ = rows.indices(part.data.height)
        planes: dict[str, Array] = {
            name: np.empty((last - first, part.data.width), part.channels[name]) for name in self._names
        }
        block = self._step * -(-min(_ROWS, last - first) // self._step)
        for top in range(first - first % self._step, last, block):
            bottom = min(top + block, part.data.height)
            stored = self._block(top, bottom)
            for row in range(max(top, first), min(bottom, last), _STRIP):
                end = min(row + _STRIP, bottom, last)
                for index, plane in enumerate(planes.values()):
                    plane[row - first : end - first] = stored[plane.dtype][row - top : end - top, :, index]
        for plane in planes.values():
            plane.setflags(write=writable)
        return planes

    def _block(self, top: int, bottom: int) -> dict[np.dtype[Any], Array]:
        """Rows of all channels, (rows, W, C): for each stored type an array that holds its channels exactly."""
        half, single = np.dtype(np.float16), np.dtype(np.float32)
        kinds = [self._part.channels[name] for name in self._names]
        stored = {kind: self._read(top, bottom, kind) for kind in set(kinds) - {half}}
        if half in kinds:
            # a float holds every half but the payload of its NaN; decoding again costs more than looking for one
            halves = [index for index, kind in enumerate(kinds) if kind == half]
            wide = stored.get(single)
            exact = wide is not None and not np.isnan(wide[..., halves]).any()
            stored[half] = wide if wide is not None and exact else self._read(top, bottom, half)
        return stored

    def _read(self, top: int, bottom: int, kind: np.dtype[Any]) -> Array:
        data, count = self._part.data, len(self._names)
        across, down = (data.x, data.x1), (data.y + top, data.y + bottom)
        typed = oiio.TypeDesc(_TYPES[kind])
        if self._part.tiles is None:
            found = self._source.read_scanlines(self._index, 0, *down, 0, 0, count, typed)
        else:
            found = self._source.read_tiles(self._index, 0, *across, *down, 0, 1, 0, count, typed)
        if found is None:
            raise exr.Broken(f"is truncated or corrupt: {_words(self._source.geterror())}")
        return np.asarray(found)


def _words(error: str) -> str:
    """OpenImageIO's error on one line."""
    return "; ".join(dict.fromkeys(error.split("\n"))).strip("; ") or "no reason given"
