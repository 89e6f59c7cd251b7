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

DEPTH = 0.1
"""Of codes: how far below black, or below the plate's darkest, a match may lead at most; light of −0.01."""
_DEEP = 3.0  # deviations below the plate's mean: there its colours end


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


def darkest(plate: Moments) -> Array:
    """(D,): the codes down to which a change may lead: the plate's own below black, where its colours are there; else
    black.
    """
    return np.minimum(0.0, plate.mean - _DEEP * np.sqrt(np.diagonal(plate.covariance)))


def grounded(change: Callable[[Codes], Codes], plate: Moments) -> Callable[[Codes], Codes]:
    """A change of codes (h, w, D) that carries none far below black.

    What darkens skin or gives it contrast, carried on to black hair or a dark wall, ends in negative light of the size
    of a lamp. A code bends from where it goes below both `darkest` and what it was, and ends `DEPTH` below: values
    keep their order, and what the plate, or the face, has below black stays.
    """
    least = darkest(plate).astype(np.float32)

    def changed(codes: Codes) -> Codes:
        made = change(codes)
        floor = np.minimum(codes, least)
        below = made - floor
        if not below.size or below.min() >= 0.0:
            return made
        depth = np.float32(DEPTH)
        return np.where(below < 0.0, floor + depth * np.tanh(below / depth), made)

    return changed


def report(space: Space, matrix: Array, plate: Moments) -> dict[str, Any]:
    """The matrix (3, 4), the space it is for, and where it bends below black, as JSON can hold them."""
    return {"space": space.name, "axes": list(space.axes), "matrix": rounded(matrix), **bend(plate)}


def bend(plate: Moments) -> dict[str, Any]:
    """Of `grounded`: where f is the less of `darkest` and what a code was, a changed code c below f becomes
    f + depth · tanh((c − f) / depth).
    """
    return {"darkest": rounded(darkest(plate)), "depth": DEPTH}


def _onto(matrix: Array, face: Moments, plate: Moments) -> Array:
    """(D, D + 1): the matrix, no direction stretched or shrunk further than `GAIN`, and the offset that then takes
    the face's mean to the plate's.
    """
    left, size, right = np.linalg.svd(matrix)
    held = (left * np.clip(size, *GAIN)) @ right
    return np.column_stack([held, plate.mean - held @ face.mean])
