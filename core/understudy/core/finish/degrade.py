"""A face made as poor as its plate: fewer pixels, fewer colours."""

from __future__ import annotations

import math

import numpy as np

from understudy.core import warp
from understudy.core.face import Alignment
from understudy.core.finish import _checks, _stops
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite


def soften(rgb: Float, share: float) -> Float:
    """The picture (H, W, 3) scaled to `share` of its sides and back, by `warp`'s cubic interpolation in scene-linear.

    Continuous in `share`, since the pixels in between are not rounded to a whole number of them; no value comes out
    that was not in the picture.

    Args:
        rgb: scene-linear in the working space.
        share: 0.01 to 1; 1 changes nothing.

    Raises:
        InvalidInput: the share is out of range.
    """
    _checks.within("degrade.share", share, 0.01, 1.0)
    if share == 1.0:
        return rgb
    height, width = rgb.shape[:2]
    few = Window(0, 0, math.ceil(width * share), math.ceil(height * share))
    down, up = (
        Alignment(matrix=np.array([(times, 0.0, 0.0), (0.0, times, 0.0)]), size=1, face_type="")
        for times in (1.0 / share, share)
    )
    small = warp.to_plate(fill_nonfinite(rgb)[0], down, few, border="replicate")
    return warp.to_plate(small, up, Window(0, 0, width, height), border="replicate")


def posterise(rgb: Float, steps: float, amount: float = 1.0) -> Float:
    """The picture (H, W, 3) with so few values per channel, even steps in stops; above 1 and below 0 they go on.

    The same values on every frame, where a palette that is fitted to each (DeepFaceLab's 256 colours) would flicker.

    Args:
        rgb: scene-linear in the working space.
        steps: per stop of light, 0.1 to 1000. A coder of 8 bits has about 23 at mid grey, and fewer below.
        amount: 0 to 1, share of the result in what comes out.

    Raises:
        InvalidInput: a number out of its range.
    """
    _checks.within("degrade.steps", steps, 0.1, 1000.0)
    _checks.within("degrade.amount", amount, 0.0, 1.0)
    if amount == 0.0:
        return rgb
    picture = fill_nonfinite(rgb)[0]
    code = np.round(_stops.encode(picture) * np.float32(steps)) / np.float32(steps)
    few = _stops.decode(code.astype(np.float32, copy=False))
    return picture + np.float32(amount) * (few - picture)
