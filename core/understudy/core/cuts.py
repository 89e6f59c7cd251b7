"""Where a plate cuts from one picture to another: told frame by frame, by small pictures of it."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np

from understudy.core.frames import Float

_THUMBNAIL = (48, 27)
# Correlation of two thumbnails, one of them moved so as to fit best, below which the picture is another one. On the
# four clips of the shared footage and pans over them by up to 0.3 of the width a frame it is 0.73 or more; from any of
# the clips to another 0.57 or less, two close-ups of heads being the most alike.
_ALIKE = 0.65
_LEVEL = 0.04  # and their mean difference above which it is more than grain on a flat picture
_MOVE = (14, 4)  # pixels of the thumbnail, across and down, that a camera may pan by from frame to frame
_BURNT = 0.9  # what is brighter may be a flash, and says nothing
_LEAST = 0.2  # share of the picture that has to be left


def thumbnail(proxy: Float) -> Float:
    """(27, 48) brightness of a viewing proxy (H, W, 3): what `is_cut` compares."""
    small: Float = cv2.resize(proxy, _THUMBNAIL, interpolation=cv2.INTER_AREA).mean(axis=2, dtype=np.float32)
    return small


def is_cut(before: Float, after: Float) -> bool:
    """Whether two thumbnails in a row show different pictures.

    By correlation, which neither flash nor fade nor flicker change, of what is not burnt out, after one is moved so
    that it fits the other best, so that a pan is none. A flash that leaves next to nothing is no cut, nor is any step
    of a dissolve; what follows on black is another picture. A missed cut joins two people only if the second stands
    where the first stood and looks alike; a false one ends no track of a face that moves little or looks alike.
    """
    if float(np.abs(before - after).mean()) < _LEVEL:
        return False
    across, down = _MOVE
    moves = sorted(
        product(range(-down, down + 1), range(-across, across + 1)), key=lambda m: m[0] ** 2 + m[1] ** 2
    )
    found = (_correlation(before, after, y, x) for y, x in moves)
    return all(value < _ALIKE for value in found)


def _correlation(before: Float, after: Float, y: int, x: int) -> float:
    """Of what both show where `after` is moved by (y, x); 1 where that is too little to tell."""
    height, width = before.shape
    a = before[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)]
    b = after[max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)]
    weight = ((a < _BURNT) & (b < _BURNT)).astype(np.float32)
    if (total := float(weight.sum())) < _LEAST * before.size:
        return 1.0 if x == y == 0 else -1.0
    a, b = a - (a * weight).sum() / total, b - (b * weight).sum() / total
    scale = np.sqrt((weight * a * a).sum() * (weight * b * b).sum())
    return float((weight * a * b).sum() / scale) if scale > 0.0 else 0.0
