"""Several workers of a real daemon: side by side, killed, kept from one another's outputs, making room."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from tests.daemon.support import Daemon, refusal, until
from tests.daemon.test_faults import COUNT, files, made_once
from tests.daemon.test_locks import HOLD
from understudy.daemon import locks
from understudy.v1 import job_pb2, system_pb2

Spec = Callable[..., job_pb2.JobSpec]
RUNNING, QUEUED = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_QUEUED


@pytest.fixture
def two(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon("--workers", "2").start()


def changes(daemon: Daemon, job: str) -> list[job_pb2.StateChange]:
    events = [m.event for m in daemon.watch(job) if m.HasField("event")]
    return [event.state_change for event in events if event.HasField("state_change")]


def test_a_killed_worker_takes_its_own_job_with_it_alone(two: Daemon, ingest: Spec):
    assert list(two.system.GetInfo(system_pb2.GetInfoRequest()).workers) == ["cpu:0", "cpu:1"]
    first = two.submit(ingest("first", count=COUNT)).id
    two.until_frames(first, 5)
    (worker,) = two.workers()
    os.kill(worker, signal.SIGSTOP)  # so that it is not done too soon
    second = two.submit(ingest("second", count=COUNT)).id
    two.until_frames(second, 5)
    (other,) = two.workers() - {worker}
    os.kill(other, signal.SIGSTOP)
    third = two.submit(ingest("third", count=3))
    assert third.waits_for == "a worker for cpu"
    assert two.job(first).state == two.job(second).state == RUNNING
    os.kill(worker, signal.SIGKILL)
    os.kill(other, signal.SIGCONT)
    assert two.succeed(first).attempts == 2
    assert two.succeed(second).attempts == 1
    two.succeed(third.id)
    assert other in two.workers()
    for job in (first, second):
        made_once(two, job, COUNT)
    died = [change.error for change in changes(two, first) if change.HasField("error")]
    assert [error.reason for error in died] == ["WORKER_DIED"]
    assert f"worker {worker} was killed by signal 9" in died[0].message


def test_who_writes_the_same_output_waits_and_says_for_whom(two: Daemon, ingest: Spec, tmp_path: Path):
    first = two.submit(ingest("same", count=COUNT)).id
    two.until_frames(first, 3)
    (worker,) = two.workers()
    os.kill(worker, signal.SIGSTOP)
    other = ingest("same", count=COUNT)
    other.ingest.colour_space = "sRGB - Texture"
    second = two.submit(other)
    pattern = tmp_path / "same" / "plate.%04d.exr"
    assert two.job(second.id).waits_for == f"job {first}, which writes to {pattern}"
    assert two.job(second.id).state == QUEUED  # though a worker is free
    said = (m.snapshot.waits_for for m in two.watch(second.id) if m.HasField("snapshot"))
    assert [next(said), next(said)][
        1
    ] == f"job {first}, which writes to {pattern}"  # said again to who watches
    third = ingest("same", count=5)
    with pytest.raises(grpc.RpcError) as refused:
        two.submit(third, refuse_locked=True)
    assert refusal(refused.value)[1] == "OUTPUT_LOCKED"
    os.kill(worker, signal.SIGCONT)
    ended = two.succeed(first).end_time
    begun = two.succeed(second.id).start_time
    assert begun.ToNanoseconds() >= ended.ToNanoseconds()
    assert not [path for path in (tmp_path / "same").iterdir() if path.name.endswith(locks.SUFFIX)]


def test_two_daemons_do_not_write_one_output(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    ours = make_daemon().start()
    theirs = make_daemon(state=tmp_path / "elsewhere" / "state")
    theirs.state.parent.mkdir()
    theirs.start()
    held = theirs.submit(ingest("plate", count=COUNT)).id
    theirs.until_frames(held, 3)
    worker = theirs.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        other = ingest("plate", count=COUNT)
        other.ingest.colour_space = "sRGB - Texture"
        job = ours.submit(other).id
        text = f"is being written by another daemon (process {worker} of "
        until(lambda: text in ours.job(job).waits_for)
        ours.succeed(ours.submit(ingest("free", count=3)).id)  # the worker does not wait with it
        assert len(files(tmp_path / "plate")) < COUNT
        assert "OUTPUT_LOCKED" in {change.error.reason for change in changes_now(ours, job)}
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)  # which frees its lock
    theirs.succeed(held)
    ours.succeed(job)
    assert len(files(tmp_path / "plate")) == COUNT


def changes_now(daemon: Daemon, job: str) -> list[job_pb2.StateChange]:
    """Those of a job that has not ended."""
    found: list[job_pb2.StateChange] = []
    last = daemon.job(job).last_sequence
    for message in daemon.watch(job):
        if message.HasField("event") and message.event.HasField("state_change"):
            found.append(message.event.state_change)
        if message.event.sequence >= last:
            break
    return found


def test_a_refusing_job_fails_where_another_daemon_writes(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    daemon = make_daemon().start()
    text = f"Output(folder={str(tmp_path / 'plate')!r}, name='plate.%04d.exr')"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        failed = daemon.wait(daemon.submit(ingest("plate", count=3), refuse_locked=True).id)
        other.communicate()
    assert (failed.state, failed.error.reason) == (job_pb2.JOB_STATE_FAILED, "OUTPUT_LOCKED")
    assert failed.error.metadata["value"] == str(tmp_path / "plate" / "plate.%04d.exr")


def test_a_job_makes_room_and_goes_on_by_itself(make_daemon: Callable[..., Daemon], ingest: Spec):
    daemon = make_daemon().start()
    low = daemon.submit(ingest("low", count=COUNT)).id
    daemon.until_frames(low, 5)
    worker = daemon.worker()
    os.kill(worker, signal.SIGSTOP)  # so that it is not done too soon
    plain = daemon.submit(ingest("plain", count=3), priority=5).id  # nobody waits for this one
    asked = daemon.submit(ingest("asked", count=3), priority=9, interactive=True).id
    os.kill(worker, signal.SIGCONT)
    daemon.succeed(asked)
    assert daemon.job(low).state in (QUEUED, RUNNING)
    daemon.succeed(plain)
    assert daemon.succeed(low).attempts == 2
    made_once(daemon, low, COUNT)
    room = [change for change in changes(daemon, low) if change.error.reason == "PREEMPTED"]
    assert [change.to_state for change in room] == [QUEUED]
    assert room[0].error.metadata["job"] == asked
    begun = {job: daemon.job(job).start_time.ToNanoseconds() for job in (asked, plain)}
    assert begun[asked] < begun[plain]


def test_the_place_in_the_queue_can_be_changed(make_daemon: Callable[..., Daemon], ingest: Spec):
    daemon = make_daemon().start()
    busy = daemon.submit(ingest("busy")).id
    daemon.until_frames(busy, 1)
    first = daemon.submit(ingest("first", count=2), project="sh010").id
    second = daemon.submit(ingest("second", count=2)).id
    answer = daemon.jobs.SetJobPriority(job_pb2.SetJobPriorityRequest(id=second, priority=3))
    assert answer.job.priority == 3
    listed = daemon.jobs.ListJobs(job_pb2.ListJobsRequest(project="sh010")).jobs
    assert [job.id for job in listed] == [first]
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=busy))
    begun = {job: daemon.succeed(job).start_time.ToNanoseconds() for job in (first, second)}
    assert begun[second] < begun[first]
    for job, priority, reason in ((first, 1, "JOB_STATE"), (second, 1001, "INVALID_INPUT")):
        with pytest.raises(grpc.RpcError) as refused:
            daemon.jobs.SetJobPriority(job_pb2.SetJobPriorityRequest(id=job, priority=priority))
        assert refusal(refused.value)[1] == reason
    with pytest.raises(grpc.RpcError) as refused:
        daemon.submit(ingest("x", count=1), project="a\nb")
    assert refusal(refused.value)[2]["field"] == "project"


def test_a_device_without_a_worker_is_refused(make_daemon: Callable[..., Daemon], tmp_path: Path):
    daemon = make_daemon("--workers", "1").start()
    spec = job_pb2.JobSpec(
        train={
            "model": str(tmp_path / "m"),
            "src": str(tmp_path),
            "dst": str(tmp_path),
            "target_iterations": 1,
            "device": "cuda:3",
        }
    )
    with pytest.raises(grpc.RpcError) as refused:
        daemon.submit(spec)
    code, _, metadata = refusal(refused.value)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert (metadata["field"], metadata["value"]) == ("train.device", "cuda:3")
