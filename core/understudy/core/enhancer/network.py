"""The network that makes faces twice as large, and a trained one at work.

A stack of 3×3 convolutions at the small size, then a last one whose channels are the pixels of the large picture, over
what cubic interpolation gives of it. So nearly all work is done at a quarter of the pixels, and what is learnt is
detail alone. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network", CVPR 2016, for the sub-pixels; Kim et al., "Accurate Image Super-Resolution Using Very Deep
Convolutional Networks", CVPR 2016, for the detail; Wang et al., "Real-ESRGAN", ICCVW 2021, whose compact network
(SRVGGNet) has these layers.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from understudy.core.colour import SwapCurve
from understudy.core.enhance import _light
from understudy.core.enhance.lanczos import Lanczos, refuse_smaller
from understudy.core.enhancer import store
from understudy.core.enhancer.config import FACTOR, EnhancerConfig
from understudy.core.errors import ModelInvalid
from understudy.core.frames import Float
from understudy.core.image import fill_nonfinite
from understudy.core.model.device import pick


class Compact(nn.Module):
    """Codes (B, 3, H, W) of the swap curve in [0, 1] → (B, 3, 2H, 2W) likewise, not held to the range."""

    def __init__(self, config: EnhancerConfig) -> None:
        super().__init__()
        width = config.channels
        layers: list[nn.Module] = []
        for taken in (3, *[width] * config.layers):
            layers += [nn.Conv2d(taken, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 3 * FACTOR**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        detail = functional.pixel_shuffle(self.last(self.body(x)), FACTOR)
        return plain(x) + detail


def plain(x: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 3, 2H, 2W) by cubic convolution: what a network adds its detail to."""
    return functional.interpolate(x, scale_factor=FACTOR, mode="bicubic", align_corners=False)


def initialise(net: Compact, generator: Generator) -> None:
    """Draw fresh weights (He et al., 2015); equal generators give equal ones. The network begins as `plain`."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.25, generator=generator)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    nn.init.zeros_(net.last.weight)


class Trained:
    """`enhance.Enhancer` of a trained network. Deterministic; not for several threads at once.

    The network sees codes of the swap curve, which holds light from black to the curve's maximum. What is beyond,
    and negative light, it has never seen: there the picture is Lanczos's, with a soft change above the curve's knee,
    where a small error of a code would be a large one of light; nor is anything there brighter than what is around it
    in the small picture. So highlights come through whole, and have no rings.
    """

    def __init__(
        self, net: Compact, config: EnhancerConfig, state: store.State, device: torch.device
    ) -> None:
        self._net, self._reach, self._device = (
            net.to(device).eval().requires_grad_(False),
            config.reach,
            device,
        )
        self._curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})
        self._digest, self._plain = state.digest, Lanczos()

    @property
    def digest(self) -> str:
        """Names the weights: 64 hex digits."""
        return self._digest

    def enlarge(self, rgb: Float, size: int, face_type: str = "whole") -> Float:  # noqa: ARG002  sees any face
        """As `enhance.Enhancer.enlarge`: twice as large as often as it takes, and what is too large made smaller."""
        refuse_smaller(size, len(rgb))
        picture = fill_nonfinite(rgb)[0]
        if size == len(rgb):
            return picture.copy()
        while len(picture) < size:
            picture = self._double(picture)
        if len(picture) == size:
            return picture
        shrunk = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        return shrunk.astype(np.float32, copy=False)

    def _double(self, rgb: Float) -> Float:
        """(S, S, 3) finite → (2S, 2S, 3)."""
        held, knee = self._plain.enlarge(rgb, FACTOR * len(rgb)), self._curve.knee
        share = _light.share(self._curve.encode(held), knee)[..., None]
        codes = self._curve.encode(rgb)
        most = _light.most(codes, knee).repeat(FACTOR, axis=0).repeat(FACTOR, axis=1)
        seen = self._curve.decode(np.minimum(self._codes(codes), most))
        made: Float = held + share * (seen - held)
        return made

    def _codes(self, codes: Float) -> Float:
        """(S, S, 3) → (2S, 2S, 3) of the network, in [0, 1]; beyond its edge the picture's goes on."""
        x = torch.from_numpy(np.clip(codes, 0.0, 1.0)).permute(2, 0, 1)[None].to(self._device)
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        edge = FACTOR * self._reach
        with torch.inference_mode(), exact:
            made = self._net(functional.pad(x, [self._reach] * 4, mode="replicate"))[
                0, :, edge:-edge, edge:-edge
            ]
            found: Float = made.clamp(0, 1).permute(1, 2, 0).contiguous().cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelInvalid(
                f"enhancer {self._digest[:12]}: its answer is not finite: its weights are broken; train it anew",
                field="enhancer",
                value=self._digest,
            )
        return found


def load(folder: Path, device: str = "auto") -> Trained:
    """A trained enhancer, ready to work.

    Raises:
        InvalidInput: there is no such device.
        NotFound, ModelInvalid: as `checkpoints.Checkpoints.load`, or its weights are of another network.
    """
    config = store.read_config(folder)
    state, weights = store.load(folder)
    net = Compact(config)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelInvalid(f"{folder}: its weights are of another network: {error}", path=folder) from error
    return Trained(net, config, state, pick(device))
