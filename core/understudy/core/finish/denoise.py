"""Noise taken out of a face where nothing but noise is: a local Wiener filter that knows how much noise there is.

Where the picture varies no more than its grain does, a pixel becomes the mean around it; where it varies more, as much
of the pixel stays as is no grain. After Lee, "Digital image enhancement and noise filtering by use of local
statistics", PAMI 1980; its two numbers per pixel are averaged once more, after He, Sun and Tang, "Guided image
filtering", PAMI 2013, so that no window's edge shows.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.finish import _checks
from understudy.core.finish.grain import Grain
from understudy.core.frames import Array, Float
from understudy.core.image import fill_nonfinite, luminance

_LEAST = 1e-30  # variance of a window in which nothing varies


def denoise(rgb: Float, grain: Grain, amount: float = 1.0, *, radius: int = 4) -> Float:
    """The picture (H, W, 3) without noise, each channel by itself, in scene-linear.

    A highlight varies more than any grain and stays as it is, whatever its value; the mean of the light stays.

    Args:
        rgb: scene-linear in the working space.
        grain: what noise there is, as `measure.measure` finds it in the picture itself.
        amount: 0 to 10: how many times the grain's deviation counts as noise.
        radius: px, 1 to 50, of the window; several times the size of the grain.

    Raises:
        InvalidInput: a number out of its range.
    """
    _checks.within("denoise.amount", amount, 0.0, 10.0)
    _checks.within("denoise.radius", radius, 1, 50)
    if amount == 0.0:
        return rgb
    picture = fill_nonfinite(rgb)[0]
    light = picture.astype(np.float64)  # a variance is a small difference of large squares
    mean = _mean(light, radius)
    variance = np.maximum(_mean(light * light, radius) - mean * mean, 0.0)
    noise = (amount * grain.deviation(luminance(mean.astype(np.float32))).astype(np.float64)) ** 2
    kept = np.maximum(variance - noise, 0.0) / np.maximum(variance, _LEAST)
    made: Float = (_mean(kept, radius) * light + _mean((1.0 - kept) * mean, radius)).astype(np.float32)
    return made


def _mean(image: npt.NDArray[np.float64], radius: int) -> Array:
    side = 2 * radius + 1
    return cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE)
