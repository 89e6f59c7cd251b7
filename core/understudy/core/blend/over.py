"""The face over the plate: the mix rule and nothing else."""

from __future__ import annotations

from understudy.core.blend import Wants
from understudy.core.frames import Float

WANTS = Wants(pointwise=True)


def finish(plate: Float, face: Float, matte: Float) -> Float:  # noqa: ARG001  the family's signature
    """The face itself."""
    return face
