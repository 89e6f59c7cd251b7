"""Segmenters whose answer one knows, and faces for them: what is bright is face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from tests.core.looks import SIZE, add
from understudy.core.colour import SwapCurve
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.segment import store
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segment.network import Segmenter
from understudy.core.segmenter import xseg

SMALL = SegmenterConfig(resolution=64, channels=2)
DARK, BRIGHT = 0.01, 0.6  # scene-linear, codes 0.1 and 0.79


class Bright(nn.Module):
    """Sure of every pixel: face where its code is above a half."""

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        return 60.0 * (crop.mean(dim=1, keepdim=True) - 0.5)


class OneSided(nn.Module):
    """Sees a face in the left half of whatever it is shown, and nothing in the right one."""

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        logits = torch.full_like(crop[:, :1], 30.0)
        logits[..., crop.shape[-1] // 2 :] = -30.0
        return logits


def segmenter(net: nn.Module | None = None, digest: str = "a" * 64, **config) -> Segmenter:
    """As `network.load` would give it."""
    sizes = SegmenterConfig(**{**SMALL.to_dict(), **config})
    state = store.State(digest=digest, working_space="ACEScg")
    return Segmenter(net or Bright(), sizes, state, torch.device("cpu"))


def on_disk(folder: Path, seed: int = 0) -> nn.Module:
    """An XSeg of random weights in a folder; the network."""
    net = xseg.build(SMALL)
    xseg.initialise(net, torch.Generator().manual_seed(seed))
    curve = SwapCurve(gain=1.0)
    state = store.State(
        iteration=3, working_space="ACEScg", curve={"knee": curve.knee, "maximum": curve.maximum}
    )
    store.create(folder, SMALL)
    store.save(folder, state, net.state_dict(), {})
    return net


def disc(x: float, y: float, radius: float, side: int = SIZE) -> np.ndarray:
    """(S, S) float32, 1 in a disc, soft at its edge; the places in shares of the side."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    soft: np.ndarray = np.clip((radius - np.hypot(columns - x, rows - y)) * side + 0.5, 0.0, 1.0).astype(
        np.float32
    )
    return soft


def face(folder: Path, frame: int, seen: np.ndarray | None = None, **changes) -> None:
    """A face of the crop's size of which `seen` (S, S) is bright and a little uneven."""
    seen = disc(0.5, 0.5, 0.3) if seen is None else seen
    uneven = cv2.GaussianBlur(np.random.default_rng(frame).random((SIZE, SIZE), np.float32), (0, 0), 3.0)
    light = (DARK + (BRIGHT - DARK) * seen) * (0.9 + 0.2 * uneven)
    add(folder, frame, np.repeat(light[..., None], 3, axis=2).astype(np.float32), **changes)


def faces(folder: Path, count: int = 3, **changes) -> Faceset:
    """Frames 1001, 1002, …; the bright disc moves to the right."""
    for i in range(count):
        face(folder, 1001 + i, disc(0.4 + 0.1 * i, 0.5, 0.25), **changes)
    return Faceset.open(folder)


def beside(faceset: Faceset, record: FaceRecord) -> Matte:
    """What lies beside a face, which must have something."""
    found = Mattes(faceset).read(record)
    assert found is not None
    return found


def drawn(faceset: Faceset, record: FaceRecord) -> np.ndarray:
    """The matte of a face, which must have one, in its own crop."""
    found = Mattes(faceset).matte(record)
    assert found is not None
    return found
