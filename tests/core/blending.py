"""What the tests of blends share: pictures with film's values, shapes of mattes, a sparse solve as reference."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def picture(seed: int, side: int = 96, exposure: float = 0.18):
    """(side, side, 3) float32, scene-linear: log-normal shading, grain, some negative pixels, one highlight of 60."""
    rng = np.random.default_rng(seed)
    shading = cv2.GaussianBlur(rng.standard_normal((side, side, 3)).astype(np.float32), (0, 0), 4.0) * 8.0
    made = exposure * np.exp(0.5 * shading) + rng.normal(0.0, 0.004, (side, side, 3))
    made[40:42, 50:52] = 60.0
    made[44:46, 40:42] = -0.02
    return made.astype(np.float32)


def shape(kind: str, side: int = 96):
    """(side, side) bool: where a matte of that kind is not 0."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    rng = np.random.default_rng(5)
    oval = (x / 0.36) ** 2 + (y / 0.45) ** 2 < 1.0
    noise = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 2.0)
    return {
        "oval": oval,
        "hole": oval & (np.hypot(x + 0.1, y) > 0.08),
        "pinholes": oval & (rng.random((side, side)) > 0.01),
        "ragged": oval & (noise > -0.1),
        "apart": (np.hypot(x + 0.25, y) < 0.15) | (np.hypot(x - 0.25, y - 0.1) < 0.2),
        "edge": (x / 0.36) ** 2 + ((y - 0.3) / 0.45) ** 2 < 1.0,
        "corner": (x < -0.1) & (y < 0.1),
        "strip": np.abs(x - 0.2 * np.sin(8.0 * y)) < 0.8 / side,
        "dots": np.add.outer(np.arange(side), np.arange(side)) % 7 > 0,
        "pixel": (np.arange(side)[:, None] == 30) & (np.arange(side) == 41),
        "all but three": ~np.isin(np.arange(side * side).reshape(side, side), (4, 3000, 7000)),
    }[kind]


KINDS = (
    "oval",
    "hole",
    "pinholes",
    "ragged",
    "apart",
    "edge",
    "corner",
    "strip",
    "dots",
    "pixel",
    "all but three",
)


def reference(free, fixed, divergence=None):
    """The same equation as `_poisson.solve`, in double precision by elimination."""
    height, width = free.shape
    number = np.cumsum(free).reshape(free.shape) - 1
    ys, xs = np.nonzero(free)
    right = np.zeros((len(ys), fixed.shape[-1])) - (0.0 if divergence is None else divergence[free])
    rows, columns, entries = [], [], []
    for dy, dx in STEPS:
        y, x = ys + dy, xs + dx
        there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        own, y, x = number[ys, xs][there], y[there], x[there]
        tied = free[y, x]
        rows += [own, own[tied]]
        columns += [own, number[y, x][tied]]
        entries += [np.ones(len(own)), -np.ones(tied.sum())]
        np.add.at(right, own[~tied], fixed[y, x][~tied])
    index = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.csc_matrix((np.concatenate(entries), index), shape=(len(ys),) * 2)
    found = fixed.astype(np.float64)
    found[free] = spsolve(matrix, right).reshape(right.shape)
    return found


def laplacian(u):
    """Σ (neighbour − u) over the neighbours in the picture, in double precision."""
    wide = np.pad(u.astype(np.float64), [(1, 1), (1, 1), (0, 0)], mode="edge")
    height, width = u.shape[:2]
    return sum(wide[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] - u for dy, dx in STEPS)


def rim(free):
    """The pixels outside with a neighbour inside."""
    return ~free & (cv2.dilate(free.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0)
