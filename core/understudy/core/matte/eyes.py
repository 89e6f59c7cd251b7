"""Around both eyes, soft: DeepFaceLab's eye mask."""

from __future__ import annotations

from understudy.core.matte._part import Part
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()

_EYES = Part((tuple(range(36, 42)), tuple(range(42, 48))))
draw = _EYES.draw


def create(store: WeightStore) -> Part:  # noqa: ARG001 - the family's signature; landmarks need no weights
    return _EYES
