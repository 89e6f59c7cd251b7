"""Identity: numbers of a face by which people are told apart. One file each; its name is the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.core.align import Points
from understudy.core.frames import Float
from understudy.core.weights import WeightStore


@dataclass(frozen=True, kw_only=True)
class IdentityLook:
    """A face to describe.

    Attributes:
        proxy: viewing proxy (H, W, 3) float32 in [0, 1], square pixels.
        points: 68 landmarks (68, 2) in its pixels, centres at +0.5.
    """

    proxy: Float
    points: Points


class Describer(Protocol):
    """Describes faces."""

    def describe(self, looks: Sequence[IdentityLook]) -> Float:
        """(N, D) float32; the Euclidean distance of two rows says how unlike two faces are.

        The row of a face that lies outside of its picture altogether is NaN.
        """


class Family(Protocol):
    """A member's module, as `_plugins.load("identity", name)` gives it.

    Attributes:
        WEIGHTS: what it needs of the store.
        SAME: distance up to which its makers call two faces one person.
    """

    WEIGHTS: tuple[str, ...]
    SAME: float

    def create(self, store: WeightStore, *, device: str = "auto") -> Describer:
        """As `detect.Family.create`; WeightsMissing too where a package is not installed."""
