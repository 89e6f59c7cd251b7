"""Head pose: how a face is turned. One file each; its name is the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.core.align import Points
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

Angles = tuple[float, float, float]
"""Pitch, yaw and roll in degrees, signs as in `face.Face`."""


@dataclass(frozen=True, kw_only=True)
class PoseLook:
    """A face whose pose is wanted.

    Attributes:
        proxy: viewing proxy (H, W, 3) float32 in [0, 1], square pixels.
        points: 68 landmarks (68, 2) in the proxy's pixels, centres at +0.5.
        focal: the camera's focal length in the proxy's pixels.
    """

    proxy: Float
    points: Points
    focal: float


class Poser(Protocol):
    """Tells how faces are turned."""

    def pose(self, looks: Sequence[PoseLook]) -> list[Angles]:
        """The angles of each; the same whatever others are in the batch."""


class Family(Protocol):
    """A member's module, as `_plugins.load("pose", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore, *, device: str = "auto") -> Poser:
        """As `detect.Family.create`."""
