"""Small swap models on disk by the real writer."""

from __future__ import annotations

from pathlib import Path

import torch

from understudy.core.colour import SwapCurve
from understudy.core.model import networks, presets, store
from understudy.core.model.presets import ModelConfig

TINY = ModelConfig(
    options="ud", resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16, face_type="full"
)


def make(folder: Path, *, preset: str = "", bare: bool = False, **state) -> Path:
    """A model that has learnt nothing, and has no optimiser's state; a tiny one, of no preset, where none is named.

    A `bare` one has no weights either: for who only reads what is written of it.
    """
    config = presets.preset(preset) if preset else TINY
    weights: dict[str, torch.Tensor] = {}
    if not bare:
        net = networks.build(config)
        net.initialise(torch.Generator().manual_seed(0))
        weights = net.state_dict()
    curve = SwapCurve(gain=1.0)
    said = {"curve": {"knee": curve.knee, "maximum": curve.maximum}, "working_space": "ACEScg", **state}
    store.create(folder, config)
    store.save(folder, store.State(preset=preset, **said), weights, {})
    return folder
