"""The whole look of a merge as names and numbers, and as the text that goes into every output's header.

Knows no pixels and imports no torch: the daemon's server process decodes and checks recipes with it.
The text form is the protobuf JSON mapping of `understudy.v1.Recipe`.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, cast

from understudy.core import _plugins
from understudy.core.errors import InvalidInput
from understudy.core.merge import expression
from understudy.core.merge.expression import Expression
from understudy.core.parameters import Parameter

Interpolation = Literal["linear", "hold"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A value at a frame, and how to go on from it to the next key."""

    frame: int
    value: float
    interpolation: Interpolation = "linear"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InvalidInput(f"key at frame {self.frame}: {self.value} is not a number", value=self.value)
        if self.interpolation not in ("linear", "hold"):
            raise InvalidInput(
                f"key at frame {self.frame}: interpolation {self.interpolation!r} is neither linear nor hold",
                field="interpolation",
                value=self.interpolation,
            )


@dataclass(frozen=True)
class Curve:
    """A number that may change over the shot: keys in ascending order of frame, at least one.

    Before the first key and after the last the value holds. A single key is a constant.
    """

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        frames = [key.frame for key in self.keys]
        if not frames or frames != sorted(set(frames)):
            raise InvalidInput(
                f"curve: keys must be one or more in ascending order of frame, not {frames}",
                field="keys",
                value=frames,
            )

    @classmethod
    def constant(cls, value: float) -> Curve:
        return cls((Key(frame=0, value=float(value)),))

    def at(self, frame: int) -> float:
        """The value on a frame, exact on keys."""
        after = bisect_right([key.frame for key in self.keys], frame)
        if after in (0, len(self.keys)):
            return self.keys[max(after - 1, 0)].value
        a, b = self.keys[after - 1], self.keys[after]
        if a.interpolation == "hold":
            return a.value
        return a.value + (b.value - a.value) * (frame - a.frame) / (b.frame - a.frame)

    def to_dict(self) -> dict[str, Any]:
        """As `understudy.v1.Keyable`; int64 frame numbers are text there."""
        if len(self.keys) == 1:
            return {"value": self.keys[0].value}
        keys = [
            {
                "frame": str(k.frame),
                "value": k.value,
                "interpolation": f"INTERPOLATION_{k.interpolation.upper()}",
            }
            for k in self.keys
        ]
        return {"keys": {"keys": keys}}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any] | float, *, field: str) -> Curve:
        """Read `to_dict`'s form, or a bare number.

        Raises:
            InvalidInput: neither; `field` is named.
        """
        try:
            if not isinstance(form, Mapping):
                return cls.constant(form)
            if "keys" not in form:
                return cls.constant(form["value"])
            return cls(tuple(_key(key) for key in form["keys"]["keys"]))
        except (KeyError, TypeError, ValueError, InvalidInput) as error:
            raise InvalidInput(
                f"{field}: {form!r} is neither a number nor keys: {error}", field=field, value=form
            ) from error


def _key(form: Mapping[str, Any]) -> Key:
    # The mapping leaves out zeros, and an interpolation that is not given is linear.
    named = form.get("interpolation", "INTERPOLATION_UNSPECIFIED").removeprefix("INTERPOLATION_").lower()
    way = "linear" if named == "unspecified" else named
    return Key(
        frame=int(form.get("frame", 0)),
        value=float(form.get("value", 0.0)),
        interpolation=cast("Interpolation", way),
    )


