"""How far the samples of a training stray. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.core import parameters
from understudy.core.parameters import choice, number

TRANSFERS = ("none", "rct", "lct", "mkl", "idt", "sot")
"""Of dst's colours onto src's samples (`train.transfer`)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far samples stray, field by field; each says of itself what it is.

    Extraction has aligned the faces, so a little is enough; DeepFaceLab's SAEHD turns by 10 degrees, zooms by 0.15
    and shifts by 0.05, and needs several times the iterations for it (docs/LOG.md). What moves and what is light is
    done to input and target alike, what spoils a picture to the input alone: the network learns to paint it whole.

    Raises:
        InvalidInput: names the field and the value.
    """

    rotation: float = number(3.0, 0, 180, "Samples turn by up to so many degrees either way")
    scale: float = number(0.04, 0, 1, "Samples are zoomed by 1 / (1 + this) to 1 + this")
    shift: float = number(0.015, 0, 0.5, "Samples move by up to this share of their side")
    flip_src: float = number(0.0, 0, 1, "Share of src's samples that are mirrored")
    flip_dst: float = number(0.0, 0, 1, "Share of dst's samples that are mirrored")
    warp: float = number(
        0.6, 0, 4, "Strength of the random warp of what the network sees; 1 is DeepFaceLab's"
    )
    exposure: float = number(0.06, 0, 1, "Gain of a sample, either way")
    tint: float = number(0.03, 0, 1, "Gain of each channel on its own, either way")
    gamma: float = number(0.0, 0, 1, "Gamma of a sample between 1 / (1 + this) and 1 + this")
    hue: float = number(0.0, 0, 180, "The input's hue turns by up to so many degrees either way")
    saturation: float = number(0.0, 0, 1, "The input's saturation moves by up to this either way")
    transfer: str = choice("none", TRANSFERS, "Colour transfer of a random dst sample onto src's")
    downscale: float = number(0.0, 0, 1, "Share of inputs that are shrunk, by 4 at most, and enlarged again")
    blur: float = number(0.0, 0, 1, "Share of inputs that are out of focus")
    motion: float = number(0.0, 0, 1, "Share of inputs that are blurred by motion")
    jpeg: float = number(0.0, 0, 1, "Share of inputs that are compressed as JPEG does")
    noise: float = number(0.0, 0, 1, "Share of inputs that have noise")
    shadow: float = number(0.0, 0, 1, "Share of inputs on which a soft shadow or a light falls")

    def __post_init__(self) -> None:
        parameters.check(self, "train")
