"""A row of the table `jobs`, with what other tables have of it, as the job that clients see."""

from __future__ import annotations

import sqlite3

from google.protobuf import timestamp_pb2

from understudy.daemon import queueing
from understudy.v1 import job_pb2


def job(db: sqlite3.Connection, row: sqlite3.Row) -> job_pb2.Job:
    """The job of a row."""
    found = job_pb2.Job(
        id=row["id"],
        spec=job_pb2.JobSpec.FromString(row["spec"]),
        state=row["state"],
        label=row["label"],
        user=row["user"],
        attempts=row["attempts"],
        priority=row["priority"],
        project=row["project"],
        interactive=bool(row["interactive"]),
        waits_for=queueing.waits_for(db, row),
        memory_bytes=row["memory"],
        last_sequence=row["sequence"],
    )
    for name, column in (("create_time", "created"), ("start_time", "started"), ("end_time", "ended")):
        if row[column] is not None:
            getattr(found, name).CopyFrom(timestamp(row[column]))
    for name in ("progress", "training", "error"):
        if row[name] is not None:
            getattr(found, name).MergeFromString(row[name])
    needs = db.execute("SELECT needs FROM dependencies WHERE job = ? ORDER BY needs", (found.id,))
    found.depends_on.extend(r["needs"] for r in needs)
    count = "SELECT count(*) FROM frames WHERE job = ? AND state = ?"
    (found.frames_failed,) = db.execute(count, (found.id, job_pb2.FRAME_STATE_FAILED)).fetchone()
    (found.frames_missing,) = db.execute(count, (found.id, job_pb2.FRAME_STATE_MISSING)).fetchone()
    made = db.execute("SELECT payload FROM artifacts WHERE job = ? ORDER BY sequence", (found.id,))
    found.artifacts.extend(job_pb2.Artifact.FromString(r["payload"]) for r in made)
    return found


def timestamp(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds UTC as the wire has them."""
    stamp = timestamp_pb2.Timestamp()
    stamp.FromNanoseconds(int(seconds * 1e9))
    return stamp
