"""What people tell running trainings: kept with the job until its worker has done it, so that no answer was in vain.

An update goes into the store with the answer to who asked, to the worker while the job runs, and out of the store with
the event that says it is done. A worker that stops or dies before leaves it to the next one of the same job.
"""

from __future__ import annotations

from collections.abc import Iterable

from understudy.daemon.store import Store
from understudy.v1 import job_pb2

AT_ONCE = 16  # that a worker is told before it has done them: its pipe never fills


def add(store: Store, job: str, update: job_pb2.TrainingUpdate) -> None:
    """Keep an update for a job. The caller has seen in the same transaction that the job runs."""
    with store.transaction() as db:
        db.execute("INSERT INTO updates (job, payload) VALUES (?, ?)", (job, update.SerializeToString()))


def waiting(store: Store, job: str, most: int = -1) -> dict[int, job_pb2.TrainingUpdate]:
    """What is not done yet, in the order of arrival: number → update; at most so many."""
    query = "SELECT number, payload FROM updates WHERE job = ? ORDER BY number LIMIT ?"
    with store.reading() as db:
        rows = db.execute(query, (job, most)).fetchall()
    return {row["number"]: job_pb2.TrainingUpdate.FromString(row["payload"]) for row in rows}


def forget(store: Store, numbers: Iterable[int]) -> None:
    """These are done, or come too late."""
    with store.transaction() as db:
        db.executemany("DELETE FROM updates WHERE number = ?", [(number,) for number in numbers])


def told(update: job_pb2.TrainingUpdate) -> str:
    """An update as a person says it: `gan=0.1 warp=0 preview`."""
    asked = {"preview": update.preview, "save": update.save, "back up": update.back_up}
    options = [f"{name}={value}" for name, value in sorted(update.options.items())]
    return " ".join([*options, *(name for name, wanted in asked.items() if wanted)])
