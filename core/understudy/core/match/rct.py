"""Colour match by means and deviations along lightness and the two axes of opponent colours, each for itself, in
`_space.LAB`: as DeepFaceLab has it after Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between Images",
IEEE CG&A 2001. The paper's own space, and what film needs of it, has `reinhard`.

DeepFaceLab counts what lies beyond the matte as black; here it does not count. Nor has DeepFaceLab a limit, and lips
turn magenta and noses red: how far a* and b* spread goes by make-up, spectacles and grain, which two faces do not
share, and of a pale face before a warm plate the method stretches what makes a lip differ from a cheek to 2.7 times.
Here the spread of colours changes no further than that of `reinhard`, whose bounds are ours; their mean does in any
case, so that the face is as saturated as the plate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers, _affine
from understudy.core.match._space import LAB
from understudy.core.match._statistics import GAIN, Array, deviations, nothing, ratio, rounded, sample

VERSION = 2

LEAST = np.array([0.116, 0.5, 0.2])
"""Deviations below which a picture is flat: a thousandth of the root of light behind L*, a* and b*."""

WITHIN = np.array([[GAIN[0], 0.6, 0.6], [GAIN[1], 1.6, 1.6]])
"""How far contrast in L*, a* and b* may change, less and more."""


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """Mean (3) and deviation (3) under the matte in L*, a*, b*: of the face, then of the plate; (12,)."""
    found = sample(LAB, face, plate, matte)
    if found is None:
        return nothing(12)
    return np.concatenate([*deviations(found.face, found.weights), *deviations(found.plate, found.weights)])


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """Move the face's means and deviations to the plate's, by `amount` in L*, a*, b*."""
    slope, offset = line(numbers, WITHIN)
    return LAB.matched(face, _affine.change(np.column_stack([np.diag(slope), offset])), amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """The whole match as a CDL in a space of its own: `slope` and `offset` of L*, a* and b*, nothing else changed."""
    slope, offset = line(numbers, WITHIN)
    return {
        "space": LAB.name,
        "axes": list(LAB.axes),
        "slope": rounded(slope),
        "offset": rounded(offset),
        "power": [1.0, 1.0, 1.0],
        "saturation": 1.0,
    }


def line(numbers: Numbers, within: Array) -> tuple[Array, Array]:
    """Slope and offset (3,) of each axis, the slope within bounds (2, 3)."""
    mean, deviation, wanted, wide = np.split(numbers, 4)
    slope = ratio(deviation, wide, LEAST, within)
    return slope, wanted - slope * mean
