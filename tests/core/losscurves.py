"""Losses of a few iterations on fixed data, for golden files.

    python -m tests.core.losscurves        writes tests/golden/losses.json anew: only for a change that is meant

Whoever moves them says so in the change's message, with numbers (house rule 12).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tests.core.training import TINIER, noise, one_thread
from understudy.core.train.plan import plan
from understudy.core.train.trainer import Trainer

FILE = Path(__file__).parents[1] / "golden" / "losses.json"
ITERATIONS = 10

_LOSSES = {"gan": "0.1", "true_face": "0.01", "face_style": "0.1", "background_style": "2"}
_SPOILT = dict.fromkeys(("downscale", "blur", "motion", "jpeg", "noise", "shadow", "flip_src"), "0.5")
CASES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "ours": ("df", "ours", {}),
    "dfl": ("df", "dfl", {**_LOSSES, "learning_rate": "2e-4"}),
    "pretrain": ("liae", "pretrain", {}),
    "late": (
        "liae",
        "ours",
        {"warp": "0", "eyes_mouth": "yes", "gan": "0.1", "average": "0.9", "keep": "0.5"},
    ),
    "spoilt": (
        "df",
        "ours",
        {"transfer": "rct", "hue": "10", "saturation": "0.2", "gamma": "0.2", **_SPOILT},
    ),
}
"""Name → architecture, way and options."""


def curves(case: str) -> dict[str, list[float]]:
    """Name of a loss → its value at each iteration."""
    arch, way, options = CASES[case]
    chosen = plan("", way).with_options(
        {"batch_size": "2", "learning_rate": "1e-3", "warmup": "3", **options}
    )
    trainer = Trainer(replace(TINIER, arch=arch), chosen, torch.device("cpu"), seed=1, bfloat16=False)
    src, dst = noise(1), noise(2)
    found: dict[str, list[float]] = {}
    with one_thread():
        for iteration in range(ITERATIONS):
            losses = trainer.step(src, dst, iteration, iteration / ITERATIONS)
            for name, value in losses.items():
                found.setdefault(name, []).append(float(f"{float(value):.6g}"))
    return found


def main() -> None:
    """Write them all."""
    FILE.write_text(json.dumps({case: curves(case) for case in CASES}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
