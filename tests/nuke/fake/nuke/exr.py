"""As much of an EXR file's header as a Read's format needs. Source: OpenEXR, "OpenEXR File Layout"."""

from __future__ import annotations

import struct
from typing import Optional, Tuple

MAGIC = b"\x76\x2f\x31\x01"


def display_size(pattern: str, frame: int) -> Optional[Tuple[int, int]]:
    """Width and height of the display window of one frame; None where there is no such file."""
    try:
        with open(pattern % frame if "%" in pattern else pattern, "rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return None
    assert head[:4] == MAGIC, f"{pattern} is no EXR"
    at = 8
    while head[at]:
        name, at = _text(head, at)
        _, at = _text(head, at)
        (size,) = struct.unpack_from("<i", head, at)
        if name == "displayWindow":
            x0, y0, x1, y1 = struct.unpack_from("<4i", head, at + 4)
            return x1 - x0 + 1, y1 - y0 + 1
        at += 4 + size
    return None


def _text(head: bytes, at: int) -> Tuple[str, int]:
    end = head.index(b"\0", at)
    return head[at:end].decode("ascii"), end + 1
