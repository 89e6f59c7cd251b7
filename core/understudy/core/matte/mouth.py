"""Around the mouth's opening, soft: DeepFaceLab's mouth mask."""

from __future__ import annotations

from understudy.core.matte._part import Part
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()

_MOUTH = Part((tuple(range(60, 68)),))
draw = _MOUTH.draw


def create(store: WeightStore) -> Part:  # noqa: ARG001 - the family's signature; landmarks need no weights
    return _MOUTH
