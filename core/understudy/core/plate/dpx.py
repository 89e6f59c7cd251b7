"""What is peculiar to DPX (SMPTE ST 268): code values of 8 to 16 bits, and a header of fixed fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array, Frame
from understudy.core.plate.timing import rate

_DEPTHS = (8, 10, 12, 16)
_FIELDS = frozenset(
    ["Software", "DocumentName", "DateTime", "Copyright", "smpte:TimeCode", "smpte:KeyCode", "Orientation"]
)
# OpenImageIO makes these from other fields, or writes its own whatever it is told
_DERIVED = frozenset(
    """
    dpx:TimeCode dpx:UserBits dpx:FilmEdgeCode dpx:Version dpx:RawColor dpx:UserData dpx:Signal dpx:DittoKey
    dpx:EndOfLinePadding dpx:EndOfImagePadding dpx:ImageDescriptor
    """.split()  # noqa: SIM905  as in metadata.py
)


def pixels(frame: Frame, path: Path) -> Array:
    """(H, W, C) uint8 or uint16 with the codes' bits replicated downwards.

    OpenImageIO truncates where it should round when it makes 10 or 12 bits of a float, so codes are never
    handed over as floats; replicated to 16 bits they come out as they went in.

    Raises:
        InvalidInput: planes that DPX cannot hold.
    """

    def refuse(why: str, value: object) -> InvalidInput:
        return InvalidInput(f"{path}: {why}", path=path, field="channels", value=value)

    depth = int(frame.maximum).bit_length()
    if depth not in _DEPTHS or frame.maximum != 2**depth - 1:
        raise refuse(
            f"DPX holds codes of 8, 10, 12 or 16 bits, not planes with 1.0 at {frame.maximum:g}",
            frame.maximum,
        )
    if tuple(frame.planes) not in (("R", "G", "B"), ("R", "G", "B", "A"), ("Y",)):
        raise refuse(f"DPX holds R, G, B and A, not {', '.join(frame.planes)}", ",".join(frame.planes))
    if frame.data != frame.display or (frame.data.x, frame.data.y) != (0, 0):
        raise refuse(
            f"DPX has one window at 0, 0; the frame has {frame.display} and {frame.data}", frame.data
        )
    codes = np.stack(list(frame.planes.values()), axis=-1)
    if codes.dtype.kind != "u" or codes.max(initial=0) > frame.maximum:
        raise refuse(f"{codes.dtype} planes are not codes from 0 to {frame.maximum:g}", codes.dtype)
    if depth == 8:
        return codes.astype(np.uint8)
    codes = codes.astype(np.uint16)
    return (codes << (16 - depth)) | (codes >> (2 * depth - 16))


def carried(frame: Frame) -> dict[str, Any]:
    """The header entries that DPX has a field for, with the depth; big-endian, as the format was meant.

    DPX has no field of its own for `framesPerSecond`: it goes to its two float rates. 12 bits and luma of 10 are
    written packed whatever the plate had: OpenImageIO knows no other way. The codes are the same.
    """
    kept = {
        name: value
        for name, value in frame.metadata.items()
        if (name in _FIELDS or name.startswith("dpx:")) and name not in _DERIVED
    }
    per_second = rate(frame.metadata)
    if per_second is not None and "dpx:FrameRate" not in kept:
        kept["dpx:FrameRate"] = kept["dpx:TemporalFrameRate"] = float(per_second)
    if misread(kept, int(frame.maximum).bit_length(), len(frame.planes), frame.data.width):
        kept["dpx:Packing"] = "Packed"
    descriptor = {1: "Luma", 3: "RGB", 4: "RGBA"}[len(frame.planes)]
    depth = int(frame.maximum).bit_length()
    return {**kept, "oiio:BitsPerSample": depth, "oiio:Endian": "big", "dpx:ImageDescriptor": descriptor}


def comparable(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Of the entries written those that must come back as they are: all but the packing and OpenImageIO's hints."""
    return {
        name: value for name, value in kept.items() if not name.startswith("oiio:") and name != "dpx:Packing"
    }


def name(file: Path, text: str) -> None:
    """Put a file's name into its header, where OpenImageIO has put the name it was written under."""
    with file.open("rb+") as stream:
        stream.seek(36)  # ST 268, file information header: 100 characters
        stream.write(text.encode("ascii", "replace")[:99].ljust(100, b"\0"))


def misread(metadata: Mapping[str, Any], depth: int, channels: int, width: int) -> bool:
    """Is this one of the files in which OpenImageIO (3.2.2) reads the last value of each line wrong?

    That is 10 bits, three to a word, with one value left over at the end of a line. RGB has never one left over.
    """
    packed = str(metadata.get("dpx:Packing", "Filled")).startswith("Packed")
    return depth == 10 and not packed and width * channels % 3 == 1
