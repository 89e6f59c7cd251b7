"""Enhancers: detail for faces that are made larger. One file each; its name is the choice.

They work on an exposed face: who has a shot's gain multiplies by it before and divides after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from understudy.core import _plugins
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

TRAINED = "trained"
"""The member whose network is a folder of the user's own."""


class Enhancer(Protocol):
    """Makes a face larger.

    Attributes:
        digest: names the weights that it works with; empty where there are none.
    """

    @property
    def digest(self) -> str: ...

    def enlarge(self, rgb: Float, size: int, face_type: str = "whole") -> Float:
        """(S, S, 3) float32, scene-linear, may be negative or above 1 → (size, size, 3), size ≥ S; never clipped.

        Pixels that are not finite are filled from their neighbours. A face gives the same whichever were before it.

        Args:
            face_type: how much of the head the picture holds, for those who know where eyes are.

        Raises:
            InvalidInput: the size is below the picture's; or a face type that there is none of.
            ModelInvalid: a network's answer is not finite.
        """


class Family(Protocol):
    """A member's module, as `_plugins.load("enhance", name)` gives it; `WEIGHTS` names what it needs of the store."""

    WEIGHTS: tuple[str, ...]

    def create(self, store: WeightStore, *, device: str = "auto") -> Enhancer:
        """As `detect.Family.create`. `trained` also takes the `folder` of its network."""


def opened(
    name: str, store: WeightStore, *, device: str = "auto", folder: Path | None = None, field: str = "enhance"
) -> Enhancer:
    """The member of that name, ready to work.

    Args:
        folder: of a trained enhancer, for the member `trained`; of no concern to others.
        field: of the setting that names it.

    Raises:
        InvalidInput: there is no such member, or it is `trained` and no folder is named.
        LicenceNotAccepted, WeightsMissing, WeightsCorrupt: of a member's weights, or of the library that they need.
        NotFound, ModelInvalid: of the folder.
    """
    family = cast("Family", _plugins.load("enhance", name, field=field))
    if name == TRAINED:
        from understudy.core.enhance import trained

        return trained.create(store, device=device, folder=folder)
    return family.create(store, device=device)
