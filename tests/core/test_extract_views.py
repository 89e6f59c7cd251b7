"""Stereo plates: both eyes at once, one exposure, and a person is the same person in both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does
import pytest

from tests.core.extraction import (
    copy_of,
    frames_of,
    run_fixture,  # noqa: F401  pytest finds it by its being here
    statuses,
    with_pixels,
)
from understudy.core import plate
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset, journal
from understudy.core.frames import Frame, Window
from understudy.core.plate import Template, Typed
from understudy.core.reports import Artifact, Started, Warned

DISPARITY = 12  # pixels, of a face of 90
FORMS = ("files", "channels", "parts")


def shifted(frame: Frame, by: int = DISPARITY) -> Frame:
    """The other eye's picture of a flat world."""
    return replace(frame, planes={n: np.roll(p, -by, axis=1) for n, p in frame.planes.items()})


def pair(frame: Frame, other: Frame) -> Frame:
    """Two frames side by side."""
    wide = Window(0, 0, frame.data.width + other.data.width, frame.data.height)
    planes = {n: np.hstack([p, other.planes[n]]) for n, p in frame.planes.items()}
    return replace(frame, planes=planes, data=wide, display=wide)


def write(text: str, form: str, number: int, left: Frame, right: Frame) -> None:
    """One frame in both eyes; in `files` of their own, or as `channels` or `parts` of one."""
    template = Template.parse(text)
    if form == "files":
        for view, frame in (("left", left), ("right", right)):
            path = template.of_view(view).path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            plate.write(frame, path)
        return
    if form == "channels":
        both = {**left.planes, **{f"right.{name}": plane for name, plane in right.planes.items()}}
        views = Typed("stringvector", ("left", "right"))
        file = replace(left, planes=both, metadata={**left.metadata, "multiView": views})
    else:
        part = [
            replace(frame, name=f"rgba.{view}", metadata={**frame.metadata, "view": view})
            for view, frame in (("left", left), ("right", right))
        ]
        file = replace(part[0], others=(part[1],))
    plate.write(file, template.path(number))


@pytest.fixture(name="stereo")
def stereo_fixture(clips, tmp_path: Path) -> Callable[..., str]:
    """Make a stereo plate of the first frames of a clip; `change(left, right)` makes other ones of them."""

    def made(form: str = "channels", count: int = 2, change=lambda left, right: (left, right)) -> str:
        text = str(tmp_path / ("%V/shot_%V.%04d.exr" if form == "files" else "shot.%04d.exr"))
        for number in range(1001, 1001 + count):
            frame = plate.read(Template.parse(clips.dst), number)
            write(text, form, number, *change(frame, shifted(frame)))
        return text

    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.exr"))


@pytest.mark.parametrize("form", FORMS)
def test_both_eyes_are_extracted_as_one_shot(run, stereo, tmp_path: Path, form: str):
    text = stereo(form)
    reports = run(text)
    faces = tmp_path / "faces"
    assert reports[0] == Started(total=2)
    assert reports[-1] == Artifact(kind="faceset", path=faces)
    assert [(r.status.value, r.faces, len(r.outputs)) for r in frames_of(reports)] == [("done", 2, 2)] * 2
    assert names(faces) == [f"shot_{eye}_t0.{n}.exr" for eye in ("left", "right") for n in (1001, 1002)]
    found = Faceset.open(faces)
    assert found.views() == ("left", "right")
    assert {r.plate for r in found.records} == {text}
    assert len({r.gain for r in found.records}) == 1
    eyes = {v: [r for r in found.records if r.view == v] for v in found.views()}
    for left, right in zip(eyes["left"], eyes["right"], strict=True):
        assert (left.face.frame, left.face.track, left.faces) == (right.face.frame, 0, 1)
        off = left.face.landmarks.points - right.face.landmarks.points
        np.testing.assert_allclose(off.mean(axis=0), (DISPARITY, 0), atol=1.0)
        assert left.digest != right.digest
    before = {path: path.stat().st_mtime_ns for path in faces.iterdir() if path.is_file()}
    again = run(text)
    assert again[0] == Started(total=2, skipped=2)
    assert [(r.status.value, r.faces) for r in frames_of(again)] == [("skipped", 2)] * 2
    assert {path: path.stat().st_mtime_ns for path in faces.iterdir() if path.is_file()} == before


