"""Workers and daemons are killed in the middle of real work: nothing is lost, nothing is done twice."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from tests.daemon.support import SECONDS, Daemon, alive, until
from understudy.core.errors import WriteFailed
from understudy.daemon import attempt as attempts
from understudy.daemon import queueing
from understudy.daemon.metrics import Metrics
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.site import Site
from understudy.daemon.states import State
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2

Spec = Callable[..., job_pb2.JobSpec]
COUNT = 900  # of which, after the first ones, enough are left for seconds: none is done too soon


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file each name is, and when it was written: changes when anything is written again."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("*.exr") if p.name[0] != "."}


def made_once(daemon: Daemon, job: str, count: int) -> None:
    """Every frame was made, and by all that is on record only once."""
    reports = [m.event.frame for m in daemon.watch(job) if m.HasField("event") and m.event.HasField("frame")]
    made = Counter(r.frame for r in reports if r.state == job_pb2.FRAME_STATE_DONE)
    assert set(made.values()) <= {1}
    assert {r.frame for r in reports} == set(range(1001, 1001 + count))
    good = {job_pb2.FRAME_STATE_DONE, job_pb2.FRAME_STATE_SKIPPED}
    assert {r.state for r in daemon.frames(job).values()} <= good
    assert len(daemon.frames(job)) == count


def test_a_killed_worker_is_replaced_and_its_job_goes_on(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    daemon = make_daemon().start()
    job = daemon.submit(ingest(count=COUNT)).id
    daemon.until_frames(job, 20)
    worker = daemon.worker()
    os.kill(worker, signal.SIGKILL)
    kept = files(tmp_path / "plate")
    ended = daemon.succeed(job)
    assert ended.attempts == 2
    made_once(daemon, job, COUNT)
    now = files(tmp_path / "plate")
    assert len(now) == COUNT
    assert kept.items() <= now.items()
    changes = [m.event.state_change for m in daemon.watch(job) if m.HasField("event")]
    died = next(c for c in changes if c.to_state == job_pb2.JOB_STATE_QUEUED and c.from_state)
    assert died.error.reason == "WORKER_DIED"
    assert f"worker {worker} was killed by signal 9" in died.error.message


def begun(daemon: Daemon, job: str, attempt: int) -> bool:
    return daemon.job(job).attempts == attempt


def test_a_job_that_comes_further_each_time_outlives_any_number_of_workers(
    make_daemon: Callable[..., Daemon], ingest: Spec
):
    daemon = make_daemon().start()
    job = daemon.submit(ingest(count=COUNT)).id
    for attempt in (1, 2, 3):
        until(partial(begun, daemon, job, attempt))
        daemon.until_frames(job, len(daemon.frames(job)) + 10)
        os.kill(daemon.worker(), signal.SIGKILL)
    assert daemon.succeed(job).attempts == 4
    made_once(daemon, job, COUNT)


def test_a_job_under_which_workers_keep_dying_fails(make_daemon: Callable[..., Daemon], ingest: Spec):
    daemon = make_daemon().start()
    job = daemon.submit(ingest(count=COUNT)).id
    other = daemon.submit(ingest("other", count=3)).id
    daemon.until_frames(job, 10)
    dead: set[int] = set()

    def ended() -> bool:
        """The first worker has made frames; who follows dies before it makes one."""
        for each in daemon.workers() - dead:
            os.kill(each, signal.SIGKILL)
            dead.add(each)
        return State(daemon.job(job).state).ended

    until(ended)
    failed = daemon.job(job)
    assert failed.attempts == 3
    assert failed.state == job_pb2.JOB_STATE_FAILED
    assert failed.error.reason == "WORKER_DIED"
    daemon.succeed(other)  # the daemon and the next job are well
    assert (
        daemon.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id=job)).job.state
        == job_pb2.JOB_STATE_QUEUED
    )
    daemon.succeed(job)
    made_once(daemon, job, COUNT)


def test_a_killed_daemon_goes_on_where_it_was(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    daemon = make_daemon().start()
    job = daemon.submit(ingest(count=COUNT)).id
    waiting = daemon.submit(ingest("other", count=3)).id
    seen: list[int] = []

    def watched() -> Iterator[int]:
        for message in daemon.watch(job, after=seen[-1] if seen else 0):
            if message.HasField("event"):
                yield message.event.sequence

    stream = watched()
    seen += [next(stream) for _ in range(25)]
    worker = daemon.worker()
    os.kill(daemon.pid, signal.SIGKILL)
    with pytest.raises(grpc.RpcError) as lost:
        seen.extend(stream)
    assert lost.value.code() == grpc.StatusCode.UNAVAILABLE
    daemon.kill()
    kept = files(tmp_path / "plate")
    daemon.start()
    assert daemon.job(job).attempts >= 1
    daemon.succeed(job)
    daemon.succeed(waiting)
    assert not alive(worker)
    made_once(daemon, job, COUNT)
    assert kept.items() <= files(tmp_path / "plate").items()
    seen.extend(watched())
    assert seen == [m.event.sequence for m in daemon.watch(job) if m.HasField("event")]


def test_a_stopped_daemon_closes_its_job_and_goes_on_later(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    daemon = make_daemon().start()
    job = daemon.submit(ingest(count=COUNT)).id
    daemon.until_frames(job, 10)
    worker = daemon.worker()
    assert daemon.stop() == 0
    assert not alive(worker)
    assert not (daemon.state / "daemon.json").exists()
    assert not (daemon.state / "daemon.sock").exists()
    store = Store(daemon.state / "jobs.db")
    assert store.state(job) is State.QUEUED  # not RUNNING: it was put away, not found
    store.close()
    kept = files(tmp_path / "plate")
    daemon.start()
    assert daemon.succeed(job).attempts == 2
    made_once(daemon, job, COUNT)
    assert kept.items() <= files(tmp_path / "plate").items()


@pytest.mark.parametrize(
    ("ask", "state"), [("CancelJob", job_pb2.JOB_STATE_CANCELLED), ("PauseJob", job_pb2.JOB_STATE_PAUSED)]
)
def test_what_was_asked_before_the_daemon_was_killed_is_done(
    make_daemon: Callable[..., Daemon], ingest: Spec, ask: str, state: int
):
    daemon = make_daemon().start()
    job = daemon.submit(ingest()).id
    daemon.until_frames(job, 5)
    worker = daemon.worker()
    os.kill(worker, signal.SIGSTOP)  # so that it cannot react
    getattr(daemon.jobs, ask)(getattr(job_pb2, f"{ask}Request")(id=job))
    daemon.kill()
    os.kill(worker, signal.SIGKILL)
    daemon.start()
    assert daemon.job(job).state == state


def test_a_worker_that_does_not_react_is_killed(
    monkeypatch: pytest.MonkeyPatch, ingest: Spec, tmp_path: Path
):
    monkeypatch.setattr(attempts, "REACTION_SECONDS", 0.5)
    store = Store(tmp_path / "jobs.db")
    scheduler = Scheduler(
        store, Site(weights_cache=tmp_path), tmp_path, faulthandler.dump_traceback, metrics=Metrics()
    )
    scheduler.start()
    try:
        job = submit(store, ingest())
        until(lambda: len(store.frames(job, [], None, 100)[0]) > 5)
        (worker,) = scheduler.pids().values()
        os.kill(worker, signal.SIGSTOP)
        store.move(job, State.CANCELLING)
        until(lambda: store.state(job) is State.CANCELLED)
        assert not alive(worker)
        after = submit(store, ingest("after", count=3))
        until(lambda: store.state(after) is State.SUCCEEDED)
        assert scheduler.pids()["auto"] != worker
    finally:
        scheduler.stop(60)
        store.close()


def test_a_full_disk_makes_the_worker_wait_and_loses_no_report(ingest: Spec, tmp_path: Path):
    store = Store(tmp_path / "jobs.db")
    job = submit(store, ingest(count=200))
    with store.transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 8}")
    scheduler = Scheduler(
        store, Site(weights_cache=tmp_path), tmp_path, faulthandler.dump_traceback, metrics=Metrics()
    )
    scheduler.start()
    try:
        until(lambda: len(files(tmp_path / "plate")) > 20 if (tmp_path / "plate").exists() else False)
        time.sleep(1.0)
        assert store.state(job) is State.RUNNING
        assert len(store.frames(job, [], None, 1000)[0]) < 200
        store._db.execute("PRAGMA max_page_count = 1000000")  # somebody has made room
        until(lambda: store.state(job) is State.SUCCEEDED)
        reports, _ = store.frames(job, [], None, 1000)
        assert [r.frame for r in reports] == list(range(1001, 1201))
        assert {r.state for r in reports} == {job_pb2.FRAME_STATE_DONE}
    finally:
        scheduler.stop(60)
        store.close()


def test_a_store_that_fails_for_a_moment_costs_an_attempt_only(
    monkeypatch: pytest.MonkeyPatch, ingest: Spec, tmp_path: Path
):
    store, failed = Store(tmp_path / "jobs.db"), threading.Event()
    asked = store.pausing

    def pausing(job: str) -> bool:
        """As ever, but for the first time that it is asked of a job which has made frames."""
        if not failed.is_set() and store.frames(job, [], None, 1)[0]:
            failed.set()
            raise WriteFailed("disk I/O error")
        return asked(job)

    monkeypatch.setattr(store, "pausing", pausing)
    job = submit(store, ingest(count=COUNT))
    scheduler = Scheduler(
        store, Site(weights_cache=tmp_path), tmp_path, faulthandler.dump_traceback, metrics=Metrics()
    )
    scheduler.start()
    try:
        until(lambda: store.state(job) is State.SUCCEEDED)
        assert failed.is_set()
        assert store.job(job).attempts == 2
        assert len(store.frames(job, [], None, 1000)[0]) == COUNT
    finally:
        scheduler.stop(60)
        store.close()


def test_a_scheduler_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    store, told = Store(tmp_path / "jobs.db"), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr(queueing, "doomed", lambda store: 1 / 0)
    scheduler = Scheduler(store, Site(weights_cache=tmp_path), tmp_path, on_fault=told.set, metrics=Metrics())
    scheduler.start()
    assert told.wait(SECONDS)
    scheduler.stop(60)
    store.close()


def submit(store: Store, spec: job_pb2.JobSpec) -> str:
    name = spec.ingest.pattern
    return store.add(Submission(request_id=name, spec=spec, digest=name, label="ingest", user="nobody"))
