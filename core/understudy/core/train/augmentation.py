"""How far the samples of a training stray. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far samples stray. Extraction has aligned the faces, so a little is enough; DeepFaceLab's SAEHD turns by
    10 degrees, zooms by 0.15 and shifts by 0.05, and needs several times the iterations for it (docs/LOG.md).

    Attributes:
        rotation: degrees either way.
        scale: a zoom between 1 / (1 + scale) and 1 + scale.
        shift: of the crop's side, either way.
        flip: probability of a mirror image, input and target alike.
        warp: strength of the input's warp; 1 is DeepFaceLab's, 0 none.
        exposure: gain of input and target alike, as a share of the code value either way.
        tint: the same for each channel on its own.
    """

    rotation: float = 3.0
    scale: float = 0.04
    shift: float = 0.015
    flip: float = 0.0
    warp: float = 0.6
    exposure: float = 0.06
    tint: float = 0.03
