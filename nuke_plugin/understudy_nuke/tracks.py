"""Tracks out: what a merge knew of the face, frame by frame, as nodes that any script can use without us.

The merge writes it beside its frames, `track/….json`: plate pixels, y down. Nuke's y goes up from the bottom of the
format, so a y becomes the height less y. Pixel centres are at .5 in both.
"""

from __future__ import annotations

import glob
import json
import os
from typing import Any, Callable, Dict, List, Sequence, Tuple

import nuke

from . import node as nodes
from . import ranges
from .daemon import refused
from .points import ALL

Json = Dict[str, Any]
Point = Tuple[float, float]
Keys = Dict[int, float]  # frame to value

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


def read(node: nuke.Node, person: str = "") -> Dict[int, Json]:
    """Frame to what the shown version's merge says of the face there.

    Args:
        person: by name, of a merge of several; the first one has no folder of their own.

    Raises:
        Refused: there is none yet, or it cannot be read.
    """
    folder = os.path.join(os.path.dirname(nodes.output(node)), "track", person)
    names = sorted(glob.glob(os.path.join(glob.escape(folder), "*.json")))
    names = [name for name in names if not name.endswith(".grain.json")]
    if not names:
        raise refused("us_out", "{} has no track yet: merge this version first".format(folder))
    try:
        with open(names[0], encoding="utf-8") as file:
            frames = {int(frame): dict(said) for frame, said in json.load(file)["frames"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused("us_out", "{} cannot be read: {}".format(names[0], error)) from error
    if not frames:
        raise refused("us_out", "{}: there was no face on any frame".format(names[0]))
    return frames


def make(node: nuke.Node, person: str = "") -> List[nuke.Node]:
    """Tracker4, CornerPin2D, the matrix in another CornerPin2D, and RotoPaint, beside the node; one step of undo.

    The tracker has the 68 landmarks, `p00` to `p67`. The pin puts the aligned face, `size` pixels a side with its
    lower left corner at the origin, on the plate; the matrix does the same by its `transform_matrix`.

    Raises:
        Refused: as `read`; no plate is connected.
    """
    plate = node.input(0)
    if plate is None:
        raise refused("plate", "connect the plate to {}: tracks are in its pixels".format(node.name()))
    frames, height = read(node, person), float(plate.height())
    stem = node.name() + ("_" + person if person else "")
    makers: Sequence[Tuple[str, str, Callable[[Any, Dict[int, Json], float], None]]] = (
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


def _track(tracker: nuke.Node, frames: Dict[int, Json], height: float) -> None:
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


def _pin(pin: nuke.Node, frames: Dict[int, Json], height: float) -> None:
    size = float(frames[min(frames)]["size"])
    # Nuke counts its corners from the lower left against the clock.
    corners = (("bl", 0.0, 0.0), ("br", size, 0.0), ("tr", size, size), ("tl", 0.0, size))
    for i, (name, x, y) in enumerate(corners):
        pin["from{}".format(i + 1)].setValue([x, y])
        at = {frame: said["corner_pin"][name] for frame, said in sorted(frames.items())}
        curves = _curve({f: p[0] for f, p in at.items()}), _curve({f: height - p[1] for f, p in at.items()})
        pin["to{}".format(i + 1)].fromScript("{{{} {}}}".format(*curves))


def _matrix(pin: nuke.Node, frames: Dict[int, Json], height: float) -> None:
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


def _hull(roto: nuke.Node, frames: Dict[int, Json], height: float) -> None:
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
