"""What a training takes for face: the hull, or what a person or a segmenter says is seen; and eyes and mouth in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core.shots import write_faceset
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.faceset.polygons import Polygon
from understudy.core.model.presets import ModelConfig
from understudy.core.reports import Warned
from understudy.core.train import data
from understudy.core.train.data import Crops

TINY = ModelConfig(
    options="ud", resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16, face_type="full"
)
COUNT = 6


@pytest.fixture
def own(tmp_path) -> Path:
    """A faceset of crops of 96 pixels, `whole`."""
    write_faceset(tmp_path / "src", range(1001, 1001 + COUNT), "src.%04d.exr")
    folder: Path = tmp_path / "src"
    return folder


def prepared(faceset: Faceset, folder: Path) -> tuple[Crops, list[str]]:
    """The crops and what was warned of."""
    *reports, crops = data.prepare(faceset, folder, "src", TINY, SwapCurve(gain=1.0))
    assert isinstance(crops, Crops)
    return crops, [report.message for report in reports if isinstance(report, Warned)]


def give(folder: Path, row: int, matte: np.ndarray) -> FaceRecord:
    """Lay a segmenter's matte (S, S) beside a face."""
    opened = Faceset.open(folder)
    record = opened.records[row]
    made = Matte(matte=matte, confidence=0.9, segmenter="s", made_of="m", alignment=record.alignment)
    Mattes(opened).write(record, made)
    return record


def left(record: FaceRecord) -> np.ndarray:
    """(S, S), 1 in the left half of the face's own crop."""
    side = record.alignment.size
    return np.repeat((np.arange(side) < side // 2)[None], side, axis=0).astype(np.float32)


def within(record: FaceRecord, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in a crop of TINY, of points in the plate."""
    found = data.alignment(record, TINY.face_type, TINY.resolution).apply(points).astype(int)
    return found[:, 1], found[:, 0]


def test_without_a_matte_the_hull_is_face_and_eyes_and_mouth_lie_in_it(own, tmp_path):
    found = Faceset.open(own)
    crops, _ = prepared(found, tmp_path / "c")
    assert crops.array.shape == (COUNT, 80, 80, 5)
    for row in (0, COUNT - 1):
        record, crop = found.records[row], crops.array[row].astype(np.float32)
        points = record.face.landmarks.points
        matte, parts = crop[..., 3], crop[..., 4]
        assert parts[within(record, points[36:48])].min() > 0.4  # around the eyes
        assert parts[within(record, points[60:68])].min() > 0.4  # and the mouth's opening
        assert parts[within(record, points[[8, 30]])].max() == 0  # neither the chin nor the tip of the nose
        assert (parts <= matte + 1e-3).all()
        assert matte[within(record, points[27:36])].min() == 1
        assert 0.05 < parts.mean() / matte.mean() < 0.5


def test_what_is_seen_takes_the_place_of_the_hull(own, tmp_path):
    """A segmenter's matte reaches where no hull does, and leaves out what covers a face; an eye with it."""
    plain, _ = prepared(Faceset.open(own), tmp_path / "plain")
    record = give(own, 3, left(Faceset.open(own).records[3]))
    crops, told = prepared(Faceset.open(own), tmp_path / "c")
    assert told == []
    others = np.delete(np.arange(COUNT), 3)
    assert torch.equal(crops.gather(others), plain.gather(others))
    assert torch.equal(crops.gather(np.array([3]))[0, :3], plain.gather(np.array([3]))[0, :3])
    seen, hull = crops.array[3, ..., 3], plain.array[3, ..., 3]
    assert seen[40, 10] == 1
    assert hull[40, 2] == 0
    assert (seen[:, 50:] == 0).all()
    assert hull[40, 50] == 1
    points = record.face.landmarks.points
    parts = crops.array[3, ..., 4]
    assert parts[within(record, points[36:42])].min() > 0.4
    assert parts[within(record, points[43:47])].max() == 0


def test_a_label_is_heeded_before_a_matte_unless_it_is_another_faces(own, tmp_path):
    opened = Faceset.open(own)
    record = opened.records[0]
    give(own, 0, left(record))
    corners = np.array([(0.0, 0.0), (96.0, 0.0), (96.0, 48.0), (0.0, 48.0)])
    label = Label(
        kind="polygons",
        polygons=(Polygon(include=True, points=corners),),
        alignment=record.alignment,
        origin="t",
    )
    Labels(opened).write(record, label)
    upper = prepared(Faceset.open(own), tmp_path / "a")[0].array[0, ..., 3]
    assert upper[10:30, 20:60].min() == 1
    assert upper[55:].max() == 0
    away = np.array([(0.0, 0.0, 5000.0), (0.0, 0.0, 0.0)])
    moved = replace(record.alignment, matrix=record.alignment.matrix + away)
    Labels(opened).write(record, replace(label, alignment=moved))
    half = prepared(Faceset.open(own), tmp_path / "b")[0].array[0, ..., 3]
    assert half[10:70, 20:30].min() == 1
    assert half[:, 50:].max() == 0


def test_new_mattes_cut_the_crops_anew_and_a_pack_has_those_of_its_folder(own, tmp_path):
    def cut(name: str = "src") -> tuple[str, Crops]:
        crops, told = prepared(Faceset.open(tmp_path / name), tmp_path / "c")
        assert told == []
        (file,) = (tmp_path / "c").iterdir()
        return file.name, crops

    record = Faceset.open(own).records[0]
    names = [cut()[0]]
    for matte in (left(record), left(record)[:, ::-1].copy()):
        give(own, 5, matte)
        names.append(cut()[0])
    assert len(set(names)) == 3
    assert cut()[0] == names[-1]
    list(pack(PackSettings(faceset=own, out=tmp_path / "src.faceset")))
    name, crops = cut("src.faceset")
    assert name == names[-1]
    assert crops.array[5, 40, 60, 3] == 1
    assert crops.array[5, 40, 20, 3] == 0
    Mattes(Faceset.open(own)).clear([Faceset.open(own).records[5].path.name])
    assert cut()[0] == names[0]


def test_a_face_whose_matte_is_torn_is_left_out_and_named(own, tmp_path):
    for row in (2, 4):
        record = give(own, row, left(Faceset.open(own).records[row]))
    file = Mattes(Faceset.open(own)).path(record)
    file.write_bytes(file.read_bytes()[:-100])
    crops, told = prepared(Faceset.open(own), tmp_path / "c")
    assert len(crops) == COUNT - 1
    assert len(told) == 1
    assert f"mattes/{record.path.name}" in told[0]


def test_two_labels_of_a_face_are_refused(own, tmp_path):
    opened = Faceset.open(own)
    record = opened.records[1]
    label = Label(kind="matte", matte=left(record), alignment=record.alignment, origin="t")
    Labels(opened).write(record, label)
    (own / "labels" / f"{record.path.stem}.json").write_text("{}")
    with pytest.raises(InvalidInput, match="polygons and a matte"):
        prepared(Faceset.open(own), tmp_path)
    assert not list(tmp_path.glob("*.npy"))
