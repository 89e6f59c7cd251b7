"""Jobs that ended long ago are forgotten, with their events, frames and requests; what they made stays on the disk."""

from __future__ import annotations

from understudy.daemon.settings import Retention
from understudy.daemon.states import ENDED
from understudy.daemon.store import Store

BATCH = (
    50  # jobs in one transaction: a job has up to some thousand events, and others want to write meanwhile
)
_ENDED = ",".join(str(int(state)) for state in sorted(ENDED))
_OF_A_JOB = ("events", "frames", "artifacts", "outputs", "updates", "requests", "dependencies")


def prune(store: Store, keep: Retention, now: float) -> int:
    """Forget jobs that ended before the time or beyond the number that are kept; gives how many.

    A job that another kept one depends on stays with it. One that ended before it, or one numbered before it, was made
    did so by a clock that was set back: it is as old as the youngest of these.

    Args:
        now: seconds UTC.
    """
    removed = 0
    while count := _some(store, keep, now):
        removed += count
    return removed


def _some(store: Store, keep: Retention, now: float) -> int:
    before = now - keep.days * 86400 if keep.days else 0.0
    beyond = f"SELECT number FROM jobs WHERE state IN ({_ENDED}) ORDER BY number DESC LIMIT 1 OFFSET ?"  # noqa: S608
    old = (
        "SELECT id FROM (SELECT *, max(created) OVER (ORDER BY number) AS made FROM jobs) AS job "  # noqa: S608
        f"WHERE state IN ({_ENDED}) AND (max(made, ended) < ? OR number <= ?) "
        "AND NOT EXISTS (SELECT 1 FROM dependencies WHERE needs = job.id) ORDER BY number LIMIT ?"
    )
    with store.transaction() as db:
        last = db.execute(beyond, (keep.jobs,)).fetchone() if keep.jobs else None
        found = db.execute(old, (before, last["number"] if last else 0, BATCH)).fetchall()
        jobs = [(row["id"],) for row in found]
        for table in _OF_A_JOB:
            db.executemany(f"DELETE FROM {table} WHERE job = ?", jobs)  # noqa: S608
        db.executemany("DELETE FROM jobs WHERE id = ?", jobs)
    return len(jobs)
