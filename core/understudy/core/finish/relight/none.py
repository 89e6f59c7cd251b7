"""The network's light as it is."""

from __future__ import annotations

from understudy.core.frames import Float


def relight(
    face: Float,
    plate: Float,  # noqa: ARG001  the family's signature
    matte: Float,  # noqa: ARG001
    amount: float,  # noqa: ARG001
    softness: float,  # noqa: ARG001
) -> Float:
    """The face as it came."""
    return face
