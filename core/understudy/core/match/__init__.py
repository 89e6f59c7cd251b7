"""Colour match: the face takes on the plate's colour, fitted once per shot so that nothing flickers.

A member is a module with the functions of `Match`. `measure` looks at some frames of the shot; the merge
smooths the numbers over time (`merge.analysis`) and `apply` uses those of its frame. The numbers are
delivered with the frames, so that a compositor can rebuild the match.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float

Numbers = npt.NDArray[np.float64]


class Match(Protocol):
    """What a module of this family offers.

    Images are (S, S, 3) float32 in aligned space, scene-linear in the working space and exposed so that
    the face's mid grey is near 0.18; finite, may exceed 1 and be negative.
    """

    def measure(self, face: Float, plate: Float, matte: Float) -> Numbers:
        """One frame's numbers (K,), K fixed for the member; NaN throughout where the matte (S, S) is too
        empty.
        """
        ...

    def apply(self, face: Float, numbers: Numbers, amount: float) -> Float:
        """The face matched by the shot's numbers for its frame; `amount` 0 to 1. Finite stays finite."""
        ...
