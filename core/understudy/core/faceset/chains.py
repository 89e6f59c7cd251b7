"""Orders that depend on all faces at once: chains of likes, how unlike each is to the others, the best for training.

Nothing here needs N×N numbers in memory: chains are made of at most `CHUNK` faces at a time, in the order of the
faceset, each chunk beginning with the face nearest to the end of the one before; and how unlike a face is to others is
averaged block by block, over `CHUNK` of them, evenly spread, where there are more.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Array, Float

Indices = npt.NDArray[np.int64]

CHUNK = 20_000
"""Faces that are compared with each other; DeepFaceLab's number."""

YAW_BINS = 128  # of DeepFaceLab's "best faces"
YAW_LIMIT = 1.2  # radians to each side, beyond which all is one bin
SHARPEST = 10  # times the quota: what is kept of a bin before poses and colours are looked at

_BLOCK = 512  # rows of a product at once
_AXES = 24  # principal axes of a histogram
_CELL = 4  # pixels of a thumbnail that are summed
_SLACK = 1e-5  # of squared distances in float32
_FIRST = 32  # candidates that are looked at before all others that could still be nearer


class Space(Protocol):
    """Faces and how far each is from another."""

    def __len__(self) -> int: ...

    def take(self, rows: Indices) -> Space:
        """Some of the faces."""

    def bounds(self, at: int) -> Float:
        """(N,) what the distance from one face to each is at least; cheap."""

    def distances(self, at: int, rows: Indices) -> Float:
        """(K,) the distances themselves."""


class Histograms:
    """Faces by their colours: Σ √(1 − Σ √(p q)) over the channels, DeepFaceLab's distance.

    Each term is the Euclidean distance of the roots over √2, so principal axes, with the length of what they leave out
    as one more coordinate, bound it from below.

    Attributes:
        roots: (C, N, B) float32, roots of shares, each row of length 1.
    """

    def __init__(self, roots: Float, low: Float | None = None) -> None:
        self.roots = roots
        self._low = np.stack([_reduced(channel) for channel in roots]) if low is None else low
        self._squares = (self._low**2).sum(axis=2)

    def __len__(self) -> int:
        return int(self.roots.shape[1])

    def take(self, rows: Indices) -> Histograms:
        return Histograms(self.roots[:, rows], self._low[:, rows])

    def bounds(self, at: int) -> Float:
        apart = (
            self._squares
            + (self._squares[:, at, None] - _SLACK)
            - 2.0 * _products(self._low, self._low[:, at])
        )
        return np.asarray(np.sqrt(np.maximum(apart, 0.0) * np.float32(0.5)).sum(axis=0), np.float32)

    def distances(self, at: int, rows: Indices) -> Float:
        most = 2 * len(rows) > len(self)  # then all are done in less time than those are copied
        products = _products(self.roots if most else self.roots[:, rows], self.roots[:, at])
        apart = np.sqrt(np.maximum(1.0 - products, 0.0)).sum(axis=0)
        return np.asarray(apart[rows] if most else apart, np.float32)


def _products(rows: Float, one: Float) -> Float:
    """(C, N) of (C, N, A) and (C, A). Not by BLAS: its threads gain nothing here and wait for cores that are busy."""
    return np.asarray(np.einsum("cna,ca->cn", rows, one), np.float32)


def _reduced(roots: Float) -> Float:
    """(N, A + 1) coordinates of (N, B) rows along their principal axes, and the length of what these leave out."""
    centred = roots - roots.mean(axis=0)
    axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))[1][:, -_AXES:].astype(np.float32)
    low = centred @ axes
    rest = (centred**2).sum(axis=1) - (low**2).sum(axis=1)
    return np.column_stack([low, np.sqrt(np.maximum(rest, 0.0))])


class Pictures:
    """Faces by their pixels: the mean absolute difference, which that of sums over cells bounds from below.

    Attributes:
        thumbnails: (N, S, S) uint8.
    """

    def __init__(self, thumbnails: npt.NDArray[np.uint8], low: Array | None = None) -> None:
        self.thumbnails = thumbnails
        self._low = self._reduced(thumbnails) if low is None else low

    @staticmethod
    def _reduced(thumbnails: npt.NDArray[np.uint8]) -> Array:
        """(cells, N) int16, the sum over each cell."""
        count, side, _ = thumbnails.shape
        cells = thumbnails.reshape(count, side // _CELL, _CELL, side // _CELL, _CELL)
        return np.ascontiguousarray(cells.sum(axis=(2, 4), dtype=np.int16).reshape(count, -1).T)

    def __len__(self) -> int:
        return len(self.thumbnails)

    def take(self, rows: Indices) -> Pictures:
        return Pictures(self.thumbnails[rows], self._low[:, rows])

    def bounds(self, at: int) -> Float:
        total = np.zeros(len(self), np.int32)
        for (
            cell
        ) in self._low:  # one after the other, so that what is worked on stays in the processor's cache
            total += np.abs(cell - cell[at])
        return self._mean(total)

    def distances(self, at: int, rows: Indices) -> Float:
        apart = np.abs(self.thumbnails[rows].astype(np.int16) - self.thumbnails[at])
        return self._mean(apart.sum(axis=(1, 2), dtype=np.int32))

    def _mean(self, sums: Array) -> Float:
        return np.asarray(sums / np.float32(255 * self.thumbnails[0].size), np.float32)


def chain(space: Space) -> Indices:
    """(N,) the faces, from the first on, each followed by the nearest of those that are left; the first of equals."""
    parts: list[Indices] = []
    for first in range(0, len(space), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(space)))
        start = int(np.argmin(space.distances(int(parts[-1][-1]), rows))) if parts else 0
        parts.append(rows[_chain(space.take(rows), start)])
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _chain(space: Space, at: int) -> Indices:
    order = np.empty(len(space), np.int64)
    names = np.arange(len(space))  # of the faces still in `space`
    gone = np.zeros(len(space), bool)
    for place in range(len(order)):
        order[place] = names[at]
        gone[at] = True
        if place == len(order) - 1:
            break
        after = _nearest(space, at, gone)
        if 2 * np.count_nonzero(gone) > len(gone):  # what is gone costs time
            left = np.flatnonzero(~gone)
            after = int(np.searchsorted(left, after))
            space, names, gone = space.take(left), names[left], gone[left]
        at = after
    return order


