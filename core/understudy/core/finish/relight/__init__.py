"""Relighters: the face takes on the light of the plate as it falls here and there. One file each; its name is the
choice: `_plugins.load("finish.relight", name)`, a studio's own by entry points of `understudy.finish.relight`.
"""

from __future__ import annotations

from typing import Protocol

from understudy.core.frames import Float

FAMILY = "finish.relight"


class Relight(Protocol):
    """What a module of this family offers."""

    def relight(self, face: Float, plate: Float, matte: Float, amount: float, softness: float) -> Float:
        """The face (H, W, 3) in the plate's light; the face as it came where `amount` is 0 or the matte is empty.

        Args:
            face: scene-linear in the working space, may exceed 1 and be negative; in any space that plate and matte
                are in too, crop or plate.
            plate: (H, W, 3) likewise, the performance that the face goes onto.
            matte: (H, W) in [0, 1]: where plate and face show the same, a face's skin. Nothing beyond it counts.
            amount: 0 to 1, in stops: half the amount is half the difference.
            softness: 0.02 to 1, the standard deviation of the finest light that is told from the face's own
                features, in shares of the face's size (the root of the matte's area).

        Raises:
            InvalidInput: a number out of its range.
        """
        ...
