"""What `idt` and `sot` share: the whole distribution of the codes of `_space.SRGB`."""

from __future__ import annotations

from typing import Any

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._affine import bend, grounded, moments
from understudy.core.match._space import SRGB
from understudy.core.match._statistics import nothing, sample
from understudy.core.match._transport import PIXELS, Transport


def measure(transport: Transport, face: Float, plate: Float, matte: Float) -> Numbers:
    """What the transport fits; NaN throughout where the matte is too empty."""
    found = sample(SRGB, face, plate, matte, most=PIXELS)
    return nothing(transport.count) if found is None else transport.fit(found)


def apply(transport: Transport, face: Float, numbers: Numbers, amount: float) -> Float:
    """The face, by `amount` of the way in codes."""
    return SRGB.matched(face, grounded(transport.change(numbers), moments(numbers)[1]), amount)


def report(transport: Transport, numbers: Numbers) -> dict[str, Any]:
    """`space` and `axes`, what `Transport.report` says, and its `_affine.bend`."""
    named = {"space": SRGB.name, "axes": list(SRGB.axes)}
    return {**named, **transport.report(numbers), **bend(moments(numbers)[1])}
