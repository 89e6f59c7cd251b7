"""What the single-shot detectors of torch share: pictures in, square anchors out of whose heads boxes are decoded.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016, with its variances 0.1 and 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from understudy.core.detect._pyramid import Finds
from understudy.core.frames import Float

_MEANS = np.array((104.0, 117.0, 123.0), np.float32)  # of blue, green, red; 0 to 255
_CENTRE, _SIZE = 0.1, 0.2  # SSD's variances
_GPU_PIXELS = 1 << 24  # shown to a GPU together


@dataclass(frozen=True)
class Layer:
    """One layer's heads.

    Attributes:
        stride: of its cells in pixels; an anchor's centre is the cell's.
        sizes: the anchors' sides in pixels, A a cell.
        logits: (B, h, w, A) of the probability that this is a face.
        raw: (B, h, w, A, 4 + 2 K) centre, logarithm of size, key points; from the anchor, in its size and variances.
    """

    stride: int
    sizes: tuple[float, ...]
    logits: Tensor
    raw: Tensor


class Module(Protocol):
    """A network of torch: picture (B, 3, H, W), blue first, 0 to 255 less the means → its layers."""

    def __call__(self, picture: Tensor) -> Sequence[Layer]: ...


class Ssd:
    """Such a network as the pyramid wants it (`_pyramid.Network`).

    Args:
        module: ready to infer.
        threshold: probability from which it is believed.
    """

    def __init__(self, module: nn.Module, device: torch.device, *, threshold: float) -> None:
        # Channels last: convolutions of a CPU take three quarters of the time, those of a GPU do not mind.
        self._module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._logit = float(np.log(threshold / (1.0 - threshold)))

    @property
    def batch(self) -> int:
        """Pixels to show it together: a CPU is busy with one tile, and so gives each the same bits in any company."""
        return 0 if self._device.type == "cpu" else _GPU_PIXELS

    def __call__(self, tiles: Float) -> list[Finds]:
        with torch.inference_mode():
            layers = self._module(self._picture(tiles))
            parts = [_decoded(layer, self._logit) for layer in layers]
        picture = np.concatenate([p for p, _, _ in parts])
        scores = np.concatenate([s for _, s, _ in parts])
        points = np.concatenate([p for _, _, p in parts])
        return [(scores[picture == n], points[picture == n]) for n in range(len(tiles))]

    def _picture(self, tiles: Float) -> Tensor:
        blue_first = np.multiply(tiles[..., ::-1], np.float32(255.0), order="C")
        blue_first -= _MEANS
        return torch.from_numpy(blue_first).to(self._device).permute(0, 3, 1, 2)


def _decoded(layer: Layer, least: float) -> tuple[Float, Float, Float]:
    """Of what is believed: number of the picture (N,), score (N,), points (N, 2 + K, 2) in pixels."""
    which = torch.nonzero(layer.logits >= least)
    logits = layer.logits[tuple(which.T)]
    raw = layer.raw[tuple(which.T)].reshape(len(which), layer.raw.shape[-1] // 2, 2).cpu().double().numpy()
    picture, y, x, anchor = which.cpu().numpy().T
    size = np.array(layer.sizes)[anchor][:, None, None]
    cell = (np.stack((x, y), axis=1)[:, None] + 0.5) * layer.stride
    points = cell + raw * (_CENTRE * size)
    centre, half = points[:, 0].copy(), np.exp(raw[:, 1] * _SIZE) * size[:, 0] / 2.0
    points[:, 0], points[:, 1] = centre - half, centre + half
    return picture, torch.sigmoid(logits).cpu().numpy(), points.astype(np.float32)


def with_norms_folded(module: nn.Module) -> nn.Module:
    """The same network, every batch normalisation folded into the convolution before it.

    For modules whose children stand in the order in which they run.
    """
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child) if isinstance(child, nn.Conv2d) else None
        with_norms_folded(child)
    return module


def joined(*convolutions: nn.Conv2d) -> nn.Conv2d:
    """One convolution for several that look at the same: its outputs are theirs, one after the other."""
    first = convolutions[0]
    outputs, kernel = sum(c.out_channels for c in convolutions), cast(tuple[int, int], first.kernel_size)
    both = nn.Conv2d(first.in_channels, outputs, kernel, padding=cast(tuple[int, int], first.padding))
    biases = [c.bias for c in convolutions if c.bias is not None]
    both.load_state_dict({"weight": torch.cat([c.weight for c in convolutions]), "bias": torch.cat(biases)})
    return both.eval().requires_grad_(False)
