"""Which frames a person should look at: from headers and the journal, on facesets made for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.heads import face as head
from understudy.core import align, faceset
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord
from understudy.core.faceset.journal import Journal, Looked
from understudy.core.faceset.review import review

PLATE = "/plates/shot.%04d.exr"


def seen(frame: int, track: int = 0, x: float = 0.0, **what) -> Face:
    """A face of 200 pixels; `x`: how far to the right."""
    points = (head() + np.array((x, 0.0))).astype(np.float32)
    box = (860.0 + x, 440.0, 1060.0 + x, 640.0)
    made = Face(
        frame=frame, box=box, landmarks=Landmarks(scheme="68", points=points), score=0.95, track=track
    )
    return replace(made, **what)


def store(folder: Path, faces: list[Face], looked: range, plate: str = PLATE, view: str = "") -> Path:
    for face in faces:
        record = FaceRecord(
            path=folder / f"{Path(plate).name[:4]}{view}_t{face.track}.{face.frame}.exr",
            face=face,
            alignment=align.fit(face.landmarks.points, "full", 8),
            plate=plate,
            gain=1.0,
            colour="ACEScg",
            view=view,
        )
        faceset.write(record, np.zeros((8, 8, 3), np.float32))
    notes = Journal(folder, plate, view)
    for frame in looked:
        tracks = tuple(face.track for face in faces if face.frame == frame)
        notes.add(frame, Looked(digest="d", gain=1.0, tracks=tracks))
    return folder


def said(folder: Path, **settings) -> list[tuple[int, str, int | None]]:
    return [(r.frame, r.reason, r.track) for r in review(folder, **settings)]


def test_a_face_on_every_frame_leaves_nothing_to_look_at(tmp_path: Path):
    """It walks steadily, and its pixels of movement are many."""
    assert said(store(tmp_path, [seen(n, x=90.0 * n) for n in range(1, 9)], range(1, 9))) == []


def test_coming_going_and_being_away(tmp_path: Path):
    faces = [seen(n) for n in (3, 4, 7, 8)] + [seen(n, track=1, x=400.0) for n in range(1, 7)]
    store(tmp_path, faces, range(1, 11))
    assert said(tmp_path) == [
        (3, "found", 0), (4, "gap", 0), (6, "lost", 1), (8, "lost", 0), (9, "no_face", None), (10, "no_face", None),
    ]  # fmt: skip
    messages = {(r.frame, r.reason): r.message for r in review(tmp_path)}
    assert messages[4, "gap"] == "track 0 is away on 5-6"


def test_frames_that_are_not_on_disk_make_no_gap(tmp_path: Path):
    store(tmp_path, [seen(n) for n in (1, 3, 5)], range(1, 6, 2))
    assert said(tmp_path) == []


def test_without_a_journal_the_faces_alone_tell(tmp_path: Path):
    store(tmp_path, [seen(1), seen(2), seen(3, track=1, x=400.0), seen(4)], range(0))
    assert said(tmp_path) == [(2, "gap", 0), (3, "found", 1), (3, "lost", 1)]


def test_confidence_is_the_detections_or_the_landmarks(tmp_path: Path):
    unsure = replace(seen(2).landmarks, confidence=np.full(68, 0.5, np.float32))
    sure = replace(seen(2).landmarks, confidence=np.full(68, 0.9, np.float32))
    faces = [seen(1, landmarks=sure), seen(2, landmarks=unsure), seen(3, score=0.7), seen(4)]
    store(tmp_path, faces, range(1, 5))
    assert said(tmp_path) == [(2, "low_confidence", 0), (3, "low_confidence", 0)]
    assert said(tmp_path, confidence=0.6) == [(2, "low_confidence", 0)]
    assert said(tmp_path, confidence=0.93)[0] == (1, "low_confidence", 0)
    with pytest.raises(InvalidInput):
        review(tmp_path, confidence=1.5)


def test_a_jump_is_off_the_way_of_its_neighbours(tmp_path: Path):
    """0.15 of a size of 200 is 30 pixels; a jump is told on its frame, not on those beside it."""
    store(tmp_path, [seen(n, x=10.0 * n + 70.0 * (n == 4)) for n in range(1, 8)], range(1, 8))
    found = [r for r in said(tmp_path) if r[1] == "jump"]
    assert (4, "jump", 0) in found
    assert {frame for frame, _, _ in found} <= {3, 4, 5}


def test_a_cut_is_no_jump(tmp_path: Path):
    faces = [seen(n, x=0.0 if n < 4 else 500.0, cut=n == 4) for n in range(1, 8)]
    assert said(store(tmp_path, faces, range(1, 8))) == []
    other = tmp_path / "uncut"
    assert (4, "jump", 0) in said(store(other, [replace(face, cut=False) for face in faces], range(1, 8)))


def test_what_a_person_gave_is_listed(tmp_path: Path):
    origins = ("found", "manual", "interpolated", "guided")
    faces = [seen(n, origin=origin) for n, origin in enumerate(origins, 1)]
    assert said(store(tmp_path, faces, range(1, 5))) == [
        (2, "manual", 0), (3, "interpolated", 0), (4, "manual", 0),
    ]  # fmt: skip


def test_plates_and_views_are_told_apart(tmp_path: Path):
    store(tmp_path, [seen(1), seen(2)], range(1, 3), view="left")
    store(tmp_path, [seen(1)], range(1, 3), view="right")
    store(tmp_path, [], range(1, 2), plate="/plates/void.%04d.exr")
    assert [(r.plate, r.view, r.frame, r.reason) for r in review(tmp_path)] == [
        (PLATE, "right", 1, "lost"),
        (PLATE, "right", 2, "no_face"),
        ("/plates/void.%04d.exr", "", 1, "no_face"),
    ]


def test_no_faceset_is_not_found_and_an_empty_one_is_empty(tmp_path: Path):
    with pytest.raises(NotFound):
        review(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert review(tmp_path / "empty") == []


def test_the_header_keeps_what_it_is_made_of(tmp_path: Path):
    """Confidence, cut and origin; a header of before has none of them and is read all the same."""
    sure = np.linspace(0.1, 1.0, 68).astype(np.float32)
    given = seen(1, cut=True, origin="guided")
    given = replace(given, landmarks=replace(given.landmarks, confidence=sure))
    store(tmp_path, [given, seen(2)], range(0))
    a, b = faceset.Faceset.open(tmp_path).records
    assert a.face.landmarks.confidence == pytest.approx(sure, abs=5e-4)
    assert (a.face.cut, a.face.origin, b.face.cut, b.face.origin) == (True, "guided", False, "found")
    assert b.face.landmarks.confidence is None
    assert not {"understudy/cut", "understudy/origin", "understudy/confidence"} & b.header().keys()
