"""RetinaFace, in the two sizes that are published: a trunk, a feature pyramid, context modules, heads.

Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", 2019, as its PyTorch version has it
(biubug6/Pytorch_Retinaface, MIT): three levels at strides 8, 16 and 32 with two anchors a cell, five key points. The
parameters have the names of its checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from understudy.core import _checkpoint
from understudy.core.detect._pyramid import Plan, Pyramid
from understudy.core.detect._ssd import Layer, Ssd, joined, with_norms_folded
from understudy.core.model.device import pick

_ANCHORS = ((8, (16.0, 32.0)), (16, (64.0, 128.0)), (32, (256.0, 512.0)))
"""Of each level: stride, and the sides of the anchors; in pixels."""

_SAME_FACE = 0.4  # intersection over union
_ENOUGH = 32.0  # pixels that a face must fill: at 32 MobileNet found all of 25, at 28 23, at 24 19
_KEYPOINTS = 5


def create(network: RetinaFace, path: Path, device: str, *, threshold: float) -> Pyramid:
    """See `detect.Family`. Key points: the person's right and left eye, nose tip, right and left mouth corner."""
    ready = _checkpoint.fill(network, _checkpoint.load(path), path).joined()
    ssd = Ssd(ready, pick(device), threshold=threshold)
    plan = Plan(enough=_ENOUGH, tile=1024, overlap=96, margin=8.0, batch=ssd.batch)
    return Pyramid((ssd, plan), same=_SAME_FACE)


def conv(before: int, after: int, *, side: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, its norm."""
    kernel = nn.Conv2d(before, after, side, stride, side // 2, groups=groups, bias=False)
    return [kernel, nn.BatchNorm2d(after)]


def leaky(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True)


class _Merging(nn.Module):
    """The feature pyramid: all levels in one width, coarser ones added to finer."""

    def __init__(self, before: tuple[int, int, int], width: int, slope: float) -> None:
        super().__init__()
        for n, channels in enumerate(before, 1):
            self.add_module(f"output{n}", nn.Sequential(*conv(channels, width, side=1), leaky(slope)))
        self.merge1 = nn.Sequential(*conv(width, width), leaky(slope))
        self.merge2 = nn.Sequential(*conv(width, width), leaky(slope))

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        fine, middle, coarse = (self.get_submodule(f"output{n}")(level) for n, level in enumerate(levels, 1))
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return fine, middle, coarse


class _Context(nn.Module):
    """SSH: what is seen through one, two and three convolutions side by side.

    Najibi et al., "SSH: Single Stage Headless Face Detector", 2017.
    """

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv3X3 = nn.Sequential(*conv(width, half))
        self.conv5X5_1 = nn.Sequential(*conv(width, quarter), leaky(slope))
        self.conv5X5_2 = nn.Sequential(*conv(quarter, quarter))
        self.conv7X7_2 = nn.Sequential(*conv(quarter, quarter), leaky(slope))
        self.conv7x7_3 = nn.Sequential(*conv(quarter, quarter))

    def forward(self, x: Tensor) -> Tensor:
        wider = self.conv5X5_1(x)
        parts = self.conv3X3(x), self.conv5X5_2(wider), self.conv7x7_3(self.conv7X7_2(wider))
        return torch.cat(parts, dim=1).relu_()


class _Head(nn.Module):
    """A number of outputs for each anchor of a cell."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(width, outputs * len(_ANCHORS[0][1]), 1)


class RetinaFace(nn.Module):
    """The network (`_ssd.Module`); `joined` makes it ready.

    Args:
        trunk: picture → features at strides 8, 16 and 32.
        channels: of these.
        width: channels of the feature pyramid.
    """

    def __init__(self, trunk: nn.Module, channels: tuple[int, int, int], width: int) -> None:
        super().__init__()
        slope = 0.1 if width <= 64 else 0.0
        self.body = trunk
        self.fpn = _Merging(channels, width, slope)
        self.ssh1, self.ssh2, self.ssh3 = (_Context(width, slope) for _ in _ANCHORS)
        self.ClassHead = nn.ModuleList(_Head(width, 2) for _ in _ANCHORS)
        self.BboxHead = nn.ModuleList(_Head(width, 4) for _ in _ANCHORS)
        self.LandmarkHead = nn.ModuleList(_Head(width, 2 * _KEYPOINTS) for _ in _ANCHORS)

    def joined(self) -> RetinaFace:
        """Itself, made faster: a level's three heads are one convolution, and the norms are in the convolutions."""
        heads = zip(self.ClassHead, self.BboxHead, self.LandmarkHead, strict=True)
        convolutions = ([cast(nn.Conv2d, head.get_submodule("conv1x1")) for head in level] for level in heads)
        self.heads = nn.ModuleList(joined(*level) for level in convolutions)
        del self.ClassHead, self.BboxHead, self.LandmarkHead
        with_norms_folded(self)
        return self

    def forward(self, picture: Tensor) -> list[Layer]:
        return list(self._layers(self.fpn(self.body(picture))))

    def _layers(self, levels: tuple[Tensor, Tensor, Tensor]) -> Iterator[Layer]:
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        for level, context, head, (stride, sizes) in zip(levels, contexts, self.heads, _ANCHORS, strict=True):
            out = head(context(level)).permute(0, 2, 3, 1)
            scores, boxes, points = (
                part.unflatten(-1, (len(sizes), -1))
                for part in out.split([len(sizes) * n for n in (2, 4, 2 * _KEYPOINTS)], dim=-1)
            )
            raw = torch.cat((boxes, points), dim=-1)
            yield Layer(stride=stride, sizes=sizes, logits=scores[..., 1] - scores[..., 0], raw=raw)
