"""What a model is made of: its configuration, and the presets a person can name. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from understudy.core.align import MODEL_TYPES
from understudy.core.errors import InvalidInput

ARCHS = ("df",)
OPTIONS = "udtc"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes that fix every weight of a model. Two models with equal configurations are interchangeable.

    Attributes:
        arch: the network: `df` (one encoder and inter for both people, a decoder for each).
        options: letters of `udtc`, any order, kept in that order (DeepFaceLab's meaning):
            `u` normalises the encoder's output, which favours likeness; `d` computes at half the resolution and
            predicts 2×2 sub-pixels; `t` is a deeper network; `c` replaces leaky ReLU by x·cos(x).
        resolution: side of the face in pixels, 64 to 640, a multiple of 16, or of 32 with `d` or `t`.
        e_dims, d_dims, d_mask_dims: widths of encoder, decoder and its matte branch, 2 to 256.
        ae_dims: width of the bottleneck, 8 to 1024.
        face_type: how much of the head the crop holds.

    Raises:
        InvalidInput: names the field and the value.
    """

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
            raise _refuse("arch", self.arch, f"is none of {', '.join(ARCHS)}")
        if len(set(self.options)) != len(self.options) or not set(self.options) <= set(OPTIONS):
            raise _refuse("options", self.options, f"must be different letters out of {OPTIONS!r}")
        object.__setattr__(self, "options", "".join(o for o in OPTIONS if o in self.options))
        step = 32 if {"d", "t"} & set(self.options) else 16
        if not 64 <= self.resolution <= 640 or self.resolution % step:
            why = f" with options {self.options!r}" if step == 32 else ""
            raise _refuse("resolution", self.resolution, f"must be 64 to 640 and a multiple of {step}{why}")
        for name in ("e_dims", "d_dims", "d_mask_dims"):
            if not 2 <= getattr(self, name) <= 256:
                raise _refuse(name, getattr(self, name), "must be 2 to 256")
        if not 8 <= self.ae_dims <= 1024:
            raise _refuse("ae_dims", self.ae_dims, "must be 8 to 1024")
        if self.face_type not in MODEL_TYPES:
            raise _refuse("face_type", self.face_type, f"is none of {', '.join(MODEL_TYPES)}")

    @property
    def code_side(self) -> int:
        """Side of the square that the inter's dense layers make."""
        return self.resolution // (32 if "d" in self.options else 16)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`; a field that this version does not know is refused."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise _refuse(
                unknown[0], values[unknown[0]], "is not a field of this version's model configuration"
            )
        return cls(**values)


def _refuse(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"model: {field} {value!r} {why}", field=field, value=value)


def _df(resolution: int, options: str = "ud", **dims: Any) -> ModelConfig:
    return ModelConfig(resolution=resolution, options=options, **dims)


# name → configuration. `quick96` is DeepFaceLab's Quick96; the `df-…` are its SAEHD at default widths.
PRESETS: dict[str, ModelConfig] = {
    "quick64": _df(64, e_dims=64, d_dims=32, d_mask_dims=8, ae_dims=128, face_type="full"),
    "quick96": _df(96, e_dims=64, d_dims=64, d_mask_dims=16, ae_dims=128, face_type="full"),
    "df-ud128": _df(128),
    "df-ud192": _df(192),
    "df-ud256": _df(256),
    "df-udt256": _df(256, "udt"),
}


def preset(name: str) -> ModelConfig:
    """The configuration of that name.

    Raises:
        InvalidInput: there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise InvalidInput(
            f"preset: there is no {name!r}; there are {', '.join(PRESETS)}", field="preset", value=name
        )
    return PRESETS[name]
