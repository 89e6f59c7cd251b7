"""Whom extraction keeps; and faces as they should not be: on their side, tiny, many, grey, beside the screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.core.extraction import (
    SPACE,
    changed,
    copy_of,
    frames_of,
    run_fixture,  # noqa: F401  pytest finds it by its being here
    statuses,
    with_pixels,
)
from understudy.core import plate
from understudy.core.errors import InvalidInput, NoFace, NotFound
from understudy.core.extract import ExtractSettings, Pick
from understudy.core.faceset import Faceset, journal
from understudy.core.faceset.curate import restore
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template
from understudy.core.reports import Artifact, Warned


@pytest.fixture(name="pair")
def pair_fixture(clips, tmp_path: Path) -> str:
    """Four frames with two people side by side: hopper, and the astronaut to the right of x = 320."""

    def beside(frame: Frame) -> Frame:
        other = plate.read(Template.parse(clips.src), frame.number)
        wide = Window(0, 0, 2 * frame.data.width, frame.data.height)
        planes = {n: np.hstack([p, other.planes[n]]) for n, p in frame.planes.items()}
        return replace(frame, planes=planes, data=wide, display=wide)

    return changed(clips.dst, tmp_path / "pair", beside, count=4)


def sides(folder: Path) -> list[str]:
    """Of each face in which half it is."""
    return ["right" if r.face.box[0] > 320 else "left" for r in Faceset.open(folder).records]


def test_pick_keeps_who_stands_there(run, pair, tmp_path: Path):
    faces = tmp_path / "faces"
    run(pair, into="both")
    x0, y0, x1, y1 = next(r.face.box for r in Faceset.open(tmp_path / "both").records if r.face.box[0] > 320)
    there = Pick(frame=1002, x=(x0 + x1) / 2, y=(y0 + y1) / 2)
    reports = run(pair, pick=there)
    (warned,) = [r for r in reports if isinstance(r, Warned)]
    assert warned.reason == "REJECTED"
    assert "4 faces of track" in warned.message
    assert reports[-1] == Artifact(kind="faceset", path=faces)
    assert sides(faces) == ["right"] * 4
    assert len(list((faces / "rejected").glob("*.exr"))) == 4

    again = run(pair, pick=there)  # neither made again nor rejected twice
    assert set(statuses(again).values()) == {"skipped"}
    assert not [r for r in again if isinstance(r, Warned)]
    assert set(statuses(run(pair)).values()) == {"skipped"}
    assert sides(faces) == ["right"] * 4
    assert restore(faces) == 4
    assert sorted(sides(faces)) == ["left"] * 4 + ["right"] * 4


def test_a_pick_of_nobody_moves_nothing(run, pair, tmp_path: Path):
    with pytest.raises(NotFound, match=r"nobody stands at \(3, 4\) on frame 1002"):
        run(pair, pick=Pick(frame=1002, x=3, y=4))
    assert len(sides(tmp_path / "faces")) == 8


def test_a_reference_keeps_who_looks_like_it(run, pair, clips, tmp_path: Path):
    run(copy_of(clips.src, tmp_path / "alone", 1), into="alone")
    (alone,) = Faceset.open(tmp_path / "alone").records
    reports = run(pair, reference=alone.path)
    assert [r.reason for r in reports if isinstance(r, Warned)] == ["REJECTED"]
    assert sides(tmp_path / "faces") == ["right"] * 4
    with pytest.raises(NoFace, match="comes nearest") as caught:
        run(pair, into="strict", reference=alone.path, reference_distance=0.01)
    assert caught.value.field == "reference_distance"
    assert len(sides(tmp_path / "strict")) == 8


def test_at_most_so_many_faces_the_largest(run, pair, tmp_path: Path):
    run(pair, into="both")
    both = Faceset.open(tmp_path / "both").records
    assert {r.faces for r in frames_of(run(pair, max_faces=1))} == {1}
    for kept in Faceset.open(tmp_path / "faces").records:
        assert kept.faces == 1
        widths = [r.face.box[2] - r.face.box[0] for r in both if r.face.frame == kept.face.frame]
        assert kept.face.box[2] - kept.face.box[0] == pytest.approx(max(widths), rel=0.02)


def test_two_people_keep_their_ids_in_a_run_that_goes_on(run, pair, tmp_path: Path):
    run(pair, frames=FrameRange.of(1001, 1002))
    run(pair, frames=FrameRange.of(1003, 1004))
    found = Faceset.open(tmp_path / "faces").records
    assert len({(r.face.track, r.face.box[0] > 320) for r in found}) == 2


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_heads_that_lie_or_hang_are_found_and_followed(run, clips, tmp_path: Path, turn: int):
    def turned(frame: Frame) -> Frame:
        planes = {n: np.ascontiguousarray(np.rot90(p, -turn)) for n, p in frame.planes.items()}
        height, width = planes["R"].shape
        window = Window(0, 0, width, height)
        return replace(frame, planes=planes, data=window, display=window)

    text = changed(clips.dst, tmp_path / "turned", turned, count=3)
    run(copy_of(clips.dst, tmp_path / "copy", 3), into="plain")
    assert set(statuses(run(text)).values()) == {"done"}
    width, height = 320, 240
    for a, b in zip(
        Faceset.open(tmp_path / "faces").records, Faceset.open(tmp_path / "plain").records, strict=True
    ):
        x, y = b.face.landmarks.points.T
        there = {1: (height - y, x), 2: (width - x, height - y), 3: (y, width - x)}[turn]
        off = np.linalg.norm(a.face.landmarks.points - np.stack(there, axis=-1), axis=1)
        assert off.mean() < 0.03 * (b.face.box[2] - b.face.box[0])
        assert (a.face.roll - b.face.roll - 90 * turn + 180) % 360 - 180 == pytest.approx(0, abs=5)


def test_upright_only_does_not_turn_the_picture(run, clips, tmp_path: Path):
    hang = changed(
        clips.dst, tmp_path, lambda f: with_pixels(f, lambda p: np.ascontiguousarray(p[::-1, ::-1])), count=1
    )
    with pytest.raises(NoFace):
        run(hang, upright_only=True)


def test_a_tiny_face_is_found_if_one_asks_for_it(run, clips, tmp_path: Path):
    """A face of 24 pixels in a picture of 640: the usual search stops at 40."""

    def small(frame: Frame) -> Frame:
        window = Window(0, 0, 640, 480)
        planes = {}
        for name, pixels in frame.planes.items():
            plane = np.full((480, 640), 0.05, np.float32)
            shrunk = cv2.resize(pixels.astype(np.float32), (96, 72), interpolation=cv2.INTER_AREA)
            plane[200:272, 300:396] = shrunk
            planes[name] = plane.astype(pixels.dtype)
        return replace(frame, planes=planes, data=window, display=window)

    text = changed(clips.dst, tmp_path, small, count=2)
    assert set(statuses(run(text, smallest=16.0)).values()) == {"done"}
    found = Faceset.open(tmp_path / "faces").records
    assert len(found) == 2
    assert all(
        300 < r.face.box[0] < r.face.box[2] < 396 and r.face.box[2] - r.face.box[0] < 40 for r in found
    )


def test_a_face_beside_the_screen_is_kept_where_it_is(run, clips, tmp_path: Path):
    """In the data window, left of the display window: overscan that a compositor may pan to."""

    def aside(frame: Frame) -> Frame:
        return replace(frame, display=Window(400, 0, 320, 240))

    run(changed(clips.dst, tmp_path, aside))
    run(copy_of(clips.dst, tmp_path / "copy", 2), into="plain")
    beside, plain = (Faceset.open(tmp_path / name).records for name in ("faces", "plain"))
    for a, b in zip(beside, plain, strict=True):
        np.testing.assert_array_equal(a.face.landmarks.points, b.face.landmarks.points)
        assert a.face.box[2] < 400


def test_a_plate_of_luminance_alone_is_extracted_as_grey(run, clips, tmp_path: Path):
    def grey(frame: Frame, *names: str) -> Frame:
        mean = np.mean([p.astype(np.float32) for p in frame.planes.values()], axis=0).astype(np.float16)
        return replace(frame, planes=dict.fromkeys(names, mean))

    run(changed(clips.dst, tmp_path / "y", lambda f: grey(f, "Y")), into="y_faces")
    run(changed(clips.dst, tmp_path / "rgb", lambda f: grey(f, *"RGB")), into="rgb_faces")
    alone, thrice = (Faceset.open(tmp_path / name) for name in ("y_faces", "rgb_faces"))
    assert len(alone.records) == 2
    for a, b in zip(alone.records, thrice.records, strict=True):
        np.testing.assert_array_equal(a.face.landmarks.points, b.face.landmarks.points)
        np.testing.assert_array_equal(alone.load(a), thrice.load(b))


def test_more_looks_move_the_landmarks_a_little(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 1)
    run(text, into="one")
    run(text, looks=3)
    (a,), (b,) = (Faceset.open(tmp_path / name).records for name in ("one", "faces"))
    off = np.linalg.norm(a.face.landmarks.points - b.face.landmarks.points, axis=1).mean()
    assert 0.0 < off < 0.02 * (a.face.box[2] - a.face.box[0])


def test_rejected_frames_are_in_the_journal_still(run, pair, tmp_path: Path):
    run(pair, pick=Pick(frame=1001, x=160, y=120))
    tracks = journal.Journal(tmp_path / "faces", pair).looked[1003].tracks
    assert len(tracks) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("search_every", 0),
        ("search_every", 49),
        ("max_faces", -1),
        ("looks", 0),
        ("workers", -1),
        ("reference_distance", 0.0),
        ("smallest", 1.0),
        ("smallest", float("nan")),
        ("pose", "oracle"),
        ("identity", "oracle"),
        ("reference", Path("/nowhere.png")),
    ],
)
def test_settings_refuse_by_field_and_value(clips, tmp_path: Path, field: str, value: object):
    good = ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path)
    with pytest.raises(InvalidInput) as caught:
        replace(good, **{field: value})  # type: ignore[arg-type]  # that is the test
    assert caught.value.field == field


def test_a_pick_on_a_frame_that_is_not_asked_for_is_refused(clips, tmp_path: Path):
    found = plate.find(clips.src, None, SPACE)
    with pytest.raises(InvalidInput, match="frame 2001 is not in 1001-1008") as caught:
        ExtractSettings(plate=found, faceset=tmp_path, pick=Pick(frame=2001, x=1, y=1))
    assert caught.value.field == "pick.frame"
