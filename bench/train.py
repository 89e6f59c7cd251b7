"""Training speed: iterations per second of each preset and precision, and how that compares with a plain network.

The yardstick is measured in the same run: DF at 64 pixels without options, dims 64/32/32/128, float32, batch 8.
A step is everything: samples drawn and warped, both people forward and back, Adam.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from bench.common import show
from understudy.core.model.device import pick
from understudy.core.model.presets import PRESETS, ModelConfig
from understudy.core.train.data import SHARE, Crops
from understudy.core.train.plan import Plan, plan
from understudy.core.train.precision import bfloat16
from understudy.core.train.trainer import Trainer

PLAIN = ModelConfig(
    options="", resolution=64, e_dims=64, d_dims=32, d_mask_dims=32, ae_dims=128, face_type="full"
)


def crops(config: ModelConfig, seed: int) -> Crops:
    """Noise in the place of faces: speed does not look."""
    size = round(config.resolution / SHARE)
    array = np.random.default_rng(seed).random((16, size, size, 4), np.float32).astype(np.float16)
    return Crops(array=array, digest="")


def seconds(config: ModelConfig, course: Plan, device: torch.device, bf16: bool, steps: int = 8) -> float:
    """The median step after two that warm up."""
    trainer = Trainer(config, course, device, seed=1, bfloat16=bf16)
    src, dst = crops(config, 1), crops(config, 2)
    times = []
    for iteration in range(steps + 2):
        start = time.perf_counter()
        losses = trainer.step(src, dst, iteration, 0.0)
        float(losses["src"])  # waits for the device
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def main() -> None:
    device = pick("auto")
    works = bfloat16("auto", device)
    cases = [("plain", PLAIN, replace(plan(""), batch_size=8), False)]
    for name in ("quick64", "quick96"):
        cases += [(name, PRESETS[name], plan(name), bf16) for bf16 in ((False, True) if works else (False,))]
    took = [seconds(config, course, device, bf16) for _, config, course, bf16 in cases]
    rows = [
        (
            f"{name} {'bfloat16' if bf16 else 'float32'}",
            f"{course.batch_size}",
            f"{s:.3f}",
            f"{1 / s:.2f}",
            f"{2 * course.batch_size / s:.1f}",
            f"{took[0] / s:.2f}",
        )
        for (name, _, course, bf16), s in zip(cases, took, strict=True)
    ]
    where = f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    columns = ("network", "batch", "s / it", "it / s", "faces / s", "× plain")
    show(
        f"training step, {where}; bfloat16 {'works' if works else 'gains nothing or does not work'} here",
        columns,
        rows,
    )
    print(
        "The peer: DeepFaceLab's Quick96, batch 4, 2.97 s / it (TensorFlow 2.4 on two cores, reference notes 3.2).\n"
    )


if __name__ == "__main__":
    main()
