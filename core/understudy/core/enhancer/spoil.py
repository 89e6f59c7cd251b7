"""What a swap network does to a face, done to a sharp one: the pairs that an enhancer learns from.

Softer, half as large, perhaps resolved by less than its pixels promise, and with a little noise: the ways of
Real-ESRGAN (Wang et al., ICCVW 2021), each within what such networks do, and none that codecs do: nothing between the
networks is compressed. All parameters are drawn on the CPU from one seeded generator, as in `train.augment`.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.enhancer.config import FACTOR
from understudy.core.train import degrade
from understudy.core.train.colours import onto, plainly

_BLUR = 1.5  # pixels of the large picture: the deviation at most
_RESOLVED = 0.6  # share of the small picture's pixels that are resolved, at least
_OFTEN = 0.5  # of the samples, that this befalls
_NOISE, _NOISY = 0.008, 0.3  # deviation in codes at most; of the samples
_GAIN, _TINT, _GAMMA = 0.3, 0.08, 0.25  # how far light strays: of codes, of a channel's, of their exponent
_JUDGED = 0.7  # pixels: the deviation of the blur by which enhancers are judged


def lit(sharp: Tensor, generator: Generator) -> Tensor:
    """Patches (B, 3, P, P) of codes in another light, some mirrored; in [0, 1]."""
    count = len(sharp)
    draws = torch.rand(count, 6, generator=generator) * 2 - 1
    gain = 1 + _GAIN * draws[:, :1] + _TINT * draws[:, 1:4]
    curve = torch.exp(draws[:, 4] * math.log1p(_GAMMA))
    with plainly(sharp.device):
        there = onto(gain, sharp.device)[..., None, None]
        x = (sharp * there).clamp(1e-6, 1) ** onto(curve, sharp.device)[:, None, None, None]
        mirrored = onto(draws[:, 5] > 0, sharp.device)[:, None, None, None]
        return torch.where(mirrored, x.flip(3), x)


def spoilt(sharp: Tensor, generator: Generator) -> Tensor:
    """Patches (B, 3, P, P) of codes → (B, 3, P/2, P/2), each spoilt in its own way; in [0, 1]."""
    count, side = len(sharp), sharp.shape[-1] // FACTOR
    draws = torch.rand(count, 6, generator=generator)
    noise = torch.randn(count, 3, side, side, generator=generator)
    with plainly(sharp.device):
        sigma = draws[:, 0] * _BLUR
        x = degrade.blurred(sharp, sigma)
        boxed = functional.avg_pool2d(x, FACTOR)
        cubic = functional.interpolate(x, (side, side), mode="bicubic", align_corners=False, antialias=True)
        x = torch.where(onto(draws[:, 1] < 0.5, x.device)[:, None, None, None], boxed, cubic)
        softer = draws[:, 2] < _OFTEN
        sizes = torch.where(softer, _RESOLVED + (1 - _RESOLVED) * draws[:, 3], torch.ones(count)) * side
        x = degrade.shrunk(x, [max(2, round(size)) for size in sizes.tolist()])
        strong = torch.where(draws[:, 4] < _NOISY, draws[:, 5] * _NOISE, torch.zeros(count))
        return (x + onto(noise * strong[:, None, None, None], x.device)).clamp(0, 1)


def fixed(sharp: Tensor) -> Tensor:
    """(B, 3, M, M) → (B, 3, M/2, M/2), always in the same way: what enhancers are judged by."""
    return functional.avg_pool2d(degrade.blurred(sharp, torch.full((len(sharp),), _JUDGED)), FACTOR)
