"""Crops for training: cut once from folder or pack, drawn without filling the memory, whatever becomes of faces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core.shots import make_release, write_faceset
from understudy.core import align, faceset, release, warp
from understudy.core.colour import SwapCurve
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import Faceset
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.frames import Window
from understudy.core.model import presets
from understudy.core.model.presets import ModelConfig
from understudy.core.reports import Artifact, TrainReport, Warned
from understudy.core.train import clockwork, data, loop, plan
from understudy.core.train.data import Crops
from understudy.core.train.settings import TrainSettings

TINY = ModelConfig(
    options="ud", resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16, face_type="full"
)
CURVE = SwapCurve(gain=1.0)
COUNT = 12


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two facesets and a pack of each. Read only."""
    folder: Path = tmp_path_factory.mktemp("made")
    for name in ("src", "dst"):
        write_faceset(folder / name, range(1001, 1001 + COUNT), f"{name}.%04d.exr")
        release.write(make_release(), folder / name / "release.json")
        list(pack(PackSettings(faceset=folder / name, out=folder / f"{name}.faceset")))
    return folder


@pytest.fixture
def own(made, tmp_path) -> Path:
    """A copy of `src` to break."""
    shutil.copytree(made / "src", tmp_path / "src")
    folder: Path = tmp_path / "src"
    return folder


def prepared(faceset: Faceset, folder: Path) -> tuple[Crops, list[str]]:
    """The crops and what was warned of."""
    *reports, crops = data.prepare(faceset, folder, "src", TINY, CURVE)
    assert isinstance(crops, Crops)
    return crops, [report.message for report in reports if isinstance(report, Warned)]


def tear(file: Path) -> None:
    """Leave the header whole and not the pixels."""
    file.write_bytes(file.read_bytes()[:-900])


def everything(crops: Crops) -> torch.Tensor:
    return crops.gather(np.arange(len(crops)))


def test_crops_of_a_pack_are_those_of_its_folder(made, tmp_path):
    crops = [prepared(Faceset.open(made / name), tmp_path / name) for name in ("src", "src.faceset")]
    assert torch.equal(everything(crops[0][0]), everything(crops[1][0]))
    assert crops[0][0].digest == crops[1][0].digest
    assert crops[0][1] == crops[1][1] == []
    names = [sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("src", "src.faceset")]
    assert names[0] == names[1]  # a training goes over from folder to pack without cutting anew
    assert len(names[0]) == 1


def test_each_crop_is_of_its_own_face(made, tmp_path):
    found = Faceset.open(made / "src")
    crops, _ = prepared(found, tmp_path)
    for row in (0, 5, COUNT - 1):
        record = found.records[row]
        wanted = data.crop(found.load(record), record, TINY, CURVE).astype(np.float16)
        np.testing.assert_array_equal(crops.array[row], wanted)
        np.testing.assert_array_equal(crops.gather(np.array([row]))[0].permute(1, 2, 0), wanted)


def test_poses_are_those_of_the_faces_that_were_read(own, tmp_path):
    found = Faceset.open(own)
    tear(own / "dst_t0.1003.exr")
    for _ in range(2):  # cut, and found again
        crops, _ = prepared(found, tmp_path / "c")
        assert crops.pose is not None
        assert crops.pose.dtype == np.float32
        wanted = np.radians(np.delete(found.columns.pose, 2, axis=0)[:, :2])
        assert np.ptp(wanted[:, 1]) > 0.5
        np.testing.assert_allclose(crops.pose, wanted, atol=1e-6)
    pose = found.columns.pose.copy()
    pose[0] = np.nan
    odd = replace(found, columns=replace(found.columns, pose=pose))
    crops, _ = prepared(odd, tmp_path / "odd")
    assert crops.pose is not None
    assert crops.pose[0].tolist() == [0, 0]


def test_faces_that_show_less_than_the_model_sees_are_counted(made, own, tmp_path):
    found = Faceset.open(own)
    for record in found.records[:5]:
        points = record.face.landmarks.points
        narrow = align.fit(points, "full", 96)
        pixels = warp.to_aligned(
            found.load(record), Window(0, 0, 96, 96), warp.between(record.alignment, narrow)
        )
        faceset.write(replace(record, alignment=narrow), pixels)
    wide = replace(TINY, face_type="whole")
    for _ in range(2):
        told = [
            r for r in data.prepare(Faceset.open(own), tmp_path, "src", wide, CURVE) if isinstance(r, Warned)
        ]
        assert [r.reason for r in told] == ["CROPS_NARROW"]
        assert "5 of 12 faces show less than face type whole" in told[0].message
    for asked, folder in ((TINY, own), (wide, made / "src")):
        *reports, _ = data.prepare(Faceset.open(folder), tmp_path, "src", asked, CURVE)
        assert not [r for r in reports if isinstance(r, Warned)]


