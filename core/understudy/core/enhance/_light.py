"""Where a network that sees codes of the swap curve may speak of light, and how bright it may become.

Codes end at the curve's maximum, and networks know none below 0. Above the knee a small error of a code is a large
one of light.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.colour import TOP
from understudy.core.frames import Float

_BLACK = np.float32(0.1)  # code below zero at which a network has no more say


def share(codes: Float, knee: float) -> Float:
    """(H, W) in [0, 1]: how far a network is asked, by codes (H, W, 3) of what there is; the hottest channel says."""
    top, start = np.float32(TOP), np.float32(knee)
    hot = (top - codes.max(axis=-1)) / (top - start)
    cold = 1.0 + codes.min(axis=-1) / _BLACK
    found: Float = np.clip(np.minimum(hot, cold), 0.0, 1.0)
    return found


def most(codes: Float, knee: float) -> Float:
    """(H, W, 3): the knee, or the brightest code around: more than that, a network may not make of a place."""
    around = cv2.dilate(codes, np.ones((3, 3), np.uint8))
    limit: Float = np.maximum(around, np.float32(knee)).astype(np.float32, copy=False)
    return limit
