"""Mattes: (H, W) float32 in [0, 1], in aligned or plate space as each function says."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.face import Alignment
from understudy.core.frames import Array, Float, Window
from understudy.core.half import narrowed, widened

_RIM = np.float32(0.03)  # of the crop's side: width of the soft border of the valid area
_STRIP = 2**15  # pixels that stay in a processor's cache
_ONE, _THREE = np.float32(1.0), np.float32(3.0)
_LEAST = np.float32(
    2.0**-12
)  # mixes with less change no half float: they are 0, so that the plate's bits stay
_BELOW = float(np.nextafter(_LEAST, np.float32(0.0)))


def valid(alignment: Alignment, window: Window) -> Float:
    """(h, w) on the plate: 1 inside the crop, falling smoothly to 0 at its border."""
    found = np.ones((window.height, window.width), np.float32)
    if is_inside(alignment, window):
        return found
    x, rows = np.arange(window.x, window.x1) + 0.5, max(1, _STRIP // window.width)
    for top in range(0, window.height, rows):
        strip = found[top : top + rows]
        y = np.arange(window.y + top, window.y + top + len(strip)) + 0.5
        for right, down, offset in alignment.matrix / alignment.size:
            at = np.add.outer((down * y + offset).astype(np.float32), (right * x).astype(np.float32))
            ramp = np.clip(np.minimum(at, _ONE - at) / _RIM, 0.0, 1.0)
            strip *= ramp * ramp * (_THREE - (ramp + ramp))
    return found


def is_inside(alignment: Alignment, window: Window) -> bool:
    """Whether the crop is valid on all of a window."""
    corners = [(x, y) for x in (window.x, window.x1) for y in (window.y, window.y1)]
    at = alignment.apply(np.array(corners, np.float64)) / alignment.size
    return bool(((at >= _RIM) & (at <= 1.0 - _RIM)).all())


def sized(matte: Float, side: int) -> Float:
    """(side, side) of a square matte, in [0, 1]; itself where it is as large."""
    if len(matte) == side:
        return matte
    kernel = cv2.INTER_AREA if len(matte) > side else cv2.INTER_CUBIC
    resized = as_float(cv2.resize(matte, (side, side), interpolation=kernel))
    return np.clip(resized, 0.0, 1.0, out=resized)


def settle(matte: Float) -> Float:
    """The matte as a half layer holds it, within [0, 1]; exactly 0 where it would change no half float."""
    clipped = np.clip(matte, 0.0, 1.0)
    return widened(narrowed(as_float(cv2.threshold(clipped, _BELOW, 0.0, cv2.THRESH_TOZERO)[1])))


def as_float(image: Array) -> Float:
    """The image as the float32 that it is: OpenCV's types do not say so."""
    return image.astype(np.float32, copy=False)
