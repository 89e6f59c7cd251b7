# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a picture lies on its plate: Blender writes every EXR at (0, 0), a plate with overscan has two windows.

Only windows are changed, and the row's number that each chunk begins with; no pixel is touched. The layout is that of
OpenEXR's "File Layout" page, for a file of one part in scanlines, which is what Blender writes.
"""

from __future__ import annotations

import os
import struct

from .runner import Refused

_MAGIC = 20000630
_TILED_DEEP_PARTS = 0x200 | 0x800 | 0x1000
_ROWS = {
    0: 1,
    1: 1,
    2: 1,
    3: 16,
    4: 32,
    5: 16,
}  # of a chunk, by compression: none, RLE, ZIPS, ZIP, PIZ, PXR24
Window = tuple[int, int, int, int]  # x, y, width, height


def place(made: str, path: str, data: Window, display: Window) -> None:
    """Move a finished EXR to its name, its windows those of the plate.

    Args:
        made: as Blender wrote it, `data`'s width and height.

    Raises:
        Refused: not such a file.
        OSError: it cannot be read or written.
    """
    with open(made, "rb") as file:
        content = bytearray(file.read())
    magic, version = struct.unpack_from("<II", content)
    if magic != _MAGIC or version & _TILED_DEEP_PARTS:
        raise Refused(f"{made}: not an EXR of one part in scanlines")
    at, found = _attributes(content)
    left, top, right, bottom = struct.unpack_from("<4i", content, found["dataWindow"])
    if (right - left + 1, bottom - top + 1) != data[2:]:
        raise Refused(f"{made}: {right - left + 1}×{bottom - top + 1} pixels, {data[2]}×{data[3]} were to be")
    rows = _ROWS[content[found["compression"]]]
    for chunk in struct.unpack_from(f"<{-(-data[3] // rows)}Q", content, at):
        struct.pack_into("<i", content, chunk, struct.unpack_from("<i", content, chunk)[0] - top + data[1])
    for name, window in (("dataWindow", data), ("displayWindow", display)):
        struct.pack_into("<4i", content, found[name], *_corners(window))
    with open(made, "wb") as file:
        file.write(content)
    os.replace(made, path)


def _attributes(content: bytearray) -> tuple[int, dict[str, int]]:
    """Where the table of chunks begins, and where the value of each attribute does."""
    at, found = 8, {}
    while content[at]:
        end = content.index(0, at)
        name, at = content[at:end].decode("ascii"), content.index(0, end + 1) + 1
        (size,) = struct.unpack_from("<i", content, at)
        found[name] = at + 4
        at += 4 + size
    return at + 1, found


def _corners(window: Window) -> Window:
    x, y, width, height = window
    return x, y, x + width - 1, y + height - 1
