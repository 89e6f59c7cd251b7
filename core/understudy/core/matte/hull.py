"""The face as the hull of its landmarks: DeepFaceLab's mask (facelib/LandmarksProcessor.py), pixel for pixel.

Eight convex pieces, drawn one over the other, follow the face better than one hull of all points, which would
bridge the hollows beside the mouth and the nose.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.align import Points
from understudy.core.errors import InvalidInput
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()

_PIECES = (
    (*range(9), 17),
    (*range(8, 17), 26),
    (17, 18, 19, 8),
    (24, 25, 26, 8),
    (19, 20, 21, 22, 23, 24, 8),
    (*range(17, 22), 27, *range(31, 36), 8),
    (*range(22, 27), 27, *range(31, 36), 8),
    tuple(range(27, 36)),
)


def create(store: WeightStore) -> Hull:  # noqa: ARG001 - the family's signature; a hull needs no weights
    return Hull()


class Hull:
    """See `matte.Matter`. `brows`: how far the brows are lifted, as in `hull`."""

    def __init__(self, brows: float = 1.0) -> None:
        self._brows = brows

    def matte(self, proxy: Float, landmarks: Points) -> Float:
        height, width = proxy.shape[:2]
        return hull(landmarks, (height, width), brows=self._brows)


def hull(landmarks: Points, shape: tuple[int, int], *, brows: float = 1.0) -> Float:
    """(H, W) float32, 1 inside and 0 outside, for 68 landmarks (68, 2) in the pixels of `shape`.

    Args:
        landmarks: may reach beyond the picture. Each stands for the pixel that it lies in.
        shape: height and width.
        brows: how far up the forehead the brows are lifted, in units of half their height over the eyes.

    Raises:
        InvalidInput: not 68 finite points.
    """
    pixels = lift_brows(checked(landmarks), brows)
    mask = np.zeros(shape, np.uint8)
    for piece in _PIECES:
        cv2.fillConvexPoly(mask, cv2.convexHull(pixels[list(piece)]), 1)
    return mask.astype(np.float32)


draw = hull  # as it is without other brows


def checked(landmarks: Points) -> npt.NDArray[np.float64]:
    """The points as numbers; raises InvalidInput if they are not 68 finite ones."""
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise InvalidInput(f"landmarks: a hull wants 68 finite points, got {points.shape}", field="landmarks")
    return points


def lift_brows(landmarks: npt.NDArray[np.float64], brows: float) -> npt.NDArray[np.int32]:
    """Landmarks as pixel indices (68, 2), the brows moved away from the eyes: annotations end there, faces do not.

    Whole numbers throughout, truncated as DeepFaceLab truncates them.
    """
    p = landmarks.astype(np.int32)
    left, right = (p[36] + p[0]) // 2, (p[16] + p[45]) // 2
    below_left = np.stack([(p[36] + left) // 2, p[36], p[37], p[38], p[39]])
    below_right = np.stack([p[42], p[43], p[44], p[45], (p[45] + right) // 2])
    p[17:22] = (p[17:22] + brows * 0.5 * (p[17:22] - below_left)).astype(np.int32)
    p[22:27] = (p[22:27] + brows * 0.5 * (p[22:27] - below_right)).astype(np.int32)
    return p
