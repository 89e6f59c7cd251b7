"""Facesets: what is written is read, a person may edit the folder, and one person is chosen or asked for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.core.faces import KEPT, fill, pixels, record
from understudy.core import faceset, plate, release
from understudy.core.errors import InvalidInput, NotFound, ReleaseInvalid, TrackAmbiguous
from understudy.core.faceset import Faceset


def test_all_of_a_record_comes_back(tmp_path: Path):
    written = record(tmp_path)
    faceset.write(written, pixels())
    (found,) = Faceset.open(tmp_path).records
    for name in KEPT:
        assert getattr(found, name) == getattr(written, name)
    for name in ("frame", "box", "score", "pitch", "yaw", "roll", "track"):
        assert getattr(found.face, name) == pytest.approx(getattr(written.face, name), abs=1e-4)
    np.testing.assert_allclose(found.face.landmarks.points, written.face.landmarks.points, atol=1e-4)
    np.testing.assert_array_equal(found.alignment.matrix, written.alignment.matrix)
    assert (found.alignment.size, found.alignment.face_type) == (64, "whole")


def test_pixels_come_back_as_half(tmp_path: Path):
    picture = pixels()
    picture[0, 0] = (-0.25, 900.0, 1e6)
    faceset.write(record(tmp_path), picture)
    found = Faceset.open(tmp_path)
    back = found.load(found.records[0])
    assert back.dtype == np.float32
    assert back[0, 0].tolist() == [-0.25, 900.0, 65504.0]
    np.testing.assert_allclose(back[1:], picture[1:], rtol=1e-3)


def test_headers_are_what_every_host_carries(tmp_path: Path):
    fill(tmp_path, (1001, 0, 100.0))
    header = plate.read_header(tmp_path / "shot_t0.1001.exr")
    own = {k: v for k, v in header.metadata.items() if k.startswith("understudy/")}
    assert own["understudy/frame"] == 1001
    assert len(own) >= 15
    assert all(len(k) <= 31 for k in own)
    assert {type(v) for v in own.values()} <= {str, int, float}
    assert plate.guess_colour_space(header) == "ACEScg"


def test_a_folder_may_be_edited_and_moved(tmp_path: Path):
    folder = tmp_path / "a"
    before = fill(folder, (1001, 0, 100.0), (1002, 0, 100.0), (1003, 0, 100.0))
    (folder / "shot_t0.1002.exr").unlink()
    (folder / "shot_t0.1003.exr").rename(folder / "the good one.exr")
    (folder / "notes.txt").write_text("keep")
    shutil.move(folder, tmp_path / "b")
    after = Faceset.open(tmp_path / "b")
    assert [r.face.frame for r in after.records] == [1001, 1003]
    assert after.load(after.records[1]).shape == (64, 64, 3)
    assert after.digest() != before.records[0].digest


def test_the_digest_is_of_the_content_not_of_the_place(tmp_path: Path):
    first = fill(tmp_path / "a", (1001, 0, 100.0)).digest()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert Faceset.open(tmp_path / "b").digest() == first
    assert fill(tmp_path / "b", (1002, 0, 100.0)).digest() != first


def test_broken_images_are_named_and_the_others_read(tmp_path: Path):
    fill(tmp_path, (1001, 0, 100.0))
    (tmp_path / "shot_t0.1002.exr").write_bytes(b"")
    (tmp_path / ".shot_t0.1003.exr").write_bytes(b"being written")
    shutil.copy(tmp_path / "shot_t0.1001.exr", tmp_path / "half.exr")
    (tmp_path / "half.exr").write_bytes((tmp_path / "half.exr").read_bytes()[:200])
    frame = plate.read_file(tmp_path / "shot_t0.1001.exr")
    plate.write(replace(frame, metadata={}), tmp_path / "foreign.exr")
    wrong = dict(frame.metadata) | {"understudy/landmarks": "[1, 2]"}
    plate.write(replace(frame, metadata=wrong), tmp_path / "wrong.exr")
    found = Faceset.open(tmp_path)
    assert [r.face.frame for r in found.records] == [1001]
    assert len(found.broken) == 4
    for name in ("shot_t0.1002.exr", "half.exr", "foreign.exr", "wrong.exr"):
        assert any(name in sentence for sentence in found.broken)


def test_no_folder(tmp_path: Path):
    with pytest.raises(NotFound, match="no such faceset"):
        Faceset.open(tmp_path / "gone")


def test_one_person_is_chosen_without_asking(tmp_path: Path):
    found = fill(tmp_path, (1001, 3, 100.0), (1002, 3, 100.0))
    assert len(found.select().records) == 2
    assert found.select().warnings == ()


def test_bystanders_are_left_out_with_a_warning(tmp_path: Path):
    people = [(n, 0, 100.0) for n in range(1001, 1005)] + [(1001, 1, 40.0), (1002, 2, 20.0)]
    chosen = fill(tmp_path, *people).select()
    assert {r.face.track for r in chosen.records} == {0}
    (warning,) = chosen.warnings
    assert "track 1" in warning
    assert "track 2" in warning


def test_two_people_are_asked_about(tmp_path: Path):
    found = fill(tmp_path, (1001, 0, 100.0), (1002, 0, 100.0), (1001, 1, 80.0), (1002, 1, 80.0))
    with pytest.raises(
        TrackAmbiguous, match=r"track 0 \(2 frames, 1001-1002, about 200 px wide\); track 1"
    ) as caught:
        found.select()
    assert caught.value.value == "0,1"
    assert {r.face.track for r in found.select(1).records} == {1}
    assert found.select(1).warnings == ()
    with pytest.raises(InvalidInput, match="no track 7"):
        found.select(7)


def test_a_record_says_which_eye_saw_it(tmp_path: Path):
    for view in ("right", "left"):
        faceset.write(replace(record(tmp_path), path=tmp_path / f"{view}.1001.exr", view=view), pixels())
    found = Faceset.open(tmp_path)
    assert [(r.path.name, r.view) for r in found.records] == [
        ("left.1001.exr", "left"),
        ("right.1001.exr", "right"),
    ]
    assert found.views() == ("left", "right")
    assert fill(tmp_path / "mono", (1001, 0, 100.0)).views() == ("",)
    header = plate.read_header(tmp_path / "mono" / "shot_t0.1001.exr")
    assert "understudy/view" not in header.metadata


def test_two_eyes_make_nobody_more_of_a_lead(tmp_path: Path):
    """The lead is in one eye, a bystander of 8 % in both: counted twice, that one would be asked about."""
    faceset.write(record(tmp_path, half=100.0), pixels())
    for view in ("left", "right"):
        other = record(tmp_path, track=1, half=28.0)
        faceset.write(replace(other, path=tmp_path / f"{view}_t1.1001.exr", view=view), pixels())
    found = Faceset.open(tmp_path)
    lead, bystander = found.tracks()
    assert (lead.id, bystander.id) == (0, 1)
    assert bystander.area == pytest.approx(56.0**2, rel=1e-3)
    assert "about 56 px wide" in str(bystander)
    assert {r.face.track for r in found.select().records} == {0}
    assert [r.view for r in found.select(1).records] == ["left", "right"]


def test_an_empty_folder_is_an_empty_faceset(tmp_path: Path):
    found = Faceset.open(tmp_path)
    assert len(found.records) == 0
    assert found.tracks() == ()
    assert len(found.select().records) == 0


def test_the_release_lies_beside_the_faces(tmp_path: Path):
    found = fill(tmp_path, (1001, 0, 100.0))
    assert found.release() is None
    granted = release.create(
        subject="performer-a", kind="test", granted_by="test clip", granted=date(2026, 1, 1)
    )
    release.write(granted, tmp_path / "release.json")
    assert found.release() == granted
    (tmp_path / "release.json").write_text("{}")
    with pytest.raises(ReleaseInvalid):
        found.release()
