"""Small enhancers on disk by the real writer, and large faces for them to learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.core import shots
from tests.core.faces import record
from understudy.core import align, faceset, release
from understudy.core.colour import SwapCurve
from understudy.core.enhancer import network, store
from understudy.core.enhancer.config import EnhancerConfig

TINY = EnhancerConfig(channels=8, layers=1)
SIDE = 80


def on_disk(folder: Path, *, detail: float = 0.0, releases: tuple | None = None, **state) -> Path:
    """An enhancer whose detail is random, of about that size in codes; of 0 it is cubic enlargement."""
    net = network.Compact(TINY)
    generator = torch.Generator().manual_seed(5)
    network.initialise(net, generator)
    weight = net.last.weight
    weight.data = torch.randn(weight.shape, generator=generator) * detail
    curve = SwapCurve(gain=1.0)
    said = {
        "working_space": "ACEScg",
        "curve": {"knee": curve.knee, "maximum": curve.maximum},
        "releases": (shots.make_release(),) if releases is None else releases,
        **state,
    }
    store.create(folder, TINY)
    store.save(folder, store.State(iteration=7, **said), net.state_dict(), {})
    return folder


def stripes(seed: int, side: int = SIDE) -> np.ndarray:
    """(side, side, 3) scene-linear: lines of all directions, as fine as lashes are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    angle, width = rng.uniform(0, np.pi), rng.uniform(5, 7)
    lines = np.tanh(3 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / width))
    rgb: np.ndarray = 0.25 + 0.15 * lines[..., None] * rng.uniform(0.5, 1, 3)
    return rgb.astype(np.float32)


def faces(folder: Path, count: int = 10, *, half_as_large: int = 0, granted: bool = True, **changes) -> Path:
    """Faces of `SIDE` pixels a side on their plate too, but for a few of which that has half as many."""
    for number in range(1001, 1001 + count):
        made = record(folder, number, gain=1.0, pixel_aspect=1.0, **changes)
        points = made.face.landmarks.points
        fitted = align.fit(points, "whole", SIDE)
        wide = np.sqrt(abs(np.linalg.det(fitted.matrix[:, :2]))) * (
            0.5 if number < 1001 + half_as_large else 1
        )
        # the plate's pixels are made such that the crop has as many
        landmarks = replace(made.face.landmarks, points=(points * wide).astype(np.float32))
        matrix = fitted.matrix.copy()
        matrix[:, :2] /= wide
        face = replace(made.face, landmarks=landmarks)
        made = replace(made, face=face, alignment=replace(fitted, matrix=matrix))
        faceset.write(made, stripes(number))
    if granted:
        release.write(shots.make_release(), folder / "release.json")
    return folder
