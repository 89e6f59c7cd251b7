"""Pictures looked at between their pixels, batched, on any device.

On CPUs by OpenCV 5, elsewhere by PyTorch; the same but for rounding. PyTorch gathers each pixel by its own address,
which takes up to five times as long. (Earlier OpenCVs round places to a 32nd of a pixel; so does 5 with two channels.)
"""

from __future__ import annotations

from typing import Any

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from understudy.core.train import colours

_MODES = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


def sampled(x_BCHW: Tensor, places: Tensor, mode: str, out: Tensor | None = None) -> Tensor:
    """(B, C, h, w): pictures at `places` (B, 2, h, w), pixels along x and y; beyond the border are its pixels. No
    gradient goes through it.

    Args:
        mode: `bilinear` or `bicubic` (with -0.75 as its slope, as both libraries have it).
        out: is written to, where given; each of its planes lies in one piece.
    """
    if not colours.by_opencv(x_BCHW):
        sizes = reversed(x_BCHW.shape[2:])
        grid = [(2 * at + 1) / size - 1 for at, size in zip(places.unbind(1), sizes, strict=True)]
        found = functional.grid_sample(
            x_BCHW, torch.stack(grid, 3), mode=mode, padding_mode="border", align_corners=False
        )
        return found if out is None else out.copy_(found)
    if out is None:
        out = x_BCHW.new_empty(*x_BCHW.shape[:2], *places.shape[2:])
    for x, at, planes in zip(x_BCHW.detach(), places.numpy(), out.numpy(), strict=True):
        _remapped(x, (at[0], at[1]), _MODES[mode], list(planes))
    return out


def _remapped(x: Tensor, places: tuple[Any, Any], mode: int, planes: list[Any]) -> None:
    """Write the planes (h, w) of x (C, H, W) at places (h, w), in pixels along x and y.

    Colours go together: three planes cost more, four channels at once, one of them empty, less where it is linear.
    """
    if len(x) == 3:
        picture = colours.pixels(x[None])[0]
        if mode == cv2.INTER_LINEAR:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
        found = cv2.remap(picture, *places, mode, borderMode=cv2.BORDER_REPLICATE)
        cv2.mixChannels([found], planes, [0, 0, 1, 1, 2, 2])
        return
    for plane, wanted in zip(x, planes, strict=True):
        cv2.remap(plane.numpy(), *places, mode, dst=wanted, borderMode=cv2.BORDER_REPLICATE)
