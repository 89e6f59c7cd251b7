"""Colour match by distributions, channel by channel in the codes of `_space.SRGB`: the value below which a part of the
face lies becomes the one below which the same part of the plate does.

Known at `_PARTS` parts with straight lines between, so that grain is not matched grain for grain; no line changes
contrast further than `_statistics.GAIN`, and the plate's middle is met in any case. Beyond the outermost parts the
change is that of the last one. The blend `hist_match` does the like to each frame on the plate; this one is fitted
as the other members are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._space import SRGB, Codes
from understudy.core.match._statistics import Array, curve, nothing, quantiles, rounded, sample

VERSION = 2

_PARTS = 33


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """The quantiles of the face's R, G and B (3 · 33) under the matte, then of the plate's; (198,)."""
    found = sample(SRGB, face, plate, matte)
    if found is None:
        return nothing(6 * _PARTS)
    parts = (np.arange(_PARTS) + 0.5) / _PARTS
    return np.concatenate(
        [
            quantiles(channel, found.weights, parts)
            for codes in (found.face, found.plate)
            for channel in codes.T
        ]
    )


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """Each channel by its curve, by `amount` of the way in codes."""
    curves = _curves(numbers)

    def changed(codes: Codes) -> Codes:
        moved = [np.interp(codes[..., i], x, y - x).astype(np.float32) for i, (x, y) in enumerate(curves)]
        return codes + np.stack(moved, axis=-1)

    return SRGB.matched(face, changed, amount)


def report(numbers: Numbers) -> dict[str, Any]:
    """`space`, and in `curves` for R, G and B the knots [code, code]; beyond them the slope is 1."""
    knots = {
        name: rounded(np.transpose(pair)) for name, pair in zip(SRGB.axes, _curves(numbers), strict=True)
    }
    return {"space": SRGB.name, "axes": list(SRGB.axes), "curves": knots}


def _curves(numbers: Numbers) -> list[tuple[Array, Array]]:
    """For each channel, codes (33,) of the face, and what becomes of them."""
    face, plate = numbers.reshape(2, 3, _PARTS)
    return [(x, curve(x, y, middle=_PARTS // 2)) for x, y in zip(face, plate, strict=True)]
