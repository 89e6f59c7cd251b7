"""What trainings are told, in the store: kept until it is done, forgotten with the job's end, whole on a full disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.core.errors import InvalidInput, WriteFailed
from understudy.core.train.plan import Course, Plan
from understudy.daemon import control, retention, schema, updates
from understudy.daemon.attempt import Attempt
from understudy.daemon.errors import JobStateRefused
from understudy.daemon.metrics import Metrics
from understudy.daemon.states import State
from understudy.daemon.store import Store, Submission
from understudy.daemon.worker import Done
from understudy.v1 import job_pb2

SAVE = job_pb2.TrainingUpdate(save=True)
GAN = job_pb2.TrainingUpdate(options={"gan": "0.1", "warp": "0"}, preview=True, back_up=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.close()


@pytest.fixture
def job(store: Store) -> str:
    return running(store, "a")


def running(store: Store, name: str) -> str:
    """A training that runs."""
    spec = job_pb2.JobSpec(train={"model": f"/nowhere/{name}", "target_iterations": 5})
    job = store.add(Submission(request_id=name, spec=spec, digest=name, label=name, user="nobody"))
    store.move(job, State.RUNNING)
    return job


def changed(course: Course, options, iteration: int, progress: float) -> Course:
    then = course.changed(iteration, dict(options))
    then.at(iteration, progress)
    return then


def tell(store: Store, job: str, **what) -> job_pb2.Job:
    return control.update(store, job_pb2.UpdateTrainingRequest(job_id=job, **what), changed)


def kinds(store: Store, job: str) -> list[str | None]:
    return [event.WhichOneof("event") for event in store.events(job, 0, 100)[0]]


def test_they_wait_in_order_by_job(store: Store, job: str):
    other = running(store, "b")
    for each, update in ((job, GAN), (other, SAVE), (job, SAVE)):
        updates.add(store, each, update)
    waiting = updates.waiting(store, job)
    assert list(waiting.values()) == [GAN, SAVE]
    assert list(updates.waiting(store, job, 1).values()) == [GAN]
    updates.forget(store, list(waiting)[:1])
    assert list(updates.waiting(store, job).values()) == [SAVE]
    assert list(updates.waiting(store, other).values()) == [SAVE]


def test_they_outlive_the_daemon(tmp_path: Path):
    path = tmp_path / "jobs.db"
    before = Store(path)
    job = running(before, "a")
    tell(before, job, options={"gan": "0.1"})
    before.close()  # as a kill would
    after = Store(path)
    assert after.recover() == [(job, State.QUEUED)]
    assert [dict(update.options) for update in updates.waiting(after, job).values()] == [{"gan": "0.1"}]
    after.close()


def test_a_number_is_never_given_twice(store: Store, job: str):
    seen = []
    for _ in range(3):
        updates.add(store, job, SAVE)
        (number,) = updates.waiting(store, job)
        updates.forget(store, [number])
        seen.append(number)
    assert len(set(seen)) == 3


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.FAILED])
def test_the_jobs_end_forgets_them_and_a_pause_does_not(store: Store, job: str, end: State):
    updates.add(store, job, SAVE)
    for state in (State.PAUSED, State.QUEUED, State.RUNNING):
        store.move(job, state)
        assert len(updates.waiting(store, job)) == 1
    store.move(job, end)
    assert not updates.waiting(store, job)


def test_cancelling_a_paused_job_forgets_them_too(store: Store, job: str):
    updates.add(store, job, SAVE)
    store.move(job, State.PAUSED)
    control.cancel(store, job)
    control.retry(store, job)
    assert not updates.waiting(store, job)


def test_only_a_running_job_takes_one(store: Store, job: str):
    assert tell(store, job, save=True).id == job
    for state in (State.PAUSED, State.QUEUED, State.RUNNING, State.CANCELLING, State.CANCELLED):
        store.move(job, state)
        if state is not State.RUNNING:
            with pytest.raises(JobStateRefused, match=f"is {state.name}, not RUNNING"):
                tell(store, job, save=True)


def test_one_that_does_not_go_with_what_waits_is_refused(store: Store, job: str):
    tell(store, job, options={"batch_size": "6"})
    tell(store, job, options={"accumulate": "3"})
    with pytest.raises(InvalidInput, match="accumulate 3 does not divide batch_size 4"):
        tell(store, job, options={"batch_size": "4"})
    tell(store, job, options={"batch_size": "4", "accumulate": "2"})
    assert len(updates.waiting(store, job)) == 3


def test_a_job_that_ends_while_its_options_are_looked_at_takes_none(store: Store, job: str):
    def slowly(course: Course, options, iteration: int, progress: float) -> Course:
        if store.state(job) is State.RUNNING:
            store.move(job, State.SUCCEEDED)
        return course

    with pytest.raises(JobStateRefused, match="SUCCEEDED"):
        control.update(store, job_pb2.UpdateTrainingRequest(job_id=job, save=True), slowly)
    assert not updates.waiting(store, job)


class Worker:
    """Hears all it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def send(self, order) -> None:
        self.told.append(order.number)


