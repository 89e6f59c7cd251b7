"""DF, the two-decoder autoencoder of face replacement, from top to bottom.

One encoder and one inter see both people, so that the code means pose, expression and light; each person has a
decoder of their own, that puts identity back. A swap is the dst face decoded by the src decoder:

    face_dst → encoder → inter → code → decoder_src → face of src doing what dst does, and its matte

The layers and sizes are those of DeepFaceLab's DF (I. Perov et al., "DeepFaceLab", arXiv 2005.05535), so that its
weights load (`dfl.py`); initialisation and memory layout are ours. DFHD is the same with other layers (`hd.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.core.model.autoencoder import Network, Reconstruction
from understudy.core.model.parts import Decoder, Encoder, Inter
from understudy.core.model.presets import ModelConfig


class DF(Network):
    """What both people share, and a decoder for each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.inter = Inter(config, self.encoder.features, config.ae_dims)
        self.decoder_src = Decoder(config, config.ae_dims)
        self.decoder_dst = Decoder(config, config.ae_dims)

    @property
    def decoders(self) -> tuple[Decoder, Decoder]:
        return self.decoder_src, self.decoder_dst

    def code(self, face_BCHW: Tensor) -> Tensor:
        """What both decoders take, of anybody's face (B, 3, S, S): (B, ae, L, L)."""
        return self.code_as_src(self.encoder(face_BCHW))

    def code_as_src(self, x_BF: Tensor) -> Tensor:
        code: Tensor = self.inter(x_BF)
        return code

    def codes(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        code = self.code_as_src(x_BF)
        return code, code

    def swapped(self, code_dst_BCHW: Tensor) -> Tensor:
        return code_dst_BCHW

    def reconstruct(self, src_BCHW: Tensor, dst_BCHW: Tensor) -> Reconstruction:
        codes = self.code(torch.cat([src_BCHW, dst_BCHW]))  # both people in one pass
        code_src, code_dst = codes.chunk(2)
        face_src, matte_src = self.decoder_src(code_src)
        face_dst, matte_dst = self.decoder_dst(code_dst)
        return Reconstruction(torch.cat([face_src, face_dst]), torch.cat([matte_src, matte_dst]), codes)