def test_one_face_is_enough_and_few_of_src_are_warned_of(made, tmp_path):
    found = Faceset.open(made / "src").subset(np.array([0]))
    crops, told = prepared(found, tmp_path)
    assert len(crops) == 1
    assert len(told) == 1
    assert "src has 1 face, and the swap will look like that only" in told[0]
    reports = list(data.prepare(found, tmp_path, "dst", TINY, CURVE))
    assert not [r for r in reports if isinstance(r, Warned)]  # a shot has the frames that it has


def test_a_face_without_a_place_is_left_out_and_named(own, tmp_path):
    found = Faceset.open(own)
    record = found.records[6]
    points = np.full_like(record.face.landmarks.points, 7.0)
    lost = replace(record, face=replace(record.face, landmarks=replace(record.face.landmarks, points=points)))
    faceset.write(lost, found.load(record))
    crops, told = prepared(Faceset.open(own), tmp_path)
    assert len(crops) == COUNT - 1
    assert len(told) == 1
    assert record.path.name in told[0]
    assert "all lie in one place" in told[0]


@pytest.mark.parametrize("size", [0, 100, 200_000, -10])
def test_torn_crops_are_cut_anew(size, made, tmp_path):
    found = Faceset.open(made / "src")
    wanted = everything(prepared(found, tmp_path)[0])
    (file,) = tmp_path.iterdir()
    os.truncate(file, size if size >= 0 else file.stat().st_size + size)
    assert torch.equal(everything(prepared(found, tmp_path)[0]), wanted)
    assert list(tmp_path.iterdir()) == [file]


DRAW = """
    import re, sys
    from pathlib import Path
    import numpy as np
    from understudy.core.train.data import Crops

    def resident():
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"^VmRSS:\\s+(\\d+) kB$", status, re.MULTILINE)[1])

    crops = Crops.open(Path(sys.argv[1]), "")
    crops.gather(np.arange(16))  # what libraries take once
    before, found = resident(), []
    for first in range(0, 8000, 16):
        if float(crops.gather(np.arange(first, first + 16)).max()) == 0.5:
            found.append(first)
    drawn = resident() - before
    mapped = float(crops.array.max())
    print(found == [4320], drawn, mapped, resident() - before)
"""


