"""What a person gives by hand: kept, checked, interpolated; and extraction makes just these frames again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.extraction import (
    copy_of,
    frames_of,
    run_fixture,  # noqa: F401  pytest finds it by its being here
    statuses,
    with_pixels,
)
from tests.core.heads import face as head
from understudy.core import plate
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset import Faceset
from understudy.core.faceset.manual import NAME, Manual, ManualFace
from understudy.core.frames import FrameRange
from understudy.core.plate import Template

PLATE = "/plates/shot.%04d.exr"


def points(shift: float = 0.0) -> tuple[tuple[float, float], ...]:
    return tuple((float(x) + shift, float(y)) for x, y in head())


def five(x: float, y: float, size: float) -> tuple[tuple[float, float], ...]:
    """A face of this size whose middle is there: right eye, left eye, nose, mouth's corners."""
    unit = ((0.2255, 0.216), (0.7548, 0.216), (0.4901, 0.5156), (0.2541, 0.7802), (0.7261, 0.7802))
    return tuple((x + (u - 0.49) * size, y + (v - 0.47) * size) for u, v in unit)


def at(frame: int, **what) -> ManualFace:
    return ManualFace(**{"plate": PLATE, "track": 0, "frame": frame, **what})


def test_what_is_set_is_kept_and_the_last_word_counts(tmp_path: Path):
    manual = Manual.read(tmp_path / "faces")
    assert manual.faces == ()
    assert (
        manual.set([at(1001, points=points()), at(1002, box=(1.0, 2.0, 30.0, 40.5)), at(1003, absent=True)])
        == 3
    )
    assert (
        manual.set([at(1001, points=five(50, 60, 80), interpolate=True), at(1001, track=2, absent=True)]) == 4
    )
    again = Manual.read(tmp_path / "faces")
    assert again.faces == manual.faces
    given: list[ManualFace] = list(again.faces)
    kept = [(face.frame, face.track, face.kind) for face in given]
    assert kept == [
        (1001, 0, "5"), (1002, 0, "box"), (1003, 0, "absent"), (1001, 2, "absent"),
    ]  # fmt: skip
    assert not list((tmp_path / "faces").glob(".*"))
    assert json.loads((tmp_path / "faces" / NAME).read_text())["format"] == 1


def test_delete_forgets_what_is_named_and_says_where_there_is_nothing(tmp_path: Path):
    manual = Manual(tmp_path)
    manual.set([at(n, track=t, absent=True) for n in (1001, 1002, 1003) for t in (0, 1)])
    assert manual.delete(track=1, frames=FrameRange.of(1002, 1003)) == 2
    assert [(f.track, f.frame) for f in Manual.read(tmp_path).faces] == [
        (0, 1001),
        (0, 1002),
        (0, 1003),
        (1, 1001),
    ]
    with pytest.raises(NotFound, match="track 7 on 1001"):
        manual.delete(track=7, frames=FrameRange.of(1001, 1001))
    with pytest.raises(NotFound):
        manual.delete(plate="/plates/other.%04d.exr")
    assert manual.delete() == 4
    assert Manual.read(tmp_path).faces == ()


@pytest.mark.parametrize(
    ("what", "field", "word"),
    [
        ({"points": points()[:67]}, "points", "67 points"),
        ({"points": (*points()[:5], (np.nan, 0.0), *points()[6:])}, "points", "not finite"),
        ({"points": ((5.0, 5.0),) * 5}, "points", "one place"),
        ({"box": (0.0, 0.0, np.inf, 9.0)}, "box", "not finite"),
        ({"box": (9.0, 0.0, 3.0, 9.0)}, "box", "x0 < x1"),
        ({"box": (0.0, 0.0, 9.0, 9.0), "absent": True}, "points", "just one"),
        ({}, "points", "just one"),
        ({"absent": True, "track": -1}, "track", "below 0"),
        ({"absent": True, "track": 2**31 - 1}, "track", "more than a header holds"),
    ],
)
def test_what_cannot_be_is_refused_with_frame_and_field(what: dict[str, object], field: str, word: str):
    with pytest.raises(InvalidInput, match=word) as caught:
        at(1007, **what)
    assert (caught.value.frame, caught.value.field) == (1007, field)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"format": 2, "faces": []}', '{"format": 1, "faces": [{"frame": 1, "track": 0}]}',
             '{"format": 1, "faces": [{"frame": 1, "track": 0, "box": [1]}]}', '{"format": 1, "faces": [3]}',
             '{"format": 1, "faces": [{"frame": 1, "track": 1e999, "absent": true}]}', "[" * 100_000,
             '{"format": 1, "faces": [{"frame": "1", "track": 0, "absent": true}]}',
             '{"format": 1, "faces": [{"frame": 1, "track": 0, "box": [0, 0, 1%s, 9]}]}' % ("0" * 400)]
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_not_overlooked(tmp_path: Path, text: str):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(FrameUnreadable, match=r"manual\.json"):
        Manual.read(tmp_path)


