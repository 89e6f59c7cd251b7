"""The look of a merge as knobs, made from the daemon's own description of its recipe.

Nothing here knows a setting by name: one that next year's daemon has becomes a knob by itself.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

import nuke

PREFIX = "look_"
STATE = "us_settings"

Parameter = Dict[str, Any]
Json = Dict[str, Any]


def add(node: nuke.Node, parameters: List[Parameter]) -> List[str]:
    """Knobs for those settings that have none yet; their names. What the node has keeps its value."""
    added = []
    for parameter in parameters:
        if node.knob(PREFIX + parameter["name"]) is None:
            node.addKnob(_knob(parameter))
            added.append(parameter["name"])
    kept = {p["name"]: p for p in settings(node)}
    kept.update({p["name"]: p for p in parameters})
    node[STATE].setValue(json.dumps(list(kept.values()), sort_keys=True))
    return added


def settings(node: nuke.Node) -> List[Parameter]:
    """The descriptions that the node's knobs were made from."""
    text = node[STATE].value()
    return list(json.loads(text)) if text else []


def recipe(node: nuke.Node, first: int, last: int) -> Json:
    """The whole look by the protobuf JSON mapping of `understudy.v1.Recipe`.

    Args:
        first, last: frames of the shot. What is animated or follows an expression is sampled on each of them, so that
            any curve of Nuke's arrives as the artist sees it.
    """
    said: Json = {}
    for parameter in settings(node):
        name = parameter["name"]
        knob = node.knob(PREFIX + name)
        if knob is not None:
            said[_camel(name)] = _said(parameter, knob, first, last)
    return said


def _knob(parameter: Parameter) -> nuke.Knob:
    name, label = PREFIX + parameter["name"], parameter["name"].replace("_", " ")
    kind, default = parameter.get("type", "text"), parameter.get("defaultValue", "")
    knob: nuke.Knob
    if kind == "number":
        number = nuke.Double_Knob(name, label)
        if "minimum" in parameter and "maximum" in parameter:
            number.setRange(parameter["minimum"], parameter["maximum"])
        number.setValue(float(default or 0))
        knob = number
    elif kind == "bool":
        knob = nuke.Boolean_Knob(name, label)
        knob.setValue(default == "true")
        knob.setFlag(nuke.STARTLINE)
    elif kind == "choice":
        knob = nuke.Enumeration_Knob(name, label, list(parameter.get("choices", [])))
        knob.setValue(default)
    else:
        knob = nuke.String_Knob(name, label)
        knob.setValue(default)
    if not parameter.get("keyable"):
        knob.setFlag(nuke.NO_ANIMATION)
    knob.setFlag(nuke.ALWAYS_SAVE)  # a user knob's default is not saved with a script, so its value must be
    knob.setTooltip(_tooltip(parameter))
    return knob


def _tooltip(parameter: Parameter) -> str:
    words = [parameter.get("help", "") + "."]
    if "minimum" in parameter and "maximum" in parameter:
        words.append("From {:g} to {:g}.".format(parameter["minimum"], parameter["maximum"]))
    words.append("Default: {}.".format(parameter.get("defaultValue") or "none"))
    words.append("Takes keys." if parameter.get("keyable") else "One for the shot.")
    return " ".join(words)


def _said(parameter: Parameter, knob: nuke.Knob, first: int, last: int) -> Any:
    if parameter.get("type") == "bool":
        return bool(knob.value())
    if parameter.get("type") != "number":
        return str(knob.value())
    if not parameter.get("keyable"):
        return _number(knob.value())
    if not (knob.isAnimated() or knob.hasExpression()):
        return {"value": float(knob.value())}
    return {"keys": {"keys": _keys(knob, first, last)}}


def _keys(knob: nuke.Knob, first: int, last: int) -> List[Json]:
    """A key a frame, less those within a run of equal values, which their neighbours already say."""
    values = [float(knob.getValueAt(frame)) for frame in range(first, last + 1)]
    keys = []
    for i, value in enumerate(values):
        within = 0 < i < len(values) - 1 and values[i - 1] == value == values[i + 1]
        if not within:
            keys.append({"frame": first + i, "value": value})
    return keys


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)