def test_drawing_does_not_fill_the_memory(tmp_path):
    """Of 500 MB of crops, all drawn, no more stays than a batch takes; through a map it would be all.

    In a process of its own: the memory of one that has lived already shrinks when it likes.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("resident memory is read from /proc, which this system has not")
    file = tmp_path / "src.npy"
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=(8000, 80, 80, 5))
    array[4321] = 0.5
    array.flush()
    del array
    command = [sys.executable, "-c", textwrap.dedent(DRAW), str(file)]
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found, drawn, value, mapped = done.stdout.split()
    assert (found, value) == ("True", "0.5")
    assert int(drawn) < 60e6
    assert int(mapped) > 300e6


def test_crops_in_memory_are_drawn_as_those_of_a_file(made, tmp_path):
    crops, _ = prepared(Faceset.open(made / "src"), tmp_path)
    held = Crops(array=np.array(crops.array), digest="")
    assert torch.equal(held.gather(np.array([3, 3, 0])), crops.gather(np.array([3, 3, 0])))


def test_crops_survive_their_file_and_say_so_when_it_is_cut_short(made, tmp_path):
    crops, _ = prepared(Faceset.open(made / "src"), tmp_path)
    wanted = everything(crops)
    (file,) = tmp_path.glob("*.npy")
    kept = file.rename(tmp_path / "kept")
    assert torch.equal(everything(crops), wanted)
    assert crops.source is not None
    os.truncate(kept, crops.source[1] + crops.array.nbytes - 10)
    assert torch.equal(crops.gather(np.array([0])), wanted[:1])
    with pytest.raises(FrameUnreadable, match=f"cut short at sample {COUNT - 1}"):
        everything(crops)


def test_a_face_that_has_gone_or_is_torn_is_left_out_and_named(own, tmp_path):
    found = Faceset.open(own)
    whole, _ = prepared(found, tmp_path / "whole")
    (own / "dst_t0.1003.exr").unlink()
    crops, told = prepared(found, tmp_path / "c")
    assert len(told) == 1
    assert "dst_t0.1003.exr" in told[0]
    kept = np.delete(np.arange(COUNT), 2)
    assert torch.equal(everything(crops), everything(whole)[kept])
    again, told = prepared(found, tmp_path / "c")
    assert len(again) == COUNT - 1
    assert "1 of its faces could not be read when its crops were cut" in told[0]
    edited = Faceset.open(own)
    tear(own / "dst_t0.1005.exr")
    crops, told = prepared(edited, tmp_path / "c")
    assert len(crops) == COUNT - 2
    assert len(told) == 1
    assert "dst_t0.1005.exr" in told[0]
    assert len(list((tmp_path / "c").iterdir())) == 1


def test_where_many_faces_cannot_be_read_it_is_refused(own, tmp_path):
    found = Faceset.open(own)
    for number in (1001, 1004, 1007):
        tear(own / f"dst_t0.{number}.exr")
    with pytest.raises(
        FrameUnreadable, match=r"2 of 12 faces cannot be read; the first: .*dst_t0\.1001"
    ) as caught:
        prepared(found, tmp_path / "c")
    assert caught.value.path == str(own)
    assert list((tmp_path / "c").iterdir()) == []
    only = found.subset(np.array([0]))
    with pytest.raises(FrameUnreadable, match="1 of 1 faces"):
        prepared(only, tmp_path / "c")


def test_closing_leaves_nothing_and_begins_anew(made, tmp_path):
    found = Faceset.open(made / "src")
    work = data.prepare(found, tmp_path, "src", TINY, CURVE)
    for _ in range(5):
        next(work)
    work.close()
    assert list(tmp_path.iterdir()) == []
    assert len(prepared(found, tmp_path)[0]) == COUNT


def test_what_cannot_be_trained_on_is_refused(made, tmp_path):
    found = Faceset.open(made / "src")
    with pytest.raises(NoFace, match="src has no face to train on"):
        prepared(found.subset(np.array([], np.int64)), tmp_path)
    texts = dict(found.columns.texts)
    codes = np.arange(COUNT, dtype=np.int32) % 2
    texts["colour"] = replace(texts["colour"], codes=codes, table=("ACEScg", "linear"))
    mixed = replace(found, columns=replace(found.columns, texts=texts))
    with pytest.raises(InvalidInput, match=r"several colour spaces: .* in 'ACEScg', .* in 'linear"):
        prepared(mixed, tmp_path)


@pytest.fixture
def asked(monkeypatch, tmp_path) -> TrainSettings:
    monkeypatch.setitem(presets.PRESETS, "tiny", TINY)
    monkeypatch.setitem(plan._PLANS, "tiny", plan.Plan(batch_size=2, learning_rate=2e-3, warmup=5))
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    return TrainSettings(
        model=tmp_path / "model",
        src=tmp_path,
        dst=tmp_path / "none",
        preset="tiny",
        batch_size=2,
        precision="float32",
        device="cpu",
        target_iterations=6,
    )


def losses(reports) -> list[dict[str, float]]:
    return [report.losses for report in reports if isinstance(report, TrainReport) and report.losses]


def test_packs_train_as_their_folders_do(made, asked, colour, tmp_path):
    runs = []
    for suffix in ("", ".faceset"):
        src, dst = (made / f"{name}{suffix}" for name in ("src", "dst"))
        settings = replace(asked, src=src, dst=dst, model=tmp_path / f"m{suffix}", release=make_release())
        runs.append(losses(loop.run(settings, colour=colour)))
    assert len(runs[0]) == 6
    assert [run["src"] for run in runs[0]] == pytest.approx([run["src"] for run in runs[1]], rel=1e-5)


def test_a_training_goes_on_whatever_becomes_of_its_faces(made, own, asked, colour):
    settings = replace(asked, src=own, dst=made / "dst")
    reports = []
    for report in loop.run(settings, colour=colour):
        reports.append(report)
        if isinstance(report, TrainReport) and report.losses and own.exists():
            shutil.rmtree(own)
    assert len(losses(reports)) == 6
    assert reports[-1] == Artifact(kind="model", path=settings.model)


def test_a_training_says_which_faces_it_left_out(made, own, asked, colour):
    tear(own / "dst_t0.1002.exr")
    (own / "dst_t0.1004.exr").write_bytes(b"")
    reports = list(loop.run(replace(asked, src=own, dst=made / "dst"), colour=colour))
    told = [report.message for report in reports if isinstance(report, Warned)]
    assert [name for name in ("1002", "1004") if any(f"dst_t0.{name}.exr" in text for text in told)] == [
        "1002",
        "1004",
    ]
    assert len(losses(reports)) == 6
