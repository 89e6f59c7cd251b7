"""Colours matched by a matrix and an offset between their means and covariances, in the codes of `_space.SRGB`.

The numbers are the mean (3) and the upper half of the covariance (6) of the face's codes under the matte, then those
of the plate's; (18,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._space import SRGB, Codes, Space, mixed
from understudy.core.match._statistics import GAIN, Array, Moments, nothing, rounded, sample

NOISE = 1e-7
"""Variance in codes that every picture is given: a twelfth of a code of 8 bits. What is flatter is not stretched."""


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """The moments of both; NaN throughout where the matte is too empty."""
    found = sample(SRGB, face, plate, matte)
    if found is None:
        return nothing(18)
    return np.concatenate([Moments.of(codes, found.weights).numbers for codes in (found.face, found.plate)])


def moments(numbers: Numbers, dimensions: int = 3) -> tuple[Moments, Moments]:
    """The face's and the plate's, of numbers that begin with theirs."""
    count = dimensions + dimensions * (dimensions + 1) // 2
    return (
        Moments.read(numbers[:count], dimensions),
        Moments.read(numbers[count : 2 * count], dimensions),
    )


def least(face: Moments, plate: Moments, noise: float = NOISE) -> Array:
    """(D, D + 1): of the maps that make means and covariances equal, the one that moves colours least: Pitié and
    Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer", 2007.
    """
    before, inverse = roots(face.covariance, noise)
    after = plate.covariance + np.eye(len(before)) * noise
    return _onto(inverse @ roots(before @ after @ before)[0] @ inverse, face, plate)


def coloured(face: Moments, plate: Moments, noise: float) -> Array:
    """(D, D + 1): whitened by the symmetric root of one covariance, coloured by that of the other."""
    return _onto(roots(plate.covariance, noise)[0] @ roots(face.covariance, noise)[1], face, plate)


def roots(covariance: Array, noise: float = 0.0) -> tuple[Array, Array]:
    """The symmetric root (D, D) of a covariance with some noise, and its inverse."""
    values, vectors = np.linalg.eigh(covariance + np.eye(len(covariance)) * noise)
    size = np.sqrt(np.maximum(values, 1e-30))  # rounding may leave a 0 below 0
    return (vectors * size) @ vectors.T, (vectors / size) @ vectors.T


def change(matrix: Array) -> Callable[[Codes], Codes]:
    """Codes (h, w, D) through a matrix (D, D + 1)."""

    return lambda codes: mixed(codes, matrix)


def report(space: Space, matrix: Array) -> dict[str, Any]:
    """The matrix (3, 4) and the space it is for, as JSON can hold them."""
    return {"space": space.name, "axes": list(space.axes), "matrix": rounded(matrix)}


def _onto(matrix: Array, face: Moments, plate: Moments) -> Array:
    """(D, D + 1): the matrix, no direction stretched or shrunk further than `GAIN`, and the offset that then takes
    the face's mean to the plate's.
    """
    left, size, right = np.linalg.svd(matrix)
    held = (left * np.clip(size, *GAIN)) @ right
    return np.column_stack([held, plate.mean - held @ face.mean])
