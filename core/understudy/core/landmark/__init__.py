"""Landmarkers: the points of one face. One file each; its name is the choice."""

from __future__ import annotations

from typing import Protocol

from understudy.core.face import Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.weights import WeightStore


class Landmarker(Protocol):
    """Finds the points of a face."""

    def landmarks(self, proxy: Float, detection: Detection) -> tuple[Landmarks, float]:
        """Points of the detected face and the confidence, 0 to 1, that they lie on a face.

        `proxy` is (H, W, 3) float32 in [0, 1], square pixels; points are in its pixels, centres at +0.5, in the
        landmarker's own scheme.
        """

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        """The same face in iBUG 300-W order, which alignment and hull need."""


class Family(Protocol):
    """A member's module, as `_plugins.load("landmark", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore) -> Landmarker:
        """Raises WeightsMissing or WeightsCorrupt."""
