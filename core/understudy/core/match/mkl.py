"""Colour match by means and covariances: of the matrices and offsets of the codes of `_space.SRGB` that make both
equal, the one that moves colours least (`_affine.least`). Being symmetric and positive, it turns no hue around.

DeepFaceLab's `mkl`, where contrast need not go beyond `_statistics.GAIN`.
"""

from __future__ import annotations

from typing import Any

from understudy.core.frames import Float
from understudy.core.match import Numbers, _affine
from understudy.core.match._space import SRGB

VERSION = 3

measure = _affine.measure


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """The face by the matrix between the two covariances, by `amount` of the way in codes."""
    own, plate = _affine.moments(numbers)
    change = _affine.grounded(_affine.change(_affine.least(own, plate)), plate)
    return SRGB.matched(face, change, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, `axes`, and the `matrix` (3 × 4, the last column added) of the whole match, and its `_affine.bend`."""
    own, plate = _affine.moments(numbers)
    return _affine.report(SRGB, _affine.least(own, plate), plate)
