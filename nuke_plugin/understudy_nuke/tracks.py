"""Tracks out: where the face is, frame by frame, for nodes that any script can use without us.

A merge writes it beside its frames, `track/….json`. Before there is one the dst faceset says it: faces as they were
found, not yet held steady.
"""

from __future__ import annotations

import glob
import json
import os
import threading
from typing import Any, Callable, List, Sequence

import nuke

from . import daemon, people, tracknodes
from . import node as nodes
from .daemon import Pending, Refused, UnderstudyError, refused
from .tracknodes import Frames, Json

SOURCES = ("", "merge", "faceset")
PAGE = 300  # faces of one answer, 2 kB each: other threads wait while its JSON is read


def make(
    node: nuke.Node, person: str = "", of: str = "", done: Callable[[Any], object] | None = None
) -> Pending:
    """Tracker4, CornerPin2D, the matrix in another CornerPin2D, and RotoPaint, beside the node; one step of undo.

    The tracker has the 68 landmarks, `p00` to `p67`. The pin puts the aligned face, `size` pixels a side with its
    lower left corner at the origin, on the plate; the matrix does the same by its `transform_matrix`.

    Args:
        person: by name, of a node with several; the first one has none.
        of: `merge`, the shown version's, or `faceset`, the dst faceset's. Default: the merge's where there is one.
        done: called on the main thread with the Pending, whose value is the four nodes.

    Raises:
        Refused: no plate is connected; a knob that is needed is empty. The rest is told by the Pending.
    """
    plate = node.input(0)
    if of not in SOURCES:
        raise refused("of", "{!r} is none of {}".format(of, ", ".join(map(repr, SOURCES))))
    if plate is None:
        raise refused("plate", "connect the plate to {}: tracks are in its pixels".format(node.name()))
    node_id, name, pending = str(node["us_id"].value()), node.fullName(), Pending(done)
    file = "" if of == "faceset" else _file(node, person, needed=of == "merge")
    faceset, number = (
        ("", None) if file else (nodes.need(node, "us_dst", "dst faceset"), people.number(node, person))
    )

    def read() -> None:
        """Off the main thread: a long shot's are millions of numbers."""
        try:
            frames = of_merge(file) if file else of_faces(faceset, _faces(faceset, number))
        except UnderstudyError as error:
            pending.fail(error)
        else:
            pending.finish(lambda: tracknodes.build(nodes.found(node_id, name), person, frames))

    threading.Thread(target=read, name="understudy-track", daemon=True).start()
    return pending


def of_merge(file: str) -> Frames:
    """What a merge knew of the face.

    Raises:
        Refused: it cannot be read; there was no face.
    """
    try:
        with open(file, encoding="utf-8") as opened:
            frames = {
                int(frame): {field: said[field] for field in ("landmarks", "matrix", "size")}
                for frame, said in json.load(opened)["frames"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused("us_out", "{} cannot be read: {}".format(file, error)) from error
    if not frames:
        raise refused("us_out", "{}: there was no face on any frame".format(file))
    return frames


def of_faces(faceset: str, faces: Sequence[Json]) -> Frames:
    """What a faceset knows of one person; of a stereo plate in the first view.

    Args:
        faces: as `understudy.v1.Face`.

    Raises:
        Refused: there is none, or they are several people's.
    """
    persons = sorted({int(face.get("track", 0)) for face in faces})
    if not persons:
        raise refused("us_dst", "{} has no such face: extract first".format(faceset))
    if len(persons) > 1:
        raise refused("us_track", "{} has several people, {}: set the person".format(faceset, persons))
    view = min(str(face.get("view", "")) for face in faces)
    frames = {}
    for face in faces:
        if str(face.get("view", "")) == view:
            points, matrix = face["landmarks"], face["alignment"]
            frames[int(face["frame"])] = {
                "landmarks": list(zip(points[::2], points[1::2])),
                "matrix": (matrix[:3], matrix[3:]),
                "size": face["size"],
            }
    return frames


def _file(node: nuke.Node, person: str, needed: bool) -> str:
    """The shown version's track; empty where there is none, unless it is needed."""
    try:
        folder = os.path.join(os.path.dirname(nodes.output(node)), "track", person)
    except Refused:
        if needed:
            raise
        return ""
    names = sorted(glob.glob(os.path.join(glob.escape(folder), "*.json")))
    names = [name for name in names if not name.endswith(".grain.json")]
    if needed and not names:
        raise refused("us_out", "{} has no track yet: merge this version first".format(folder))
    return names[0] if names else ""


def _faces(faceset: str, number: int | None) -> List[Json]:
    """One person's or, where no number is given, all; waits."""
    faces: List[Json] = []
    asked: Json = {"path": faceset, "pageSize": PAGE, "query": {} if number is None else {"tracks": [number]}}
    while True:
        reply = daemon.link().call("FacesetService/ListFaces", asked).result()
        faces.extend(reply.get("faces") or [])
        if not reply.get("nextPageToken"):
            return faces
        asked["pageToken"] = reply["nextPageToken"]
