"""Tiny models, and the files that DeepFaceLab would have saved of them."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.core.shots import make_release
from understudy.core.model import dfl, store, swap
from understudy.core.model.networks import build
from understudy.core.model.presets import ModelConfig
from understudy.core.model.swap import SwapModel

TINY = ModelConfig(options="ud", resolution=64, e_dims=8, d_dims=4, d_mask_dims=2, ae_dims=8)
HOME = "/home/jane.doe/show/src"

STATE = store.State(
    iteration=1200,
    seconds=5400.0,
    src="a" * 64,
    dst="b" * 64,
    src_folder=HOME,
    releases=(make_release(),),
    versions={"understudy": "0.1.0", "torch": "2.13.0"},
)


def made(folder: Path, kind: str = "df-ud", **state: Any) -> SwapModel:
    """A saved model with lively weights: its faces are all but grey, its mattes all but flat."""
    arch, _, options = kind.partition("-")
    config = replace(TINY, arch=arch, options=options)
    generator = torch.Generator().manual_seed(3)
    net = build(config)
    net.initialise(generator)
    weights = {  # what begins at nothing gets something, and the heads more than the grey that they begin with
        name: each * (4.0 if ".out" in name else 1.0)
        + torch.randn(each.shape, generator=generator) * (0.3 / max(each[0].numel(), 4) ** 0.5)
        for name, each in net.state_dict().items()
    }
    store.create(folder, config)
    store.save(folder, replace(STATE, **state), weights, {})
    return swap.load(folder, "cpu")


def crops(count: int, size: int = 64) -> np.ndarray:
    """(count, size, size, 3) float32 in 0 to 1."""
    return np.random.default_rng(count).random((count, size, size, 3), np.float32)


def deepfacelabs(config: ModelConfig) -> dict[str, np.ndarray]:
    """Arrays by DeepFaceLab's names and of its shapes for a model, drawn small."""
    dice = np.random.default_rng(5)
    wanted = build(config).state_dict()
    found = {}
    for ours, theirs in dfl._names(wanted):
        shape = tuple(wanted[ours].shape)
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[len(shape)]
        found[theirs] = dice.normal(0.0, 0.1, [shape[a] for a in axes]).astype(np.float32)
    return found


def options_of(config: ModelConfig) -> dict[str, Any]:
    """As SAEHD keeps them, with some that do not concern us."""
    letters = f"-{config.options}" if config.options else ""
    return {
        "archi": config.arch + letters,
        "face_type": {"half": "h", "mid_full": "mf", "full": "f", "whole": "wf", "head": "head"}[
            config.face_type
        ],
        "resolution": config.resolution,
        "e_dims": config.e_dims,
        "d_dims": config.d_dims,
        "d_mask_dims": config.d_mask_dims,
        "ae_dims": config.ae_dims,
        "models_opt_on_gpu": True,
        "ct_mode": "rct",
        "gan_power": 0.0,
        "batch_size": np.int64(8),
    }


def save_as_deepfacelab(
    folder: Path,
    weights: dict[str, np.ndarray],
    options: dict[str, Any],
    *,
    name: str = "amy_SAEHD",
    iteration: Any = 250_000,
    history: int = 10,
) -> Path:
    """Write the files of one model: a pickle for each part, and one for everything else."""
    folder.mkdir(exist_ok=True)
    for part in {each.partition("/")[0] for each in weights}:
        named = {n.partition("/")[2]: array for n, array in weights.items() if n.partition("/")[0] == part}
        (folder / f"{name}_{part}.npy").write_bytes(pickle.dumps(named, 4))
    (folder / f"{name}_src_dst_opt.npy").write_bytes(b"not read")
    data = {
        "iter": iteration,
        "options": options,
        "loss_history": [[0.5 / (n + 1), 0.25 / (n + 1)] for n in range(history)],
        "sample_for_preview": [[np.zeros((2, 64, 64, 3), np.float32)], None],
        "choosed_gpu_indexes": [0],
    }
    (folder / f"{name}_data.dat").write_bytes(pickle.dumps(data, 3))  # Python 3.6's own protocol
    return folder


class Evil:
    """A pickle of it makes a folder when Python's own reader reads it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)
