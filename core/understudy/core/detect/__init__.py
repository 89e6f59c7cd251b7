"""Detectors: where the faces of a picture are. One file each; its name is the choice."""

from __future__ import annotations

from typing import Protocol

from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.weights import WeightStore


class Detector(Protocol):
    """Finds faces."""

    def detect(self, proxy: Float) -> list[Detection]:
        """Faces in a viewing proxy (H, W, 3) float32 in [0, 1], square pixels; best score first.

        Boxes and key points are in the proxy's pixels, centres at +0.5. An empty list when there is no face.
        """


class Family(Protocol):
    """A member's module, as `_plugins.load("detect", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore) -> Detector:
        """Raises WeightsMissing or WeightsCorrupt."""
