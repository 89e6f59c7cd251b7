"""The Poisson equation with fixed values around any shape, in float32: conjugate gradients, each step led by one cycle
of multigrid, begun from the solution at half the size (nested iteration).

Large pixels know of fixed ones in them by a stronger diagonal, the sum of what their four children are tied to: so
a hole of one pixel or a ragged outline costs a step or two and no other method. After McAdams, Sifakis and Teran,
"A parallel multigrid Poisson solver for fluids simulation on large grids", SCA 2010, who count a large cell with a
fixed part as fixed. The steps are OpenCV's filters; long sums are numpy's own, not BLAS's,
so that the same input gives the same bytes whatever the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.blend._light import Mask
from understudy.core.frames import Array, Float

_CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
_CENTRE = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
# Jacobi's weights that together flatten what the next size can not see: Chebyshev's two for eigenvalues 0.5 to 2
_SWEEPS = (1.389, 0.562)
_TIE = 0.75  # of its children's ties, what binds a large pixel; from 0.65 to 0.85 it takes as many steps
_SMALLEST = 8  # pixels a side, where the equation is solved by its inverse
_FIRST = 3  # which size, counted from the finest, nested iteration begins with
_TOGETHER = (
    2**18
)  # pixels up to which channels go together: fewer calls; beyond, arrays that a cache can hold
_EVEN = 16  # a multiple of which sides should be
_MOST = 60  # steps; 4 to 7 are usual
_NEAR, _ROUGH = 2e-4, 3e-2  # the last step's part of the solution: at full size; at the others


@dataclass(frozen=True, kw_only=True)
class _Level:
    """The equation at one size: D u − Σ neighbours = b on free pixels, 0 elsewhere; all arrays (h, w[, 3]) float32.

    The frame's edge mirrors, so a missing neighbour is the pixel itself.

    Attributes:
        free: 1 or 0.
        diagonal: D; None: 4 everywhere, which the finest has, and which saves a pass.
        inverse: 1 / D on free pixels, 0 elsewhere.
    """

    free: Float
    diagonal: Float | None = None
    inverse: Float | None = None
    found: Float = field(init=False)
    spare: Float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", np.empty_like(self.free))
        object.__setattr__(self, "spare", np.empty_like(self.free))

    def relax(self, u: Float, b: Float, weight: float) -> None:
        """One weighted sweep of Jacobi's, in place."""
        if self.inverse is None:
            new = _filter(u, _CENTRE * (1.0 - weight) + _CROSS * (weight / 4.0), self.spare)
            cv2.multiply(new, self.free, dst=new)
            cv2.scaleAdd(b, weight / 4.0, new, dst=u)
            return
        new = _filter(u, _CROSS, self.spare)
        cv2.add(new, b, dst=new)
        cv2.multiply(new, self.inverse, dst=new, scale=weight)
        cv2.addWeighted(u, 1.0 - weight, new, 1.0, 0.0, dst=u)

    def begun(self, b: Float, weight: float) -> Float:
        """`found` after a sweep from 0."""
        if self.inverse is None:
            return np.multiply(b, np.float32(weight / 4.0), out=self.found)
        return _as_float(cv2.multiply(self.inverse, b, dst=self.found, scale=weight))

    def applied(self, u: Float, into: Float) -> Float:
        """A u."""
        if self.inverse is None or self.diagonal is None:
            _filter(u, 4.0 * _CENTRE - _CROSS, into)
            return _as_float(cv2.multiply(into, self.free, dst=into))
        _filter(u, _CROSS, into)
        cv2.multiply(into, self.inverse, dst=into)
        cv2.subtract(u, into, dst=into)
        return _as_float(cv2.multiply(into, self.diagonal, dst=into))


@dataclass(frozen=True, kw_only=True)
class _Equation:
    """All sizes of it, from the finest on, and of the smallest the inverse (n, n)."""

    levels: tuple[_Level, ...]
    inverse: npt.NDArray[np.float32]

    def without_finest(self) -> _Equation:
        return _Equation(levels=self.levels[1:], inverse=self.inverse)


