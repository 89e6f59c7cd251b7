"""The node: a Group made by Python, so that a script keeps it where this plug-in is not."""

from __future__ import annotations

import os
import uuid
from typing import Dict, List, Sequence

import nuke

from . import knobs, look, plates, tree
from .daemon import at_version, refused
from .version import VERSION

SCHEMA = "1"  # of the knobs; a later release that reads others says so
_PATHS = ("us_src", "us_dst", "us_model", "us_release", "us_seg", "us_out")
_HIDDEN = ("us_id", "us_jobs", "us_schema", "us_plugin", look.STATE)


def create(parameters: Sequence[look.Parameter], plate: nuke.Node | None = None) -> nuke.Group:
    """Make the node, as one step of undo; the selection stays, no panel opens.

    Args:
        parameters: the daemon's description of its recipe: `recipe` of SystemService.GetInfo.
        plate: what goes into its first input.
    """
    nuke.Undo.begin("Understudy")
    try:
        group = nuke.nodes.Group(name="Understudy1")
        if plate is not None:
            group.setXYpos(plate.xpos(), plate.ypos() + 100)
        knobs.add_main(group)
        knobs.add_training(group)
        knobs.add_mask(group)
        knobs.add_tracks(group)
        group.addKnob(nuke.Tab_Knob("us_tab_look", "Look"))
        for name in _HIDDEN:
            hidden = nuke.String_Knob(name, name)
            hidden.setFlag(nuke.INVISIBLE)
            group.addKnob(hidden)
        look.add(group, list(parameters))
        group["us_id"].setValue(uuid.uuid4().hex)
        group["us_schema"].setValue(SCHEMA)
        group["us_plugin"].setValue(VERSION)
        tree.build(group)
        if plate is not None:
            group.setInput(0, plate)
        group["knobChanged"].setValue(knobs.CHANGED)
    finally:
        nuke.Undo.end()
    return group


def is_ours(node: nuke.Node | None) -> bool:
    return node is not None and node.knob("us_schema") is not None


def found(node_id: str, name: str) -> nuke.Node | None:
    """The node that a job was started from, wherever it is now; None when it is gone. A copy is not taken for it."""
    there = nuke.toNode(name)  # else all of a script is gone through, which may have thousands
    if is_ours(there) and there["us_id"].value() == node_id:  # type: ignore[index] # it is there
        return there
    return next(iter(_with_id(node_id)), None)


def make_unique(node: nuke.Node) -> None:
    """A pasted copy has its original's id: give it its own, and leave the jobs to the original."""
    node_id = node["us_id"].value()
    if len(_with_id(node_id)) > 1 or not node_id:
        node["us_id"].setValue(uuid.uuid4().hex)
        node["us_jobs"].setValue("")


def output(node: nuke.Node) -> str:
    """The output's pattern at the version that is set.

    Raises:
        Refused: neither it nor the shot is set, it has TCL in it, no version or no frame token.
    """
    text = texts(node)["us_out"]
    if not text:
        raise refused(
            "us_out", "set the output, /shots/sh010/swap_v001/swap_v001.%04d.exr say, or the shot's folder"
        )
    return at_version(text, int(node["us_version"].value()), "us_out")


def beside(node: nuke.Node, what: str) -> str:
    """Pattern of what is written out for the version that is set, `plate` or `mask`: in a folder beside the output's.

    Raises:
        Refused: as `output`.
    """
    return "{}_{}/{}.%04d.exr".format(os.path.dirname(output(node)), what, what)


def show_version(node: nuke.Node, plate: plates.Plate | None = None, on_error: str = "error") -> None:
    """Set the Read of the layers to the output's version: file, range, colour space, what a missing frame gives.

    Args:
        plate: whose range and colour space it has. Default: the range stays.
        on_error: `black` while frames are still to come: then the plate shows where they are missing.
    """
    read = node.node(tree.READ)  # type: ignore[attr-defined] # a Group's
    if read is None:
        raise refused("us_out", "{} has no Read named {} inside any more".format(node.name(), tree.READ))
    read["file"].setValue(output(node))
    if plate is not None:
        for name, value in zip(
            ("origfirst", "first", "origlast", "last"), (plate.first,) * 2 + (plate.last,) * 2
        ):
            read[name].setValue(value)
        _set_colour(read, plate.colour_space)
    read["on_error"].setValue(on_error)
    read["reload"].execute()


def version_up(node: nuke.Node) -> int:
    """The next version, as one step of undo; its number."""
    nuke.Undo.begin("Understudy: version up")
    try:
        number = int(node["us_version"].value()) + 1
        node["us_version"].setValue(number)
        show_version(node)
    finally:
        nuke.Undo.end()
    return number


def need(node: nuke.Node, knob: str, label: str) -> str:
    """One of `texts` that must be there."""
    value = texts(node)[knob]
    if not value:
        raise refused(knob, "{}: set the {}".format(node.name(), label))
    return value


def texts(node: nuke.Node) -> Dict[str, str]:
    """The paths as the daemon reads them, plain, with forward slashes; what is left empty lies in the shot's folder.

    Raises:
        Refused: TCL in one of them.
    """
    said = {name: str(node[name].value()).replace("\\", "/").strip() for name in ("us_shot", *_PATHS)}
    for name, value in said.items():
        if "[" in value:
            raise refused(name, "{} has TCL in it; give the plain path".format(value))
    shot = said.pop("us_shot").rstrip("/")
    return {name: value or _in_shot(shot, name) for name, value in said.items()}


def label(node: nuke.Node) -> str:
    """What jobs are told apart by: the node's name, and the shot's folder's or the script's."""
    shot = os.path.basename(str(node["us_shot"].value()).replace("\\", "/").rstrip("/ "))
    script = os.path.splitext(os.path.basename(str(nuke.root()["name"].value())))[0]
    return ", ".join(part for part in (node.fullName(), shot or script) if part)


def _in_shot(shot: str, knob: str) -> str:
    return "{}/{}".format(shot, knobs.IN_SHOT[knob]) if shot and knob in knobs.IN_SHOT else ""


def _with_id(node_id: str) -> List[nuke.Node]:
    groups = nuke.allNodes("Group", group=nuke.root(), recurseGroups=True)
    return [n for n in groups if is_ours(n) and n["us_id"].value() == node_id]


def _set_colour(read: nuke.Node, name: str) -> None:
    """By its name where Nuke has it, plain or behind a role; else as it is by default."""
    names: List[str] = list(nuke.getColorspaceList(read["colorspace"]))  # type: ignore[no-untyped-call]
    fits = [
        n
        for n in names
        if name and (n == name or n.split("/")[-1] == name or n.endswith("({})".format(name)))
    ]
    read["colorspace"].setValue(fits[0] if fits else names[0])
