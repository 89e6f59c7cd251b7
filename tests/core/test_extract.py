"""Extraction: real faces out of real plates, and everything that may be wrong with a plate."""

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
from understudy.core import extract, plate, release, warp
from understudy.core.errors import InvalidInput, NoFace, ReleaseInvalid, WeightsMissing, WriteFailed
from understudy.core.extract import ExtractSettings
from understudy.core.faceset import Faceset, journal
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template
from understudy.core.reports import Artifact, FrameStatus, Started, Warned
from understudy.core.weights import WeightStore


@pytest.mark.parametrize("who", ["src", "dst"])
def test_a_plate_becomes_a_faceset(run, clips, colour, tmp_path: Path, who: str):
    text = getattr(clips, who)
    reports = run(text)
    assert reports[0] == Started(total=8)
    assert reports[-1] == Artifact(kind="faceset", path=tmp_path / "faces")
    assert set(statuses(reports).values()) == {"done"}
    found = Faceset.open(tmp_path / "faces")
    assert [r.face.frame for r in found.records] == list(clips.frames)
    assert {(r.face.track, r.plate, r.colour) for r in found.records} == {(0, text, colour.working)}
    assert len({r.gain for r in found.records}) == 1
    assert not found.broken
    for report, record in zip(frames_of(reports), found.records, strict=True):
        assert report.outputs == (record.path,)
        assert report.faces == 1
        assert report.confidence == pytest.approx(record.face.score, abs=1e-6)
        assert set(report.seconds) == {"read", "detect", "write"}
        assert (record.alignment.size, record.alignment.face_type) == (128, "whole")
        assert abs(record.face.roll) < 20


def test_the_crop_is_the_plates_own_light(run, clips, colour, tmp_path: Path):
    """Scene-linear, not a proxy: the stored face is the plate's pixels, warped, to the precision of half."""
    run(clips.dst)
    found = Faceset.open(tmp_path / "faces")
    record = found.records[3]
    frame = plate.read(Template.parse(clips.dst), record.face.frame)
    expected = warp.to_aligned(colour.to_working(frame.rgb(), SPACE), frame.data, record.alignment)
    np.testing.assert_allclose(found.load(record), expected, rtol=2e-3, atol=1e-4)


def test_the_gain_brings_the_face_to_mid_grey_however_dark_the_plate(run, clips, tmp_path: Path):
    dark = changed(clips.dst, tmp_path, lambda f: with_pixels(f, lambda p: p * 0.02))
    bright = changed(clips.dst, tmp_path / "b", lambda f: f)
    run(dark, into="dark")
    run(bright, into="bright")
    a, b = (Faceset.open(tmp_path / name).records[0] for name in ("dark", "bright"))
    assert a.gain / b.gain == pytest.approx(50.0, rel=0.05)
    np.testing.assert_allclose(a.face.landmarks.points, b.face.landmarks.points, atol=1.0)


def test_bad_frames_are_reported_and_the_rest_is_done(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 6)
    template = Template.parse(text)
    template.path(1002).unlink()
    template.path(1003).write_bytes(b"")
    template.path(1005).write_bytes(template.path(1005).read_bytes()[:2000])
    reports = run(text)
    assert statuses(reports) == {
        1001: "done", 1002: "missing", 1003: "failed", 1004: "done", 1005: "failed", 1006: "done",
    }  # fmt: skip
    by_frame = {r.frame: r for r in frames_of(reports)}
    assert by_frame[1002].reason == "FRAME_MISSING"
    for number, word in ((1002, "1002"), (1003, "zero bytes"), (1005, "truncated")):
        assert word in by_frame[number].message
        assert str(template.path(number)) in by_frame[number].message
    assert by_frame[1003].reason == "FRAME_UNREADABLE"
    assert [r.face.frame for r in Faceset.open(tmp_path / "faces").records] == [1001, 1004, 1006]


def test_a_plate_without_rgb_says_which_channels_it_has(run, clips, tmp_path: Path):
    text = changed(clips.dst, tmp_path, lambda f: replace(f, planes={"Z": f.planes["R"]}))
    reports = frames_of(run(text))
    assert {r.status for r in reports} == {FrameStatus.FAILED}
    assert "it has Z" in reports[0].message


def test_frames_without_a_face(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 3)
    template = Template.parse(text)
    empty = with_pixels(plate.read(template, 1002), lambda p: np.full_like(p, 0.2))
    plate.write(empty, template.path(1002))
    assert statuses(run(text)) == {1001: "done", 1002: "no_face", 1003: "done"}
    assert statuses(run(text)) == {1001: "skipped", 1002: "skipped", 1003: "skipped"}