def solve(free: Mask, fixed: Float, divergence: Float | None = None) -> Float:
    """u with Σ (u of a neighbour − u) = divergence on every free pixel, over its neighbours (4 at most) in the frame.

    The frame's edge lets nothing through (Neumann). Where nothing is fixed at all, the solution with mean 0 is taken.

    Args:
        free: (h, w) where u is wanted.
        fixed: (h, w, 3) u elsewhere; only neighbours of free pixels are looked at, and they must be finite.
        divergence: (h, w, 3) finite; None: 0.

    Returns:
        (h, w, 3) float32: u, and `fixed` where it is not free. Within 1e-4 of the largest |u − mean of the rim|.
    """
    if not free.any():
        return fixed.copy()
    height, width = free.shape
    free, fixed, divergence = _even(free, fixed, divergence)
    rim = ~free & (cv2.dilate(free.astype(np.uint8), _CROSS.astype(np.uint8)) > 0)
    equation = _equation(free, 3 if free.size <= _TOGETHER else 1)
    around, right = fixed[rim], np.zeros_like(fixed)
    # in double precision: numpy sums a column value by value, and what that costs in single is lost to tiny values
    mean = around.mean(axis=0, dtype=np.float64).astype(np.float32) if len(around) else np.zeros(3)
    right[rim] = around - mean
    right = _filter(right, _CROSS)
    if divergence is not None:
        right -= divergence
    right *= free[..., None]
    u = _by_channels(equation, right)
    if not len(around):
        mean = -u.mean(axis=(0, 1))
    u += mean
    return _as_float(cv2.copyTo(u, free.astype(np.uint8), fixed.copy()))[:height, :width]


def _even(free: Mask, fixed: Float, divergence: Float | None) -> tuple[Mask, Float, Float | None]:
    """The same with rows and columns to spare, where they change nothing, for the first sizes not to be odd: copies of
    whole arrays less. A frame's edge that free pixels touch has to stay where it is.
    """
    below = 0 if free[-1].any() else -free.shape[0] % _EVEN
    beside = 0 if free[:, -1].any() else -free.shape[1] % _EVEN
    if not below and not beside:
        return free, fixed, divergence
    more = ((0, below), (0, beside))
    wider = None if divergence is None else np.pad(divergence, (*more, (0, 0)))
    return np.pad(free, more), np.pad(fixed, (*more, (0, 0))), wider


def _by_channels(equation: _Equation, right: Float) -> Float:
    if right.ndim == equation.levels[0].free.ndim:
        return _nested(equation, right)
    planes = [np.ascontiguousarray(right[..., channel]) for channel in range(3)]
    return _as_float(cv2.merge([_nested(equation, plane) for plane in planes]))


def _equation(free: Mask, channels: int) -> _Equation:
    here, diagonal = free.astype(np.float32), np.full(free.shape, 4.0, np.float32)
    levels = [_Level(free=_times(here, channels))]
    while max(here.shape) > _SMALLEST:
        ties = _half(here * (diagonal - _filter(here, _CROSS)))
        here = (_half(here) > 0).astype(np.float32)
        diagonal = np.maximum(_filter(here, _CROSS) + np.float32(_TIE) * ties, np.float32(1e-2))
        planes = (_times(plane, channels) for plane in (here, diagonal, here / diagonal))
        levels.append(_Level(**dict(zip(("free", "diagonal", "inverse"), planes, strict=True))))
    units = np.eye(here.size, dtype=np.float32).reshape(*here.shape, here.size)
    smallest = (diagonal[..., None] * units - _filter(units, _CROSS).reshape(units.shape)) * here[..., None]
    matrix = smallest.reshape(here.size, here.size) * here.ravel()
    inverse = np.linalg.pinv(matrix.astype(np.float64), rcond=1e-6, hermitian=True)
    return _Equation(levels=tuple(levels), inverse=inverse.astype(np.float32))


