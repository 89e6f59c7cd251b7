"""The landmarker that suits how the head is turned, among those whose weights are here.

The face mesh looks first: it is quick, and tells how far the head looks aside. Up to 35 degrees the points are 2DFAN's
where that is here, else the mesh's own; from 50 on PRNet's, else 2DFAN's, else still the mesh's. In between they are
mixed, so that a head that turns is handed over without a jump; each frame by itself, whatever was before it.

From about 45 degrees on the far cheek's outline is hidden, and what the networks were taught to draw there parts: the
mesh and 2DFAN follow the edge that is seen, PRNet the jaw behind it. On the test clips, which reach 23 degrees, the
mesh's yaw follows FSA-Net's within 3 degrees (correlation 0.85 to 0.99 where a head turns), so the choice is well told
from it; where the mesh itself is unsure of a face (score under 0.5), the far look is asked instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from understudy.core import _plugins, align
from understudy.core.face import Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Family, Found, Landmarker, Look, _schemes

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS = ("facemesh",)

_SCOUT = "facemesh"
_AHEAD, _ASIDE = ("fan2d",), ("prnet", "fan2d")  # the first that is here; else the scout itself
_NEAR, _FAR = 35.0, 50.0  # degrees of yaw: up to here ahead, from here aside
_UNSURE, _LOST = 0.5, 0.3  # the scout's score: from here down less ahead, from here down aside
_FOCAL = 1.4  # of the picture's width; the pose along the ray to a face hardly depends on it


def create(store: WeightStore, *, device: str = "auto") -> Auto:
    def member(name: str) -> Landmarker:
        family: Family = _plugins.load("landmark", name)
        return family.create(store, device=device)

    def here(name: str) -> bool:
        return all(store.has(weights) for weights in _plugins.load("landmark", name).WEIGHTS)

    chosen = [next((name for name in names if here(name)), _SCOUT) for names in (_AHEAD, _ASIDE)]
    members = {name: member(name) for name in dict.fromkeys((_SCOUT, *chosen))}
    return Auto(members[_SCOUT], members[chosen[0]], members[chosen[1]])


class Auto:
    """See `landmark.Landmarker`; its scheme is 68.

    Args:
        scout: tells the yaw.
        ahead: for faces that look at the lens.
        aside: for those that look away; any two of the three may be the same one.
    """

    def __init__(self, scout: Landmarker, ahead: Landmarker, aside: Landmarker) -> None:
        self._scout, self._ahead, self._aside = scout, ahead, aside

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        if self._ahead is self._aside:  # nothing to choose
            return _in_68(self._ahead, looks)
        scouted = _in_68(self._scout, looks)
        weights = [aside(found, look.proxy) for found, look in zip(scouted, looks, strict=True)]
        near = self._seen(self._ahead, looks, scouted, [i for i, w in enumerate(weights) if w < 1.0])
        far = self._seen(self._aside, looks, scouted, [i for i, w in enumerate(weights) if w > 0.0])
        return [_mixed(near.get(i), far.get(i), weight) for i, weight in enumerate(weights)]

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        return _schemes.only_68(landmarks, "auto")

    def _seen(
        self, landmarker: Landmarker, looks: Sequence[Look], scouted: Sequence[Found], wanted: Sequence[int]
    ) -> dict[int, Found]:
        """What a landmarker finds in the looks that are wanted of it."""
        if landmarker is self._scout:
            return {i: scouted[i] for i in wanted}
        return dict(zip(wanted, _in_68(landmarker, [looks[i] for i in wanted]), strict=True))


def aside(found: Found, proxy: Float) -> float:
    """How much of the answer is the far landmarker's, 0 to 1, for a face whose 68 points the scout has found."""
    points = found.landmarks.points
    if np.ptp(points, axis=0).max() < 1.0:  # it saw nothing
        return 1.0
    yaw = abs(align.pose(points, _FOCAL * proxy.shape[1])[1])
    return max(_ramp(yaw, _NEAR, _FAR), 1.0 - _ramp(found.score, _LOST, _UNSURE))


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def _in_68(landmarker: Landmarker, looks: Sequence[Look]) -> list[Found]:
    return [
        Found(landmarks=landmarker.to_68(found.landmarks), score=found.score)
        for found in landmarker.landmarks(looks)
    ]


def _mixed(near: Found | None, far: Found | None, weight: float) -> Found:
    if near is None or far is None:
        only = far if near is None else near
        assert only is not None, "neither is asked for no weight"
        return only
    said = [(f.landmarks.confidence, w) for f, w in ((near, 1.0 - weight), (far, weight))]
    told = [(c, w) for c, w in said if c is not None]
    confidence = np.average([c for c, _ in told], axis=0, weights=[w for _, w in told]) if told else None
    points = (1.0 - weight) * near.landmarks.points.astype(np.float64) + weight * far.landmarks.points
    landmarks = Landmarks(
        scheme="68",
        points=points.astype(np.float32),
        confidence=None if confidence is None else confidence.astype(np.float32),
    )
    return Found(landmarks=landmarks, score=(1.0 - weight) * near.score + weight * far.score)
