"""Samples for a segmenter: what moves moves picture and label alike, the rest is done to the picture alone.

All on the training device in batches; parameters are drawn on the CPU from one seeded generator, so that all devices
see the same samples. The order is DeepFaceLab's for XSeg (samplelib/SampleGeneratorFaceXSeg.py), and so are its ranges
with `augmentation.DFL`: another background, moves, flares, colour, sharper or softer, smaller and back, JPEG; ours
are occluders, under which the label goes, and grain. From colour on, each is done to a part of the picture only, a
disc with a soft edge (`spots`).

Blurs and changes of size are products with a matrix from either side (`train.degrade`), of any width at the same
price.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.segment.augmentation import Augmentation
from understudy.core.train import degrade
from understudy.core.train.augment import affine, field, sample, uniform


def batch(
    crops_BCHW: Tensor,
    occluders_BCHW: Tensor,
    side: int,
    amount: Augmentation,
    generator: Generator,
    *,
    share: float,
) -> tuple[Tensor, Tensor]:
    """Inputs and targets of one draw.

    Args:
        crops_BCHW: three colours in swap space and the label, (B, 4, M, M).
        occluders_BCHW: what lies over them, (B, 5, M, M), as `occluders.batch` draws it.
        side: of the samples, in pixels.
        share: of the crop's side that a sample without any augmentation shows; the rest is margin.

    Returns:
        inputs (B, 3, side, side) in [0, 1]; targets (B, 1, side, side), 1 on visible face.
    """
    bent = _grid(len(crops_BCHW), side, amount, generator, share=share).to(crops_BCHW.device)
    x, label = sample(crops_BCHW[:, :3], bent, "bicubic"), sample(crops_BCHW[:, 3:], bent, "bilinear")
    x = _elsewhere(x, label, crops_BCHW, amount, generator, share=share)
    x, label = _covered(x, label, occluders_BCHW, bent)
    if amount.binary:
        label = (label > 0.5).to(label.dtype)
    x = _flares(x, label, amount, generator)
    x = _coloured(x, amount, generator)
    x = _sharpness(x, amount, generator)
    x = _resized(x, amount, generator)
    x = _grain(x, amount, generator)
    x = _compressed(x, amount, generator)
    return x.clamp(0, 1), label


def _grid(count: int, side: int, amount: Augmentation, generator: Generator, *, share: float) -> Tensor:
    """Where in the crops, from -1 to 1, the pixels of samples lie: (count, side, side, 2)."""
    placed = affine(count, amount, amount.flip, generator) * share
    bend = field(count, side, amount.warp, generator)
    plain = functional.affine_grid(placed, [count, 1, side, side], align_corners=False)
    # the field bends the sample's own square, then the affine places it: sum of the moved point and its turned bend
    return plain + torch.einsum("bij,bhwj->bhwi", placed[:, :, :2], bend)


def _chosen(count: int, chance: float, generator: Generator) -> Tensor:
    """Which of `count` samples it happens to: (n,) indices on the CPU. Draws the same numbers whatever the chance."""
    return torch.nonzero(torch.rand(count, generator=generator) < chance)[:, 0]


def _between(generator: Generator, count: int, low: float, high: float) -> Tensor:
    """(count,)"""
    return low + (high - low) * torch.rand(count, generator=generator)


def spots(count: int, side: int, generator: Generator) -> Tensor:
    """(count, 1, side, side) in [0, 1]: discs anywhere in the picture, with edges from hard to as wide as it."""
    centre = torch.rand(count, 2, generator=generator)
    inner = torch.rand(count, generator=generator)
    outer = inner + (1 - inner) * torch.rand(count, generator=generator)
    return degrade.discs(centre, inner, outer, side)


def _put(x: Tensor, chosen: Tensor, changed: Tensor, generator: Generator) -> Tensor:
    """The `chosen` samples as `changed` in a spot each, and the others as they were."""
    mask = spots(len(chosen), x.shape[-1], generator).to(x.device)
    chosen = chosen.to(x.device)
    return x.index_copy(0, chosen, torch.lerp(x[chosen], changed, mask))


def _elsewhere(
    x: Tensor, label: Tensor, crops: Tensor, amount: Augmentation, generator: Generator, *, share: float
) -> Tensor:
    """Another sample's background, turned any way, where neither has a face; more or less of it."""
    count, side = len(x), x.shape[-1]
    chosen = _chosen(count, amount.background, generator)
    turn = _between(generator, count, -math.pi, math.pi)
    placed = affine(count, _BACKGROUND, _BACKGROUND.flip, generator) * share
    weight = _between(generator, count, 0.15, 1.0)
    if count < 2 or not len(chosen):
        return x
    cos, sin = turn.cos(), turn.sin()
    spin = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    placed = torch.cat([placed[:, :, :2] @ spin, placed[:, :, 2:]], 2)[chosen]
    grid = functional.affine_grid(placed, [len(chosen), 1, side, side], align_corners=False).to(x.device)
    device = x.device
    other = sample(crops[((chosen + 1) % count).to(device)], grid, "bilinear")
    chosen_there = chosen.to(device)
    face = torch.maximum(label[chosen_there], other[:, 3:])
    blend = (1 - face) * weight[chosen].to(device)[:, None, None, None]
    return x.index_copy(0, chosen_there, torch.lerp(x[chosen_there], other[:, :3], blend))


