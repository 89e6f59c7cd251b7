"""RetinaFace on ResNet-50: slower than on MobileNet, and surer of small and turned faces. See `_retinaface`."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from understudy.core.detect import _retinaface
from understudy.core.detect._pyramid import Pyramid
from understudy.core.detect._retinaface import RetinaFace, conv
from understudy.core.weights import WeightStore

WEIGHTS = ("retinaface-resnet50",)

_THRESHOLD = 0.8  # at 0.6 a flower pot is a face; those of `enough` pixels have 0.9 and more
_WIDEN = 4  # a block's outputs, in its inner channels


def create(store: WeightStore, *, device: str = "auto") -> Pyramid:
    return _retinaface.create(network(), store.path(*WEIGHTS), device, threshold=_THRESHOLD)


def network() -> RetinaFace:
    return RetinaFace(ResNet(), (512, 1024, 2048), 256)


class ResNet(nn.Module):
    """ResNet-50 with the stride in the middle convolution of a block, as torchvision has it.

    He et al., "Deep Residual Learning for Image Recognition", 2015.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, side=7, stride=2)
        self.layer1 = _layer(64, 64, 3, stride=1)
        self.layer2 = _layer(256, 128, 4, stride=2)
        self.layer3 = _layer(512, 256, 6, stride=2)
        self.layer4 = _layer(1024, 512, 3, stride=2)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.bn1(self.conv1(picture)).relu_()
        fine = self.layer2(self.layer1(F.max_pool2d(x, 3, 2, 1)))
        middle = self.layer3(fine)
        return fine, middle, self.layer4(middle)


def _layer(before: int, inner: int, blocks: int, *, stride: int) -> nn.Sequential:
    widths = [before, *[inner * _WIDEN] * (blocks - 1)]
    strides = [stride, *[1] * (blocks - 1)]
    return nn.Sequential(*(_Block(width, inner, step) for width, step in zip(widths, strides, strict=True)))


class _Block(nn.Module):
    """Narrow, look, widen, and add what came in."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        after = inner * _WIDEN
        self.conv1, self.bn1 = conv(before, inner, side=1)
        self.conv2, self.bn2 = conv(inner, inner, stride=stride)
        self.conv3, self.bn3 = conv(inner, after, side=1)
        same = before == after and stride == 1
        self.downsample = (
            nn.Identity() if same else nn.Sequential(*conv(before, after, side=1, stride=stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y)).add_(self.downsample(x))
        return y.relu_()
