"""Trainings that are told what to do while they run: on a real daemon, with a tiny network, through kills."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import grpc
import pytest

from tests.core.shots import make_release
from tests.daemon import facesets, models
from tests.daemon.support import Daemon, asleep, refusal, until
from understudy.core import release
from understudy.core.model import presets, store
from understudy.core.train import plan
from understudy.v1 import job_pb2, resource_pb2, system_pb2

Spec = Callable[..., job_pb2.JobSpec]
RUNNING, PAUSED = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_PAUSED
SOON = 240.0  # seconds in which a worker starts and takes its first steps on a very busy machine


@pytest.fixture
def train(tmp_path: Path) -> Spec:
    """Specs of trainings of a tiny model that have no end in sight."""
    for name in ("src", "dst"):
        facesets.make(tmp_path / name)
    release.write(make_release(), tmp_path / "src" / "release.json")

    def spec(name: str = "model", **more) -> job_pb2.JobSpec:
        model = tmp_path / name
        if not store.exists(model):
            models.make(model)
        paths = {"model": str(model), "src": str(tmp_path / "src"), "dst": str(tmp_path / "dst")}
        return job_pb2.JobSpec(
            train={**paths, "target_iterations": 10**8, "batch_size": 6, "device": "cpu", **more}
        )

    return spec


def tell(daemon: Daemon, job: str, **what) -> job_pb2.Job:
    request = job_pb2.UpdateTrainingRequest(job_id=job, **what)
    answer: job_pb2.UpdateTrainingResponse = daemon.jobs.UpdateTraining(request, timeout=SOON)
    return answer.job


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, str | None]:
    """Code, reason and field of a refused call."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    code, reason, metadata = refusal(error.value)
    return code, reason, metadata.get("field")


def events(daemon: Daemon, job: str, kind: str) -> list:
    """Those of a kind so far."""
    found, latest = [], daemon.job(job).last_sequence
    for message in daemon.watch(job):
        if message.HasField("event"):
            if message.event.WhichOneof("event") == kind:
                found.append(getattr(message.event, kind))
            if message.event.sequence >= latest:
                break
    return found


def done(daemon: Daemon, job: str, count: int) -> list[job_pb2.TrainingUpdate]:
    """What the training was told, once it has done so many orders."""
    until(lambda: len(events(daemon, job, "training_update")) >= count, SOON)
    return events(daemon, job, "training_update")


def begun(daemon: Daemon, job: str, attempt: int = 1, beyond: int = 0) -> None:
    """Wait until an attempt takes iterations."""
    until(lambda: daemon.job(job).attempts == attempt and daemon.job(job).training.iteration > beyond, SOON)
    assert daemon.job(job).state == RUNNING


def cancel(daemon: Daemon, job: str) -> None:
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job))
    assert daemon.wait(job).state == job_pb2.JOB_STATE_CANCELLED


def get(daemon: Daemon, spec: job_pb2.JobSpec) -> resource_pb2.Model:
    request = resource_pb2.GetModelRequest(path=spec.train.model)
    answer: resource_pb2.GetModelResponse = daemon.models.GetModel(request)
    return answer.model


def told_to_stop(daemon: Daemon, job: str) -> None:
    """Wait until its worker will hear of the stop before it does anything else that it was told."""
    said = f"job={job} worker={daemon.worker()} told to stop"
    until(lambda: said in (daemon.state / "daemon.log").read_text())


def test_a_running_training_does_what_it_is_told_and_keeps_it_over_kills(
    make_daemon: Callable[..., Daemon], train: Spec, tmp_path: Path
):
    daemon = make_daemon().start()
    spec = train()
    job = daemon.submit(spec).id
    begun(daemon, job)
    options = {"accumulate": "3", "warp": "0"}
    assert tell(daemon, job, options=options, preview=True, save=True, back_up=True).id == job
    (told,) = done(daemon, job, 1)
    assert told == job_pb2.TrainingUpdate(options=options, preview=True, save=True, back_up=True)
    artifacts = {a.kind: a.path for a in daemon.job(job).artifacts}
    assert cv2.imread(artifacts["preview"]) is not None
    assert Path(artifacts["backup"]).parent == tmp_path / "model" / "backups"
    kept = get(daemon, spec)
    assert [dict(change.options) for change in kept.changes] == [options]
    assert kept.iteration >= kept.changes[0].iteration > 0
    assert {"src", "dst"} <= set(kept.losses)
    assert kept.backups == 1

    os.kill(daemon.worker(), signal.SIGKILL)
    begun(daemon, job, attempt=2, beyond=kept.iteration)
    # what was changed holds: a batch of 4 does not go in 3 parts, one of 9 does
    assert refused(lambda: tell(daemon, job, options={"batch_size": "4"}))[1:] == (
        "INVALID_INPUT",
        "options.accumulate",
    )
    tell(daemon, job, options={"batch_size": "9"})
    assert dict(done(daemon, job, 2)[1].options) == {"batch_size": "9"}

    daemon.kill()
    daemon.start()
    begun(daemon, job, attempt=3)
    cancel(daemon, job)
    found = [dict(change.options) for change in get(daemon, spec).changes]
    assert found == [options, {"batch_size": "9"}]
    assert len(events(daemon, job, "training_update")) == 2  # nothing is done twice
    reasons = {warning.reason for warning in events(daemon, job, "warning")}
    assert "CHANGED" in reasons
    assert "JOB_STATE" not in reasons