def test_no_face_anywhere_names_plate_and_range(run, clips, tmp_path: Path):
    text = changed(clips.dst, tmp_path, lambda f: with_pixels(f, lambda p: np.full_like(p, 0.2)), count=3)
    with pytest.raises(NoFace, match=r"changed\.####\.exr \(1001-1003\)") as caught:
        run(text)
    assert caught.value.value == "1001-1003"
    with pytest.raises(NoFace):  # still, though nothing is looked at again
        run(text)


def test_nan_and_inf_do_not_spread(run, clips, tmp_path: Path):
    def hole(pixels: np.ndarray) -> np.ndarray:
        pixels[100:104, 150:154], pixels[10, 10] = np.nan, np.inf
        return pixels

    reports = run(changed(clips.dst, tmp_path, lambda f: with_pixels(f, hole)))
    assert set(statuses(reports).values()) == {"done"}
    assert "17 pixels are not finite, first at (10, 10)" in frames_of(reports)[0].warnings[0]
    found = Faceset.open(tmp_path / "faces")
    assert np.isfinite(found.load(found.records[0])).all()


def test_two_people_are_two_tracks(run, clips, tmp_path: Path):
    def pair(frame: Frame) -> Frame:
        other = plate.read(Template.parse(clips.src), frame.number)
        wide = Window(0, 0, 2 * frame.data.width, frame.data.height)
        planes = {n: np.hstack([p, other.planes[n]]) for n, p in frame.planes.items()}
        return replace(frame, planes=planes, data=wide, display=wide)

    reports = run(changed(clips.dst, tmp_path, pair, count=4))
    assert {r.faces for r in frames_of(reports)} == {2}
    assert all(len(r.outputs) == 2 for r in frames_of(reports))
    found = Faceset.open(tmp_path / "faces")
    assert len(found.records) == 8
    for person in (0, 1):
        boxes = [r.face.box[0] for r in found.select(person).records]
        assert len(boxes) == 4
        assert np.ptp(boxes) < 30
    half = found.records[0].path
    half.unlink()  # one of two faces of a frame: deleted
    assert set(statuses(run(str(tmp_path / "changed.%04d.exr"))).values()) == {"skipped"}
    (tmp_path / "faces" / journal.NAME).unlink()  # and now no more than not there
    assert list(statuses(run(str(tmp_path / "changed.%04d.exr"))).values()) == ["done"] + ["skipped"] * 3
    assert half.is_file()


@pytest.mark.parametrize("aspect", [2.0, 1.33])
def test_an_anamorphic_plate_gives_the_same_faces(run, clips, tmp_path: Path, aspect: float):
    def squeeze(frame: Frame) -> Frame:
        size = (round(frame.data.width / aspect), frame.data.height)
        narrow = Window(0, 0, *size)
        planes = {
            n: cv2.resize(p.astype(np.float32), size, interpolation=cv2.INTER_AREA).astype(p.dtype)
            for n, p in frame.planes.items()
        }
        return replace(frame, planes=planes, data=narrow, display=narrow, pixel_aspect=aspect)

    run(changed(clips.dst, tmp_path, squeeze))
    run(clips.dst, into="plain", frames=FrameRange.of(1001, 1002))
    squeezed, plain = (Faceset.open(tmp_path / n) for n in ("faces", "plain"))
    for a, b in zip(squeezed.records, plain.records, strict=True):
        assert a.pixel_aspect == pytest.approx(aspect)
        width, height = b.plate_size.split("x")
        assert a.plate_size == f"{round(int(width) / aspect)}x{height}"
        off = np.linalg.norm(a.face.landmarks.points * (aspect, 1.0) - b.face.landmarks.points, axis=1)
        assert off.mean() < 1.5
        np.testing.assert_allclose(
            a.alignment.matrix / (aspect, 1.0, 1.0), b.alignment.matrix, rtol=0.06, atol=3.0
        )
        assert (a.face.yaw, a.face.pitch) == pytest.approx((b.face.yaw, b.face.pitch), abs=5)
        # half the pixels across are not as sharp, and move the networks' points a little
        soft = [cv2.GaussianBlur(f.load(r), (0, 0), 2.0) for f, r in ((squeezed, a), (plain, b))]
        logs = [np.log(np.maximum(picture, 0.02)).ravel() for picture in soft]
        assert np.corrcoef(logs[0], logs[1])[0, 1] > 0.98


def test_landmarks_are_in_the_files_own_coordinates(run, clips, tmp_path: Path):
    """A data window that begins elsewhere moves the points with it, and not the crop."""

    def shift(frame: Frame) -> Frame:
        return replace(frame, data=replace(frame.data, x=frame.data.x - 40, y=frame.data.y + 25))

    run(changed(clips.dst, tmp_path, shift))
    run(copy_of(clips.dst, tmp_path / "copy", 2), into="plain")
    moved, plain = (Faceset.open(tmp_path / n) for n in ("faces", "plain"))
    for a, b in zip(moved.records, plain.records, strict=True):
        np.testing.assert_allclose(
            a.face.landmarks.points, b.face.landmarks.points + np.array((-40, 25)), atol=1e-3
        )
        assert a.face.box == pytest.approx(np.array(b.face.box) + np.array((-40, 25, -40, 25)), abs=1e-3)
        np.testing.assert_allclose(moved.load(a), plain.load(b), rtol=2e-3, atol=2e-3)


