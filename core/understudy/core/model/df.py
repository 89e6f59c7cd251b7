"""DF, the two-decoder autoencoder of face replacement, from top to bottom.

One encoder and one inter see both people, so that the code means pose, expression and light; each person has a
decoder of their own, that puts identity back. A swap is the dst face decoded by the src decoder:

    face_dst → encoder → inter → code → decoder_src → face of src doing what dst does, and its matte

The layers and sizes are those of DeepFaceLab's DF (I. Perov et al., "DeepFaceLab", arXiv 2005.05535), so that its
weights load (`dfl.py`); initialisation and memory layout are ours. Shape suffixes: B batch, C channels, H and W
pixels, F flat features. Faces are RGB in swap space, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.model.presets import ModelConfig

Activation = Callable[[Tensor, float], Tensor]


def leaky(x: Tensor, slope: float) -> Tensor:
    return functional.leaky_relu(x, slope)


def x_cos_x(x: Tensor, _slope: float) -> Tensor:
    return x * torch.cos(x)


class Downscale(nn.Module):
    def __init__(self, channels: int, out: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 5, stride=2, padding=2)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.act(self.conv1(x_BCHW), 0.1)  # (B, out, H/2, W/2)


class Upscale(nn.Module):
    def __init__(self, channels: int, out: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4 * out, 3, padding=1)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = self.act(self.conv1(x_BCHW), 0.1)  # (B, 4·out, H, W)
        return functional.pixel_shuffle(x, 2)  # (B, out, 2H, 2W)


class Residual(nn.Module):
    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.act(x_BCHW + self.conv2(self.act(self.conv1(x_BCHW), 0.2)), 0.2)


class Encoder(nn.Module):
    """A face to flat features: (B, 3, S, S) → (B, 8e·(S/16)²), with `t` (B, 8e·(S/32)²)."""

    def __init__(self, config: ModelConfig, act: Activation) -> None:
        super().__init__()
        e = config.e_dims
        layers: list[nn.Module]
        if "t" in config.options:
            layers = [Downscale(3, e, act), Residual(e, act), Downscale(e, 2 * e, act)]
            layers += [Downscale(2 * e, 4 * e, act), Downscale(4 * e, 8 * e, act)]
            layers += [Downscale(8 * e, 8 * e, act), Residual(8 * e, act)]
            side = config.resolution // 32
        else:
            layers = [Downscale(3, e, act), Downscale(e, 2 * e, act)]
            layers += [Downscale(2 * e, 4 * e, act), Downscale(4 * e, 8 * e, act)]
            side = config.resolution // 16
        self.layers = nn.Sequential(*layers)
        self.normalise = "u" in config.options
        self.features = 8 * e * side * side

    def forward(self, face_BCHW: Tensor) -> Tensor:
        x_BF: Tensor = self.layers(face_BCHW).flatten(1)  # channel first, whatever the memory layout
        if self.normalise:  # pixel norm over all features, in float32: a bf16 mean of squares is too coarse
            wide = x_BF.to(torch.promote_types(x_BF.dtype, torch.float32))
            size = wide.square().mean(dim=1, keepdim=True)
            x_BF = (wide * torch.rsqrt(size + 1e-6)).to(x_BF.dtype)
        return x_BF


class Inter(nn.Module):
    """The bottleneck: (B, F) → code (B, ae, 2L, 2L), with `t` (B, ae, L, L); L is `config.code_side`."""

    def __init__(self, config: ModelConfig, features: int, act: Activation) -> None:
        super().__init__()
        self.side, self.channels = config.code_side, config.ae_dims
        self.dense1 = nn.Linear(features, config.ae_dims)
        self.dense2 = nn.Linear(config.ae_dims, self.side * self.side * config.ae_dims)
        self.upscale1 = None if "t" in config.options else Upscale(config.ae_dims, config.ae_dims, act)

    def forward(self, x_BF: Tensor) -> Tensor:
        x_BF = self.dense2(self.dense1(x_BF))
        code_BCHW = x_BF.view(-1, self.channels, self.side, self.side)
        code_BCHW = code_BCHW.contiguous(memory_format=torch.channels_last)
        if self.upscale1 is not None:
            code_BCHW = self.upscale1(code_BCHW)
        return code_BCHW


class Decoder(nn.Module):
    """A code to a face (B, 3, S, S) and its matte (B, 1, S, S), both as logits: `sigmoid` makes them 0 to 1."""

    def __init__(self, config: ModelConfig, act: Activation) -> None:
        super().__init__()
        widths = [8, 8, 4, 2] if "t" in config.options else [8, 4, 2]
        self.halved = "d" in config.options
        self.face = nn.Sequential()
        channels = config.ae_dims
        for width in widths:
            self.face.append(Upscale(channels, width * config.d_dims, act))
            channels = width * config.d_dims
            self.face.append(Residual(channels, act))
        # with `d`, four heads predict the four sub-pixels: 1×1, then 3×3 thrice
        kernels = [1, 3, 3, 3] if self.halved else [1]
        self.out = nn.ModuleList(nn.Conv2d(channels, 3, k, padding=k // 2) for k in kernels)

        self.matte = nn.Sequential()
        channels = config.ae_dims
        for width in [*widths, 1] if self.halved else widths:
            self.matte.append(Upscale(channels, width * config.d_mask_dims, act))
            channels = width * config.d_mask_dims
        self.out_matte = nn.Conv2d(channels, 1, 1)

    def forward(self, code_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x = self.face(code_BCHW)  # (B, 2d, S, S), with `d` (B, 2d, S/2, S/2)
        if self.halved:
            heads = torch.stack([head(x) for head in self.out], dim=2)  # (B, 3, 4, S/2, S/2)
            face = functional.pixel_shuffle(heads.flatten(1, 2), 2)  # (B, 3, S, S)
        else:
            face = self.out[0](x)
        return face, self.out_matte(self.matte(code_BCHW))

    def begin_grey(self) -> None:
        """Make the heads' weights small, and those of all sub-pixels the same."""
        first, *others = (head.weight for head in self.out if isinstance(head, nn.Conv2d))
        first.mul_(0.3)  # (3, 2d, 1, 1)
        for weight in others:  # (3, 2d, 3, 3)
            weight.zero_()[..., 1:2, 1:2] = first
        self.out_matte.weight.mul_(0.3)


