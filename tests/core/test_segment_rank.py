"""Which faces to label next: the least sure ones, the most unlike ones, none twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.faces import record
from tests.core.heads import face as head
from tests.core.looks import SIZE, add, measured, portrait
from tests.core.segmenting import disc
from understudy.core import align
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.face import Landmarks
from understudy.core.faceset import Faceset
from understudy.core.faceset.columns import Columns
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.segment import rank

WHOLE = disc(0.5, 0.5, 0.35)
BELOW = WHOLE * (1.0 - disc(0.5, 0.9, 0.45))  # something covers the chin
ABOVE = WHOLE * (1.0 - disc(0.5, 0.1, 0.45))


def in_memory(*faces: tuple[int, float, int], **changes) -> Faceset:
    """Faces that lie nowhere: frame, yaw in degrees and track of each."""
    folder = Path("nowhere")
    records = []
    for frame, yaw, track in faces:
        points = head(yaw=yaw).astype(np.float32)
        made = record(folder, frame, track, pixel_aspect=1.0, **changes)
        its = replace(made.face, landmarks=Landmarks(scheme="68", points=points), yaw=yaw, pitch=0.0)
        records.append(replace(made, face=its, alignment=align.fit(points, "whole", SIZE)))
    return Faceset(path=folder, columns=Columns.of(records, [(1, 1)] * len(records)).ordered())


def on_disk(folder: Path, *sure: float | None, mattes=WHOLE, **changes) -> Faceset:
    """Frames 1001, 1101, … with mattes of these confidences; far apart in time, all of one look."""
    for i in range(len(sure)):
        add(folder, 1001 + 100 * i, portrait(1), **changes)
    opened = Faceset.open(folder)
    for record_, confidence in zip(opened.records, sure, strict=True):
        if confidence is not None:
            matted(opened, record_.face.frame, confidence, mattes)
    return opened


def of(faces: Faceset, frame: int):
    return next(r for r in faces.records if r.face.frame == frame)


def matted(faces: Faceset, frame: int, confidence: float, matte=WHOLE) -> None:
    face = of(faces, frame)
    made = Matte(
        matte=matte, confidence=confidence, segmenter="a", made_of="b" * 64, alignment=face.alignment
    )
    Mattes(faces).write(face, made)


def label(faces: Faceset, frame: int, matte=WHOLE) -> None:
    face = of(faces, frame)
    drawn = Label(kind="matte", matte=matte, alignment=face.alignment, origin="roto")
    Labels(faces).write(face, drawn)


def frames(found: list[rank.Suggestion]) -> list[int]:
    return [each.frame for each in found]


# Before a segmenter was applied


def test_the_first_is_a_usual_one_and_the_next_are_unlike_it():
    faces = [(1001 + 100 * i, yaw, 0) for i, yaw in enumerate([0.0] * 8 + [-40.0] * 3 + [40.0] * 2)]
    found = rank.suggest(in_memory(*faces), 3)
    yaws = {frame: yaw for frame, yaw, _ in faces}
    assert yaws[found[0].frame] == 0.0
    assert {yaws[s.frame] for s in found} == {-40.0, 0.0, 40.0}
    assert all(s.confidence is None for s in found)


def test_neighbours_in_time_are_alike():
    found = rank.suggest(in_memory(*((1001 + i, 0.0, 0) for i in range(100))), 4)
    assert np.diff(sorted(frames(found))).min() >= 20


def test_both_eyes_of_a_frame_are_one_look():
    left = in_memory((1001, 0.0, 0), (1002, 0.0, 0), view="left").columns
    right = in_memory((1001, 0.5, 0), (1002, 0.5, 0), view="right").columns
    both = Faceset(path=Path("nowhere"), columns=Columns.joined([left, right]).ordered())
    found = rank.suggest(both, 2)
    assert sorted(frames(found)) == [1001, 1002]
    assert {s.view for s in found} <= {"left", "right"}


def test_another_person_is_never_like_one():
    found = rank.suggest(
        in_memory(*((1001, 0.0, t) for t in range(3)), *((1400 + i, 20.0, 0) for i in range(9))), 3
    )
    assert {s.track for s in found} == {0, 1, 2}


def test_a_bad_detection_is_not_asked_for_first():
    faces = in_memory(*((1001 + 100 * i, 0.0, 0) for i in range(6)), (2001, 60.0, 0), (2101, -60.0, 0))
    faces.columns.score[faces.columns.frame == 2001] = 0.05
    found = rank.suggest(faces, 2)
    assert found[1].frame == 2101


def test_how_faces_look_counts_where_it_was_measured(tmp_path, colour):
    """One face in another light among many: known by its picture alone."""
    light = np.linspace(0.2, 1.8, SIZE, dtype=np.float32)[None, :, None]
    for i in range(6):
        picture = portrait(1) * (light[:, ::-1] if i == 4 else light)
        add(tmp_path / "f", 1001 + 100 * i, picture.astype(np.float32))
    before = rank.suggest(Faceset.open(tmp_path / "f"), 2)
    assert 1401 not in frames(before)
    found = rank.suggest(measured(tmp_path / "f", colour), 2)
    assert found[1].frame == 1401


def test_a_large_faceset_takes_no_longer():
    some = in_memory(*((1001 + i, 0.5 * i, 0) for i in range(20)))
    count = 20_000
    columns = some.columns.take(np.arange(count) % 20)
    numbers = np.arange(count)
    names = np.array([f"shot_t0.{number}.exr" for number in numbers])
    found = rank.suggest(replace(some, columns=replace(columns, frame=numbers, name=names)), 10)
    assert len(set(frames(found))) == 10
    assert np.ptp(frames(found)) > count / 2
    assert np.diff(sorted(frames(found))).min() > 24


# Labels


def test_what_has_a_label_is_never_asked_for_nor_what_is_like_it(tmp_path):
    folder = tmp_path / "f"
    for frame in (1001, 1002, 1003, 1500):
        add(folder, frame, portrait(1))
    faces = Faceset.open(folder)
    label(faces, 1001)
    assert frames(rank.suggest(faces, 10)) == [1500, 1003, 1002]
    label(faces, 1500)
    assert frames(rank.suggest(faces, 1)) == [1003]
    label(faces, 1002)
    label(faces, 1003)
    assert rank.suggest(faces) == []


# After a segmenter was applied


def test_the_least_sure_come_first(tmp_path):
    faces = on_disk(tmp_path / "f", 0.95, 0.6, 0.9, 0.8)
    found = rank.suggest(faces)
    assert frames(found)[:2] == [1101, 1301]
    assert sorted(frames(found)) == [1001, 1101, 1201, 1301]
    first = found[0]
    assert (first.name, first.frame, first.track, first.view) == ("shot_t0.1101.exr", 1101, 0, "")
    assert first.confidence == pytest.approx(0.6, abs=1e-3)


def test_the_worst_wins_over_the_most_different_of_the_well_known(tmp_path):
    """Half a second from a label, beside four seconds."""
    for frame in (1001, 1013, 1101):
        add(tmp_path / "f", frame, portrait(1))
    faces = Faceset.open(tmp_path / "f")
    label(faces, 1001)
    matted(faces, 1013, 0.8)
    matted(faces, 1101, 0.93)
    assert frames(rank.suggest(faces, 1)) == [1013]


def test_two_bad_stretches_give_one_each(tmp_path):
    for first in (1001, 1501):
        for i in range(4):
            add(tmp_path / "f", first + i, portrait(1))
    faces = Faceset.open(tmp_path / "f")
    for i in range(4):
        matted(faces, 1001 + i, 0.5 + 0.01 * i)
        matted(faces, 1501 + i, 0.7 + 0.01 * i)
    assert frames(rank.suggest(faces, 2)) == [1001, 1501]


def test_another_thing_before_the_face_is_unlike(tmp_path):
    """Of equally doubtful faces of one look, first those that something else covers."""
    faces = on_disk(tmp_path / "f", *[0.7] * 6, mattes=BELOW)
    matted(faces, 1401, 0.7, ABOVE)
    found = frames(rank.suggest(faces, 2))
    assert 1401 in found


def test_a_hand_that_moves_on_is_the_same_hand(tmp_path):
    """Unlike mattes of neighbouring frames count for less than another second of the shot."""
    for frame in (1001, 1002, 1003, 1060):
        add(tmp_path / "f", frame, portrait(1))
    faces = Faceset.open(tmp_path / "f")
    for frame, matte in ((1001, BELOW), (1002, ABOVE), (1003, BELOW), (1060, BELOW)):
        matted(faces, frame, 0.6 if frame == 1001 else 0.65, matte)
    assert frames(rank.suggest(faces, 2)) == [1001, 1060]


def test_a_label_stands_for_faces_that_are_covered_as_it_is(tmp_path):
    faces = on_disk(tmp_path / "f", *[0.7] * 4, mattes=BELOW)
    matted(faces, 1201, 0.7, ABOVE)
    label(faces, 1001, BELOW)
    assert frames(rank.suggest(faces, 1)) == [1201]


def test_faces_without_a_matte_come_last(tmp_path):
    faces = on_disk(tmp_path / "f", 0.9, None, 0.8, None)
    found = rank.suggest(faces)
    assert frames(found)[:2] == [1201, 1001]
    assert [s.confidence is None for s in found] == [False, False, True, True]


def test_a_broken_matte_is_as_none(tmp_path):
    faces = on_disk(tmp_path / "f", 0.9, 0.5)
    Mattes(faces).path(of(faces, 1101)).write_bytes(b"nothing of the kind")
    found = rank.suggest(faces)
    assert frames(found) == [1001, 1101]
    assert found[1].confidence is None


def test_a_pack_can_be_asked(tmp_path):
    faces = on_disk(tmp_path / "f", 0.9, 0.5)
    assert list(pack(PackSettings(faceset=faces.path, out=tmp_path / "p.faceset")))
    packed = rank.suggest(Faceset.open(tmp_path / "p.faceset"))
    assert packed == rank.suggest(faces)
    assert frames(packed) == [1101, 1001]


# Asking


def test_one_person_of_several():
    faces = in_memory((1001, 0.0, 0), (1101, 0.0, 0), (1001, 0.0, 3))
    assert {s.track for s in rank.suggest(faces, 5, track=3)} == {3}
    assert len(rank.suggest(faces, 5)) == 3
    with pytest.raises(InvalidInput, match="track 9"):
        rank.suggest(faces, 5, track=9)


def test_bad_questions(tmp_path):
    with pytest.raises(InvalidInput, match="below 1"):
        rank.suggest(in_memory((1001, 0.0, 0)), 0)
    with pytest.raises(NotFound, match="no face"):
        rank.suggest(Faceset(path=tmp_path))
