"""Squares that networks look through: laid around a face, turned with the head, and the way back to the picture.

Points are in the proxy's pixels, centres at +0.5; angles in degrees, clockwise in the picture.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from understudy.core import warp
from understudy.core.face import Alignment, Detection
from understudy.core.frames import Float, Window

Points = npt.NDArray[np.floating]


def roll(detection: Detection) -> float:
    """How far the head leans: by the eyes that were found with it, else as the detection says."""
    if len(detection.keypoints) < 2:
        return detection.roll
    right, left = detection.keypoints[0], detection.keypoints[1]
    return angle(left - right)


def angle(across: Points) -> float:
    """How far the head leans whose eyes lie along `across` (2,), from the person's right to the left one."""
    return math.degrees(math.atan2(float(across[1]), float(across[0])))


def quarter(degrees: float) -> float:
    """The nearest quarter turn, for networks that know leaning heads but none that lie or stand on them."""
    return 90.0 * round(degrees / 90.0)


def middle(detection: Detection) -> tuple[Points, float, float]:
    """Centre (2,), width and height of the detection's box; no side is below one pixel."""
    x0, y0, x1, y1 = detection.box
    return np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0]), max(x1 - x0, 1.0), max(y1 - y0, 1.0)


def bounds(points: Points, degrees: float) -> tuple[Points, float, float]:
    """Centre (2,), width and height of the smallest box around points (N, 2) whose upper edge leans by `degrees`."""
    turn = _turn(degrees)
    turned = np.asarray(points, np.float64) @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    width, height = (high - low).tolist()
    return (low + high) / 2.0 @ turn, max(width, 1.0), max(height, 1.0)


def around(centre: Points, side: float, size: int, degrees: float = 0.0) -> Alignment:
    """The square of `side` proxy pixels around a point, its upper edge leaning by `degrees`, as `size` pixels."""
    linear = _turn(degrees) * (size / side)
    return Alignment(
        matrix=np.column_stack([linear, size / 2.0 - linear @ centre]), size=size, face_type="network"
    )


def seen(proxy: Float, square: Alignment) -> bool:
    """Whether any of the picture lies in the square."""
    return not warp.footprint(square, Window(0, 0, proxy.shape[1], proxy.shape[0])).empty


def cut(proxy: Float, square: Alignment, border: str = "replicate") -> Float:
    """What is seen through the square: (size, size, 3) float32 in [0, 1]. Some of the picture must be `seen`."""
    data = Window(0, 0, proxy.shape[1], proxy.shape[0])
    return warp.to_aligned(proxy, data, square, border=border).clip(0.0, 1.0)


def back(square: Alignment, points: Points) -> npt.NDArray[np.float64]:
    """Points (N, 2) in the square's pixels, centres at +0.5 → proxy pixels."""
    inverse = square.inverse
    return np.asarray(points, np.float64) @ inverse[:, :2].T + inverse[:, 2]


def _turn(degrees: float) -> npt.NDArray[np.float64]:
    """(2, 2): what leans by `degrees` comes out upright."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([(c, s), (-s, c)])


def along(degrees: float, step: tuple[float, float]) -> npt.NDArray[np.float64]:
    """A step (x, y) along the edges of a square that leans by `degrees`, in the picture's axes."""
    return np.asarray(np.array(step) @ _turn(degrees))


def eyes(points: Points) -> npt.NDArray[np.float64]:
    """The middles (2, 2) of the person's right and left eye, of 68 landmarks."""
    return np.stack(
        [np.asarray(points[36:42], np.float64).mean(0), np.asarray(points[42:48], np.float64).mean(0)]
    )
