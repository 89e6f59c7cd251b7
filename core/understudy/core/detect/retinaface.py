"""RetinaFace on MobileNet 0.25: small, quick, and with five key points a face. See `_retinaface`."""

from __future__ import annotations

from torch import Tensor, nn

from understudy.core.detect import _retinaface
from understudy.core.detect._pyramid import Pyramid
from understudy.core.detect._retinaface import RetinaFace, conv, leaky
from understudy.core.weights import WeightStore

WEIGHTS = ("retinaface",)

_THRESHOLD = 0.8  # at 0.6 a flower pot is a face; those of `enough` pixels have 0.9 and more
_SLOPE = 0.1

_STAGES = (
    ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)),
    ((64, 128, 2), *[(128, 128, 1)] * 5),
    ((128, 256, 2), (256, 256, 1)),
)
"""Depthwise separable convolutions of each stage: channels before and after, stride."""


def create(store: WeightStore, *, device: str = "auto") -> Pyramid:
    return _retinaface.create(network(), store.path(*WEIGHTS), device, threshold=_THRESHOLD)


def network() -> RetinaFace:
    return RetinaFace(MobileNet(), (64, 128, 256), 64)


class MobileNet(nn.Module):
    """A quarter of MobileNet's width. Howard et al., "MobileNets", 2017."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Sequential(*conv(3, 8, stride=2), leaky(_SLOPE))
        self.stage1 = nn.Sequential(first, *(_separable(*block) for block in _STAGES[0]))
        self.stage2 = nn.Sequential(*(_separable(*block) for block in _STAGES[1]))
        self.stage3 = nn.Sequential(*(_separable(*block) for block in _STAGES[2]))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stage1(picture)
        middle = self.stage2(fine)
        return fine, middle, self.stage3(middle)


def _separable(before: int, after: int, stride: int) -> nn.Sequential:
    depthwise = conv(before, before, stride=stride, groups=before)
    return nn.Sequential(*depthwise, leaky(_SLOPE), *conv(before, after, side=1), leaky(_SLOPE))
