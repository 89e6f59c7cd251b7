"""What cameras, scalers and codecs do to pictures, batched: each sample by its own amount, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

# Annex K of ITU-T T.81: how coarsely luminance and colour are rounded, at quality 50
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF 1.02
_NOTHING = 1e-6  # of a Gaussian: numbers too small to be normal ones make products ten times slower
_TIE = 1e-9  # pixels: a centre on the line between two belongs to the second
_TAPS = 7  # of a picture that moves


def both_ways(x: Tensor, kernel: Tensor) -> Tensor:
    """x (B, C, S, S) through kernel (B, S, S), which makes a row of S pixels of another, along columns and rows."""
    return kernel[:, None] @ x @ kernel.mT[:, None]


def gaussian(sigma: Tensor, side: int) -> Tensor:
    """(B, side, side): blurs of `sigma` (B,) pixels; beyond the border are its pixels' own mean, not black."""
    at = torch.arange(side, dtype=torch.float32)
    away = at[:, None] - at[None]
    weights = torch.exp(-0.5 * (away / sigma.clamp(min=0.05)[:, None, None]) ** 2)
    weights = weights * (weights > _NOTHING)
    return weights / weights.sum(2, keepdim=True)


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


def moved(x: Tensor, length: Tensor, angle: Tensor) -> Tensor:
    """x (B, C, S, S) as a shutter sees it that moves by `length` (B,) pixels at `angle` (B,) radians."""
    side = x.shape[-1]
    way = torch.stack([angle.cos(), angle.sin()], 1) * (length * 2 / side)[:, None]
    still = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, side, side], align_corners=False)
    total = torch.zeros_like(x)
    for tap in torch.linspace(-0.5, 0.5, _TAPS).tolist():
        grid = (still + tap * way[:, None, None]).to(x.device)
        total += functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return total / _TAPS


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """x (B, 3, S, S) in [0, 1] as it comes out of a JPEG of `quality` (B,), 1 to 100.

    Colour at half resolution, blocks of 8 × 8, rounded by the tables of Annex K, which are scaled as the Independent
    JPEG Group's library scales them.
    """
    side, device = x.shape[-1], x.device
    to = torch.tensor(_YCC, device=device)
    over = -side % 16
    padded = functional.pad(x, (0, over, 0, over), mode="replicate") * 255
    ycc = torch.einsum("ij,bjhw->bihw", to, padded)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    light = _rounded(ycc[:, :1] - 128, _LUMINANCE, scale) + 128
    tint = _rounded(functional.avg_pool2d(ycc[:, 1:], 2), _COLOUR, scale)
    tint = functional.interpolate(tint, scale_factor=2.0, mode="bilinear", align_corners=False)
    back = torch.einsum(
        "ij,bjhw->bihw", torch.linalg.inv(torch.tensor(_YCC)).to(device), torch.cat([light, tint], 1)
    )
    return (back[..., :side, :side] / 255).clamp(0, 1)


def _rounded(x: Tensor, table: tuple[tuple[int, ...], ...], scale: Tensor) -> Tensor:
    """x (B, C, H, W) with each block's cosine coefficients rounded to multiples of the scaled table."""
    count, channels, height, width = x.shape
    steps = (torch.tensor(table, dtype=torch.float32) * scale[:, None, None] + 0.5).floor().clamp(1, 255)
    steps = steps.to(x.device)[:, None, None, None]
    base = _cosines().to(x.device)
    blocks = x.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coefficients = base @ blocks @ base.T
    kept = torch.round(coefficients / steps) * steps
    return (base.T @ kept @ base).transpose(3, 4).reshape(x.shape)


def _cosines() -> Tensor:
    """(8, 8) orthonormal DCT-II."""
    n = torch.arange(8, dtype=torch.float32)
    base = torch.cos(math.pi / 8 * (n[None] + 0.5) * n[:, None]) / 2
    base[0] /= math.sqrt(2)
    return base
