"""Where a face is, frame by frame, as Tracker4, CornerPin2D, its matrix and RotoPaint.

Everything comes in plate pixels, y down. Nuke's y goes up from the bottom of the format, so a y becomes the height
less y. Pixel centres are at .5 in both.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

import nuke

from . import ranges
from .daemon import refused
from .points import ALL

Json = Dict[str, Any]
Point = Tuple[float, float]
Keys = Dict[int, float]  # frame to value
# Frame to `landmarks`, 68 pairs, `matrix`, 2 x 3 from plate to aligned pixels, and `size`, of the aligned face.
Frames = Dict[int, Json]

# Around the face: the jaw from ear to ear, then back over both brows (iBUG 300-W's order).
OUTLINE = (*range(17), *range(26, 16, -1))
# Name, width in Nuke's table and the two words of a Tracker4's columns, as every script of Nuke's has them.
_COLUMNS = (
    "5 1 20 enable e",
    "3 1 75 name name",
    *("2 1 58 {0} {0}".format(name) for name in ("track_x", "track_y")),
    *("2 1 63 {0} {0}".format(name) for name in ("offset_x", "offset_y")),
    *("4 1 27 {0} {0}".format(name) for name in "TRS"),
    "2 0 45 error error",
    *("1 1 0 {0} {0}".format(name) for name in ("error_min", "error_max")),
    *("1 1 0 {0}_{1} {0}_{1}".format(box, side) for box in ("pattern", "search") for side in "xyrt"),
    "2 1 0 key_track key_track",
    *("2 1 0 key_{0}_{1} key_{0}_{1}".format(box, side) for box in ("search", "track") for side in "xyrt"),
    *("2 1 0 key_centre_offset_{0} key_centre_offset_{0}".format(side) for side in "xy"),
)


def build(node: nuke.Node | None, person: str, frames: Frames) -> List[nuke.Node]:
    """The four beside the node, as one step of undo.

    Args:
        person: for their names.

    Raises:
        Refused: there is no node or no plate any more.
    """
    plate = node.input(0) if node is not None else None
    if node is None or plate is None:
        raise refused("plate", "the node or its plate has gone meanwhile")
    height = float(plate.height())
    stem = node.name() + ("_" + person if person else "")
    makers: Sequence[Tuple[str, str, Callable[[Any, Frames, float], None]]] = (
        ("Tracker4", "landmarks", _track),
        ("CornerPin2D", "pin", _pin),
        ("CornerPin2D", "matrix", _matrix),
        ("RotoPaint", "hull", _hull),
    )
    made: List[nuke.Node] = []
    nuke.Undo.begin("Understudy: tracks")
    try:
        with node.parent():
            for i, (kind, name, fill) in enumerate(makers):
                inputs = [plate] if kind != "CornerPin2D" else []
                one = getattr(nuke.nodes, kind)(name="{}_{}".format(stem, name), inputs=inputs)
                one.setXYpos(node.xpos() + 160 * (i + 1), node.ypos())
                fill(one, frames, height)
                made.append(one)
    finally:
        nuke.Undo.end()
    return made


def _points(said: Json, height: float) -> List[Point]:
    return [(x, height - y) for x, y in said["landmarks"]]


def _track(tracker: nuke.Node, frames: Frames, height: float) -> None:
    points = {frame: _points(said, height) for frame, said in sorted(frames.items())}
    first = min(points)
    held = "{{curve K x{} {}}}".format
    rows = []
    for i, name in enumerate(ALL):
        x, y = (_curve({frame: at[i][axis] for frame, at in points.items()}) for axis in (0, 1))
        rows.append(
            '{{ {} "{}" {} {} {} {} 1 1 1 {} 0 0 -32 -32 32 32 -22 -22 22 22{} }}'.format(
                held(first, 1), name, x, y, held(first, 0), held(first, 0), held(first, 0), " {}" * 11
            )
        )
    columns = "\n".join("{{ {} 1 }}".format(column) for column in _COLUMNS)
    tracker["tracks"].fromScript(
        "{{ 1 {} {} }}\n{{ {}\n}}\n{{ {}\n}}".format(len(_COLUMNS), len(rows), columns, "\n".join(rows))
    )


def _pin(pin: nuke.Node, frames: Frames, height: float) -> None:
    size = float(frames[min(frames)]["size"])
    ways = {
        frame: to_plate(said["matrix"], float(said["size"]), height) for frame, said in sorted(frames.items())
    }
    # Nuke counts its corners from the lower left against the clock.
    for i, (x, y) in enumerate(((0.0, 0.0), (size, 0.0), (size, size), (0.0, size)), 1):
        pin["from{}".format(i)].setValue([x, y])
        across = _curve({frame: a * x + b * y + c for frame, (a, b, c, _, _, _) in ways.items()})
        up = _curve({frame: d * x + e * y + f for frame, (_, _, _, d, e, f) in ways.items()})
        pin["to{}".format(i)].fromScript("{{{} {}}}".format(across, up))


def _matrix(pin: nuke.Node, frames: Frames, height: float) -> None:
    knob = pin["transform_matrix"]
    by_place: Dict[int, Keys] = {place: {} for place in (0, 1, 3, 4, 5, 7)}
    for frame, said in sorted(frames.items()):
        for place, value in zip(by_place, to_plate(said["matrix"], float(said["size"]), height)):
            by_place[place][frame] = value
    now = nuke.frame()
    for place, keys in by_place.items():
        knob.setAnimated(place)  # it makes a key at the current frame
        for frame, value in keys.items():
            knob.setValueAt(value, frame, place)
        if now not in keys:
            knob.removeKeyAt(now, place)
    pin["label"].setValue("aligned face to plate")


def to_plate(matrix: Sequence[Sequence[float]], size: float, height: float) -> Sequence[float]:
    """Rows of 2 x 3 from aligned pixels to the plate's, both with y up.

    Args:
        matrix: 2 x 3, plate to aligned pixels, both with y down.
        size: side of the aligned face in pixels.
        height: of the plate.
    """
    (a, b, c), (d, e, f) = matrix
    det = a * e - b * d
    ia, ib, id_, ie = e / det, -b / det, -d / det, a / det
    ic, if_ = -(ia * c + ib * f), -(id_ * c + ie * f)
    return ia, -ib, ib * size + ic, -id_, ie, height - ie * size - if_


def _hull(roto: nuke.Node, frames: Frames, height: float) -> None:
    from nuke import rotopaint

    curves: Any = roto["curves"]
    shape: Any = rotopaint.Shape(curves)
    shape.name = "hull"
    points = {frame: _points(said, height) for frame, said in sorted(frames.items())}
    for i in OUTLINE:
        shape.append(rotopaint.ShapeControlPoint(*points[min(points)][i]))
    for i, corner in zip(OUTLINE, shape):
        for frame, at in points.items():
            corner.center.addPositionKey(frame, at[i])
    for first, last in ranges.runs(points):  # gone where there is no face
        for frame, there in ((first - 1, False), (first, True), (last, True), (last + 1, False)):
            shape.setVisible(frame, there)
    curves.rootLayer.append(shape)
    curves.changed()


def _curve(keys: Keys) -> str:
    return "{curve " + " ".join("x{} {:.6g}".format(f, v) for f, v in keys.items()) + "}"
