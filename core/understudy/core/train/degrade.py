"""What cameras, scalers and codecs do to pictures, batched: each sample by its own amount, on any device."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from understudy.core.train import colours
from understudy.core.train.colours import RGB, YCC, mixed, onto

# Annex K of ITU-T T.81: how coarsely luminance and colour are rounded, at quality 50
_LUMINANCE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_COLOUR = torch.tensor(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        *([[99] * 8] * 4),
    ]
)
_BLACK = torch.tensor([[-128.0], [0], [0]])  # which is added to luma and the colour differences
_NOTHING = 1e-6  # of a Gaussian: numbers too small to be normal ones make products ten times slower
_FAR = math.sqrt(-2 * math.log(_NOTHING))  # deviations at which it is that
_SHARP = 0.05  # pixels: the least deviation
_TIE = 1e-9  # pixels: a centre on the line between two belongs to the second
_BLOCK = 32  # rows that a banded product works out at a time


def both_ways(x: Tensor, kernel: Tensor, reach: int | None = None) -> Tensor:
    """x (B, C, S, S) through kernel (B, S, S), which makes a row of S pixels of another, along columns and rows.

    Args:
        reach: pixels from the diagonal beyond which the kernel counts as 0: where it is narrow, most of the work is
            saved.
    """
    side = x.shape[-1]
    if reach is None or 2 * (reach + _BLOCK) >= side:
        return kernel[:, None] @ x @ kernel.mT[:, None]
    return _rows(_rows(x, kernel, reach).mT, kernel, reach).mT


def _rows(x: Tensor, kernel: Tensor, reach: int) -> Tensor:
    """x (B, C, S, W) with its columns through the band of a kernel (B, S, S), by blocks along the diagonal."""
    side = x.shape[-2]
    return torch.cat(
        [
            kernel[:, None, start : start + _BLOCK, low:high] @ x[:, :, low:high]
            for start in range(0, side, _BLOCK)
            for low, high in [(max(0, start - reach), min(side, start + _BLOCK + reach))]
        ],
        2,
    )


def blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """x (B, C, S, S) blurred as `gaussian` says by `sigma` (B,) pixels, on the CPU."""
    side, sigma = x.shape[-1], sigma.clamp(min=_SHARP)
    if not colours.by_opencv(x):
        return both_ways(x, gaussian(onto(sigma, x.device), side), math.ceil(_FAR * sigma.max().item()))
    made = torch.empty(x.shape)
    for planes, found, wide in zip(x.detach(), made, sigma.tolist(), strict=True):
        reach = math.floor(_FAR * wide)
        weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / wide) ** 2)
        kernel = (weights / weights.sum()).numpy()
        for plane, blurry in zip(planes.numpy(), found.numpy(), strict=True):
            cv2.sepFilter2D(plane, -1, kernel, kernel, blurry, borderType=cv2.BORDER_CONSTANT)
        inside = np.convolve(np.ones(side, np.float32), kernel)[reach : reach + side]
        found.div_(torch.from_numpy(np.outer(inside, inside)))
    return made


def gaussian(sigma: Tensor, side: int) -> Tensor:
    """(B, side, side): blurs of `sigma` (B,) pixels; beyond the border are its pixels' own mean, not black."""
    away = torch.arange(1 - side, side, dtype=torch.float32, device=sigma.device)
    weights = torch.exp(-0.5 * (away / sigma.clamp(min=_SHARP)[:, None]) ** 2)
    weights = weights * (weights > _NOTHING)
    weights = weights.unfold(1, side, 1).flip(1)  # each row has the curve's middle on the diagonal
    return weights / weights.sum(2, keepdim=True)


def shrunk(x: Tensor, sizes: list[int]) -> Tensor:
    """x (B, C, S, S) to `sizes` (B,) pixels and back, linearly and without a low-pass, as by `resize`."""
    side = x.shape[-1]
    return torch.stack(
        [linearly(linearly(each[None], size), side)[0] for each, size in zip(x, sizes, strict=True)]
    )


def linearly(x: Tensor, side: int) -> Tensor:
    """x (B, C, h, w) at (B, C, side, side), without a low-pass."""
    if not colours.by_opencv(x):
        return functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)
    made = x.new_empty(*x.shape[:2], side, side)
    for plane, found in zip(x.detach().flatten(0, 1).numpy(), made.flatten(0, 1).numpy(), strict=True):
        cv2.resize(plane, (side, side), found, interpolation=cv2.INTER_LINEAR)
    return made


def resize(sizes: Tensor, side: int, nearest: Tensor) -> Tensor:
    """(B, side, side): to `sizes` (B,) pixels and back, `nearest` (B,) or linear both ways, without a low-pass."""
    at = torch.arange(side, dtype=torch.float64)[None] + 0.5
    step = side / sizes[:, None].double()
    small = at / step  # where a pixel lies among the few
    cell = (small + _TIE).floor()
    below = (small - 0.5).floor()
    part = torch.where(nearest[:, None], torch.zeros_like(small), small - 0.5 - below)
    low = torch.where(nearest[:, None], cell, below)
    kernel = torch.zeros(len(sizes), side, side, dtype=torch.float64)
    for index, weight in ((low, 1 - part), (low + 1, part)):
        place = (
            torch.minimum(index.clamp(min=0), (sizes - 1)[:, None]) + 0.5
        ) * step - 0.5  # in the large picture
        first = torch.where(nearest[:, None], (place + 0.5 + _TIE).floor(), place.floor())
        rest = torch.where(nearest[:, None], torch.zeros_like(place), place - first)
        for pixel, share in ((first, 1 - rest), (first + 1, rest)):
            kernel.scatter_add_(2, pixel.long().clamp(0, side - 1)[..., None], (weight * share)[..., None])
    return kernel.float()


