"""The face made larger or smaller where it stands, before it goes to the plate: one resampling, none of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from understudy.core.face import Alignment
from understudy.core.finish import _checks


def resized(alignment: Alignment, scale: float, *, about: tuple[float, float] | None = None) -> Alignment:
    """The alignment by which `warp.to_plate` shows a face `scale` times as large in the plate.

    The network's own crop is cut by the alignment as it was; this one is for the way back alone.

    Args:
        scale: 0.1 to 10; 1 changes nothing.
        about: the point of the plate, in plate px, that stays where it is; None: the crop's middle, which goes by all
            landmarks and so trembles least.

    Raises:
        InvalidInput: the scale is out of range.
    """
    _checks.within("scale", scale, 0.1, 10.0)
    if scale == 1.0:
        return alignment
    linear, offset = alignment.matrix[:, :2], alignment.matrix[:, 2]
    middle = np.full(2, alignment.size / 2.0) if about is None else linear @ np.asarray(about) + offset
    return replace(alignment, matrix=np.column_stack([linear / scale, (offset - middle) / scale + middle]))
