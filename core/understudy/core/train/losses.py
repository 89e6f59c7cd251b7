"""What a training asks of a face: structure, pixels, matte, eyes and mouth.

Structure is DSSIM (half of 1 - SSIM; Wang et al., "Image quality assessment", 2004). The losses and their weights are
those of DeepFaceLab's SAEHD (models/Model_SAEHD/Model.py and core/leras/ops). Where one of its own errs, `form="dfl"`
is that one to the number, for its models and presets, and the default is what was meant. They compute in float32:
call them outside autocast. Suffixes: B batch, C channels, H, W pixels. Faces are in swap space, 0 to 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Form = Literal["ours", "dfl"]
"""`dfl` is DeepFaceLab's to the number; each function that has forms says where they differ."""

_SIGMA = 1.5  # of DSSIM's window, in pixels
_TAPS = 11  # of the window that has this σ in SSIM as published
_WEIGHT = 10.0  # of structure, pixels and matte alike


def windows(resolution: int) -> tuple[int, ...]:
    """Widths of the DSSIM windows at a resolution, in pixels: one below 256, two from there on."""
    return (int(resolution / 11.6),) if resolution < 256 else (int(resolution / 11.6), int(resolution / 23.2))


def spread(window: int, form: Form = "ours") -> float:
    """σ of a DSSIM window, in pixels: in proportion to those wider than the published 11.

    DeepFaceLab's is 1.5 whatever the width, so that a window of 44 is one of 11 with wide tails of nothing, and the
    two that it takes from 256 pixels on are nearly the same one twice.
    """
    return _SIGMA if form == "dfl" else _SIGMA * max(1.0, window / _TAPS)


def dssim(target_BCHW: Tensor, face_BCHW: Tensor, window: int, sigma: float = _SIGMA) -> Tensor:
    """Structural dissimilarity per sample and channel, (B, C), 0 (equal) to 1.

    A gaussian window, σ in pixels, slides where it fits wholly; constants are those for values from 0 to 1.
    """
    c1, c2 = 0.01**2, 0.03**2
    rows = _window_band(target_BCHW.shape[-2], window, sigma, target_BCHW.device)
    columns = _window_band(target_BCHW.shape[-1], window, sigma, target_BCHW.device)
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


def blurred_out(target_BCHW: Tensor, matte_B1HW: Tensor, form: Form = "ours") -> Tensor:
    """The target with what lies outside the matte blurred, by σ 1/128 of its side, without the face bleeding out.

    A picture (B, C, H, W), 0 to 1, to train on in place of the target: the network spends less on surroundings.
    DeepFaceLab divides by what the blur lost to the face and forgets what it lost beyond the border, which darkens
    the picture's rim.
    """
    sigma = target_BCHW.shape[-1] / 128
    around = 1 - matte_B1HW
    share = 1 - blur(matte_B1HW, sigma) if form == "dfl" else blur(around, sigma)
    outside = blur(target_BCHW * around, sigma) / torch.where(share == 0, 1.0, share)
    return target_BCHW * matte_B1HW + outside * around


def structure(target_BCHW: Tensor, face_BCHW: Tensor, form: Form = "ours") -> Tensor:
    """10 · the mean DSSIM over all windows of the resolution, per sample: (B,). See `spread` for the forms."""
    sizes = windows(target_BCHW.shape[-1])
    found = [dssim(target_BCHW, face_BCHW, size, spread(size, form)).mean(1) for size in sizes]
    return _WEIGHT * torch.stack(found).mean(0)


def squared(target_BCHW: Tensor, face_BCHW: Tensor) -> Tensor:
    """10 · the mean squared difference per sample: (B,). Of faces and of mattes."""
    return _WEIGHT * (target_BCHW - face_BCHW.float()).square().mean(dim=(1, 2, 3))


def priority(target_BCHW: Tensor, face_BCHW: Tensor, where_B1HW: Tensor) -> Tensor:
    """300 · the mean absolute difference within a matte, of eyes and mouth as a rule, per sample: (B,)."""
    return 300 * ((target_BCHW - face_BCHW.float()) * where_B1HW).abs().mean(dim=(1, 2, 3))


def total_variation(x_BCHW: Tensor, form: Form = "ours") -> Tensor:
    """The sum of squared differences between neighbours, along both sides, per sample: (B,).

    DeepFaceLab's takes the second and third axis, which in its layout on GPUs are channels and rows.
    """
    axes = (1, 2) if form == "dfl" else (2, 3)
    x = x_BCHW.float()
    return torch.stack([x.diff(dim=axis).square().sum(dim=(1, 2, 3)) for axis in axes]).sum(0)


def reconstruction(
    target_BCHW: Tensor,
    matte_B1HW: Tensor,
    face_BCHW: Tensor,
    face_matte_B1HW: Tensor,
    *,
    beyond: float = 0.0,
    masked: bool = True,
    eyes_mouth_B1HW: Tensor | None = None,
    form: Form = "ours",
) -> dict[str, Tensor]:
    """DeepFaceLab's loss of one person by its parts, each (B,): their sum is what it minimises.

    Args:
        beyond: how much of a pixel counts outside the face. DeepFaceLab's is 0, and leaves noise there; a little is
            enough for an edge that a compositor can extend.
        masked: whether structure and pixels look at the face; otherwise at the whole picture.
        eyes_mouth_B1HW: where the face must be right before all, 0 to 1; none: no such part.
        form: of `structure`.
    """
    seen, made = target_BCHW, face_BCHW.float()
    if masked:
        look = beyond + (1 - beyond) * soften(matte_B1HW)
        seen, made = seen * look, made * look
    parts = {
        "dssim": structure(seen, made, form),
        "pixel": squared(seen, made),
        "matte": squared(matte_B1HW, face_matte_B1HW),
    }
    if eyes_mouth_B1HW is not None:
        parts["eyes_mouth"] = priority(target_BCHW, face_BCHW, eyes_mouth_B1HW)
    return parts


# A filter along one axis is a banded matrix; two small matrix products beat a depthwise convolution on CPUs, and
# cost the same for a window of 5 as for one of 44.


@lru_cache(maxsize=32)
@torch.inference_mode(
    False
)  # what is kept may be asked for under inference mode first and for training later
def _window_band(size: int, window: int, sigma: float, device: torch.device) -> Tensor:
    """(size - window + 1, size): DSSIM's window wherever it fits."""
    x = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    return _band(_gaussian(x, sigma), size, size - window + 1, 0).to(device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _blur_band(size: int, sigma: float, device: torch.device) -> Tensor:
    """(size, size): a gaussian on each pixel."""
    reach = max(3, int(4 * sigma)) // 2
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    return _band(_gaussian(x, sigma), size, size, -reach).to(device)


def _gaussian(x: Tensor, sigma: float) -> Tensor:
    kernel = torch.exp(-x.square() / (2 * sigma**2))
    return kernel / kernel.sum()


def _band(kernel: Tensor, size: int, out: int, shift: int) -> Tensor:
    """Row i holds the kernel from column i + shift on; what sticks out is cut off."""
    column = torch.arange(size)[None] - torch.arange(out)[:, None] - shift
    inside = (column >= 0) & (column < len(kernel))
    return torch.where(inside, kernel[column.clamp(0, len(kernel) - 1)], 0.0).float()
