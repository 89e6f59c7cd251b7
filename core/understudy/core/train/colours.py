"""Colours of batched pictures as matrices and curves, on any device; on CPUs by OpenCV, faster and alike to rounding.

Pictures (B, C, H, W) lie in memory as planes or interleaved (`torch.channels_last`). OpenCV takes a matrix to pixels
that are interleaved in half of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
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


def by_opencv(x: Tensor) -> bool:
    """Whether OpenCV works on x, in this module and beside it."""
    return x.device.type == "cpu"


def pixels(x_BCHW: Tensor) -> Any:
    """(B, H, W, C) numpy, of a CPU: shares memory with x where that is interleaved."""
    return x_BCHW.detach().permute(0, 2, 3, 1).contiguous().numpy()


def apart(x_BCHW: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """The first channels and the others, in float32; on CPUs those interleaved and these as planes, both copies."""
    if not by_opencv(x_BCHW):
        return x_BCHW[:, :first].float(), x_BCHW[:, first:].float()
    count, channels, *size = x_BCHW.shape
    before = torch.empty(count, *size, first, dtype=x_BCHW.dtype)
    after = torch.empty(count, channels - first, *size, dtype=x_BCHW.dtype)
    same = [number for channel in range(channels) for number in (channel, channel)]
    pictures = x_BCHW.detach().permute(0, 2, 3, 1).numpy()
    for picture, inner, planes in zip(pictures, before.numpy(), after.numpy(), strict=True):
        cv2.mixChannels([picture], [inner, *planes], same)
    return before.permute(0, 3, 1, 2).float(), after.float()


def mixed(x_BCHW: Tensor, matrix: Tensor, offset: Tensor | None = None) -> Tensor:
    """(B, D, H, W), in memory as x is: each pixel's channels through a matrix, (D, C) or one for each sample
    (B, D, C), plus an offset (D, 1) or (B, D, 1), both from any device."""
    count, channels, *size = x_BCHW.shape
    matrix = onto(matrix, x_BCHW.device).expand(count, -1, channels)
    offset = None if offset is None else onto(offset, x_BCHW.device).expand(count, -1, 1)
    if _interleaved(x_BCHW):
        matrix = matrix if offset is None else torch.cat([matrix, offset], 2)
        made = [cv2.transform(x, m) for x, m in zip(pixels(x_BCHW), matrix.numpy(), strict=True)]
        return torch.from_numpy(made[0][None] if count == 1 else np.stack(made)).permute(0, 3, 1, 2)
    flat = x_BCHW.flatten(2)
    found = torch.bmm(matrix, flat) if offset is None else torch.baddbmm(offset, matrix, flat)
    return found.reshape(count, -1, *size)


def _interleaved(x: Tensor) -> bool:
    return by_opencv(x) and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def power_(x_BCHW: Tensor, exponent: float | Tensor) -> Tensor:
    """x ** exponent in place, x above 0 and each sample in one piece: on CPUs a tenth of the price of PyTorch's."""
    if not by_opencv(x_BCHW):
        return x_BCHW.log_().mul_(exponent).exp_()
    pieces = [(x if x.is_contiguous() else x.permute(1, 2, 0)).view(-1).numpy() for x in x_BCHW.detach()]
    for piece in pieces:
        cv2.log(piece, piece)
    x_BCHW.mul_(exponent)
    for piece in pieces:
        cv2.exp(piece, piece)
    return x_BCHW


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
