"""The half pixel between DeepFaceLab's coordinates and ours, and the names of the face types.

DeepFaceLab works in OpenCV's coordinates, in the frame as in the crop: the centre of the first sample is at (0, 0).
Ours has it at (0.5, 0.5) (`frames`). So a point p of theirs is p + ½ here, and their matrix q = A·p + b becomes

    q + ½ = A·((p + ½) − ½) + b + ½,    that is A and b + ½ − A·(½, ½).

Their crop's corners map to 0 and S *in their coordinates*: the picture that it samples lies half a crop pixel to the
right of and below the one that `align.fit` would cut around the same landmarks. The matrix that is kept says where
its pixels really come from, so nothing is lost or moved.

Source: facelib/LandmarksProcessor.py:275 (get_transform_mat) and cv2.warpAffine's documentation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from understudy.core.face import Matrix

Points = npt.NDArray[np.float64]

FACE_TYPES = {
    "half_face": "half",
    "midfull_face": "mid_full",
    "full_face": "full",
    "full_face_no_align": "full_no_align",
    "whole_face": "whole",
    "head": "head",
    "head_no_align": "head_no_align",
}
"""DeepFaceLab's name → ours. Its `mark_only` is no crop."""

_HALF = 0.5


def ours(points: Points) -> Points:
    """(N, 2) points of DeepFaceLab's frame or crop → plate or aligned coordinates."""
    return points + _HALF


def theirs(points: npt.NDArray[np.floating]) -> Points:
    """(N, 2) plate or aligned points → DeepFaceLab's."""
    return points.astype(np.float64) - _HALF


def matrix_ours(matrix: Matrix) -> Matrix:
    """DeepFaceLab's (2, 3) image_to_face_mat → plate to aligned coordinates."""
    return _shifted(matrix, _HALF)


def matrix_theirs(matrix: Matrix) -> Matrix:
    """(2, 3) plate to aligned coordinates → DeepFaceLab's image_to_face_mat."""
    return _shifted(matrix, -_HALF)


def _shifted(matrix: Matrix, by: float) -> Matrix:
    linear = matrix[:, :2]
    return np.column_stack([linear, matrix[:, 2] + by - linear @ np.array([by, by])])
