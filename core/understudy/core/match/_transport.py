"""Colours matched by all of their distribution, along one basis after the other: a matrix and what it leaves over.

First the map that moves colours least (`_affine.least`). What is left is seen in units of the plate's deviation, z,
where the plate is round: along each axis of a basis the distribution of the face becomes the plate's by a curve, and
so on with the next basis (Pitié, Kokaram and Dahyot, "N-dimensional probability density function transfer and its
application to colour transfer", 2005); or along the axes of several bases at a time, each doing its part (Rabin,
Peyré, Delon and Bernot, "Wasserstein barycenter and its application to texture mixing", 2011).

Random bases have a seed of their own, so that two frames differ by their colours alone. The curves are changes of z at
fixed places, so that those of two frames may be averaged. A picture is changed by a look-up table of the whole, whose
price does not hang on the number of curves; beyond `_REACH` deviations the change is that of the table's border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.match import Numbers
from understudy.core.match._affine import least, moments, roots
from understudy.core.match._space import Codes, mixed
from understudy.core.match._statistics import Array, Moments, Sample, curve, quantiles, rounded

_REACH = 3.0  # deviations of the plate that curves and table go to
_PARTS = (np.arange(65) + 0.5) / 65  # of a distribution that is carried over
_NODES = 25  # of the table, along each axis

PIXELS = 128
"""Along a side, of those that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """How a distribution is carried over.

    Attributes:
        dimensions: D, of the colours.
        steps: how often.
        bases: how many at a time.
        knots: of each curve, evenly spaced.
        gain: how far one curve may change contrast, less and more.
        noise: variance that every picture is given.
    """

    dimensions: int
    steps: int
    bases: int
    knots: int
    gain: tuple[float, float]
    noise: float

    @cached_property
    def directions(self) -> Array:
        """(steps, bases · D, D): unit vectors, D by D at right angles."""
        # RandomState's numbers are frozen (NEP 19); those of NumPy's newer generators may change with a release
        drawn = np.random.RandomState(7).standard_normal((self.steps, self.bases, *(self.dimensions,) * 2))
        columns, triangle = np.linalg.qr(drawn)
        # Which way an axis points, LAPACKs differ in; curves fitted on one machine are used on another
        turned: Array = (columns * np.sign(np.diagonal(triangle, axis1=2, axis2=3))[..., None, :]).swapaxes(
            2, 3
        )
        return turned.reshape(self.steps, self.bases * self.dimensions, self.dimensions)

    @cached_property
    def places(self) -> Array:
        """(knots,): z at the knots."""
        return np.linspace(-_REACH, _REACH, self.knots)

    @property
    def count(self) -> int:
        """How many numbers `fit` gives."""
        return self._moments + self.directions[..., 0].size * self.knots

    def fit(self, sample: Sample) -> Numbers:
        """Moments of both pictures as those of `_affine`, then the curves (count,)."""
        both = [Moments.of(codes, sample.weights) for codes in (sample.face, sample.plate)]
        numbers = np.concatenate([each.numbers for each in both])
        placed = _Placed.of(numbers, self)
        z = placed.z(sample.face)
        wanted = (sample.plate - both[1].mean) @ placed.inverse.T
        found = []
        for directions in self.directions:
            curves = [
                self._curve(along, target, sample.weights)
                for along, target in zip((z @ directions.T).T, (wanted @ directions.T).T, strict=True)
            ]
            z = z + self._step(z, directions, curves)
            found += curves
        return np.concatenate([numbers, *found])

    def change(self, numbers: Numbers) -> Callable[[Codes], Codes]:
        """What changes codes (h, w, D) by such numbers."""
        placed = _Placed.of(numbers, self)
        table = (self._table(numbers) @ placed.root.T).astype(np.float32)

        def changed(codes: Codes) -> Codes:
            z = mixed(codes, placed.to_z).reshape(-1, self.dimensions)
            return mixed(codes, placed.matrix) + _looked_up(table, z).reshape(codes.shape)

        return changed

    def report(self, numbers: Numbers) -> dict[str, Any]:
        """`matrix` (D × (D + 1)) codes → codes, `to_z` likewise codes → z, held between the outermost `knots`. Step
        by step, for each of the `directions` of a step, z along it moves by its curve at the knots, the sum divided by
        `bases`. At last the whole change of z by `from_z` (D × D) is added to what the matrix gave.
        """
        placed = _Placed.of(numbers, self)
        return {
            "matrix": rounded(placed.matrix),
            "to_z": rounded(placed.to_z),
            "from_z": rounded(placed.root),
            "bases": self.bases,
            "knots": rounded(self.places),
            "directions": rounded(self.directions),
            "curves": rounded(self._curves(numbers)),
        }

    @property
    def _moments(self) -> int:
        return self.dimensions * (self.dimensions + 3)

    def _curves(self, numbers: Numbers) -> Array:
        """(steps, bases · D, knots)."""
        return numbers[self._moments :].reshape(*self.directions.shape[:2], self.knots)

    def _curve(self, face: Array, plate: Array, weights: Array) -> Array:
        """By how much z moves at the knots (knots,), along one axis on which the samples (n,) lie."""
        x, y = (quantiles(values, weights, _PARTS) for values in (face, plate))
        moved = np.interp(self.places, x, y - x)
        after = curve(self.places, self.places + moved, middle=self.knots // 2, gain=self.gain)
        return after - self.places

    def _step(self, z: Array, directions: Array, curves: Array | list[Array]) -> Array:
        """By how much points (n, D) move."""
        moved = np.stack(
            [np.interp(z @ axis, self.places, each) for axis, each in zip(directions, curves, strict=True)],
            axis=1,
        )
        return np.asarray(moved @ directions / self.bases)

    def _table(self, numbers: Numbers) -> Array:
        """(nodes ** D, D): by how much the points of a lattice move in all, the last axis of D the fastest."""
        places = np.linspace(-_REACH, _REACH, _NODES)
        nodes = np.stack(np.meshgrid(*[places] * self.dimensions, indexing="ij"), axis=-1)
        start = z = nodes.reshape(-1, self.dimensions)
        for directions, curves in zip(self.directions, self._curves(numbers), strict=True):
            z = z + self._step(z, directions, curves)
        return z - start


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Where colours are.

    Attributes:
        matrix: (D, D + 1) codes → codes, what moves them least.
        to_z: (D, D + 1) codes → z.
        root, inverse: (D, D) z → codes around their mean, and back.
    """

    matrix: Array
    to_z: Array
    root: Array
    inverse: Array

    @classmethod
    def of(cls, numbers: Numbers, transport: Transport) -> _Placed:
        face, plate = moments(numbers, transport.dimensions)
        matrix = least(face, plate, transport.noise)
        root, inverse = roots(plate.covariance, transport.noise)
        around = matrix.copy()
        around[:, -1] -= plate.mean
        return cls(matrix=matrix, to_z=inverse @ around, root=root, inverse=inverse)

    def z(self, codes: Array) -> Array:
        """Of codes (n, D)."""
        return np.asarray(codes @ self.to_z[:, :-1].T + self.to_z[:, -1])


def _looked_up(table: npt.NDArray[np.float32], z: Codes) -> Codes:
    """(n, D) of a table (nodes ** D, D) at z (n, D), linear between its nodes along each axis."""
    dimensions = z.shape[1]
    place = (z + np.float32(_REACH)) * np.float32((_NODES - 1) / (2.0 * _REACH))
    place = np.fmin(
        np.fmax(place, 0.0), np.float32(_NODES - 1)
    )  # which, unlike clip, take in what is no number
    low = np.minimum(place.astype(np.int32), _NODES - 2)
    part = place - low
    strides = _NODES ** np.arange(dimensions - 1, -1, -1, dtype=np.int32)
    first = low @ strides
    found = np.zeros_like(z)
    for corner in product((0, 1), repeat=dimensions):
        weight = np.ones(len(z), np.float32)
        for axis, side in enumerate(corner):
            weight *= part[:, axis] if side else 1.0 - part[:, axis]
        found += table.take(first + int(np.dot(corner, strides)), axis=0) * weight[:, None]
    return found
