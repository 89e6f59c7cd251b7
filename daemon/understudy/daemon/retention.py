"""Which events are kept: a job may run for weeks, its history stays bounded and still shows all of it.

State changes stay. Progress, training, warnings and updates are spaced out evenly whenever they become too many, so
that the kept ones span the whole run. A frame's older reports go once newer ones outnumber them. Previews keep the
newest.
"""

from __future__ import annotations

import sqlite3

CHECK_EVERY = 256  # events
KEEP_DENSE = 2000  # events of progress, training, warnings and updates, of each
KEEP_REPEATS = 1000  # frame events beyond one for each frame
KEEP_ARTIFACTS = 100


def thin(db: sqlite3.Connection, job: str) -> None:
    """Thin the job's events where they are too many; looks once in a while, inside the caller's transaction."""
    query = "SELECT sequence, checked FROM jobs WHERE id = ?"
    sequence, checked = db.execute(query, (job,)).fetchone()
    if sequence - checked < CHECK_EVERY:
        return
    db.execute("UPDATE jobs SET checked = ? WHERE id = ?", (sequence, job))
    counts = dict(
        db.execute("SELECT kind, count(*) FROM events WHERE job = ? GROUP BY kind", (job,)).fetchall()
    )
    for kind in ("progress", "training", "warning", "training_update"):
        if counts.get(kind, 0) > KEEP_DENSE:
            _space_out(db, job, kind, sequence)
    (frames,) = db.execute("SELECT count(*) FROM frames WHERE job = ?", (job,)).fetchone()
    if counts.get("frame", 0) > frames + KEEP_REPEATS:
        latest = "SELECT max(sequence) FROM events WHERE job = :job AND kind = 'frame' GROUP BY frame"
        _delete(db, job, f"kind = 'frame' AND sequence NOT IN ({latest})")
    if counts.get("artifact", 0) > KEEP_ARTIFACTS:
        latest = (
            f"SELECT sequence FROM artifacts WHERE job = :job ORDER BY sequence DESC LIMIT {KEEP_ARTIFACTS}"  # noqa: S608
        )
        _delete(db, job, f"kind = 'artifact' AND sequence NOT IN ({latest})")
        db.execute(f"DELETE FROM artifacts WHERE job = :job AND sequence NOT IN ({latest})", {"job": job})  # noqa: S608


def _space_out(db: sqlite3.Connection, job: str, kind: str, last: int) -> None:
    """The newest of each stretch of the history stays; there are half as many stretches as are kept at most."""
    stretch = f"sequence * {KEEP_DENSE // 2} / {last + 1}"
    kept = f"SELECT max(sequence) FROM events WHERE job = :job AND kind = '{kind}' GROUP BY {stretch}"  # noqa: S608
    _delete(db, job, f"kind = '{kind}' AND sequence NOT IN ({kept})")


def _delete(db: sqlite3.Connection, job: str, which: str) -> None:
    (newest,) = db.execute(
        f"SELECT max(sequence) FROM events WHERE job = :job AND {which}",  # noqa: S608
        {"job": job},
    ).fetchone()
    if newest is not None:
        db.execute(f"DELETE FROM events WHERE job = :job AND {which}", {"job": job})  # noqa: S608
        db.execute("UPDATE jobs SET thinned = max(thinned, ?) WHERE id = ?", (newest, job))
