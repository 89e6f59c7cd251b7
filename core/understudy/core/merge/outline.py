"""Erosion and feather of a face's outline alone: what lies before the face keeps its own edge.

A mask such as `face*hull*occ` has edges of two kinds. The face's outline is where two pictures of skin meet, and wants
to be drawn in and softened. The edge of a lock of hair or of a finger is where it is; drawn in by 6 pixels, a hair one
pixel wide becomes a gap of 13, softened it glows. So the mask is worked out twice: as it is, and as it would be if
nothing stood before the face (`unoccluded`). The latter is shaped, and the share of it that is seen is laid over it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from understudy.core.frames import Array, Float
from understudy.core.merge.expression import FULL, OCC, Expression
from understudy.core.merge.mattes import as_float

_NEAR = 1 / 24  # of the crop's side: how far apart two mattes may see the same outline
_FAINT = np.float32(1 / 64)  # of the outline: below it, the share that is seen means nothing
_ONE = np.float32(1.0 - 2.0**-20)  # what a blur's rounding makes of 1
_DISC = 4  # pixels of radius that go at once

# Discs, (x² + y²) ≤ (radius + 0.3)², as sums of small shapes: the same pixels in half the time
_SQUARE = np.ones((3, 3), np.uint8)
_CROSS = np.array([(0, 1, 0), (1, 1, 1), (0, 1, 0)], np.uint8)
_TALL = np.array([(0, 1, 0), (0, 0, 0), (1, 0, 1), (0, 0, 0), (0, 1, 0)], np.uint8)
_DISCS = ((), (_CROSS,), (_SQUARE, _CROSS), (_SQUARE, _CROSS, _CROSS), (_SQUARE, _TALL, _TALL.T.copy()))


def unoccluded(expression: Expression, mattes: Mapping[str, Float]) -> Float:
    """The mask (M, M), aligned, as it would be if nothing stood before the face; nowhere less than the mask itself.

    An `occ` ends where something stands before the face, and where the face ends, hardly ever where `face` or `hull`
    do. Where those bound the mask (`face*occ`), a rim that `occ` lacks along their outline, no wider than 1/24 of the
    crop, is the latter: `occ` is the outline there. What else it lacks is given back. Where `occ` alone says where the
    face ends (`occ`, `face + occ`), only gaps are that are no wider than twice that: hair, strings, a finger; a whole
    hand's edge is then part of the outline, and shaped with it. What an expression takes away by `occ` (`face - occ`)
    is given back too. One without `occ` is its own outline.

    Args:
        mattes: all that the expression names, (M, M) in [0, 1], of one size.
    """
    own = expression.of(mattes)
    if OCC not in expression.names:
        return own
    occ = mattes[OCC]
    near = round(_NEAR * len(occ))
    clear = _morphed(occ, cv2.MORPH_CLOSE, 2 * near + 1)
    if _is_bounded(expression):
        least, most = (expression.of({**mattes, OCC: np.full_like(occ, each)}) for each in (0.0, 1.0))
        own = np.maximum(own, least)
        whole = np.maximum(least, most)
        whole = as_float(whole / max(float(whole.max()), 1e-6))
        deep = _morphed(whole, cv2.MORPH_ERODE, 2 * near + 1)
        wide = _morphed(as_float(whole * (1.0 - occ)), cv2.MORPH_OPEN, near + 1)
        clear = np.maximum(clear, np.maximum(deep, wide))
    return np.maximum(own, expression.of({**mattes, OCC: clear}))


def shape(matte: Float, outline: Float, erode: float, feather: float, *, pixel_aspect: float = 1.0) -> Float:
    """The matte (H, W) in [0, 1] with its outline eroded, then softened inwards, in plate space.

    The same at 0 and 0; nowhere more than the matte unless `erode` is negative; 0 stays 0, and 1 stays 1 further
    inside than both reach. Changes with `erode` and `feather` without a step, and with `erode` only one way.

    Args:
        matte: in [0, 1]; what is no number is 0.
        outline: (H, W), the same matte with nothing before the face, as `unoccluded` gives it. The matte itself: all
            its edges are shaped.
        erode: plate px, up and down; fractions count. Negative grows the outline, and what stands before it goes on
            outwards as it is at the edge.
        feather: plate px, width of the soft edge, all of it inside the eroded outline.
        pixel_aspect: width of a pixel over its height: of pixels twice as wide, half as many go sideways.
    """
    alone = outline is matte
    matte = _proper(matte)
    if erode == 0.0 and feather <= 0.0:
        return matte
    if alone:
        shaped = _squared(matte, erode, feather, pixel_aspect)
        return shaped if erode < 0.0 else np.minimum(shaped, matte)
    outline = np.maximum(_proper(outline), matte)
    shaped = _squared(outline, erode, feather, pixel_aspect)
    if erode < 0.0:
        return as_float(shaped * seen(matte, outline, beyond=True))
    return as_float(np.minimum(np.minimum(shaped, outline) * seen(matte, outline), matte))


def seen(matte: Float, outline: Float, *, beyond: bool = False) -> Float:
    """(H, W) in [0, 1]: the share of the face that nothing stands before.

    Args:
        matte, outline: (H, W) in [0, 1], as `shape` takes them.
        beyond: it goes on beyond the outline as it is at its edge, for whoever makes that wider. Else it is 0 there.
    """
    if beyond:
        return _spread(matte, outline)
    share = np.divide(matte, outline, out=np.zeros_like(matte), where=outline > 0.0)
    return np.minimum(share, np.float32(1.0))


def _morphed(matte: Float, how: int, side: int) -> Float:
    """By a square, which OpenCV does in a fraction of a disc's time."""
    return as_float(
        cv2.morphologyEx(matte, how, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    )


def _is_bounded(expression: Expression) -> bool:
    """Whether other mattes than `occ` bound what comes of the expression: whether it is 0 where they are."""
    none = {name: np.zeros(1, np.float32) for name in expression.names}
    if FULL in none:
        none[FULL] = np.ones(1, np.float32)
    return not any(expression.of({**none, OCC: np.full(1, each, np.float32)}).any() for each in (0.0, 1.0))


def _spread(matte: Float, outline: Float) -> Float:
    strong = outline >= _FAINT
    share = np.minimum(np.divide(matte, outline, out=np.zeros_like(matte), where=strong), np.float32(1.0))
    if strong.all() or not strong.any():
        return share
    rows, columns = distance_transform_edt(~strong, return_distances=False, return_indices=True)
    nearest: Float = share[rows, columns]
    return nearest


def _squared(outline: Float, erode: float, feather: float, pixel_aspect: float) -> Float:
    """`_shaped` among square pixels: those of the plate, if they are not, are cut into narrower or lower ones."""
    if pixel_aspect == 1.0:
        return _within(outline, erode, feather)
    height, width = outline.shape
    times = max(pixel_aspect, 1.0 / pixel_aspect)
    fine = (round(width * times), height) if pixel_aspect > 1.0 else (width, round(height * times))
    unit = 1.0 if pixel_aspect > 1.0 else times  # a plate's pixel is as high as so many fine ones
    cut = as_float(cv2.resize(outline, fine, interpolation=cv2.INTER_LINEAR))
    made = _shaped(cut, erode * unit, feather * unit)
    return as_float(cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA))


