"""Training speed: a step of ours against the plain step of `bench.train_peer`, and on a GPU what of it is used.

A step is everything: samples read and drawn, both people forward and back, the optimiser. Both have the same weights
at the start, the same faces (ours as its cache of crops has them, the peer as JPEGs, which is what DeepFaceLab has),
losses, batch, optimiser and threads, and one number for the loss of the same samples, or the comparison is given up.
Each is a process of its own and they take turns, so that what else the machine does falls on all. Limits are issue
6's: 1.25 times in float32, twice in the precision that a training takes by itself.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection

import cv2
import numpy as np
import torch

from bench.common import show
from bench.train_peer import Faces, PeerTrainer
from understudy.core import pages
from understudy.core.model.device import pick
from understudy.core.model.presets import PRESETS, ModelConfig
from understudy.core.model.summary import summarise
from understudy.core.pipeline import cores, patience
from understudy.core.train.data import Crops, side_of
from understudy.core.train.plan import Plan, plan
from understudy.core.train.precision import bfloat16
from understudy.core.train.trainer import Trainer

KINDS = "float32", "default"  # precisions
LIMITS = 1.25, 2.0  # in those
DFL = {"quick96": "2.97", "df-ud-128": "3.3-3.7", "liae-ud-128": "5.0-9.1"}  # s / it, reference notes 3.2
BATCH = 4
_SAME = 1e-4  # of the loss
_IDLE = 0.5  # seconds between turns: threads of the one that had its turn spin for more work, and hold a core
_PEAK = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "4090": 165e12,
}  # bfloat16 FLOP/s without sparsity, by makers
_GPU = tuple(f"{arch}-{side}" for arch in ("df-ud", "liae-ud", "liaehd-ud") for side in (128, 256, 384, 512))

Step = Callable[[int], object]


def faces(config: ModelConfig, seed: int, count: int = 32) -> Crops:
    """Soft noise in the place of faces, with mattes: speed does not look."""
    side, dice = side_of(config.resolution), np.random.default_rng(seed)
    soft = [cv2.resize(each, (side, side)) for each in dice.random((count, 24, 24, 5), np.float32)]
    pose = np.zeros((count, 2), np.float32)
    return Crops(array=np.stack(soft).astype(np.float16), digest="", pose=pose)


def ours(config: ModelConfig, course: Plan, device: torch.device, bf16: bool) -> tuple[Trainer, Step]:
    """A trainer, and what takes its step of a number."""
    trainer = Trainer(config, course, device, seed=1, bfloat16=bf16)
    src, dst = faces(config, 1), faces(config, 2)

    def step(iteration: int) -> float:
        return float(trainer.step(src, dst, iteration, 0.0)["src"])  # waits for the device

    return trainer, step


def peer(config: ModelConfig, course: Plan) -> Step:
    """The plain step; asserts that from our weights and samples it has our loss."""
    trainer = Trainer(config, course, torch.device("cpu"), seed=1, bfloat16=False)
    plain, (src, dst) = PeerTrainer(config, course), (faces(config, 1), faces(config, 2))
    plain.net.load(trainer.net)
    inputs, targets = trainer.samples(src, dst, 0, 0.0)
    pairs = [(i.contiguous(), t.contiguous()) for i, t in zip(inputs.chunk(2), targets.chunk(2), strict=True)]
    found = trainer.step(src, dst, 0, 0.0)
    theirs, mine = plain.learn(pairs[0], pairs[1]), float(found["src"] + found["dst"]) / 2
    assert abs(theirs - mine) < _SAME * mine, (
        f"not the same maths: the loss is {mine} and the peer's {theirs}"
    )
    own, other = Faces(src), Faces(dst)
    return lambda _: plain.step(own, other)


def serve(pipe: Connection, kind: str, name: str) -> None:
    """In a process of its own, so that its memory and threads are its own: for each number a step; its seconds."""
    torch.set_num_threads(cores())
    cv2.setNumThreads(1)  # as in DeepFaceLab's generators of samples
    config, course = PRESETS[name], replace(plan(name), batch_size=BATCH)
    device, own = torch.device("cpu"), kind != "peer"
    step = ours(config, course, device, kind == "bfloat16")[1] if own else peer(config, course)
    with pages.kept(own):  # as a session has it
        while (number := pipe.recv()) is not None:
            start = time.perf_counter()
            step(number)
            pipe.send(time.perf_counter() - start)


def alternating(name: str, kinds: Sequence[str], rounds: int) -> dict[str, float]:
    """The median seconds of each, taken in turns after two rounds that warm up."""
    os.environ.update(patience(os.environ))  # as the daemon's workers have it; for the peer as well
    context, pipes = multiprocessing.get_context("spawn"), {}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind in kinds:
        pipes[kind], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, kind, name), daemon=True).start()
        theirs.close()  # so that one that dies is heard of
    for number in range(rounds + 2):
        for kind, pipe in pipes.items():
            time.sleep(_IDLE)
            pipe.send(number)
            times[kind].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    return {kind: float(np.median(each[2:])) for kind, each in times.items()}


def against_the_peer(names: Sequence[str], rounds: int, kinds: Sequence[str] = KINDS) -> None:
    """The table of ours and the plain step, on the CPU; of `kinds` that are not asked for, dashes."""
    works, rows = bfloat16("auto", torch.device("cpu")), []
    taken = {"float32": "float32", "default": "bfloat16" if works else "float32"}
    for name in names:
        took = alternating(name, ("peer", *dict.fromkeys(taken[kind] for kind in kinds)), rounds)
        cells = [f"{took['peer']:.2f}"]
        for own in taken.values():
            cells += [f"{took[own]:.2f}", f"{took['peer'] / took[own]:.2f}"] if own in took else ["-", "-"]
        rows.append((name, *cells, DFL[name]))
    columns = (
        "preset", "peer, s / it", "float32, s / it", f"× (limit {LIMITS[0]})", "default, s / it",
        f"× (limit {LIMITS[1]:g})", "DeepFaceLab, s / it",
    )  # fmt: skip
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    said = "bfloat16" if works else "float32, as bfloat16 gains nothing or does not work here"
    title = (
        f"training step, batch {BATCH}, median of {rounds}, {cores()} threads, load {load}, "
        f"torch {torch.__version__}; default is {said}"
    )
    show(title, columns, rows)
    print("DeepFaceLab's own: TensorFlow 2.4 on two cores of such a machine (reference notes 3.2).\n")


def on_a_gpu(rounds: int) -> None:
    """The table of a GPU: speed, share of the chip's matrix peak, memory; bfloat16 and float32."""
    device = pick("auto")
    if device.type != "cuda":
        return
    chip = torch.cuda.get_device_name(device)
    peak = next((value for name, value in _PEAK.items() if name in chip), 0.0)
    rows = []
    for name in _GPU:
        for bf16 in (True, False):
            if (config := PRESETS.get(name)) is None:
                continue
            course = replace(plan(name), batch_size=8)
            torch.cuda.reset_peak_memory_stats(device)
            trainer, step = ours(config, course, device, bf16)
            took = _median(step, rounds)
            flops = summarise(config, batch_size=8).step_flops / took
            memory = torch.cuda.max_memory_allocated(device) / 2**30
            share = f"{100 * flops / peak:.1f} %" if peak and bf16 else "-"
            precision = "bfloat16" if bf16 else "float32"
            rows.append(
                (f"{name} {precision}", f"{1 / took:.2f}", f"{flops / 1e12:.1f}", share, f"{memory:.1f}")
            )
            del trainer, step
            torch.cuda.empty_cache()
    show(f"training on {chip}, batch 8", ("network", "it / s", "TFLOP / s", "of bfloat16 peak", "GiB"), rows)


def _median(step: Step, rounds: int) -> float:
    """Seconds, after two steps that warm up."""
    times = []
    for number in range(rounds + 2):
        start = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def main(names: Sequence[str] = tuple(DFL), rounds: int = 7, kinds: Sequence[str] = KINDS) -> None:
    against_the_peer(names, rounds, kinds)
    on_a_gpu(rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.train", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="PRESET", help=f"of {', '.join(DFL)}; default: all")
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each (%(default)s)")
    parser.add_argument("--precision", choices=KINDS, help="that one alone; default: both")
    given = parser.parse_args()
    main(tuple(given.names) or tuple(DFL), given.rounds, (given.precision,) if given.precision else KINDS)