class DF(nn.Module):
    """The whole network: what both people share, and a decoder for each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        act = x_cos_x if "c" in config.options else leaky
        self.config = config
        self.encoder = Encoder(config, act)
        self.inter = Inter(config, self.encoder.features, act)
        self.decoder_src = Decoder(config, act)
        self.decoder_dst = Decoder(config, act)

    def code(self, face_BCHW: Tensor) -> Tensor:
        code: Tensor = self.inter(self.encoder(face_BCHW))
        return code

    def swap(self, face_dst_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """dst's performance with src's face: (B, 3, S, S) face and (B, 1, S, S) matte, float32, 0 to 1."""
        face, matte = self.decoder_src(self.code(face_dst_BCHW))
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float())

    def swap_and_dst(self, face_dst_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `swap`, and the matte (B, 1, S, S) of dst's own face: what dst's decoder says of the same code."""
        code_BCHW = self.code(face_dst_BCHW)
        face, matte = self.decoder_src(code_BCHW)
        own = self.decoder_dst.out_matte(self.decoder_dst.matte(code_BCHW))
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float()), torch.sigmoid(own.float())

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; equal generators give equal weights.

        Every layer keeps the spread of what it gets (He et al., arXiv 1502.01852), residual blocks begin as
        identities, sub-pixels begin equal, so that no grid is painted (ICNR, Aitken et al., arXiv 1707.02937), and
        the heads begin near grey. Few iterations get much further so than from DeepFaceLab's glorot (docs/LOG.md).
        """
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d | nn.Linear):
                continue
            gain = (
                1.0 if isinstance(module, nn.Linear) else 2 / (1 + 0.1**2)
            )  # no activation after a dense layer
            module.weight.normal_(0, math.sqrt(gain / module.weight[0].numel()), generator=generator)
            if name.endswith(".conv2"):
                module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()
        for module in self.modules():
            if isinstance(module, Upscale):
                module.conv1.weight.copy_(module.conv1.weight[::4].repeat_interleave(4, dim=0))
            elif isinstance(module, Decoder):
                module.begin_grey()
