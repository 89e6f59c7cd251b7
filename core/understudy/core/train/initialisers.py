"""Other ways to begin than a network's own `initialise`: call one after it.

`convolution_aware` is Aghajanyan, "Convolution Aware Initialization", arXiv 1702.06295, which the paper of DeepFaceLab
names; `glorot` (Glorot and Bengio, 2010) is what DeepFaceLab really begins with: in its released versions the call of
the other is commented out (core/leras/layers/Conv2D.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn

_NOISE = 0.05  # standard deviation of what is added to the filters


@torch.no_grad()
def convolution_aware(net: nn.Module, generator: Generator) -> None:
    """Draw all convolutions anew: filters orthogonal in the Fourier domain, of variance 2 / fan-in; biases 0.

    Equal generators, on the CPU, give equal weights. Dense layers stay as they are.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight = (
                module.weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else module.weight
            )
            weight.copy_(_aware(weight.shape, generator))
            if module.bias is not None:
                module.bias.zero_()


@torch.no_grad()
def glorot(net: nn.Module, generator: Generator) -> None:
    """Draw all convolutions and dense layers uniformly, ±√(6 / (fan-in + fan-out)); biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()


def _aware(shape: torch.Size, generator: Generator) -> Tensor:
    """Filters (out, in, rows, columns)."""
    out, channels, rows, columns = shape
    size = rows * (columns // 2 + 1)  # of the real Fourier transform of a filter
    if size == 1:
        spectra = torch.randn(out, channels, 1, generator=generator) * _NOISE
    else:
        blocks = channels // size + 1
        square = torch.randn(out * blocks, size, size, generator=generator)
        square = square + square.mT.tril(-1) + square.mT.triu(1)  # symmetric
        rows_of_u = torch.linalg.svd(square).U.mT
        spectra = rows_of_u.reshape(out, blocks * size, size)[:, :channels]
    filters: Tensor = torch.fft.irfft2(spectra.reshape(out, channels, rows, -1), s=(rows, columns))
    filters = filters + torch.randn(filters.shape, generator=generator) * _NOISE
    variance = 2 / (channels * rows * columns)
    return filters * math.sqrt(variance / float(filters.var(correction=0)))


INITIALISERS: Mapping[str, Callable[[nn.Module, Generator], None]] = {
    "glorot": glorot,
    "convolution-aware": convolution_aware,
}
"""By the names that `plan.INITIAL` has, beside a network's own."""
