"""Made-up things before a face: what a segmenter has to tell from it, drawn anew for every sample.

Nothing here is a picture of anything: hands, hair, glasses, bars, cloth and smoke are drawn from numbers, in the light
and the skin tone of the face that they cover, and blurred as a camera blurs what moves or is out of focus. All from a
seeded generator on the CPU. To add a kind: a module with `draw(rng, scene)`, and its name and share in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from understudy.core.frames import Float
from understudy.core.segment.augmentation import Augmentation
from understudy.core.segment.occluders import cloth, glasses, hair, hand, rods, smoke
from understudy.core.segment.occluders.paint import Layer, blurred, over
from understudy.core.segment.occluders.scene import Rng, Scene

__all__ = ["KINDS", "Layer", "Scene", "batch", "draw", "over"]

Draw = Callable[[Rng, Scene], Layer]

KINDS: Mapping[str, tuple[Draw, float]] = MappingProxyType(
    {
        "hand": (hand.draw, 0.28),
        "hair": (hair.draw, 0.18),
        "glasses": (glasses.draw, 0.12),
        "cover": (cloth.cover, 0.1),
        "thing": (cloth.thing, 0.08),
        "bar": (rods.bar, 0.07),
        "microphone": (rods.microphone, 0.06),
        "shape": (cloth.shape, 0.06),
        "smoke": (smoke.draw, 0.05),
    }
)
"""Kinds, and how often each is drawn, relative to each other."""


def draw(rng: Rng, scene: Scene) -> Layer:
    """One occluder of any kind: colours (S, S, 3) in codes, anything where alpha is 0; alpha (S, S)."""
    shares = np.array([share for _, share in KINDS.values()])
    return KINDS[str(rng.choice(list(KINDS), p=shares / shares.sum()))][0](rng, scene)


def batch(
    crops_BCHW: Tensor, amount: Augmentation, rng: Rng, *, face_type: str = "whole", share: float = 0.8
) -> Tensor:
    """What lies over each of the crops (B, 4, M, M), colours and label on the CPU, with `amount.occluder` as chance.

    Args:
        face_type, share: where in the crops faces are: as these were cut.

    Returns:
        (B, 5, M, M) float32: colours, alpha, and by how much the crop is darker for the shadow of it.
    """
    crops = crops_BCHW.permute(0, 2, 3, 1).numpy()
    count, size = crops.shape[:2]
    laid = np.zeros((count, size, size, 5), np.float32)
    for place, crop in enumerate(crops):
        if rng.random() >= amount.occluder:
            continue
        cloth = crops[int(rng.integers(count))]
        scene = Scene.of(rng, crop, cloth, face_type, share)
        layer = draw(rng, scene)
        if rng.random() < 0.25:
            layer = over(draw(rng, scene), layer)
        laid[place, ..., :3], laid[place, ..., 3] = layer
        laid[place, ..., 4] = shadow(rng, layer[1], scene, amount.shadow)
    return torch.from_numpy(laid).permute(0, 3, 1, 2)


def shadow(rng: Rng, alpha: Float, scene: Scene, most: float) -> Float:
    """(S, S) in [0, `most`]: how much light is kept from what lies behind: soft, and away from the light."""
    reach = scene.unit * rng.uniform(0.02, 0.15)
    shift = np.round(-scene.light[:2] / max(float(scene.light[2]), 0.3) * reach).astype(int)
    soft = blurred(alpha, reach * rng.uniform(0.4, 1.0))
    padded = np.pad(soft, int(np.abs(shift).max()), mode="edge")
    y, x = np.abs(shift).max() - shift[::-1]
    return np.asarray(padded[y : y + len(alpha), x : x + len(alpha)] * rng.uniform(0, most), np.float32)