def _nested(equation: _Equation, b: Float) -> Float:
    """The solution at full size, each size begun from that of the next."""
    if len(equation.levels) == 1:
        return _by_inverse(equation, b).copy()
    equations, sides = [equation], [b]
    while len(equations) < min(_FIRST, len(equation.levels)):
        equations.append(equations[-1].without_finest())
        sides.append(_half(sides[-1]) * np.float32(_TIE))
    u = np.zeros_like(sides[-1])
    for depth in reversed(range(len(equations))):
        if u.shape != sides[depth].shape:
            u = _double(u, sides[depth]) * equations[depth].levels[0].free
        _descend(equations[depth], sides[depth], u, _ROUGH if depth else _NEAR)
    return u


def _descend(equation: _Equation, b: Float, u: Float, enough: float) -> None:
    """Conjugate gradients, in Polak and Ribière's form, for a cycle is not quite symmetric; in place."""
    level = equation.levels[0]
    moved = np.empty_like(b)
    r = _as_float(cv2.subtract(b, level.applied(u, moved)))
    way: Float | None = None
    rate = gain = 0.0
    for _ in range(_MOST):
        z = _cycle(equation, r)
        if way is None:
            way = z.copy()
        else:
            cv2.scaleAdd(way, max(0.0, -rate * _dot(z, moved) / gain), z, dst=way)
        gain = _dot(r, z)
        level.applied(way, moved)
        bend = _dot(way, moved)
        if gain <= 0.0 or bend <= 0.0:  # solved to the last bit, or as far as float32 goes
            return
        rate = gain / bend
        cv2.scaleAdd(way, rate, u, dst=u)
        cv2.scaleAdd(moved, -rate, r, dst=r)
        if cv2.norm(z, cv2.NORM_INF) <= enough * cv2.norm(u, cv2.NORM_INF):
            return


def _cycle(equation: _Equation, b: Float) -> Float:
    """About the solution of A u = b: one V-cycle from 0; the level's own array, good until its next cycle."""
    if len(equation.levels) == 1:
        return _by_inverse(equation, b)
    level = equation.levels[0]
    u = level.begun(b, _SWEEPS[0])
    level.relax(u, b, _SWEEPS[1])
    rest = _as_float(cv2.subtract(b, level.applied(u, level.spare), dst=level.spare))
    coarse = _cycle(equation.without_finest(), _half(rest))
    cv2.accumulateProduct(_double(coarse, b, level.spare), level.free, u)
    for weight in reversed(_SWEEPS):
        level.relax(u, b, weight)
    return u


def _by_inverse(equation: _Equation, b: Float) -> Float:
    return (equation.inverse @ b.reshape(len(equation.inverse), -1)).reshape(b.shape)


def _times(plane: Float, channels: int) -> Float:
    return _as_float(cv2.merge([plane] * channels)) if channels > 1 else plane


def _filter(u: Float, kernel: Array, into: Float | None = None) -> Float:
    return _as_float(cv2.filter2D(u, -1, kernel, dst=into, borderType=cv2.BORDER_REPLICATE))


def _half(u: Float) -> Float:
    """Sums of 2×2 pixels; an odd last row or column counts once."""
    height, width = u.shape[:2]
    if height % 2 or width % 2:
        u = _as_float(cv2.copyMakeBorder(u, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0))
    total = _as_float(cv2.resize(u, (u.shape[1] // 2, u.shape[0] // 2), interpolation=cv2.INTER_AREA))
    total *= np.float32(4.0)
    return total


def _double(u: Float, like: Float, into: Float | None = None) -> Float:
    """Twice as large, less an odd last row or column; in the array `into` where nothing is odd."""
    height, width = like.shape[:2]
    size = (2 * u.shape[1], 2 * u.shape[0])
    even = size == (width, height)
    twice = _as_float(cv2.resize(u, size, dst=into if even else None, interpolation=cv2.INTER_LINEAR))
    return twice if even else np.ascontiguousarray(twice[:height, :width])


def _dot(a: Float, b: Float) -> float:
    return float(np.einsum("i,i->", a.ravel(), b.ravel()))


def _as_float(image: Array) -> Float:
    """The image as the float32 that it is: OpenCV's types do not say so."""
    return image.astype(np.float32, copy=False)
