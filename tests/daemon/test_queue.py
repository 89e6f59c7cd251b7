"""Who is next, on the real store; the scheduler's decisions against whatever people, workers and crashes do."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from understudy.daemon import access, control, queueing, schema, shares, slots
from understudy.daemon.access import Caller
from understudy.daemon.errors import NotPermitted
from understudy.daemon.lane import Task
from understudy.daemon.metrics import Metrics
from understudy.daemon.outputs import Output
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.site import Site
from understudy.daemon.slots import Workers
from understudy.daemon.states import ACTIVE, State
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.close()


def add(store: Store, *, user: str = "nobody", device: str = "", output: str = "", needs=(), **asked) -> str:
    name = str(uuid.uuid4())
    spec = job_pb2.JobSpec(train={"model": f"/{name}", "device": device})
    outputs = (Output(folder=output),) if output else ()
    asked = {"user": user, "depends_on": tuple(needs), "outputs": outputs, **asked}
    return store.add(Submission(request_id=name, spec=spec, digest=name, label="train", **asked))


def order(store: Store, served: dict[str, float] | None = None) -> list[str]:
    return [each.job for each in queueing.ordered(store, served or {}, queueing.needs(store))]


def test_priority_then_the_least_served_then_the_order_of_arrival(store: Store):
    a1, a2 = add(store, user="ann"), add(store, user="ann")
    b1 = add(store, user="ben")
    urgent = add(store, user="ann", priority=5)
    later = add(store, user="cy", priority=-1)
    assert order(store, {"ann": 10.0}) == [urgent, b1, a1, a2, later]
    assert order(store, {"ann": 10.0, "ben": 11.0}) == [urgent, a1, a2, b1, later]
    control.set_priority(store, later, 9)
    assert order(store, {"ann": 10.0})[0] == later


def test_served_time_is_forgotten_by_halves(store: Store):
    shares.add(store, "ann", 100.0, 0.0, DAY)
    shares.add(store, "ben", 60.0, DAY, DAY)
    assert shares.served(store, DAY, DAY) == {"ann": 50.0, "ben": 60.0}
    shares.add(store, "ann", 100.0, DAY, DAY)
    assert shares.served(store, 2 * DAY, DAY) == {"ann": 75.0, "ben": 30.0}
    assert shares.served(store, 0.0, DAY) == {"ann": 150.0, "ben": 60.0}  # the clock was set back


def test_an_older_file_gets_its_columns(tmp_path: Path):
    """As a daemon of schema 2 left it: one job had begun, one had not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        db = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
        schema.migrate(db, "jobs.db")
    spec = job_pb2.JobSpec(train={"model": "/m", "device": "cuda:1"}).SerializeToString()
    for job, attempts in (("begun", 1), ("new", 0)):
        db.execute(
            "INSERT INTO jobs (id, digest, spec, state, label, user, created, attempts) "
            "VALUES (?, ?, ?, 1, '', 'x', 0, ?)",
            (job, job, spec, attempts),
        )
        db.execute("INSERT INTO outputs VALUES (?, '/m', '', '[]')", (job,))
    db.close()
    store = Store(tmp_path / "jobs.db")
    assert queueing.needs(store) == {"cuda:1"}
    assert store.job("new").waits_for == "job begun, which writes to /m"
    assert store.job("begun").priority == 0
    store.close()


def test_a_token_binds_project_and_priority(tmp_path: Path):
    file = tmp_path / "tokens.json"
    access.create(file, "ann", ("submit",), project="sh010")
    access.create(file, "ben", ("submit",))
    assert [token.project for token in access.read(file)] == ["sh010", ""]
    ann = Caller(name="ann", scopes=frozenset({"submit"}), project="sh010")
    ben = Caller(name="ben", scopes=frozenset({"submit"}))
    assert (ann.project_of(""), ann.project_of("sh010")) == ("sh010", "sh010")
    assert (ben.project_of(""), ben.project_of("sh020")) == ("", "sh020")
    with pytest.raises(NotPermitted, match="is for sh010, not for sh020"):
        ann.project_of("sh020")
    ben.need_priority(100, 100)
    with pytest.raises(NotPermitted, match="ben may ask for 100 at most"):
        ben.need_priority(101, 100)
    Caller(name="root", scopes=frozenset({"admin"})).need_priority(1000, 100)


class Lane:
    """In a lane's place: it runs what it is given until the test says how it ends."""

    def __init__(self) -> None:
        self.attempt: SimpleNamespace | None = None
        self.alive, self.pid = True, None

    def run(self, task) -> None:
        assert self.attempt is None
        self.attempt = SimpleNamespace(job=task.job, place=task.place, room_for="")

    def vacate(self) -> threading.Event:
        assert self.attempt is None
        return threading.Event()

    def make_room(self, job: str) -> None:
        assert self.attempt is not None
        self.attempt.room_for = job


def scheduler_of(store: Store, folder: Path, workers: Workers) -> Scheduler:
    scheduler = Scheduler(
        store, Site(weights_cache=folder), folder, lambda: None, metrics=Metrics(), workers=workers
    )
    scheduler._lanes = {slot: Lane() for slot in scheduler.slots}  # type: ignore[misc]
    return scheduler


