"""Frames off the disk: every channel in its stored type, bit for bit, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from understudy.core.errors import FrameMissing, FrameUnreadable, UnderstudyError
from understudy.core.frames import Array, Frame, Window
from understudy.core.plate import dpx
from understudy.core.plate.metadata import Typed, from_spec
from understudy.core.plate.template import Template

EXTENSIONS = (".exr", ".dpx")

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "half": np.dtype(np.float16),
    "float": np.dtype(np.float32),
    "uint": np.dtype(np.uint32),
    "uint8": np.dtype(np.uint8),
    "uint16": np.dtype(np.uint16),
}
_MAXIMUM_CHANNELS = 1024  # Nuke holds 1023 in a script; more in one header is a broken or hostile file
_MAXIMUM_PIXELS = 2**28  # 16384 × 16384


@dataclass(frozen=True, kw_only=True)
class Header:
    """A frame without its pixels; the attributes are those of `Frame`.

    Attributes:
        channels: name → stored type, in the order OpenImageIO gives (R, G, B, A first); DPX codes count as
            uint8 or uint16.
        format: `openexr` or `dpx`.
    """

    channels: Mapping[str, np.dtype[Any]]
    display: Window
    data: Window
    format: str
    pixel_aspect: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    maximum: float = 1.0


def read(template: Template, number: int) -> Frame:
    """Read one frame with all its channels.

    Integer formats (DPX) give code values, not OpenImageIO's stretch to 16 bits: 0 to 1023 for 10 bits.
    The planes are views of one array and read-only.

    Raises:
        FrameMissing: the file is not there.
        FrameUnreadable: it is there but zero bytes, truncated, deep, in several parts or views, or has
            sub-sampled channels; the message says which.
    """
    return read_file(template.path(number), number)


def read_file(path: Path, number: int | None = None) -> Frame:
    """`read` for a file that is not part of a sequence; its number is 0 unless given."""
    return read_rows(path, None, number)


def read_rows(path: Path, row: int | None, number: int | None = None) -> Frame:
    """`read_file` with one row of each plane, (1, W), counted from the data window's top; None is all."""
    source = _open(path, number)
    try:
        header = _header(source, path, number)
        planes: dict[str, Array] = {}
        for _, group in groupby(header.channels.items(), key=lambda item: item[1]):
            names = [name for name, _ in group]
            pixels = _pixels(source, header, slice(len(planes), len(planes) + len(names)), row)
            if pixels is None:
                raise _unreadable(path, number, f"is truncated or corrupt: {words(source.geterror())}")
            planes.update({name: pixels[..., index] for index, name in enumerate(names)})
        return Frame(
            number=number or 0,
            planes=planes,
            display=header.display,
            data=header.data,
            pixel_aspect=header.pixel_aspect,
            metadata=header.metadata,
            maximum=header.maximum,
        )
    finally:
        source.close()


def read_header(path: Path, number: int | None = None) -> Header:
    """What `read` would give but the pixels; raises the same, yet cannot see that pixels are cut off."""
    source = _open(path, number)
    try:
        return _header(source, path, number)
    finally:
        source.close()


def _pixels(source: Any, header: Header, channels: slice, row: int | None) -> Array | None:
    """(H, W, C) read-only, of neighbouring channels of one type; None if OpenImageIO gives none."""
    first, last = channels.start, channels.stop
    dtype = list(header.channels.values())[first]
    kind = oiio.TypeDesc(next(name for name, known in _DTYPES.items() if known == dtype))
    if row is None:
        pixels = source.read_image(0, 0, first, last, kind)
    else:
        y = header.data.y + row
        pixels = source.read_scanlines(0, 0, y, y + 1, 0, first, last, kind)
    if pixels is None:
        return None
    if dtype == np.uint16:
        # bits were replicated downwards to fill 16
        pixels = pixels >> (16 - int(header.maximum).bit_length())
    pixels.setflags(write=False)
    return np.asarray(pixels)