def moved(x: Tensor, length: Tensor, angle: Tensor, taps: int = 7) -> Tensor:
    """x (B, C, S, S) as a shutter sees it that moves by `length` (B,) pixels at `angle` (B,) radians, both on the CPU.

    A tap lies between the same four pixels everywhere: sums of shifted pictures take half the time that sampling does.
    """
    side, reach = x.shape[-1], math.ceil(length.max().item() / 2)
    cells = torch.arange(-reach, reach + 1)
    along = torch.linspace(-0.5, 0.5, taps) * length[:, None]
    right, down = (
        (1 - (along * way[:, None] - cells[:, None, None]).abs()).clamp(min=0)
        for way in (angle.cos(), angle.sin())
    )  # (cells, B, taps)
    kernel = torch.einsum("jbt,ibt->bji", down, right) / taps
    if colours.by_opencv(x):
        made = torch.empty(x.shape)
        for planes, found, weights in zip(x.detach().numpy(), made.numpy(), kernel.numpy(), strict=True):
            _correlated(planes, weights, found)
        return made
    padded = functional.pad(x, (reach,) * 4, mode="replicate")
    total = torch.zeros_like(x)
    places, weights = kernel.nonzero().tolist(), kernel[kernel > 0].tolist()
    for (sample, row, column), weight in zip(places, weights, strict=True):
        total[sample].add_(padded[sample, :, row : row + side, column : column + side], alpha=weight)
    return total


def _correlated(planes: Any, kernel: Any, found: Any) -> None:
    """Write the planes (C, S, S) through a kernel (2R + 1, 2R + 1), most of which is 0; border pixels go on."""
    rows, columns = (np.flatnonzero(kernel.any(axis)) for axis in (1, 0))
    some = kernel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # OpenCV transforms large ones
    anchor = len(kernel) // 2 - int(columns[0]), len(kernel) // 2 - int(rows[0])
    for plane, into in zip(planes, found, strict=True):
        cv2.filter2D(plane, -1, some, into, anchor, borderType=cv2.BORDER_REPLICATE)


def discs(centre: Tensor, inner: Tensor, outer: Tensor, side: int) -> Tensor:
    """(B, 1, side, side): 1 within `inner` (B,) of `centre` (B, 2), 0 beyond `outer` (B,), soft between.

    All in sides of the picture, from its upper left corner.
    """
    at = (torch.arange(side, device=centre.device) + 0.5) / side
    dx, dy = (at[None] - centre[:, i : i + 1] for i in (0, 1))
    away = (dx.square()[:, None, :] + dy.square()[:, :, None]).sqrt_()
    inner, outer = inner[:, None, None], outer[:, None, None]
    return away.sub_(outer).div_((inner - outer).clamp(max=-1e-3)).clamp_(0, 1)[:, None]


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """x (B, 3, S, S) in [0, 1] as it comes out of a JPEG of `quality` (B,), 1 to 100.

    Colour at half resolution, blocks of 8 × 8, rounded by the tables of Annex K, which are scaled as the Independent
    JPEG Group's library scales them.
    """
    side = x.shape[-1]
    over = -side % 16
    padded = functional.pad(x, (0, over, 0, over), mode="replicate") if over else x
    ycc = mixed(padded, 255 * YCC, _BLACK)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    light = _rounded(ycc[:, :1], _LUMINANCE, scale)
    tint = _rounded(linearly(ycc[:, 1:], padded.shape[-1] // 2), _COLOUR, scale)
    back = mixed(torch.cat([light, linearly(tint, padded.shape[-1])], 1), RGB / 255, -RGB @ _BLACK / 255)
    return back[..., :side, :side].clamp_(0, 1)


def _rounded(x: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """x (B, C, H, W) with each block's cosine coefficients rounded to multiples of the scaled table."""
    count, channels, height, width = x.shape
    steps = (table * scale[:, None, None] + 0.5).floor().clamp(1, 255)
    steps = onto(steps.repeat(1, 1, width // 8), x.device)[:, None, None]  # of each row of blocks
    base = onto(_cosines(), x.device)
    two = base.new_zeros(16, 16)  # blocks side by side: a product with 8 columns takes thrice the time
    two[:8, :8] = two[8:, 8:] = base
    strips = base @ x.reshape(count, channels, height // 8, 8, width)
    coefficients = (strips.reshape(-1, 16) @ two.T).view_as(strips)
    kept = coefficients.div_(steps).round_().mul_(steps)
    return ((base.T @ kept).reshape(-1, 16) @ two).reshape(x.shape)


@cache
def _cosines() -> Tensor:
    """(8, 8) orthonormal DCT-II."""
    n = torch.arange(8, dtype=torch.float32)
    base = torch.cos(math.pi / 8 * (n[None] + 0.5) * n[:, None]) / 2
    base[0] /= math.sqrt(2)
    return base
