"""Several looks at each face, for any landmarker: again through the box of the points found, a little moved each time.

What a network sees of a face depends on where its pixels fall: a box that trembles by a pixel moves the points by a
tenth. The mean over several squares has less of that, and a second look does not depend on the detector's box at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.face import Detection, Landmarks
from understudy.core.landmark import Found, Landmarker, Look, _square

_SHIFT = 0.04  # of the box's side: how far the outermost look is moved
_SCALE = 0.06  # of the box's side: between the smallest and the largest look
_TURN = math.pi * (3.0 - math.sqrt(5.0))  # golden angle: any number of looks is spread evenly around
_SPREAD = (math.sqrt(5.0) - 1.0) / 2.0
_GROWN = 1.1  # a detector's box over that of the points; what it has more in height lies above the brows


def averaged(landmarker: Landmarker, looks: Sequence[Look], count: int) -> list[Found]:
    """The mean of `count` looks at each face, through the box of a first look's points; with 1, the first look itself.

    Points, confidences and scores are means. Offsets are always the same ones: equal looks give equal points.

    Raises:
        InvalidInput: `count` is below 1.
    """
    if count < 1:
        raise InvalidInput(f"looks: {count} is not 1 or more", field="looks", value=count)
    first = landmarker.landmarks(looks)
    if count == 1:
        return first
    again = [
        Look(
            proxy=look.proxy,
            detection=_moved(around(landmarker.to_68(found.landmarks), found.score), i, count),
        )
        for look, found in zip(looks, first, strict=True)
        for i in range(count)
    ]
    seen = landmarker.landmarks(again)
    return [_mean(seen[i * count : (i + 1) * count]) for i in range(len(looks))]


def around(landmarks: Landmarks, score: float) -> Detection:
    """A detection as a detector would have made it of the face that has these 68 landmarks."""
    right, left = _square.eyes(landmarks.points)
    degrees = _square.angle(left - right)
    centre, width, height = _square.bounds(landmarks.points, degrees)
    x, y = centre - _square.along(degrees, (0.0, (_GROWN - 1.0) * height / 2.0))
    width, height = _GROWN * width, _GROWN * height
    if round(degrees / 90.0) % 2:  # a box lies along the picture, not along the head
        width, height = height, width
    return Detection(
        box=(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0),
        score=score,
        keypoints=np.array([right, left], np.float32),
        roll=degrees,
    )


def _moved(detection: Detection, i: int, count: int) -> Detection:
    """The `i`-th of `count` boxes: the first where it was, the others on a spiral around it, of several sizes."""
    (x, y), width, height = _square.middle(detection)
    reach = _SHIFT * math.sqrt(i / (count - 1))
    scale = 1.0 + _SCALE * ((i * _SPREAD + 0.5) % 1.0 - 0.5)
    x, y = x + reach * math.cos(i * _TURN) * width, y + reach * math.sin(i * _TURN) * height
    w, h = scale * width / 2.0, scale * height / 2.0
    return Detection(
        box=(x - w, y - h, x + w, y + h),
        score=detection.score,
        keypoints=detection.keypoints,
        roll=detection.roll,
    )


def _mean(found: Sequence[Found]) -> Found:
    points = np.stack([f.landmarks.points for f in found]).mean(axis=0)
    said = [f.landmarks.confidence for f in found if f.landmarks.confidence is not None]
    confidence = np.stack(said).mean(axis=0) if said else None
    landmarks = Landmarks(scheme=found[0].landmarks.scheme, points=points, confidence=confidence)
    return Found(landmarks=landmarks, score=float(np.mean([f.score for f in found])))
