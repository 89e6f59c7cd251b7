"""Small arithmetic on pixels that several rooms share. Arrays are plate or aligned pixels alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from understudy.core.errors import InvalidInput
from understudy.core.frames import Float
from understudy.core.half import narrowed

HALF_MAXIMUM = 65504.0
"""The largest finite float16."""

# Y of ACES AP1 (SMPTE ST 2065-1 / ACEScg, white ~D60): the row of its RGB→XYZ matrix
_AP1_LUMINANCE = np.array([0.27222871678091454, 0.6740817658111484, 0.05368951740793705], np.float32)

_BLOCK = 2**16  # values
_BLACK = 1e-4  # what a logarithm of luminance starts from: 11 stops below mid grey


def in_blocks(function: Callable[[Float], Float], values: npt.NDArray[Any]) -> Float:
    """A function of each value by itself, of an array of any shape, in float32: block by block, as long as a
    processor's cache, which takes half the time of many steps on a large picture.
    """
    flat = np.asarray(values, np.float32).reshape(-1)
    found = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        found[start : start + _BLOCK] = function(flat[start : start + _BLOCK])
    return found.reshape(np.shape(values))


def luminance(rgb: Float) -> Float:
    """(…, 3) scene-linear in AP1, the working space, → (…) relative luminance; may be negative or above 1."""
    weighted: Float = rgb @ _AP1_LUMINANCE
    return weighted


def fill_nonfinite(rgb: Float) -> tuple[Float, int]:
    """Put the nearest finite pixel in place of each pixel with a NaN or Inf in any channel.

    Networks and filters need this: one NaN under a kernel spreads, and some colour curves (ACEScct) turn it
    into an ordinary number that nobody finds again. What is written outside the matte is still the plate's
    own bits.

    Args:
        rgb: (H, W, C) float32.

    Returns:
        The filled picture (`rgb` itself if all was finite; zeros if nothing was), and how many pixels were
        bad.
    """
    if np.isfinite(rgb).all():  # nearly every frame; by pixel it takes twenty times as long
        return rgb, 0
    bad = ~np.isfinite(rgb).all(axis=-1)
    count = int(np.count_nonzero(bad))
    if count == bad.size:
        return np.zeros_like(rgb), count
    filled = rgb.copy()
    rows, columns = distance_transform_edt(bad, return_distances=False, return_indices=True)
    filled[bad] = rgb[rows[bad], columns[bad]]
    return filled, count


def half_ulp(x: npt.NDArray[Any] | float) -> Float:
    """One unit in the last place: from |x|, rounded to float16, to the next float16 away from zero."""
    magnitude = np.minimum(np.abs(np.asarray(x, np.float32)), np.float32(HALF_MAXIMUM - 32)).astype(
        np.float16
    )
    spacing: Float = np.spacing(magnitude).astype(np.float32)
    return spacing


def to_half(x: Float) -> npt.NDArray[np.float16]:
    """Round to float16; finite values beyond its range become ±65504, not infinity. NaN and Inf stay."""
    if (
        x.min(initial=0.0) >= -HALF_MAXIMUM and x.max(initial=0.0) <= HALF_MAXIMUM
    ):  # neither is where there is a NaN
        return narrowed(x)
    finite = np.isfinite(x)
    return np.where(finite, np.clip(x, -HALF_MAXIMUM, HALF_MAXIMUM), x).astype(np.float16)


def log_mean(rgb: Float, weight: Float | None = None) -> float:
    """Mean of the natural logarithm of luminance, from 1e-4 up: a picture's or, with a matte, a face's
    exposure.

    Args:
        rgb: (H, W, 3) finite, scene-linear in the working space.
        weight: (H, W) matte, 0 to 1; default: all pixels alike.

    Raises:
        InvalidInput: the matte is empty.
    """
    logs = np.log(np.maximum(luminance(rgb), _BLACK))
    if weight is None:
        return float(logs.mean())
    total = float(weight.sum(dtype=np.float64))
    if total <= 0.0:
        raise InvalidInput("log_mean: the matte is empty", field="weight", value=total)
    return float((logs * weight).sum(dtype=np.float64) / total)