def running(scheduler: Scheduler) -> dict[str, SimpleNamespace]:
    return {lane.attempt.job: lane.attempt for lane in scheduler._lanes.values() if lane.attempt}  # type: ignore[misc]


def end(scheduler: Scheduler, store: Store, job: str, to: State) -> None:
    if store.state(job) is State.CANCELLING:
        to = State.CANCELLED
    elif to is State.QUEUED and store.pausing(job):
        to = State.PAUSED
    store.move(job, to)
    place = running(scheduler)[job].place
    for lane in scheduler._lanes.values():
        if lane.attempt and lane.attempt.job == job:
            lane.attempt = None
    scheduler._freed(Task(job, place), False)


TWO = Workers(devices=("cuda:0", "cuda:1"))


def test_who_wants_both_gpus_is_not_starved_by_who_wants_one(store: Store, tmp_path: Path):
    scheduler = scheduler_of(store, tmp_path, TWO)
    one = add(store)
    scheduler._assign()
    both, more = add(store, device="cuda:0,cuda:1"), [add(store) for _ in range(3)]
    scheduler._assign()
    assert set(running(scheduler)) == {one}  # the other one is kept
    end(scheduler, store, one, State.SUCCEEDED)
    scheduler._assign()
    assert set(running(scheduler)) == {both}
    end(scheduler, store, both, State.SUCCEEDED)
    scheduler._assign()
    assert set(running(scheduler)) == set(more[:2])


def test_who_waits_for_an_output_is_not_overtaken_by_who_wants_it_too(store: Store, tmp_path: Path):
    scheduler = scheduler_of(store, tmp_path, TWO)
    inside = add(store, output="/shot/a")
    scheduler._assign()
    whole, other, elsewhere = (
        add(store, output="/shot"),
        add(store, output="/shot/b"),
        add(store, output="/else"),
    )
    scheduler._assign()
    assert set(running(scheduler)) == {inside, elsewhere}
    end(scheduler, store, elsewhere, State.SUCCEEDED)
    end(scheduler, store, inside, State.SUCCEEDED)
    scheduler._assign()
    assert set(running(scheduler)) == {whole}
    assert store.job(other).waits_for == f"job {whole}, which writes to /shot"


def test_who_has_begun_goes_on_before_who_waits_for_its_output(store: Store, tmp_path: Path):
    """The other one comes first in the queue, and could never begin."""
    begun = add(store, user="ben", output="/o")
    assert store.take(begun)
    store.recover()
    first = add(store, user="ann", output="/o")
    assert order(store) == [first, begun]
    scheduler = scheduler_of(store, tmp_path, TWO)
    scheduler._assign()
    assert set(running(scheduler)) == {begun}


def test_users_take_turns_by_what_they_were_served(store: Store, tmp_path: Path):
    scheduler = scheduler_of(store, tmp_path, Workers())
    ann = [add(store, user="ann") for _ in range(4)]
    scheduler._assign()
    ben = [add(store, user="ben") for _ in range(2)]
    begun = []
    for _ in range(6):
        (job,) = running(scheduler)
        begun.append(job)
        shares.add(store, store.job(job).user, 60.0, time.time(), DAY)
        end(scheduler, store, job, State.SUCCEEDED)
        scheduler._assign()
    assert begun == [ann[0], ben[0], ann[1], ben[1], ann[2], ann[3]]


def test_room_is_made_by_the_least_important_for_who_is_more_so(store: Store, tmp_path: Path):
    scheduler = scheduler_of(store, tmp_path, TWO)
    low, middle = add(store, priority=-5), add(store, priority=1)
    scheduler._assign()
    add(store, priority=9)  # important, but nobody waits for it
    scheduler._assign()
    assert {attempt.room_for for attempt in running(scheduler).values()} == {""}
    asked = add(store, priority=10, interactive=True)
    for _ in range(3):  # looking again asks nobody else
        scheduler._assign()
    assert {job: attempt.room_for for job, attempt in running(scheduler).items()} == {low: asked, middle: ""}
    end(scheduler, store, low, State.QUEUED)
    scheduler._assign()
    assert set(running(scheduler)) == {asked, middle}
    equal = add(store, priority=1, interactive=True)
    scheduler._assign()
    assert not running(scheduler)[middle].room_for
    assert store.job(equal).waits_for == "a worker"


def test_nobody_makes_room_for_who_could_not_begin(store: Store, tmp_path: Path):
    scheduler = scheduler_of(store, tmp_path, Workers())
    low = add(store, output="/out")
    scheduler._assign()
    add(store, priority=5, interactive=True, output="/out/a")  # it waits for what `low` has begun
    add(store, priority=5, interactive=True, needs=[low])
    scheduler._assign()
    assert not running(scheduler)[low].room_for


