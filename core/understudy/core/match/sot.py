"""Colour match by most of the distribution, six random bases at a time (`_transport`), in the codes of
`_space.SRGB`.

Colours that are alike stay alike, for each curve does a sixth of the change and none changes contrast further than to
half or double; to that end DeepFaceLab's of this name smooths the change over the picture. Here each pixel is changed
by its own colour alone, so that no edge of the crop, and no neighbour, shows. Grain comes out about as strong as it
went in, where `idt` doubles it.
"""

from __future__ import annotations

from typing import Any

from understudy.core.frames import Float
from understudy.core.match import Numbers, _whole
from understudy.core.match._affine import NOISE
from understudy.core.match._transport import Transport

VERSION = 3

_TRANSPORT = Transport(dimensions=3, steps=2, bases=6, knots=9, gain=(0.5, 2.0), noise=NOISE)


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """Moments of both (18) and 36 curves of 9 knots; (342,)."""
    return _whole.measure(_TRANSPORT, face, plate, matte)


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """The face, by `amount` of the way in codes."""
    return _whole.apply(_TRANSPORT, face, numbers, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, `axes`, and the matrix and curves of `Transport.report`."""
    return _whole.report(_TRANSPORT, numbers)
