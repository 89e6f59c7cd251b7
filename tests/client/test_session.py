"""Session and Job against a daemon that comes, goes, drops streams and falls silent."""

from __future__ import annotations

import threading
import time

import grpc
import pytest

from tests.client.fake import FakeDaemon, frame, progress, status
from understudy.client import JobCancelled, JobFailed, NotFound, Refused, Session, TimedOut, Unreachable
from understudy.client import wire as wires
from understudy.client.backoff import Patience
from understudy.v1 import job_pb2, resource_pb2


def _extract(session: Session):
    return session.extract("/p.%04d.exr", "/f", label="extract")


def test_a_job_is_watched_to_its_end(daemon: FakeDaemon, session: Session):
    daemon.script = [progress(1, 2), frame(1001), job_pb2.JobEvent(artifact=job_pb2.Artifact(kind="faceset"))]
    job = _extract(session)
    events = list(job.watch())
    assert [e.kind for e in events] == ["snapshot", "progress", "frame", "artifact", "state_change"]
    assert [e.sequence for e in events[1:]] == [1, 3, 5, 7]
    assert events[2].message.frame == 1001
    assert job.check().state == "SUCCEEDED"
    assert job.message.progress.done == 1


def test_a_dropped_stream_goes_on_where_it_was(daemon: FakeDaemon, session: Session):
    daemon.script = [frame(n) for n in range(1001, 1007)]
    daemon.drop_after = 5
    seen = [e.message.frame for e in _extract(session).watch() if e.kind == "frame"]
    assert seen == [1001, 1002, 1003, 1004, 1005, 1006]
    assert daemon.watches == [0, 5]


def test_a_daemon_that_restarts_is_found_again(daemon: FakeDaemon, session: Session):
    daemon.script = None
    job = _extract(session)
    events = job.watch()
    assert next(events).kind == "snapshot"

    def restart():
        daemon.stop()
        daemon.play(job.id, [frame(1001)])
        daemon.end(job.id, job_pb2.JOB_STATE_SUCCEEDED)
        time.sleep(0.3)
        daemon.start()

    thread = threading.Thread(target=restart)
    thread.start()
    rest = [e.kind for e in events]
    thread.join()
    assert [k for k in rest if k != "snapshot"] == ["frame", "state_change"]
    assert job.state == "SUCCEEDED"


def test_a_silent_stream_is_given_up_and_opened_again(daemon: FakeDaemon, session: Session, monkeypatch):
    monkeypatch.setattr(wires, "SILENCE_S", 1.0)
    daemon.silent = True
    daemon.script = [frame(1001)]
    seen = [e.kind for e in _extract(session).watch()]
    # Where the machine is busy, one that has more to say may fall silent too: it begins with a snapshot again.
    assert [kind for kind in seen if kind != "snapshot"] == ["frame", "state_change"]
    assert daemon.watches[:2] == [0, 0]


def test_a_daemon_that_stays_away_is_unreachable(daemon: FakeDaemon, session: Session):
    daemon.script = None
    job = _extract(session)
    session._wire.patience = 0.3
    daemon.stop()
    with pytest.raises(Unreachable, match=r"no daemon answers at unix:.*understudy serve"):
        list(job.watch())


def test_leaving_the_loop_leaves_the_job(daemon: FakeDaemon, session: Session):
    daemon.script = None
    job = _extract(session)
    for _ in job.watch():
        break
    assert job.refresh().state == "QUEUED"


def test_the_same_work_again_is_the_same_job(daemon: FakeDaemon, session: Session):
    daemon.script = None
    first, second = _extract(session), _extract(session)
    assert (first.existing, second.existing) == (False, True)
    assert first.id == second.id
    assert daemon.requests[0].request_id != daemon.requests[1].request_id


def test_wait_raises_how_it_ended(daemon: FakeDaemon, session: Session):
    daemon.ending = job_pb2.JOB_STATE_FAILED
    daemon.error = job_pb2.Error(reason="NO_FACE", message="there is no face in /p", metadata={"path": "/p"})
    with pytest.raises(JobFailed, match="there is no face") as failed:
        _extract(session).wait()
    assert (failed.value.reason, failed.value.path, failed.value.exit_code) == ("NO_FACE", "/p", 3)
    daemon.ending, daemon.error = job_pb2.JOB_STATE_CANCELLED, job_pb2.Error()
    with pytest.raises(JobCancelled):
        _extract(session).wait()


def test_wait_with_a_timeout_leaves_the_job_running(daemon: FakeDaemon, session: Session):
    daemon.script = None
    with pytest.raises(TimedOut, match=r"has not ended after 0\.2 s; it is QUEUED"):
        _extract(session).wait(timeout=0.2)


def test_steering(daemon: FakeDaemon, session: Session):
    daemon.script = None
    job = _extract(session)
    assert job.pause().state == "PAUSED"
    assert job.resume().state == "SUCCEEDED"
    with pytest.raises(Refused, match="has ended") as caught:
        job.pause()
    assert caught.value.reason == "JOB_STATE"
    assert job.retry().ended


def test_lists_go_over_all_pages(daemon: FakeDaemon, session: Session):
    for n in range(5):
        session.verify(f"/o{n}.%04d.exr")
    assert [job.id for job in session.jobs()] == ["job-5", "job-4", "job-3", "job-2", "job-1"]
    assert list(session.jobs(["RUNNING"])) == []
    daemon.frames = [
        frame(n, job_pb2.FRAME_STATE_FAILED if n % 2 else job_pb2.FRAME_STATE_DONE).frame
        for n in range(1001, 1008)
    ]
    job = session.job("job-1")
    assert [f.frame for f in job.frames()] == list(range(1001, 1008))
    assert [f.frame for f in job.frames(["FAILED"])] == [1001, 1003, 1005, 1007]
    assert [face.frame for face in session.faces("/f")] == [1001, 1002, 1003]


def test_resources(session: Session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert session.faceset("faces").path == f"{tmp_path}/faces"
    assert session.release("a.release.json").valid
    made = session.create_release(resource_pb2.Release(subject="performer-a"), "a.release.json")
    assert (made.id, made.subject) == ("abc", "performer-a")
    assert session.default("preset") == "quick96"
    assert [w.name for w in session.weights()] == ["blazeface"]
    with pytest.raises(NotFound, match="there is no job nope"):
        session.job("nope")


def test_refusals_carry_field_and_value(daemon: FakeDaemon, session: Session):
    daemon.refuse["train"] = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
        "train.preset: 'q' is none",
        field="train.preset",
        value="q",
    )
    with pytest.raises(Refused, match="is none") as caught:
        session.train("/m", "/a", "/b", preset="q", iterations=1)
    assert (caught.value.field, caught.value.value) == ("train.preset", "q")


def test_a_daemon_of_another_contract_is_refused(daemon: FakeDaemon):
    daemon.api = ["understudy.v9"]
    with pytest.raises(Refused, match=r"speaks understudy\.v9, this client understudy\.v1"):
        Session(daemon.endpoint)


def test_an_endpoint_where_nobody_listens_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.delattr(Patience, "next")  # it is not asked for a pause before another attempt
    with pytest.raises(Unreachable, match="no daemon answers") as caught:
        Session(f"unix:{tmp_path}/none.sock")
    assert caught.value.exit_code == 69
