"""Pose from the landmarks alone: a mean head is turned until its points lie on them (`align.pose`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from understudy.core import align
from understudy.core.pose import Angles, PoseLook

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()


def create(store: WeightStore, *, device: str = "auto") -> LandmarkPose:  # noqa: ARG001 - it needs neither
    return LandmarkPose()


class LandmarkPose:
    """See `pose.Poser`."""

    def pose(self, looks: Sequence[PoseLook]) -> list[Angles]:
        return [align.pose(look.points, look.focal) for look in looks]
