"""What a header says beside pixels and windows: its types, and which of it travels from file to file.

Keys are OpenEXR's own attribute names (`timeCode`, `framesPerSecond`, `owner`, …). An entry is a plain `str`, `int` or
`float` where the file has a string, a 32-bit integer or a 32-bit float, and `Typed` for everything else. What is
decoded from bytes encodes to the same bytes, always; that is also what `same` compares.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from understudy.core.errors import InvalidInput
from understudy.core.plate.exr import Raw


@dataclass(frozen=True)
class Typed:
    """A header entry of any other type.

    Attributes:
        type: as OpenEXR spells it: `timecode`, `rational`, `keycode`, `v2f`, `m44f`, `double`, `stringvector`, …
        value: its parts, flat: a matrix by rows, a box as its two corners. The bytes as they are, if the type is not
            one of OpenEXR's or these bytes are not the only ones for their value (a float's NaN with a payload).
    """

    type: str
    value: tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | bytes


COLOUR_KEY = "understudy/colour"
"""The name of the colour space the pixels are in, in the config that `understudy/config` names."""

STRUCTURE = frozenset(
    ["channels", "dataWindow", "displayWindow", "pixelAspectRatio", "name", "type", "chunkCount"]
)
"""Attributes that a `Frame` has fields for, or that follow from these: never among its metadata."""

_PLAIN = MappingProxyType({"int": "<i", "float": "<f"})
_FLAT = MappingProxyType(
    {
        "box2f": "<4f",
        "box2i": "<4i",
        "chromaticities": "<8f",
        "double": "<d",
        "envmap": "<B",
        "keycode": "<7i",
        "lineOrder": "<B",
        "m33d": "<9d",
        "m33f": "<9f",
        "m44d": "<16d",
        "m44f": "<16f",
        "rational": "<iI",
        "timecode": "<2I",
        "v2d": "<2d",
        "v2f": "<2f",
        "v2i": "<2i",
        "v3d": "<3d",
        "v3f": "<3f",
        "v3i": "<3i",
    }
)

# Not the picture's but the file's: how its pixels lay in it, and pictures and signatures of the old pixels
# (on copying lineOrder see gaffer PR 6696). `compression` is chosen anew by the writer.
_FILES_OWN_PREFIXES = ("openexr:", "c2pa", "jumbf")
_FILES_OWN = STRUCTURE | frozenset(
    """
    compression dwaCompressionLevel tiles lineOrder version preview maxSamplesPerPixel deepImageState textureformat
    nuke/full_layer_names dpx:header dpx:rest
    """.split()  # noqa: SIM905  a list of names with quotes around each reads worse
)


def decode(raw: Raw) -> Any:
    """The value of an attribute; `Typed` with its bytes where nothing else would encode to them again."""
    try:
        value = _decoded(raw)
        if encode(value) == raw:
            return value
    except (struct.error, InvalidInput):
        pass  # of a size that its type cannot have: its bytes are all there is to keep
    return Typed(raw.type, raw.data)


def _decoded(raw: Raw) -> Any:
    kind, data = raw
    if kind == "string":
        return data.decode("utf-8", "surrogateescape")
    if kind in _PLAIN:
        return struct.unpack(_PLAIN[kind], data)[0]
    if kind in _FLAT:
        return Typed(kind, struct.unpack(_FLAT[kind], data))
    if kind == "floatvector":
        return Typed(kind, struct.unpack(f"<{len(data) // 4}f", data))
    if kind == "stringvector":
        return Typed(kind, tuple(_strings(data)))
    return Typed(kind, data)


def _strings(data: bytes) -> list[str]:
    texts, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<i", data, at)
        if not 0 <= length <= len(data) - at - 4:
            raise struct.error(f"a text of {length} bytes")
        texts.append(data[at + 4 : at + 4 + length].decode("utf-8", "surrogateescape"))
        at += 4 + length
    return texts


def encode(value: object) -> Raw:
    """The attribute that holds a value.

    Raises:
        InvalidInput: OpenEXR has no attribute for it: an integer beyond 32 bits, a type without bytes that is not one
            of its own, a wrong number of parts.
    """
    try:
        return _encoded(value)
    except (struct.error, OverflowError, AttributeError, TypeError) as error:
        raise InvalidInput(f"metadata: {value!r} is no OpenEXR attribute: {error}", value=value) from error


def _encoded(value: object) -> Raw:
    if isinstance(value, str):
        return Raw("string", _bytes(value))
    if isinstance(value, int | float):
        kind = "int" if isinstance(value, int) else "float"
        return Raw(kind, struct.pack(_PLAIN[kind], value))
    if not isinstance(value, Typed):
        raise TypeError(f"it is {type(value).__name__}")
    return Raw(value.type, value.value if isinstance(value.value, bytes) else _flat(value.type, value.value))


def _flat(kind: str, parts: tuple[Any, ...]) -> bytes:
    if kind == "stringvector":
        texts = [_bytes(text) for text in parts]
        return b"".join(struct.pack("<i", len(text)) + text for text in texts)
    if kind == "floatvector":
        return struct.pack(f"<{len(parts)}f", *parts)
    if kind not in _FLAT:
        raise TypeError(f"{kind} is not a type that we know the bytes of")
    return struct.pack(_FLAT[kind], *parts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def carried(metadata: Mapping[str, Any], channels: Collection[str]) -> dict[str, Any]:
    """The entries that go on into a new EXR with these channels, whatever their type.

    Left behind: what describes the old file's layout; a preview and signatures of the old pixels; a cryptomatte's
    manifest when its channels are gone. A DPX's own fields go along as `dpx/…`, the name that Nuke gives them.
    """
    return {
        f"dpx/{name[4:]}" if name.startswith("dpx:") else name: value
        for name, value in metadata.items()
        if name not in _FILES_OWN
        and not name.lower().startswith(_FILES_OWN_PREFIXES)
        and _cryptomatte_lives(name, metadata, channels)
    }


def _cryptomatte_lives(name: str, metadata: Mapping[str, Any], channels: Collection[str]) -> bool:
    parts = name.split("/")
    if parts[0] != "cryptomatte" or len(parts) < 3:
        return True
    layer = metadata.get(f"cryptomatte/{parts[1]}/name")
    return isinstance(layer, str) and any(channel.startswith(layer) for channel in channels)


def same(asked: object, found: object) -> bool:
    """Does a file hold what we asked it to? They are the same when their bytes and their type are."""
    return found is not None and encode(asked) == encode(found)
