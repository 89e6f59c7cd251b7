"""The ratio of the plate's light to the face's, so soft that it holds no features, laid over the face.

Shading is a product of light and skin, so that light is moved by a ratio of luminances in scene-linear; skin keeps its
colour. Its logarithm is averaged under the matte (normalized convolution, Knutsson and Westin 1993), so that neither a
highlight nor what lies beside the face pulls at it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from understudy.core.finish import _checks
from understudy.core.frames import Array, Float
from understudy.core.image import fill_nonfinite, luminance

_BLACK = np.float32(0.002)  # scene-linear: below it, noise says more of a ratio than light does
_MOST = np.float32(2.0 * np.log(2.0))  # two stops either way: more is no light but something before the face
_FINE = 4.0  # pixels of standard deviation that are enough to a blur
_EMPTY = 1.0  # pixels of a matte's area


def relight(face: Float, plate: Float, matte: Float, amount: float, softness: float) -> Float:
    """As `relight.Relight`; one factor for all channels of a pixel, a quarter to four."""
    _checks.within("relight.amount", amount, 0.0, 1.0)
    _checks.within("relight.softness", softness, 0.02, 1.0)
    weight = np.clip(np.nan_to_num(matte), 0.0, 1.0)
    area = float(weight.sum(dtype=np.float64))
    if amount == 0.0 or area < _EMPTY:
        return face
    picture = fill_nonfinite(face)[0]
    ratio = _logarithm(fill_nonfinite(plate)[0]) - _logarithm(picture)
    ratio = np.clip(ratio, -_MOST, _MOST)
    soft = _softened(ratio, weight, softness * math.sqrt(area))
    lit: Float = picture * np.exp(np.float32(amount) * soft)[..., None]
    return lit


def _logarithm(rgb: Float) -> Float:
    logarithm: Float = np.log(np.maximum(luminance(rgb), _BLACK))
    return logarithm


def _softened(ratio: Float, weight: Float, sigma: float) -> Float:
    """(H, W): the mean of the ratio around each pixel under the weight; far from it, towards the mean of all."""
    height, width = ratio.shape
    step = max(1, int(sigma / _FINE))  # a wide blur is worked out on fewer pixels
    few = (max(1, width // step), max(1, height // step))
    both = np.dstack([ratio * weight, weight])
    mean = both[..., 0].sum(dtype=np.float64) / weight.sum(dtype=np.float64)
    small = cv2.resize(both, few, interpolation=cv2.INTER_AREA)
    spread = (max(sigma * few[0] / width, 1e-3), max(sigma * few[1] / height, 1e-3))
    small = cv2.GaussianBlur(small, (0, 0), spread[0], sigmaY=spread[1], borderType=cv2.BORDER_CONSTANT)
    rest = 1e-3  # of a weight: what the mean of all counts
    found: Array = (small[..., 0] + rest * mean) / (small[..., 1] + rest)
    large = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return large.astype(np.float32, copy=False)
