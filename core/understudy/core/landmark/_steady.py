"""Points, and how sure they are, of networks that say no confidence of their own.

A network that regresses points answers with a face whatever it is shown. But on a face its points stay on it when the
square it looks through is moved; where there is none they move along. So each face is looked at three times: through
the detector's box, through the square around the points found, and through that square moved aside by a tenth.
The share of the step that a point did not follow is its confidence, the mean over the points the score. PFLD on 223
frames of four performers: 0.90 and more; on 30 boxes beside their faces, and on noise: 0.25 and less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.face import Alignment, Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look, _square
from understudy.core.landmark._schemes import nothing

_STEP = 0.1  # of the square's side


class Regressor(Protocol):
    """A network that points at 68 places of a square."""

    def first(self, detection: Detection) -> Alignment:
        """The square for a detector's box."""

    def again(self, points: npt.NDArray[np.floating], degrees: float) -> Alignment:
        """The square around 68 points of a head that leans by `degrees`."""

    def see(self, pictures: Sequence[Float]) -> list[npt.NDArray[np.float64]]:
        """68 points (68, 2) of each picture (S, S, 3), in its pixels, centres at +0.5."""


@dataclass(frozen=True)
class _Seen:
    square: Alignment
    points: npt.NDArray[np.float64]


def landmarks(network: Regressor, looks: Sequence[Look]) -> list[Found]:
    """As `landmark.Landmarker.landmarks`; the points are the mean of the last two looks."""
    found = [nothing(look.detection) for look in looks]
    first = _look(network, looks, {i: network.first(look.detection) for i, look in enumerate(looks)})
    around = {i: network.again(seen.points, _lean(seen.points)) for i, seen in first.items()}
    still = _look(network, looks, around)
    moved = _look(network, looks, {i: _aside(seen.square) for i, seen in still.items()})
    for i, seen in moved.items():
        before = still[i]
        step = _STEP * before.square.size / np.sqrt(np.linalg.det(before.square.matrix[:, :2]))
        followed = np.linalg.norm(seen.points - before.points, axis=1) / step
        confidence = (1.0 - followed).clip(0.0, 1.0).astype(np.float32)
        points = ((before.points + seen.points) / 2.0).astype(np.float32)
        found[i] = Found(
            landmarks=Landmarks(scheme="68", points=points, confidence=confidence),
            score=float(confidence.mean()),
        )
    return found


def _look(network: Regressor, looks: Sequence[Look], squares: dict[int, Alignment]) -> dict[int, _Seen]:
    """The points of each look that sees any of its picture, in proxy pixels."""
    there = [i for i, square in squares.items() if _square.seen(looks[i].proxy, square)]
    seen = network.see([_square.cut(looks[i].proxy, squares[i], "zero") for i in there])
    return {
        i: _Seen(squares[i], _square.back(squares[i], points)) for i, points in zip(there, seen, strict=True)
    }


def _lean(points: npt.NDArray[np.floating]) -> float:
    right, left = _square.eyes(points)
    return _square.angle(left - right)


def _aside(square: Alignment) -> Alignment:
    """The square a step further along its upper edge."""
    matrix = square.matrix - np.array([(0.0, 0.0, _STEP * square.size), (0.0, 0.0, 0.0)])
    return Alignment(matrix=matrix, size=square.size, face_type=square.face_type)
