"""Colour match: the face takes on the plate's colour, fitted once per shot so that nothing flickers.

A member is a module with the functions of `Match`. `measure` looks at some frames of the shot, or at each; the merge
smooths the numbers over time (`merge.analysis`) and `apply` uses those of its frame. The numbers are
delivered with the frames, and as `report` says them, so that a compositor can rebuild the match.

Members, from the stiffest to the loosest, with what they are called elsewhere:

- `reinhard`: means and deviations in a logarithmic cone space, for film; contrast changes little.
- `rct`: the same in CIE L*a*b*; `lct`, `mkl`: means and covariances of codes, a matrix.
- `hist`: a curve for each channel; `mix`: lightness by a line, colour by its distribution.
- `sot`, `idt`: all of the distribution.

Of the trainer's transfers (`train.transfer`: batches, on any device, for samples that nobody keeps) these have the
names and the mathematics, but numbers that can be kept, averaged over frames and rebuilt; the tests hold the two
together.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float

Numbers = npt.NDArray[np.float64]


class Match(Protocol):
    """What a module of this family offers.

    Images are (S, S, 3) float32 in aligned space, scene-linear in the working space and exposed so that
    the face's mid grey is near 0.18; finite, may exceed 1 and be negative.

    Attributes:
        VERSION: counted up when the same pixels give other numbers, or the same numbers other pixels, so that neither
            a stored analysis nor finished frames are taken for those of today.
    """

    VERSION: int

    def measure(self, face: Float, plate: Float, matte: Float) -> Numbers:
        """One frame's numbers (K,), K fixed for the member; NaN throughout where the matte (S, S) is too
        empty.
        """
        ...

    def apply(self, face: Float, numbers: Numbers, amount: float) -> Float:
        """The face matched by the shot's numbers for its frame; `amount` 0 to 1. Finite stays finite."""
        ...

    def report(self, numbers: Numbers) -> dict[str, Any]:
        """The whole match (`amount` 1) as a comp can redo it, in what JSON can hold: the `space` and its `axes`, and
        there slopes and offsets (a CDL, where nothing else is changed), a `matrix` or `curves`.
        """
        ...
