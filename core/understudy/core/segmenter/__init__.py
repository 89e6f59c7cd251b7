"""Segmenters: networks that see which pixels of a crop are the face. One file each; its name is the choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from understudy.core.segment.config import SegmenterConfig

if TYPE_CHECKING:  # the names of the members are asked for where there is no torch
    import torch
    from torch import Tensor, nn


class Family(Protocol):
    """A member's module, as `_plugins.load("segmenter", name)` gives it."""

    def build(self, config: SegmenterConfig) -> nn.Module:
        """The network; its weights are anything yet.

        Its forward takes (B, 3, R, R) float32 RGB in [0, 1] and gives logits (B, 1, R, R) float32, whose sigmoid is
        the matte. Each of a batch by itself: what a face gives depends on no other.
        """

    def initialise(self, net: nn.Module, generator: torch.Generator) -> None:
        """Draw fresh weights; equal generators give equal weights."""

    def published(self, path: Path, config: SegmenterConfig) -> dict[str, Tensor]:
        """Weights of others as a state dict of ours, float32 on the CPU; perhaps a part of it, as of an encoder.

        No code of the file is run.

        Raises:
            NotFound: there is no such file.
            WeightsCorrupt: it is no such file, or its weights are of another network or size: names what differs.
        """