class Queueing(RuleBasedStateMachine):
    """No job is lost, none has a place or an output that another has, and none is overtaken."""

    workers = Workers(devices=("cuda:0", "cuda:1"), cpu=1)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "jobs.db"
        self.store = Store(self.path)
        self.scheduler = scheduler_of(self.store, self.path.parent, self.workers)
        self.jobs: list[str] = []
        self.outputs: dict[str, Output] = {}

    def teardown(self) -> None:
        self.all_come_to_an_end()
        self.store.close()
        self.folder.cleanup()

    @rule(
        user=st.sampled_from("abc"),
        priority=st.integers(-1, 1),
        device=st.sampled_from(["", "cpu", "cuda:1", "cuda:0,cuda:1"]),
        output=st.sampled_from(["/o", "/o/a", "/o/b", "/p"]),
        interactive=st.booleans(),
        data=st.data(),
    )
    def submit(self, data: st.DataObject, output: str, **asked) -> None:
        chosen = st.lists(st.sampled_from(self.jobs), max_size=2, unique=True) if self.jobs else st.just([])
        job = add(self.store, output=output, needs=data.draw(chosen), **asked)
        self.jobs.append(job)
        self.outputs[job] = Output(folder=output)

    @rule()
    def assign(self) -> None:
        """Who has begun took neither the device nor the output of who was before it and waits for that."""
        served = shares.served(self.store, time.time(), DAY)
        self.scheduler._fail_doomed()
        before = order(self.store, served)
        taken = queueing.holders(self.store._db)
        holds = {job for job, _ in taken}
        there = {slot for attempt in running(self.scheduler).values() for slot in attempt.place}
        self.scheduler._assign()
        claims: list[tuple[str, Output]] = []
        lacking: set[str] = set()
        for job in before:
            ours, need = self.outputs[job], slots.need_of(self.store.job(job).spec)
            locked = queueing.holder([ours], [*taken, *(() if job in holds else claims)], job)
            if self.store.state(job) is State.RUNNING:
                assert not locked
                assert need not in lacking
                taken.append((job, ours))
            elif not locked:
                lacking.add(need)
            elif any(set(place) - there for place in slots.choices(need, self.scheduler.slots)):
                claims.append((job, ours))

    @precondition(lambda self: bool(running(self.scheduler)))
    @rule(data=st.data(), to=st.sampled_from([State.SUCCEEDED, State.FAILED, State.QUEUED]))
    def come_to_an_end(self, data: st.DataObject, to: State) -> None:
        job = data.draw(st.sampled_from(sorted(running(self.scheduler))))
        if self.store.state(job) in (State.RUNNING, State.CANCELLING):
            end(self.scheduler, self.store, job, to)

    @precondition(lambda self: self.jobs)
    @rule(
        data=st.data(),
        deed=st.sampled_from(["cancel", "pause", "resume", "retry", "priority"]),
        priority=st.integers(-1, 1),
    )
    def steer(self, data: st.DataObject, deed: str, priority: int) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        state = self.store.state(job)
        if deed == "priority" and not state.ended:
            control.set_priority(self.store, job, priority)
        elif deed == "retry" and state.ended:
            control.retry(self.store, job)
        elif deed == "resume" and (state is State.PAUSED or self.store.pausing(job)):
            control.resume(self.store, job)
        elif deed == "cancel" and state in ACTIVE:
            control.cancel(self.store, job)
        elif deed == "pause" and state in (State.QUEUED, State.RUNNING):
            control.pause(self.store, job)

    @rule()
    def crash(self) -> None:
        """The daemon is killed with its workers, and starts again."""
        self.store.close()
        self.store = Store(self.path)
        self.store.recover()
        self.scheduler = scheduler_of(self.store, self.path.parent, self.workers)

    @invariant()
    def each_place_has_one_job(self) -> None:
        there = running(self.scheduler)
        places = [slot for attempt in there.values() for slot in attempt.place]
        assert len(places) == len(set(places))
        for job in self.jobs:
            assert (self.store.state(job) in (State.RUNNING, State.CANCELLING)) == (job in there)

    @invariant()
    def each_output_has_one_job(self) -> None:
        for (one, ours), (other, theirs) in combinations(queueing.holders(self.store._db), 2):
            assert one == other or not ours.overlaps(theirs)
        for one, other in combinations(running(self.scheduler), 2):
            assert not self.outputs[one].overlaps(self.outputs[other])

    @invariant()
    def none_is_lost(self) -> None:
        assert {job.id for job in self.store.jobs([], None, 10000)[0]} == set(self.jobs)

    def all_come_to_an_end(self) -> None:
        """Whatever has happened, when everybody succeeds from now on nobody waits for ever."""
        for job in self.jobs:
            if self.store.state(job) is State.PAUSED:
                control.resume(self.store, job)
        for _ in range(2 * len(self.jobs) + 2):
            self.scheduler._fail_doomed()
            self.scheduler._assign()
            for job in tuple(running(self.scheduler)):
                to = State.PAUSED if self.store.pausing(job) else State.SUCCEEDED
                end(self.scheduler, self.store, job, to)
                if to is State.PAUSED:
                    control.resume(self.store, job)
        assert {self.store.state(job) for job in self.jobs} <= {
            State.SUCCEEDED, State.FAILED, State.CANCELLED
        }  # fmt: skip


Queueing.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestQueueing = Queueing.TestCase
