"""Changes of primaries, where they are all that OpenColorIO does between two colour spaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import PyOpenColorIO as ocio  # noqa: N813  as its own documentation does

from understudy.core.frames import Float

Primaries = npt.NDArray[np.float64]
"""(3, 3), from one space's linear RGB to another's."""


def transformed(rgb: Float, matrix: Primaries) -> Float:
    """(H, W, 3) by a matrix, in a quarter of OpenColorIO's time. A new array."""
    if not rgb.size:
        return np.zeros(rgb.shape, np.float32)
    return np.asarray(cv2.transform(np.asarray(rgb, np.float32), matrix.astype(np.float32)), np.float32)


def product(steps: Iterable[Any]) -> Primaries | None:
    """Of matrices without an offset; None where there is another step."""
    product = np.eye(3)
    for step in steps:
        if not isinstance(step, ocio.MatrixTransform) or any(step.getOffset()):
            return None
        matrix = np.array(step.getMatrix(), np.float64).reshape(4, 4)[:3, :3]
        forward = step.getDirection() == ocio.TRANSFORM_DIR_FORWARD
        product = (matrix if forward else np.linalg.inv(matrix)) @ product
    return product
