"""The job store: paging, retention, full disks, files it cannot use."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon.support import SECONDS
from understudy.core.errors import DiskFull, NotFound, WriteFailed
from understudy.core.frames import FrameRange
from understudy.daemon import control, queueing, retention
from understudy.daemon.decode import Pull, Work
from understudy.daemon.errors import OutputLocked, RequestIdReused
from understudy.daemon.limits import Limits
from understudy.daemon.outputs import Output
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.v1 import job_pb2


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.close()


def spec(name: str) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(pull_weights=job_pb2.PullWeightsSpec(names=[name]))


def start(
    store: Store,
    name: str,
    *outputs: Output,
    request_id: str = "",
    depends_on=(),
    refuse_locked: bool = False,
) -> tuple[job_pb2.Job, bool]:
    request = job_pb2.StartJobRequest(
        request_id=request_id or str(uuid.uuid4()),
        spec=spec(name),
        depends_on=depends_on,
        refuse_locked=refuse_locked,
    )
    work = Work(settings=Pull(names=(name,)), outputs=outputs, label=name)
    return control.start(store, request, "nobody", lambda *_: work, Limits())


def frames(*numbers: int, state=job_pb2.FRAME_STATE_DONE) -> list[job_pb2.JobEvent]:
    return [job_pb2.JobEvent(frame=job_pb2.FrameReport(frame=n, state=state)) for n in numbers]


def test_same_request_is_the_same_job_even_after_its_end(store: Store):
    request = str(uuid.uuid4())
    first, existing = start(store, "a", request_id=request)
    assert not existing
    control.cancel(store, first.id)
    again, existing = start(store, "a", request_id=request)
    assert (again.id, existing) == (first.id, True)
    other, existing = start(store, "a")
    assert other.id != first.id
    assert not existing


def test_request_id_with_another_spec_is_refused(store: Store):
    request = str(uuid.uuid4())
    first, _ = start(store, "a", request_id=request)
    with pytest.raises(RequestIdReused, match=first.id):
        start(store, "b", request_id=request)


def test_same_spec_attaches_while_it_is_not_finished(store: Store):
    first, _ = start(store, "a")
    request = str(uuid.uuid4())
    second, existing = start(store, "a", request_id=request)
    assert (second.id, existing) == (first.id, True)
    control.cancel(store, first.id)
    again, existing = start(store, "a", request_id=request)  # the retry of a request keeps its answer
    assert (again.id, existing) == (first.id, True)


def test_racing_requests_make_one_job(store: Store):
    found: list[tuple[job_pb2.Job, bool]] = []
    threads = [threading.Thread(target=lambda: found.append(start(store, "a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job, _ in found}) == 1
    assert [existing for _, existing in found].count(False) == 1


def sequence(folder: Path, frames: FrameRange | None = None) -> Output:
    return Output(folder=str(folder), name="comp.%04d.exr", frames=frames or FrameRange())


def test_who_does_not_wait_is_refused_until_the_other_has_ended(store: Store, tmp_path: Path):
    first, _ = start(store, "a", sequence(tmp_path))
    with pytest.raises(
        OutputLocked, match=rf"job {first.id} is writing to {tmp_path}/comp.%04d.exr"
    ) as refused:
        start(store, "b", sequence(tmp_path), refuse_locked=True)
    assert refused.value.details()["job"] == first.id
    control.pause(store, first.id)
    with pytest.raises(OutputLocked):
        start(store, "b", sequence(tmp_path), refuse_locked=True)
    control.cancel(store, first.id)
    second, _ = start(store, "b", sequence(tmp_path), refuse_locked=True)
    assert control.retry(store, first.id).state == job_pb2.JOB_STATE_QUEUED  # it may wait
    control.cancel(store, second.id)
    with pytest.raises(OutputLocked, match=first.id):
        control.retry(store, second.id)


def test_who_may_wait_is_told_for_what_from_the_others_start_to_its_end(store: Store, tmp_path: Path):
    first, _ = start(store, "a", Output.of_folder(tmp_path))
    second, _ = start(store, "b", sequence(tmp_path / "comp"))
    assert store.job(second.id).waits_for == "a worker for cpu"
    assert store.take(first.id)
    text = f"job {first.id}, which writes to {tmp_path}"
    assert store.job(second.id).waits_for == text
    store.move(first.id, State.PAUSED)
    assert store.job(second.id).waits_for == text
    control.resume(store, first.id)  # it goes on later, and half of its output is there
    assert store.job(second.id).waits_for == text
    assert store.job(first.id).waits_for == "a worker for cpu"
    store.move(first.id, State.CANCELLED)
    control.retry(store, first.id)  # it has not begun again
    assert store.job(second.id).waits_for == "a worker for cpu"


def test_chunks_of_a_sequence_may_be_written_at_once(store: Store, tmp_path: Path):
    first, _ = start(store, "a", sequence(tmp_path, FrameRange.of(1001, 1010)))
    second, _ = start(store, "b", sequence(tmp_path, FrameRange.of(1011, 1020)), refuse_locked=True)
    third, _ = start(store, "c", sequence(tmp_path, FrameRange.of(1020, 1030)))
    for job in (first, second):
        assert store.take(job.id)
    assert store.job(third.id).waits_for == f"job {second.id}, which writes to {tmp_path}/comp.%04d.exr"


def test_a_job_may_go_on_with_what_it_waits_for(store: Store, tmp_path: Path):
    folder = Output.of_folder(tmp_path)
    first, _ = start(store, "a", folder)
    middle, _ = start(store, "b", depends_on=[first.id])
    last, _ = start(store, "c", folder, depends_on=[middle.id])
    assert list(last.depends_on) == [middle.id]
    assert queueing.ancestors(store, [last.id]) == {first.id, middle.id, last.id}


@pytest.mark.parametrize(
    ("ours", "theirs", "overlap"),
    [
        (Output(folder="/a"), Output(folder="/a"), True),
        (Output(folder="/a"), Output(folder="/a/b"), True),
        (Output(folder="/a"), Output(folder="/ab"), False),
        (Output(folder="/a"), Output(folder="/a/b", name="x.%04d.exr"), True),
        (Output(folder="/a/b"), Output(folder="/a", name="x.%04d.exr"), False),
        (Output(folder="/a", name="x.%04d.exr"), Output(folder="/a", name="y.%04d.exr"), False),
    ],
)
def test_overlap(ours: Output, theirs: Output, overlap: bool):
    assert ours.overlaps(theirs) is overlap
    assert theirs.overlaps(ours) is overlap
    assert Output.load(*ours.dump()) == ours


def test_unknown_dependency_is_not_found(store: Store):
    with pytest.raises(NotFound, match="no job 'nope'"):
        start(store, "a", depends_on=["nope"])


def test_pages_of_jobs_and_frames(store: Store):
    ids = [start(store, str(n))[0].id for n in range(5)]
    first, cursor = store.jobs([], None, 2)
    second, cursor = store.jobs([], cursor, 2)
    third, end = store.jobs([], cursor, 2)
    assert [job.id for job in (*first, *second, *third)] == ids[::-1]
    assert end is None
    store.record(ids[0], frames(-1, 0, 1) + frames(2, state=job_pb2.FRAME_STATE_FAILED) + frames(0))
    page, cursor = store.frames(ids[0], [], None, 3)
    rest, end = store.frames(ids[0], [], cursor, 3)
    assert [f.frame for f in (*page, *rest)] == [-1, 0, 1, 2]
    assert end is None
    failed, _ = store.frames(ids[0], [job_pb2.FRAME_STATE_FAILED], None, 3)
    assert [f.frame for f in failed] == [2]
    assert store.job(ids[0]).frames_failed == 1


def test_history_stays_bounded_and_spans_the_run(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "KEEP_DENSE", 50)
    monkeypatch.setattr(retention, "KEEP_REPEATS", 50)
    monkeypatch.setattr(retention, "CHECK_EVERY", 16)
    job = start(store, "a")[0].id
    for iteration in range(1000):
        event = job_pb2.JobEvent(training=job_pb2.TrainProgress(iteration=iteration))
        store.record(job, [event, *frames(iteration % 10)])
    events, thinned = store.events(job, 0, 10000)
    kept = [e.training.iteration for e in events if e.HasField("training")]
    assert 25 <= len(kept) <= 50 + 16
    assert kept[0] < 100
    assert kept[-1] == 999
    assert max(b - a for a, b in pairwise(kept)) < 200
    assert len([e for e in events if e.HasField("frame")]) <= 10 + 50 + 16
    assert 0 < thinned < store.job(job).last_sequence
    assert store.job(job).training.iteration == 999
    assert any(e.HasField("state_change") for e in events)


def fill(store: Store, job: str):
    for n in range(10000):
        store.record(job, frames(n))


def test_full_disk_is_a_clean_error_and_loses_nothing(store: Store):
    job = start(store, "a")[0].id
    store.record(job, frames(1))
    with store.transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(DiskFull, match=r"jobs.db: the job store cannot be used: .*full.*free space") as full:
        fill(store, job)
    assert full.value.details()["path"].endswith("jobs.db")
    assert store.state(job) is State.QUEUED
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.record(job, frames(20000))
    events, _ = store.events(job, 0, 100000)
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert events[-1].frame.frame == 20000


def test_a_file_that_is_no_store_is_refused(tmp_path: Path):
    path = tmp_path / "jobs.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(WriteFailed, match="file is not a database"):
        Store(path)
    with pytest.raises(WriteFailed, match="unable to open"):
        Store(tmp_path / "nowhere" / "jobs.db")


def test_a_newer_schema_is_refused(tmp_path: Path):
    path = tmp_path / "jobs.db"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO migrations VALUES (99, 0)")
    db.close()
    with pytest.raises(WriteFailed, match="newer understudy"):
        Store(path)


def test_waiting_ends_with_a_commit(store: Store):
    job = start(store, "a")[0].id
    before = store.job(job).last_sequence
    later = threading.Timer(0.1, lambda: store.record(job, frames(1)))
    later.start()
    began = time.monotonic()
    store.wait_beyond(job, before, SECONDS)
    assert store.job(job).last_sequence > before
    store.wait_beyond(job, 0, SECONDS)  # has happened already
    assert time.monotonic() - began < SECONDS  # neither of them waited for its time
    later.join()


def test_only_deaths_without_progress_in_between_add_up(store: Store):
    job = start(store, "a")[0].id
    assert [store.count_death(job) for _ in range(2)] == [1, 2]
    store.record(job, frames(1001))
    assert [store.count_death(job) for _ in range(2)] == [1, 2]
    store.record(job, frames(1001))  # the same again is no progress, nor is one that failed
    store.record(job, frames(1002, state=job_pb2.FRAME_STATE_FAILED))
    assert store.count_death(job) == 3
    assert [store.count_death(job, saved) for saved in (500, 500, 0, 499, 501, 0)] == [1, 2, 3, 4, 1, 2]
