"""What is known of a picture's colours under a matte, and the numbers that carry it.

Pixels count by their matte: a soft edge counts in part, what lies beyond not at all. Where either picture is brighter
than `_space.LIMIT` they count by the inverse square of how much: a glint in one that is not in the other is no colour
of a face, and without a threshold none flickers that crosses it. Numbers of two frames may be averaged, and what is
made of the average is a match between the two: moments and quantiles are, matrices and curves are not always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._space import Space, held

Array = npt.NDArray[np.float64]

GAIN = (0.25, 4.0)
"""How far any member may change contrast: less, and a face goes flat; more, and what is flat in it becomes noise."""
_LEAST_WEIGHT = 32.0  # aligned pixels under the matte below which statistics mean nothing


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Colours of the face and of the plate under one matte.

    Attributes:
        face, plate: (n, D) codes.
        weights: (n,) above 0, 1 in sum.
    """

    face: Array
    plate: Array
    weights: Array

    def along(self, first: int, last: int) -> Sample:
        """The same with the axes `first` to `last` of the codes alone."""
        axes = slice(first, last)
        return Sample(face=self.face[:, axes], plate=self.plate[:, axes], weights=self.weights)


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean (D,) and covariance (D, D) of a picture's codes."""

    mean: Array
    covariance: Array

    @classmethod
    def of(cls, codes: Array, weights: Array) -> Moments:
        """Of codes (n, D) that count by their weights (n,)."""
        mean = weights @ codes
        away = codes - mean
        return cls(mean=mean, covariance=(away * weights[:, None]).T @ away)

    @classmethod
    def read(cls, numbers: Numbers, dimensions: int) -> Moments:
        """The inverse of `numbers`."""
        covariance = np.zeros((dimensions, dimensions))
        covariance[np.triu_indices(dimensions)] = numbers[dimensions:]
        return cls(mean=numbers[:dimensions], covariance=covariance + np.triu(covariance, 1).T)

    @property
    def numbers(self) -> Numbers:
        """(D + D (D + 1) / 2,): the mean, and the upper half of the covariance by rows."""
        return np.concatenate([self.mean, self.covariance[np.triu_indices(len(self.mean))]])


def sample(
    space: Space, face: Float, plate: Float, matte: Float, *, most: int | None = None
) -> Sample | None:
    """Codes of the pixels (S, S) whose matte is not 0; None where it is too empty, or they are no numbers.

    Args:
        most: pixels along a side that are looked at, at an even distance; all where it is not given.
    """
    step = math.ceil(len(matte) / most) if most else 1
    some = matte[::step, ::step].astype(np.float64)
    if some.sum() * step**2 < _LEAST_WEIGHT:
        return None
    inside = some > 0.0
    scale = np.ones(np.count_nonzero(inside))
    codes = list[Array]()
    for picture in (face, plate):
        light, times = held(np.ascontiguousarray(picture[::step, ::step][inside][None]))
        codes.append(space.encode(light)[0].astype(np.float64))
        scale = np.maximum(scale, times[0, :, 0])
    if not all(np.isfinite(each).all() for each in (*codes, scale)):
        return None
    weights = some[inside] / scale**2
    return Sample(face=codes[0], plate=codes[1], weights=weights / weights.sum())


def nothing(count: int) -> Numbers:
    """What `measure` says of a frame that shows too little."""
    return np.full(count, np.nan)


def deviations(codes: Array, weights: Array) -> tuple[Array, Array]:
    """Mean and deviation (D,) along each axis of codes (n, D) that count by their weights (n,)."""
    mean = weights @ codes
    return mean, np.sqrt(weights @ (codes - mean) ** 2)


def ratio(face: Array, plate: Array, least: Array, within: Array | tuple[float, float] = GAIN) -> Array:
    """(D,): how much contrast the plate's deviations have for the face's, held `within` the less and the more, each
    for all axes or (D,); no deviation is below `least`.
    """
    return np.asarray(np.clip(np.maximum(plate, least) / np.maximum(face, least), *within))


def shares(values: Array, weights: Array) -> tuple[Array, Array]:
    """The values that there are in a sample (n,), ascending, and how much of all weight lies up to each of them and at
    it.
    """
    found, at = np.unique(values, return_inverse=True)
    return found, np.cumsum(np.bincount(at, weights))


def quantiles(values: Array, weights: Array, parts: Array) -> Array:
    """The values (k,) up to which parts (k,), from 0 to 1, of a sample's weight lie, with straight lines between."""
    found, share = shares(values, weights)
    return np.interp(parts, share, found)


def curve(x: Array, y: Array, *, middle: int, gain: tuple[float, float] = GAIN) -> Array:
    """(k,): y, but no steeper over x and no flatter than `gain` says, held where it is at `middle`."""
    rise = np.diff(x)
    steps = np.clip(np.diff(y), gain[0] * rise, gain[1] * rise)
    sums = np.append(0.0, np.cumsum(steps))
    return np.asarray(y[middle] + sums - sums[middle])


def rounded(values: Array) -> Any:
    """Nested lists of numbers with seven digits, which is more than float32 has."""
    return np.vectorize(lambda value: float(f"{value:.7g}"), otypes=[np.float64])(values).tolist()