_ONE, _ERODE, _FEATHER = Curve.constant(1.0), Curve.constant(0.0), Curve.constant(12.0)
_RANGES = {
    "match_amount": (0.0, 1.0),
    "erode": (-500.0, 500.0),
    "feather": (0.0, 500.0),
    "opacity": (0.0, 1.0),
    "smooth": (0, 101),
    "mask_smooth": (0, 25),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Names and parameters of one look. Pixels are plate pixels.

    Attributes:
        match: colour match of the face to the plate, a member of the family `match`.
        match_amount: 0 leaves the network's colour, 1 is the whole match.
        mask: an expression over mattes, such as `face*hull`: `face` is the network's, `hull` the landmarks'. See
            `expression`.
        erode: shrinks the matte by so many pixels; negative grows it.
        feather: width of the soft edge, all of it inside the eroded matte.
        blend: how the face goes onto the plate, a member of the family `blend`.
        opacity: of the whole swap, 0 to 1.
        smooth: odd length in frames of the window in which landmarks' movement is followed (`steady`); 0 or 1 leaves
            them as detected.
        keep_highlights: whether what is brighter than the network can express keeps the plate's ratio.
        mask_smooth: odd length in frames of the window over which the mask's flicker is taken out, by the median in
            aligned space; 0 or 1 leaves it.
    """

    match: str = "reinhard"
    match_amount: Curve = _ONE
    mask: str = "face*hull"
    erode: Curve = _ERODE
    feather: Curve = _FEATHER
    blend: str = "over"
    opacity: Curve = _ONE
    smooth: int = 5
    keep_highlights: bool = True
    mask_smooth: int = 0

    def __post_init__(self) -> None:
        for family in ("match", "blend"):
            name = getattr(self, family)
            if name not in (names := _plugins.names(family)):
                raise InvalidInput(
                    f"recipe.{family}: {name!r} is none of {', '.join(names)}",
                    field=f"recipe.{family}",
                    value=name,
                )
        expression.parse(self.mask, field="recipe.mask")
        for name in ("smooth", "mask_smooth"):
            window = getattr(self, name)
            if window > 1 and window % 2 == 0:
                raise InvalidInput(
                    f"recipe.{name}: {window} is even; a window around a frame has an odd number of frames",
                    field=f"recipe.{name}",
                    value=window,
                )
        for name, (low, high) in _RANGES.items():
            setting = getattr(self, name)
            values = [key.value for key in setting.keys] if isinstance(setting, Curve) else [setting]
            for value in values:
                if not low <= value <= high:
                    raise InvalidInput(
                        f"recipe.{name}: {value:g} is outside {low:g} to {high:g}",
                        field=f"recipe.{name}",
                        value=value,
                    )

    @cached_property
    def expression(self) -> Expression:
        """What `mask` says."""
        return expression.parse(self.mask, field="recipe.mask")

    def to_dict(self) -> dict[str, Any]:
        """The protobuf JSON mapping of `understudy.v1.Recipe`, every field set."""
        items = {field.name: getattr(self, field.name) for field in fields(self)}
        return {_camel(n): v.to_dict() if isinstance(v, Curve) else v for n, v in items.items()}

    def to_json(self) -> str:
        """One line, always the same for the same recipe."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Recipe:
        """Read the protobuf JSON mapping; what is left out or an empty name has its default.

        Raises:
            InvalidInput: a field that recipes do not have, or a value that its field can not have.
        """
        known = {_camel(field.name): field for field in fields(cls)}
        if unknown := sorted(set(form) - set(known)):
            raise InvalidInput(
                f"recipe: no field {unknown[0]!r}; there are {', '.join(known)}",
                field="recipe",
                value=unknown[0],
            )
        items: dict[str, Any] = {}
        for camel, value in form.items():
            name, default = known[camel].name, known[camel].default
            if isinstance(default, Curve):
                items[name] = Curve.from_dict(value, field=f"recipe.{name}")
            elif type(value) is not type(default):
                raise InvalidInput(
                    f"recipe.{name}: {value!r} is no {type(default).__name__}",
                    field=f"recipe.{name}",
                    value=value,
                )
            elif value != "":
                items[name] = value
        return cls(**items)


def parameters() -> tuple[Parameter, ...]:
    """Every setting of a recipe, for hosts that build their knobs from it."""
    table = {
        "match": "Colour match of the face to the plate",
        "match_amount": "How much of the colour match: 0 leaves the network's colour",
        "mask": f"Expression over mattes ({', '.join(expression.names())}), with * + - min() max() ()",
        "erode": "Shrinks the matte by so many plate pixels; negative grows it",
        "feather": "Width of the soft edge in plate pixels, inside the eroded matte",
        "blend": "How the face goes onto the plate",
        "opacity": "Opacity of the whole swap",
        "smooth": "Frames over which landmarks are steadied, an odd number; 0 or 1 leaves them as detected",
        "keep_highlights": "Highlights beyond the network's range keep the plate's ratio",
        "mask_smooth": "Frames over which the mask's flicker is taken out, an odd number; 0 or 1 leaves it",
    }
    return tuple(_parameter(name, text) for name, text in table.items())


def _parameter(name: str, text: str) -> Parameter:
    default = getattr(Recipe(), name)
    low, high = _RANGES.get(name, (None, None))
    if name in ("match", "blend"):
        return Parameter(name=name, help=text, type="choice", default=default, choices=_plugins.names(name))
    if isinstance(default, Curve):
        shown = f"{default.keys[0].value:g}"
        return Parameter(
            name=name, help=text, type="number", default=shown, minimum=low, maximum=high, keyable=True
        )
    if isinstance(default, bool):
        return Parameter(name=name, help=text, type="bool", default=str(default).lower())
    if isinstance(default, int):
        return Parameter(name=name, help=text, type="number", default=str(default), minimum=low, maximum=high)
    return Parameter(name=name, help=text, type="text", default=default)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
