"""LIAE, the autoencoder with one decoder, from top to bottom.

Two inters see the encoder's features: `inter_AB` those of both people, `inter_B` those of dst only. A code is two
of their outputs, one on the other; one decoder makes every face. Who it is hangs on the first half of the code:

    src:  [AB(src), AB(src)]     dst:  [B(dst), AB(dst)]     swap:  [AB(dst), AB(dst)]

As the shape of the face goes through the shared decoder, LIAE follows dst's more than DF does. Layers and sizes are
those of DeepFaceLab's LIAE (I. Perov et al., arXiv 2005.05535), so that its weights load (`dfl.py`). LIAEHD is the
same with other layers (`hd.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.core.model.autoencoder import Network, Reconstruction
from understudy.core.model.parts import Decoder, Encoder, Inter
from understudy.core.model.presets import ModelConfig


class LIAE(Network):
    """One decoder for both people, and an inter that only dst goes through."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        half = 2 * config.ae_dims  # of a code's channels
        self.inter_AB = Inter(config, self.encoder.features, half)
        self.inter_B = Inter(config, self.encoder.features, half)
        self.decoder = Decoder(config, 2 * half)

    @property
    def decoders(self) -> tuple[Decoder, Decoder]:
        return self.decoder, self.decoder

    def code_as_src(self, x_BF: Tensor) -> Tensor:
        return _pair(self.inter_AB(x_BF))

    def codes(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.inter_AB(x_BF)
        return _pair(shared), torch.cat([self.inter_B(x_BF), shared], dim=1)

    def swapped(self, code_dst_BCHW: Tensor) -> Tensor:
        return _pair(code_dst_BCHW.chunk(2, dim=1)[1])

    def reconstruct(self, src_BCHW: Tensor, dst_BCHW: Tensor) -> Reconstruction:
        # both people in one pass wherever both go
        x_BF = self.encoder(torch.cat([src_BCHW, dst_BCHW]))
        shared_src, shared_dst = self.inter_AB(x_BF).chunk(2)
        own_dst = self.inter_B(x_BF.chunk(2)[1])
        codes = torch.cat([_pair(shared_src), torch.cat([own_dst, shared_dst], dim=1)])
        faces, mattes = self.decoder(codes)
        return Reconstruction(faces, mattes, codes)


def _pair(half_BCHW: Tensor) -> Tensor:
    return torch.cat([half_BCHW, half_BCHW], dim=1)
