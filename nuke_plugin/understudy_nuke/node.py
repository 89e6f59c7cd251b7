"""The node: a Group made by Python, so that a script keeps it where this plug-in is not."""

from __future__ import annotations

import os
import re
import uuid
from typing import Any, Dict, List, Sequence

import nuke

from . import look, plates, tree
from .daemon import refused
from .version import VERSION

SCHEMA = "1"  # of the knobs; a later release that reads others says so
_VERSION = re.compile(r"(?<=[/._])v(\d+)(?=[/._]|$)")
_KNOB = re.compile(r"us_\w+")

# What a button does. It works in a script that was opened without the plug-in: it says what is missing.
_BUTTON = """import nuke
try:
    import understudy_nuke
except ImportError:
    nuke.message('Understudy is not on NUKE_PATH here. The comp works as it is; to make it anew, run '
                 '"understudy nuke install FOLDER" and add that folder to NUKE_PATH.')
else:
    understudy_nuke.button({!r}, nuke.thisNode())
"""
_CHANGED = """import nuke
if nuke.thisKnob().name() == 'us_version':
    try:
        import understudy_nuke
    except ImportError:
        pass
    else:
        understudy_nuke.button('show', nuke.thisNode())
"""

_FILES = (
    ("us_src", "src faceset", "Folder of the faceset of who goes on. It needs a release."),
    ("us_dst", "dst faceset", "Folder of the faceset of the plate's performer; extract makes it."),
    ("us_model", "model", "Folder of the model; train makes it, or goes on with it."),
    ("us_out", "output", "Frames to write, such as /shots/sh010/swap_v001/swap_v001.%04d.exr."),
)
_WHOLE = (
    ("us_version", "version", 1, "Which version of the output the node shows and the next merge writes."),
    ("us_first", "first frame", 0, "With last frame: what is merged. Both 0: all of the plate's Read."),
    ("us_last", "last frame", 0, "See first frame."),
    ("us_track", "person", -1, "Which person of the dst faceset, by number; -1 where there is one alone."),
)
_TRAINING = (
    ("us_iterations", "iterations", 0, "End of the training over the model's life; 0: by minutes."),
    ("us_minutes", "minutes", 60, "Minutes of training over the model's life; 0: by iterations."),
)
_BUTTONS = (
    ("us_do_swap", "swap", "swap", "Extract, train and merge, whatever is not done yet."),
    ("us_do_extract", "extract", "extract", "Make the dst faceset from the plate."),
    ("us_do_train", "train", "train", "Train the model, or go on with it."),
    ("us_do_merge", "merge", "merge", "Write the frames of this version."),
    ("us_do_cancel", "cancel", "cancel", "Stop what this node has started; finished work stays."),
    ("us_do_update", "update", "update", "Show the version that is set; take settings of a newer daemon in."),
    ("us_do_version_up", "version up", "version_up", "Next version of the output."),
    ("us_do_reveal", "reveal", "reveal", "Open the output's folder."),
    ("us_do_panel", "open panel", "panel", "Jobs, training, faces and a live preview of this node."),
)
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
        _main_tab(group)
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
        group["knobChanged"].setValue(_CHANGED)
    finally:
        nuke.Undo.end()
    return group


def is_ours(node: nuke.Node | None) -> bool:
    return node is not None and node.knob("us_schema") is not None


def found(node_id: str, name: str) -> nuke.Node | None:
    """The node that a job was started from, wherever it is now; None when it is gone. A copy is not taken for it."""
    same = _with_id(node_id)
    return next((n for n in same if n.fullName() == name), same[0] if same else None)


def make_unique(node: nuke.Node) -> None:
    """A pasted copy has its original's id: give it its own, and leave the jobs to the original."""
    node_id = node["us_id"].value()
    if len(_with_id(node_id)) > 1 or not node_id:
        node["us_id"].setValue(uuid.uuid4().hex)
        node["us_jobs"].setValue("")


def output(node: nuke.Node) -> str:
    """The output's pattern at the version that is set.

    Raises:
        Refused: none is set, it has TCL in it, no version or no frame token.
    """
    text = str(node["us_out"].value()).replace("\\", "/").strip()
    if not text or "[" in text:
        raise refused(
            "us_out", "set the output to a plain path such as /shots/sh010/swap_v001/swap_v001.%04d.exr"
        )
    if not _VERSION.search(text):
        raise refused("us_out", "{}: no version such as v001 in it".format(text))
    if "%" not in os.path.basename(text) and "#" not in os.path.basename(text):
        raise refused("us_out", "{}: no frame token such as %04d in it".format(text))
    number = int(node["us_version"].value())
    return _VERSION.sub(lambda m: "v{:0{}d}".format(number, len(m.group(1))), text)


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


def texts(node: nuke.Node) -> Dict[str, str]:
    """The folders as the daemon reads them: plain paths with forward slashes.

    Raises:
        Refused: TCL in one of them.
    """
    said = {name: str(node[name].value()).replace("\\", "/").strip() for name, _, _ in _FILES[:3]}
    said["us_release"] = str(node["us_release"].value()).replace("\\", "/").strip()
    for name, value in said.items():
        if "[" in value:
            raise refused(name, "{} has TCL in it; give the plain path".format(value))
    return said


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


def _main_tab(group: nuke.Group) -> None:
    group.addKnob(nuke.Tab_Knob("us_tab", "Understudy"))
    _add(group, nuke.Enumeration_Knob("us_show", "show", list(tree.SHOWN)), tree.ADVICE)
    for name, label, help_ in _FILES:
        _add(group, nuke.File_Knob(name, label), help_)
    for name, label, value, help_ in _WHOLE:
        _add(group, nuke.Int_Knob(name, label), help_, value)
    _add(
        group,
        nuke.String_Knob("us_colour", "plate's colour space"),
        "By name; empty: the Read's, or its files'.",
    )
    _add(
        group,
        nuke.String_Knob("us_layers", "layers"),
        "Which are written, such as: face, mask_blend, uv. Empty: all.",
    )
    for i, (name, label, action, help_) in enumerate(_BUTTONS):
        button = nuke.PyScript_Knob(name, label, _BUTTON.format(action))
        if i in (0, 5):
            button.setFlag(nuke.STARTLINE)
        _add(group, button, help_)
    _add(group, nuke.Text_Knob("us_status", "", " "), "What this node did last.")
    group.addKnob(nuke.Tab_Knob("us_tab_training", "Training"))
    _add(group, nuke.String_Knob("us_preset", "preset"), "Of a new model; empty: the daemon's own choice.")
    for name, label, value, help_ in _TRAINING:
        _add(group, nuke.Int_Knob(name, label), help_, value)
    _add(
        group,
        nuke.File_Knob("us_release", "release"),
        "Record to attach to the src faceset, where it has none.",
    )


def _add(group: nuke.Group, knob: nuke.Knob, tooltip: str, value: Any = None) -> None:
    assert _KNOB.match(knob.name()), knob.name()
    knob.setTooltip(tooltip)
    knob.setFlag(nuke.ALWAYS_SAVE)
    if value is not None:
        knob.setValue(value)
    group.addKnob(knob)
