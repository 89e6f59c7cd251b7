"""Faces that are the same picture but for grain and codec."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from understudy.core.errors import InvalidInput
from understudy.core.faceset import measures, order
from understudy.core.faceset.measured import Table
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array

THRESHOLD = 0.02

_CELL = 4  # pixels of a thumbnail in which the difference is averaged
_COARSE = 8  # and in which means are looked up
_BLOCK = 4096  # faces that are compared with one at a time


def groups(faceset: Faceset, threshold: float = THRESHOLD) -> list[list[int]]:
    """Groups of indices into the records, the sharpest of each first, the largest group first; no face is in two.

    The difference of two faces is that of the part in which they differ most: faces at 32×32 pixels, luma of the
    viewing proxy, 0 to 1, less its mean over the face; absolute differences averaged over parts of 4×4 pixels; the
    largest. Grain and codecs make up to 0.01, a mouth that moves a little more than 0.02.

    Every face of a group is within `threshold` of its sharpest. Groups do not grow along a slow movement, as they
    would if likes of likes were alike.

    The cost is that of looking up neighbours: means over 8×8 pixels, which can not be further apart than the faces,
    lie in a k-d tree, and only what is near there is compared.

    Raises:
        InvalidInput: a threshold that is not from 0 to 1.
        NotMeasured: the faces are not measured.
    """
    if not 0.0 <= threshold <= 1.0:
        raise InvalidInput(f"threshold: {threshold} is not from 0 to 1", field="threshold", value=threshold)
    blur = order.values(faceset, "blur")
    sharpest_first = np.argsort(-blur, kind="stable")[: np.count_nonzero(np.isfinite(blur))]
    if not len(sharpest_first):
        return []
    faces = Table(faceset, measures.GROUP).column("face")
    assert faces is not None, "the faces are known, so their rows are there"
    found = [
        [int(sharpest_first[i]) for i in group]
        for group in _grouped(faces[sharpest_first], 255.0 * threshold)
    ]
    return sorted(found, key=lambda group: (-len(group), group))


def _grouped(faces: npt.NDArray[np.uint8], reach: float) -> list[list[int]]:
    """The first that is left takes all that is near it; who takes nobody is in no group."""
    low = _means(faces, _COARSE)
    free = np.ones(len(faces), bool)
    rows, gone = np.arange(len(faces)), 0  # in the tree, and how many of them are done with
    tree = cKDTree(low)
    found = []
    for face in range(len(faces)):
        if not free[face]:
            continue
        near = rows[tree.query_ball_point(low[face], reach + 1e-6, p=np.inf)]
        group = [face, *_alike(faces, face, np.sort(near[free[near]]), reach)]
        free[group] = False
        if len(group) > 1:
            found.append(group)
        gone += len(group)
        if 2 * gone > len(rows) and gone < len(rows):  # else they would be found again and again
            rows, gone = rows[free[rows]], 0
            tree = cKDTree(low[rows])
    return found


def _alike(faces: npt.NDArray[np.uint8], face: int, others: npt.NDArray[np.int64], reach: float) -> list[int]:
    """Those of the others, all but the face itself, that are within reach of it."""
    found: list[int] = []
    others = others[others != face]
    for first in range(0, len(others), _BLOCK):
        rows = others[first : first + _BLOCK]
        apart = np.abs(faces[rows].astype(np.int16) - faces[face])
        found += rows[_means(apart, _CELL).max(axis=1) <= reach].tolist()
    return found


def _means(pictures: Array, cell: int) -> npt.NDArray[np.float64]:
    """(N, cells) means over squares of `cell` pixels of (N, 32, 32)."""
    side = measures.THUMBNAIL // cell
    tiled = pictures.reshape(len(pictures), side, cell, side, cell)
    return np.asarray(tiled.mean(axis=(2, 4)).reshape(len(pictures), side * side), np.float64)