@given(first=st.integers(-50, 50), span=st.integers(2, 40), part=st.floats(0, 1))
def test_between_two_keys_is_a_straight_line(first: int, span: int, part: float):
    frame = min(first + span - 1, max(first + 1, first + round(part * span)))
    a, b = at(first, points=points(), interpolate=True), at(first + span, points=points(100.0))
    (face,) = Manual(Path(), [a, b]).at(PLATE, "", frame)
    shift = 100.0 * (frame - first) / span
    np.testing.assert_allclose(np.array(face.points) - np.array(points()), [(shift, 0.0)] * 68, atol=1e-9)
    assert (face.frame, face.origin, face.between) == (frame, "interpolated", True)


def test_interpolation_stays_within_a_kind_a_track_and_a_view_and_keys_come_first():
    box = (10.0, 10.0, 50.0, 50.0)
    manual = Manual(
        Path(),
        [
            at(1001, box=box, interpolate=True),
            at(1005, points=points()),  # another kind: not what the box goes on to
            at(1009, box=(30.0, 10.0, 70.0, 50.0)),
            at(1003, absent=True),
            at(1001, track=1, box=box),  # does not ask for it
            at(1009, track=1, box=box),
            at(1001, track=2, box=box, view="left", interpolate=True),
            at(1009, track=2, box=box, view="right"),
        ],
    )
    of = {n: manual.at(PLATE, "", n) for n in range(1000, 1012)}
    assert [face.kind for face in of[1003]] == ["absent"]
    assert [(face.kind, face.origin) for face in of[1005]] == [("68", "manual")]
    assert of[1004][0].box == pytest.approx((17.5, 10.0, 57.5, 50.0))
    assert of[1004][0].origin == "guided"
    assert [face.track for face in of[1004]] == [0]
    assert of[1000] == of[1010] == []
    assert [n for n in range(1000, 1012) if manual.at(PLATE, "left", n)] == [1001]
    assert manual.at("/plates/other.%04d.exr", "", 1001) == []


def test_a_face_without_a_plate_is_of_any():
    manual = Manual(Path(), [at(1001, plate="", absent=True)])
    assert [face.plate for face in manual.at(PLATE, "", 1001)] == [PLATE]


def test_five_points_and_a_box_say_about_where_the_face_is():
    for what in ({"points": five(300, 200, 100)}, {"box": (240.0, 140.0, 360.0, 260.0)}):
        face = at(1001, **what).rough()
        x0, y0, x1, y1 = face.box
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((300, 200), abs=1)
        assert x1 - x0 == pytest.approx(120, abs=2)
        assert face.landmarks.points.shape == (68, 2)
        np.testing.assert_allclose(face.landmarks.points[[36, 45]].mean(axis=0), (300, 174.6), atol=1.0)


@pytest.fixture(name="shot")
def shot_fixture(run, clips, tmp_path: Path) -> str:
    """Six frames, extracted; on 1003 the face is painted over, and so not found."""
    text = copy_of(clips.dst, tmp_path / "plate", 6)
    template = Template.parse(text)
    grey = with_pixels(plate.read(template, 1003), lambda p: p * 0.0 + 0.2)
    plate.write(grey, template.path(1003))
    assert statuses(run(text))[1003] == "no_face"
    return text


