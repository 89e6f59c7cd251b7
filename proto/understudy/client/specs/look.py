"""Looks: recipes from values, from files, and from what people write on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from understudy.client import frames as ranges
from understudy.client.errors import Refused, meant
from understudy.client.specs.parts import PathLike
from understudy.v1 import common_pb2
from understudy.v1.common_pb2 import Key, Keyable, Keys
from understudy.v1.recipe_pb2 import Recipe, RecipeOverride

LIKE = "like"  # in the place of a setting's name: frames that shall look like another one
_FIELDS = {name: field for name, field in Recipe.DESCRIPTOR.fields_by_name.items() if name != "overrides"}
_INTERPOLATIONS = {
    "": common_pb2.INTERPOLATION_LINEAR,
    "linear": common_pb2.INTERPOLATION_LINEAR,
    "hold": common_pb2.INTERPOLATION_HOLD,
}
_KEYS = re.compile(r"-?\d+\s*:")  # how a text begins that is keys
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def recipe(base: Recipe | Mapping[str, Any] | PathLike | None = None, **settings: Any) -> Recipe:
    """A look.

    Args:
        base: where to start: a Recipe, its JSON mapping, or the path of a file that holds the mapping.
        settings: fields of `understudy.v1.Recipe`; numbers become constants, None leaves the base's or
            default.

    Raises:
        Refused: a field is not known or has the wrong type.
        NotFound: there is no such file.
    """
    result = _base_recipe(base)
    for name, value in settings.items():
        if value is not None:
            _put(result, name, value)
    return result


def change(look: Recipe, texts: Iterable[str], dialect: str = "fileseq") -> None:
    """Change a look by what a person writes: `NAME=VALUE` on all frames, `NAME@RANGE=VALUE` on some, over the others.

    A number may have keys: `erode=1001:2,1020:6`, linear from one to the next; `1001:2:hold` stays until the next.
    `like@RANGE=FRAME` gives frames all that another one has, but for what is fitted over the whole shot.

    Args:
        dialect: of the ranges; one of `frames.DIALECTS`.

    Raises:
        Refused: one is none of these, says a setting twice, or has a value that its setting can not have; the look may
            be half changed then.
    """
    said: set[str] = set()
    for text in texts:
        left, equals, value = (part.strip() for part in text.partition("="))
        name, at, range_ = (part.strip() for part in left.partition("@"))
        if not (name and equals and value) or (at and not range_):
            raise Refused.invalid("set", text, f"{text!r} is not NAME=VALUE or NAME@RANGE=VALUE")
        if left in said:
            raise Refused.invalid("set", text, f"{left} is set twice")
        said.add(left)
        if not at:
            _put(look, name, _value(name, value))
        else:
            look.overrides.append(_override(name, ranges.parse(range_, dialect, field="set"), value))


def _override(name: str, frames: list[common_pb2.FrameSegment], text: str) -> RecipeOverride:
    made = RecipeOverride(frames=frames)
    if name == LIKE:
        try:
            made.like_frame = int(text)
        except ValueError as error:  # also of a number beyond 64 bits
            raise Refused.invalid(LIKE, text, f"{text!r} is no frame number") from error
    else:
        _put(made.settings, name, _value(name, text))
    return made


def _base_recipe(base: Recipe | Mapping[str, Any] | PathLike | None) -> Recipe:
    result = Recipe()
    if base is None:
        return result
    if isinstance(base, Recipe):
        result.CopyFrom(base)
        return result
    try:
        if isinstance(base, Mapping):
            return json_format.ParseDict(dict(base), result)
        return json_format.Parse(Path(base).read_text(encoding="utf-8"), result)
    except OSError as error:
        raise Refused.missing(str(base), f"recipe: {error.strerror}: {base}") from error
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise Refused.invalid("recipe", base, f"not the JSON mapping of a recipe: {error}") from error


def _put(look: Recipe, name: str, value: Any) -> None:
    """Set a field; raises Refused."""
    if value == "":  # a script's unset variable; on the wire it would be the default
        raise Refused.invalid(f"recipe.{name}", value, "it is empty; leave it out for the default")
    field = _field(name, value)
    try:
        if field.message_type is None:
            setattr(look, name, value)
        else:
            getattr(look, name).CopyFrom(value if isinstance(value, Keyable) else Keyable(value=value))
    except (TypeError, ValueError) as error:
        raise Refused.invalid(f"recipe.{name}", value, str(error)) from error


def _field(name: str, value: object) -> Any:
    """What the contract says of a setting; raises Refused, with the name that was meant."""
    if name not in _FIELDS:
        near = meant(name, [*_FIELDS, LIKE])
        raise Refused.invalid(f"recipe.{name}", value, f"a recipe has {', '.join(_FIELDS)}{near}")
    return _FIELDS[name]


def _value(name: str, text: str) -> Any:
    """What a text means for a setting; raises Refused."""
    field = _field(name, text)
    if field.message_type is not None:
        return _keyable(name, text)
    if _KEYS.match(text):
        why = f"{text!r}: {name} takes no keys; NAME@RANGE=VALUE says what holds on some frames"
        raise Refused.invalid(f"recipe.{name}", text, why)
    if field.type == field.TYPE_STRING:
        return text
    flag = field.type == field.TYPE_BOOL
    try:
        return _FLAGS[text.lower()] if flag else int(text)
    except (KeyError, ValueError) as error:
        wanted = "yes or no" if flag else "a whole number"
        raise Refused.invalid(f"recipe.{name}", text, f"{text!r} is not {wanted}") from error


def _keyable(name: str, text: str) -> Keyable:
    """`2.5`, or keys: `1001:2,1020:6:hold`."""
    try:
        if ":" not in text:
            return Keyable(value=float(text))
        return Keyable(keys=Keys(keys=[_key(part) for part in text.split(",")]))
    except (KeyError, ValueError) as error:
        raise Refused.invalid(
            f"recipe.{name}",
            text,
            f"{text!r} is neither a number nor keys, e.g. 1001:2,1020:6 (FRAME:VALUE or FRAME:VALUE:hold)",
        ) from error


def _key(text: str) -> Key:
    frame, value, *way = (part.strip() for part in text.split(":"))
    if len(way) > 1:
        raise ValueError(text)
    return Key(frame=int(frame), value=float(value), interpolation=_INTERPOLATIONS["".join(way)])


def texts(look: Recipe) -> list[tuple[str, str]]:
    """What is set in a look, as names and values that `change` takes; overrides as `NAME@RANGE`, in their order."""
    found = _said(look)
    for override in look.overrides:
        at = f"@{ranges.text(override.frames)}"
        if override.HasField("like_frame"):
            found.append((LIKE + at, str(override.like_frame)))
        found += [(name + at, value) for name, value in _said(override.settings)]
    return found


def _said(look: Recipe) -> list[tuple[str, str]]:
    return [(field.name, _shown(value)) for field, value in look.ListFields() if field.name in _FIELDS]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, Keyable):
        return str(value)
    if value.WhichOneof("form") != "keys":
        return f"{value.value:.9g}"
    hold = common_pb2.INTERPOLATION_HOLD
    return ",".join(
        f"{key.frame}:{key.value:.9g}{':hold' if key.interpolation == hold else ''}"
        for key in value.keys.keys
    )
