"""Light in stops: a curve that is a logarithm for bright values, straight around 0, and odd.

Negative values survive, zero has no pole, and nothing is so bright that it has no code. Where light is mixed (by a
lens, by a shutter) it is not to be used: light adds up in scene-linear. It is for what an eye compares.
"""

from __future__ import annotations

import numpy as np

from understudy.core.frames import Float

_TOE = 0.01  # scene-linear; above it a code goes up by nearly 1 per stop: four stops below mid grey
_LN2 = np.float32(np.log(2.0))


def encode(light: Float) -> Float:
    """Scene-linear → stops; 0 at 0, about 4.2 at mid grey."""
    stops: Float = light / np.float32(2.0 * _TOE)
    np.arcsinh(stops, out=stops)
    stops /= _LN2
    return stops


def decode(stops: Float) -> Float:
    """The way back, exact but for rounding."""
    light: Float = stops * _LN2
    np.sinh(light, out=light)
    light *= np.float32(2.0 * _TOE)
    return light
