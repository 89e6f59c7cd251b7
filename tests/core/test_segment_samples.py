"""Crops and labels for a segmenter: of labelled faces, or of all with hulls; cut once, whatever becomes of faces."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.faces import PLATE, record, several
from tests.core.heads import face as head
from understudy.core import align
from understudy.core import faceset as facesets
from understudy.core.colour import SwapCurve
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.faceset.polygons import Polygon
from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.reports import Warned
from understudy.core.segment import samples
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segment.samples import Samples
from understudy.core.train import data

TINY = SegmenterConfig(resolution=64, channels=2)
CURVE = SwapCurve(gain=1.0)


@pytest.fixture
def four(tmp_path) -> Faceset:
    """Frames 1001 to 1004; 1002 and 1004 have labels: a matte, and a polygon."""
    found = several(tmp_path / "faces", 4)
    label(found, 1002)
    ours = found.records[3]
    box = np.array([(16, 16), (48, 16), (48, 40), (16, 40)], np.float64)
    drawn = Label(
        kind="polygons",
        polygons=(Polygon(include=True, points=box),),
        alignment=ours.alignment,
        origin="test",
    )
    Labels(found).write(ours, drawn)
    return found


def label(found: Faceset, frame: int, value: float = 1.0) -> None:
    """The hull of its landmarks, as a matte."""
    ours = next(r for r in found.records if r.face.frame == frame)
    size = ours.alignment.size
    matte = soft(hull, ours.alignment.apply(ours.face.landmarks.points), (size, size)) * np.float32(value)
    Labels(found).write(ours, Label(kind="matte", matte=matte, alignment=ours.alignment, origin="test"))


def prepared(folder: Path, *found: Faceset, **options) -> tuple[Samples, list[str]]:
    """The samples, and what was warned of."""
    *reports, made = samples.prepare(found, folder, TINY, CURVE, **options)
    assert isinstance(made, Samples)
    return made, [report.message for report in reports if isinstance(report, Warned)]


def frames(made: Samples) -> list[int]:
    return [row.frame for row in made.rows]


def test_labelled_faces_are_taken(four, tmp_path):
    made, told = prepared(tmp_path / "c", four)
    assert told == []
    assert frames(made) == [1002, 1004]
    assert made.labelled.tolist() == [0, 1]
    assert made.hulls.tolist() == []
    assert made.rows[1].name == "shot_t0.1004.exr"
    assert made.rows[1].faceset == four.path
    assert made.crops.array.shape == (2, 80, 80, 4)
    for place, row in ((0, 1), (1, 3)):
        ours = four.records[row]
        wanted = samples.cut(four.load(ours), ours, TINY, CURVE, Labels(four).read(ours))
        np.testing.assert_array_equal(made.crops.array[place], wanted.astype(np.float16))


def test_self_labelled_faces_are_taken_and_labels_win(four, tmp_path):
    made, _ = prepared(tmp_path, four, self_label=True)
    assert frames(made) == [1001, 1002, 1003, 1004]
    assert made.labelled.tolist() == [1, 3]
    assert made.hulls.tolist() == [0, 2]
    mattes = made.crops.array[..., 3].astype(np.float32)
    ours = four.records[0]
    wanted = soft(hull, data.alignment(ours, "whole", 64).apply(ours.face.landmarks.points), (80, 80))
    np.testing.assert_allclose(mattes[0], wanted, atol=1e-3)
    assert float(np.abs(mattes[3] - wanted).max()) > 0.9


def test_a_label_lies_in_the_crop_as_it_lay_on_the_face():
    """A hull drawn into the face's own crop and carried over is the hull drawn where it belongs."""
    points = head(12.0, -4.0, 20.0).astype(np.float32)
    ours = FaceRecord(
        path=Path("shot_t0.1001.exr"),
        face=Face(frame=1001, box=(0, 0, 1, 1), landmarks=Landmarks(scheme="68", points=points), score=1.0),
        alignment=align.fit(points, "head", 400, pixel_aspect=2.0),
        plate=PLATE,
        gain=1.0,
        colour="ACEScg",
        pixel_aspect=2.0,
    )
    size = ours.alignment.size
    own = soft(hull, ours.alignment.apply(points), (size, size))
    matte = Label(kind="matte", matte=own, alignment=ours.alignment, origin="test")
    rgb = np.full((size, size, 3), 0.18, np.float32)
    found = samples.cut(rgb, ours, TINY, CURVE, matte)[..., 3]
    wanted = samples.cut(rgb, ours, TINY, CURVE)[..., 3]
    assert np.abs(found - wanted).mean() < 0.006
    assert np.minimum(found, wanted).sum() / np.maximum(found, wanted).sum() > 0.97


def test_colours_are_those_that_a_swap_model_sees(four):
    from understudy.core.model.presets import ModelConfig

    ours = four.records[1]
    model = ModelConfig(resolution=64, face_type="whole")
    wanted = data.crop(four.load(ours), ours, model, CURVE)[..., :4]
    found = samples.cut(four.load(ours), ours, TINY, CURVE)
    np.testing.assert_array_equal(found, wanted)


def test_a_second_session_cuts_nothing(four, tmp_path):
    first, _ = prepared(tmp_path, four)
    file = next(tmp_path.glob("*.npy"))
    reports = list(samples.prepare([four], tmp_path, TINY, CURVE))
    assert len(reports) == 1
    again = reports[0]
    assert isinstance(again, Samples)
    assert again.rows == first.rows
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.crops.array, first.crops.array)
    os.truncate(file.with_suffix(".json"), 3)  # whose crops they are is not known any more
    third, _ = prepared(tmp_path, four)
    assert third.rows == first.rows


