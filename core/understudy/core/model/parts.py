"""The parts of a swap network: an encoder, inters and decoders, alike in all architectures.

A part is what is imported, exported and merged as a whole; `Network.parts` names those of a network. Shape suffixes
as in `layers`. Faces are RGB in swap space, 0 to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.model.hd import Columns, Trunk
from understudy.core.model.layers import (
    Activation,
    Block,
    Downscale,
    Recomputed,
    Residual,
    Upscale,
    activation,
    pixel_norm,
)
from understudy.core.model.presets import ModelConfig


class Encoder(Recomputed, nn.Module):
    """A face to flat features: (B, 3, S, S) → (B, F).

    F is 8e·(S/16)², with `t` 8e·(S/32)², of the HD kin 40e·(S/16)².
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        e, act = config.e_dims, activation(config.options)
        self.layers: nn.Module
        channels, side = 8 * e, config.resolution // 16
        if config.hd:
            self.layers = Columns(e, act)
            channels = self.layers.channels
        elif "t" in config.options:
            layers = [Downscale(3, e, act), Residual(e, act), Downscale(e, 2 * e, act)]
            layers += [Downscale(2 * e, 4 * e, act), Downscale(4 * e, 8 * e, act)]
            self.layers = nn.Sequential(*layers, Downscale(8 * e, 8 * e, act), Residual(8 * e, act))
            side = config.resolution // 32
        else:
            layers = [Downscale(3, e, act), Downscale(e, 2 * e, act)]
            self.layers = nn.Sequential(*layers, Downscale(2 * e, 4 * e, act), Downscale(4 * e, 8 * e, act))
        self.normalise = "u" in config.options
        self.features = channels * side * side

    def forward(self, face_BCHW: Tensor) -> Tensor:
        x_BF = self.run(self.layers, face_BCHW).flatten(1)  # channel first, whatever the memory layout
        return pixel_norm(x_BF) if self.normalise else x_BF


class Inter(nn.Module):
    """The bottleneck: (B, F) → code (B, out, 2L, 2L), with `t` (B, out, L, L); L is `config.code_side`."""

    def __init__(self, config: ModelConfig, features: int, out: int) -> None:
        super().__init__()
        self.side, self.channels = config.code_side, out
        self.dense1 = nn.Linear(features, config.ae_dims)
        self.dense2 = nn.Linear(config.ae_dims, self.side * self.side * out)
        deep = "t" in config.options
        self.upscale1 = None if deep else Upscale(out, out, activation(config.options))

    def forward(self, x_BF: Tensor) -> Tensor:
        x_BF = self.dense2(self.dense1(x_BF))
        code_BCHW = x_BF.view(-1, self.channels, self.side, self.side)
        code_BCHW = code_BCHW.contiguous(memory_format=torch.channels_last)
        if self.upscale1 is not None:
            code_BCHW = self.upscale1(code_BCHW)
        return code_BCHW


class Decoder(Recomputed, Block):
    """A code to a face (B, 3, S, S) and its matte (B, 1, S, S), both as logits: `sigmoid` makes them 0 to 1."""

    def __init__(self, config: ModelConfig, channels: int) -> None:
        super().__init__()
        act = activation(config.options)
        widths = [8, 8, 4, 2] if "t" in config.options else [8, 4, 2]
        self.halved = "d" in config.options
        self.face = _face(config, channels, [width * config.d_dims for width in widths])
        # with `d`, four heads predict the four sub-pixels: 1×1, then 3×3 thrice
        kernels = [1, 3, 3, 3] if self.halved else [1]
        self.out = nn.ModuleList(nn.Conv2d(2 * config.d_dims, 3, k, padding=k // 2) for k in kernels)

        self.matte = nn.Sequential()
        for width in [*widths, 1] if self.halved else widths:
            self.matte.append(Upscale(channels, width * config.d_mask_dims, act))
            channels = width * config.d_mask_dims
        self.out_matte = nn.Conv2d(channels, 1, 1)

    def forward(self, code_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x = self.face(code_BCHW)  # (B, 2d, S, S), with `d` (B, 2d, S/2, S/2)
        face = functional.pixel_shuffle(self._heads(x), 2) if self.halved else self.out[0](x)  # (B, 3, S, S)
        return face, self.matte_only(code_BCHW)

    def _heads(self, x_BCHW: Tensor) -> Tensor:
        """(B, 12, H, W) what the four heads make of (B, 2d, H, W), colour first, then head.

        In training they are one convolution: one of twelve channels costs what one of three does.
        """
        heads = [head for head in self.out if isinstance(head, nn.Conv2d)]
        if not torch.is_grad_enabled():
            return torch.stack([head(x_BCHW) for head in heads], dim=2).flatten(1, 2)
        first, *others = (head.weight for head in heads)
        weight = torch.stack([functional.pad(first, (1, 1, 1, 1)), *others], dim=1)  # (3, 4, 2d, 3, 3)
        bias = torch.stack([head.bias for head in heads if head.bias is not None], dim=1)
        return functional.conv2d(x_BCHW, weight.flatten(0, 1), bias.flatten(), padding=1)

    def matte_only(self, code_BCHW: Tensor) -> Tensor:
        """The matte's logits (B, 1, S, S) without the face, which costs most."""
        matte: Tensor = self.out_matte(self.run(self.matte, code_BCHW))
        return matte

    def begin(self) -> None:
        """Begin near grey, all sub-pixels the same."""
        first, *others = (head.weight for head in self.out if isinstance(head, nn.Conv2d))
        first.mul_(0.3)  # (3, 2d, 1, 1)
        for weight in others:  # (3, 2d, 3, 3)
            weight.zero_()[..., 1:2, 1:2] = first
        self.out_matte.weight.mul_(0.3)


class Scales(Recomputed, nn.Sequential):
    """An upscale and a residual block on each scale: (B, channels, H, W) → (B, widths[-1], nH, nW), n 2^scales."""

    def __init__(self, channels: int, widths: list[int], act: Activation) -> None:
        super().__init__()
        for width in widths:
            self.append(Upscale(channels, width, act))
            self.append(Residual(width, act))
            channels = width

    def forward(self, code_BCHW: Tensor) -> Tensor:
        x, layers = code_BCHW, list(self)
        for upscale, residual in zip(layers[::2], layers[1::2], strict=True):
            x = self.run(nn.Sequential(upscale, residual), x)
        return x


def _face(config: ModelConfig, channels: int, widths: list[int]) -> nn.Module:
    """A decoder's layers between the code and the heads of the picture."""
    act = activation(config.options)
    if config.hd:
        return Trunk(channels, widths, act)
    return Scales(channels, widths, act)
