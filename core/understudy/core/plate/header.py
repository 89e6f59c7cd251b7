"""A frame without its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.core.frames import Window


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says before its pixels; the attributes are those of `Frame`.

    Attributes:
        channels: name → stored type, R, G, B and A first, then in the file's order; DPX codes count as uint8 or
            uint16.
        format: `openexr` or `dpx`.
        compression: the codec as OpenEXR calls it (`zips`, `dwaa`, …); `none` for DPX.
        tiles: side lengths of the tiles of a tiled part, else None.
    """

    channels: Mapping[str, np.dtype[Any]]
    display: Window
    data: Window
    format: str
    pixel_aspect: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    maximum: float = 1.0
    name: str = ""
    others: tuple[Header, ...] = ()
    compression: str = "none"
    tiles: tuple[int, int] | None = None

    @property
    def lossy(self) -> bool:
        """Whether the codec has altered pixels when the file was written: PXR24 spares half and uint."""
        halves = all(kind != np.float32 for kind in self.channels.values())
        return self.compression not in (*LOSSLESS, "htj2k", "htj2k32", "htj2k256", "zstd") and not (
            self.compression == "pxr24" and halves
        )


LOSSLESS = ("zips", "zip", "piz", "rle", "none")
"""Codecs that keep every bit of every type and that the hosts read. Not pxr24, which rounds float32; not
HTJ2K and ZSTD, which Nuke's reader does not know."""
