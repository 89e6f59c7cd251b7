"""Ways to put the face onto the plate.

A member is a module with the functions of `Blend`. Whatever it does, it ends in a *finished face*, so that
the published rule, mix(plate, face, matte), holds for every member and a compositor can redo it (promise 4).
"""

from __future__ import annotations

from typing import Protocol

from understudy.core.frames import Float


class Blend(Protocol):
    """What a module of this family offers."""

    def finish(self, plate: Float, face: Float, matte: Float) -> Float:
        """The finished face (h, w, 3): mixed over the plate by the matte it gives this blend's picture.

        Args:
            plate: (h, w, 3) scene-linear, finite, may exceed 1 and be negative.
            face: (h, w, 3) likewise.
            matte: (h, w) in [0, 1], the one that the mix will use.
        """
        ...
