"""Mattes: which pixels of an aligned face are face. One file each; its name is the choice."""

from __future__ import annotations

from typing import Protocol

from understudy.core.align import Points
from understudy.core.frames import Float
from understudy.core.weights import WeightStore


class Matter(Protocol):
    """Makes mattes."""

    def matte(self, proxy: Float, landmarks: Points) -> Float:
        """(H, W) float32 in [0, 1], 1 on the face, in aligned pixels.

        Args:
            proxy: the aligned face as a viewing proxy (H, W, 3) float32 in [0, 1].
            landmarks: its 68 points (68, 2) in the same aligned pixels.
        """


class Family(Protocol):
    """A member's module, as `_plugins.load("matte", name)` gives it; `WEIGHTS` names what it needs of the store.

    One that looks at the landmarks alone also has `draw(landmarks, shape)`, which does what `matte` does for a picture
    of that height and width: who wants it finer than whole pixels draws it larger and averages.
    """

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore) -> Matter:
        """Raises WeightsMissing or WeightsCorrupt."""
