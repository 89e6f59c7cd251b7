"""How near our detectors come to others: the rows of `bench.parity`, and what the recorded numbers were made of.

`tests/golden/detect.npz` holds what facexlib 0.3.0 (RetinaFace) and onnxruntime (YuNet) made of the same weights and
pictures; `tests/core/golden/make_detect.py` records it.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.stills import STILLS
from understudy.core import _checkpoint, _plugins
from understudy.core.detect import retinaface, retinaface_resnet50, s3fd
from understudy.core.weights import WeightStore

FILE = Path(__file__).parents[1] / "tests/golden/detect.npz"

Difference = tuple[str, str, str, float, float]
"""Network, reference, what is compared, the largest difference, what it may be."""


def picture() -> np.ndarray:
    """(1, 3, 96, 128) float32, blue first, less the means: noise, which leaves no unit of a network idle."""
    noise: np.ndarray = np.random.default_rng(4).random((1, 3, 96, 128)) * 255.0
    noise -= np.array((104.0, 117.0, 123.0))[:, None, None]
    return noise.astype(np.float32)


def weights_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Made-up weights of the same names and shapes, at which signals neither die nor explode."""
    return {name: _made_up(name, value) for name, value in state.items()}


def _made_up(name: str, like: Tensor) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if like.ndim == 0:
        return torch.zeros_like(like)
    if like.ndim == 4:
        scale = np.sqrt(1.0 / like[0].numel())
        return torch.from_numpy((rng.standard_normal(like.shape) * scale).astype(np.float32))
    around = 4.0 if name.endswith("running_var") else 1.0 if name.endswith("weight") else 0.0
    return torch.from_numpy((around + 0.2 * rng.random(like.shape)).astype(np.float32))


def s3fd_(theirs: nn.Module) -> Iterator[Difference]:
    """Ours beside the package's S3FD `theirs`, weights and all."""
    ours = s3fd.S3fd().eval()
    ours.load_state_dict(theirs.state_dict())
    noise = torch.from_numpy(np.random.default_rng(1).random((2, 3, 240, 256), np.float32) * 255.0 - 114.0)
    with torch.inference_mode():
        expected, layers = theirs(noise), ours.joined()(noise)
    scores = [
        (layer.logits[..., 0].sigmoid() - expected[2 * n].softmax(dim=1)[:, 1]).abs().max()
        for n, layer in enumerate(layers)
    ]
    boxes = [
        (layer.raw[..., 0, :].permute(0, 3, 1, 2) - expected[2 * n + 1]).abs().max()
        for n, layer in enumerate(layers)
    ]
    by = "face-alignment 1.5.0, same random weights"
    yield "S3FD", by, "scores of all anchors", float(max(scores)), 1e-4
    yield "S3FD", by, "boxes of all anchors", float(max(boxes)), 1e-4


def retinaface_(path: Path) -> Iterator[Difference]:
    """MobileNet 0.25 with its published weights."""
    network = _checkpoint.fill(retinaface.network(), _checkpoint.load(path), path)
    yield "RetinaFace, MobileNet 0.25", "facexlib 0.3.0, recorded", *_heads(network, "mobilenet")


def resnet_() -> Iterator[Difference]:
    """ResNet-50 with made-up ones."""
    network = retinaface_resnet50.network()
    network.load_state_dict(weights_of(network.state_dict()))
    made = network.eval().requires_grad_(False)
    yield "RetinaFace, ResNet-50", "facexlib 0.3.0, recorded, same random weights", *_heads(made, "resnet")


def _heads(network: Any, kind: str) -> tuple[str, float, float]:
    with torch.inference_mode(), np.load(FILE) as golden:
        layers = network.joined()(torch.from_numpy(picture()))
        score = torch.cat([layer.logits.sigmoid().flatten() for layer in layers]).numpy()
        raw = torch.cat([layer.raw.flatten(0, 3) for layer in layers]).numpy()
        apart = (
            np.abs(score - golden[f"{kind}.score"]).max(),
            np.abs(raw[:, :4] - golden[f"{kind}.box"]).max(),
            np.abs(raw[:, 4:] - golden[f"{kind}.points"]).max(),
        )
    return "scores, boxes, points of all anchors", float(max(apart)), 1e-4


def yunet_(store: WeightStore) -> Iterator[Difference]:
    """OpenCV's own decoding, which cuts to whole pixels, beside onnxruntime's outputs decoded by numpy."""
    detector = _plugins.load("detect", "yunet").create(store)
    apart = 0.0
    with np.load(FILE) as golden:
        for still in ("astronaut", "hopper"):
            ((_, points),) = detector._looks[0][0]((STILLS[still].load().astype(np.float32) / 255.0)[None])
            wanted = golden[f"yunet.{still}"].reshape(-1)
            corners = np.concatenate((wanted[:2], wanted[:2] + wanted[2:4], wanted[4:14]))
            apart = max(apart, float(np.abs(points[0].reshape(-1) - corners).max()))
    yield "YuNet", "onnxruntime 1.22.1, recorded", "box and points, pixels", apart, 0.02


def face_alignment() -> nn.Module:
    """The package's S3FD. Raises ImportError."""
    network: nn.Module = importlib.import_module("face_alignment.detection.sfd.net_s3fd").s3fd()
    return network.eval()
