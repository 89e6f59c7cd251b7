"""The face's own gradients with the plate's values around the matte: Pérez, Gangnet and Blake, "Poisson Image
Editing", SIGGRAPH 2003, in float.

What is solved for is the *correction* of the face, which has no gradients of its own to lose: the face's last bit of
detail is in the result. It is a difference in the codes of `_light`: a lamp beside the matte weighs 9, not 1000. Being
harmonic it is nowhere larger than somewhere around the matte, so no highlight is lifted by more than the plate is.

Beyond the matte the finished face is the plate itself.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from understudy.core.blend import Wants, _light, _poisson
from understudy.core.frames import Float

WANTS = Wants(whole=True)

Correction = Callable[[_light.Mask, _light.Mask, Float, Float], Float]
"""Of (h, w) where it is wanted and (h, w) where the plate is known, and the codes (h, w, 3) of the face and of the
plate: what is added to the face's (h, w, 3). Where the plate is not known, its codes are the face's.
"""


def finish(plate: Float, face: Float, matte: Float) -> Float:
    """The face, corrected so that it meets the plate all around the matte, however soft that is.

    A pixel of the plate that is not finite binds nothing: the correction flows through it as under the matte. Nor does
    the picture's edge. Where the matte leaves nothing of the plate, the face stays as it is.
    """
    return clone(plate, face, matte, lambda free, _, code, plates: _poisson.solve(free, plates - code))


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
