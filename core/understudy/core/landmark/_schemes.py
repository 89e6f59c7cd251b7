"""What landmarkers whose own scheme is iBUG's 68 share."""

from __future__ import annotations

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.face import Detection, Landmarks
from understudy.core.landmark import Found, _square


def only_68(landmarks: Landmarks, name: str) -> Landmarks:
    """The landmarks themselves.

    Raises:
        InvalidInput: they are of another scheme, or not 68.
    """
    if landmarks.scheme != "68" or landmarks.points.shape != (68, 2):
        raise InvalidInput(
            f"landmarks: {name} has scheme 68, got {landmarks.scheme} with {len(landmarks.points)} points",
            field="landmarks",
        )
    return landmarks


def nothing(detection: Detection) -> Found:
    """What is found through a square that lies outside the picture."""
    points = np.tile(_square.middle(detection)[0], (68, 1)).astype(np.float32)
    none = np.zeros(68, np.float32)
    return Found(landmarks=Landmarks(scheme="68", points=points, confidence=none), score=0.0)
