"""Which queued job is next, and what the others wait for.

Priority first; within one the user who was served least; within a user's the order of arrival. A job is ready when the
jobs that it depends on have succeeded, and no other one holds what it writes: a job holds its outputs from its start
to its end, through pauses and restarts too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from understudy.daemon.outputs import Output
from understudy.daemon.slots import ANY
from understudy.daemon.states import ACTIVE, State

if TYPE_CHECKING:
    from understudy.daemon.store import Store

_NEEDED = (  # that the jobs that it depends on have succeeded
    "NOT EXISTS (SELECT 1 FROM dependencies JOIN jobs AS other ON other.id = needs "  # noqa: S608
    f"WHERE job = jobs.id AND other.state != {int(State.SUCCEEDED)})"
)
_TOLD = 3  # jobs that are named, of many


@dataclass(frozen=True)
class Candidate:
    """A queued job whose dependencies have succeeded.

    Attributes:
        need: as `slots.need_of`.
        holds: it has begun before, and holds its outputs.
        memory: bytes that it needs of its device; 0: nobody knows.
    """

    job: str
    user: str
    need: str
    priority: int
    interactive: bool
    holds: bool
    memory: int


def needs(store: Store) -> frozenset[str]:
    """What queued jobs need of devices."""
    with store.reading() as db:
        rows = db.execute("SELECT DISTINCT need FROM jobs WHERE state = ?", (State.QUEUED,)).fetchall()
    return frozenset(row["need"] for row in rows)


def ordered(
    store: Store, served: Mapping[str, float], needs: Collection[str], *, interactive: bool = False
) -> Iterator[Candidate]:
    """Queued jobs with one of these needs whose dependencies have succeeded, as they are to be run.

    Args:
        served: user → what counts as served, as `shares.served`; who is not in it was served nothing.
        interactive: only those that somebody waits for.
    """
    only = " AND interactive = 1" if interactive else ""
    groups = "SELECT DISTINCT priority, user FROM jobs WHERE state = ?"
    marks = ",".join("?" * len(needs))
    query = (
        "SELECT id, need, interactive, holds, memory FROM jobs "  # noqa: S608
        f"WHERE state = ? AND priority = ? AND user = ? AND need IN ({marks}){only} AND {_NEEDED} ORDER BY number"
    )
    with store.reading() as db:
        found = [(row["priority"], row["user"]) for row in db.execute(groups, (State.QUEUED,)).fetchall()]
        found.sort(key=lambda group: (-group[0], served.get(group[1], 0.0), group[1]))
        for priority, user in found:
            for row in db.execute(query, (State.QUEUED, priority, user, *needs)):
                yield Candidate(
                    job=row["id"],
                    user=user,
                    need=row["need"],
                    priority=priority,
                    interactive=bool(row["interactive"]),
                    holds=bool(row["holds"]),
                    memory=row["memory"],
                )


def holders(db: sqlite3.Connection) -> list[tuple[str, Output]]:
    """Who holds what: the outputs of all jobs that have begun and not ended."""
    query = "SELECT job, folder, name, frames FROM outputs JOIN jobs ON id = job WHERE holds = 1"
    return [(row[0], Output.load(*row[1:])) for row in db.execute(query).fetchall()]


def writers(store: Store) -> list[tuple[str, Output]]:
    """Who writes what: the outputs of all jobs that have not ended."""
    marks = ",".join(str(int(state)) for state in sorted(ACTIVE))
    query = f"SELECT job, folder, name, frames FROM outputs JOIN jobs ON id = job WHERE state IN ({marks})"  # noqa: S608
    with store.reading() as db:
        return [(row[0], Output.load(*row[1:])) for row in db.execute(query).fetchall()]


def ancestors(store: Store, jobs: Iterable[str]) -> frozenset[str]:
    """These jobs and all that they wait for, directly or not.

    Raises:
        NotFound: one of them is not there.
    """
    query = (
        "WITH RECURSIVE up (id) AS (SELECT ? UNION SELECT needs FROM dependencies JOIN up ON job = up.id) "
        "SELECT id FROM up"
    )
    found: set[str] = set()
    with store.reading() as db:
        for job in jobs:
            store.state(job)  # refuses one that is not there
            found.update(row["id"] for row in db.execute(query, (job,)).fetchall())
    return frozenset(found)


def outputs(db: sqlite3.Connection, job: str) -> list[Output]:
    """What a job writes."""
    query = "SELECT folder, name, frames FROM outputs WHERE job = ?"
    return [Output.load(*row) for row in db.execute(query, (job,)).fetchall()]


def holder(
    ours: Collection[Output], held: Iterable[tuple[str, Output]], job: str
) -> tuple[str, Output] | None:
    """The first other job that holds what this one writes, and what it holds."""
    return next(
        ((other, theirs) for other, theirs in held if other != job and any(o.overlaps(theirs) for o in ours)),
        None,
    )


def doomed(store: Store) -> list[tuple[str, str]]:
    """Queued jobs with a dependency that ended without success: (job, dependency)."""
    query = (
        "SELECT job, needs FROM dependencies JOIN jobs ON jobs.id = job JOIN jobs AS other ON other.id = needs "
        "WHERE jobs.state = ? AND other.state IN (?, ?) GROUP BY job ORDER BY jobs.number"
    )
    with store.reading() as db:
        rows = db.execute(query, (State.QUEUED, State.FAILED, State.CANCELLED)).fetchall()
    return [(row["job"], row["needs"]) for row in rows]


def waits_for(db: sqlite3.Connection, row: sqlite3.Row) -> str:
    """What a queued job waits for, for a person; empty for all others. `row` is its row of `jobs`."""
    if row["state"] != State.QUEUED:
        return ""
    query = (
        "SELECT needs FROM dependencies JOIN jobs ON id = needs WHERE job = ? AND state != ? ORDER BY number"
    )
    lacking = [r["needs"] for r in db.execute(query, (row["id"], State.SUCCEEDED)).fetchall()]
    if lacking:
        more = f" and {len(lacking) - _TOLD} more" if len(lacking) > _TOLD else ""
        return f"job {', '.join(lacking[:_TOLD])}{more} to succeed"
    if found := holder(outputs(db, row["id"]), holders(db), row["id"]):
        return f"job {found[0]}, which writes to {found[1].text}"
    return row["note"] or ("a worker" if row["need"] == ANY else f"a worker for {row['need']}")
