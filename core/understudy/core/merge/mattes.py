"""Mattes: (H, W) float32 in [0, 1], in aligned or plate space as each function says; and what lies under
their edge.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from understudy.core.frames import Array, Float

_RIM = 0.03  # of the crop's side: width of the soft border of the valid area
_STEP = 4.0  # radius of the largest disc that one pass of erosion takes
_LEAST = 2.0**-12  # mixes with less change no half float: they are 0, so that the plate's bits stay


def valid(size: int) -> Float:
    """(S, S), aligned: 1 inside the crop, falling smoothly to 0 at its border."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    ramp = np.clip(np.minimum(centres, 1.0 - centres) / _RIM, 0.0, 1.0)
    ramp = ramp * ramp * (3.0 - 2.0 * ramp)
    return np.outer(ramp, ramp).astype(np.float32)


def shape(matte: Float, erode: float, feather: float) -> Float:
    """Erode, then soften inwards, in plate space; both in pixels, fractions count.

    Negative `erode` grows the matte. The soft edge is `feather` pixels wide and lies inside the eroded
    matte, so that feathering never uncovers what erosion took away.
    """
    eroded = _shrink(matte, erode)
    reach = feather / 2.0
    radius = math.floor(reach)
    shrunk = _shrink(eroded, reach)
    if radius < 1:
        return shrunk
    side = 2 * radius + 1
    soft = cv2.GaussianBlur(shrunk, (side, side), reach / 2.5, borderType=cv2.BORDER_REPLICATE)
    return np.minimum(as_float(soft), eroded)  # the kernel is square: its corners reach further than the disc


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
    clipped[clipped < _LEAST] = 0.0
    return clipped.astype(np.float16).astype(np.float32)


def extend(rgb: Float, support: Float) -> Float:
    """Colours (S, S, 3) where `support` (S, S) is 1, flowing on into where it is 0.

    Networks are trained under the matte only: what they paint beyond it means nothing, and would show as
    soon as a compositor grows a matte. Push-pull over a pyramid, after Gortler et al., "The Lumigraph",
    SIGGRAPH 1996.
    """
    if max(support.shape) <= 2:
        total = float(support.sum())
        mean = (rgb * support[..., None]).sum((0, 1)) / total if total > 0.0 else rgb.mean((0, 1))
        return np.broadcast_to(mean.astype(np.float32), rgb.shape).copy()
    weight = support[..., None]
    pushed = as_float(cv2.pyrDown(support))
    coarse = as_float(cv2.pyrDown(rgb * weight)) / np.maximum(pushed, np.float32(1e-6))[..., None]
    further = extend(as_float(coarse), np.minimum(pushed * np.float32(4.0), np.float32(1.0)))
    pulled = cv2.pyrUp(further, dstsize=support.shape[::-1])
    return as_float(rgb * weight + pulled * (1.0 - weight))


def _shrink(matte: Float, pixels: float) -> Float:
    """Grey-scale erosion by a disc, or dilation; beyond the picture's edge the matte goes on."""
    morph = cv2.erode if pixels > 0.0 else cv2.dilate
    todo = abs(pixels)
    shaped: Array = matte
    while todo >= 1.0:  # small discs one after the other come near a large one, in a fraction of the time
        radius = min(math.floor(todo), int(_STEP))
        shaped = morph(shaped, _disc(radius), borderType=cv2.BORDER_REPLICATE)
        todo -= radius
    if todo > 0.0:
        further = morph(shaped, _disc(1), borderType=cv2.BORDER_REPLICATE)
        shaped = shaped + np.float32(todo) * (further - shaped)
    return as_float(shaped)


def as_float(image: Array) -> Float:
    """The image as the float32 that it is: OpenCV's types do not say so."""
    return image.astype(np.float32, copy=False)


def _disc(radius: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    offset = np.arange(-radius, radius + 1)
    inside = offset[:, None] ** 2 + offset[None, :] ** 2 <= (radius + 0.3) ** 2
    return inside.astype(np.uint8)
