"""The tables of jobs.db and how an older file becomes a newer one.

Times are seconds UTC. Payloads are messages of `understudy.v1`, serialised: what a client will read is stored once,
in the form that it is sent in; what is searched for has a column.
"""

from __future__ import annotations

import sqlite3
import time

from understudy.core.errors import WriteFailed

# Each script is applied once, in order; none is ever changed after a release.
MIGRATIONS = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of arrival
        id TEXT NOT NULL UNIQUE,
        digest TEXT NOT NULL,                       -- SHA-256 of the spec
        spec BLOB NOT NULL,
        state INTEGER NOT NULL,
        pausing INTEGER NOT NULL DEFAULT 0,         -- RUNNING and asked to pause
        label TEXT NOT NULL,
        user TEXT NOT NULL,
        created REAL NOT NULL,
        started REAL,
        ended REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        deaths INTEGER NOT NULL DEFAULT 0,          -- of workers under it, since it was last queued by a person
        sequence INTEGER NOT NULL DEFAULT 0,        -- of the latest event
        thinned INTEGER NOT NULL DEFAULT 0,         -- of the latest event that is no longer kept
        checked INTEGER NOT NULL DEFAULT 0,         -- sequence at which retention last looked
        progress BLOB,
        training BLOB,
        error BLOB
    );
    CREATE INDEX jobs_by_state ON jobs (state, number);
    CREATE INDEX jobs_by_digest ON jobs (digest, state);
    CREATE TABLE requests (id TEXT PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs (id)) WITHOUT ROWID;
    CREATE TABLE dependencies (
        job TEXT NOT NULL REFERENCES jobs (id),
        needs TEXT NOT NULL REFERENCES jobs (id),
        PRIMARY KEY (job, needs)
    ) WITHOUT ROWID;
    CREATE TABLE outputs (
        job TEXT NOT NULL REFERENCES jobs (id),
        folder TEXT NOT NULL,                       -- real path
        name TEXT NOT NULL,                         -- of the sequence in it; '' where it is the whole folder
        frames TEXT NOT NULL,                       -- JSON: [[first, last, step], …]; [] is any
        PRIMARY KEY (job, folder, name)
    ) WITHOUT ROWID;
    CREATE TABLE events (
        job TEXT NOT NULL REFERENCES jobs (id),
        sequence INTEGER NOT NULL,
        kind TEXT NOT NULL,
        frame INTEGER,
        payload BLOB NOT NULL,
        PRIMARY KEY (job, sequence)
    ) WITHOUT ROWID;
    CREATE TABLE frames (
        job TEXT NOT NULL REFERENCES jobs (id),
        frame INTEGER NOT NULL,
        state INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (job, frame)
    ) WITHOUT ROWID;
    CREATE INDEX frames_by_state ON frames (job, state);
    CREATE TABLE artifacts (
        job TEXT NOT NULL REFERENCES jobs (id),
        kind TEXT NOT NULL,
        path TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (job, kind, path)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE updates (
        number INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of arrival; never given twice
        job TEXT NOT NULL REFERENCES jobs (id),
        payload BLOB NOT NULL                       -- a TrainingUpdate that the job's worker has not done yet
    );
    CREATE INDEX updates_by_job ON updates (job, number);
    """,
    """
    ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN interactive INTEGER NOT NULL DEFAULT 0;   -- may take the place of a lower one
    ALTER TABLE jobs ADD COLUMN refuse_locked INTEGER NOT NULL DEFAULT 0; -- fails rather than waits for its output
    ALTER TABLE jobs ADD COLUMN need TEXT NOT NULL DEFAULT '';            -- of devices; '' until the store is opened
    ALTER TABLE jobs ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;         -- its outputs: begun and not ended
    ALTER TABLE jobs ADD COLUMN note TEXT NOT NULL DEFAULT '';            -- what it waits for outside of this daemon
    UPDATE jobs SET holds = 1 WHERE state IN (2, 3, 4) OR (state = 1 AND attempts > 0);
    CREATE INDEX jobs_in_order ON jobs (state, priority, user, number);
    CREATE INDEX jobs_that_hold ON jobs (holds) WHERE holds = 1;
    CREATE INDEX dependencies_by_needs ON dependencies (needs);
    CREATE INDEX requests_by_job ON requests (job);
    CREATE TABLE served (
        user TEXT PRIMARY KEY,
        seconds REAL NOT NULL,                      -- on devices, as they counted at `at`
        at REAL NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;        -- bytes of its device; 0: nobody knows
    """,
    """
    ALTER TABLE jobs ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;       -- how far it was at its worker's last death
    """,
)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to the newest schema; the table `migrations` says what was applied and when.

    Raises:
        WriteFailed: a newer version of the software made the file.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied REAL NOT NULL)"
    )
    version = applied(connection)
    if version > len(MIGRATIONS):
        raise WriteFailed(
            f"{path}: written by a newer understudy (schema {version}, this one knows {len(MIGRATIONS)}); "
            "run that version, or choose another state folder",
            path=path,
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}")  # which leaves the transaction open
        connection.execute("INSERT INTO migrations VALUES (?, ?)", (number, time.time()))
        connection.execute("COMMIT")


def applied(connection: sqlite3.Connection) -> int:
    """The schema of a file that was migrated once."""
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    return int(version)
