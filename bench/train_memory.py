"""Training memory: what `train.memory` counts beforehand, what a training then takes, and what is traded for a limit.

Each case runs in a process of its own, as a peak never falls. On the CPU the peak of resident memory is taken, from
before the trainer is made; on a GPU what torch's allocator gave out, and with `--limit` that allocator is held to it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from bench.common import show
from bench.peak import resident_peak
from bench.train import faces, ours
from understudy.core.errors import InvalidInput
from understudy.core.model.device import pick
from understudy.core.model.presets import ABLATION, PRESETS, ModelConfig
from understudy.core.train import memory
from understudy.core.train.plan import Plan, plan
from understudy.core.train.trainer import Trainer

CASES: tuple[tuple[str, dict[str, str]], ...] = (
    ("quick64", {"batch_size": "8"}),
    ("quick96", {"batch_size": "4"}),
    ("quick96", {"batch_size": "16"}),
    ("quick96", {"batch_size": "16", "accumulate": "4"}),
    ("df-ud-128", {"batch_size": "4"}),
    ("df-ud-128", {"batch_size": "4", "gan": "0.1", "true_face": "0.01", "average": "0.999"}),
    ("df-ud-128", {"batch_size": "4", "optimiser": "adabelief", "keep": "0.3"}),
    ("liae-ud-128", {"batch_size": "4"}),
    ("df-ud-256", {"batch_size": "2"}),
    ("df-ud-256", {"batch_size": "2", "recompute": "yes"}),
)
LIMITED = "df-ud-128", "df-ud-256", "liae-ud-256", "liae-ud-384", "liaehd-ud-512"
LIMIT = 2 << 30


def case(name: str, options: dict[str, str]) -> tuple[ModelConfig, Plan]:
    """A preset's configuration, and the plan that a case trains it by."""
    return (PRESETS | ABLATION)[name], plan(name).with_options({"warmup": "1", **options})


def measured(name: str, options: dict[str, str], limit: int) -> int:
    """Bytes that a few steps take at the most, in this process."""
    (config, course), device = case(name, options), pick("auto")
    if device.type == "cuda":
        if limit:
            total = torch.cuda.get_device_properties(device).total_memory
            torch.cuda.set_per_process_memory_fraction(limit / total, device)
        _, step = ours(config, course, device, False)
        for iteration in range(3):
            step(iteration)
        return int(torch.cuda.max_memory_allocated(device))
    small = ModelConfig(resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16)
    _, step = ours(
        small, replace(course, accumulate=1, batch_size=1), device, False
    )  # what libraries take once
    step(0)
    src, dst = faces(config, 1, 2), faces(config, 2, 2)
    trainer = Trainer(config, course, device, seed=1, bfloat16=False)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew; weights are drawn one by one
    before = _resident() - sum(w.numel() * w.element_size() for w in trainer.net.parameters())
    for iteration in range(3):
        float(trainer.step(src, dst, iteration, 0.0)["src"])
    return resident_peak() - before


def _resident() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def taken(name: str, options: dict[str, str], limit: int = 0) -> int | None:
    """Bytes that a training takes, `measured` in a process of its own; None where a GPU's memory is too little."""
    command = [
        sys.executable,
        "-m",
        "bench.train_memory",
        "--case",
        json.dumps([name, options]),
        "--limit",
        str(limit),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "OutOfMemory" not in done.stderr:
        raise RuntimeError(done.stderr)
    return None if done.returncode else int(done.stdout.split()[-1])


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"


def against_estimates() -> None:
    """The table of what was counted and what was taken."""
    rows = []
    for name, options in CASES:
        counted = memory.need(*case(name, options), bfloat16=False).peak
        found = taken(name, options)
        assert found is not None, "nothing limits it"
        said = " ".join(f"{option} {value}" for option, value in options.items())
        rows.append((f"{name}, {said}", _mib(counted), _mib(found), f"{100 * (counted / found - 1):+.0f} %"))
    show("memory of a training, float32", ("case", "counted, MiB", "taken, MiB", "counted / taken"), rows)


def within_a_limit() -> None:
    """The table of what is traded for 2 GiB; on a GPU, whether it then trains in it and would not without."""
    rows: list[tuple[str, ...]] = []
    gpu = pick("auto").type == "cuda"
    for name in LIMITED:
        config, course = case(name, {})
        whole = memory.need(config, course, bfloat16=False).peak
        try:
            fitting, _ = memory.fit(config, course, LIMIT, bfloat16=False)
        except InvalidInput as error:
            rows.append((name, f"{course.batch_size}", _mib(whole), error.message, "-", "-", "-"))
            continue
        now = memory.need(config, fitting, bfloat16=False).peak
        traded = {n: v for n, v in fitting.options().items() if course.options()[n] != v}
        words = ", ".join(f"{n} {v}" for n, v in traded.items()) or "nothing"
        outcome = ["-", "-"]
        if gpu:
            found = taken(name, {}, LIMIT), taken(name, traded, LIMIT)
            outcome = ["out of memory" if each is None else _mib(each) for each in found]
        rows.append((name, f"{course.batch_size}", _mib(whole), words, _mib(now), *outcome))
    columns = ("preset", "batch", "counted, MiB", "traded", "then, MiB", "as it was, GPU", "traded, GPU")
    show("2 GiB of device memory, float32", columns, rows)


def main() -> None:
    against_estimates()
    within_a_limit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.train_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--case", help="JSON: a preset and its options; prints the bytes that it takes here")
    parser.add_argument("--limit", type=int, default=0, help="bytes that a GPU's allocator is held to")
    given = parser.parse_args()
    if given.case:
        preset, chosen = json.loads(given.case)
        print(measured(preset, chosen, given.limit))
    else:
        main()
