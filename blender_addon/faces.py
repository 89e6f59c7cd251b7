# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces of a faceset, asked of the daemon; and the points of a face by name."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import bpy

from . import clip, runner, specs
from .runner import Json, Refused

PAGE = 500  # faces a reply: 68 points of each are some 300 kB of JSON
Point = tuple[float, float]  # x right, y down, in plate pixels; pixel centres at .5

# Five points by name, as the daemon takes them by hand: each the mean of these of the 68 (iBUG's order; right and left
# are the person's own).
FIVE = {
    "right eye": range(36, 42),
    "left eye": range(42, 48),
    "nose": (30,),
    "mouth right": (48,),
    "mouth left": (54,),
}


@dataclass(frozen=True)
class Found:
    """A face on a frame.

    Attributes:
        frame: number of the file.
        points: 68, iBUG's order.
        corners: of the aligned crop: its top left, top right, bottom right and bottom left, on the plate.
    """

    frame: int
    points: tuple[Point, ...]
    corners: tuple[Point, Point, Point, Point]

    def five(self) -> list[Point]:
        """See `FIVE`, in its order."""
        return [mean([self.points[i] for i in chosen]) for chosen in FIVE.values()]


@dataclass(frozen=True)
class Shot:
    """A clip, its windows and the faces that were found on it, by frame."""

    plate: clip.ClipPlate
    windows: clip.Windows
    person: int
    faces: dict[int, Found]


def ask(context: bpy.types.Context) -> Generator[runner.Call, None, Shot]:
    """Steps of an operator: the active clip and the faces of the scene's person on its frames, in the view it shows.

    Raises:
        Refused: as `clip.resolve`; no faceset is set; several people, and none was chosen.
    """
    plate, settings = clip.resolve(context), context.scene.understudy
    path = specs.folder(settings, "dst_faceset", "target faces")
    windows = yield from ask_windows(plate)
    found: list[Json] = []
    wanted = settings.track
    request = {"path": path, "pageSize": PAGE, "query": {"frames": plate.ref()["frames"]}}
    while True:
        call = runner.link().call("FacesetService/ListFaces", request)
        yield call
        reply = call.result()
        found += reply.get("faces", [])
        if not reply.get("nextPageToken"):
            break
        request["pageToken"] = reply["nextPageToken"]
    found = [face for face in found if face.get("view", "") == windows.view]
    if wanted >= 0:
        found = [face for face in found if int(face.get("track", 0)) == wanted]
    people = sorted({int(face.get("track", 0)) for face in found})
    if len(people) > 1:
        raise Refused(f"several people are there, {people}: set the person", field="track")
    if not found:
        raise Refused(f"{path}: no such face on these frames; extract first", field="dst_faceset")
    faces = {int(face["frame"]): _read(face) for face in found}
    return Shot(plate, windows, people[0], faces)


def ask_windows(plate: clip.ClipPlate) -> Generator[runner.Call, None, clip.Windows]:
    """Steps of an operator: the windows of the plate's files."""
    call = runner.link().call("PlateService/GetPlate", {"plate": plate.ref()})
    yield call
    return clip.windows(call.result())


def mean(points: list[Point]) -> Point:
    return sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)


def outline(face: Found) -> list[Point]:
    """27 points around the face: the jaw, then back along the brows, lifted by half their height over the eyes as the
    daemon's hull has them (DeepFaceLab's mask)."""
    p = face.points
    right, left = _between(p[36], p[0]), _between(p[16], p[45])
    below = [
        _between(p[36], right),
        p[36],
        p[37],
        p[38],
        p[39],
        p[42],
        p[43],
        p[44],
        p[45],
        _between(p[45], left),
    ]
    brows = [
        (brow[0] + 0.5 * (brow[0] - under[0]), brow[1] + 0.5 * (brow[1] - under[1]))
        for brow, under in zip(p[17:27], below, strict=True)
    ]
    return [*p[:17], *reversed(brows)]


def _between(a: Point, b: Point) -> Point:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _read(face: Json) -> Found:
    flat = [float(v) for v in face["landmarks"]]
    points = tuple(zip(flat[::2], flat[1::2], strict=True))
    a, b, c, d, e, f = (float(v) for v in face["alignment"])
    size, whole = float(face["size"]), a * e - b * d

    def on_plate(x: float, y: float) -> Point:  # the 2×3 matrix leads from the plate to the crop
        x, y = x - c, y - f
        return (e * x - b * y) / whole, (a * y - d * x) / whole

    corners: Any = tuple(on_plate(x, y) for x, y in ((0, 0), (size, 0), (size, size), (0, size)))
    return Found(int(face["frame"]), points, corners)
