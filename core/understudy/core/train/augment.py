"""Every sample differs: affine moves, a random warp of the input, flips and light, batched on the training device.

The network sees a *warped* crop and must paint the straight one, so that it learns the face and not the picture.
Parameters are drawn on the CPU from one seeded generator, so that all devices see the same samples.
Ranges are DeepFaceLab's (core/imagelib/warp.py) but for two of its quirks: its two displacement fields are one and
the same transposed, which makes warps √2 stronger along the diagonal and never independent; ours are independent,
at equal strength.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.train.augmentation import Augmentation

CELLS = (2, 4, 8)  # of the warp's grid along a side
REACH = 0.24 * math.sqrt(2)  # the farthest a grid point moves, in cells
_CUT = 2.5  # standard deviations at which the displacement is cut


def batch(
    crops_BCHW: Tensor, side: int, amount: Augmentation, generator: Generator, *, share: float
) -> tuple[Tensor, Tensor]:
    """Warped inputs and straight targets of one draw.

    Args:
        crops_BCHW: three colours in swap space and the matte, (B, 4, M, M).
        side: of the samples, in pixels.
        share: of the crop's side that a sample without any augmentation shows; the rest is margin.

    Returns:
        inputs (B, 3, side, side), warped; targets (B, 4, side, side), colours and matte.
    """
    count, device = len(crops_BCHW), crops_BCHW.device
    straight, bent = (grid.to(device) for grid in grids(count, side, amount, generator, share=share))
    light = _light(count, amount, generator).to(device)
    colours = crops_BCHW[:, :3] * light
    inputs = sample(colours, bent, "bicubic")
    targets = torch.cat(
        [sample(colours, straight, "bicubic"), sample(crops_BCHW[:, 3:], straight, "bilinear")], 1
    )
    return inputs, targets


def straight(crops_BCHW: Tensor, side: int, *, share: float) -> Tensor:
    """The samples (B, C, side, side) without any augmentation."""
    still = torch.eye(2, 3)[None].expand(len(crops_BCHW), 2, 3) * share
    grid = functional.affine_grid(still, [len(crops_BCHW), 1, side, side], align_corners=False)
    return sample(crops_BCHW, grid.to(crops_BCHW.device), "bicubic")


class Moves(Protocol):
    """What strays in place, of an augmentation; see `Augmentation`."""

    @property
    def rotation(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def shift(self) -> float: ...
    @property
    def flip(self) -> float: ...
    @property
    def warp(self) -> float: ...


def grids(
    count: int, side: int, amount: Moves, generator: Generator, *, share: float
) -> tuple[Tensor, Tensor]:
    """Where in the crops, from -1 to 1, the pixels of samples lie: (count, side, side, 2), not warped and warped."""
    moved = affine(count, amount, generator) * share
    bend = field(count, side, amount.warp, generator)
    plain = functional.affine_grid(moved, [count, 1, side, side], align_corners=False)
    # the field bends the sample's own square, then the affine places it: sum of the moved point and its turned bend
    return plain, plain + torch.einsum("bij,bhwj->bhwi", moved[:, :, :2], bend)


def sample(x_BCHW: Tensor, grid: Tensor, mode: str) -> Tensor:
    """(B, C, h, w) of the picture at `grid`, held to [0, 1]; beyond the crop are its edge pixels."""
    sampled = functional.grid_sample(x_BCHW, grid, mode=mode, padding_mode="border", align_corners=False)
    return sampled.clamp(0, 1)  # bicubic overshoots


def uniform(generator: Generator, *shape: int) -> Tensor:
    """-1 to 1."""
    return torch.rand(*shape, generator=generator) * 2 - 1


def affine(count: int, amount: Moves, generator: Generator) -> Tensor:
    """(B, 2, 3): where in the crop, from -1 to 1, a point of the sample lies."""
    turn = uniform(generator, count) * math.radians(amount.rotation)
    low, high = 1 / (1 + amount.scale), 1 + amount.scale
    zoom = 1 / (low + (high - low) * torch.rand(count, generator=generator))
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < amount.flip).float()
    shift = uniform(generator, count, 2) * 2 * amount.shift
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    linear = torch.stack([torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1)
    return torch.cat([linear, shift[:, :, None]], 2)


def field(count: int, side: int, strength: float, generator: Generator) -> Tensor:
    """(B, side, side, 2): displacements in units of half a side; each sample has a grid of 2, 4 or 8 cells."""
    choice = torch.randint(len(CELLS), (count,), generator=generator)
    total = torch.zeros(count, 2, side, side)
    for index, cells in enumerate(CELLS):
        u = uniform(generator, count, 2, cells + 1, cells + 1)
        z = math.sqrt(2) * torch.erfinv(u * math.erf(_CUT / math.sqrt(2)))  # normal, cut
        z[:, :, [0, -1], :] = 0
        z[:, :, :, [0, -1]] = 0  # the border stays
        moved = functional.interpolate(z / _CUT, (side, side), mode="bilinear", align_corners=True)
        total += moved * (REACH * 2 / cells * strength) * (choice == index)[:, None, None, None]
    return total.permute(0, 2, 3, 1)


def _light(count: int, amount: Augmentation, generator: Generator) -> Tensor:
    """(B, 3, 1, 1) gains."""
    exposure = uniform(generator, count, 1) * amount.exposure
    tint = uniform(generator, count, 3) * amount.tint
    return (1 + exposure + tint)[:, :, None, None]
