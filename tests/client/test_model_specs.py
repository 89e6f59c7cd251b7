"""From Python values to specs of work with models, and what a session asks of a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.fake import FakeDaemon
from understudy.client import Session
from understudy.client.specs import model as specs
from understudy.v1 import job_pb2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_export_leaves_to_the_daemon_what_nobody_said(tmp_path: Path):
    spec = specs.export_model("a.model", "a.onnx").export_model
    assert (spec.model, spec.output) == (f"{tmp_path}/a.model", f"{tmp_path}/a.onnx")
    assert [field.name for field, _ in spec.ListFields()] == ["model", "output"]
    spec = specs.export_model(
        "a", "b", format="dfm", opset=13, half=True, gain=0.5, swap_back=True, release="r", folders=True
    ).export_model
    assert (spec.format, spec.opset, spec.half, spec.gain) == ("dfm", 13, True, 0.5)
    assert (spec.swap_back, spec.release, spec.folders) == (True, f"{tmp_path}/r", True)


def test_an_import_has_a_name_and_releases(tmp_path: Path):
    spec = specs.import_model("w/model", "~/m", name="amy", releases=["r.json", "s.json"]).import_model
    assert (spec.source, spec.output) == (f"{tmp_path}/w/model", str(Path("~/m").expanduser()))
    assert (spec.name, list(spec.releases)) == ("amy", [f"{tmp_path}/r.json", f"{tmp_path}/s.json"])


def test_parts_are_of_models(tmp_path: Path):
    spec = specs.combine_models("c", {"encoder": "a", "inter": "b"}, base="d").combine_models
    assert (spec.output, spec.base) == (f"{tmp_path}/c", f"{tmp_path}/d")
    assert dict(spec.parts) == {"encoder": f"{tmp_path}/a", "inter": f"{tmp_path}/b"}
    assert specs.combine_models("c", {}).combine_models.base == ""


def test_a_backups_name_is_no_path(tmp_path: Path):
    spec = specs.restore_model("a", "00001000-abcdef").restore_model
    assert (spec.model, spec.backup) == (f"{tmp_path}/a", "00001000-abcdef")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda s: s.export_model("a", "a.pt", half=False, label="out"), "export_model"),
        (lambda s: s.import_model("a", "b", name="n", releases=["r"], label="out"), "import_model"),
        (lambda s: s.combine_models("c", {"inter": "a"}, base="b", label="out"), "combine_models"),
        (lambda s: s.restore_model("a", "00001000-abcdef", label="out"), "restore_model"),
    ],
)
def test_a_session_starts_them(daemon: FakeDaemon, session: Session, call, kind: str):
    job = call(session)
    assert job.message.spec.WhichOneof("kind") == kind
    assert job.message.label == "out"
    assert daemon.jobs[job.id].spec == job.message.spec
    assert job_pb2.JobState.Name(job.message.state) in ("JOB_STATE_QUEUED", "JOB_STATE_SUCCEEDED")
