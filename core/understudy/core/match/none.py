"""The network's colour as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers

VERSION = 1


def measure(face: Float, plate: Float, matte: Float) -> Numbers:  # noqa: ARG001  the family's signature
    """Nothing is measured: (0,)."""
    return np.empty(0)


def apply(face: Float, numbers: Numbers, amount: float) -> Float:  # noqa: ARG001  the family's signature
    """The face as it came."""
    return face


def report(numbers: Numbers) -> dict[str, Any]:  # noqa: ARG001  the family's signature
    """There is nothing to redo."""
    return {}
