"""A part of the face as a soft patch around its outline: what `eyes` and `mouth` have in common.

DeepFaceLab's (facelib/LandmarksProcessor.py): hulls of the points, grown by an ellipse of 1/32 of the picture's
height, then blurred over 1/16 of it. How soft it is goes by the crop, not by the face.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.align import Points
from understudy.core.frames import Array, Float
from understudy.core.matte.hull import checked


class Part:
    """See `matte.Matter`. `pieces`: indices of the landmarks whose hulls it is made of."""

    def __init__(self, pieces: tuple[tuple[int, ...], ...]) -> None:
        self._pieces = pieces

    def matte(self, proxy: Float, landmarks: Points) -> Float:
        height, width = proxy.shape[:2]
        return self.draw(landmarks, (height, width))

    def draw(self, landmarks: Points, shape: tuple[int, int]) -> Float:
        """(H, W) float32 in [0, 1] for 68 landmarks (68, 2) in the pixels of `shape`, height and width.

        Raises:
            InvalidInput: not 68 finite points.
        """
        pixels = checked(landmarks).astype(np.int32)
        mask: Array = np.zeros(shape, np.float32)
        for piece in self._pieces:
            cv2.fillConvexPoly(mask, cv2.convexHull(pixels[list(piece)]), 1.0)
        grown, side = max(1, shape[0] // 32), shape[0] // 16 | 1
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grown, grown)))
        soft: Float = np.asarray(cv2.GaussianBlur(mask, (side, side), 0), np.float32)
        return np.clip(soft, 0.0, 1.0, out=soft)
