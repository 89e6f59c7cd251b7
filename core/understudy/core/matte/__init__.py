"""Mattes: which pixels of an aligned face are face. One file each; its name is the choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from understudy.core.align import Points
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

Draw = Callable[[Points, tuple[int, int]], Float]
"""Draws a matte of 68 landmarks (68, 2) in the pixels of a picture of that height and width."""


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

    One that looks at the landmarks alone also has a `draw`, of type `Draw`, which does what `matte` does.
    """

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore) -> Matter:
        """Raises WeightsMissing or WeightsCorrupt."""


def soft(draw: Draw, landmarks: Points, shape: tuple[int, int], *, times: int = 4) -> Float:
    """(H, W) float32 in [0, 1]: what is drawn of 68 landmarks (68, 2) in the pixels of `shape`, with soft edges.

    Drawings go by whole pixels, which on a crop would be steps, and jitter on the plate: they are made so many times
    larger and averaged.
    """
    height, width = shape
    drawn = draw(landmarks * times, (height * times, width * times))
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.float32)
