"""Where a job stands and where it may go: one table. The numbers are those of `JobState` on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from understudy.daemon.errors import JobStateRefused


class State(IntEnum):
    """A state and what it promises."""

    QUEUED = 1  # stored; waits for the worker or for other jobs
    RUNNING = 2  # the worker is at it
    PAUSED = 3  # stopped on request, work kept
    CANCELLING = 4  # asked to stop; the worker finishes what cannot be interrupted
    SUCCEEDED = 5  # all that could be done is done
    FAILED = 6  # the job's error says why
    CANCELLED = 7  # ended on request

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
ACTIVE = frozenset(State) - ENDED

TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        # FAILED without having run: a job it waited for did not succeed.
        State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED, State.FAILED}),
        # QUEUED again: the daemon stopped, or the worker died; the work goes on later.
        State.RUNNING: frozenset(
            {State.SUCCEEDED, State.FAILED, State.PAUSED, State.CANCELLING, State.QUEUED}
        ),
        State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
        State.CANCELLING: frozenset({State.CANCELLED}),
        # An ended job is queued again only by a retry.
        State.SUCCEEDED: frozenset({State.QUEUED}),
        State.FAILED: frozenset({State.QUEUED}),
        State.CANCELLED: frozenset({State.QUEUED}),
    }
)


def check(job: str, before: State, after: State) -> None:
    """Refuse a step that the table does not have.

    Raises:
        JobStateRefused: names the job and both states.
    """
    if after not in TRANSITIONS[before]:
        raise JobStateRefused(
            f"job {job} is {before.name}; it cannot become {after.name}", job=job, value=before.name
        )
