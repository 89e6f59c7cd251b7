"""Mattes beside the faces of a faceset: made, left as they are, made anew, cleared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core.faces import listing
from tests.core.looks import SIZE, add
from tests.core.segmenting import BRIGHT, beside, disc, drawn, face, faces, on_disk, segmenter
from understudy.core import faceset as faces_on_disk
from understudy.core import plate, warp
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace, NotFound
from understudy.core.faceset import Faceset, resize
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.faceset.query import Query
from understudy.core.frames import FrameRange
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started, Warned
from understudy.core.segment import apply, judge, network
from understudy.core.segment.apply import ApplySettings
from understudy.core.segment.clear import Cleared, clear
from understudy.core.weights import WeightStore


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing by two threads, and lose much where other tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    faces(tmp_path / "faces")
    return tmp_path / "faces"


@pytest.fixture
def bright(monkeypatch):
    """Whatever folder is named, the segmenter that takes bright pixels for face."""
    made = segmenter()
    monkeypatch.setattr(network, "load", lambda path, device="auto": made)
    return made


def run(folder: Path, **settings) -> list:
    return list(apply.run(ApplySettings(segmenter=Path("any"), faceset=folder, **settings)))


def frames(reports: list) -> dict[int, FrameReport]:
    return {report.frame: report for report in reports if isinstance(report, FrameReport)}


def statuses(reports: list) -> list[FrameStatus]:
    return [report.status for report in frames(reports).values()]


def test_the_server_reads_settings_without_torch():
    names = ", ".join(f"understudy.core.segment.{n}" for n in ("apply", "preview", "rank", "clear"))
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Applying


def test_every_face_gets_its_matte_in_its_own_crop(folder, bright):
    reports = run(folder)
    assert reports[0] == Started(total=3)
    assert statuses(reports) == [FrameStatus.DONE] * 3
    assert reports[-1] == Artifact(kind="mattes", path=folder / "mattes")
    opened = Faceset.open(folder)
    for i, record in enumerate(opened.records):
        found = beside(opened, record)
        assert found.matte.shape == (SIZE, SIZE)
        assert judge.iou(found.matte, disc(0.4 + 0.1 * i, 0.5, 0.25)) > 0.95
        assert found.segmenter == bright.digest
        report = frames(reports)[record.face.frame]
        assert report.confidence == pytest.approx(found.confidence)
        assert report.outputs == (Mattes(opened).path(record),)


@pytest.mark.parametrize("size", [48, 96, 200])
def test_a_face_of_any_size_gets_a_matte_of_that_size(folder, tmp_path, bright, size):
    settings = resize.ResizeSettings(faceset=folder, out=tmp_path / "other", size=size)
    assert list(resize.run(settings, store=WeightStore(tmp_path)))
    run(tmp_path / "other")
    opened = Faceset.open(tmp_path / "other")
    found = drawn(opened, opened.records[0])
    assert found.shape == (size, size)
    assert judge.iou(found, disc(0.4, 0.5, 0.25, size)) > 0.93


def test_a_narrower_segmenter_says_nothing_of_what_it_does_not_see(tmp_path, monkeypatch):
    face(tmp_path / "f", 1001, np.ones((SIZE, SIZE), np.float32))
    made = segmenter(face_type="half")
    monkeypatch.setattr(network, "load", lambda path, device="auto": made)
    run(tmp_path / "f")
    opened = Faceset.open(tmp_path / "f")
    record = opened.records[0]
    found = drawn(opened, record)
    corners = np.array([(0.0, 0.0), (64.0, 0.0), (64.0, 64.0), (0.0, 64.0)])
    inside = warp.between(made.alignment(record), record.alignment).apply(corners)
    assert found[SIZE // 2, SIZE // 2] == 1.0
    area = np.prod(np.ptp(inside, axis=0))
    assert found.sum() == pytest.approx(area, rel=0.1)
    assert not found[:3].any()


def test_what_is_made_is_left_as_it_is_and_not_even_decoded(folder, bright, monkeypatch):
    first = run(folder)
    before = {name: (folder / name).read_bytes() for name in listing(folder)}
    monkeypatch.setattr(Faceset, "load", lambda self, record: pytest.fail("it was decoded"))
    again = run(folder)
    assert statuses(again) == [FrameStatus.SKIPPED] * 3
    assert {n: r.confidence for n, r in frames(again).items()} == pytest.approx(
        {n: r.confidence for n, r in frames(first).items()}, abs=1e-6
    )
    assert {name: (folder / name).read_bytes() for name in listing(folder)} == before


def test_other_weights_make_every_matte_anew(folder, bright, monkeypatch):
    run(folder)
    other = segmenter(digest="b" * 64)
    monkeypatch.setattr(network, "load", lambda path, device="auto": other)
    assert statuses(run(folder)) == [FrameStatus.DONE] * 3
    opened = Faceset.open(folder)
    assert {beside(opened, r).segmenter for r in opened.records} == {"b" * 64}


def test_a_face_that_changed_gets_a_new_matte(folder, bright):
    run(folder)
    moved = disc(0.7, 0.3, 0.2)
    face(folder, 1002, moved, roll=5.0)  # other landmarks, as a person gave them
    reports = frames(run(folder))
    assert [reports[n].status.value for n in (1001, 1002, 1003)] == ["skipped", "done", "skipped"]
    opened = Faceset.open(folder)
    assert judge.iou(drawn(opened, opened.records[1]), moved) > 0.9


def test_a_face_that_was_repainted_gets_a_new_matte_and_a_copied_one_keeps_its_own(folder, tmp_path, bright):
    """Neither its header nor the size of its file nor its time says that it was."""
    file, sizes = folder / "shot_t0.1002.exr", set[int]()
    for light in (np.zeros((SIZE, SIZE), np.float32), disc(0.7, 0.3, 0.2)):
        face(folder, 1002, light)
        plate.write(plate.read_file(file), file, compression="none")
        os.utime(file, ns=(10**18, 10**18))
        sizes.add(file.stat().st_size)
        assert frames(run(folder))[1002].status is FrameStatus.DONE
    assert len(sizes) == 1
    opened = Faceset.open(folder)
    assert judge.iou(drawn(opened, opened.records[1]), disc(0.7, 0.3, 0.2)) > 0.9
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert statuses(run(tmp_path / "copy")) == [FrameStatus.SKIPPED] * 3


def test_all_that_shapes_a_matte_is_in_what_it_is_made_of(folder):
    record = Faceset.open(folder).records[0]
    moved = replace(record.face.landmarks, points=record.face.landmarks.points + 0.01)
    larger = replace(record.alignment, matrix=record.alignment.matrix * 2.0, size=256)
    others = [
        replace(record, digest="e" * 64),
        replace(record, gain=record.gain * 1.01),
        replace(record, pixel_aspect=2.0),
        replace(record, face=replace(record.face, landmarks=moved)),
        replace(record, alignment=larger),
    ]
    own, curved = segmenter(), segmenter()
    curved.state = replace(curved.state, curve={"knee": 0.5, "maximum": 8.0})
    digests = [
        apply.digest(own, record, "image"),
        apply.digest(own, record, "another"),
        *(
            apply.digest(s, record, "image")
            for s in (segmenter(digest="b"), segmenter(face_type="half"), curved)
        ),
        *(apply.digest(own, r, "image") for r in others),
    ]
    assert len(set(digests)) == len(digests)
    elsewhere = replace(record, path=Path("other") / "name.exr", face=replace(record.face, track=3))
    assert apply.digest(own, elsewhere, "image") == digests[0]  # a face keeps its matte wherever it goes


def test_labels_stay_what_they_are(folder, bright):
    opened = Faceset.open(folder)
    record = opened.records[0]
    given = Label(kind="matte", matte=disc(0.2, 0.2, 0.1), alignment=record.alignment, origin="roto")
    path = Labels(opened).write(record, given)
    before = path.read_bytes()
    run(folder)
    assert path.read_bytes() == before
    assert Labels(opened).names() == {record.path.name}
    assert Mattes(opened).names() == {r.path.name for r in opened.records}  # for when the label is cleared


def test_a_broken_face_fails_its_frame_and_no_other(folder, bright):
    face(folder, 1002, track=1)
    good = next(r for r in Faceset.open(folder).records if (r.face.frame, r.face.track) == (1002, 1))
    bad = folder / "shot_t0.1002.exr"
    content = bytearray(bad.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)  # its header is whole
    bad.write_bytes(content)
    reports = run(folder)
    assert [r.status.value for r in frames(reports).values()] == ["done", "failed", "done"]
    failed = frames(reports)[1002]
    assert failed.reason == FrameUnreadable.reason
    assert "shot_t0.1002" in failed.message
    assert failed.faces == 2
    assert failed.outputs == (Mattes(Faceset.open(folder)).path(good),)


@pytest.mark.parametrize("torn", [False, True])
def test_a_broken_matte_is_made_anew(folder, bright, torn):
    run(folder)
    opened = Faceset.open(folder)
    file = Mattes(opened).path(opened.records[0])
    file.write_bytes(file.read_bytes()[:-60] if torn else b"nothing of the kind")
    assert statuses(run(folder)) == [FrameStatus.DONE, FrameStatus.SKIPPED, FrameStatus.SKIPPED]
    assert beside(opened, opened.records[0]) is not None


def test_a_frame_has_one_report_for_all_its_faces(tmp_path, bright):
    faint = disc(0.5, 0.5, 0.3) * 0.32 + 0.01  # its codes are near to a half
    for track, seen in ((0, disc(0.5, 0.5, 0.3)), (1, faint)):
        face(tmp_path / "f", 1001, seen, track=track)
    face(tmp_path / "f", 1002)
    reports = run(tmp_path / "f")
    assert reports[0].total == 2
    opened = Faceset.open(tmp_path / "f")
    sure = {r.face.track: beside(opened, r).confidence for r in opened.records if r.face.frame == 1001}
    assert sure[1] < sure[0]
    assert frames(reports)[1001].faces == 2
    assert frames(reports)[1001].confidence == pytest.approx(sure[1])
    assert frames(reports)[1002].faces == 1


def test_one_person_at_a_time(tmp_path, bright):
    for track in (0, 1):
        face(tmp_path / "f", 1001, track=track)
    run(tmp_path / "f", track=1)
    opened = Faceset.open(tmp_path / "f")
    assert Mattes(opened).names() == {"shot_t1.1001.exr"}
    with pytest.raises(InvalidInput, match="track 7"):
        run(tmp_path / "f", track=7)


def test_closing_it_keeps_what_is_done_and_the_rest_is_made_later(folder, bright):
    threads = torch.get_num_threads()
    work = apply.run(ApplySettings(segmenter=Path("any"), faceset=folder))
    assert isinstance(next(work), Started)
    first = next(work)
    assert isinstance(first, FrameReport)
    assert first.frame == 1001
    work.close()
    assert torch.get_num_threads() == threads
    opened = Faceset.open(folder)
    made = Mattes(opened).names()
    assert "shot_t0.1001.exr" in made
    done = [report.status for report in frames(run(folder)).values()]
    assert done.count(FrameStatus.SKIPPED) == len(made)
    assert len(Mattes(opened).names()) == 3


def test_a_face_of_which_nothing_is_seen_is_told(folder, bright):
    face(folder, 1002, np.zeros((SIZE, SIZE), np.float32))
    reports = frames(run(folder))
    assert reports[1002].status is FrameStatus.DONE
    assert "nothing of the face" in reports[1002].warnings[0]
    assert not reports[1001].warnings


def test_images_that_are_no_faces_are_warned_of(folder, bright):
    (folder / "other.exr").write_bytes(b"not an image")
    warned = [report for report in run(folder) if isinstance(report, Warned)]
    assert [w.reason for w in warned] == ["FRAME_UNREADABLE"]
    assert "other.exr" in warned[0].message


def test_real_weights_go_the_same_way(folder, tmp_path):
    on_disk(tmp_path / "s")
    settings = ApplySettings(segmenter=tmp_path / "s", faceset=folder, device="cpu")
    assert statuses(list(apply.run(settings))) == [FrameStatus.DONE] * 3
    opened = Faceset.open(folder)
    loaded = network.load(tmp_path / "s", "cpu")
    for record in opened.records:
        expected, sure = loaded.of_face(opened, record)
        found = beside(opened, record)
        np.testing.assert_allclose(found.matte, expected, atol=2e-3)  # halves on disk
        assert found.confidence == pytest.approx(sure, abs=1e-5)


def test_what_cannot_be_worked_on_is_refused(folder, tmp_path, bright):
    with pytest.raises(NotFound):
        run(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoFace):
        run(tmp_path / "empty")
    assert list(pack(PackSettings(faceset=folder, out=tmp_path / "p.faceset")))
    with pytest.raises(InvalidInput, match="pack") as caught:
        run(tmp_path / "p.faceset")
    assert caught.value.field == "faceset"
    bright.state = replace(bright.state, working_space="lin_rec709")
    with pytest.raises(InvalidInput, match=r"lin_rec709.*ACEScg"):
        run(folder)


def test_any_exposure_and_pixel_aspect(tmp_path, bright):
    """The gain of the shot and an anamorphic plate are the segmenter's business, not the faces'."""
    light = np.repeat((0.01 + (BRIGHT - 0.01) * disc(0.5, 0.5, 0.3))[..., None], 3, axis=2) * 8.0
    add(tmp_path / "f", 1001, light.astype(np.float32))
    opened = Faceset.open(tmp_path / "f")
    dark = replace(opened.records[0], gain=1.0 / 8.0)
    faces_on_disk.write(dark, light.astype(np.float32))
    run(tmp_path / "f")
    opened = Faceset.open(tmp_path / "f")
    assert judge.iou(drawn(opened, opened.records[0]), disc(0.5, 0.5, 0.3)) > 0.95


# Clearing


def label_all(folder: Path) -> Faceset:
    opened = Faceset.open(folder)
    for record in opened.records:
        drawn = Label(kind="matte", matte=disc(0.5, 0.5, 0.3), alignment=record.alignment, origin="roto")
        Labels(opened).write(record, drawn)
    return opened


def test_labels_or_mattes_go_and_nothing_else(folder, bright):
    run(folder)
    opened = label_all(folder)
    assert clear(opened, mattes=True) == Cleared(mattes=3)
    assert not Mattes(opened).names()
    assert len(Labels(opened).names()) == 3
    assert clear(opened, mattes=True) == Cleared()
    assert clear(opened, labels=True, mattes=True) == Cleared(labels=3)
    assert len(Faceset.open(folder).columns) == 3


def test_a_query_says_whose_go(folder):
    opened = label_all(folder)
    assert clear(opened, Query(frames=FrameRange.of(1002, 1003)), labels=True) == Cleared(labels=2)
    assert Labels(opened).names() == {"shot_t0.1001.exr"}


def test_clearing_nothing_is_refused(folder, tmp_path):
    opened = label_all(folder)
    with pytest.raises(InvalidInput, match="neither"):
        clear(opened)
    with pytest.raises(NotFound, match="no face"):
        clear(opened, Query(frames=FrameRange.of(1, 2)), labels=True)
    assert list(pack(PackSettings(faceset=folder, out=tmp_path / "p.faceset")))
    with pytest.raises(InvalidInput, match="pack"):
        clear(Faceset.open(tmp_path / "p.faceset"), labels=True)
    assert len(Labels(opened).names()) == 3
