# SPDX-License-Identifier: GPL-3.0-or-later
"""The look of a merge as properties, made from the daemon's own description of its recipe.

They are custom properties of `scene.understudy.look`. Blender keeps range, default, help and choices beside each value
in the file, draws them, and animates them by a path that has the setting's name in it: `understudy.look["erode"]`.
Nothing here knows a setting by name: one that next year's daemon has becomes a property by itself.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import bpy

from . import compat
from .clip import ClipPlate
from .runner import Json, Refused

Look = Any  # `scene.understudy.look`


def add(settings: Any, parameters: Sequence[Json]) -> list[str]:
    """Properties for those settings that have none yet; their names. What is there keeps its value.

    Args:
        settings: `scene.understudy`.
        parameters: as `GetInfo` describes the recipe.
    """
    group = settings.look
    had = {p["name"]: p for p in described(settings)}
    for parameter in parameters:
        name = parameter["name"]
        said = _text(group, had[name]) if name in had and name in group else None
        _make(group, parameter)
        if said is not None:
            with contextlib.suppress(ValueError):  # a choice that is no more
                group[name] = _value(parameter, said)
    kept = {**had, **{p["name"]: p for p in parameters}}
    settings.look_described = json.dumps(list(kept.values()), sort_keys=True)
    return [name for name in kept if name not in had]


def described(settings: Any) -> list[Json]:
    """The descriptions that the properties were made from."""
    return list(json.loads(settings.look_described)) if settings.look_described else []


def put(settings: Any, name: str, text: str) -> None:
    """Set one from text, as a command line has it.

    Raises:
        Refused: no such setting, or no value that it can have.
    """
    found = next((p for p in described(settings) if p["name"] == name), None)
    if found is None:
        raise Refused(f"{name}: no setting of the look; Get Settings asks the daemon for them", field="look")
    try:
        settings.look[name] = _value(found, text)
    except ValueError as error:
        raise Refused(f"{text!r} is no value of the look's {name}: {_help(found)}", field="look") from error


def recipe(scene: bpy.types.Scene, plate: ClipPlate) -> Json:
    """The whole look by the protobuf JSON mapping of `understudy.v1.Recipe`; empty where no setting is known.

    What is animated or driven is sampled on each of the plate's frames, so that any curve arrives as it is seen.

    Raises:
        Refused: one is animated that takes no keys.
    """
    settings = scene.understudy
    parameters = [p for p in described(settings) if p["name"] in settings.look]
    sampled = _sampled(scene, [p["name"] for p in parameters], [plate.scene(n) for n in plate.frames])
    fixed = [p["name"] for p in parameters if p["name"] in sampled and not _takes_keys(p)]
    if fixed:
        raise Refused(f"{fixed[0]} is one for the shot, and takes no keys: clear its animation", field="look")
    said: Json = {}
    for parameter in parameters:
        name = parameter["name"]
        values = sampled.get(name)
        said[_camel(name)] = (
            {"keys": {"keys": _keys(plate.frames, [_within(parameter, v) for v in values])}}
            if values is not None
            else _said(parameter, settings.look)
        )
    return said


def _make(group: Look, parameter: Json) -> None:
    """A property at its default; also in place of one that is there."""
    name, kind = parameter["name"], parameter.get("type", "text")
    default = group[name] = _value(parameter, parameter.get("defaultValue", ""))
    more: dict[str, Any] = {"default": default, "description": _help(parameter)}
    if kind == "number" and "minimum" in parameter and "maximum" in parameter:
        low, high = float(parameter["minimum"]), float(parameter["maximum"])
        more.update(min=low, max=high, soft_min=low, soft_max=high)
    if kind == "choice":
        more["items"] = [(c, c, "", 0, i) for i, c in enumerate(parameter["choices"])]
    group.id_properties_ui(name).update(**more)


def _value(parameter: Json, text: str) -> Any:
    """As the property holds it: a choice by its place among them."""
    kind = parameter.get("type", "text")
    if kind == "number":
        return _within(parameter, float(text or 0))
    if kind == "bool":
        if text.lower() not in {"true", "false", "1", "0"}:
            raise ValueError(text)
        return text.lower() in {"true", "1"}
    return list(parameter["choices"]).index(text) if kind == "choice" else text


def _text(group: Look, parameter: Json) -> str | None:
    """The other way round; None where a script has put something into it that it cannot be."""
    value = group[parameter["name"]]
    if parameter.get("type") == "choice":
        choices = parameter["choices"]
        return choices[value] if isinstance(value, int) and 0 <= value < len(choices) else None
    return str(value).lower() if parameter.get("type") == "bool" else str(value)


def _said(parameter: Json, group: Look) -> Any:
    name, kind = parameter["name"], parameter.get("type", "text")
    try:
        if kind == "number":
            value = _within(parameter, float(group[name]))
            return {"value": value} if parameter.get("keyable") else _number(value)
        if kind == "bool":
            return bool(group[name])
        text = _text(group, parameter)
    except (TypeError, ValueError):
        text = None
    if text is None:
        raise Refused(f"{group[name]!r} is no value of the look's {name}: {_help(parameter)}", field="look")
    return text


def _sampled(scene: bpy.types.Scene, names: Sequence[str], frames: Sequence[int]) -> dict[str, list[float]]:
    """Of those settings that change by themselves, the value on each of these frames of the scene."""
    animation = scene.animation_data
    if animation is None:
        return {}
    known = {scene.understudy.look.path_from_id(f'["{name}"]'): name for name in names}
    keyed = {known[c.data_path]: c for c in compat.fcurves(animation) if c.data_path in known and not c.mute}
    driven = {known[d.data_path] for d in animation.drivers if d.data_path in known and not d.mute}
    strips = any(strip.action for track in animation.nla_tracks for strip in track.strips)
    remapped = scene.render.frame_map_old != scene.render.frame_map_new
    if not driven and not strips and not remapped:
        return {name: [curve.evaluate(frame) for frame in frames] for name, curve in keyed.items()}
    wanted = list(names if strips else {*keyed, *driven})
    rows = _stepped(scene, wanted, frames)
    found = {name: [row[i] for row in rows] for i, name in enumerate(wanted)}
    return {n: v for n, v in found.items() if n in keyed or n in driven or len(set(v)) > 1}


def _stepped(scene: bpy.types.Scene, names: Sequence[str], frames: Sequence[int]) -> list[list[Any]]:
    """By Blender itself, which alone evaluates drivers and strips of actions; the scene stands still meanwhile."""
    before, rows = (scene.frame_current, scene.frame_subframe), []
    try:
        for frame in frames:
            scene.frame_set(frame)
            rows.append([scene.understudy.look[name] for name in names])
    finally:
        scene.frame_set(before[0], subframe=before[1])
    return rows


def _keys(numbers: Sequence[int], values: Sequence[float]) -> list[Json]:
    """A key a frame, less those within a run of equal values, which their neighbours already say."""
    keys = []
    for i, value in enumerate(values):
        within = 0 < i < len(values) - 1 and values[i - 1] == value == values[i + 1]
        if not within:
            keys.append({"frame": numbers[i], "value": value})
    return keys


def _takes_keys(parameter: Json) -> bool:
    return bool(parameter.get("keyable")) and parameter.get("type") == "number"


def _within(parameter: Json, value: float) -> float:
    """As Blender draws it: a curve may overshoot."""
    return min(max(value, parameter.get("minimum", value)), parameter.get("maximum", value))


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _help(parameter: Json) -> str:
    words = [parameter.get("help", "") + "."]
    if "minimum" in parameter and "maximum" in parameter:
        words.append(f"From {parameter['minimum']:g} to {parameter['maximum']:g}.")
    words.append("Takes keys" if _takes_keys(parameter) else "One for the shot")  # Blender adds the full stop
    return " ".join(words)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)
