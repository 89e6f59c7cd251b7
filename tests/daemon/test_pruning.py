"""Jobs that ended long ago are forgotten wholly, the others not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon import control, pruning, updates
from understudy.daemon.outputs import Output
from understudy.daemon.settings import Retention
from understudy.daemon.states import State
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.close()


def add(store: Store, *needs: str) -> str:
    name = str(uuid.uuid4())
    spec = job_pb2.JobSpec(train={"model": f"/{name}"})
    job = store.add(
        Submission(
            request_id=name,
            spec=spec,
            digest=name,
            label="",
            user="x",
            depends_on=needs,
            outputs=(Output(folder=f"/{name}"),),
        )
    )
    store.record(job, [job_pb2.JobEvent(frame=job_pb2.FrameReport(frame=1, state=job_pb2.FRAME_STATE_DONE))])
    store.record(job, [job_pb2.JobEvent(artifact=job_pb2.Artifact(kind="comp", path="/c"))])
    return job


def end(store: Store, job: str, at: float) -> None:
    assert store.take(job)
    updates.add(store, job, job_pb2.TrainingUpdate(save=True))
    store.move(job, State.SUCCEEDED)
    with store.transaction() as db:
        db.execute("UPDATE jobs SET created = ?, ended = ? WHERE id = ?", (at, at, job))


def kept(store: Store) -> list[str]:
    return [job.id for job in reversed(store.jobs([], None, 1000)[0])]


def test_a_job_that_ended_by_a_clock_set_back_is_not_old(store: Store):
    job = add(store)
    end(store, job, 100 * DAY)
    with store.transaction() as db:
        db.execute("UPDATE jobs SET ended = 1.0")
    assert pruning.prune(store, Retention(days=10), 105 * DAY) == 0
    whole = add(store)  # made and ended by that clock
    end(store, whole, 1 * DAY)
    assert pruning.prune(store, Retention(days=10), 105 * DAY) == 0
    assert pruning.prune(store, Retention(days=10), 111 * DAY) == 2


def test_old_jobs_go_wholly_and_their_numbers_never_come_again(store: Store):
    old, new = add(store), add(store)
    end(store, old, 1 * DAY)
    end(store, new, 9 * DAY)
    assert pruning.prune(store, Retention(days=5.0), 10 * DAY) == 1
    assert kept(store) == [new]
    with store.reading() as db:
        for table in pruning._OF_A_JOB:
            assert not db.execute(f"SELECT 1 FROM {table} WHERE job = ?", (old,)).fetchall(), table
    with pytest.raises(NotFound, match="ended long ago"):
        store.glance(old)
    _, cursor = store.jobs([], None, 1)
    assert cursor is None
    latest = add(store)
    assert kept(store) == [new, latest]
    assert pruning.prune(store, Retention(days=5.0), 10 * DAY) == 0


def test_what_has_not_ended_stays_with_all_that_it_depends_on(store: Store):
    first = add(store)
    second = add(store, first)
    third = add(store, second)
    running, paused = add(store), add(store)
    for job in (first, second):
        end(store, job, 1.0)
    assert store.take(running)
    control.pause(store, paused)
    assert pruning.prune(store, Retention(days=1.0, jobs=1), 1000 * DAY) == 0
    end(store, third, 2.0)
    assert pruning.prune(store, Retention(days=1.0), 1000 * DAY) == 3  # the chain from its end
    assert kept(store) == [running, paused]


def test_only_so_many_are_kept(store: Store):
    jobs = [add(store) for _ in range(2 * pruning.BATCH + 5)]
    for job in jobs:
        end(store, job, 1.0)
    waiting = add(store)
    assert pruning.prune(store, Retention(days=0.0, jobs=3), 1000 * DAY) == len(jobs) - 3
    assert kept(store) == [*jobs[-3:], waiting]
    assert pruning.prune(store, Retention(days=0.0, jobs=0), 1000 * DAY) == 0


@pytest.mark.parametrize("wrong", [{"days": -1.0}, {"jobs": -1}])
def test_what_cannot_be_is_refused(wrong: dict):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Retention(**wrong)
