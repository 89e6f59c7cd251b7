"""A face's colours beyond its matte, for whoever grows the matte or moves it.

In scene-linear, a glint of 60 on the outline would outshine all skin around it and bleed over 40 pixels. So they flow
on in stops, and what is no number stays out.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.finish import _stops
from understudy.core.frames import Float
from understudy.core.image import fill_nonfinite, in_blocks


def extend(rgb: Float, support: Float) -> Float:
    """The face (S, S, 3) as it is where `support` (S, S) is 1; its colours flow on, ever softer, where it is 0.

    Args:
        rgb: scene-linear in the working space, may exceed 1 and be negative; means nothing where `support` is 0.
        support: in [0, 1].
    """
    picture = fill_nonfinite(rgb)[0]
    flown = in_blocks(_stops.decode, _flowed(in_blocks(_stops.encode, picture), support))
    cv2.copyTo(picture, (support >= 1.0).view(np.uint8), flown)
    return flown


def _flowed(code: Float, support: Float) -> Float:
    """Push-pull over a pyramid, after Gortler et al., "The Lumigraph", SIGGRAPH 1996."""
    if max(support.shape) <= 2:
        total = float(support.sum())
        mean = (code * support[..., None]).sum((0, 1)) / total if total > 0.0 else code.mean((0, 1))
        return np.broadcast_to(mean.astype(np.float32), code.shape).copy()
    weight = _thrice(support)
    pushed = np.asarray(cv2.pyrDown(support), np.float32)
    coarse = np.asarray(cv2.pyrDown(code * weight), np.float32)
    coarse /= _thrice(np.clip(pushed, np.float32(1e-6), None))
    further = _flowed(coarse, np.clip(pushed * np.float32(4.0), None, np.float32(1.0)))
    pulled = np.asarray(cv2.pyrUp(further, dstsize=support.shape[::-1]), np.float32)
    weight *= code - pulled
    pulled += weight
    return pulled


def _thrice(weight: Float) -> Float:
    """(H, W) → (H, W, 3), by which NumPy multiplies eight times as fast as by one that it has to repeat."""
    return np.asarray(cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), np.float32)
