"""What DFHD and LIAEHD have in the place of DF's and LIAE's encoder and decoder layers.

The paper (I. Perov et al., "DeepFaceLab", arXiv 2005.05535) has DF, LIAE, DFHD and LIAEHD in its ablation, the HD kin
with more layers for feature extraction and more residual blocks. Which and how wide, this takes from the program that
its authors published when the paper appeared (DeepFaceLab in spring 2020, architectures `dfhd` and `liaehd`, which
later versions dropped in favour of the option `t`):

- `Columns`: four stacks see the face side by side, with kernels of 3, 5, 5 and 7 pixels, the last two dilated by 2, so
  that receptive fields differ; the first two have four times the channels of the others. Each halves the picture four
  times, by sub-pixels and not by stride, so that a kernel sees every pixel. Together they give five times as many
  features as DF's encoder.
- `Trunk`: on each of its four scales the decoder has a block that goes one scale up, through a residual block
  there, and down again onto what it came from; what it had above joins the next scale.

The inters are DF's and LIAE's. Ours are: `u`, `d` and `c` mean what they mean in DF (the published HD kin had no
options; `t` is another way to be deeper and is refused), the names of layers, and the first weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.model.layers import Activation, Block, Recomputed, Residual, Upscale

# (kernel, dilation, width as a multiple of the encoder's)
_COLUMNS = ((3, 1, 2.0), (5, 1, 2.0), (5, 2, 0.5), (7, 2, 0.5))


class Fold(nn.Module):
    """Half the size by sub-pixels: (B, C, H, W) → (B, out, H/2, W/2). `out` is a multiple of 4.

    Sub-pixels come first in the order of channels (`q·C + c`), as in the published weights.
    """

    def __init__(
        self, channels: int, out: int, act: Activation | None, kernel: int = 3, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv1 = nn.Conv2d(channels, out // 4, kernel, padding=padding, dilation=dilation)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> Tensor:
        folded = functional.pixel_unshuffle(self.conv1(x_BCHW), 2)  # channel first: c·4 + q
        x = torch.unflatten(folded, 1, (-1, 4)).transpose(1, 2).flatten(1, 2)
        return x if self.act is None else self.act(x, 0.1)


class Columns(nn.Module):
    """A face to features: (B, 3, S, S) → (B, `channels`, S/16, S/16)."""

    def __init__(self, e_dims: int, act: Activation) -> None:
        super().__init__()
        self.columns = nn.ModuleList()
        self.channels = 0
        for kernel, dilation, width in _COLUMNS:
            widths = [3, *(int(width * e_dims) * 2**i for i in range(4))]
            folds = (Fold(widths[i], widths[i + 1], act, kernel, dilation) for i in range(4))
            self.columns.append(nn.Sequential(*folds))
            self.channels += widths[-1]

    def forward(self, face_BCHW: Tensor) -> Tensor:
        return torch.cat([column(face_BCHW) for column in self.columns], dim=1)


class Bump(Block):
    """Up, a residual block, and down again: (B, C, H, W) → the same, and what was above, (B, inner, 2H, 2W)."""

    def __init__(self, channels: int, inner: int, act: Activation) -> None:
        super().__init__()
        self.up = Upscale(channels, inner, act)
        self.res = Residual(inner, act)
        self.down = Fold(inner, channels, act=None)
        self.act = act

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        above = self.res(self.up(x_BCHW))
        return self.act(x_BCHW + self.down(above), 0.2), above

    def begin(self) -> None:
        """Pass on what comes in, and half of the power that the next scale gets."""
        self.down.conv1.weight.zero_()
        self.up.conv1.weight.mul_(math.sqrt(0.5))


class Trunk(Recomputed, Block):
    """A code to features that a picture's heads read: (B, channels, H, W) → (B, widths[-1], 8H, 8W)."""

    def __init__(self, channels: int, widths: Sequence[int], act: Activation) -> None:
        super().__init__()
        self.upscales, self.bumps = nn.ModuleList(), nn.ModuleList()
        for width in widths:
            self.bumps.append(Bump(channels, width, act))
            self.upscales.append(Upscale(channels, width, act))
            channels = width
        self.bumps.append(Bump(channels, channels // 2, act))
        self.act = act

    def forward(self, code_BCHW: Tensor) -> Tensor:
        x: Tensor
        x, above = self.run(self.bumps[0], code_BCHW)
        for upscale, bump in zip(self.upscales, self.bumps[1:], strict=True):
            x, above = self.run(bump, self.act(upscale(x) + above, 0.2))
        return x

    def begin(self) -> None:
        """Leave half of the power to what joins from the bumps."""
        for upscale in self.upscales:
            if isinstance(upscale, Upscale):
                upscale.conv1.weight.mul_(math.sqrt(0.5))
