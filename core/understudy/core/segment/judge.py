"""How near a matte is to the truth: its area, and its edge.

Both compare what lies above a threshold, as the field's benchmarks do.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from understudy.core.frames import Float

TOLERANCE = 0.008  # of the picture's diagonal: Perazzi et al.'s, for `boundary_f`

_Mask = npt.NDArray[np.bool_]


def iou(found: Float, truth: Float, threshold: float = 0.5) -> float:
    """Intersection over union of two mattes of one shape: 1 where they are the same, 0 where they share nothing.

    Two empty ones are the same.
    """
    a, b = found > threshold, truth > threshold
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def boundary_f(
    found: Float, truth: Float, tolerance: float | None = None, *, threshold: float = 0.5
) -> float:
    """How well the edges of two (H, W) mattes agree, 0 to 1.

    The F measure of Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation"
    (DAVIS, CVPR 2016): the harmonic mean of the share of the found edge that lies within `tolerance` of the true one,
    and the share of the true edge within `tolerance` of the found one. An edge is where two neighbours differ; the
    picture's border is none.

    Args:
        tolerance: in pixels; None is `TOLERANCE` of the diagonal, rounded up, as theirs.

    Returns:
        1 for two mattes without any edge that are the same, 0 for two that are not.
    """
    if tolerance is None:
        tolerance = math.ceil(TOLERANCE * math.hypot(*truth.shape))
    a, b = found > threshold, truth > threshold
    edge_a, edge_b = _edge(a), _edge(b)
    if not edge_a.any() and not edge_b.any():
        return float((a == b).all())
    if not edge_a.any() or not edge_b.any():
        return 0.0
    precision, recall = _near(edge_a, edge_b, tolerance), _near(edge_b, edge_a, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edge(mask: _Mask) -> _Mask:
    """Pixels that differ from their neighbour to the right, below or diagonally below."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, beyond = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return np.asarray((mask != right) | (mask != below) | (mask != beyond), np.bool_)


def _near(edge: _Mask, other: _Mask, tolerance: float) -> float:
    """Share of an edge that lies within so many pixels of another, which has some."""
    distance = ndimage.distance_transform_edt(~other)
    return float((distance[edge] <= tolerance).mean())
