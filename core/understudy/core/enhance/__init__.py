"""Enhancers: detail for faces that are made larger. One file each; its name is the choice."""

from __future__ import annotations

from typing import Protocol

from understudy.core.frames import Float
from understudy.core.weights import WeightStore


class Enhancer(Protocol):
    """Makes a face larger."""

    def enlarge(self, rgb: Float, size: int) -> Float:
        """(S, S, 3) float32, scene-linear, may be negative or above 1 → (size, size, 3), size ≥ S; never clipped."""


class Family(Protocol):
    """A member's module, as `_plugins.load("enhance", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore, *, device: str = "auto") -> Enhancer:
        """As `detect.Family.create`."""
