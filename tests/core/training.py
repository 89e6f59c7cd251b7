"""Small trainings: a tiny network, two facesets of six faces, and noise in the place of faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.core.shots import make_release, write_faceset
from understudy.core import release
from understudy.core.model import presets, store
from understudy.core.model.presets import ModelConfig
from understudy.core.train import clockwork
from understudy.core.train import plan as plans
from understudy.core.train.data import Crops
from understudy.core.train.plan import Plan
from understudy.core.train.settings import TrainSettings
from understudy.core.train.trainer import Trainer

TINY = ModelConfig(
    options="ud", resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16, face_type="full"
)
TINIER = replace(TINY, e_dims=4, d_dims=4, ae_dims=8)
PLAN = Plan(batch_size=2, learning_rate=2e-3, warmup=5)
FRAMES = range(1001, 1007)


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from a second core, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_facesets(folder: Path) -> Path:
    """Two facesets, `src` with a release, and `dst`."""
    for name in ("src", "dst"):
        write_faceset(folder / name, FRAMES, f"{name}.%04d.exr")
    release.write(make_release(), folder / "src" / "release.json")
    return folder


def quick(patch: pytest.MonkeyPatch) -> None:
    """Have a report after each iteration, and presets `tiny` and `tinier`, for one test."""
    patch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    patch.setattr(presets, "PRESETS", dict(presets.PRESETS))
    patch.setattr(plans, "_PLANS", dict(plans._PLANS))
    name_presets()


def name_presets() -> None:
    """Have presets `tiny` and `tinier` in this process."""
    presets.PRESETS.update(tiny=TINY, tinier=TINIER)
    plans._PLANS.update(tiny=PLAN, tinier=PLAN)


def asked(facesets: Path, model: Path, **changes) -> TrainSettings:
    settings = TrainSettings(
        model=model,
        src=facesets / "src",
        dst=facesets / "dst",
        preset="tiny",
        batch_size=2,
        precision="float32",
        device="cpu",
        target_iterations=4,
    )
    return replace(settings, **changes)


def weights(model: Path) -> Tensor:
    """All of a model's, in one row."""
    return torch.cat([w.flatten() for w in store.load(model)[1].values()])


def noise(seed: int, count: int = 7, config: ModelConfig = TINIER) -> Crops:
    """Crops of nobody: soft colours in a disc that is their matte, with an eye; each with a pose."""
    size = round(config.resolution / 0.8)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    matte = (x * x + y * y < 0.1).astype(np.float32)
    eye = ((x - 0.1) ** 2 + (y + 0.1) ** 2 < 0.01).astype(np.float32)
    waves = 0.5 + 0.3 * np.sin(
        (x[None, ..., None] * rng.uniform(5, 20, (count, 1, 1, 3)) + rng.uniform(0, 6, (count, 1, 1, 3)))
        + y[None, ..., None] * rng.uniform(5, 20, (count, 1, 1, 3))
    )
    mattes = np.broadcast_to(np.stack([matte, eye], -1), (count, size, size, 2))
    pose = rng.uniform(-0.5, 0.5, (count, 2)).astype(np.float32)
    array = np.concatenate([waves, mattes], -1).astype(np.float16)
    return Crops(array=array, digest="", pose=pose)


def trainer(options: Mapping[str, str] | None = None, config: ModelConfig = TINIER, **changes) -> Trainer:
    """On the CPU in float32, whose plan is `PLAN` with options."""
    given = {"seed": 1, "bfloat16": False, **changes}
    return Trainer(config, PLAN.with_options(options or {}), torch.device("cpu"), **given)


def steps(given: Trainer, first: int, last: int) -> list[dict[str, float]]:
    """The losses of iterations `first` to before `last`, of a hundred in all."""
    src, dst = noise(1), noise(2)
    found = []
    for iteration in range(first, last):
        losses = given.step(src, dst, iteration, iteration / 100)
        found.append({name: float(value) for name, value in losses.items()})
    return found


def state(given: Trainer) -> dict[str, Tensor]:
    """A copy of all that a trainer goes on from."""
    both = {f"weights/{n}": t for n, t in given.weights().items()}
    return {n: t.detach().clone() for n, t in {**both, **given.moments()}.items()}


def apart(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference between two states, of the same names."""
    assert one.keys() == other.keys()
    return max(float((one[n].double() - other[n].double()).abs().max()) for n in one)
