"""How each preset is trained: batch, learning rate and its course, augmentation. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from understudy.core.train.augmentation import Augmentation


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `loop` follows.

    Attributes:
        batch_size: samples of each person per iteration.
        learning_rate: Adam's, at its height.
        warmup: iterations over which it rises from nothing.
        floor: share of its height that is left when the target is reached.
        calm: share of the target from which on the input is warped less and less, so that the last iterations
            see faces as they are; 1 never.
        augmentation: how far samples stray until then.
        beyond: how much the picture around the face counts in the loss, 0 to 1.
    """

    batch_size: int = 4
    learning_rate: float = 5e-4
    warmup: int = 50
    floor: float = 0.02
    calm: float = 0.4
    augmentation: Augmentation = field(default_factory=Augmentation)
    beyond: float = 0.1

    def rate(self, iteration: int, progress: float) -> float:
        """The learning rate. `progress` is the share of the target that is done, 0 where there is no target."""
        fade = self.floor + (1 - self.floor) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))
        return self.learning_rate * min(1.0, (iteration + 1) / self.warmup) * fade

    def augment(self, progress: float) -> Augmentation:
        """The augmentation at that share of the target."""
        if progress <= self.calm or self.calm >= 1:
            return self.augmentation
        left = max(0.25, 1 - (progress - self.calm) / (1 - self.calm))
        return replace(self.augmentation, warp=self.augmentation.warp * left)


_PLANS = {"quick64": Plan(), "quick96": Plan(batch_size=4, learning_rate=2e-4)}


def plan(preset: str) -> Plan:
    """The plan of a preset; those without one of their own share the default."""
    return _PLANS.get(preset, Plan(batch_size=8, learning_rate=1e-4))
