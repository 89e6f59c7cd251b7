"""Colour match by all of the distribution, one random basis after the other (`_transport`), in the codes of
`_space.SRGB`. It goes all the way; DeepFaceLab's of this name stops two thirds of it, and draws anew at each frame.

The price is grain: where two distributions differ much, colours that were alike are pulled apart, and what little
tells them from each other is grain. `sot` goes less far and keeps it.
"""

from __future__ import annotations

from typing import Any

from understudy.core.frames import Float
from understudy.core.match import Numbers, _whole
from understudy.core.match._affine import NOISE
from understudy.core.match._statistics import GAIN
from understudy.core.match._transport import Transport

VERSION = 3

_TRANSPORT = Transport(dimensions=3, steps=10, bases=1, knots=13, gain=GAIN, noise=NOISE)


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """Moments of both (18) and 30 curves of 13 knots; (408,)."""
    return _whole.measure(_TRANSPORT, face, plate, matte)


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """The face, by `amount` of the way in codes."""
    return _whole.apply(_TRANSPORT, face, numbers, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, `axes`, and the matrix and curves of `Transport.report`."""
    return _whole.report(_TRANSPORT, numbers)
