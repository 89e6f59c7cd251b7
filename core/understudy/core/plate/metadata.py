"""What a header says beside pixels and windows: which of it travels from file to file, and as what type.

A header entry is a plain `str`, `int` or `float` where the file has a string, a 32-bit integer or a 32-bit
float, and `Typed` for everything else, because a timecode given as a string is dropped without a word by
OpenImageIO.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does


@dataclass(frozen=True)
class Typed:
    """A header entry of any other type.

    Attributes:
        type: as OpenImageIO spells it: `timecode`, `rational`, `keycode`, `float[8]`, `matrix`, `string[2]`, …
        value: its parts, flat.
    """

    type: str
    value: tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


COLOUR_KEY = "understudy/colour"
"""The name of the colour space the pixels are in, in the config that `understudy/config` names."""

# Not the picture's but the file's: they describe how the old file was laid out, and corrupt or contradict a
# new one (gaffer PR 6696 on openexr:lineOrder), or OpenImageIO derives them from entries that we keep.
_FILES_OWN_PREFIXES = ("openexr:", "oiio:", "tiff:", "c2pa", "jumbf")
_FILES_OWN = frozenset(
    """
    compression tiles channels chunkCount dataWindow displayWindow lineOrder type version name view multiView
    preview nuke/full_layer_names pixelAspectRatio PixelAspectRatio Orientation textureformat XResolution
    YResolution ResolutionUnit thumbnail_image thumbnail_width thumbnail_height thumbnail_nchannels
    """.split()  # noqa: SIM905  a list of 25 names with quotes around each reads worse
)
# OpenImageIO's OpenEXR writer drops entries of these types without a word, and wraps unsigned ones (tried with 3.2.2)
_UNWRITABLE = (oiio.UNKNOWN, oiio.DOUBLE, oiio.INT8, oiio.INT16, oiio.INT64)
_WHOLE_VECTOR = re.compile(r"vector(2?)i(?:\[(\d+)\])?")


def _type(text: str) -> Any:
    """OpenImageIO's type of a name. It does not know all of its own: no vectors of whole numbers or doubles."""
    whole = _WHOLE_VECTOR.fullmatch(text)
    if whole is None:
        return oiio.TypeDesc(text)
    return oiio.TypeDesc(oiio.INT, oiio.VEC2 if whole[1] else oiio.VEC3, oiio.VECTOR, int(whole[2] or 0))


def from_spec(spec: Any) -> dict[str, Any]:
    """All extra entries of an OpenImageIO spec."""
    return {p.name: _plain(p.type, p.value) for p in spec.extra_attribs}


def _plain(kind: Any, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = tuple(value.ravel().tolist())
    if kind == oiio.TypeUInt and 0 <= value < 2**31:
        return int(value)
    if kind in (oiio.TypeString, oiio.TypeInt, oiio.TypeFloat):
        return value
    return Typed(str(kind), value if isinstance(value, tuple) else (value,))


def carried(metadata: Mapping[str, Any], channels: Collection[str]) -> dict[str, Any]:
    """The entries that go on into a new EXR with these channels.

    Left behind: what describes the old file's layout; a cryptomatte's manifest when its channels are gone;
    entries of unsigned, 64-bit or opaque types, which OpenImageIO's EXR writer cannot hold. A DPX's own fields, which
    it would drop as another format's, go along as `dpx/…`, the name that Nuke gives them.
    """
    return {
        f"dpx/{name[4:]}" if name.startswith("dpx:") else name: value
        for name, value in metadata.items()
        if name not in _FILES_OWN
        and not name.lower().startswith(_FILES_OWN_PREFIXES)
        and _cryptomatte_lives(name, metadata, channels)
        and _has_type(value)
    }


def _has_type(value: object) -> bool:
    """Can OpenEXR, through OpenImageIO, hold the entry?"""
    return not isinstance(value, Typed) or (
        not value.type.startswith("uint") and _type(value.type).basetype not in _UNWRITABLE
    )


def _cryptomatte_lives(name: str, metadata: Mapping[str, Any], channels: Collection[str]) -> bool:
    parts = name.split("/")
    if parts[0] != "cryptomatte" or len(parts) < 3:
        return True
    layer = metadata.get(f"cryptomatte/{parts[1]}/name")
    return isinstance(layer, str) and any(channel.startswith(layer) for channel in channels)


def to_spec(metadata: Mapping[str, Any], spec: Any) -> None:
    """Put entries into an OpenImageIO spec with their types."""
    for name, value in metadata.items():
        if isinstance(value, Typed):
            single = len(value.value) == 1 and "[" not in value.type
            spec.attribute(name, _type(value.type), value.value[0] if single else value.value)
        else:
            spec.attribute(name, value)


def same(asked: object, found: object) -> bool:
    """Does a file hold what we asked it to? Floats count as 32 bits; `float[2]` and `float2` are one type."""
    if isinstance(asked, Typed) and isinstance(found, Typed):
        a, b = _type(asked.type), _type(found.type)
        meaning = {a.vecsemantics, b.vecsemantics} - {oiio.NOSEMANTICS, oiio.VECTOR}
        alike = a.basetype == b.basetype and len(meaning) <= 1 and len(asked.value) == len(found.value)
        return alike and all(map(same, asked.value, found.value))
    if isinstance(asked, float) and isinstance(found, float):
        return np.float32(asked).tobytes() == np.float32(found).tobytes()
    return type(asked) is type(found) and asked == found