def _nearest(space: Space, at: int, gone: Array) -> int:
    bounds = space.bounds(at)
    bounds[gone] = np.inf
    first = np.argpartition(bounds, _FIRST)[:_FIRST] if len(bounds) > _FIRST else np.arange(len(bounds))
    first = first[~gone[first]]
    reach = space.distances(at, first).min()
    rows = np.flatnonzero(bounds <= reach)  # rising, so that the first of equals is taken
    return int(rows[np.argmin(space.distances(at, rows))])


def unlike_histograms(roots: Float) -> Float:
    """(N,) mean Bhattacharyya distance, 0 to 1, of each face's histogram (N, B) to those of all others."""
    others = roots[_spread(len(roots))]
    sums = np.empty(len(roots), np.float32)
    for first in range(0, len(roots), _BLOCK):
        apart = roots[first : first + _BLOCK] @ others.T
        np.subtract(1.0, apart, out=apart)
        np.sqrt(np.maximum(apart, 0.0, out=apart), out=apart)
        sums[first : first + _BLOCK] = apart.sum(axis=1)
    return sums / np.float32(max(1, len(others) - 1))


def unlike_pictures(thumbnails: npt.NDArray[np.uint8]) -> Float:
    """(N,) mean absolute difference, 0 to 1, of each thumbnail (N, S, S) to all others.

    Pixel by pixel: how many faces have each code value says how far any value is from all of them.
    """
    pixels = thumbnails.reshape(len(thumbnails), -1)
    apart = np.abs(np.subtract.outer(np.arange(256), np.arange(256))).astype(np.float64)
    sums = np.zeros(len(pixels))
    for column in pixels.T:
        sums += (apart @ np.bincount(column, minlength=256))[column]
    return np.asarray(sums / (255.0 * pixels.shape[1] * max(1, len(pixels) - 1)), np.float32)


def best(poses: Array, merit: Array, roots: Float, count: int) -> Indices:
    """(N,) all faces, those first of which training has the most: DeepFaceLab's "best faces" (mainscripts/Sorter.py).

    128 ranges of yaw get an equal share of `count`, and share what some can not fill; in each the sharpest are spread
    over as many ranges of pitch, and there the one most unlike the others comes first. Beyond DeepFaceLab, the first
    of every range of yaw come before all second ones, fewer faces than ranges get fewer ranges, and who is not chosen
    follows, the sharpest first.

    Args:
        poses: (N, 2) yaw and pitch in degrees.
        merit: (N,) sharpness, or size; NaN comes last.
        roots: (N, B) of the histograms by which faces are unlike.
        count: how many are wanted.
    """
    merit = np.where(np.isfinite(merit), merit, -np.inf)
    by_merit = np.argsort(-merit, kind="stable")
    bins = min(YAW_BINS, max(1, count))
    limit = np.degrees(YAW_LIMIT)
    yaw = np.digitize(poses[:, 0], np.linspace(-limit, limit, bins + 1)[1:-1])
    quota = max(1, round(count / bins))
    held = np.bincount(yaw, minlength=bins)
    quota += int(np.maximum(quota - held, 0).sum()) // bins
    rounds: list[list[int]] = [[] for _ in range(quota)]
    for each in np.flatnonzero(held):
        members = by_merit[yaw[by_merit] == each][: SHARPEST * quota]
        for turn, face in enumerate(_over_pitch(members, poses[:, 1], roots, quota)):
            rounds[turn].append(face)
    chosen = [face for turn in rounds for face in sorted(turn, key=lambda i: (-merit[i], i))]
    rest = by_merit[~np.isin(by_merit, chosen)]
    return np.concatenate([np.array(chosen, np.int64), rest])


def _over_pitch(members: Indices, pitch: Array, roots: Float, quota: int) -> list[int]:
    """At most `quota` of the members, in turn from each range of pitch that has any left."""
    ranges = np.digitize(pitch[members], np.linspace(-90.0, 90.0, quota + 1)[1:-1])
    queues = []
    for each in np.unique(ranges):
        within = members[ranges == each]
        queues.append(within[np.argsort(-unlike_histograms(roots[within]), kind="stable")].tolist())
    taken: list[int] = []
    while queues and len(taken) < quota:
        taken += [queue.pop(0) for queue in queues]
        queues = [queue for queue in queues if queue]
    return taken[:quota]


def _spread(count: int) -> Indices:
    return np.unique(np.linspace(0, count - 1, min(count, CHUNK)).round().astype(np.int64))
