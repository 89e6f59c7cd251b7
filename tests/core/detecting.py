"""Detectors for tests: with the real weights where this machine has them, with made-up ones where it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.stills import STILLS
from understudy.core import _plugins
from understudy.core.detect import Detector, retinaface, retinaface_resnet50, s3fd
from understudy.core.weights import Weights, WeightStore

NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "s3fd": s3fd.S3fd,
    "retinaface": retinaface.network,
    "retinaface_resnet50": retinaface_resnet50.network,
}
"""Those of torch, whose weights can be made up."""


def present(name: str, store: WeightStore) -> bool:
    return all(store.has(weights) for weights in _plugins.load("detect", name).WEIGHTS)


def real(name: str, store: WeightStore, device: str = "auto") -> Detector:
    detector: Detector = _plugins.load("detect", name).create(store, device=device)
    return detector


class MadeUp(WeightStore):
    """Serves made-up weights of one detector as if they had been published."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(folder)
        self._file = folder / f"{name}.pth"
        if not self._file.exists():
            torch.save(made_up(name), self._file)

    def entry(self, name: str) -> Weights:
        raise AssertionError("nothing of the registry is asked for")

    def path(self, name: str) -> Path:
        return self._file


def made_up(name: str, quiet: float = 1.0) -> dict[str, Tensor]:
    """Random weights at which one anchor in thousands believes in a face: backgrounds have a head start of `quiet`."""
    torch.manual_seed(5)
    state = NETWORKS[name]().state_dict()
    for key, value in state.items():
        if key.endswith("conf.bias"):
            value[:-1] += quiet
        if key.startswith("ClassHead") and key.endswith("bias"):
            value[0::2] += quiet
        if key.endswith("_norm.weight"):
            value.copy_(torch.linspace(5.0, 10.0, len(value)))
    return dict(state)


def proxy(name: str) -> np.ndarray:
    return STILLS[name].load().astype(np.float32) / 255.0


def on_canvas(picture: np.ndarray, scale: float, where: tuple[int, int], canvas: np.ndarray) -> np.ndarray:
    """The picture at this scale, its corner at `where`, on a copy of the canvas."""
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kernel)
    out, (x, y) = canvas.copy(), where
    out[y : y + small.shape[0], x : x + small.shape[1]] = small[: out.shape[0] - y, : out.shape[1] - x]
    return out


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 0.4, np.float32)
