"""Loading speed: from 512 px faces on disk to batches of 256 px samples, against a loader like DeepFaceLab's.

Both run on one thread, and what is counted is the seconds that the processor works, so that other programs disturb
little. Ours cuts each face once into a cache (its own row) and then draws from that. The peer does for each sample
what DeepFaceLab does (samplelib/SampleProcessor.py): decode a JPEG, bring it to the model's size, transfer the colours
of another face (Reinhard's, in L*a*b*), warp, move, turn hue and saturation. Its mattes are given. DeepFaceLab's own
time is that of the reference notes, 3.2; the limit is issue 6's: ten times as many samples of a core's second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from bench import clips
from bench.common import show
from bench.train_peer import decoded, encoded, sample
from understudy.core import align, faceset, pages
from understudy.core.colour import SwapCurve
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.frames import Float
from understudy.core.model.presets import ModelConfig
from understudy.core.train.augmentation import Augmentation
from understudy.core.train.data import Crops, prepare
from understudy.core.train.plan import Plan
from understudy.core.train.trainer import Trainer

SIDE, FACE, BATCH = 256, 512, 8
LIMIT = 10.0
DFL_MS = {"none": 28.5, "rct": 52.8, "lct": 51.3, "mkl": 57.6, "idt": 730.0}  # a sample; reference notes 3.2
THEIRS = Augmentation(
    rotation=10,
    scale=0.15,
    shift=0.05,
    warp=1,
    flip_src=0.4,
    flip_dst=0.4,
    hue=9,
    saturation=0.05,
    transfer="rct",
)
EVERYTHING = replace(
    THEIRS, gamma=0.2, downscale=0.25, blur=0.25, motion=0.25, jpeg=0.25, noise=0.25, shadow=0.25
)
_NET = ModelConfig(resolution=SIDE, e_dims=2, d_dims=2, d_mask_dims=2, ae_dims=8)  # which nobody asks


def make(folder: Path, name: str, count: int) -> Faceset:
    """A faceset of a portrait that acts; landmarks are drawn, as only the hull goes by them."""
    clip = clips.Clip(name=name, frames=count, width=FACE, height=FACE)
    points = _landmarks()
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    folder.mkdir(parents=True)
    for index in range(count):
        face = Face(
            frame=1001 + index,
            box=(low[0], low[1], high[0], high[1]),
            landmarks=Landmarks(scheme="68", points=points),
            score=0.9,
        )
        record = FaceRecord(
            path=folder / f"{name}.{1001 + index}.exr",
            face=face,
            alignment=align.fit(points, "whole", FACE),
            plate=f"{name}.%04d.exr",
            gain=1.0,
            colour="ACEScg",
        )
        faceset.write(record, clips.render(clip, index))
    return Faceset.open(folder).select()


def _landmarks() -> Float:
    """(68, 2): jaw and brows on an arc, the rest between them, in the middle of the picture."""
    t = np.linspace(np.pi, 0, 17)
    jaw = np.stack([np.cos(t), 1.1 * np.sin(t)], axis=1)
    brows = np.stack([np.linspace(-0.8, 0.8, 10), np.full(10, -0.4)], axis=1)
    nose = np.stack([np.tile(np.linspace(-0.2, 0.2, 3), 3), np.repeat(np.linspace(-0.1, 0.4, 3), 3)], axis=1)
    ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    eye = np.stack([0.15 * np.cos(ring), 0.06 * np.sin(ring)], axis=1)
    arc = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    mouth = np.stack([0.35 * np.cos(arc), 0.65 + 0.12 * np.sin(arc)], axis=1)
    parts = [jaw, brows, nose, eye - [0.4, 0.15], eye + np.array([0.4, -0.15]), mouth]
    return np.asarray(np.concatenate(parts) * 130 + 256, np.float32)


def spent(work: Callable[[int], object], rounds: int) -> float:
    """Seconds of the processor for one call, the least of three goes of so many."""
    work(0)
    found = []
    for number in range(3):
        start = time.process_time()
        for turn in range(rounds):
            work(1 + number * rounds + turn)
        found.append((time.process_time() - start) / rounds)
    return min(found)


def cut(faces: Faceset, folder: Path, side: str) -> Crops:
    *_, crops = prepare(faces, folder, side, _NET, SwapCurve(gain=1.0))
    assert isinstance(crops, Crops)
    return crops


def ours(src: Crops, dst: Crops, amount: Augmentation) -> Callable[[int], object]:
    """What draws a batch of both people, from the file of crops to the network's door."""
    plan = Plan(batch_size=BATCH, augmentation=amount)
    trainer = Trainer(_NET, plan, torch.device("cpu"), seed=1, bfloat16=False)
    return lambda iteration: trainer.samples(src, dst, iteration, 0.0)


