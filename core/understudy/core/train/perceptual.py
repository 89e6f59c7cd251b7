"""Perceptual loss: how far two faces are apart in what VGG, which learnt to name things, makes of them.

Features of VGG-16 or VGG-19 (Simonyan and Zisserman, arXiv 1409.1556) after the last ReLU of their first four stages,
as in Johnson et al., arXiv 1603.08155; compared as Zhang et al., arXiv 1801.03924, do without learnt weights: each
pixel's features as a direction, which tells content from contrast and keeps every layer's share within 0 to 2. Weights
are torchvision's, learnt on ImageNet. Suffixes: B batch, C channels, H, W pixels. Faces are RGB in swap space, 0 to 1.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from understudy.core import _checkpoint
from understudy.core.weights import WeightStore

Name = Literal["vgg16", "vgg19"]
NAMES: tuple[Name, ...] = ("vgg16", "vgg19")

_STAGES: dict[Name, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3), "vgg19": (2, 2, 4, 4)}
"""Convolutions of each stage; the stages have 64, 128, 256 and 512 channels."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB, sRGB codes, which swap space is up to 0.8. torchvision's documentation of vgg16."""


class Vgg(nn.Module):
    """The first four stages; its layers have the places, and its parameters the names, of torchvision's."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: Name = "vgg16") -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.taps: list[int] = []  # places of the layers that are looked at
        before = 3
        for stage, count in enumerate(_STAGES[name]):
            if stage:
                self.features.append(nn.MaxPool2d(2))
            for _ in range(count):
                self.features.append(nn.Conv2d(before, 64 << stage, 3, padding=1))
                self.features.append(nn.ReLU())
                before = 64 << stage
            self.taps.append(len(self.features) - 1)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    def forward(self, face_BCHW: Tensor) -> list[Tensor]:
        """Of each stage (B, C, H, W), at every pixel a direction: of length 1, or 0 where nothing is seen."""
        x, seen = (face_BCHW - self.mean) / self.std, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.taps:
                wide = x.float()
                seen.append(wide / (torch.linalg.vector_norm(wide, dim=1, keepdim=True) + 1e-6))
        return seen


def load(store: WeightStore, name: Name, device: torch.device) -> Vgg:
    """The network with its published weights, frozen, for evaluation.

    Raises:
        WeightsMissing, WeightsCorrupt: as the store says, or the file holds another network.
    """
    path, net = store.path(name), Vgg(name)
    wanted = net.state_dict()  # which has no classifier
    state = {key: value for key, value in _checkpoint.load(path).items() if key in wanted}
    return _checkpoint.fill(net, state, path).to(device)


@torch.no_grad()
def initialise(net: Vgg, generator: Generator) -> None:
    """Draw weights that keep the spread of what they get (He et al., arXiv 1502.01852); for want of learnt ones."""
    for layer in net.features:
        if isinstance(layer, nn.Conv2d):
            layer.weight.normal_(0, math.sqrt(2 / layer.weight[0].numel()), generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


def perceptual(net: Vgg, target_BCHW: Tensor, face_BCHW: Tensor) -> Tensor:
    """Mean over stages and pixels of the squared distance between directions, per sample: (B,), 0 (equal) to 2.

    Nothing moves the target or the network's weights. Sides of at least 8 pixels.
    """
    with torch.no_grad():
        wanted = net(target_BCHW)
    apart = [(x - y).square().sum(1).mean(dim=(1, 2)) for x, y in zip(net(face_BCHW), wanted, strict=True)]
    return torch.stack(apart).mean(0)
