"""Colours of batched pictures as matrices and curves, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""RGB to luma and the two colour differences of JPEG (JFIF 1.02)."""
RGB: Tensor = torch.linalg.inv(YCC)
"""Back again."""


@contextmanager
def plainly(device: torch.device) -> Iterator[None]:
    """Inside, all is worked out in the precision of its arguments and without gradients."""
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def onto(x: Tensor, device: torch.device) -> Tensor:
    """x on the device; a GPU is not waited for. x may change at once: from pageable memory CUDA copies it first."""
    return x.to(device, non_blocking=device.type == "cuda")


def mixed(x_BCHW: Tensor, matrix: Tensor) -> Tensor:
    """(B, D, H, W), contiguous: each pixel's channels through a matrix, (D, C) or one for each sample (B, D, C), from
    any device."""
    count, channels, *size = x_BCHW.shape
    matrix = onto(matrix, x_BCHW.device).expand(count, -1, channels)
    return torch.bmm(matrix, x_BCHW.flatten(2)).reshape(count, matrix.shape[1], *size)


def power_(x: Tensor, exponent: float | Tensor) -> Tensor:
    """x ** exponent in place, x above 0; on CPUs a third of the price of PyTorch's."""
    return x.log_().mul_(exponent).exp_()


def turns(hue: Tensor, saturation: Tensor) -> Tensor:
    """(B, 3, 3): matrices that turn hues by `hue` (B,) radians and stretch saturation by `saturation` (B,).

    In the plane of JPEG's colour differences, so that luma stays, and greys are left alone. In HSV, which DeepFaceLab
    takes for it, light comes and goes with the hue, and the noise of dark greys becomes coloured.
    """
    cos, sin, zero = saturation * hue.cos(), saturation * hue.sin(), torch.zeros_like(hue)
    rows = (
        torch.stack([torch.ones_like(hue), zero, zero], 1),
        torch.stack([zero, cos, -sin], 1),
        torch.stack([zero, sin, cos], 1),
    )
    return RGB @ torch.stack(rows, 1) @ YCC
