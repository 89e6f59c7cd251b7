"""Points in: where a face is, said by a Tracker's tracks or by 2D knobs, for the extraction to take over its own.

Five points by name, around which the landmarker looks; or all 68 of iBUG 300-W, taken as they are: knobs or tracks
named `p00` to `p67`, as `nodes_out` makes them. Left and right are the person's own.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Sequence, Tuple

import nuke

from . import daemon
from . import node as nodes
from .daemon import UnderstudyError, refused

FIVE = ("right eye", "left eye", "nose", "right mouth", "left mouth")
ALL = tuple("p{:02d}".format(i) for i in range(68))

Point = Tuple[float, float]
Where = Callable[[float], Point]  # frame to x, y in pixels of the format, y up


def give(
    node: nuke.Node,
    source: nuke.Node,
    frames: Sequence[int],
    done: Callable[[UnderstudyError | None], object] | None = None,
) -> Any:
    """Have the daemon keep the points of these frames for the node's dst faceset; the next extraction takes them.

    Never waits; gives the call.

    Args:
        done: called on the main thread, with what went wrong or None.

    Raises:
        Refused: the points are not there; no plate is connected, whose height turns y down.
    """
    plate = node.input(0)
    if plate is None:
        raise refused("plate", "connect the plate to {}: points are in its pixels".format(node.name()))
    wheres, height = _wanted(source), float(plate.height())
    track = max(0, int(node["us_track"].value()))
    faces = []
    for frame in frames:
        points = [where(frame) for where in wheres]
        flat = [value for x, y in points for value in (x, height - y)]
        faces.append({"track": track, "frame": frame, "points": flat})

    def told(call: Any) -> None:
        if done is not None:
            error = call.exception()
            daemon.on_main(lambda: done(error))

    asked = {"path": nodes.need(node, "us_dst", "dst faceset"), "faces": faces}
    return daemon.link().call("FacesetService/SetManualFaces", asked, done=told)


def words(text: str) -> List[str]:
    """The elements of a TCL list: braces keep what is in them, quotation marks too."""
    found, i = [], 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        end = _end(text, i)
        inner = text[i] in '{"'
        found.append(text[i + 1 : end - 1] if inner else text[i:end])
        i = end
    return found


def _wanted(source: nuke.Node) -> List[Where]:
    known = _tracks(source) if source.knob("tracks") is not None else _knobs(source)
    for names in (ALL, FIVE):
        if all(name in known for name in names):
            return [known[name] for name in names]
    missing = [name for name in FIVE if name not in known]
    raise refused(
        "us_points",
        "{} has no {}; name five points {}, or 68 p00 to p67".format(
            source.name(), ", ".join(missing), ", ".join(FIVE)
        ),
    )


def _knobs(source: nuke.Node) -> Dict[str, Where]:
    """Of a node's 2D knobs, by name or label."""
    found: Dict[str, Where] = {}
    for knob in source.allKnobs():
        if isinstance(knob, nuke.XY_Knob):
            for name in (knob.name(), knob.label()):
                found[_plain(name)] = _at(knob, 0, 1)
    return found


def _tracks(source: nuke.Node) -> Dict[str, Where]:
    """Of a Tracker4's table: its text says columns and names, Nuke itself evaluates the curves."""
    knob = source["tracks"]
    table = words(knob.toScript())
    table = words(table[0]) if len(table) == 1 else table
    columns = [words(column)[3] for column in words(table[1])]
    x, y = columns.index("track_x"), columns.index("track_y")
    found: Dict[str, Where] = {}
    for i, row in enumerate(words(table[2])):
        name = words(row)[columns.index("name")]
        found[_plain(name)] = _at(knob, i * len(columns) + x, i * len(columns) + y)
    return found


def _at(knob: nuke.Knob, x: int, y: int) -> Where:
    return lambda frame: (float(knob.getValueAt(frame, x)), float(knob.getValueAt(frame, y)))


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name).strip().lower()


def _end(text: str, start: int) -> int:
    """Behind the element that begins here."""
    if text[start] not in '{"':
        match = re.compile(r"\S+").match(text, start)
        assert match is not None
        return match.end()
    depth, i = 0, start
    while i < len(text):
        if text[i] == "\\":
            i += 1
        elif text[start] == '"':
            if text[i] == '"' and i > start:
                return i + 1
        elif text[i] in "{}":
            depth += 1 if text[i] == "{" else -1
            if not depth:
                return i + 1
        i += 1
    raise refused("us_points", "a table of tracks ends in its middle: {!r}".format(text[start : start + 60]))
