"""S3FD, the detector that the field's face tools share.

Zhang et al., "S³FD: Single Shot Scale-Invariant Face Detector", 2017: VGG-16 and two more layers, one square anchor a
cell of side 4 strides, at strides 4 to 128. Weights and their use (blue first, means, score, overlap) are those of the
project face-alignment, whose published checkpoint this loads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from understudy.core import _checkpoint
from understudy.core.detect._pyramid import Plan, Pyramid
from understudy.core.detect._ssd import Layer, Ssd, joined
from understudy.core.model.device import pick
from understudy.core.weights import WeightStore

WEIGHTS = ("s3fd",)

_SAME_FACE = 0.3  # intersection over union
_THRESHOLD = 0.5
_ENOUGH = 20.0  # pixels that a face must fill: its users look for faces of 40 px in pictures of half size

_VGG = ((1, 2, 64), (2, 2, 128), (3, 3, 256), (4, 3, 512), (5, 3, 512))
"""Stages of the trunk: number, convolutions, channels."""

_HEADS = (
    ("conv3_3_norm", 256),
    ("conv4_3_norm", 512),
    ("conv5_3_norm", 512),
    ("fc7", 1024),
    ("conv6_2", 512),
    ("conv7_2", 256),
)
"""Layers that are looked at, and their channels; the first is at stride 4."""


def create(store: WeightStore, *, device: str = "auto") -> Pyramid:
    """See `detect.Family`. It gives no key points."""
    path = store.path(*WEIGHTS)
    network = _checkpoint.fill(S3fd(), _checkpoint.load(path), path).joined()
    ssd = Ssd(network, pick(device), threshold=_THRESHOLD)
    return Pyramid(
        (ssd, Plan(enough=_ENOUGH, tile=1024, overlap=96, margin=8.0, batch=ssd.batch)), same=_SAME_FACE
    )


class S3fd(nn.Module):
    """The network (`_ssd.Module`); its parameters have the names of the published checkpoint until they are joined."""

    def __init__(self) -> None:
        super().__init__()
        before = 3
        for stage, count, channels in _VGG:
            for n in range(1, count + 1):
                self.add_module(f"conv{stage}_{n}", nn.Conv2d(before, channels, 3, padding=1))
                before = channels
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for number, (name, channels) in enumerate(_HEADS):
            if name.endswith("_norm"):
                self.add_module(name, nn.ParameterDict({"weight": nn.Parameter(torch.ones(channels))}))
            # the first layer knows three kinds of background
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(channels, 2 if number else 4, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))

    def joined(self) -> S3fd:
        """Itself, made faster: a layer's score and box are one convolution, and its norm's weights are in that."""
        for name, _ in _HEADS:
            score, box = (cast(nn.Conv2d, self._modules.pop(f"{name}_mbox_{of}")) for of in ("conf", "loc"))
            both = joined(score, box)
            if name.endswith("_norm"):
                both.weight *= cast(nn.ParameterDict, self._modules.pop(name))["weight"][:, None, None]
            self.add_module(f"{name}_mbox", both)
        return self

    def forward(self, picture: Tensor) -> list[Layer]:
        return [
            self._layer(name, features, 4 << number)
            for number, ((name, _), features) in enumerate(zip(_HEADS, self._features(picture), strict=True))
        ]

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        """What the heads look at, finest first."""
        for stage, count, _ in _VGG:
            for n in range(1, count + 1):
                x = self._relu(f"conv{stage}_{n}", x)
            if stage >= 3:
                yield x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)
            x = F.max_pool2d(x, 2, 2)
        for name in ("fc6", "fc7", "conv6_1", "conv6_2", "conv7_1", "conv7_2"):
            x = self._relu(name, x)
            if name in {"fc7", "conv6_2", "conv7_2"}:
                yield x

    def _relu(self, name: str, x: Tensor) -> Tensor:
        return F.relu_(cast(nn.Conv2d, self._modules[name])(x))

    def _layer(self, name: str, features: Tensor, stride: int) -> Layer:
        out = cast(nn.Conv2d, self._modules[f"{name}_mbox"])(features).permute(0, 2, 3, 1)
        background, face, box = out[..., :-5], out[..., -5:-4], out[..., -4:]
        logits = face - background.amax(dim=-1, keepdim=True)
        return Layer(stride=stride, sizes=(4.0 * stride,), logits=logits, raw=box[..., None, :])
