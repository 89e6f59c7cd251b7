"""Jobs on models in a real daemon: what they report, what they lock, and that a killed one is done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from tests.core.exchanging import made
from tests.core.shots import make_release
from tests.daemon.support import Daemon, refusal, until
from understudy.core import release
from understudy.core.model import store
from understudy.core.model.exchange import inside
from understudy.v1 import job_pb2, resource_pb2


def spec(kind: str, **fields: object) -> job_pb2.JobSpec:
    return json_format.ParseDict({kind: fields}, job_pb2.JobSpec())


def test_an_export_goes_in_steps_and_leaves_an_artifact(daemon: Daemon, tmp_path: Path):
    model = made(tmp_path / "a")
    out = str(tmp_path / "a.pt")
    job = daemon.succeed(daemon.submit(spec("export_model", model=str(tmp_path / "a"), output=out)).id)
    assert (job.progress.unit, job.progress.done, job.progress.total) == ("step", 2, 2)
    assert [(each.kind, each.path) for each in job.artifacts] == [("export", out)]
    assert job.label == "export a as torchscript"
    assert inside.read(Path(out))["digest"] == model.digest


def test_a_chain_of_what_is_to_come(daemon: Daemon, tmp_path: Path):
    """Exported, imported, combined, exported: each job waits for the one before."""
    made(tmp_path / "a")
    release.write(make_release(), tmp_path / "r.json")
    folder = {name: str(tmp_path / name) for name in ("a", "w", "b", "c")}
    first = daemon.submit(spec("export_model", model=folder["a"], output=folder["w"]))
    second = daemon.submit(
        spec("import_model", source=folder["w"], output=folder["b"], releases=[str(tmp_path / "r.json")]),
        first.id,
    )
    third = daemon.submit(
        spec("combine_models", output=folder["c"], base=folder["a"], parts={"inter": folder["b"]}), second.id
    )
    last = daemon.submit(spec("export_model", model=folder["c"], output=str(tmp_path / "c.pt")), third.id)
    daemon.succeed(last.id)
    digest = store.read_state(tmp_path / "a").digest
    assert store.read_state(tmp_path / "c").combined == dict.fromkeys(
        ("encoder", "inter", "decoder_src", "decoder_dst"), digest
    )


def test_two_that_write_the_same_folder_are_refused(
    daemon: Daemon, ingest: Callable[..., job_pb2.JobSpec], tmp_path: Path
):
    """A restoring that waits in the queue has the model already."""
    made(tmp_path / "a")
    backup = store.back_up(tmp_path / "a").name
    exported = str(tmp_path / "w")
    daemon.succeed(daemon.submit(spec("export_model", model=str(tmp_path / "a"), output=exported)).id)
    busy = daemon.submit(ingest())
    until(lambda: daemon.job(busy.id).state == job_pb2.JOB_STATE_RUNNING)
    waiting = daemon.submit(spec("restore_model", model=str(tmp_path / "a"), backup=backup))
    inside = spec("import_model", source=exported, output=str(tmp_path / "a" / "in"))
    with pytest.raises(grpc.RpcError) as error:
        daemon.submit(inside, refuse_locked=True)
    code, reason, metadata = refusal(error.value)
    assert (code, reason, metadata["job"]) == (grpc.StatusCode.ABORTED, "OUTPUT_LOCKED", waiting.id)
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=busy.id))
    daemon.succeed(waiting.id)


def test_a_daemon_that_was_killed_exports_after_all(
    make_daemon: Callable[..., Daemon], ingest: Callable[..., job_pb2.JobSpec], tmp_path: Path
):
    made(tmp_path / "a")
    running = make_daemon().start()
    busy = running.submit(ingest())
    job = running.submit(spec("export_model", model=str(tmp_path / "a"), output=str(tmp_path / "a.pt")))
    running.kill()
    again = make_daemon().start()
    again.jobs.CancelJob(job_pb2.CancelJobRequest(id=busy.id))
    again.succeed(job.id)
    assert inside.read(tmp_path / "a.pt")["digest"] == store.read_state(tmp_path / "a").digest
    assert again.stop() == 0


def test_backups_over_the_wire(daemon: Daemon, tmp_path: Path):
    made(tmp_path / "a")
    request = resource_pb2.ListModelBackupsRequest(path=str(tmp_path / "a"))
    assert not daemon.models.ListModelBackups(request, timeout=60).backups
    name = store.back_up(tmp_path / "a").name
    (backup,) = daemon.models.ListModelBackups(request, timeout=60).backups
    assert (backup.name, backup.iteration, backup.time_spent.seconds) == (name, 1200, 5400)
    assert backup.id == store.read_state(tmp_path / "a").digest
    found = daemon.models.GetModel(resource_pb2.GetModelRequest(path=str(tmp_path / "a")), timeout=60).model
    assert (found.backups, found.releases[0].valid, found.releases[0].release.id) == (
        1,
        True,
        make_release().id,
    )
    with pytest.raises(grpc.RpcError) as error:
        daemon.models.ListModelBackups(
            resource_pb2.ListModelBackupsRequest(path=str(tmp_path / "none")), timeout=60
        )
    assert refusal(error.value)[1] == "NOT_FOUND"
