"""Detectors: where the faces of a picture are. One file each; its name is the choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

SMALLEST = 1 / 72
"""Side of the smallest face that is looked for by default, in the picture's longer side: 57 pixels in 4096."""


class Detector(Protocol):
    """Finds faces."""

    def detect(self, proxies: Sequence[Float], smallest: float | None = None) -> list[list[Detection]]:
        """For each picture its faces, best score first; an empty list where there is none.

        A picture is found the same faces in whatever others are in the batch.

        Args:
            proxies: viewing proxies (H, W, 3) float32 in [0, 1], square pixels, of any sizes. Boxes and key points are
                in each proxy's pixels, centres at +0.5.
            smallest: side in pixels of the smallest face looked for; None is 40, or `SMALLEST` of the longer side if
                that is more. The cost grows with (side of the picture / smallest)², up to where the network sees every
                pixel: who knows how large a face is in a crop, asks for no smaller one.

        Raises:
            InvalidInput: a proxy of another shape or type, or `smallest` not above 0.
        """


class Family(Protocol):
    """A member's module, as `_plugins.load("detect", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore, *, device: str = "auto") -> Detector:
        """`device` as `model.device.pick` takes it; a member that only knows the CPU runs there.

        Raises:
            WeightsMissing, WeightsCorrupt.
            InvalidInput: no such device.
        """