def _open(path: Path, number: int | None) -> Any:
    if not path.is_file():
        raise FrameMissing(f"{path}: {_frame(number)}is not on disk", path=path, frame=number)
    if path.stat().st_size == 0:
        raise _unreadable(
            path, number, "is empty (zero bytes): the render or copy that should have made it failed"
        )
    # raw: a DPX in Y'CbCr must not be turned into RGB behind our back
    hints = oiio.ImageSpec()
    hints["dpx:RawColor"] = 1
    source = oiio.ImageInput.open(str(path), hints)
    if source is None:
        why = words(oiio.geterror())
        if "ubsampled" in why:
            raise _unreadable(path, number, f"has sub-sampled channels, which are refused: {why}")
        raise _unreadable(path, number, f"is not an image we can open, or is truncated: {why}")
    return source


def _header(source: Any, path: Path, number: int | None) -> Header:
    spec, kind = source.spec(), source.format_name()
    metadata = from_spec(spec)
    refusal = _refusal(spec, kind, metadata, source)
    if refusal:
        raise _unreadable(path, number, refusal)
    types = spec.channelformats or (spec.format,) * spec.nchannels
    bits = metadata.get("oiio:BitsPerSample")
    integer = spec.format in (oiio.TypeUInt8, oiio.TypeUInt16)
    depth = (bits if isinstance(bits, int) else spec.format.size() * 8) if integer else 0
    return Header(
        channels={name: _DTYPES[str(t)] for name, t in zip(spec.channelnames, types, strict=True)},
        display=Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height),
        data=Window(spec.x, spec.y, spec.width, spec.height),
        format=kind,
        pixel_aspect=float(metadata.pop("PixelAspectRatio", 1.0)),
        metadata=metadata,
        maximum=float(2**depth - 1) if integer else 1.0,
    )


def _refusal(spec: Any, kind: str, metadata: Mapping[str, Any], source: Any) -> str:
    """Why a file that opens is not one we can do justice to; empty if it is."""
    views, parts = metadata.get("multiView"), metadata.get("oiio:subimages", 1)
    several_views = isinstance(views, Typed) and len(views.value) > 1
    types = {str(t) for t in (spec.channelformats or (spec.format,))}
    strange = ", ".join(sorted(types - set(_DTYPES)))
    size = f"{spec.width}×{spec.height}×{spec.depth} pixels, {spec.nchannels} channels"
    fits = 0 < spec.width * spec.height <= _MAXIMUM_PIXELS and spec.nchannels <= _MAXIMUM_CHANNELS
    bits = int(metadata.get("oiio:BitsPerSample", 0))
    is_dpx = kind == "dpx"
    checks = (
        (kind not in ("openexr", "dpx"), f"is a {kind} file; plates are OpenEXR or DPX"),
        (spec.deep, "is a deep image; flatten it first"),
        (source.seek_subimage(1, 0), f"has {parts} parts; write it as one part with all layers interleaved"),
        (several_views, "has several views (multiView); split it into one file per view"),
        (bool(strange), f"has channels of type {strange}"),
        (
            is_dpx and "Cb" in str(metadata.get("dpx:ImageDescriptor")),
            "is a DPX in Y'CbCr; convert it to RGB",
        ),
        (
            is_dpx and dpx.misread(metadata, bits, spec.nchannels, spec.width),
            "is a 10-bit DPX of a width whose lines OpenImageIO misreads at their end; write it packed, or as RGB",
        ),
        (not fits or spec.depth > 1, f"is {size}, which is more than we take"),
    )
    source.seek_subimage(0, 0)
    return next((why for bad, why in checks if bad), "")


def _unreadable(path: Path, number: int | None, why: str) -> UnderstudyError:
    return FrameUnreadable(f"{path}: {_frame(number)}{why}", path=path, frame=number)


def _frame(number: int | None) -> str:
    return "" if number is None else f"frame {number} "


def words(error: str) -> str:
    """OpenImageIO's error on one line."""
    return "; ".join(dict.fromkeys(error.split("\n"))).strip("; ") or "no reason given"
