"""What a training asks of a face: structure, pixels and matte.

Structure is DSSIM (half of 1 - SSIM; Wang et al., "Image quality assessment", 2004) with DeepFaceLab's windows.
Suffixes: B batch, C channels, H, W pixels. Faces are in swap space, 0 to 1.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

_SIGMA = 1.5  # of DSSIM's window, in pixels, whatever the window's width


def windows(resolution: int) -> tuple[int, ...]:
    """Widths of the DSSIM windows at a resolution, in pixels: one below 256, two from there on."""
    return (int(resolution / 11.6),) if resolution < 256 else (int(resolution / 11.6), int(resolution / 23.2))


def dssim(target_BCHW: Tensor, face_BCHW: Tensor, window: int) -> Tensor:
    """Structural dissimilarity per sample and channel, (B, C), 0 (equal) to 1.

    A gaussian window, σ 1.5 pixels, slides where it fits wholly; constants are those for values from 0 to 1.
    """
    c1, c2 = 0.01**2, 0.03**2
    rows = _window_band(target_BCHW.shape[-2], window, target_BCHW.device)
    columns = _window_band(target_BCHW.shape[-1], window, target_BCHW.device)
    a, b = target_BCHW.float(), face_BCHW.float()
    mean_a, mean_b, cross, power = (rows @ x @ columns.T for x in (a, b, a * b, a * a + b * b))
    means = 2 * mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    luminance = (means + c1) / (squares + c1)
    structure = (2 * cross - means + c2) / (power - squares + c2)
    return (1 - (luminance * structure).mean(dim=(-2, -1))) / 2


def blur(x_BCHW: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with black beyond the border, cut at twice σ as DeepFaceLab's."""
    rows, columns = (_blur_band(size, sigma, x_BCHW.device) for size in x_BCHW.shape[-2:])
    return rows @ x_BCHW.float() @ columns.T


def soften(matte_B1HW: Tensor) -> Tensor:
    """The matte grown to full weight inside its edge and fading outside it: where the loss looks."""
    return (2 * blur(matte_B1HW, max(1, matte_B1HW.shape[-1] // 32))).clamp(0, 1)


def structure(target_BCHW: Tensor, face_BCHW: Tensor) -> Tensor:
    """10 · DSSIM over all windows of the resolution, per sample: (B,)."""
    sizes = windows(target_BCHW.shape[-1])
    return sum((dssim(target_BCHW, face_BCHW, w).mean(1) for w in sizes), torch.zeros(())) * (10 / len(sizes))


def reconstruction(
    target_BCHW: Tensor,
    matte_B1HW: Tensor,
    face_BCHW: Tensor,
    face_matte_B1HW: Tensor,
    *,
    beyond: float = 0.0,
) -> dict[str, Tensor]:
    """DeepFaceLab's masked loss of one person by its parts, each (B,): their sum is what it minimises.

    `beyond` is how much of a pixel counts outside the face. DeepFaceLab's is 0, and leaves noise there; a little is
    enough for an edge that a compositor can extend.
    """
    look = beyond + (1 - beyond) * soften(matte_B1HW)
    seen, made = target_BCHW * look, face_BCHW.float() * look
    return {
        "dssim": structure(seen, made),
        "pixel": 10 * (seen - made).square().mean(dim=(1, 2, 3)),
        "matte": 10 * (matte_B1HW - face_matte_B1HW.float()).square().mean(dim=(1, 2, 3)),
    }


# A filter along one axis is a banded matrix; two small matrix products beat a depthwise convolution on CPUs, and
# cost the same for a window of 5 as for one of 44.


@lru_cache(maxsize=32)
def _window_band(size: int, window: int, device: torch.device) -> Tensor:
    """(size - window + 1, size): DSSIM's window wherever it fits."""
    x = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    kernel = torch.exp(-x.square() / (2 * _SIGMA**2))
    return _band(kernel / kernel.sum(), size, size - window + 1, 0).to(device)


@lru_cache(maxsize=32)
def _blur_band(size: int, sigma: float, device: torch.device) -> Tensor:
    """(size, size): a gaussian on each pixel."""
    reach = max(3, int(4 * sigma)) // 2
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-x.square() / (2 * sigma**2))
    return _band(kernel / kernel.sum(), size, size, -reach).to(device)


def _band(kernel: Tensor, size: int, out: int, shift: int) -> Tensor:
    """Row i holds the kernel from column i + shift on; what sticks out is cut off."""
    column = torch.arange(size)[None] - torch.arange(out)[:, None] - shift
    inside = (column >= 0) & (column < len(kernel))
    return torch.where(inside, kernel[column.clamp(0, len(kernel) - 1)], 0.0).float()
