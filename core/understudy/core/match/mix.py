"""Colour match of lightness and of colour, each as suits it, in `_space.LAB`: L* by mean and deviation, as `rct` does;
a* and b* together by most of their distribution, as `sot` does. DeepFaceLab's mix of a linear match and sot.

Light changes as a whole, so that no curve bends the shading of the face; lips, cheeks and beard get colours of
their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._space import LAB, Codes
from understudy.core.match._statistics import deviations, nothing, ratio, rounded, sample
from understudy.core.match._transport import PIXELS, Transport
from understudy.core.match.rct import LEAST

VERSION = 2

_TRANSPORT = Transport(dimensions=2, steps=2, bases=4, knots=9, gain=(0.5, 2.0), noise=0.1)


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """Mean and deviation of L* of the face, then of the plate (4); moments of a*, b* of both (10), and 16 curves of 9
    knots; (158,).
    """
    found = sample(LAB, face, plate, matte, most=PIXELS)
    if found is None:
        return nothing(4 + _TRANSPORT.count)
    light, colour = found.along(0, 1), found.along(1, 3)
    means = [*deviations(light.face, light.weights), *deviations(light.plate, light.weights)]
    return np.concatenate([*means, _TRANSPORT.fit(colour)])


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """The face, by `amount` of the way in L*, a*, b*."""
    slope, offset = _line(numbers)
    colours = _TRANSPORT.change(numbers[4:])

    def changed(codes: Codes) -> Codes:
        after = np.empty_like(codes)
        after[..., 0] = codes[..., 0] * np.float32(slope) + np.float32(offset)
        after[..., 1:] = colours(np.ascontiguousarray(codes[..., 1:]))
        return after

    return LAB.matched(face, changed, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, `axes`, `slope` and `offset` of L*; for a* and b* the matrix and curves of `Transport.report`."""
    slope, offset = _line(numbers)
    return {
        "space": LAB.name,
        "axes": list(LAB.axes),
        "slope": rounded(np.array(slope)),
        "offset": rounded(np.array(offset)),
        "colours": _TRANSPORT.report(numbers[4:]),
    }


def _line(numbers: Numbers) -> tuple[float, float]:
    """Slope and offset of L*."""
    mean, deviation, wanted, wide = numbers[:4]
    slope = float(ratio(deviation, wide, LEAST[0]))
    return slope, float(wanted - slope * mean)
