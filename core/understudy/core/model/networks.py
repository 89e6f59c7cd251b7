"""The architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from understudy.core.model.autoencoder import Network, Reconstruction
from understudy.core.model.df import DF
from understudy.core.model.liae import LIAE
from understudy.core.model.presets import ModelConfig

__all__ = ["ARCHITECTURES", "Network", "Reconstruction", "build"]

# The HD kin are wired as their elders; `parts` gives them other layers.
ARCHITECTURES: Mapping[str, Callable[[ModelConfig], Network]] = {
    "df": DF,
    "liae": LIAE,
    "dfhd": DF,
    "liaehd": LIAE,
}


def build(config: ModelConfig) -> Network:
    """The network of a configuration, on torch's default device; its weights are to be loaded or initialised."""
    return ARCHITECTURES[config.arch](config)