def test_one_eye_of_a_stereo_plate_is_what_it_is_alone(run, stereo, clips, tmp_path: Path):
    """The default view's faces are those of the same plate without the other eye, but for what names them."""
    run(stereo("channels"))
    run(copy_of(clips.dst, tmp_path / "mono", 2), into="alone")
    both, alone = Faceset.open(tmp_path / "faces"), Faceset.open(tmp_path / "alone")
    left = [r for r in both.records if r.view == "left"]
    assert alone.views() == ("",)
    for a, b in zip(left, alone.records, strict=True):
        np.testing.assert_allclose(a.face.landmarks.points, b.face.landmarks.points, atol=0.5)
        assert a.gain == pytest.approx(b.gain, rel=0.02)
        assert "understudy/view" not in b.header()


@pytest.mark.parametrize("form", FORMS)
def test_the_second_eye_may_come_later(run, stereo, tmp_path: Path, form: str):
    text = stereo(form)

    def eye(*views: str) -> list[int]:
        return [report.faces for report in frames_of(run(text, views=views))]

    assert eye("left") == [1, 1]
    (tmp_path / "faces" / "shot_left_t0.1001.exr").unlink()  # it stays deleted
    before = (tmp_path / "faces" / "shot_left_t0.1002.exr").stat().st_mtime_ns
    assert eye() == [1, 2]
    assert eye("right") == [1, 1]
    found = Faceset.open(tmp_path / "faces")
    assert [(r.view, r.face.frame, r.face.track) for r in found.records] == [
        ("right", 1001, 0), ("left", 1002, 0), ("right", 1002, 0),
    ]  # fmt: skip
    assert len({r.gain for r in found.records}) == 1
    assert found.records[1].path.stat().st_mtime_ns == before
    with pytest.raises(InvalidInput, match="centre"):
        eye("centre")


def test_eyes_extracted_one_by_one_agree_on_who_is_who(run, stereo, clips, tmp_path: Path):
    """Each run meets the second person in another frame; the later one takes up the ids of the first."""

    def change(left: Frame, right: Frame) -> tuple[Frame, Frame]:
        other = plate.read(Template.parse(clips.src), left.number)
        nobody = with_pixels(other, lambda p: np.full_like(p, 0.1))
        return pair(left, other), pair(right, nobody if left.number == 1001 else other)

    text = stereo("files", change=change)
    run(text, views=("right",))
    gain = Faceset.open(tmp_path / "faces").records[0].gain
    run(text, views=("left",))
    found = Faceset.open(tmp_path / "faces").records
    assert {r.gain for r in found} == {gain}
    where = {(r.face.frame, r.view, r.face.track): r.face.box[0] > 320 for r in found}
    assert where == {
        (1001, "left", 0): False, (1001, "right", 0): False, (1001, "left", 1): True,
        (1002, "left", 0): False, (1002, "right", 0): False, (1002, "left", 1): True, (1002, "right", 1): True,
    }  # fmt: skip


def test_who_is_in_one_eye_only_has_an_id_of_their_own(run, stereo, clips, tmp_path: Path):
    def change(left: Frame, right: Frame) -> tuple[Frame, Frame]:
        other = plate.read(Template.parse(clips.src), left.number)
        nobody = with_pixels(other, lambda p: np.full_like(p, 0.1))
        seen = left.number == 1001
        return pair(left, nobody if seen else other), pair(right, other)

    reports = run(stereo("parts", change=change))
    assert [r.faces for r in frames_of(reports)] == [3, 4]
    found = Faceset.open(tmp_path / "faces").records
    where = {(r.face.frame, r.view, r.face.track): r.face.box[0] > 320 for r in found}
    assert where == {
        (1001, "left", 0): False, (1001, "right", 0): False, (1001, "right", 1): True,
        (1002, "left", 0): False, (1002, "right", 0): False, (1002, "left", 1): True, (1002, "right", 1): True,
    }  # fmt: skip


def test_a_frame_of_which_one_eye_is_missing_or_broken(run, stereo, tmp_path: Path):
    text = stereo("files", count=4)
    right = Template.parse(text).of_view("right")
    right.path(1002).unlink()
    right.path(1003).write_bytes(right.path(1003).read_bytes()[:3000])
    reports = run(text)
    assert statuses(reports) == {1001: "done", 1002: "missing", 1003: "failed", 1004: "done"}
    told = {r.frame: r.message for r in frames_of(reports)}
    assert told[1002].startswith(f"right: {right.path(1002)}: frame 1002")
    assert told[1003].startswith(f"right: {right.path(1003)}")
    assert {r.face.frame for r in Faceset.open(tmp_path / "faces").records} == {1001, 1004}
    assert {json.loads(line)["frame"] for line in (tmp_path / "faces" / journal.NAME).open()} == {1001, 1004}