_BACKGROUND = Augmentation(rotation=0, scale=0.1, shift=0.1, flip=0.5)


def _covered(x: Tensor, label: Tensor, occluders: Tensor, bent: Tensor) -> tuple[Tensor, Tensor]:
    """Under what lies over them. Light is mixed, of which codes are about the square root."""
    chosen = torch.nonzero(occluders[:, 3].flatten(1).amax(1) > 0)[:, 0]
    if not len(chosen):
        return x, label
    colours, alpha, shadow = sample(occluders[chosen], bent[chosen], "bilinear").split((3, 1, 1), 1)  # type: ignore[no-untyped-call]
    light = (x[chosen] * (1 - shadow)).square() * (1 - alpha) + colours.square() * alpha
    x = x.index_copy(0, chosen, light.clamp(min=1e-8).sqrt())
    return x, label.index_copy(0, chosen, label[chosen] * (1 - alpha))


def _flares(x: Tensor, label: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """The light of the face, or of all but the face, spills over the picture as through a dirty lens."""
    side = x.shape[-1]
    for chance, lit in ((amount.face_flare, label), (amount.background_flare, 1 - label)):
        chosen = _chosen(len(x), chance, generator)
        wide = _between(generator, len(x), 0.25, 1.0)[chosen] * side * _OF_KERNEL
        strong = torch.rand(len(x), generator=generator)[chosen] * amount.flare
        if len(chosen):
            chosen = chosen.to(x.device)
            kernel = degrade.gaussian(wide, side).to(x.device)
            spilt = degrade.both_ways(x[chosen] * lit[chosen], kernel)
            x = x.index_add(0, chosen, spilt * strong.to(x.device)[:, None, None, None])
    return x.clamp(0, 1)


_OF_KERNEL = 0.15  # standard deviation of OpenCV's Gaussian in units of its kernel's size, for large kernels


def _coloured(x: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Hue, saturation and value, or levels."""
    count = len(x)
    happens = torch.rand(count, generator=generator) < amount.colour
    first = torch.rand(count, generator=generator) < 0.5
    shift = uniform(generator, count, 3) * torch.tensor([amount.hue / 360, amount.saturation, amount.value])
    limits = torch.rand(count, 5, 3, generator=generator)
    limits[:, 2] = limits[:, 2] * 2 - 1
    limits *= amount.levels
    for chosen, change, by in (
        (torch.nonzero(happens & first)[:, 0], shifted, shift),
        (torch.nonzero(happens & ~first)[:, 0], levelled, limits),
    ):
        if len(chosen):
            changed = change(x[chosen.to(x.device)], by[chosen].to(x.device))
            x = _put(x, chosen, changed, generator)
    return x


def shifted(x: Tensor, shift: Tensor) -> Tensor:
    """x (B, 3, H, W) in [0, 1] with hue turned by shift[:, 0] of a turn, saturation and value moved by the others."""
    high, low = x.amax(1), x.amin(1)
    spread = (high - low).clamp(min=1e-6)
    r, g, b = x.unbind(1)
    hue = torch.where(
        high == r, (g - b) / spread, torch.where(high == g, 2 + (b - r) / spread, 4 + (r - g) / spread)
    )
    by = shift[:, :, None, None]
    hue = hue + 6 * by[:, 0]
    saturation = (spread / high.clamp(min=1e-6) + by[:, 1]).clamp(0, 1) * (high - low > 1e-4)
    value = (high + by[:, 2]).clamp(0, 1)
    offsets = torch.tensor([0.0, 4.0, 2.0], device=x.device)[:, None, None]
    wheel = (((hue[:, None] + offsets) % 6 - 3).abs() - 1).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * (1 - wheel))


def levelled(x: Tensor, draws: Tensor) -> Tensor:
    """x (B, 3, H, W) with other levels for each channel, by draws (B, 5, 3); all 0 changes nothing.

    By how many quarters of the range black is raised and white lowered on the way in; by how many halves gamma is
    above 1, -1 to 1; and as the first two on the way out.
    """
    black, white, gamma, low, high = (part[:, :, None, None] for part in draws.unbind(1))
    spread = ((x - black / 4) / (1 - black / 4 - white / 4)).clamp(1e-4, 1)
    return spread.pow(1 + gamma / 2) * (1 - low / 4 - high / 4) + low / 4


def _sharpness(x: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Over-sharpened, or moved and out of focus. Widths are those of samples of 256 pixels."""
    count, side = len(x), x.shape[-1]
    draws = torch.rand(count, 5, generator=generator)
    sharp, soft = draws[:, 0] < amount.sharpen, draws[:, 0] >= 1 - amount.blur
    scale = side / 256
    if len(chosen := torch.nonzero(sharp & ~soft)[:, 0]):
        part = x[chosen.to(x.device)]
        wide = (0.4 + 1.2 * draws[chosen, 1]) * max(scale, 0.5)
        smooth = degrade.both_ways(part, degrade.gaussian(wide, side).to(x.device))
        strong = (draws[chosen, 2] ** 2 * 5 + 0.3).to(x.device)[:, None, None, None]
        x = _put(x, chosen, (part + (part - smooth) * strong).clamp(0, 1), generator)
    if len(chosen := torch.nonzero(soft)[:, 0]):
        part = x[chosen.to(x.device)]
        length, angle = draws[chosen, 1] * 6 * scale, draws[chosen, 2] * math.pi
        part = degrade.moved(part, length * (draws[chosen, 3] < 0.5), angle)
        wide = (0.2 + 1.8 * draws[chosen, 4]) * scale
        x = _put(x, chosen, degrade.both_ways(part, degrade.gaussian(wide, side).to(x.device)), generator)
    return x


def _resized(x: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Shrunk to no less than a quarter and enlarged again."""
    count, side = len(x), x.shape[-1]
    chosen = _chosen(count, amount.resize, generator)
    sizes = (_between(generator, count, 0.25, 1.0)[chosen] * side).round().clamp(min=2)
    nearest = torch.rand(count, generator=generator)[chosen] < 0.5
    if not len(chosen):
        return x
    kernel = degrade.resize(sizes, side, nearest).to(x.device)
    return _put(x, chosen, degrade.both_ways(x[chosen.to(x.device)], kernel), generator)


def _grain(x: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Noise, finer or coarser, more or less of it in colour."""
    count, side = len(x), x.shape[-1]
    chosen = _chosen(count, amount.grain, generator)
    draws = torch.rand(count, 3, generator=generator)[chosen]
    if not len(chosen):
        return x
    noise = torch.randn(len(chosen), 3, side, side, generator=generator).to(x.device)
    tinted, strong, wide = draws.unbind(1)
    noise = torch.lerp(noise[:, :1], noise, tinted.to(x.device)[:, None, None, None])
    kernel = degrade.gaussian(wide.clamp(min=0.1) * max(side / 256, 0.5), side)
    kernel = kernel / kernel.square().sum(2, keepdim=True).sqrt()  # as strong when it is coarse
    noise = degrade.both_ways(noise, kernel.to(x.device))
    grainy = x[chosen.to(x.device)] + noise * (strong * amount.noise).to(x.device)[:, None, None, None]
    return _put(x, chosen, grainy.clamp(0, 1), generator)


def _compressed(x: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """As JPEG leaves it, of quality 10 to 100."""
    count = len(x)
    chosen = _chosen(count, amount.jpeg, generator)
    quality = _between(generator, count, 10, 100)[chosen]
    if not len(chosen):
        return x
    return _put(x, chosen, degrade.jpeg(x[chosen.to(x.device)], quality), generator)
