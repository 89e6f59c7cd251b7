"""What a person or a log sees of a job."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from tests.client.fake import FakeDaemon, frame
from tests.client.fake import progress as progress_event
from understudy.client import Session, progress
from understudy.v1 import job_pb2


def _follow(daemon: FakeDaemon, session: Session, show: progress.Reporter) -> None:
    losses = job_pb2.TrainProgress(iteration=10, losses={"src": 0.25, "dst": 0.5})
    daemon.script = [
        progress_event(12, 48),
        job_pb2.JobEvent(training=losses),
        frame(1002, job_pb2.FRAME_STATE_FAILED, "plate.1002.exr: truncated"),
        frame(1003, job_pb2.FRAME_STATE_MISSING),
        frame(1004, warnings=["highlight clipped by the codec"]),
        job_pb2.JobEvent(warning=job_pb2.Error(message="another person was ignored")),
    ]
    job = session.verify("/o.%04d.exr", label="verify")
    with show:
        show.started([job])
        for event in job.watch():
            show.event(job, event)
        show.ended(job)


def test_plain_lines(daemon: FakeDaemon, session: Session):
    out = io.StringIO()
    _follow(daemon, session, progress.Lines(out))
    assert out.getvalue().splitlines() == [
        "verify: job job-1",
        "verify: 12/48 frames, 2.0 frames/s, 0:18 left",
        "verify: frame 1002 failed: plate.1002.exr: truncated",
        "verify: frame 1003 missing: ",
        "verify: warning: another person was ignored",
        "verify: done in 0:00",
    ]


def test_plain_lines_tell_of_a_worker_that_died(daemon: FakeDaemon, session: Session):
    out = io.StringIO()
    died = job_pb2.Error(reason="WORKER_DIED", message="the worker was killed by signal 9")
    running, queued = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_QUEUED
    daemon.script = [
        job_pb2.JobEvent(state_change=job_pb2.StateChange(to_state=running)),
        job_pb2.JobEvent(state_change=job_pb2.StateChange(to_state=queued, error=died)),
        job_pb2.JobEvent(state_change=job_pb2.StateChange(to_state=running)),
    ]
    job = session.verify("/o.%04d.exr", label="verify")
    show = progress.Lines(out)
    for event in job.watch():
        show.event(job, event)
    assert out.getvalue().splitlines() == [
        "verify: running",
        "verify: queued again: the worker was killed by signal 9",
        "verify: running",
    ]


def test_plain_lines_of_every_frame(daemon: FakeDaemon, session: Session):
    out = io.StringIO()
    _follow(daemon, session, progress.Lines(out, every_frame=True))
    assert "verify: frame 1004 ok: highlight clipped by the codec" in out.getvalue()


def test_bars(daemon: FakeDaemon, session: Session):
    bars = progress.Bars()
    out = io.StringIO()
    bars._progress.live.console = Console(file=out, force_terminal=True, width=120)
    _follow(daemon, session, bars)
    shown = out.getvalue()
    for text in ("verify", "12/48 frames", "done in 0:00", "frame 1002 failed: plate.1002.exr: truncated"):
        assert text in shown


def test_what_a_queued_job_waits_for_is_told(daemon: FakeDaemon, session: Session):
    memory = "8,192 MiB of cuda:0's memory: 2,048 MiB of 24,576 MiB are free"
    daemon.waiting = ["job 9, which writes to /o.%04d.exr", memory]
    running, done = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_SUCCEEDED
    out, bars = io.StringIO(), progress.Bars()
    bars._progress.live.console = Console(file=(drawn := io.StringIO()), force_terminal=True, width=160)
    daemon.script = [
        job_pb2.JobEvent(state_change=job_pb2.StateChange(to_state=state)) for state in (running, done)
    ]
    job, show, waits = session.verify("/o.%04d.exr", label="verify"), progress.Lines(out), []
    with bars:
        bars.started([job])
        for event in job.watch():
            waits.append(job.message.waits_for)
            show.event(job, event)
            bars.event(job, event)
            bars._progress.refresh()
    assert out.getvalue().splitlines() == [
        "verify: waits for job 9, which writes to /o.%04d.exr",
        f"verify: waits for {memory}",
        "verify: running",
    ]
    assert waits[:4] == ["", *daemon.waiting, ""]
    assert f"waits for {memory}" in drawn.getvalue()


def test_json_lines(daemon: FakeDaemon, session: Session):
    out = io.StringIO()
    _follow(daemon, session, progress.JsonLines(out))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "started",
        "snapshot",
        "progress",
        "training",
        "frame",
        "frame",
        "frame",
        "warning",
        "state_change",
        "ended",
    ]
    assert {line["job"] for line in lines} == {"job-1"}
    assert lines[4]["data"]["frame"] == 1002
    assert lines[4]["data"]["error"]["message"] == "plate.1002.exr: truncated"
    assert [line["sequence"] for line in lines[2:9]] == [1, 3, 5, 7, 9, 11, 13]


@pytest.mark.parametrize(("per_second", "text"), [(0.0, ""), (3.21, "3.2 frames/s"), (0.25, "4.0 s/frame")])
def test_rates(per_second, text):
    assert progress.rate(per_second, "frame") == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3723, "1:02:03"), (-1, "0:00")])
def test_clock(seconds, text):
    assert progress.clock(seconds) == text


def test_bytes_and_unlimited_work_are_told_too(session: Session):
    job = session.pull_weights()
    job.message.progress.CopyFrom(job_pb2.Progress(done=1_500_000, total=3_000_000, unit="byte", rate=2e6))
    assert progress.standing(job)[:2] == ("1.5/3.0 MB", "2.0 MB/s")
    job.message.progress.CopyFrom(job_pb2.Progress(done=400, unit="iteration", rate=0.5))
    assert progress.standing(job)[:3] == ("400 iterations", "2.0 s/iteration", "")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("CHANGED", "changed at iteration 9: gan 0.1"),
        ("PHASE", "changed at iteration 9: gan 0.1"),
        ("DIVERGED", "warning: changed at iteration 9: gan 0.1"),
        ("", "warning: changed at iteration 9: gan 0.1"),
    ],
)
def test_what_a_training_does_as_it_was_told_is_no_warning(
    daemon: FakeDaemon, session: Session, reason: str, said: str
):
    told = job_pb2.Error(reason=reason, message="changed at iteration 9: gan 0.1")
    daemon.script = [job_pb2.JobEvent(warning=told)]
    out = io.StringIO()
    job, show = session.train("/m", "/a", "/b", iterations=9, label="train"), progress.Lines(out)
    for event in job.watch():
        show.event(job, event)
    assert f"train: {said}" in out.getvalue().splitlines()
