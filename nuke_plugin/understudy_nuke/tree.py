"""What is inside the group: nodes of Nuke alone, which rebuild the comp from the layers by the published rule.

    rgb = plate × (1 − mask_blend) + face × mask_blend

so a script renders wherever Nuke does, without this plug-in. It is laid out from top to bottom: the plate's pipe
straight down on the left, the layers' and the repaint's on the right with nothing on them, face and matte between;
where two people are swapped one Keymix follows the other.
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

INPUTS = ("plate", "repaint", "mask")  # of the node
READ = "layers"  # the Read's name
KEPT = ("file", "origfirst", "first", "origlast", "last", "colorspace", "on_error")  # what a merge sets of it
SHOWN = ("rebuilt", "as merged", "face", "matte")  # what the group gives
ADVICE = "Take it as rebuilt: what you change in here shows."

_COLUMN, _ROW = 130, 80  # between nodes, in the graph's pixels
_PLATE, _FACE, _MATTE, _LAYERS, _WARP, _REPAINT, _MASK = 0, 2, 3, 4, 5, 6, 8  # columns
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
        plate = _place(nuke.nodes.Input(name="plate", number=0), _PLATE, 0)
        repaint = _place(nuke.nodes.Input(name="repaint", number=1), _REPAINT, 0)
        _place(nuke.nodes.Input(name="mask", number=2), _MASK, 0)
        read = _place(nuke.nodes.Read(name=READ), _LAYERS, 0)
        for end in ("before", "after", "on_error"):
            read[end].setValue("black")
        pipe = _place(nuke.nodes.Dot(inputs=[plate]), _PLATE, 1)
        layers, paint = read, repaint
        face: nuke.Node | None = None
        matte: nuke.Node | None = None
        row = 2
        for i, person in enumerate(persons):
            layers = _place(nuke.nodes.Dot(inputs=[layers]), _LAYERS, row)
            paint = _place(nuke.nodes.Dot(inputs=[paint]), _REPAINT, row)
            face, matte, pipe = _person(person, pipe, layers, paint, row)
            _backdrop(people[i] or "face and matte", "person", (_FACE, row), (_REPAINT, row + 4))
            row += 6
        face = _place(nuke.nodes.Dot(inputs=[face], label="face"), _FACE, row)
        matte = _place(nuke.nodes.Dot(inputs=[matte], label="matte"), _MATTE, row)
        merged = _place(nuke.nodes.Dot(inputs=[layers], label="as merged"), _LAYERS, row)
        shown = _place(nuke.nodes.Switch(name="show", inputs=[pipe, merged, face, matte]), _PLATE, row + 1)
        shown["which"].setExpression("parent.us_show")
        _place(nuke.nodes.Output(inputs=[shown]), _PLATE, row + 2)
        _backdrop("plate", "plate", (_PLATE, 0), (_PLATE, 1))
        _backdrop("layers of the merge", "layers", (_LAYERS, 0), (_REPAINT, 0))
        _backdrop("for the next merge", "plate", (_MASK, 0), (_MASK, 0))
        _backdrop("out", "out", (_PLATE, row), (_LAYERS, row + 2))


def _person(
    person: str, plate: nuke.Node, layers: nuke.Node, repaint: nuke.Node, row: int
) -> List[nuke.Node]:
    """One person's face over the picture so far: their face, their matte, and the new picture."""
    before = person + "_" if person else ""
    name = "_" + person if person else ""
    face = _place(nuke.nodes.Shuffle(name="face" + name, inputs=[layers]), _FACE, row + 1)
    face["in"].setValue(before + "face")
    warp = nuke.nodes.STMap(name="repaint_on_plate" + name, inputs=[repaint, layers])
    _place(warp, _WARP, row + 1)
    warp["channels"].setValue("rgba")
    warp["uv"].setValue(before + "uv")
    over = _place(nuke.nodes.Merge2(name="repainted" + name, inputs=[face, warp]), _FACE, row + 2)
    graded = _place(nuke.nodes.Dot(inputs=[over], label="  regrade the face here"), _FACE, row + 3)
    matte = _place(nuke.nodes.Copy(name="matte" + name, inputs=[layers, layers]), _MATTE, row + 1)
    matte["from0"].setValue(before + "mask_blend.alpha")
    matte["to0"].setValue("rgba.alpha")
    edge = _place(nuke.nodes.Dot(inputs=[matte], label="  change the edge here"), _MATTE, row + 2)
    turn = _place(nuke.nodes.Dot(inputs=[edge]), _MATTE, row + 4)
    mix = nuke.nodes.Keymix(name="comp" + name, inputs=[plate, graded, turn])
    _place(mix, _PLATE, row + 4)
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
