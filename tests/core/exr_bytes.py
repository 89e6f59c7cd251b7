"""OpenEXR files written byte by byte (openexr.com, "OpenEXR File Layout"): what OpenImageIO would not make."""

from __future__ import annotations

import struct
from pathlib import Path

HALF = 1
DEEP = 0x800


def attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value


def strings(*texts: str) -> bytes:
    return b"".join(struct.pack("<i", len(t)) + t.encode() for t in texts)


def make(path: Path, *extra: bytes, channels=(("B", 1), ("G", 1), ("R", 1)), flags: int = 0) -> Path:
    """Black, 4×2, uncompressed; `channels` are names and how many pixels across and down one sample covers."""
    width, height = 4, 2
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    listed = b"".join(
        n.encode() + b"\0" + struct.pack("<iB3xii", HALF, 0, every, every) for n, every in channels
    )
    header = b"".join(
        [
            attribute("channels", "chlist", listed + b"\0"),
            attribute("compression", "compression", b"\0"),
            attribute("dataWindow", "box2i", window),
            attribute("displayWindow", "box2i", window),
            attribute("lineOrder", "lineOrder", b"\0"),
            attribute("pixelAspectRatio", "float", struct.pack("<f", 1)),
            attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
            attribute("screenWindowWidth", "float", struct.pack("<f", 1)),
            *extra,
            b"\0",
        ]
    )
    start = struct.pack("<ii", 20000630, 2 | flags) + header
    at, offsets, lines = len(start) + 8 * height, [], []
    for y in range(height):
        pixels = bytes(sum(2 * (width // every) for _, every in channels if y % every == 0))
        line = struct.pack("<ii", y, len(pixels)) + pixels
        offsets.append(at)
        lines.append(line)
        at += len(line)
    path.write_bytes(start + b"".join(struct.pack("<Q", o) for o in offsets) + b"".join(lines))
    return path
