"""Blocks that every swap network is built of, with DeepFaceLab's sizes and slopes.

I. Perov et al., "DeepFaceLab", arXiv 2005.05535. Shape suffixes: B batch, C channels, H and W pixels, F flat features.
A block's `begin` is the last word on its fresh weights: `Network.initialise` draws all of them alike before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from understudy.core.model.winograd import Convolution

Activation = Callable[[Tensor, float], Tensor]
Out = TypeVar("Out")


def leaky(x: Tensor, slope: float) -> Tensor:
    """In place: what comes in is a layer's own, and what comes out is all that the backward pass needs to keep."""
    return functional.leaky_relu(x, slope, inplace=True)


def x_cos_x(x: Tensor, _slope: float) -> Tensor:
    return x * torch.cos(x)


def activation(options: str) -> Activation:
    """What a model with these options computes after a convolution: `c` asks for x·cos(x)."""
    return x_cos_x if "c" in options else leaky


class Block(nn.Module):
    """A layer that begins in a way of its own."""

    def begin(self) -> None:
        """Change weights that were drawn like all others, without gradient."""


class Recomputed:
    """What may forget its inner layers' outputs, and compute them a second time for the backward pass.

    Attributes:
        recompute: whether it does; for a training alone, and no result hangs on it.
    """

    recompute = False

    def run(self, layers: Callable[[Tensor], Out], x: Tensor) -> Out:
        """`layers(x)`, of which only x and the result are kept where `recompute` says so."""
        if not (self.recompute and torch.is_grad_enabled()):
            return layers(x)
        found: Out = checkpoint(
            layers, x, use_reentrant=False, preserve_rng_state=False
        )  # there is no chance
        return found


class Downscale(nn.Module):
    def __init__(self, channels: int, out: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 5, stride=2, padding=2)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.act(self.conv1(x_BCHW), 0.1)  # (B, out, H/2, W/2)


class Upscale(Block):
    def __init__(self, channels: int, out: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, 4 * out)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = functional.pixel_shuffle(self.conv1(x_BCHW), 2)  # (B, out, 2H, 2W)
        return self.act(
            x, 0.1
        )  # after the shuffle: the next layer's input and what the activation keeps are one

    def begin(self) -> None:
        """Make sub-pixels equal, so that no grid is painted (ICNR, Aitken et al., arXiv 1707.02937)."""
        self.conv1.weight.copy_(self.conv1.weight[::4].repeat_interleave(4, dim=0))


class Residual(Block):
    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, channels)
        self.conv2 = Convolution(channels, channels)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.act(x_BCHW + self.conv2(self.act(self.conv1(x_BCHW), 0.2)), 0.2)

    def begin(self) -> None:
        """Pass on what comes in."""
        self.conv2.weight.zero_()


def pixel_norm(x_BF: Tensor) -> Tensor:
    """Scale each sample to a mean square of 1 over all features (Karras et al., arXiv 1710.10196)."""
    wide = x_BF.to(torch.promote_types(x_BF.dtype, torch.float32))  # a bf16 mean of squares is too coarse
    size = wide.square().mean(dim=1, keepdim=True)
    return (wide * torch.rsqrt(size + 1e-6)).to(x_BF.dtype)
