"""Several facesets become one: every face once, none lost, one release, and extraction goes on in it."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.core.faces import listing, odd_faces, pixels, record, same_image, several
from understudy.core import faceset, release
from understudy.core.errors import DiskFull, InvalidInput, NoFace, NotFound
from understudy.core.extract.recall import Recall
from understudy.core.faceset import Faceset, curate, journal
from understudy.core.faceset.join import JoinSettings, marked, run
from understudy.core.faceset.journal import Journal, Looked
from understudy.core.faceset.manual import Manual, ManualFace
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.frames import FrameRange
from understudy.core.plate import Plate, Template
from understudy.core.reports import Advanced, Artifact, Started, Warned

OTHER = "/plates/b/shot.%04d.exr"


def joined(tmp_path: Path, *names: str) -> list:
    return list(run(JoinSettings(facesets=tuple(tmp_path / name for name in names), out=tmp_path / "out")))


def warnings(reports: list) -> list[str]:
    return [report.reason for report in reports if isinstance(report, Warned)]


def granted(subject: str = "performer-a") -> release.Release:
    return release.create(subject=subject, kind="test", granted_by="test clip", granted=date(2026, 1, 1))


def test_all_faces_are_in_it_and_the_first_ones_stay_as_they_are(tmp_path):
    several(tmp_path / "a", 3)
    for number in (1002, 1003, 1004):
        faceset.write(record(tmp_path / "b", number, plate=OTHER), pixels(number + 50))
    reports = joined(tmp_path, "a", "b")
    assert reports[0] == Started(total=6, unit="face")
    assert reports[-1] == Artifact(kind="faceset", path=tmp_path / "out")
    assert [r.done for r in reports if isinstance(r, Advanced)] == [3, 6]
    mark = hashlib.sha256(OTHER.encode()).hexdigest()[:6]
    assert listing(tmp_path / "out") == sorted(
        [
            *(f"shot_t0.{n}.exr" for n in (1001, 1002, 1003)),
            *(f"shot_{mark}_t0.{n}.exr" for n in (1002, 1003, 1004)),
        ]
    )  # all of the other plate, so that it stays a sequence
    for name in (1001, 1002, 1003):
        file = f"shot_t0.{name}.exr"
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "a" / file).read_bytes()
    found = Faceset.open(tmp_path / "out")
    assert found.plates() == ("/plates/b/shot.%04d.exr", "/plates/shot.%04d.exr")
    assert [track.id for track in found.tracks()] == [0]
    assert warnings(reports) == []
    assert len(listing(tmp_path / "a")) == 3


def test_the_same_face_is_in_it_once_and_another_of_its_name_is_marked(tmp_path):
    several(tmp_path / "a", 2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    faceset.write(record(tmp_path / "b", 1002), pixels(77))  # the same plate, by other settings
    joined(tmp_path, "a", "b")
    third, first, second = listing(tmp_path / "out")
    assert (first, second) == ("shot_t0.1001.exr", "shot_t0.1002.exr")
    assert marked("shot_t0.1002.exr", "", third.split("_")[1]) == third
    assert (tmp_path / "out" / second).read_bytes() == (tmp_path / "a" / second).read_bytes()
    assert (tmp_path / "out" / third).read_bytes() == (tmp_path / "b" / second).read_bytes()


def test_files_are_linked_or_else_copied(tmp_path, monkeypatch):
    several(tmp_path / "a", 1)
    faceset.write(record(tmp_path / "b", 1009), pixels(9))
    joined(tmp_path, "a", "b")
    assert (tmp_path / "out" / "shot_t0.1001.exr").samefile(tmp_path / "a" / "shot_t0.1001.exr")
    faceset.write(record(tmp_path / "out", 1001), pixels(5))  # does not reach through the link
    assert not (tmp_path / "out" / "shot_t0.1001.exr").samefile(tmp_path / "a" / "shot_t0.1001.exr")
    shutil.rmtree(tmp_path / "out")

    def none(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", none)
    joined(tmp_path, "a", "b")
    copy, original = (tmp_path / name / "shot_t0.1001.exr" for name in ("out", "a"))
    assert copy.read_bytes() == original.read_bytes()
    assert not copy.samefile(original)


@pytest.mark.parametrize(
    ("name", "view", "wanted"),
    [
        ("shot_t0.1001.exr", "", "shot_MARK_t0.1001.exr"),
        ("shot_left_t12.1001.exr", "left", "shot_MARK_left_t12.1001.exr"),
        ("shot_left_t12.1001.exr", "", "shot_left_MARK_t12.1001.exr"),
        ("a%2Fb_x%2Fy_t0.-005.exr", "x/y", "a%2Fb_MARK_x%2Fy_t0.-005.exr"),
        ("the good one.exr", "", "the good one_MARK.exr"),
        ("a.b.exr", "", "a.b_MARK.exr"),
        ("1001.exr", "", "1001_MARK.exr"),
    ],
)
def test_a_mark_comes_before_view_track_and_frame(name, view, wanted):
    assert marked(name, view, "MARK") == wanted


def test_extraction_goes_on_in_the_joined_set(tmp_path):
    """Each plate knows its own faces in it, and where its next ones go."""
    plates = {}
    for name, text in (("a", f"{tmp_path}/pa/shot.%04d.exr"), ("b", f"{tmp_path}/pb/shot.%04d.exr")):
        template = Template.parse(text)
        template.path(1001).parent.mkdir()
        for number in (1001, 1002, 1003):
            template.path(number).write_bytes(b"plate")
        plate = Plate(template=template, frames=FrameRange.of(1001, 1003), present=FrameRange.of(1001, 1003))
        plates[name] = plate
        recall = Recall(tmp_path / name, plate, ("",), ["settings"], Manual(tmp_path / name))
        for number in (1001, 1002):
            path, digest = recall.path(0, number, ""), recall.digest(number, "")
            one = replace(record(path.parent, number, plate=template.text, digest=digest), path=path)
            faceset.write(one, pixels(number))
            recall.note(number, "", Looked(digest=digest, gain=one.gain, tracks=(0,)))
        recall.note(1003, "", Looked(digest=recall.digest(1003, ""), gain=1.0))
    joined(tmp_path, "a", "b")
    names = listing(tmp_path / "out")
    for plate in plates.values():
        again = Recall(tmp_path / "out", plate, ("",), ["settings"], Manual(tmp_path / "out"))
        assert again.done == {1001, 1002, 1003}
        assert {again.path(0, n, "").name for n in (1001, 1002)} <= set(names)
    assert len(names) == 5  # with the journal


def test_a_release_that_all_have_or_one_alone_is_kept(tmp_path):
    several(tmp_path / "a", 1)
    several(tmp_path / "b", 2)
    several(tmp_path / "c", 3)
    for name in ("a", "b"):
        release.write(granted(), tmp_path / name / "release.json")
    assert warnings(joined(tmp_path, "a", "b")) == []
    assert Faceset.open(tmp_path / "out").release() == granted()
    shutil.rmtree(tmp_path / "out")
    reports = joined(tmp_path, "c", "b")
    assert warnings(reports) == ["RELEASE"]
    assert Faceset.open(tmp_path / "out").release() == granted()
    shutil.rmtree(tmp_path / "out")
    release.write(granted("performer-b"), tmp_path / "b" / "release.json")
    with pytest.raises(InvalidInput, match="one release") as caught:
        joined(tmp_path, "a", "b")
    for one in (granted(), granted("performer-b")):
        assert one.id in caught.value.message
    assert not (tmp_path / "out").exists()


def test_what_lies_beside_the_faces_goes_along(tmp_path):
    several(tmp_path / "a", 2)
    faceset.write(record(tmp_path / "b", 1001, plate=OTHER), pixels(50))
    faceset.write(record(tmp_path / "b", 1002, plate=OTHER), pixels(51))
    for name in ("a", "b"):
        (tmp_path / name / "dfl").mkdir()
        (tmp_path / name / "dfl" / "shot_t0.1001.json").write_text(
            json.dumps({"xseg_mask": "shot_t0.1001.xseg.png"})
        )
        (tmp_path / name / "dfl" / "shot_t0.1001.xseg.png").write_bytes(name.encode())
        Journal(tmp_path / name, f"/{name}").add(7, Looked(digest="d", gain=1.0))
        with (tmp_path / name / journal.NAME).open("ab") as lines:
            lines.write(b'{"torn')
        Manual(tmp_path / name).set([ManualFace(track=0, frame=1001, absent=True)])
        curate.reject(Faceset.open(tmp_path / name), np.array([1]))
    joined(tmp_path, "a", "b")
    out, mark = tmp_path / "out", hashlib.sha256(OTHER.encode()).hexdigest()[:6]
    assert curate.rejected_names(out) == ["shot_t0.1002.exr", "shot_t0.1002.rejected-2.exr"]
    for stem, content in (("shot_t0.1001", b"a"), (f"shot_{mark}_t0.1001", b"b")):
        assert (out / f"{stem}.exr").exists()
        assert json.loads((out / "dfl" / f"{stem}.json").read_text()) == {"xseg_mask": f"{stem}.xseg.png"}
        assert (out / "dfl" / f"{stem}.xseg.png").read_bytes() == content
    assert all(Journal(out, f"/{name}").looked.keys() == {7} for name in ("a", "b"))
    assert [face.plate for face in Manual.read(out).faces] == sorted((OTHER, record(out).plate))


def test_a_pack_is_joined_like_a_folder(tmp_path):
    odd_faces(tmp_path / "a")
    faceset.write(record(tmp_path / "b", 1001), pixels(1))
    release.write(granted(), tmp_path / "a" / "release.json")
    Manual(tmp_path / "a").set([ManualFace(track=0, frame=1001, absent=True)])
    list(pack(PackSettings(faceset=tmp_path / "a", out=tmp_path / "a.faceset")))
    joined(tmp_path, "b", "a.faceset")
    out = Faceset.open(tmp_path / "out")
    assert out.columns.frame.tolist() == [1001, 1002, 1003, 1004]  # 1001 is the same in both
    assert out.release() == granted()
    wanted = Faceset.open(tmp_path / "a")
    for one, two in zip(out.records, wanted.records, strict=True):
        assert same_image(out.frame(one), wanted.frame(two))
    assert len(Manual.read(tmp_path / "out").faces) == 1


def test_what_is_refused(tmp_path):
    several(tmp_path / "a", 1)
    faceset.write(record(tmp_path / "b", colour="linear"), pixels())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"a in ACEScg and .*b in linear"):
        joined(tmp_path, "a", "b")
    (tmp_path / "empty2").mkdir()
    with pytest.raises(NoFace):
        joined(tmp_path, "empty", "empty2")
    with pytest.raises(NotFound):
        joined(tmp_path, "a", "gone")
    for names in (("a",), ("a", "b/../a")):
        with pytest.raises(InvalidInput) as caught:
            joined(tmp_path, *names)
        assert caught.value.field == "facesets"
    with pytest.raises(InvalidInput) as caught:
        JoinSettings(facesets=(tmp_path / "a", tmp_path / "b"), out=tmp_path / "b")
    assert caught.value.field == "out"


def test_several_tracks_and_broken_faces_are_told(tmp_path):
    several(tmp_path / "a", 1)
    faceset.write(record(tmp_path / "b", track=1), pixels())
    (tmp_path / "b" / "torn.exr").write_bytes(b"")
    reports = joined(tmp_path, "a", "b")
    assert warnings(reports) == ["FRAME_UNREADABLE", "SEVERAL_TRACKS"]
    assert Faceset.open(tmp_path / "out").columns.track.tolist() == [0, 1]


def test_a_face_that_goes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    several(tmp_path / "a", 2)
    several(tmp_path / "b", 4)
    real = filecmp.cmp

    def late(one: Path, two: Path, shallow: bool):
        if "1001" in two.name:
            two.unlink()
        return real(one, two, shallow)

    monkeypatch.setattr(filecmp, "cmp", late)
    job = run(JoinSettings(facesets=(tmp_path / "a", tmp_path / "b"), out=tmp_path / "out"))
    next(job)
    (tmp_path / "b" / "shot_t0.1004.exr").unlink()
    list(job)
    assert Faceset.open(tmp_path / "out").columns.frame.tolist() == [1001, 1002, 1003]


def test_closing_or_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    several(tmp_path / "a", 2)
    several(tmp_path / "b", 3)
    job = run(JoinSettings(facesets=(tmp_path / "a", tmp_path / "b"), out=tmp_path / "out"))
    while not isinstance(next(job), Advanced):
        pass
    job.close()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(DiskFull, match=r"shot_t0\.1001\.exr: could not be written"):
        joined(tmp_path, "a", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
