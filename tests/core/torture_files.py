"""Headers of image files as bytes, by nothing of ours: what the torture tests hold the merge's output against."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

CODECS = ("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab")
LAYOUT = frozenset({"channels", "compression", "lineOrder", "type", "tiles", "chunkCount", "version"})
"""Attributes that say how the file itself is laid out; a new file has its own."""


@dataclass(frozen=True)
class PartHeader:
    """Attributes as (type, bytes) by name; channels as type numbers by name."""

    attributes: dict[str, tuple[str, bytes]]
    channels: dict[str, int]

    @property
    def name(self) -> str:
        return self.attributes.get("name", ("", b""))[1].decode()

    @property
    def codec(self) -> str:
        return CODECS[self.attributes["compression"][1][0]]

    def kept(self) -> dict[str, tuple[str, bytes]]:
        """All but what says how the file is laid out."""
        return {name: value for name, value in self.attributes.items() if name not in LAYOUT}


def exr_parts(path: Path) -> list[PartHeader]:
    """The headers of an OpenEXR ("File Layout"), part by part."""
    stored = path.read_bytes()
    magic, flags = struct.unpack_from("<ii", stored)
    assert magic == 20000630, path
    at = 8
    parts: list[PartHeader] = []
    while not parts or (flags & 0x1000 and stored[at] != 0):
        attributes = {}
        while stored[at] != 0:
            name, at = _word(stored, at)
            kind, at = _word(stored, at)
            (size,) = struct.unpack_from("<i", stored, at)
            attributes[name] = (kind, stored[at + 4 : at + 4 + size])
            at += 4 + size
        at += 1
        parts.append(PartHeader(attributes, _channels(attributes["channels"][1])))
    return parts


def _word(stored: bytes, at: int) -> tuple[str, int]:
    end = stored.index(b"\0", at)
    return stored[at:end].decode(), end + 1


def _channels(listed: bytes) -> dict[str, int]:
    found, at = {}, 0
    while listed[at] != 0:
        name, at = _word(listed, at)
        found[name] = struct.unpack_from("<i", listed, at)[0]
        at += 16
    return found


def dpx_head(path: Path) -> bytes:
    """Everything before the picture: header, user data and whatever lies between."""
    stored = path.read_bytes()
    order = ">" if stored[:4] == b"SDPX" else "<"
    return stored[: struct.unpack_from(f"{order}I", stored, 4)[0]]
