"""What is inside the group: nodes of Nuke alone, which rebuild the comp from the layers by the published rule.

    rgb = plate × (1 − mask_blend) + face × mask_blend

so a script renders wherever Nuke does, without this plug-in. It is laid out from top to bottom: the plate's pipe
straight down on the left, the layers come in from the right, and where two people are swapped one Keymix follows the
other.
"""

from __future__ import annotations

from typing import List, Sequence

import nuke

# Of every layer that a merge may write, its channels (docs/compositor.md).
_RGBA, _RGB = ("red", "green", "blue", "alpha"), ("red", "green", "blue")
LAYERS = {
    "face": _RGBA,
    "face_raw": _RGB,
    "grain": _RGB,
    "uv": ("u", "v"),
}
MATTES = ("blend", "face", "hull", "occ", "user", "add", "keep", "valid")

READ = "layers"  # the Read's name
SHOWN = ("rebuilt", "as merged", "face", "matte")  # what the group gives
ADVICE = "Take it as rebuilt: what you change in here shows."

_COLUMN, _ROW = 160, 80  # between nodes, in the graph's pixels
_NODE, _DOT = (80, 18), (12, 12)
_COLOURS = {"plate": 0x3A4A5AFF, "layers": 0x4A5A3AFF, "person": 0x5A4A3AFF, "out": 0x444444FF}


def declare(people: Sequence[str] = ("",)) -> None:
    """Make Nuke know the layers before a frame is there, so that they can be chosen in knobs."""
    for person in people:
        before = person + "_" if person else ""
        wanted = dict(LAYERS)
        wanted.update({"mask_" + name: ("alpha",) for name in MATTES})
        known = nuke.layers()
        for name, channels in wanted.items():
            if before + name not in known:
                nuke.Layer(before + name, ["{}{}.{}".format(before, name, c) for c in channels])


def build(group: nuke.Group, people: Sequence[str] = ("",)) -> None:
    """Fill an empty group.

    Args:
        people: their names in the order of the merge; the first one's layers have no name before them.
    """
    persons = ["", *people[1:]]
    declare(persons)
    with group:
        plate = _place(nuke.nodes.Input(name="plate"), 0, 0)
        repaint = _place(nuke.nodes.Input(name="repaint"), 4, 0)
        read = _place(nuke.nodes.Read(name=READ, label="layers of the merge"), 2, 0)
        for end in ("before", "after", "on_error"):
            read[end].setValue("black")
        pipe, side = _place(nuke.nodes.Dot(inputs=[plate]), 0, 1), _place(nuke.nodes.Dot(inputs=[read]), 2, 1)
        paint = _place(nuke.nodes.Dot(inputs=[repaint]), 4, 1)
        face: nuke.Node | None = None
        matte: nuke.Node | None = None
        row = 2
        for i, person in enumerate(persons):
            face, matte, pipe = _person(person, pipe, side, paint, row)
            _backdrop(people[i] or "face and matte", "person", (1, row), (4, row + 4))
            row += 6
            side = _place(nuke.nodes.Dot(inputs=[side]), 2, row - 1)
            paint = _place(nuke.nodes.Dot(inputs=[paint]), 4, row - 1)
        merged = _place(nuke.nodes.Dot(inputs=[side], label="as merged"), 2, row)
        shown = _place(nuke.nodes.Switch(name="show", inputs=[pipe, merged, face, matte]), 0, row + 1)
        shown["which"].setExpression("parent.us_show")
        _place(nuke.nodes.Output(inputs=[shown]), 0, row + 2)
        _backdrop("plate", "plate", (0, 0), (0, 1))
        _backdrop("layers", "layers", (2, 0), (4, 1))
        _backdrop("out", "out", (0, row), (2, row + 2))


def _person(
    person: str, plate: nuke.Node, layers: nuke.Node, repaint: nuke.Node, row: int
) -> List[nuke.Node]:
    """One person's face over the picture so far: their face, their matte, and the new picture."""
    before = person + "_" if person else ""
    name = "_" + person if person else ""
    corner = _place(nuke.nodes.Dot(inputs=[layers]), 2, row)
    face = _place(nuke.nodes.Shuffle(name="face" + name, inputs=[corner]), 2, row + 1)
    face["in"].setValue(before + "face")
    warp = _place(nuke.nodes.STMap(name="repaint_on_plate" + name, inputs=[repaint, corner]), 4, row + 1)
    warp["channels"].setValue("rgba")
    warp["uv"].setValue(before + "uv")
    over = _place(nuke.nodes.Merge2(name="repainted" + name, inputs=[face, warp]), 2, row + 2)
    graded = _place(nuke.nodes.Dot(inputs=[over], label="  regrade the face here"), 2, row + 3)
    matte = _place(nuke.nodes.Copy(name="matte" + name, inputs=[corner, corner]), 3, row + 1)
    matte["from0"].setValue(before + "mask_blend.alpha")
    matte["to0"].setValue("rgba.alpha")
    edge = _place(nuke.nodes.Dot(inputs=[matte], label="  change the edge here"), 3, row + 2)
    turn = _place(nuke.nodes.Dot(inputs=[edge]), 3, row + 4)
    mix = nuke.nodes.Keymix(name="comp" + name, inputs=[plate, graded, turn])
    _place(mix, 0, row + 4)
    mix["channels"].setValue("rgb")
    mix["maskChannel"].setValue("rgba.alpha")
    return [graded, turn, mix]


def _place(node: nuke.Node, column: int, row: int) -> nuke.Node:
    """On the grid; the middle of a Dot above the middle of what follows."""
    width, height = _DOT if node.Class() == "Dot" else _NODE
    node.setXYpos(
        column * _COLUMN + (_NODE[0] - width) // 2,
        row * _ROW + (_NODE[1] - height) // 2,
    )
    return node


def _backdrop(label: str, colour: str, first: Sequence[int], last: Sequence[int]) -> None:
    """Around the grid's cells from `first` to `last` (column, row), with room for its title."""
    left, top = first[0] * _COLUMN - 30, first[1] * _ROW - 36
    node = nuke.nodes.BackdropNode(label=label)
    node["bdwidth"].setValue((last[0] - first[0]) * _COLUMN + _NODE[0] + 60)
    node["bdheight"].setValue((last[1] - first[1]) * _ROW + _NODE[1] + 52)
    node["tile_color"].setValue(_COLOURS[colour])
    node["note_font_size"].setValue(14)
    node["z_order"].setValue(-1)
    node.setXYpos(left, top)
