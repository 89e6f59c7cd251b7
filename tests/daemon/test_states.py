"""The state machine against the store itself: hypothesis tries whatever people, workers and crashes may do."""

from __future__ import annotations

import tempfile
import uuid
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from understudy.core.errors import UnderstudyError
from understudy.daemon import control, queueing
from understudy.daemon.errors import JobStateRefused
from understudy.daemon.states import ACTIVE, ENDED, TRANSITIONS, State, check
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2


def test_states_are_the_wires():
    wire = {name.removeprefix("JOB_STATE_"): number for name, number in job_pb2.JobState.items() if number}
    assert wire == {state.name: int(state) for state in State}


def test_every_state_but_the_ended_leads_to_an_end_and_all_can_be_reached():
    assert set(TRANSITIONS) == set(State)
    for start in State:
        seen, todo = {start}, [start]
        while todo:
            for following in TRANSITIONS[todo.pop()] - seen:
                seen.add(following)
                todo.append(following)
        assert seen == set(State), f"from {start.name} only {seen}"
    assert set(State) == ACTIVE | ENDED


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_what_the_table_lacks_is_refused_with_both_names(before: State, after: State):
    if after in TRANSITIONS[before]:
        check("j1", before, after)
        return
    with pytest.raises(
        JobStateRefused, match=rf"j1 is {before.name}; it cannot become {after.name}"
    ) as refused:
        check("j1", before, after)
    assert refused.value.details() == {"job": "j1", "value": before.name}


def submission(target: int, depends_on: tuple[str, ...] = ()) -> Submission:
    spec = job_pb2.JobSpec(train=job_pb2.TrainSpec(model=f"/m/{target}", target_iterations=target))
    return Submission(
        request_id=str(uuid.uuid4()),
        spec=spec,
        digest=str(target),
        label="train",
        user="nobody",
        depends_on=depends_on,
    )


class Jobs(RuleBasedStateMachine):
    """A model in a dictionary beside the store on disk; after every step they must agree."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "jobs.db"
        self.store = Store(self.path)
        self.state: dict[str, State] = {}
        self.pausing: set[str] = set()
        self.needs: dict[str, tuple[str, ...]] = {}
        self.sequence: dict[str, int] = {}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(target=jobs, data=st.data())
    def submit(self, data: st.DataObject) -> str:
        known = sorted(self.state)
        needs = tuple(data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True))) if known else ()
        job = self.store.add(submission(len(self.state), needs))
        self.state[job], self.needs[job], self.sequence[job] = State.QUEUED, needs, 0
        return job

    @rule()
    def work(self) -> None:
        """The scheduler takes what is ready."""
        failed = (State.FAILED, State.CANCELLED)
        queued = [j for j, s in self.state.items() if s is State.QUEUED]  # in the order they came
        doomed = {j for j in queued if any(self.state[n] in failed for n in self.needs[j])}
        assert {job for job, _ in queueing.doomed(self.store)} == doomed
        found = [each.job for each in queueing.ordered(self.store, {}, queueing.needs(self.store))]
        ready = [j for j in queued if all(self.state[n] is State.SUCCEEDED for n in self.needs[j])]
        assert found == ready
        if ready:
            assert self.store.take(ready[0])
            assert not self.store.take(ready[0])
            self.state[ready[0]] = State.RUNNING

    @rule(job=jobs, to=st.sampled_from(State))
    def move(self, job: str, to: State) -> None:
        before = self.state[job]
        if to in TRANSITIONS[before]:
            self.store.move(job, to)
            self.state[job] = to
            self.pausing.discard(job)
        else:
            with pytest.raises(JobStateRefused):
                self.store.move(job, to)

    @rule(job=jobs, deed=st.sampled_from([control.cancel, control.pause, control.resume, control.retry]))
    def steer(self, job: str, deed) -> None:
        before = self.state[job]
        allowed = {
            control.cancel: {
                State.QUEUED: State.CANCELLED,
                State.PAUSED: State.CANCELLED,
                State.RUNNING: State.CANCELLING,
                State.CANCELLING: State.CANCELLING,
                State.CANCELLED: State.CANCELLED,
            },
            control.pause: {
                State.QUEUED: State.PAUSED,
                State.RUNNING: State.RUNNING,
                State.PAUSED: State.PAUSED,
            },
            control.resume: {
                State.PAUSED: State.QUEUED,
                **({State.RUNNING: State.RUNNING} if job in self.pausing else {}),
            },
            control.retry: dict.fromkeys(ENDED, State.QUEUED),
        }[deed]
        if before not in allowed:
            with pytest.raises(UnderstudyError) as refused:
                deed(self.store, job)
            assert refused.value.reason == "JOB_STATE"
            return
        answer = deed(self.store, job)
        self.state[job] = allowed[before]
        assert State(answer.state) is self.state[job]
        if deed is control.pause and before is State.RUNNING:
            self.pausing.add(job)
        elif self.state[job] is not before or deed is control.resume:
            self.pausing.discard(job)

    @rule()
    def crash(self) -> None:
        """The daemon is killed, and starts again on the same file."""
        self.store.close()
        self.store = Store(self.path)
        self.store.recover()
        for job, state in self.state.items():
            if state is State.RUNNING:
                self.state[job] = State.PAUSED if job in self.pausing else State.QUEUED
            elif state is State.CANCELLING:
                self.state[job] = State.CANCELLED
        self.pausing.clear()

    @invariant()
    def agrees(self) -> None:
        for job, state in self.state.items():
            kept = self.store.job(job)
            assert State(kept.state) is state
            assert self.store.pausing(job) == (job in self.pausing)
            assert kept.HasField("end_time") == state.ended
            assert kept.last_sequence >= self.sequence[job]
            self.sequence[job] = kept.last_sequence

    @invariant()
    def history_tells_the_same(self) -> None:
        for job, state in self.state.items():
            events, _ = self.store.events(job, 0, 10000)
            numbers = [event.sequence for event in events]
            assert numbers == sorted(set(numbers))
            changes = [event.state_change for event in events if event.HasField("state_change")]
            for earlier, later in pairwise(changes):
                assert later.from_state == earlier.to_state
            assert State(changes[-1].to_state) is state


Jobs.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestJobs = Jobs.TestCase
