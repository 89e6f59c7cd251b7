"""XSeg, the segmenter of DeepFaceLab: a U-Net of six levels whose layers normalise by their own energy.

    crop → 6 × (blocks, blur and halve) → dense bottleneck → 6 × (double, join what the encoder had, blocks) → logits

A block is a convolution, filter response normalisation and a threshold that is learnt (FRN and TLU: Singh, Krishnan,
"Filter Response Normalization Layer", CVPR 2020, arXiv 1911.09737). Nothing is shared by the faces of a batch. Sizes
and names of the weights are DeepFaceLab's (core/leras/models/XSeg.py), so that its files load; halving blurs first
(Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, arXiv 1904.11486).
Shape suffixes: B batch, C channels, H and W pixels. Crops are RGB in swap space, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.segment.config import SegmenterConfig
from understudy.core.segmenter import _dfl, _frn

_DEPTHS = (2, 2, 2, 3, 3, 3)  # blocks of each level, outside in
_WIDTHS = (1, 2, 4, 8, 8, 8)  # of each level, times the configuration's channels
_BLURS = (4, 3, 2, 2, 2, 2)  # taps of the blur below each level
_DOUBLED = (1, 2, 4, 4, 4, 4)  # widths of what is doubled on the way up
_CODE = 512  # numbers between the dense layers


class Block(nn.Module):
    """Convolution 3×3, FRN, TLU: (B, C, H, W) → (B, out, H, W), or where it `doubles` (B, out, 2H, 2W)."""

    def __init__(self, channels: int, out: int, *, doubles: bool = False) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if doubles else nn.Conv2d
        self.conv = kind(channels, out, 3, stride=2 if doubles else 1, padding=0 if doubles else 1)
        self.doubles = doubles
        self.weight = nn.Parameter(torch.ones(out))
        self.bias = nn.Parameter(torch.zeros(out))
        self.eps = nn.Parameter(torch.full((1,), 1e-6))
        self.tau = nn.Parameter(torch.zeros(out))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = doubled(x_BCHW, self.conv.weight, self.conv.bias) if self.doubles else self.conv(x_BCHW)
        return _frn.frn_tlu(x, self.weight, self.bias, self.eps, self.tau)


def doubled(x_BCHW: Tensor, weight_IO33: Tensor, bias_O: Tensor | None) -> Tensor:
    """Transposed convolution with a stride of 2: (B, I, H, W) → (B, O, 2H, 2W), TensorFlow's "same".

    Four plain ones in one, of 2×2 taps, whose outputs are interleaved (Shi et al., "Real-Time Single Image and Video
    Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016): torch's own takes several
    times as long on a CPU.
    """
    inputs, outputs = weight_IO33.shape[:2]
    pick = torch.tensor(_TAPS, dtype=weight_IO33.dtype, device=weight_IO33.device)
    # … odd line, line, odd column, column
    taps = (pick @ weight_IO33 @ pick.T).view(inputs, outputs, 2, 2, 2, 2)
    kernel = taps.permute(1, 2, 4, 0, 3, 5).reshape(4 * outputs, inputs, 2, 2)
    bias = None if bias_O is None else bias_O.repeat_interleave(4)
    found = functional.conv2d(functional.pad(x_BCHW, (1, 0, 1, 0)), kernel, bias)
    return functional.pixel_shuffle(found, 2)


# Of the output an even line takes the line above by tap 2 and its own by tap 0, an odd one its own by tap 1.
_TAPS = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0)


class Halve(nn.Module):
    """Blur by a binomial filter and take every second pixel: (B, C, H, W) → (B, C, H/2, W/2). Zeros lie outside.

    Means of two by two pixels, one after another: a binomial filter is made of nothing else.
    """

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.taps = taps
        self.margin = (taps - 1) // 2  # on the far side it may be one more: no filter reaches there

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = x_BCHW
        for step in range(self.taps - 2):
            x = functional.avg_pool2d(x, 2, stride=1, padding=0 if step else self.margin)
        return functional.avg_pool2d(x, 2)


class XSeg(nn.Module):
    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        c = config.channels
        self.encoder, self.halves = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for depth, width, taps in zip(_DEPTHS, _WIDTHS, _BLURS, strict=True):
            self.encoder.append(_blocks(channels, width * c, depth))
            self.halves.append(Halve(taps))
            channels = width * c
        self.side, self.channels = config.resolution // 64, channels
        self.dense1 = nn.Linear(self.side**2 * channels, _CODE)
        self.dense2 = nn.Linear(_CODE, self.side**2 * channels)
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(6)):
            up, width = _DOUBLED[level] * c, _WIDTHS[level] * c
            self.ups.append(Block(channels, up, doubles=True))
            self.decoder.append(_blocks(up + width, width, _DEPTHS[level]))
            channels = width
        self.out = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, crop_BCHW: Tensor, *, skips: bool = True) -> Tensor:
        """Logits (B, 1, R, R); without `skips` the decoder sees the bottleneck only, as DeepFaceLab pretrains it."""
        x, seen = crop_BCHW, []
        for blocks, halve in zip(self.encoder, self.halves, strict=True):
            x = blocks(x)
            seen.append(x if skips else torch.zeros_like(x))
            x = halve(x)
        x = self.dense2(self.dense1(x.flatten(1)))  # channel first, whatever the memory layout
        x = x.view(-1, self.channels, self.side, self.side)
        for up, blocks in zip(self.ups, self.decoder, strict=True):
            x = blocks(torch.cat([up(x), seen.pop()], dim=1))
        logits: Tensor = self.out(x)
        return logits.float()


def _blocks(channels: int, width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width if n else channels, width) for n in range(depth)))


def build(config: SegmenterConfig) -> XSeg:
    return XSeg(config)


@torch.no_grad()
def initialise(net: nn.Module, generator: torch.Generator) -> None:
    """Convolutions keep the spread of what they get (He et al., arXiv 1502.01852); the head begins unsure."""
    for name, module in net.named_modules():
        if isinstance(module, Block):
            module.weight.fill_(1.0)
            module.bias.zero_()
            module.eps.fill_(1e-6)
            module.tau.zero_()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            transposed = isinstance(module, nn.ConvTranspose2d)
            fan = module.weight[:, 0].numel() / 4 if transposed else module.weight[0].numel()
            gain = {"out": 0.1}.get(name, 1.0 if isinstance(module, nn.Linear) else 2.0)
            module.weight.normal_(0.0, math.sqrt(gain / fan), generator=generator)
            if module.bias is not None:
                module.bias.zero_()


def published(path: Path, config: SegmenterConfig) -> dict[str, Tensor]:
    """DeepFaceLab's weights: its own file (`XSeg_256.npy`), or `.npz` or `.safetensors` of the same names."""
    with torch.device("meta"):
        wanted = build(config).state_dict()
    return _dfl.state_dict(path, wanted, dict(_names(wanted)), reversed_input="encoder.0.0.conv.weight")


def _names(wanted: dict[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Pairs of our name and DeepFaceLab's."""
    kinds = {"weight": "frn/weight", "bias": "frn/bias", "eps": "frn/eps", "tau": "tlu/tau"}
    for ours in wanted:
        match ours.split("."):
            case ["encoder", level, block, *rest]:
                layer = f"conv{level}{int(block) + 1}"
            case ["ups", step, *rest]:
                layer = f"up{5 - int(step)}"
            case ["decoder", step, block, *rest]:  # counted from the inside
                layer = f"uconv{5 - int(step)}{_DEPTHS[5 - int(step)] - int(block)}"
            case [layer, *rest]:
                layer = "out_conv" if layer == "out" else layer
        if layer.startswith(("dense", "out_conv")):
            yield ours, f"{layer}/{rest[0]}:0"
        else:
            yield ours, f"{layer}/{kinds[rest[0]] if len(rest) == 1 else '/'.join(rest)}:0"