def peer(faces: tuple[list[Any], list[Any]], amount: Augmentation) -> Callable[[int], object]:
    """The same of JPEGs, one by one; src's are transferred."""
    dice, plan = np.random.default_rng(1), Plan(augmentation=amount)
    mattes = np.ones((SIDE, SIDE, 2), np.float32)

    def one(own: list[Any], others: list[Any] | None) -> object:
        bgr = decoded(own[dice.integers(len(own))], SIDE)
        if others is not None:
            bgr = _reinhard(bgr, decoded(others[dice.integers(len(others))], SIDE))
        made, target = sample(np.dstack([bgr, mattes]), SIDE, plan, dice, share=1.0)
        return _turned(made, amount, dice), target

    def batch(_: int) -> object:
        return [[one(faces[0], faces[1]), one(faces[1], None)] for _ in range(BATCH)]

    return batch


def _reinhard(x: Float, like: Float) -> Float:
    """x with the means and deviations of L*a*b* that `like` has."""
    own, other = (np.asarray(cv2.cvtColor(np.clip(each, 0, 1), cv2.COLOR_BGR2LAB)) for each in (x, like))
    axes = (0, 1)
    scaled = (own - own.mean(axes)) * (other.std(axes) / np.maximum(own.std(axes), 1e-6)) + other.mean(axes)
    return _clipped(cv2.cvtColor(scaled.astype(np.float32), cv2.COLOR_LAB2BGR))


def _turned(x: Float, amount: Augmentation, dice: np.random.Generator) -> Float:
    hue, saturation, value = cv2.split(cv2.cvtColor(x, cv2.COLOR_BGR2HSV))
    hue = (hue + dice.uniform(-1, 1) * amount.hue) % 360
    saturation = np.clip(saturation + dice.uniform(-1, 1) * amount.saturation, 0, 1)
    merged = cv2.merge([hue.astype(np.float32), saturation.astype(np.float32), value])
    return _clipped(cv2.cvtColor(merged, cv2.COLOR_HSV2BGR))


def _clipped(x: Any) -> Float:
    return np.clip(np.asarray(x, np.float32), 0, 1)


def _jpegs(faces: Faceset) -> list[Any]:
    """The faces as DeepFaceLab has them."""
    return [encoded(np.clip(faces.load(record), 0, 1) ** (1 / 2.2)) for record in faces.records]


def main(count: int = 24, rounds: int = 3) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        people = [make(root / name, name, count) for name in ("astronaut", "hopper")]
        start = time.process_time()
        src, dst = (
            cut(faces, root / "cache", side) for faces, side in zip(people, ("src", "dst"), strict=True)
        )
        cutting = (time.process_time() - start) / (2 * count)
        jpegs = _jpegs(people[0]), _jpegs(people[1])
        rows = [("ours, cutting a face once", f"{cutting * 1e3:.1f}", f"{1 / cutting:.1f}", "-", "-")]
        plain = spent(peer(jpegs, THEIRS), rounds) / (2 * BATCH)
        own = DFL_MS["rct"] / 1e3
        amounts = {
            "ours, moves and rct": replace(THEIRS, hue=0, saturation=0),
            "ours, as DeepFaceLab's": THEIRS,
            "ours, everything on": EVERYTHING,
        }
        for name, amount in amounts.items():
            with pages.kept():  # as a session has it
                took = spent(ours(src, dst, amount), rounds) / (2 * BATCH)
            ratios = f"{plain / took:.1f}", f"{own / took:.1f}"
            rows.append((name, f"{took * 1e3:.1f}", f"{1 / took:.1f}", *ratios))
        rows.append(("peer, OpenCV", f"{plain * 1e3:.1f}", f"{1 / plain:.1f}", "1.0", f"{own / plain:.1f}"))
        rows.append(("DeepFaceLab, all with rct", f"{own * 1e3:.1f}", f"{1 / own:.1f}", "-", "1.0"))
    columns = ("loader", "ms / sample", "samples / core-second", "× peer", f"× DeepFaceLab (limit {LIMIT:g})")
    show(
        f"{FACE} px faces to {SIDE} px batches of {BATCH} a side, one thread, processor's seconds",
        columns,
        rows,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.loader", description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=24, help="of each person (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="batches in a go (%(default)s)")
    given = parser.parse_args()
    main(given.faces, given.rounds)