def test_a_face_that_the_data_window_cuts_is_found_where_it_is(run, clips, tmp_path: Path):
    """A cropped render that ends within the face: what is there is aligned as if all were there."""
    run(clips.dst, into="plain", frames=FrameRange.of(1001, 1002))
    plain = Faceset.open(tmp_path / "plain").records
    x0, y0, x1, y1 = plain[0].face.box
    edge = round(x1 - 0.08 * (x1 - x0))

    def cropped(frame: Frame) -> Frame:
        data = Window(10, 6, edge - 10, frame.data.height - 6)
        rows, columns = data.slices(frame.data)
        return replace(frame, data=data, planes={n: p[rows, columns] for n, p in frame.planes.items()})

    run(changed(clips.dst, tmp_path, cropped))
    found = Faceset.open(tmp_path / "faces")
    assert len(found.records) == 2
    for a, b in zip(found.records, plain, strict=True):
        off = np.linalg.norm(a.face.landmarks.points - b.face.landmarks.points, axis=1)
        assert off.mean() < 0.03 * (y1 - y0)
        assert np.isfinite(found.load(a)).all()


def test_two_plates_of_one_name_share_a_faceset(run, clips, tmp_path: Path):
    one, two = copy_of(clips.dst, tmp_path / "one", 2), copy_of(clips.dst, tmp_path / "two", 2)
    run(one)
    assert set(statuses(run(two)).values()) == {"done"}
    assert {r.plate for r in Faceset.open(tmp_path / "faces").records} == {one, two}
    assert len(Faceset.open(tmp_path / "faces").records) == 4
    for text in (one, two):
        assert set(statuses(run(text)).values()) == {"skipped"}


def test_a_broken_image_in_the_faceset_is_told(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 2)
    run(text)
    (tmp_path / "faces" / "old.exr").write_bytes(b"no image")
    (warned,) = [r for r in run(text) if isinstance(r, Warned)]
    assert "old.exr" in warned.message


def test_the_release_goes_with_the_faces(run, clips, tmp_path: Path):
    text = copy_of(clips.src, tmp_path / "plate", 1)
    ours = release.create(subject="performer-a", kind="test", granted_by="test clip")
    run(text, release=ours)
    found = Faceset.open(tmp_path / "faces")
    assert found.release() == ours
    assert found.records[0].release == ours.id
    other = release.create(subject="performer-b", kind="test", granted_by="test clip")
    with pytest.raises(InvalidInput, match="performer-a") as caught:
        run(text, release=other)
    assert caught.value.field == "release"
    (tmp_path / "faces" / "release.json").write_text("broken")
    with pytest.raises(ReleaseInvalid):
        run(text, release=ours)


def test_a_release_may_come_when_all_is_extracted(run, clips, tmp_path: Path):
    run(clips.dst, frames=FrameRange.of(1001, 1003))
    granted = release.create(subject="performer-a", kind="test", granted_by="test clip")
    again = run(clips.dst, frames=FrameRange.of(1001, 1003), release=granted)
    assert set(statuses(again).values()) == {"skipped"}
    assert Faceset.open(tmp_path / "faces").release() == granted


def test_an_output_that_cannot_be_written(run, clips, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteFailed, match="file"):
        run(clips.src, into="file/faces")


def test_missing_weights_are_asked_for(clips, colour, tmp_path: Path):
    settings = ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path / "faces")
    with pytest.raises(WeightsMissing, match="understudy weights pull"):
        next(extract.run(settings, store=WeightStore(tmp_path), colour=colour))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detector", "oracle"),
        ("landmarker", "oracle"),
        ("face_type", "nose"),
        ("size", 8),
        ("size", 5000),
        ("min_score", 1.5),
    ],
)
def test_settings_refuse_by_field_and_value(clips, tmp_path: Path, field: str, value: object):
    good = ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path)
    with pytest.raises(InvalidInput) as caught:
        replace(good, **{field: value})  # type: ignore[arg-type]  # that is the test
    assert (caught.value.field, caught.value.value) == (field, value)


def test_settings_want_a_colour_space_and_a_folder(clips, colour, weight_store, tmp_path: Path):
    with pytest.raises(InvalidInput, match="colour space"):
        ExtractSettings(plate=plate.find(clips.src), faceset=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file"):
        ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path / "file")
    unknown = ExtractSettings(plate=plate.find(clips.src, None, "Rec.2101"), faceset=tmp_path / "faces")
    with pytest.raises(InvalidInput, match=r"Rec\.2101"):
        next(extract.run(unknown, store=weight_store, colour=colour))
