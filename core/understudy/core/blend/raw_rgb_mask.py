"""The network's face as it came, under the recipe's matte: for a compositor who matches colours by hand."""

from __future__ import annotations

from understudy.core.blend import Wants
from understudy.core.frames import Float

WANTS = Wants(raw=True, pointwise=True)


def finish(plate: Float, face: Float, matte: Float) -> Float:  # noqa: ARG001  the family's signature
    """The face itself."""
    return face
