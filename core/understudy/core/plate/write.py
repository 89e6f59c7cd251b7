"""Frames onto the disk: in the planes' own types, lossless, all or nothing, and looked at again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from understudy.core.errors import FrameUnreadable, InvalidInput, UnderstudyError, WriteFailed
from understudy.core.files import replacing
from understudy.core.frames import Array, Frame
from understudy.core.plate import dpx
from understudy.core.plate.metadata import carried, same, to_spec
from understudy.core.plate.read import read_rows, words
from understudy.core.plate.timing import RATE_KEY, rate, rate_entry

LOSSLESS = ("zips", "zip", "piz", "rle", "none")
"""Codecs that keep every bit of every type and that the hosts read. Not pxr24, which rounds float32; not
HTJ2K and ZSTD, which Nuke's reader does not know."""

_EXR_TYPES = {np.dtype(np.float16): "half", np.dtype(np.float32): "float", np.dtype(np.uint32): "uint"}


def write(frame: Frame, path: Path, *, compression: str | None = None) -> None:
    """Write a frame as OpenEXR or DPX, by the path's extension.

    Planes keep their type; channels, windows, pixel aspect and header entries are the frame's. An OpenEXR is
    one scanline part. The file appears under its name only when it is complete, on the disk and has been
    opened again.

    Args:
        frame: what to write; planes all of the data window's size. Header entries as `metadata.carried` says.
        path: `.exr` or `.dpx`.
        compression: one of `LOSSLESS`; default: the codec that `frame.metadata` names if lossless, else `zips`.

    Raises:
        InvalidInput: a codec that is not lossless, planes the format cannot hold.
        DiskFull, WriteFailed: naming the file and the frame.
    """
    try:
        shape = (frame.data.height, frame.data.width)
        for name, plane in frame.planes.items():
            assert plane.shape == shape, f"channel {name} is {plane.shape}, the data window {shape}"
        if path.suffix.lower() == ".exr":
            _write_exr(frame, path, compression)
        elif path.suffix.lower() == ".dpx":
            _write_dpx(frame, path)
        else:
            raise InvalidInput(f"{path}: plates are written as .exr or .dpx", field="path", value=path)
    except UnderstudyError as error:
        error.frame = frame.number
        raise


def _write_exr(frame: Frame, path: Path, compression: str | None) -> None:
    spec = _spec(frame)
    for name, plane in frame.planes.items():
        if plane.dtype not in _EXR_TYPES:
            raise _refusal(path, name, f"is {plane.dtype}; OpenEXR holds float16, float32 and uint32")
    types = [oiio.TypeDesc(_EXR_TYPES[plane.dtype]) for plane in frame.planes.values()]
    spec.set_format(types[0])
    if len(set(map(str, types))) > 1:  # given the same type for all, OpenImageIO takes half instead
        spec.channelformats = tuple(types)
    spec.attribute("compression", _codec(frame, path, compression))
    spec.attribute("PixelAspectRatio", float(frame.pixel_aspect))
    kept = carried(frame.metadata, frame.planes)
    per_second = rate(frame.metadata)
    if per_second is not None:  # a DPX plate's float rates; where it was rational it stays what it was
        kept.setdefault(RATE_KEY, rate_entry(per_second))
    # without this OpenImageIO stamps the hour of writing as the hour of shooting, and no two runs agree
    to_spec({"DateTime": "", **kept}, spec)
    with replacing(path) as beside:
        _save(spec, _interleave(frame.planes, path), beside, path)
        _look_again(frame, kept, beside, path, row=frame.data.height - 1)


def _write_dpx(frame: Frame, path: Path) -> None:
    pixels = dpx.pixels(frame, path)
    spec = _spec(frame)
    spec.set_format(oiio.TypeDesc("uint8" if pixels.dtype == np.uint8 else "uint16"))
    spec.attribute("PixelAspectRatio", float(frame.pixel_aspect))
    kept = dpx.carried(frame)
    to_spec(kept, spec)
    with replacing(path) as beside:
        _save(spec, pixels, beside, path)
        dpx.name(beside, path.name)
        _look_again(frame, dpx.comparable(kept), beside, path, row=None)