def _within(outline: Float, erode: float, feather: float) -> Float:
    """`_shaped`, worked out around what is not 0 only: a face's crop is four times as large as the face."""
    rows, columns = (np.flatnonzero(outline.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return outline
    rim = 2 + math.ceil(max(0.0, -erode))  # a pixel of 0 at least, for there the matte goes on as it ends
    box = tuple(slice(max(0, int(at[0]) - rim), int(at[-1]) + rim + 1) for at in (rows, columns))
    made = np.zeros_like(outline)
    made[box] = _shaped(np.ascontiguousarray(outline[box]), erode, feather)
    return made


def _shaped(outline: Float, erode: float, feather: float) -> Float:
    eroded = _moved(outline, erode)
    if feather <= 0.0:
        return eroded
    reach = feather / 2.0
    shrunk = _moved(eroded, reach)
    side = 2 * math.ceil(reach) + 1
    soft = as_float(cv2.GaussianBlur(shrunk, (side, side), reach / 2.5, borderType=cv2.BORDER_REPLICATE))
    soft[soft > _ONE] = 1.0
    return np.minimum(soft, eroded)  # the kernel is square: its corners reach further than the disc


def _moved(matte: Float, pixels: float) -> Float:
    """Grey-scale erosion by a disc, dilation where `pixels` is negative; beyond the picture's edge the matte goes on.

    Between two whole numbers of pixels it lies between their mattes: what a hard edge covers of a pixel. Discs laid
    one on the other come near a large one in a fraction of the time; each holds the sum of any that are as large
    together, so that more pixels never take away less.
    """
    morph = cv2.erode if pixels > 0.0 else cv2.dilate
    whole, part = divmod(abs(pixels), 1.0)
    shaped: Array = matte
    for _ in range(int(whole) // _DISC):
        shaped = _by_disc(shaped, _DISC, morph)
    rest = int(whole) % _DISC
    less = _by_disc(shaped, rest, morph)
    return as_float(less + np.float32(part) * (_by_disc(shaped, rest + 1, morph) - less) if part else less)


def _by_disc(matte: Array, radius: int, morph: Callable[..., Array]) -> Array:
    for shape in _DISCS[radius]:
        matte = morph(matte, shape, borderType=cv2.BORDER_REPLICATE)
    return matte


def _proper(matte: Float) -> Float:
    return np.minimum(np.fmax(matte, np.float32(0.0)), np.float32(1.0))