def test_a_frame_without_one_of_the_views(run, stereo, clips):
    text = stereo("channels", count=3)
    plate.write(plate.read(Template.parse(clips.dst), 1002), Template.parse(text).path(1002))
    reports = run(text)
    assert statuses(reports) == {1001: "done", 1002: "failed", 1003: "done"}
    assert "view: no 'left'" in frames_of(reports)[1].message


def test_warnings_name_the_eye(run, stereo):
    def change(left: Frame, right: Frame) -> tuple[Frame, Frame]:
        def hole(pixels: np.ndarray) -> np.ndarray:
            pixels[10, 20:23] = np.nan
            return pixels

        return left, with_pixels(right, hole)

    (report,) = frames_of(run(stereo("channels", 1, change)))
    (warning,) = report.warnings
    assert warning.startswith("right: 3 pixels are not finite, first at (20, 10)")


def test_another_render_of_one_eye_is_looked_at_alone(run, stereo, tmp_path: Path):
    text = stereo("files")
    run(text)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "faces").glob("*.exr")}
    os.utime(Template.parse(text).of_view("right").path(1002), ns=(1, 1))
    reports = run(text)
    assert [(r.status.value, r.faces) for r in frames_of(reports)] == [("skipped", 2), ("done", 2)]
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "faces").glob("*.exr")}
    assert {name for name in after if after[name] != before[name]} == {"shot_right_t0.1002.exr"}


def test_a_plate_that_was_mono_and_is_stereo_now_leaves_no_mono_face(run, stereo, clips, tmp_path: Path):
    text = str(tmp_path / "shot.%04d.exr")
    for number in (1001, 1002):
        plate.write(plate.read(Template.parse(clips.dst), number), Template.parse(text).path(number))
    run(text)
    assert names(tmp_path / "faces") == ["shot_t0.1001.exr", "shot_t0.1002.exr"]
    assert stereo("channels") == text
    run(text)
    assert Faceset.open(tmp_path / "faces").views() == ("left", "right")
    assert len(names(tmp_path / "faces")) == 4


def test_a_views_name_does_not_lead_out_of_the_folder(run, clips, tmp_path: Path):
    frame = plate.read(Template.parse(clips.dst), 1001)
    hostile = replace(frame, metadata={**frame.metadata, "view": "../../left"})
    plate.write(hostile, tmp_path / "deep.1001.exr")
    run(str(tmp_path / "deep.%04d.exr"), into="a/faces")
    (record,) = Faceset.open(tmp_path / "a" / "faces").records
    assert record.view == "../../left"
    assert not list(tmp_path.glob("*_t0*"))
    assert not list((tmp_path / "a").glob("*.exr"))


def test_files_of_two_plates_do_not_collide_by_their_views(run, stereo, clips, tmp_path: Path):
    """A mono plate called shot_left, and the left eye of one called shot."""
    (tmp_path / "mono").mkdir()
    plate.write(plate.read(Template.parse(clips.dst), 1001), tmp_path / "mono" / "shot_left.1001.exr")
    run(str(tmp_path / "mono" / "shot_left.%04d.exr"))
    run(stereo("channels", 1))
    found = Faceset.open(tmp_path / "faces").records
    assert sorted(r.view for r in found) == ["", "left", "right"]
    assert len({r.path for r in found}) == 3


def test_a_lossy_plate_is_told_once(run, clips, tmp_path: Path):
    for number in (1001, 1002):
        buffer = oiio.ImageBuf(str(Template.parse(clips.dst).path(number)))
        buffer.specmod().attribute("compression", "dwaa")
        assert buffer.write(str(tmp_path / f"lossy.{number}.exr"))
    text = str(tmp_path / "lossy.%04d.exr")
    (warned,) = [r for r in run(text) if isinstance(r, Warned)]
    assert warned.reason == "LOSSY_PLATE"
    assert "lossy.####.exr: compressed with dwaa" in warned.message
    assert not [r for r in run(copy_of(clips.dst, tmp_path / "good", 1)) if isinstance(r, Warned)]
