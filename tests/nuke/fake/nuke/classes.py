"""The nodes that the fake knows: how many inputs, which knobs, what they are at first. By Nuke's reference guide."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .knobs import (
    Boolean_Knob,
    Channel_Knob,
    Double_Knob,
    Enumeration_Knob,
    File_Knob,
    Format_Knob,
    Int_Knob,
    Multiline_Eval_String_Knob,
    PyScript_Knob,
    String_Knob,
    Unsigned_Knob,
)

from .rotopaint import CurveKnob
from .vectors import Matrix_Knob, Table_Knob, XY_Knob

Spec = Tuple[str, Any, Any]


def _channels(value: str) -> Spec:
    return ("channels", Channel_Knob, value)


_ERRORS = ["error", "black", "checkerboard", "nearest frame"]
_OUTSIDE = ["hold", "loop", "bounce", "black"]
_SPACES = ["default", "linear", "sRGB", "ACES - ACEScg", "ACEScg", "scene_linear (ACEScg)"]
_RANGE: List[Spec] = [(n, Int_Knob, 1) for n in ("first", "last", "origfirst", "origlast")]

CLASSES: Dict[str, Tuple[int, List[Spec]]] = {
    "Read": (
        0,
        [
            ("file", File_Knob, ""),
            ("proxy", File_Knob, ""),
            *_RANGE,
            ("before", Enumeration_Knob, _OUTSIDE),
            ("after", Enumeration_Knob, _OUTSIDE),
            ("on_error", Enumeration_Knob, _ERRORS),
            ("frame_mode", Enumeration_Knob, ["expression", "start at", "offset"]),
            ("frame", String_Knob, ""),
            ("colorspace", Enumeration_Knob, _SPACES),
            ("raw", Boolean_Knob, False),
            ("premultiplied", Boolean_Knob, False),
            ("reload", PyScript_Knob, ""),
            ("localizationPolicy", Enumeration_Knob, ["fromAutoLocalizePath", "on", "onDemand", "off"]),
        ],
    ),
    "Write": (
        1,
        [
            _channels("rgb"),
            ("file", File_Knob, ""),
            ("file_type", Enumeration_Knob, ["", "exr", "dpx"]),
            ("datatype", Enumeration_Knob, ["16 bit half", "32 bit float"]),
            ("compression", Enumeration_Knob, ["Zip (1 scanline)", "Zip (16 scanlines)", "none"]),
            ("metadata", Enumeration_Knob, ["default metadata", "all metadata", "no metadata"]),
            ("autocrop", Boolean_Knob, False),
            ("raw", Boolean_Knob, False),
            ("create_directories", Boolean_Knob, False),
            ("colorspace", Enumeration_Knob, _SPACES),
            ("render_order", Int_Knob, 1),
        ],
    ),
    "Shuffle": (2, [("in", Channel_Knob, "rgba"), ("out", Channel_Knob, "rgba")]),
    "Copy": (
        3,
        [
            *[(f"{end}{i}", Channel_Knob, "none") for i in range(4) for end in ("from", "to")],
            _channels("none"),
        ],
    ),
    "Keymix": (
        3,
        [
            _channels("all"),
            ("maskChannel", Channel_Knob, "rgba.alpha"),
            ("invertMask", Boolean_Knob, False),
            ("mix", Double_Knob, 1.0),
            ("bbox", Enumeration_Knob, ["union", "B side", "A side"]),
        ],
    ),
    "Merge2": (3, [("operation", Enumeration_Knob, ["over", "plus", "multiply", "matte", "from", "copy"])]),
    "STMap": (
        2,
        [
            _channels("rgba"),
            ("uv", Channel_Knob, "forward"),
            ("filter", Enumeration_Knob, ["Cubic", "Impulse"]),
        ],
    ),
    "Grade": (
        2,
        [
            _channels("rgb"),
            ("multiply", Double_Knob, 1.0),
            ("add", Double_Knob, 0.0),
            ("black_clamp", Boolean_Knob, True),
        ],
    ),
    "Switch": (9, [("which", Int_Knob, 0)]),
    "Dot": (1, []),
    "NoOp": (1, []),
    "TimeOffset": (1, [("time_offset", Int_Knob, 0)]),
    "FrameHold": (1, [("first_frame", Int_Knob, 1)]),
    "Retime": (1, []),
    "Blur": (1, [_channels("all"), ("size", Double_Knob, 0.0)]),
    "Reformat": (1, [("format", Format_Knob, "")]),
    "Constant": (1, []),
    "Roto": (2, [("curves", CurveKnob, ""), ("replace", Boolean_Knob, False)]),
    "RotoPaint": (5, [("curves", CurveKnob, ""), ("replace", Boolean_Knob, False)]),
    "Tracker4": (1, [("tracks", Table_Knob, "")]),
    "CornerPin2D": (
        2,
        [
            *[(f"{end}{i}", XY_Knob, (0.0, 0.0)) for end in ("to", "from") for i in range(1, 5)],
            ("transform_matrix", Matrix_Knob, [float(i % 5 == 0) for i in range(16)]),
        ],
    ),
    "CatFileCreator": (
        1,
        [
            ("torchScriptFile", File_Knob, ""),
            ("catFile", File_Knob, ""),
            ("channelsIn", String_Knob, ""),
            ("channelsOut", String_Knob, ""),
            ("modelId", String_Knob, ""),
            ("outputScale", Double_Knob, 1.0),
            ("createCatFile", PyScript_Knob, ""),
        ],
    ),
    "StickyNote": (0, []),
    "BackdropNode": (0, [("bdwidth", Int_Knob, 200), ("bdheight", Int_Knob, 200), ("z_order", Int_Knob, 0)]),
    "Input": (0, [("number", Int_Knob, 0)]),
    "Output": (1, []),
    "Group": (0, []),
    "Root": (
        0,
        [
            ("frame", Int_Knob, 1),
            ("first_frame", Int_Knob, 1),
            ("last_frame", Int_Knob, 100),
            ("fps", Double_Knob, 24.0),
            ("project_directory", File_Knob, ""),
            ("proxy", Boolean_Knob, False),
            ("colorManagement", Enumeration_Knob, ["Nuke", "OCIO"]),
        ],
    ),
}

COMMON: List[Spec] = [
    ("name", String_Knob, ""),
    ("label", Multiline_Eval_String_Knob, ""),
    ("help", Multiline_Eval_String_Knob, ""),
    ("xpos", Int_Knob, 0),
    ("ypos", Int_Knob, 0),
    ("tile_color", Unsigned_Knob, 0),
    ("note_font_size", Double_Knob, 11.0),
    ("selected", Boolean_Knob, False),
    ("disable", Boolean_Knob, False),
    ("hide_input", Boolean_Knob, False),
    ("knobChanged", PyScript_Knob, ""),
]
NO_INPUT = {name for name, (count, _) in CLASSES.items() if not count}


def knobs_of(kind: str) -> List[Any]:
    """New knobs of a new node.

    Raises:
        RuntimeError: there is no such class, as Nuke says it.
    """
    if kind not in CLASSES:
        raise RuntimeError(f"{kind}: Unknown command")
    made = []
    for name, knob, default in [*CLASSES[kind][1], *COMMON]:
        choices = isinstance(default, list) and knob is not Matrix_Knob
        one = knob(name, "", default) if choices else knob(name)
        if not choices:
            one._value = one._default = one._taken(default)
        made.append(one)
    return made