def test_a_worker_is_told_a_few_at_a_time_and_each_once(store: Store, job: str):
    for _ in range(updates.AT_ONCE + 2):
        updates.add(store, job, SAVE)
    attempt, worker = Attempt(job, "train", Metrics()), Worker()
    for _ in range(3):
        attempt.tell(store, worker)  # type: ignore[arg-type]
    assert len(worker.told) == updates.AT_ONCE
    for number in worker.told:
        attempt.take(Done(number))
    attempt.flush(store)
    attempt.tell(store, worker)  # type: ignore[arg-type]
    assert len(worker.told) == len(set(worker.told)) == updates.AT_ONCE + 2
    assert kinds(store, job).count("training_update") == updates.AT_ONCE


def test_what_is_done_is_forgotten_with_its_event_or_not_at_all(store: Store, job: str):
    updates.add(store, job, GAN)
    attempt, worker = Attempt(job, "train", Metrics()), Worker()
    attempt.tell(store, worker)  # type: ignore[arg-type]
    attempt.take(Done(worker.told[0]))
    with store.transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    attempt.pending *= 2000  # which do not go onto the disk
    with pytest.raises(WriteFailed):
        attempt.flush(store)
    assert len(updates.waiting(store, job)) == 1
    assert "training_update" not in kinds(store, job)
    store._db.execute("PRAGMA max_page_count = 1000000")
    del attempt.pending[1:]
    attempt.flush(store)
    assert not updates.waiting(store, job)
    assert store.events(job, 0, 100)[0][-1].training_update == GAN


def test_a_store_of_the_release_before_learns_to_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "jobs.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        db = sqlite3.connect(path, isolation_level=None)
        schema.migrate(db, str(path))
    job, spec = "a", job_pb2.JobSpec(train={"model": "/m"}).SerializeToString()
    db.execute(
        "INSERT INTO jobs (id, digest, spec, state, label, user, created) VALUES (?, '', ?, ?, '', '', 0)",
        (job, spec, State.RUNNING),
    )
    assert db.execute("SELECT max(version) FROM migrations").fetchone() == (1,)
    db.close()
    new = Store(path)
    updates.add(new, job, SAVE)
    assert list(updates.waiting(new, job).values()) == [SAVE]
    new.close()


def test_their_events_are_bounded(store: Store, job: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "KEEP_DENSE", 20)
    monkeypatch.setattr(retention, "CHECK_EVERY", 16)
    for _ in range(100):
        store.record(job, [job_pb2.JobEvent(training_update=SAVE)])
    assert 10 <= kinds(store, job).count("training_update") <= 20 + 16


def test_how_a_person_says_one():
    assert updates.told(GAN) == "gan=0.1 warp=0 preview back up"
    assert updates.told(SAVE) == "save"


def test_a_course_of_no_model_is_the_presets(store: Store, job: str):
    """The model of these jobs is nowhere: what they are told is held against the plan of the default preset."""
    with pytest.raises(InvalidInput) as error:
        tell(store, job, options={"gan": "9"})
    assert error.value.value == 9.0
    assert changed(Course(base=Plan()), {"gan": "1"}, 0, 0.0).at(0, 0.0).gan == 1.0
