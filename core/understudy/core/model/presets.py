"""What a model is made of: its configuration, and the presets a person can name. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from understudy.core.align import MODEL_TYPES
from understudy.core.netconfig import Config, named

ARCHS = ("df", "liae", "dfhd", "liaehd")
OPTIONS = "udtc"


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The sizes that fix every weight of a model. Two models with equal configurations are interchangeable.

    Attributes:
        arch: the network: `df` (one encoder and inter for both people, a decoder for each), `liae` (one encoder and
            decoder, an inter for both and one for dst), `dfhd` and `liaehd` (the same with more layers, `hd.py`).
        options: letters of `udtc`, any order, kept in that order (DeepFaceLab's meaning):
            `u` normalises the encoder's output, which favours likeness; `d` computes at half the resolution and
            predicts 2×2 sub-pixels; `t` is a deeper network, not for the HD kin; `c` replaces leaky ReLU by x·cos(x).
        resolution: side of the face in pixels, 64 to 640, a multiple of 16, or of 32 with `d` or `t`.
        e_dims, d_dims, d_mask_dims: widths of encoder, decoder and its matte branch, 2 to 256; of the HD kin e_dims a
            multiple of 8, d_dims even.
        ae_dims: width of the bottleneck, 8 to 1024; of the HD kin a multiple of 4.
        face_type: how much of the head the crop holds.

    Raises:
        InvalidInput: names the field and the value.
    """

    word = "model"

    arch: str = "df"
    options: str = "ud"
    resolution: int = 128
    e_dims: int = 64
    d_dims: int = 64
    d_mask_dims: int = 22
    ae_dims: int = 256
    face_type: str = "whole"

    def __post_init__(self) -> None:
        if self.arch not in ARCHS:
            raise self.refusal("arch", self.arch, f"is none of {', '.join(ARCHS)}")
        if len(set(self.options)) != len(self.options) or not set(self.options) <= set(OPTIONS):
            raise self.refusal("options", self.options, f"must be different letters out of {OPTIONS!r}")
        object.__setattr__(self, "options", "".join(o for o in OPTIONS if o in self.options))
        if self.hd and "t" in self.options:
            raise self.refusal("options", self.options, f"has 't', which arch {self.arch!r} does not know")
        self._check_sizes()
        if self.face_type not in MODEL_TYPES:
            raise self.refusal("face_type", self.face_type, f"is none of {', '.join(MODEL_TYPES)}")

    @property
    def hd(self) -> bool:
        """Whether it is one of the HD kin."""
        return self.arch.endswith("hd")

    @property
    def code_side(self) -> int:
        """Side of the square that the inter's dense layers make."""
        return self.resolution // (32 if "d" in self.options else 16)

    def _check_sizes(self) -> None:
        # `t` shrinks the face 32 times also without `d`; DeepFaceLab takes multiples of 16 there, and loses a row
        halved = {"d", "t"} & set(self.options)
        with_options = f" with options {self.options!r}" if halved else ""
        with_arch = f" with arch {self.arch!r}" if self.hd else ""
        # the HD kin halve by sub-pixels, which takes channels in fours
        folds = {"e_dims": 8, "d_dims": 2, "ae_dims": 4} if self.hd else {}
        for name, low, high, step, why in (
            ("resolution", 64, 640, 32 if halved else 16, with_options),
            *((n, 2, 256, folds.get(n, 1), with_arch) for n in ("e_dims", "d_dims", "d_mask_dims")),
            ("ae_dims", 8, 1024, folds.get("ae_dims", 1), with_arch),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high or value % step:
                multiple = f" and a multiple of {step}{why}" if step > 1 else ""
                raise self.refusal(name, value, f"must be {low} to {high}{multiple}")


def _named(name: str) -> ModelConfig:
    """The configuration that `arch-options-resolution` says, or `arch-resolution`, at DeepFaceLab's default widths."""
    arch, *options, resolution = name.split("-")
    widths: dict[str, Any] = {"d_dims": 48, "d_mask_dims": 16} if arch == "dfhd" else {}
    return ModelConfig(arch=arch, options="".join(options), resolution=int(resolution), **widths)


_SMALL: dict[str, Any] = {"e_dims": 64, "ae_dims": 128, "face_type": "full"}
_NAMED = """
    df-ud-128 df-ud-192 df-ud-256 df-ud-384 df-ud-512 df-udt-256 df-udt-384 df-udt-512
    liae-ud-128 liae-ud-192 liae-ud-256 liae-ud-384 liae-ud-512 liae-udt-256 liae-udt-384 liae-udt-512
    dfhd-ud-128 dfhd-ud-256 liaehd-ud-128 liaehd-ud-256 liaehd-ud-384 liaehd-ud-512
"""

# name → configuration. `quick96` is DeepFaceLab's Quick96; the long names are its SAEHD at default widths.
PRESETS: dict[str, ModelConfig] = {
    "quick64": ModelConfig(resolution=64, d_dims=32, d_mask_dims=8, **_SMALL),
    "quick96": ModelConfig(resolution=96, d_dims=64, d_mask_dims=16, **_SMALL),
    **{name: _named(name) for name in _NAMED.split()},
}

# The rows of the DeepFaceLab paper's ablation (arXiv 2005.05535). `…-gan-trueface` is the network of the row before,
# trained with both losses: rows differ by more than networks, so they are named apart from `PRESETS`.
ABLATION: dict[str, ModelConfig] = {
    f"ablation-{arch}{losses}": _named(f"{arch}-128") for arch in ARCHS for losses in ("", "-gan-trueface")
}


def known() -> dict[str, ModelConfig]:
    """All that `preset` knows: presets, and the rows of the ablation."""
    return PRESETS | ABLATION


def preset(name: str) -> ModelConfig:
    """The configuration of that name, a preset's or a row's of the ablation; raises as `netconfig.named`."""
    return named(known(), name)
