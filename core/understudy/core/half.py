"""Between float16 and float32, by the processor's own instructions: numpy converts in software, ten times slower.

OpenCV does it, rounding to nearest, ties to even, as numpy does; less 0 keeps −0, where 0 more would not.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def narrowed(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Any shape, finite and within half's range: the nearest float16, as `astype` gives it. A new array."""
    return _converted(x, np.dtype(np.float16), cv2.CV_16F)


def widened(x: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Any shape, any values: exact, but a NaN's payload may not survive. A new array."""
    return _converted(x, np.dtype(np.float32), cv2.CV_32F)


def _converted(x: npt.NDArray[Any], kind: np.dtype[Any], depth: int) -> npt.NDArray[Any]:
    if x.size == 0:
        return x.astype(kind)
    rows = (
        x.ndim == 2 and x.strides[1] == x.itemsize and x.strides[0] > 0
    )  # a part of a plane need not be copied
    flat = x if rows else np.ascontiguousarray(x).reshape(x.shape[0] if x.ndim else 1, -1)
    nothing: Any = 0.0  # the stubs know of arrays only
    return np.asarray(cv2.subtract(flat, nothing, dtype=depth), kind).reshape(x.shape)
