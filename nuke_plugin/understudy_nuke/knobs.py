"""The node's own knobs, tab by tab. The look's come from the daemon (look.py)."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import nuke

from . import tree

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
CHANGED = """import nuke
if nuke.thisKnob().name() == 'us_version':
    try:
        import understudy_nuke
    except ImportError:
        pass
    else:
        understudy_nuke.button('show', nuke.thisNode())
"""
# What lies in the shot's folder where its own knob is empty.
IN_SHOT = {
    "us_dst": "dst",
    "us_model": "model",
    "us_seg": "segmenter",
    "us_out": "swap_v001/swap_v001.%04d.exr",
}
MASK_USES = ("limit", "add", "keep", "labels")

Row = Tuple[str, str, str]  # name, label, tooltip
Number = Tuple[str, str, int, str]

_FILES: Sequence[Row] = (
    (
        "us_shot",
        "shot",
        "Folder of the shot; it has in it what is left empty here: {}.".format(", ".join(IN_SHOT.values())),
    ),
    ("us_src", "src faceset", "Folder of the faceset of who goes on. It needs a release."),
    ("us_dst", "dst faceset", "Folder of the faceset of the plate's performer; extract makes it."),
    ("us_model", "model", "Folder of the model; train makes it, or goes on with it."),
    ("us_out", "output", "Frames to write, such as /shots/sh010/swap_v001/swap_v001.%04d.exr."),
)
_WHOLE: Sequence[Number] = (
    ("us_version", "version", 1, "Which version of the output the node shows and the next merge writes."),
    ("us_first", "first frame", 0, "With last frame: what is merged. Both 0: all of the plate's Read."),
    ("us_last", "last frame", 0, "See first frame."),
    ("us_track", "person", -1, "Which person of the dst faceset, by number; -1 where there is one alone."),
)
_TRAINING: Sequence[Number] = (
    ("us_iterations", "iterations", 0, "End of the training over the model's life; 0: by minutes."),
    ("us_minutes", "minutes", 60, "Minutes of training over the model's life; 0: by iterations."),
)
_TEACHING: Sequence[Number] = (
    ("us_seg_iterations", "iterations", 0, "End of the teaching over the segmenter's life; 0: no such end."),
    (
        "us_seg_minutes",
        "minutes",
        0,
        "Minutes of teaching over the segmenter's life; 0: until it gets no better.",
    ),
)
# Of each tab: knob, label, action, tooltip. The second row of the first tab begins with `cancel`.
_BUTTONS: Sequence[Tuple[str, str, str, str]] = (
    ("us_do_swap", "swap", "swap", "Extract, train and merge, whatever is not done yet."),
    ("us_do_extract", "extract", "extract", "Make the dst faceset from the plate."),
    ("us_do_train", "train", "train", "Train the model, or go on with it."),
    ("us_do_preview", "preview", "preview", "Show the frame at hand as a merge would make it, in the panel."),
    ("us_do_merge", "merge", "merge", "Write the frames of this version."),
    ("us_do_cancel", "cancel", "cancel", "Stop what this node has started; finished work stays."),
    ("us_do_update", "update", "update", "Show the version that is set; take settings of a newer daemon in."),
    ("us_do_version_up", "version up", "version_up", "Next version of the output."),
    ("us_do_reveal", "reveal", "reveal", "Open the output's folder."),
    ("us_do_panel", "open panel", "panel", "Jobs, training, faces and a live preview of this node."),
    ("us_do_people", "lay out people", "people", "Make the inside of the node for the people above."),
)
_MASK_BUTTONS = (
    ("us_do_suggest", "suggest frames", "suggest", "Ask which frames it pays most to label next."),
    ("us_do_label", "label", "label", "Write the mask of these frames and make labels of it."),
    ("us_do_teach", "teach", "teach", "Train the segmenter on the labels, or go on with it."),
    ("us_do_apply", "apply", "apply", "A matte for every face; the look's mask then has occ in it."),
)
_TRACK_BUTTONS = (
    ("us_do_points", "give points", "points", "Say where the face is on these frames; then extract again."),
    (
        "us_do_nodes",
        "make nodes",
        "nodes",
        "Tracker, corner pin, matrix and hull of the shown version; before a merge, of the faceset.",
    ),
)


def add_main(group: nuke.Group) -> None:
    group.addKnob(nuke.Tab_Knob("us_tab", "Understudy"))
    add(group, nuke.Enumeration_Knob("us_show", "show", list(tree.SHOWN)), tree.ADVICE)
    for name, label, help_ in _FILES:
        add(group, nuke.File_Knob(name, label), help_)
    _numbers(group, _WHOLE)
    add(
        group,
        nuke.String_Knob("us_colour", "plate's colour space"),
        "By name; empty: the Read's, or its files'.",
    )
    add(
        group,
        nuke.String_Knob("us_layers", "layers"),
        "Which are written, such as: face, mask_blend, uv. Empty: all.",
    )
    add(
        group,
        nuke.Multiline_Eval_String_Knob("us_people", "people"),
        "Where several are swapped, a line for each: name: person's number, model's folder. Empty: the one above.",
    )
    _buttons(group, _BUTTONS, second_row="us_do_cancel")
    add(group, nuke.Text_Knob("us_status", "", " "), "What this node did last.")


def add_training(group: nuke.Group) -> None:
    group.addKnob(nuke.Tab_Knob("us_tab_training", "Training"))
    add(group, nuke.String_Knob("us_preset", "preset"), "Of a new model; empty: the daemon's own choice.")
    _numbers(group, _TRAINING)
    add(
        group,
        nuke.File_Knob("us_release", "release"),
        "Record to attach to the src faceset, where it has none.",
    )
    add(
        group,
        nuke.File_Knob("us_pt", "TorchScript"),
        "File to export the model to, for the Inference node. Empty: beside the model.",
    )
    export = (
        "us_do_export",
        "to Inference",
        "export",
        "Export the model and set up a CatFileCreator for it.",
    )
    _buttons(group, (export,))


def add_mask(group: nuke.Group) -> None:
    group.addKnob(nuke.Tab_Knob("us_tab_mask", "Mask"))
    add(
        group,
        nuke.Enumeration_Knob("us_mask", "mask input is", list(MASK_USES)),
        "limit: the face goes nowhere else; add: here in any case; keep: the plate stays here; labels: only to "
        "teach the segmenter with.",
    )
    add(group, nuke.String_Knob("us_label_frames", "label frames"), "Such as: 1004, 1017, 1030-1032.")
    add(
        group,
        nuke.Enumeration_Knob("us_marks", "labels mark", ["face", "occluder"]),
        "face: all of it that is seen; occluder: what is before it.",
    )
    add(group, nuke.File_Knob("us_seg", "segmenter"), "Folder of the segmenter; teach makes it.")
    add(
        group,
        nuke.String_Knob("us_seg_preset", "preset"),
        "Of a new segmenter; empty: xseg. Without a graphics card: xseg-light-full.",
    )
    _numbers(group, _TEACHING)
    _buttons(group, _MASK_BUTTONS)


def add_tracks(group: nuke.Group) -> None:
    group.addKnob(nuke.Tab_Knob("us_tab_tracks", "Tracks"))
    add(
        group,
        nuke.String_Knob("us_points", "points of"),
        "Name of a Tracker, or of a node with 2D knobs. Empty: the one that is selected.",
    )
    add(group, nuke.String_Knob("us_point_frames", "frames"), "Such as 1004, 1017. Empty: this frame.")
    _buttons(group, _TRACK_BUTTONS)


def add(group: nuke.Group, knob: nuke.Knob, tooltip: str, value: Any = None) -> None:
    assert knob.name().startswith("us_"), knob.name()
    knob.setTooltip(tooltip)
    knob.setFlag(nuke.ALWAYS_SAVE)
    if value is not None:
        knob.setValue(value)
    group.addKnob(knob)


def _numbers(group: nuke.Group, rows: Sequence[Number]) -> None:
    for name, label, value, help_ in rows:
        add(group, nuke.Int_Knob(name, label), help_, value)


def _buttons(group: nuke.Group, rows: Sequence[Tuple[str, str, str, str]], second_row: str = "") -> None:
    """Side by side; where there are two rows the second begins with that knob."""
    for i, (name, label, action, help_) in enumerate(rows):
        button = nuke.PyScript_Knob(name, label, _BUTTON.format(action))
        if i == 0 or name == second_row:
            button.setFlag(nuke.STARTLINE)
        add(group, button, help_)
