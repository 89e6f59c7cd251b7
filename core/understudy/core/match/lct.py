"""Colour match by means and covariances: a matrix and an offset of the codes of `_space.SRGB`, whitened by the
symmetric root of the face's covariance and coloured by that of the plate's.

DeepFaceLab's `lct`, where contrast need not go beyond `_statistics.GAIN`. `mkl` reaches the same covariance and moves
colours less.
"""

from __future__ import annotations

from typing import Any

from understudy.core.frames import Float
from understudy.core.match import Numbers, _affine
from understudy.core.match._space import SRGB

VERSION = 3

_NOISE = 1e-5  # of variance; DeepFaceLab's

measure = _affine.measure


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """The face by the matrix between the two covariances, by `amount` of the way in codes."""
    own, plate = _affine.moments(numbers)
    change = _affine.grounded(_affine.change(_affine.coloured(own, plate, _NOISE)), plate)
    return SRGB.matched(face, change, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, `axes`, and the `matrix` (3 × 4, the last column added) of the whole match, and its `_affine.bend`."""
    own, plate = _affine.moments(numbers)
    return _affine.report(SRGB, _affine.coloured(own, plate, _NOISE), plate)
