"""From Python values to specs of segmentation, and how a training's scores are shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.client.fake import FakeDaemon
from understudy.client import Session, progress, specs
from understudy.client.errors import Refused
from understudy.client.specs import Plate
from understudy.v1 import job_pb2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_label_has_one_source_and_absolute_paths(tmp_path: Path):
    spec = specs.label_faces("f", roto=Plate("m.####.exr", "1001,1004", views=["left"]), track=2).label_faces
    assert (spec.faceset, spec.roto.pattern) == (f"{tmp_path}/f", f"{tmp_path}/m.####.exr")
    assert [segment.first for segment in spec.roto.frames] == [1001, 1004]
    assert (list(spec.roto.views), spec.track, spec.WhichOneof("source")) == (["left"], 2, "roto")
    spec = specs.label_faces("f", polygons="p.json", invert=True, marks="occluder").label_faces
    assert (spec.polygons, spec.invert, spec.marks) == (f"{tmp_path}/p.json", True, "occluder")
    assert not spec.HasField("track")
    spec = specs.label_faces("f", crops="c", channel="G").label_faces
    assert (spec.crops, spec.channel) == (f"{tmp_path}/c", "G")
    with pytest.raises(Refused, match="just one of roto, polygons and crops"):
        specs.label_faces("f", polygons="p.json", crops="c")
    assert (
        specs.label_faces("f").label_faces.WhichOneof("source") is None
    )  # the daemon says what is wrong with it


def test_a_training_says_what_ends_it(tmp_path: Path):
    spec = specs.train_segmenter("s", ["a", "b"], minutes=1.5, start_from="w.npz").train_segmenter
    assert (spec.segmenter, list(spec.facesets)) == (f"{tmp_path}/s", [f"{tmp_path}/a", f"{tmp_path}/b"])
    assert (spec.target_time.ToMilliseconds(), spec.target_iterations) == (90_000, 0)
    assert (spec.start_from, spec.until_converged) == (f"{tmp_path}/w.npz", False)
    assert not spec.all_labels
    spec = specs.train_segmenter(
        "s",
        ["a"],
        iterations=300,
        until_converged=True,
        self_label=True,
        preset="xseg-light",
        seed=4,
        all_labels=True,
    ).train_segmenter
    assert spec.all_labels
    assert (spec.target_iterations, spec.until_converged, spec.self_label) == (300, True, True)
    assert (spec.preset, spec.seed, spec.start_from) == ("xseg-light", 4, "")
    assert not spec.HasField("target_time")


def test_mattes_and_pictures(tmp_path: Path):
    apply = specs.apply_segmenter("s", "f", track=0, device="cpu").apply_segmenter
    assert (apply.segmenter, apply.faceset, apply.device) == (f"{tmp_path}/s", f"{tmp_path}/f", "cpu")
    assert (apply.HasField("track"), apply.track) == (True, 0)  # person 0 is not nobody
    assert not specs.apply_segmenter("s", "f").apply_segmenter.HasField("track")
    picture = specs.preview_segmentation("f", "p.png", query=specs.query(limit=3), count=2, cell=64)
    spec = picture.preview_segmentation
    assert (spec.output, spec.segmenter) == (f"{tmp_path}/p.png", "")
    assert (spec.query.limit, spec.count, spec.cell) == (3, 2, 64)


def trained(iteration: int, **scores: float) -> job_pb2.JobEvent:
    training = job_pb2.TrainProgress(iteration=iteration, losses={"bce": 0.5 / iteration}, scores=scores)
    return job_pb2.JobEvent(training=training)


def test_a_score_holds_until_it_is_measured_again(daemon: FakeDaemon, session: Session):
    daemon.script = [trained(1), trained(2, iou=0.5), trained(4), trained(5, iou=0.625), trained(10)]
    job = session.train_segmenter("/s", ["/f"], iterations=10)
    shown = [progress.standing(job)[3] for event in job.watch() if event.kind == "training"]
    assert shown == [
        "bce 0.5000",
        "bce 0.2500 IoU 0.500",
        "bce 0.1250 IoU 0.500",
        "bce 0.1000 IoU 0.625",
        "bce 0.0500 IoU 0.625",
    ]


def test_a_log_says_the_score(daemon: FakeDaemon, session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    daemon.script = [trained(2, iou=0.875)]
    out = io.StringIO()
    job = session.train_segmenter("/s", ["/f"], iterations=10, label="hands")
    show = progress.Lines(out)
    for event in job.watch():
        show.event(job, event)
    assert "hands: bce 0.2500 IoU 0.875" in out.getvalue().splitlines()
