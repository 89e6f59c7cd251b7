"""Landmarkers: the points of one face. One file each; its name is the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.core.face import Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.weights import WeightStore


@dataclass(frozen=True, kw_only=True)
class Look:
    """A face to find the points of.

    Attributes:
        proxy: viewing proxy (H, W, 3) float32 in [0, 1], square pixels.
        detection: where in it the face is; the box may reach beyond the picture.
    """

    proxy: Float
    detection: Detection


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of a face.

    Attributes:
        landmarks: points in the proxy's pixels, centres at +0.5, in the landmarker's own scheme.
        score: confidence, 0 to 1, that they lie on a face.
    """

    landmarks: Landmarks
    score: float


class Landmarker(Protocol):
    """Finds the points of faces."""

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        """The points of each face; the same whatever others are in the batch.

        Each point has a confidence where the network says one. A box that lies wholly outside its picture, or a
        detection of something else, gives points all the same, with a low score.
        """

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        """The same face in iBUG 300-W order, which alignment and hull need; confidences go along."""


class Family(Protocol):
    """A member's module, as `_plugins.load("landmark", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore, *, device: str = "auto") -> Landmarker:
        """As `detect.Family.create`."""
