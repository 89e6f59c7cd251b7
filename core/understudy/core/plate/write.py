"""Frames onto the disk: in the planes' own types, lossless, all or nothing, and looked at again.

OpenEXR files are made by the OpenEXR library out of planes as they are, any mix of types, in any number of parts. It
gets none of the header entries, for it would change some and drop others: it leaves room for them, and their
bytes are put there before the file gets its name. What it wrote is read back by OpenImageIO.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from understudy.core.errors import InvalidInput, UnderstudyError, WriteFailed
from understudy.core.files import replacing
from understudy.core.frames import Array, Frame
from understudy.core.pipeline import cores
from understudy.core.plate import chunks, dpx, exr
from understudy.core.plate.header import LOSSLESS
from understudy.core.plate.metadata import carried, encode
from understudy.core.plate.read import decoders
from understudy.core.plate.timing import RATE_KEY, rate, rate_entry

_EXR_TYPES = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.uint32))
_CODECS = {
    "none": OpenEXR.NO_COMPRESSION,
    "rle": OpenEXR.RLE_COMPRESSION,
    "zips": OpenEXR.ZIPS_COMPRESSION,
    "zip": OpenEXR.ZIP_COMPRESSION,
    "piz": OpenEXR.PIZ_COMPRESSION,
}
_SMALLEST = exr.composed("p", exr.Raw("x", b""))  # an entry that holds nothing

Attributes = Mapping[str, exr.Raw]


def write(frame: Frame, path: Path, *, compression: str | None = None, threads: int | None = None) -> None:
    """Write a frame as OpenEXR or DPX, by the path's extension.

    Planes keep their type; channels, parts, windows, pixel aspect and header entries are the frame's. Parts of an
    OpenEXR are made of scan lines. The file appears under its name only when it is complete, on the disk and has been
    opened again: every byte of its header and the place of every chunk are compared, and its first, middle
    and last line decoded.

    Args:
        frame: what to write; planes all of their part's data window in size. Header entries: see `metadata.carried`.
        path: `.exr` or `.dpx`.
        compression: one of `LOSSLESS`; default: the codec that each part's metadata names if lossless, else `zips`.
        threads: that compress; default: one for each core that the process may use.

    Raises:
        InvalidInput: a codec that is not lossless, planes or header entries that the format cannot hold.
        DiskFull, WriteFailed: naming the file and the frame.
    """
    try:
        if path.suffix.lower() == ".exr":
            _write_exr(frame, path, compression, threads or cores())
        elif path.suffix.lower() == ".dpx":
            with replacing(path) as beside:
                dpx.write(frame, beside, path)
        else:
            raise InvalidInput(f"{path}: plates are written as .exr or .dpx", field="path", value=path)
    except UnderstudyError as error:
        error.frame = frame.number
        raise


def _write_exr(frame: Frame, path: Path, compression: str | None, threads: int) -> None:
    parts = _named((replace(frame, others=()), *frame.others), path)
    for part in parts:
        _check_planes(part, path)
        _check_shared(part, parts[0], path)
    present = {name for part in parts for name in (part.name, *part.planes) if name}
    codecs = [_codec(part, path, compression) for part in parts]
    several = len(parts) > 1
    required = [_required(part, codec, several=several) for part, codec in zip(parts, codecs, strict=True)]
    headers = [
        {**own, **_entries(part, present, own, path)} for own, part in zip(required, parts, strict=True)
    ]
    header = exr.compose(headers)
    made = _made(parts, codecs, len(header) - len(exr.compose(required)))
    with replacing(path) as beside:
        _save(made, beside, path, threads)
        _put_header(header, beside, path)
        _look_again(parts, headers, beside, path)


def _named(parts: Sequence[Frame], path: Path) -> list[Frame]:
    """The parts with names, which they have to have and which must differ where there are several."""
    if len(parts) == 1:
        return list(parts)
    named = [replace(part, name=part.name or f"part{index}") for index, part in enumerate(parts)]
    names = [part.name for part in named]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{path}: two parts are called {name!r}", path=path, field="name", value=name)
    return named


def _check_planes(part: Frame, path: Path) -> None:
    shape = (part.data.height, part.data.width)
    for name in (part.name, *part.planes):
        if not name.isascii() and name != name.encode("utf-8", "ignore").decode():
            raise InvalidInput(
                f"{path}: {name!r} is not UTF-8, and OpenEXR writes no such name",
                path=path,
                field="channels",
                value=name,
            )
    for name, plane in part.planes.items():
        assert plane.shape == shape, f"channel {name} is {plane.shape}, the data window {shape}"
        why = "" if exr.is_name(name) else "has no name that OpenEXR takes"
        if plane.dtype not in _EXR_TYPES:
            why = f"is {plane.dtype}; OpenEXR holds float16, float32 and uint32"
        if why:
            raise InvalidInput(f"{path}: channel {name} {why}", path=path, field="channels", value=name)


def _check_shared(part: Frame, first: Frame, path: Path) -> None:
    """OpenEXR has one format and one pixel aspect for all parts of a file."""
    for field in ("display", "pixel_aspect"):
        own, firsts = getattr(part, field), getattr(first, field)
        if own != firsts:
            message = f"{path}: {field}: part {part.name!r} has {own}, the first has {firsts}"
            raise InvalidInput(message, path=path, field=field, value=own)


def _codec(part: Frame, path: Path, asked: str | None) -> str:
    if asked is not None and asked not in LOSSLESS:
        raise InvalidInput(
            f"{path}: compression {asked!r} is not one of {', '.join(LOSSLESS)}",
            path=path,
            field="compression",
            value=asked,
        )
    of_the_plate = part.metadata.get("compression")
    return asked or (of_the_plate if of_the_plate in LOSSLESS else "zips")


def _required(part: Frame, codec: str, *, several: bool) -> dict[str, exr.Raw]:
    """The attributes that every part has, and that the library writes itself: of these sizes, if not these values."""
    number, lines = exr.CODECS[codec]
    of_several = {"chunkCount": encode(-(-part.data.height // lines)), "name": encode(part.name)}
    return {
        "channels": exr.channel_list({name: plane.dtype for name, plane in part.planes.items()}),
        "compression": exr.Raw("compression", bytes([number])),
        "dataWindow": exr.box(part.data),
        "displayWindow": exr.box(part.display),
        "lineOrder": exr.Raw("lineOrder", b"\0"),
        "pixelAspectRatio": encode(float(part.pixel_aspect)),
        "screenWindowCenter": exr.Raw("v2f", bytes(8)),
        "screenWindowWidth": encode(1.0),
        "type": encode("scanlineimage"),
        **(of_several if several else {}),
    }


def _entries(part: Frame, present: set[str], required: Attributes, path: Path) -> dict[str, exr.Raw]:
    """The attributes that a frame brings; of those that are required, only of the type that they must have."""
    per_second = rate(part.metadata)
    entries = carried(part.metadata, present)
    if per_second is not None:  # a DPX plate's float rates; where it was rational it stays what it was
        entries.setdefault(RATE_KEY, rate_entry(per_second))
    if part.name:
        entries["name"] = part.name
    return {name: _entry(name, value, required.get(name), path) for name, value in entries.items()}


def _entry(name: str, value: object, usual: exr.Raw | None, path: Path) -> exr.Raw:
    try:
        raw = encode(value)
        if usual is not None and (raw.type, len(raw.data)) != (usual.type, len(usual.data)):
            raise InvalidInput(f"metadata: {value!r} is not of type {usual.type}")
        for text in (name, raw.type):
            if not exr.is_name(text):
                raise InvalidInput(f"metadata: {text!r} is no name")
    except InvalidInput as error:
        message = f"{path}: header entry {name}: {error.message}"
        raise InvalidInput(message, path=path, field=name, value=value) from error
    return raw


def _made(parts: Sequence[Frame], codecs: Sequence[str], room: int) -> list[OpenEXR.Part]:
    """The parts as the library wants them, with `room` bytes in the headers beyond what is required."""
    made: list[OpenEXR.Part] = []
    for part, codec in zip(parts, codecs, strict=True):
        known: dict[str, Any] = {
            "type": OpenEXR.scanlineimage,
            "compression": _CODECS[codec],
            "dataWindow": ((part.data.x, part.data.y), (part.data.x1 - 1, part.data.y1 - 1)),
            # the library wants one for all parts, and takes the data window where it is given none
            "displayWindow": ((0, 0), (0, 0)),
        }
        if room and not made:
            known["p"] = OpenEXR.OpaqueAttribute(bytes(room - len(_SMALLEST)), "x")
        planes = {name: np.ascontiguousarray(plane) for name, plane in part.planes.items()}
        made.append(OpenEXR.Part(known, planes, part.name if len(parts) > 1 else ""))
    return made


def _save(made: list[OpenEXR.Part], beside: Path, path: Path, threads: int) -> None:
    if OpenEXR.global_thread_count() < threads > 1:
        # the workers that all files share: there are none until somebody asks; a file takes no more than it may
        OpenEXR.set_global_thread_count(threads)
    try:
        OpenEXR.File(made, threads if threads > 1 else 0).write(str(beside))
    except (RuntimeError, ValueError, TypeError) as error:  # the last for a name that is not Unicode
        _blame_system(beside, 2**20)
        raise WriteFailed(f"{path}: could not be written: {error}", path=path) from error


def _blame_system(beside: Path, size: int) -> None:
    """Raise the OSError that the library has met, if it is one, for its words do not tell: try it ourselves."""
    with beside.open("ab") as file:
        file.write(bytes(min(size, 2**20)))
        file.flush()
        os.fsync(file.fileno())


def _put_header(header: bytes, beside: Path, path: Path) -> None:
    with beside.open("rb+") as file:
        try:
            end = exr.parse(file).end
        except exr.Broken as broken:
            _blame_system(beside, 2**20)
            raise WriteFailed(f"{path}: written, but {broken}", path=path) from broken
        if end != len(header):
            raise WriteFailed(f"{path}: OpenEXR left {end} bytes for a header of {len(header)}", path=path)
        file.seek(0)
        file.write(header)


def _look_again(parts: Sequence[Frame], headers: Sequence[Attributes], beside: Path, path: Path) -> None:
    """Read the new file as if it were another's: all its header, the place of all its pixels, some of these.

    Of each part the first, the middle and the last line; to decode all would take as long again as to compress them.
    """
    try:
        with beside.open("rb", buffering=0) as file:
            layout = exr.parse(file)
            chunks.check(file.fileno(), layout)
        for asked, found in zip(headers, layout.parts, strict=True):
            _compare_entries(asked, found.attributes, path)
        with decoders(beside, layout) as decoded:
            for part, decoder in zip(parts, decoded, strict=True):
                for row in {0, part.data.height // 2, part.data.height - 1}:
                    _compare_row(part, row, decoder.planes(slice(row, row + 1)), path)
    except exr.Broken as broken:
        _blame_system(beside, 2**20)
        raise WriteFailed(f"{path}: written, but {broken}", path=path) from broken


def _compare_entries(asked: Attributes, found: Attributes, path: Path) -> None:
    for name in {**asked, **found}:
        if asked.get(name) != found.get(name):
            message = f"{path}: header entry {name} = {asked.get(name)} came back as {found.get(name)}"
            raise WriteFailed(message, path=path, field=name, value=asked.get(name))


def _compare_row(part: Frame, row: int, found: Mapping[str, Array], path: Path) -> None:
    for name, plane in part.planes.items():
        if plane[row].tobytes() != found[name].tobytes():
            message = f"{path}: channel {name} came back with other values in row {row}"
            raise WriteFailed(message, path=path, field=name)
