"""The face's own gradients with the plate's values around the matte: Pérez, Gangnet and Blake, "Poisson Image
Editing", SIGGRAPH 2003, in float.

What is solved for is the *correction* of the face, which has no gradients of its own to lose: the face's last bit of
detail is in the result. It is a difference in the codes of `_light`: a lamp beside the matte weighs 9, not 1000. Being
harmonic it is nowhere larger than somewhere around the matte.

Its mean is an exposure, which all of the face may have, up to a stop. What is beyond that comes from a rim whose
colours clash with the face's, and a glint has no part in it: nothing becomes more than a stop brighter than the plate
there, the exposed face there and all of the rim, nor more than a stop darker than all three.

Beyond the matte the finished face is the plate itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from understudy.core.blend import Wants, _light, _poisson
from understudy.core.frames import Float

WANTS = Wants(whole=True)
_ROOM = math.log(2.0)  # of code, a stop; from half of it on what is beyond bends
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)

Correction = Callable[[_light.Mask, _light.Mask, Float, Float], Float]
"""Of (h, w) where it is wanted and (h, w) where the plate is known, and the codes (h, w, 3) of the face and of the
plate: what is added to the face's (h, w, 3). Where the plate is not known, its codes are the face's.
"""


def finish(plate: Float, face: Float, matte: Float) -> Float:
    """The face, corrected so that it meets the plate all around the matte, however soft that is.

    A pixel of the plate that is not finite binds nothing: the correction flows through it as under the matte. Nor does
    the picture's edge. Where the matte leaves nothing of the plate, the face stays as it is.
    """
    return clone(plate, face, matte, lambda free, _, code, plates: solution(free, code, plates))


def solution(free: _light.Mask, code: Float, plates: Float) -> Float:
    """(h, w, 3) what is added to the face's codes: the solution, held."""
    shift = _poisson.solve(free, plates - code)
    return held(shift, free, code, plates, shift)


def held(shift: Float, free: _light.Mask, code: Float, plates: Float, plain: Float) -> Float:
    """A correction (h, w, 3) bent where it runs away, in place; `plain` is the one whose mean is the exposure."""
    rim = plates[~free & (cv2.dilate(free.astype(np.uint8), _CROSS) > 0)]
    if not len(rim):
        return shift
    exposure = np.array(cv2.mean(plain, free.astype(np.uint8))[:3], np.float32)
    made = code + shift
    for sign, most in ((1.0, float(rim.max())), (-1.0, -float(rim.min()))):
        rows, columns, channels = np.nonzero(made * np.float32(sign) > most + _ROOM / 2.0)
        place = (rows, columns, channels)
        own = sign * code[place] + np.clip(sign * exposure[channels], np.float32(0.0), np.float32(_ROOM))
        bound = np.maximum(np.maximum(own, sign * plates[place]), np.float32(most))
        shift[place] -= np.float32(sign) * beyond(sign * made[place] - bound)
    return shift


def beyond(excess: Float) -> Float:
    """How much of an excess of code is too much, so that what is left ends at a stop; 0 up to half of it."""
    knee = np.float32(_ROOM / 2.0)
    over = np.maximum(excess - knee, np.float32(0.0))
    lost: Float = over - knee * np.tanh(over / knee)
    return lost


def clone(plate: Float, face: Float, matte: Float, correction: Correction) -> Float:
    """As `finish`, by that correction."""
    known = _light.known(plate)
    free = (matte > 0.0) | ~known
    finished = plate.copy()
    if not free.any():
        return finished
    box = _box(free)
    inner, under = np.ascontiguousarray(face[box]), finished[box].copy()
    cv2.copyTo(inner, (~known[box]).astype(np.uint8), under)
    shift = correction(free[box], known[box], _light.encode(inner), _light.encode(under))
    finished[box] = cv2.copyTo(_light.shifted(inner, shift), free[box].astype(np.uint8), under)
    return finished


def _box(free: _light.Mask) -> tuple[slice, slice]:
    """The smallest rectangle of all free pixels and their neighbours in the picture."""
    return tuple(  # type: ignore[return-value]
        slice(max(0, int(where[0]) - 1), int(where[-1]) + 2)
        for where in (np.flatnonzero(free.any(axis=1)), np.flatnonzero(free.any(axis=0)))
    )
