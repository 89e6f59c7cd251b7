"""What a segmenter is made of: its configuration, and the presets a person can name. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.core import _plugins
from understudy.core.align import MODEL_TYPES
from understudy.core.netconfig import Config, named

_STEPS = {"xseg": 64}
"""How often a network halves its input, as a power of two; 32 for those that are not here."""


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig(Config):
    """The sizes that fix every weight of a segmenter. Two with equal configurations are interchangeable.

    Attributes:
        network: a member of the family `segmenter`.
        resolution: side of the crop in pixels, 64 to 512, a multiple of 64 for `xseg` and of 32 for others.
        channels: width of the first layer, 2 to 128, even; the layers further in are up to eight times as wide.
        face_type: how much of the head the crop holds.

    Raises:
        InvalidInput: names the field and the value.
    """

    word = "segmenter"

    network: str = "xseg"
    resolution: int = 256
    channels: int = 32
    face_type: str = "whole"

    def __post_init__(self) -> None:
        networks = _plugins.names("segmenter")
        if self.network not in networks:
            raise self.refusal("network", self.network, f"is none of {', '.join(networks)}")
        step = _STEPS.get(self.network, 32)
        if not 64 <= self.resolution <= 512 or self.resolution % step:
            raise self.refusal(
                "resolution",
                self.resolution,
                f"must be 64 to 512 and a multiple of {step} for {self.network}",
            )
        if not 2 <= self.channels <= 128 or self.channels % 2:
            raise self.refusal("channels", self.channels, "must be 2 to 128 and even")
        if self.face_type not in MODEL_TYPES:
            raise self.refusal("face_type", self.face_type, f"is none of {', '.join(MODEL_TYPES)}")


# name → configuration. `xseg` is DeepFaceLab's, and `xseg-dfl` is also trained as it is there; the light ones learn in
# minutes where there is no GPU.
PRESETS: dict[str, SegmenterConfig] = {
    "xseg": SegmenterConfig(),
    "xseg-dfl": SegmenterConfig(),
    "xseg-light": SegmenterConfig(resolution=128, channels=16),
    "xseg-light-full": SegmenterConfig(resolution=128, channels=16, face_type="full"),
    "ternausnet": SegmenterConfig(network="ternausnet", channels=64),
    "ternausnet-light": SegmenterConfig(network="ternausnet", resolution=128, channels=16),
}


DEFAULT = "xseg"  # of a new segmenter, where nobody names a preset
MARKS = ("face", "occluder")  # what the mattes that become labels may mark; the first where nobody says


def preset(name: str) -> SegmenterConfig:
    """The configuration of that name; raises as `netconfig.named`."""
    return named(PRESETS, name)