def test_landmarks_by_hand_are_taken_as_they_are_and_only_their_frame_is_made_again(
    run, shot, tmp_path: Path
):
    faces = tmp_path / "faces"
    before = {p.name: p.stat().st_mtime_ns for p in faces.glob("*.exr")}
    given = {r.face.frame: r.face for r in Faceset.open(faces).records}[1002].landmarks.points.astype(float)
    Manual.read(faces).set([at(1003, plate=shot, points=tuple(map(tuple, given.tolist())))])
    assert [n for n, status in statuses(run(shot)).items() if status != "skipped"] == [1003]
    found = {r.face.frame: r for r in Faceset.open(faces).records}
    face = found[1003].face
    assert (face.track, face.origin) == (0, "manual")
    np.testing.assert_allclose(face.landmarks.points, given, atol=1e-3)
    after = {p.name: p.stat().st_mtime_ns for p in faces.glob("*.exr")}
    assert {name: after[name] for name in before} == before
    assert set(statuses(run(shot)).values()) == {"skipped"}
    Manual.read(faces).delete()
    assert [n for n, status in statuses(run(shot)).items() if status != "skipped"] == [1003]
    assert 1003 not in {r.face.frame for r in Faceset.open(faces).records}


def test_a_box_and_five_points_guide_the_landmarker(run, shot, tmp_path: Path):
    faces = tmp_path / "faces"
    found = {r.face.frame: r.face for r in Faceset.open(faces).records}
    p = found[1004].landmarks.points.astype(float)
    eyes_nose_mouth = (p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54])
    given = tuple((float(x) + 2.0, float(y) - 1.5) for x, y in eyes_nose_mouth)
    Manual.read(faces).set([at(1004, plate=shot, points=given), at(1005, plate=shot, box=found[1005].box)])
    assert [n for n, status in statuses(run(shot)).items() if status != "skipped"] == [1004, 1005]
    again = {r.face.frame: r.face for r in Faceset.open(faces).records}
    for number in (1004, 1005):
        assert (again[number].track, again[number].origin) == (0, "guided")
        x0, _, x1, _ = found[number].box
        off = np.linalg.norm(again[number].landmarks.points - found[number].landmarks.points, axis=1)
        assert off.mean() < 0.03 * (x1 - x0)


def test_absent_removes_who_was_found_and_no_other(run, shot, tmp_path: Path):
    faces = tmp_path / "faces"
    Manual.read(faces).set([at(1004, plate=shot, absent=True), at(1005, plate=shot, track=5, absent=True)])
    assert [r.faces for r in frames_of(run(shot))] == [1, 1, 0, 0, 1, 1]
    assert {r.face.frame for r in Faceset.open(faces).records} == {1001, 1002, 1005, 1006}


def test_interpolated_faces_fill_a_gap(run, shot, tmp_path: Path):
    faces = tmp_path / "faces"
    found = {r.face.frame: r.face for r in Faceset.open(faces).records}
    keys = [
        at(n, plate=shot, points=tuple(map(tuple, found[n].landmarks.points.tolist())), interpolate=n == 1002)
        for n in (1002, 1004)
    ]
    Manual.read(faces).set(keys)
    assert [n for n, status in statuses(run(shot)).items() if status != "skipped"] == [1002, 1003, 1004]
    again = {r.face.frame: r.face for r in Faceset.open(faces).records}
    assert [again[n].origin for n in range(1001, 1007)] == [
        "found", "manual", "interpolated", "manual", "found", "found",
    ]  # fmt: skip
    middle = (found[1002].landmarks.points + found[1004].landmarks.points) / 2
    np.testing.assert_allclose(again[1003].landmarks.points, middle, atol=1e-3)


def test_ids_given_before_the_first_extraction_are_lent_to_what_is_found(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 4)
    run(text, into="plain")
    box = Faceset.open(tmp_path / "plain").records[1].face.box
    Manual.read(tmp_path / "faces").set([at(1002, plate=text, track=7, box=box)])
    run(text)
    assert [(r.face.track, r.face.origin) for r in Faceset.open(tmp_path / "faces").records] == [
        (7, "found"), (7, "guided"), (7, "found"), (7, "found"),
    ]  # fmt: skip


def test_what_lies_outside_the_picture_fails_its_frame_alone(run, shot, tmp_path: Path):
    far = replace(at(1005, plate=shot, track=3, points=points(90_000.0)))
    Manual.read(tmp_path / "faces").set([far])
    reports = {r.frame: r for r in frames_of(run(shot))}
    assert (reports[1005].status.value, reports[1005].reason) == ("failed", "INVALID_INPUT")
    assert "given by hand" in reports[1005].message
    assert {r.status.value for n, r in reports.items() if n != 1005} == {"skipped"}
