"""Settings that describe themselves: from one line each come their check, their text form and a host's knob.

A frozen dataclass gives its fields with `number`, `flag` and `choice`; `check` in its `__post_init__` holds them to
what was said. Imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

from understudy.core.errors import InvalidInput, meant

_KEY = "understudy"
_FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a host needs to build the knob of one setting.

    Attributes:
        help: one sentence, for a tooltip.
        default: in text form.
        minimum, maximum: of a number, inclusive.
        choices: of a choice.
        keyable: whether it may change over the frames of a shot.
    """

    name: str
    help: str
    type: Literal["number", "choice", "text", "bool"]
    default: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    keyable: bool = False


def number(default: float, low: float, high: float, text: str) -> Any:
    """A field that holds a number from `low` to `high`; whole where its default is an `int`."""
    return field(default=default, metadata={_KEY: ("number", text, low, high, ())})


def flag(default: bool, text: str) -> Any:
    """A field that holds yes or no."""
    return field(default=default, metadata={_KEY: ("bool", text, None, None, ())})


def choice(default: str, choices: Iterable[str], text: str) -> Any:
    """A field that holds one of some names."""
    return field(default=default, metadata={_KEY: ("choice", text, None, None, tuple(choices))})


def of(settings: Any) -> tuple[Parameter, ...]:
    """What an instance's fields, or a class's, say of themselves; defaults are the instance's values."""
    return tuple(
        Parameter(
            name=each.name,
            help=text,
            type=kind,
            default=shown(getattr(settings, each.name, each.default)),
            minimum=low,
            maximum=high,
            choices=choices,
        )
        for each in fields(settings)
        if _KEY in each.metadata
        for kind, text, low, high, choices in (each.metadata[_KEY],)
    )


def check(settings: Any, word: str) -> None:
    """Refuse what a field can not have.

    Args:
        word: what the message begins with, and the field that it names: `train`.

    Raises:
        InvalidInput: names the field and the value.
    """
    for each in fields(settings):
        if _KEY in each.metadata:
            _check(each, getattr(settings, each.name), word)


def parse(settings: Any, name: str, text: str, word: str) -> Any:
    """The value that `text` means for a field of that name; raises InvalidInput as `check`."""
    (each,) = (one for one in fields(settings) if one.name == name)
    kind = each.metadata[_KEY][0]
    try:
        value: Any = text.strip()
        if kind == "bool":
            value = _FLAGS[value.lower()]
        elif kind == "number":
            value = int(value) if isinstance(each.default, int) else float(value)
    except (KeyError, ValueError) as error:
        wanted = {"bool": "yes or no", "number": "a number"}[kind]
        if kind == "number" and isinstance(each.default, int):
            wanted = "a whole number"
        raise InvalidInput(f"{word}: {name} {text!r} is not {wanted}", field=name, value=text) from error
    _check(each, value, word)
    return value


def shown(value: object) -> str:
    """A value in text form, of which `parse` makes it again."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _check(each: Field[Any], value: Any, word: str) -> None:
    kind, _, low, high, choices = each.metadata[_KEY]
    why = ""
    if kind == "choice" and value not in choices:
        why = f"is none of {', '.join(choices)}{meant(str(value), choices)}"
    elif kind == "bool" and not isinstance(value, bool):
        why = "is neither yes nor no"
    elif kind == "number":
        whole = isinstance(each.default, int)
        right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (right and math.isfinite(value) and low <= value <= high):
            why = f"must be {'a whole number, ' if whole else ''}{low:g} to {high:g}"
    if why:
        raise InvalidInput(f"{word}: {each.name} {value!s} {why}", field=each.name, value=value)