def test_a_training_that_makes_room_is_the_one_that_it_would_have_been(
    make_daemon: Callable[..., Daemon], train: Spec, ingest: Spec, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums of several threads differ in their last bits
    daemon = make_daemon().start()
    until_done = {"target_iterations": 120, "seed": 7}
    job = daemon.submit(train("interrupted", **until_done)).id
    begun(daemon, job)
    with asleep(daemon.worker()):  # so that it is not done too soon
        asked = daemon.submit(ingest(count=2), priority=1, interactive=True).id
    until(lambda: daemon.job(asked).state == job_pb2.JOB_STATE_SUCCEEDED, SOON)
    until(lambda: daemon.job(job).state == job_pb2.JOB_STATE_SUCCEEDED, SOON)
    assert daemon.job(job).attempts == 2
    reasons = [change.error.reason for change in events(daemon, job, "state_change")]
    assert reasons.count("PREEMPTED") == 1
    whole = daemon.submit(train("whole", **until_done)).id
    until(lambda: daemon.job(whole).state == job_pb2.JOB_STATE_SUCCEEDED, SOON)
    assert daemon.job(whole).attempts == 1
    ours, theirs = ({**store.load(tmp_path / n)[1]} for n in ("interrupted", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_what_a_worker_did_not_hear_is_told_to_the_next(daemon: Daemon, train: Spec):
    spec = train()
    job = daemon.submit(spec).id
    begun(daemon, job)
    os.kill(worker := daemon.worker(), signal.SIGSTOP)
    tell(daemon, job, options={"gan": "0.5"})
    tell(daemon, job, back_up=True)
    os.kill(worker, signal.SIGKILL)
    first, second = done(daemon, job, 2)
    assert daemon.job(job).attempts == 2
    assert (dict(first.options), second.back_up) == ({"gan": "0.5"}, True)
    assert get(daemon, spec).backups == 1
    cancel(daemon, job)


def test_a_pause_keeps_what_was_asked(daemon: Daemon, train: Spec):
    job = daemon.submit(train()).id
    begun(daemon, job)
    with asleep(daemon.worker()):
        tell(daemon, job, options={"warp": "0"})
        daemon.jobs.PauseJob(job_pb2.PauseJobRequest(id=job))
        tell(daemon, job, save=True)  # it still runs
        told_to_stop(daemon, job)
    until(lambda: daemon.job(job).state == PAUSED)
    assert refused(lambda: tell(daemon, job, save=True))[:2] == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "JOB_STATE",
    )
    assert events(daemon, job, "training_update") == []
    daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id=job))
    first, second = done(daemon, job, 2)
    assert (dict(first.options), second.save) == ({"warp": "0"}, True)
    cancel(daemon, job)


def test_what_comes_too_late_is_said_and_never_done(daemon: Daemon, train: Spec):
    job = daemon.submit(train()).id
    begun(daemon, job)
    with asleep(daemon.worker()):
        tell(daemon, job, options={"warp": "0"}, preview=True)
        daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job))
        code, reason, _ = refused(lambda: tell(daemon, job, save=True))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE")
        told_to_stop(daemon, job)
    assert daemon.wait(job).state == job_pb2.JOB_STATE_CANCELLED
    late = [w.message for w in events(daemon, job, "warning") if w.reason == "JOB_STATE"]
    assert late == ["the training ended before it could do this: warp=0 preview"]
    daemon.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id=job))
    begun(daemon, job, attempt=2)
    tell(daemon, job, save=True)
    (told,) = done(daemon, job, 1)
    assert told == job_pb2.TrainingUpdate(save=True)
    cancel(daemon, job)


