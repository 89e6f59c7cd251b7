"""Numbers that may change over a shot."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from understudy.core.errors import InvalidInput

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
                f"keys must be one or more in ascending order of frame, not {frames}",
                field="keys",
                value=frames,
            )

    @classmethod
    def constant(cls, value: float) -> Curve:
        if not math.isfinite(float(value)):
            raise InvalidInput(f"{value} is not a number", value=value)
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
        except InvalidInput as error:
            raise InvalidInput(f"{field}: {error.message}", field=field, value=error.value) from error
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"{field}: {form!r} is neither a number nor keys: {error}", field=field, value=form
            ) from error


def _key(form: Mapping[str, Any]) -> Key:
    # The mapping leaves out zeros, and an interpolation that is not given is linear. An unknown one is a number.
    named = str(form.get("interpolation", "INTERPOLATION_UNSPECIFIED")).removeprefix("INTERPOLATION_").lower()
    way = "linear" if named == "unspecified" else named
    return Key(
        frame=int(form.get("frame", 0)),
        value=float(form.get("value", 0.0)),
        interpolation=cast("Interpolation", way),
    )