def _spec(frame: Frame) -> Any:
    spec = oiio.ImageSpec(frame.data.width, frame.data.height, len(frame.planes), "half")
    spec.channelnames = tuple(frame.planes)
    spec.x, spec.y = frame.data.x, frame.data.y
    spec.full_x, spec.full_y = frame.display.x, frame.display.y
    spec.full_width, spec.full_height = frame.display.width, frame.display.height
    return spec


def _codec(frame: Frame, path: Path, asked: str | None) -> str:
    """The codec to write; never one that OpenImageIO does not know, which it takes for `zip` silently."""
    if asked is not None and asked not in LOSSLESS:
        raise InvalidInput(
            f"{path}: compression {asked!r} is not one of {', '.join(LOSSLESS)}",
            path=path,
            field="compression",
            value=asked,
        )
    of_the_plate = str(frame.metadata.get("compression", "")).split(":")[0]
    return asked or (of_the_plate if of_the_plate in LOSSLESS else "zips")


def _interleave(planes: Mapping[str, Array], path: Path) -> Array:
    """(H, W, C) in a type from which OpenImageIO gets every plane back exactly.

    That is the planes' own type if they share one. float32 holds every half, and its conversion keeps NaN
    payloads (tried on all 65536). No type that OpenImageIO takes holds uint32 beside floats.
    """
    kinds = {plane.dtype for plane in planes.values()}
    if np.dtype(np.uint32) in kinds and len(kinds) > 1:
        name = next(n for n, plane in planes.items() if plane.dtype == np.uint32)
        raise _refusal(path, name, "is uint32 beside floats, which cannot be written exactly; leave it out")
    return np.stack(list(planes.values()), axis=-1, dtype=kinds.pop() if len(kinds) == 1 else np.float32)


def _refusal(path: Path, channel: str, why: str) -> InvalidInput:
    return InvalidInput(f"{path}: channel {channel} {why}", path=path, field="channels", value=channel)


def _save(spec: Any, pixels: Array, beside: Path, path: Path) -> None:
    """Hand the pixels to OpenImageIO. Every return counts: on a full disk `close` says True."""
    out = oiio.ImageOutput.create(str(beside))
    if out is None:
        raise WriteFailed(f"{path}: {words(oiio.geterror())}", path=path)
    good = out.open(str(beside), spec) and out.write_image(pixels)
    trouble = out.geterror()
    if not (out.close() and good):
        _blame_system(beside, pixels.nbytes)
        raise WriteFailed(f"{path}: could not be written: {words(trouble or out.geterror())}", path=path)


def _blame_system(beside: Path, size: int) -> None:
    """Raise the OSError that OpenImageIO has met, if it is one, for its words do not tell: try it ourselves."""
    with beside.open("ab") as file:
        file.write(bytes(min(size, 2**20)))
        file.flush()
        os.fsync(file.fileno())


def _look_again(frame: Frame, kept: Mapping[str, Any], beside: Path, path: Path, row: int | None) -> None:
    """Open the new file and compare what may have been lost in silence: entries, geometry, types, and pixels.

    Of an OpenEXR the last row of pixels (`row`), which is the last to be written: reading all would take half as long
    again. Of a DPX all (None): it is fast, and its packings are many.
    """
    try:
        again = read_rows(beside, row)
    except FrameUnreadable as error:
        _blame_system(beside, 2**20)
        raise WriteFailed(f"{path}: written, but {error.message}", path=path) from error
    for name, value in kept.items():
        found = again.metadata.get(name)
        if not same(value, found):
            message = f"{path}: header entry {name} = {value!r} came back as {found!r}"
            raise WriteFailed(message, path=path, field=name, value=value)
    if _geometry(again) != _geometry(frame):
        raise WriteFailed(f"{path}: {_geometry(frame)} came back as {_geometry(again)}", path=path)
    for name, plane in frame.planes.items():
        asked = plane if row is None else plane[row : row + 1]
        if asked.tobytes() != again.planes[name].tobytes():
            raise WriteFailed(f"{path}: channel {name} came back with other values", path=path, field=name)


def _geometry(frame: Frame) -> tuple[object, ...]:
    return (
        frame.data,
        frame.display,
        float(np.float32(frame.pixel_aspect)),
        frame.maximum,
        sorted(frame.planes),
    )
