"""What an enhancer is made of: its configuration, and the presets a person can name. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.core.netconfig import Config, named

FACTOR = 2
"""How many times larger, each way."""


@dataclass(frozen=True, kw_only=True)
class EnhancerConfig(Config):
    """The sizes that fix every weight of an enhancer. Two with equal configurations are interchangeable.

    Attributes:
        channels: width of its layers, 8 to 128.
        layers: how many there are between the first and the last, 1 to 32: each sees a pixel further.

    Raises:
        InvalidInput: names the field and the value.
    """

    word = "enhancer"

    channels: int = 32
    layers: int = 6

    def __post_init__(self) -> None:
        for name, low, high in (("channels", 8, 128), ("layers", 1, 32)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise self.refusal(name, value, f"must be {low} to {high}")

    @property
    def reach(self) -> int:
        """Pixels of the small picture, to each side, that a pixel of the large one is made of."""
        return self.layers + 2


PRESETS: dict[str, EnhancerConfig] = {
    "small": EnhancerConfig(),
    "large": EnhancerConfig(channels=64, layers=16),
}
"""`small` learns in minutes where there is no GPU; `large` is as wide and deep as Real-ESRGAN's compact network."""

DEFAULT = "small"  # of a new enhancer, where nobody names a preset


def preset(name: str) -> EnhancerConfig:
    """The configuration of that name; raises as `netconfig.named`."""
    return named(PRESETS, name)
