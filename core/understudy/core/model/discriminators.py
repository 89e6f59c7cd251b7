"""Discriminators: what learns to tell a person's real faces from painted ones, or one person's codes from another's.

`PatchDiscriminator` is DeepFaceLab's U-Net (core/leras/models/PatchDiscriminator.py; the idea is Schönfeld et al., "A
U-Net Based Discriminator for Generative Adversarial Networks", arXiv 2002.12655): it judges patches of a chosen size
at its centre and each pixel at its end. `CodeDiscriminator` is what TrueFace asks (core/leras/models/
CodeDiscriminator.py). What they ask of a training is in `train.adversarial`. Layers, sizes and weights agree, so that
theirs load (`from_dfl`). All outputs are logits: above 0 is real. Suffixes: B batch, C channels, H, W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.frames import Array

_LAYERS = 9  # of the deepest search
_WIDEST = 512  # channels


@lru_cache(maxsize=32)
def strides(patch: int) -> tuple[int, ...]:
    """Of the 3×3 layers, the first of which is 2, whose receptive field is nearest to `patch` pixels.

    Of equally near ones the smaller field, of equal fields the fewest layers, then the most halvings: DeepFaceLab's
    choice; no two are equal in all of that.
    """

    def worse(steps: tuple[int, ...]) -> tuple[int, ...]:
        field = receptive_field(steps)
        return abs(field - patch), field, len(steps), -sum(steps)

    return min(_candidates(), key=worse)


def receptive_field(steps: tuple[int, ...]) -> int:
    """Side in pixels of what one output of 3×3 layers of these strides sees."""
    return 3 + 2 * sum(math.prod(steps[:layer]) for layer in range(1, len(steps)))


def _candidates() -> Iterator[tuple[int, ...]]:
    for count in range(_LAYERS):
        for rest in product((1, 2), repeat=count):
            yield 2, *rest


class PatchDiscriminator(nn.Module):
    """A face (B, 3, H, W), 0 to 1, to logits of its patches (B, 1, h, w) and of its pixels (B, 1, H, W).

    Args:
        patch: side of the patches in pixels, 3 to 640; the nearest that there is. DeepFaceLab's guide: 1/8 of the
            resolution.
        dims: channels at full resolution, 2 to 512; doubled by each layer, to 512 at most.
    """

    def __init__(self, patch: int, dims: int = 16) -> None:
        super().__init__()
        for name, value, low, high in (("patch", patch, 3, 640), ("dims", dims, 2, _WIDEST)):
            if not low <= value <= high:
                raise InvalidInput(
                    f"gan: {name} {value} must be {low} to {high}", field=f"gan_{name}", value=value
                )
        self.strides = strides(patch)
        widths = [min(dims << level, _WIDEST) for level in range(len(self.strides) + 1)]
        self.in_conv = nn.Conv2d(3, widths[0], 1)
        self.convs = nn.ModuleList()
        self.upconvs = nn.ModuleList()
        for step, (channels, out) in zip(self.strides, pairwise(widths), strict=True):
            self.convs.append(nn.Conv2d(channels, out, 3, stride=step, padding=1))
        for level in reversed(range(len(self.strides))):
            step, joined = self.strides[level], 1 if level == len(self.strides) - 1 else 2
            self.upconvs.append(
                nn.ConvTranspose2d(
                    joined * widths[level + 1], widths[level], 3, stride=step, padding=1 if step == 1 else 0
                )
            )
        self.center_out = nn.Conv2d(widths[-1], 1, 1)
        self.center_conv = nn.Conv2d(widths[-1], widths[-1], 1)
        self.out_conv = nn.Conv2d(2 * widths[0], 1, 1)

    def forward(self, face_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x, skips = _leaky(self.in_conv(face_BCHW)), []
        for conv in self.convs:
            skips.append(x)
            x = _leaky(conv(x))
        patches = self.center_out(x)
        x = _leaky(self.center_conv(x))
        for conv in self.upconvs:
            skip = skips.pop()
            # TensorFlow's "same" has the odd row and column at the end; a side that did not halve evenly has more
            x = _leaky(conv(x))[..., : skip.shape[-2], : skip.shape[-1]]
            x = torch.cat([skip, x], dim=1)
        return patches, self.out_conv(x)


class CodeDiscriminator(nn.Module):
    """A code (B, C, L, L) to logits (B, 1, l, l).

    Args:
        channels: of the code.
        side: of the code, L.
        width: channels after the first layer; doubled by each of the next three.
    """

    def __init__(self, channels: int, side: int, width: int = 256) -> None:
        super().__init__()
        widths = [channels] + [width * min(1 << layer, 8) for layer in range(1 + side // 8)]
        self.convs = nn.ModuleList()
        for layer, (before, after) in enumerate(pairwise(widths)):
            kernel = 3 if layer else 4
            self.convs.append(nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2))
        self.out_conv = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, code_BCHW: Tensor) -> tuple[Tensor]:
        x = code_BCHW
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.1)
        return (self.out_conv(x),)


@torch.no_grad()
def initialise(net: PatchDiscriminator | CodeDiscriminator, generator: torch.Generator) -> None:
    """Draw fresh weights that keep the spread of what they get (He et al., arXiv 1502.01852); heads begin unsure."""
    for name, module in net.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        fan = module.weight[0].numel()
        if isinstance(module, nn.ConvTranspose2d):  # where it doubles, a pixel meets a quarter of the kernel
            fan = module.weight[:, 0].numel() // math.prod(module.stride)
        gain = 0.1 if name.endswith("out") or name == "out_conv" else 2.0
        module.weight.normal_(0, math.sqrt(gain / fan), generator=generator)
        if module.bias is not None:
            module.bias.zero_()


def from_dfl(net: PatchDiscriminator | CodeDiscriminator, weights: Mapping[str, Array]) -> dict[str, Tensor]:
    """What `net.load_state_dict` takes, from arrays by DeepFaceLab's names (`convs_0/weight:0`) without the file's.

    Kernels are (kh, kw, in, out), of transposed convolutions (kh, kw, out, in), and faces BGR.

    Raises:
        ModelInvalid: a weight is missing or of another shape: names it, and both shapes.
    """
    found: dict[str, Tensor] = {}
    for ours, like in net.state_dict().items():
        *path, kind = ours.split(".")
        theirs = f"{'_'.join(path)}/{kind}:0"
        if theirs not in weights:
            raise ModelInvalid(
                f"DeepFaceLab discriminator: {theirs} is missing", field="weights", value=theirs
            )
        array = np.asarray(weights[theirs], np.float32)
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        if array.shape != like.shape:
            raise ModelInvalid(
                f"DeepFaceLab discriminator: {theirs} becomes {array.shape}, but {ours} is {tuple(like.shape)}: are "
                "patch size and dims those it was trained with?",
                field="weights",
                value=theirs,
            )
        if ours == "in_conv.weight":
            array = array[:, ::-1]
        found[ours] = torch.from_numpy(np.ascontiguousarray(array))
    return found


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)
