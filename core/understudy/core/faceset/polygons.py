"""Polygons as mattes: what a person drew around a face, and out of it.

Filled by the even-odd rule, so that a line that crosses itself means what an editor showed. Includes count together,
in whatever order; then excludes are taken out of them, as DeepFaceLab has it (core/imagelib/SegIEPolys.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.frames import Float

Points = npt.NDArray[np.float64]

MOST_POINTS = 4096
"""Of one polygon; a roto shape sampled at every pixel of a large face has no more."""

_LINES = 16  # scan lines a pixel; along a line the coverage is exact
_STRIP = 64  # rows at a time, which bounds the memory
_FARTHEST = 1e7  # pixels
_LEAST = 1e-3  # square pixels: what has less is a line


@dataclass(frozen=True, kw_only=True, eq=False)
class Polygon:
    """A closed line.

    Attributes:
        include: whether what is inside is face; else it is taken out of what the others include.
        points: (N, 2) float64, aligned pixels, centres at +0.5; N is 3 to `MOST_POINTS`, the last one leads back to
            the first. They may lie outside the crop.

    Raises:
        InvalidInput: too few or too many points, or one that is not finite or more than 10 million pixels away.
    """

    include: bool
    points: Points

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not 3 <= len(points) <= MOST_POINTS:
            raise InvalidInput(
                f"polygon: {_counted(points)}; it takes 3 to {MOST_POINTS}",
                field="points",
                value=points.shape,
            )
        if not (np.abs(points) <= _FARTHEST).all():
            raise InvalidInput(
                "polygon: a point is not finite, or beyond 10 million pixels", field="points", value="nan"
            )
        object.__setattr__(self, "points", points)


def draw(polygons: Sequence[Polygon], shape: tuple[int, int], scale: float = 1.0) -> Float:
    """(h, w) float32 in [0, 1]: how much of each pixel lies inside an include and outside all excludes.

    Args:
        polygons: in any order; includes first, then excludes, whatever the order.
        shape: height and width of the picture.
        scale: pixels of the picture per aligned pixel.
    """
    height, width = shape
    matte = np.zeros(shape, np.float32)
    if not any(polygon.include for polygon in polygons):
        return matte
    for top in range(0, height, _STRIP):
        rows = min(_STRIP, height - top)
        lines = top + (np.arange(rows * _LINES) + 0.5) / _LINES
        matte[top : top + rows] = _coverage(polygons, scale, lines, width)
    return np.clip(matte, 0.0, 1.0, out=matte)


def check(polygons: Sequence[Polygon]) -> None:
    """Whether this is a label that somebody meant.

    Raises:
        InvalidInput: none of them includes; one has no area, or crosses itself; the message says which.
    """
    if not any(polygon.include for polygon in polygons):
        what = "only exclude" if polygons else "are none"
        raise InvalidInput(f"polygons: they {what}; one must include", field="polygons", value=len(polygons))
    for number, polygon in enumerate(polygons, 1):
        if _area(polygon.points) < _LEAST:
            raise InvalidInput(
                f"polygons: number {number} is empty: its points lie on a line",
                field="polygons",
                value=number,
            )
        if (at := crossing(polygon.points)) is not None:
            raise InvalidInput(
                f"polygons: number {number} crosses itself near ({at[0]:.1f}, {at[1]:.1f})",
                field="polygons",
                value=number,
            )


def crossing(points: Points) -> tuple[float, float] | None:
    """Where two sides of a closed line cross, any one such place; None where it is simple.

    Sides that only touch, in a shared point or along each other, do not cross.
    """
    start, end = points, np.roll(points, -1, axis=0)
    for i in range(len(points) - 2):
        others = slice(i + 2, None)  # the next side shares a point with this one
        a, b = _side(start[i], end[i], start[others]), _side(start[i], end[i], end[others])
        c, d = _side(start[others], end[others], start[i]), _side(start[others], end[others], end[i])
        crossed = np.flatnonzero((a * b < 0.0) & (c * d < 0.0))
        if len(crossed):
            first = int(crossed[0])
            share = c[first] / (c[first] - d[first])
            x, y = start[i] + share * (end[i] - start[i])
            return float(x), float(y)
    return None


def _coverage(
    polygons: Sequence[Polygon], scale: float, lines: npt.NDArray[np.float64], width: int
) -> npt.NDArray[np.float64]:
    """(L / `_LINES`, width) how much of each pixel is inside, in the mean of the horizontal `lines` (L,) across it."""
    crossings, kinds = [], []
    for polygon in polygons:
        found = _crossings(polygon.points * scale, lines)
        crossings.append(found)
        kinds.append(np.full(found.shape[1], polygon.include))
    places, includes = np.concatenate(crossings, axis=1), np.concatenate(kinds)
    if not places.shape[1]:
        return np.zeros((len(lines) // _LINES, width))
    steps = np.concatenate([np.where(np.arange(f.shape[1]) % 2, -1, 1) for f in crossings])
    order = np.argsort(places, axis=1, kind="stable")
    into = np.cumsum(
        np.where(includes, steps, 0)[order], axis=1
    )  # includes that one is in after each crossing
    out = np.cumsum(np.where(includes, 0, steps)[order], axis=1)
    inside = ((into > 0) & (out == 0)).astype(np.int8)
    change = np.diff(inside, axis=1, prepend=np.int8(0))
    return _filled(np.take_along_axis(places, order, axis=1), change, width)


def _crossings(points: Points, lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(L, K) where each line meets a closed one, in ascending x; infinity where it meets it less than K times."""
    ends = np.roll(points, -1, axis=0)
    low, high = np.minimum(points[:, 1], ends[:, 1]), np.maximum(points[:, 1], ends[:, 1])
    near = (low <= lines[-1]) & (high >= lines[0])  # of a strip's lines most sides meet none
    (x0, y0), (x1, y1) = points[near].T, ends[near].T
    at = lines[:, None]
    meets = (y0 <= at) != (y1 <= at)
    most = int(meets.sum(axis=1).max(initial=0))
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    found = np.where(meets, x0 + (at - y0) * (x1 - x0) / rise, np.inf)
    return np.sort(found, axis=1)[:, :most]


def _filled(
    places: npt.NDArray[np.float64], change: npt.NDArray[np.int8], width: int
) -> npt.NDArray[np.float64]:
    """What is right of each place gains `change`: the pixel that holds the place by the part that lies right of it."""
    held = np.clip(places, 0.0, float(width))
    cell = np.minimum(held.astype(np.int64), width - 1)
    part = held - cell
    sums = np.zeros((len(places) // _LINES, width + 1))
    row = np.broadcast_to(np.arange(len(places))[:, None] // _LINES, cell.shape)
    np.add.at(sums, (row, cell), change * (1.0 - part))
    np.add.at(sums, (row, cell + 1), change * part)
    return np.cumsum(sums[:, :width], axis=1) / _LINES


def _side(a: Points, b: Points, point: Points) -> npt.NDArray[np.float64]:
    """Twice the signed area of the triangle a, b, point: on which side of the line it lies."""
    along, to = b - a, point - a
    area: npt.NDArray[np.float64] = along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
    return area


def _area(points: Points) -> float:
    """In square pixels: of the points' spread across the line that fits them best, so that an eight has one too."""
    centred = points - points.mean(axis=0)
    reach = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    return float(np.prod(np.ptp(reach, axis=0)))


def _counted(points: npt.NDArray[np.float64]) -> str:
    if points.ndim != 2 or points.shape[1] != 2:
        return f"points of shape {points.shape}, not pairs of numbers"
    return f"{len(points)} point{'' if len(points) == 1 else 's'}"