def test_many_may_ask_at_once(daemon: Daemon, train: Spec):
    spec = train()
    job = daemon.submit(spec).id
    begun(daemon, job)
    asked = [{"gan": f"{n / 100:g}"} for n in range(1, 25)]  # more than a worker is told at once
    threads = [threading.Thread(target=tell, args=(daemon, job), kwargs={"options": each}) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [dict(each.options) for each in done(daemon, job, len(asked))]
    assert sorted(told, key=str) == sorted(asked, key=str)
    assert [dict(change.options) for change in get(daemon, spec).changes] == told
    with asleep(daemon.worker()):  # one is told what the other has asked for, though nobody has done it
        tell(daemon, job, options={"batch_size": "4"})
        wrong = refused(lambda: tell(daemon, job, options={"accumulate": "3"}))
    assert wrong[1:] == ("INVALID_INPUT", "options.accumulate")
    cancel(daemon, job)


def test_what_no_training_can_be_told(daemon: Daemon, train: Spec, ingest: Spec):
    busy = daemon.submit(ingest()).id
    queued = daemon.submit(train()).id
    denied = (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE", None)
    wrong = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert refused(lambda: tell(daemon, queued, save=True)) == denied
    assert refused(lambda: tell(daemon, busy, save=True)) == (*wrong, "job_id")
    assert refused(lambda: tell(daemon, queued)) == (*wrong, "options")
    assert refused(lambda: tell(daemon, "nope", save=True)) == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_FOUND",
        "job_id",
    )
    for job in (busy, queued):
        daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job))
        daemon.wait(job)
    assert refused(lambda: tell(daemon, queued, save=True)) == denied


def test_a_wrong_option_changes_nothing(daemon: Daemon, train: Spec):
    spec = train()
    job = daemon.submit(spec).id
    begun(daemon, job)
    for options, field in (({"gan": "9"}, "gan"), ({"gam": "1"}, "gam"), ({"masked": "perhaps"}, "masked")):
        wrong = refused(lambda: tell(daemon, job, options={"warp": "0", **options}, save=True))  # noqa: B023
        assert wrong == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", f"options.{field}")
    tell(daemon, job, save=True)
    assert len(done(daemon, job, 1)) == 1
    assert not get(daemon, spec).changes
    cancel(daemon, job)


def test_phases_and_an_end_in_iterations(daemon: Daemon, train: Spec, tmp_path: Path):
    spec = train(
        target_iterations=6,
        options={"warp": "0"},
        phases=[{"share": 0.5, "options": {"gan": "0.1", "gan_dims": "4"}}],
        preview_exr=True,
        start_from=str(models.make(tmp_path / "other")),
    )
    ended = daemon.succeed(daemon.submit(spec).id)
    assert ended.training.iteration == 6
    found = get(daemon, spec)
    assert (found.preset, found.way) == ("", "ours")  # a model from elsewhere
    assert set(found.part_parameters) == {"encoder", "inter", "decoder_src", "decoder_dst"}
    assert found.parameters == sum(found.part_parameters.values()) > 0
    (record,) = found.releases
    assert (record.release.id, record.valid) == (make_release().id, True)
    assert {Path(a.path).suffix for a in ended.artifacts if a.kind == "preview"} == {".png", ".exr"}
    assert any("gan 0.1" in w.message for w in events(daemon, ended.id, "warning") if w.reason == "PHASE")
    out = str(tmp_path / "history.png")
    drawn = daemon.submit(job_pb2.JobSpec(plot_history={"model": spec.train.model, "output": out}))
    (artifact,) = daemon.succeed(drawn.id).artifacts
    assert (artifact.kind, artifact.path) == ("history", out)
    assert cv2.imread(out) is not None


@pytest.mark.parametrize("name", ["ablation-df", "ablation-df-gan-trueface", "quick96"])
def test_a_model_knows_its_preset_though_others_have_its_sizes(daemon: Daemon, tmp_path: Path, name: str):
    model = models.make(tmp_path / "model", preset=name, bare=True, way="dfl")
    answer = daemon.models.GetModel(resource_pb2.GetModelRequest(path=str(model))).model
    assert (answer.preset, answer.way, answer.architecture, answer.backups) == (name, "dfl", "df", 0)


def test_info_tells_of_training_what_core_does(daemon: Daemon):
    info = daemon.system.GetInfo(system_pb2.GetInfoRequest())
    families = {family.name: family for family in info.families}
    assert list(families["way"].choices) == list(plan.WAYS)
    assert families["way"].default_choice == "ours"
    assert list(families["preset"].choices) == [*presets.PRESETS, *presets.ABLATION]
    assert {p.name for p in info.training} == set(plan.NAMES)
    for told, said in zip(info.training, plan.options(), strict=True):
        assert (told.name, told.help, told.type, told.default_value) == (
            said.name,
            said.help,
            said.type,
            said.default,
        )
        bounds = (
            (told.minimum if told.HasField("minimum") else None),
            (told.maximum if told.HasField("maximum") else None),
        )
        assert bounds == (said.minimum, said.maximum)
        assert (tuple(told.choices), told.keyable) == (said.choices, False)
        assert plan.Plan().with_options({told.name: told.default_value}) == plan.Plan()
