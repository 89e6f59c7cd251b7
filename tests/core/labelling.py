"""A plate, its faceset and what a person drew for it: what the tests of labels have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.core.shots import landmarks
from understudy.core import align, faceset, plate
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.frames import Frame, Window
from understudy.core.reports import FrameReport, FrameStatus, Report
from understudy.core.segment.label import LabelSettings, run

DISPLAY = Window(0, 0, 160, 120)
SIDE = 64
BAR = np.array((30.0, 1.0))  # how far a bar reaches beyond the mouth
DONE, FAILED, SKIPPED = FrameStatus.DONE, FrameStatus.FAILED, FrameStatus.SKIPPED


class Scene:
    """A plate, the faceset extracted from it, and roto of its faces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faces, self.plate, self.roto = (
            folder / "faces",
            folder / "plate.%04d.exr",
            folder / "roto.%04d.exr",
        )

    def face(self, number: int = 1001, *, track: int = 0, view: str = "", **changes: Any) -> FaceRecord:
        """A face in the faceset; its file is written."""
        x = {0: 70.0, 1: 110.0}[track] + 2.0 * (number - 1001) - (4.0 if view == "right" else 0.0)
        points = landmarks((x, 55.0), 40.0, roll=5.0)
        eye = f"_{view}" if view else ""
        made = FaceRecord(
            path=self.faces / f"shot{eye}_t{track}.{number}.exr",
            face=Face(
                frame=number,
                box=(x - 20, 30, x + 20, 80),
                landmarks=Landmarks(scheme="68", points=points),
                score=1.0,
                track=track,
            ),
            alignment=align.fit(points, "whole", SIDE),
            plate=str(self.plate),
            gain=1.0,
            colour="ACEScg",
            view=view,
        )
        made = replace(made, **changes)
        faceset.write(made, np.full((SIDE, SIDE, 3), 0.18, np.float32))
        return made

    def shot(self, count: int = 3) -> list[FaceRecord]:
        """Frames 1001, 1002, … of one person, and the first frame of the plate."""
        write(Path(str(self.plate) % 1001), {c: np.zeros((120, 160)) for c in "RGB"})
        return [self.face(number) for number in range(1001, 1001 + count)]

    def draw(self, record: FaceRecord, scale: float = 1.0) -> np.ndarray:
        """What an artist draws around a face, in plate pixels: its hull grown a little, less a bar over the mouth."""
        outline = outline_of(record)
        shape = (round(DISPLAY.height * scale), round(DISPLAY.width * scale))
        mouth = record.face.landmarks.points[48:68].astype(np.float64)
        (x0, y0), (x1, y1) = mouth.min(axis=0) - BAR, mouth.max(axis=0) + BAR
        bar = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        return draw(
            [Polygon(include=True, points=outline), Polygon(include=False, points=bar)], shape, scale=scale
        )

    def rotoscope(self, *records: FaceRecord, **planes: Any) -> None:
        """An alpha for each face."""
        for record in records:
            write(Path(str(self.roto) % record.face.frame), planes or {"A": self.draw(record)})

    def label(self, **settings: Any) -> list[Report]:
        if not {"polygons", "crops", "roto"} & set(settings):
            found = plate.find(str(self.roto))
            settings["roto"] = replace(found, frames=found.present)
        return list(run(LabelSettings(faceset=self.faces, **settings)))

    def labels(self) -> dict[str, np.ndarray]:
        """Name of each labelled face → its matte."""
        opened = Faceset.open(self.faces)
        found = {r.path.name: Labels(opened).matte(r) for r in opened.records}
        return {name: matte for name, matte in found.items() if matte is not None}


def outline_of(record: FaceRecord, grow: float = 1.1) -> np.ndarray:
    points = record.face.landmarks.points
    around = cv2.convexHull(points).reshape(-1, 2).astype(np.float64)
    middle = around.mean(axis=0)
    return np.asarray((around - middle) * grow + middle)


def write(
    path: Path,
    planes: dict[str, Any],
    display: Window | None = None,
    data: Window | None = None,
    **metadata: Any,
) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    stored = {
        name: plane if plane.dtype == np.uint32 else np.asarray(plane, np.float32)
        for name, plane in ((n, np.asarray(p)) for n, p in planes.items())
    }
    height, width = next(iter(stored.values())).shape
    window = Window(0, 0, width, height)
    frame = Frame(number=1, planes=stored, display=display or window, data=data or window, metadata=metadata)
    plate.write(frame, path)


def frames(reports: Sequence[Report]) -> list[FrameReport]:
    return [report for report in reports if isinstance(report, FrameReport)]


def only(reports: Sequence[Report]) -> FrameReport:
    (report,) = frames(reports)
    return report


def expected(scene: Scene, record: FaceRecord) -> np.ndarray:
    """The label by another way: the polygons of `Scene.draw` in the crop's own pixels."""
    mouth = record.face.landmarks.points[48:68].astype(np.float64)
    (x0, y0), (x1, y1) = mouth.min(axis=0) - BAR, mouth.max(axis=0) + BAR
    bar = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    shapes = [
        Polygon(include=include, points=record.alignment.apply(points))
        for include, points in ((True, outline_of(record)), (False, bar))
    ]
    return draw(shapes, (SIDE, SIDE))


def close(found: np.ndarray, wanted: np.ndarray, least: float = 0.93) -> None:
    both, either = np.minimum(found, wanted).sum(), np.maximum(found, wanted).sum()
    assert both / either > least
