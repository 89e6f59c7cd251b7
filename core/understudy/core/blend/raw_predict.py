"""The network's face under the network's own matte, both as they came: what was predicted and nothing else."""

from __future__ import annotations

from understudy.core.blend import Wants
from understudy.core.frames import Float

WANTS = Wants(raw=True, pointwise=True, matte="network")


def finish(plate: Float, face: Float, matte: Float) -> Float:  # noqa: ARG001  the family's signature
    """The face itself."""
    return face
