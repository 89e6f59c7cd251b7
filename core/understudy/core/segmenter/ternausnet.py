"""TernausNet: a U-Net whose encoder is VGG-11, so that it can begin with what VGG-11 knows of pictures.

    crop → 5 × (convolutions, pool) → centre → 5 × (join what the encoder had, convolution, double) → logits

V. Iglovikov, A. Shvets, "TernausNet: U-Net with VGG11 Encoder Pre-Trained on ImageNet for Image Segmentation", arXiv
1801.05746. Layers and names of the weights are those of the authors' package `ternausnet` (UNet11), so that its files
load. With 64 channels the encoder is VGG-11's; with others it is as much narrower, and so is the decoder.
Shape suffixes: B batch, C channels, H and W pixels. Crops are RGB in swap space, 0 to 1.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core import _checkpoint
from understudy.core.errors import NotFound, WeightsCorrupt
from understudy.core.segment.config import SegmenterConfig

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB, sRGB codes: what the encoder was trained with. torchvision's documentation of vgg11."""

_ENCODER = {0: (0, 1), 3: (1, 2), 6: (2, 4), 8: (4, 4), 11: (4, 8), 13: (8, 8), 16: (8, 8), 18: (8, 8)}
"""Place of each convolution in VGG-11's list of layers: widths in and out, times the channels; 0 is the picture."""

_LEVELS = ((0,), (3,), (6, 8), (11, 13), (16, 18))
"""The convolutions between one pool and the next."""

_DECODER = {
    "center": (16, 16, 8),
    "dec5": (24, 16, 8),
    "dec4": (24, 16, 4),
    "dec3": (12, 8, 2),
    "dec2": (6, 4, 1),
}
"""Widths in, between and out, times half the channels."""


class ConvRelu(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return functional.relu(self.conv(x_BCHW), inplace=True)


class Double(nn.Module):
    """(B, C, H, W) → (B, out, 2H, 2W)."""

    def __init__(self, channels: int, between: int, out: int) -> None:
        super().__init__()
        doubled = nn.ConvTranspose2d(between, out, 3, stride=2, padding=1, output_padding=1)
        self.block = nn.Sequential(ConvRelu(channels, between), doubled, nn.ReLU(inplace=True))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x: Tensor = self.block(x_BCHW)
        return x


class TernausNet(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        c, half = config.channels, config.channels // 2
        self.encoder = nn.ModuleDict(
            {
                str(place): nn.Conv2d(before * c or 3, after * c, 3, padding=1)
                for place, (before, after) in _ENCODER.items()
            }
        )
        for name, (before, between, after) in _DECODER.items():
            self.add_module(name, Double(before * half, between * half, after * half))
        self.dec1 = ConvRelu(3 * half, half)
        self.final = nn.Conv2d(half, 1, 1)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    def forward(self, crop_BCHW: Tensor) -> Tensor:
        x, seen = (crop_BCHW - self.mean) / self.std, []
        for level in _LEVELS:
            for place in level:
                x = functional.relu(self.encoder[str(place)](x), inplace=True)
            seen.append(x)
            x = functional.max_pool2d(x, 2)
        for name in _DECODER:
            x = torch.cat([self.get_submodule(name)(x), seen.pop()], dim=1)
        logits: Tensor = self.final(self.dec1(x))
        return logits.float()


def build(config: SegmenterConfig) -> TernausNet:
    return TernausNet(config)


@torch.no_grad()
def initialise(net: nn.Module, generator: torch.Generator) -> None:
    """Every layer keeps the spread of what it gets (He et al., arXiv 1502.01852); the head begins unsure."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            transposed = isinstance(module, nn.ConvTranspose2d)
            # a pixel of a doubled picture meets a quarter of the kernel, in the mean
            fan = module.weight[:, 0].numel() / 4 if transposed else module.weight[0].numel()
            module.weight.normal_(
                0.0, math.sqrt((0.1 if name == "final" else 2.0) / fan), generator=generator
            )
            if module.bias is not None:
                module.bias.zero_()


def published(path: Path, config: SegmenterConfig) -> dict[str, Tensor]:
    """A state dict of the package's UNet11, or of torchvision's `vgg11`, which gives the encoder only."""
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file of weights", path=path)
    with torch.device("meta"):
        wanted = build(config).state_dict()
    given = _checkpoint.load(path)
    if "features.0.weight" in given:  # VGG-11
        given = {
            f"encoder.{n.removeprefix('features.')}": v for n, v in given.items() if n.startswith("features.")
        }
        wanted = {name: value for name, value in wanted.items() if name.startswith("encoder.")}
    missing = [name for name in wanted if name not in given]
    if missing:
        more = f" and {len(missing) - 3} more" * (len(missing) > 3)
        raise WeightsCorrupt(
            f"{path}: weights of neither TernausNet nor VGG-11: it lacks {', '.join(missing[:3])}{more}",
            path=path,
        )
    for name, like in wanted.items():
        if given[name].shape != like.shape:
            raise WeightsCorrupt(
                f"{path}: {name} is {tuple(given[name].shape)}, not {tuple(like.shape)}: are the channels those that "
                f"it was trained with? (VGG-11 has 64)",
                path=path,
            )
        if not bool(torch.isfinite(given[name]).all()):
            raise WeightsCorrupt(f"{path}: {name} is not finite", path=path)
    return {name: given[name].float().contiguous() for name in wanted}