def test_another_label_or_network_cuts_anew_and_leaves_no_old_file(four, tmp_path):
    first, _ = prepared(tmp_path, four)
    label(four, 1002, 0.5)
    changed, _ = prepared(tmp_path, four)
    assert changed.digest != first.digest
    assert float(changed.crops.array[0, ..., 3].max()) == pytest.approx(0.5, abs=0.01)
    assert first.crops.gather(np.array([0])).shape == (1, 4, 80, 80)  # an open one stays
    assert sorted(f.suffix for f in tmp_path.iterdir() if f.is_file()) == [".json", ".npy"]
    Labels(four).clear(["shot_t0.1002.exr"])
    assert frames(prepared(tmp_path, four)[0]) == [1004]
    *_, wider = samples.prepare([four], tmp_path, replace(TINY, face_type="head"), CURVE)
    assert isinstance(wider, Samples)
    assert wider.digest not in (first.digest, changed.digest)
    other = SwapCurve(gain=1.0, knee=0.7)
    *_, bent = samples.prepare([four], tmp_path, TINY, other)
    assert isinstance(bent, Samples)
    assert bent.digest not in (first.digest, changed.digest)


def test_several_facesets_make_one_set_of_samples(four, tmp_path):
    second = several(tmp_path / "more", 2)
    label(second, 1001)
    made, _ = prepared(tmp_path / "c", four, second)
    assert [(row.faceset.name, row.frame) for row in made.rows] == [
        ("faces", 1002),
        ("faces", 1004),
        ("more", 1001),
    ]
    wanted, _ = prepared(tmp_path / "d", second)
    np.testing.assert_array_equal(made.crops.array[2], wanted.crops.array[0])


def test_a_pack_is_as_good_as_its_folder(four, tmp_path):
    list(pack(PackSettings(faceset=four.path, out=tmp_path / "packed.faceset")))
    packed = Faceset.open(tmp_path / "packed.faceset")
    folder, whole = prepared(tmp_path / "c", four)[0], prepared(tmp_path / "d", packed)[0]
    assert whole.digest == folder.digest
    assert frames(whole) == frames(folder)
    np.testing.assert_array_equal(whole.crops.array, folder.crops.array)


def test_a_face_or_label_that_is_broken_is_left_out(four, tmp_path):
    for frame in (1001, 1003):
        label(four, frame)
    broken = four.path / "labels" / "shot_t0.1004.json"
    broken.write_text("{}")
    made, told = prepared(tmp_path / "c", four)
    assert frames(made) == [1001, 1002, 1003]
    assert len(told) == 1
    assert "shot_t0.1004.json" in told[0]
    again, told = prepared(tmp_path / "c", four)
    assert again.rows == made.rows
    assert "1 of its faces could not be read" in told[0]
    (four.path / "shot_t0.1001.exr").write_bytes(b"")
    (four.path / "shot_t0.1002.exr").unlink()
    with pytest.raises(FrameUnreadable, match="2 of 4 faces"):
        prepared(tmp_path / "d", four)
    assert not list((tmp_path / "d").glob("*"))


@pytest.mark.parametrize("row", [1, 3])
def test_a_face_beside_which_its_label_lies_is_left_out_and_an_empty_label_is_not(four, tmp_path, row):
    """A new extraction gave the name to somebody else: an empty label would teach that nothing of them is seen."""
    nothing = np.zeros((64, 64), np.float32)
    first, ours = four.records[0], four.records[row]
    Labels(four).write(first, Label(kind="matte", matte=nothing, alignment=first.alignment, origin="roto"))
    points = ours.face.landmarks.points + np.array((3000.0, 0.0), np.float32)
    face = replace(ours.face, landmarks=Landmarks(scheme="68", points=points))
    alignment = align.fit(points, "whole", 64, ours.pixel_aspect)
    facesets.write(replace(ours, face=face, alignment=alignment), four.load(ours))
    made, told = prepared(tmp_path / "c", Faceset.open(four.path))
    assert frames(made) == [n for n in (1001, 1002, 1004) if n != 1001 + row]
    assert [f"{ours.path}: nothing of its label" in text for text in told] == [True]


def test_a_face_with_two_labels_is_refused(four, tmp_path):
    labels = four.path / "labels"
    shutil.copy(labels / "shot_t0.1004.json", labels / "shot_t0.1002.json")
    with pytest.raises(InvalidInput, match=r"shot_t0\.1002"):
        prepared(tmp_path / "c", four)


def test_where_there_is_nothing_to_learn_from_it_is_refused(tmp_path):
    bare = several(tmp_path / "faces", 2)
    with pytest.raises(NoFace, match="no label to train on") as caught:
        prepared(tmp_path / "c", bare)
    assert caught.value.field == "facesets"
    with pytest.raises(NoFace, match="no face to train on"):
        prepared(tmp_path / "c", bare.subset(np.array([], np.int64)), self_label=True)
    with pytest.raises(InvalidInput, match="none is named"):
        prepared(tmp_path / "c")


def test_faces_of_several_colour_spaces_are_refused(four, tmp_path):
    other = tmp_path / "other"
    facesets.write(record(other, 1001, colour="Linear Rec.709 (sRGB)"), np.ones((64, 64, 3), np.float32))
    found = Faceset.open(other)
    with pytest.raises(InvalidInput, match=r"faces in 'ACEScg'|faces in 'ACEScg', |in several colour spaces"):
        prepared(tmp_path / "c", four, found, self_label=True)


def test_closing_leaves_nothing(four, tmp_path):
    work = samples.prepare([four], tmp_path / "c", TINY, CURVE)
    next(work)
    work.close()
    assert not list((tmp_path / "c").glob("*"))
