"""Landmarkers for tests: with the real weights where this machine has them, with made-up ones where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bench.parity import prnet_variables, randomised
from bench.stills import STILLS
from understudy.core import _plugins
from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.landmark import Landmarker, Look, fan2d, prnet
from understudy.core.weights import WeightStore

NAMES = _plugins.names("landmark")
BOXES = {"hopper": (190.0, 120.0, 345.0, 335.0), "astronaut": (178.0, 70.0, 275.0, 185.0)}
"""Around the faces of the stills, as detectors put them."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine take ten times as long as one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_shared(weight_store: WeightStore, request: pytest.FixtureRequest) -> WeightStore:
    """The store that has what the shared material has as well, where there is any."""
    try:
        folder: Path = request.getfixturevalue("shared") / "weights"
    except pytest.skip.Exception:
        return weight_store
    return WeightStore(weight_store.cache, (folder,), accepted=("prnet",))


def present(family: str, name: str, store: WeightStore) -> bool:
    return all(store.has(weights) for weights in _plugins.load(family, name).WEIGHTS)


def made_up(name: str) -> Landmarker:
    """With random weights; skips where a network has to be the real one."""
    cpu = torch.device("cpu")
    if name == "fan2d":
        return fan2d.Fan2D(fan2d.network(randomised(fan2d.Network()).state_dict(), Path("made up")), cpu)
    if name == "prnet":
        return prnet.PRNet(prnet.network(prnet_variables(), Path("made up")), cpu)
    pytest.skip(f"the weights of {name} are not on this machine and cannot be made up")


def still(name: str) -> Float:
    return np.asarray(STILLS[name].load() / 255.0, np.float32)


def boxed(box: tuple[float, float, float, float], roll: float = 0.0) -> Detection:
    """A detection without key points."""
    return Detection(box=box, score=1.0, keypoints=np.zeros((0, 2), np.float32), roll=roll)


def portrait(name: str = "hopper") -> Look:
    return Look(proxy=still(name), detection=boxed(BOXES[name]))


def in_hd(picture: Float, scale: float, where: tuple[int, int]) -> Float:
    """The picture at this scale in a grey frame of 1920×1080."""
    frame = np.full((1080, 1920, 3), 0.4, np.float32)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    x, y = where
    part = frame[y : y + small.shape[0], x : x + small.shape[1]]
    part[:] = small[: part.shape[0], : part.shape[1]]
    return frame
