"""The space in which these blends add and compare: light as its odd logarithm.

code = asinh(v / (2 · TOE)): the logarithm for bright values, linear around 0, odd; so negative values have a code,
and no code is beyond reach. A sum in code is what a change of exposure is, a product in light; in the blacks it is a
sum in light too, for what is black in one picture and not in the other would be a factor of thousands.

Why not linear light: one lamp beside the matte fills the face with light, and a face that is too dark gets milky
blacks. Why not a logarithm down to the blacks: a strand of black hair at the outline of one picture alone turns the
face around it dark or white. Why not the swap curve's codes: they end, and what lies beyond is lost. Measured in
`python -m bench poisson`; the toe is where neither fault is seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float

Mask = npt.NDArray[np.bool_]

TOE = 0.03
"""Scene-linear: about where codes turn from linear to logarithmic, two and a half stops under mid grey."""


def encode(light: Float) -> Float:
    """(…) scene-linear, finite → codes; 0.18 is at 1.8, 1 at 3.5, 1000 at 10.4."""
    code: Float = np.arcsinh(light * np.float32(0.5 / TOE))
    return code


def known(plate: Float) -> Mask:
    """(h, w): where all channels of (h, w, 3) are finite."""
    finite = np.isfinite(plate)
    if np.all(finite):  # nearly every frame; by pixel it takes twenty times as long
        return np.ones(plate.shape[:2], np.bool_)
    return np.asarray(np.all(finite, axis=-1))


def shifted(light: Float, shift: Float | float) -> Float:
    """The light whose code is `shift` more; exactly the same light where that is 0.

    By P = |v| + √(v² + 4 TOE²), which is 2 TOE · exp |code|: a product then, and no difference of large numbers, so a
    highlight that becomes a shadow is as exact as any.
    """
    sign, size = np.copysign(np.float32(1.0), light), np.abs(light)
    size += np.sqrt(light * light + np.float32(4.0 * TOE * TOE))
    size *= np.exp(sign * np.asarray(shift, np.float32))
    size *= np.float32(0.5)
    size -= np.float32(TOE * TOE) / size
    return np.where(np.asarray(shift) == 0.0, light, sign * size)
