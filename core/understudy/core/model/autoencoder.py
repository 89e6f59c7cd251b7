"""What every swap network does, whatever its architecture.

Shape suffixes: B batch, C channels, H and W pixels, S the model's resolution, F flat features. Faces are RGB in swap
space, 0 to 1. A code is what an inter gives and a decoder takes: (B, C, L, L).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.core.model.layers import Block, Recomputed
from understudy.core.model.parts import Decoder, Encoder
from understudy.core.model.presets import ModelConfig


class Reconstruction(NamedTuple):
    """Both people as a network gives them back: of B faces each, src's 0 to B-1, dst's B to 2B-1.

    Attributes:
        faces, mattes: logits (2B, 3, S, S) and (2B, 1, S, S); `sigmoid` makes them 0 to 1.
        codes: (2B, C, L, L), what the decoders saw.
    """

    faces: Tensor
    mattes: Tensor
    codes: Tensor


class Network(nn.Module, ABC):
    """A swap network. Calling it is `reconstruct`, so that what wraps modules (compilers, DDP) wraps training."""

    config: ModelConfig
    encoder: Encoder

    @property
    def recompute(self) -> bool:
        """Whether a training computes parts of the forward pass twice and keeps less of it (Chen et al., "Training
        Deep Nets with Sublinear Memory Cost", arXiv 1604.06174). No result hangs on it.
        """
        return self.encoder.recompute

    @recompute.setter
    def recompute(self, wanted: bool) -> None:
        for module in self.modules():
            if isinstance(module, Recomputed):
                module.recompute = wanted

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """What the network is made of, by name; every weight is in one of them."""
        return dict(self.named_children())

    @property
    @abstractmethod
    def decoders(self) -> tuple[Decoder, Decoder]:
        """Of src and of dst, which may be one: each makes a face and a matte, as logits, of a code."""

    @abstractmethod
    def reconstruct(self, src_BCHW: Tensor, dst_BCHW: Tensor) -> Reconstruction:
        """Both people, each with their own face; what training learns. Equal numbers of each."""

    @abstractmethod
    def code_as_src(self, x_BF: Tensor) -> Tensor:
        """The code from which src's decoder makes src's face, whoever the encoder's features are of."""

    @abstractmethod
    def codes(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """As `code_as_src`, and the code from which dst's decoder makes dst's face."""

    @abstractmethod
    def swapped(self, code_dst_BCHW: Tensor) -> Tensor:
        """dst's code in a `Reconstruction`, made into the one from which src's decoder makes the swap."""

    def forward(self, src_BCHW: Tensor, dst_BCHW: Tensor) -> Reconstruction:
        return self.reconstruct(src_BCHW, dst_BCHW)

    def swap(self, face_dst_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """dst's performance with src's face: (B, 3, S, S) face and (B, 1, S, S) matte, float32, 0 to 1."""
        face, matte = self.decoders[0](self.code_as_src(self.encoder(face_dst_BCHW)))
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float())

    def swap_back(self, face_src_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """src's performance with dst's face, as `swap` gives it."""
        face, matte = self.decoders[1](self.codes(self.encoder(face_src_BCHW))[1])
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float())

    def swap_and_dst(self, face_dst_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `swap`, and the matte (B, 1, S, S) of dst's own face."""
        as_src, as_dst = self.codes(self.encoder(face_dst_BCHW))
        face, matte = self.decoders[0](as_src)
        own = self.decoders[1].matte_only(as_dst)
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float()), torch.sigmoid(own.float())

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; equal generators give equal weights.

        Every layer keeps the spread of what it gets (He et al., arXiv 1502.01852); then each block has its say:
        residual blocks begin as identities, sub-pixels equal, heads near grey. Few iterations get much further so than
        from DeepFaceLab's glorot (docs/LOG.md).
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                dense = isinstance(module, nn.Linear)  # without activation
                gain = 1.0 if dense else 2 / (1 + 0.1**2)
                module.weight.normal_(0, math.sqrt(gain / module.weight[0].numel()), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
        for module in self.modules():
            if isinstance(module, Block):
                module.begin()
