"""Jobs on disk: SQLite in WAL mode, one connection behind a lock, every change one transaction.

What a caller was told is on the disk (`synchronous=FULL`): neither a killed daemon nor a power cut takes it back.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import timestamp_pb2

from understudy.core.errors import DiskFull, NotFound, WriteFailed
from understudy.daemon import paging, retention, schema, states
from understudy.daemon.outputs import Output
from understudy.daemon.states import ACTIVE, State
from understudy.v1 import job_pb2

_ACTIVE = ",".join(str(int(state)) for state in sorted(ACTIVE))


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that was checked and may be stored."""

    request_id: str
    spec: job_pb2.JobSpec
    digest: str
    label: str
    user: str
    depends_on: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()


class Store:
    """The jobs of one state folder. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, made where it is not there.

        Raises:
            WriteFailed, DiskFull: it cannot be made, or is no job store.
        """
        self._path = path
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._depth = 0
        self.version = 0  # grows with every commit
        with self._translated():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            schema.migrate(self._db, str(path))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it; blocks may nest. Watchers wake when it is on the disk."""
        with self._lock, self._translated():
            if self._depth:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._db
                self._db.execute("COMMIT")
                self.version += 1
                self._changed.notify_all()
            finally:
                self._depth = 0
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For modules that keep a table of their own here; nobody is woken."""
        with self._lock, self._translated():
            yield self._db

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise  # ours
            kind = DiskFull if "is full" in str(error) else WriteFailed
            what = "free space and try again" if kind is DiskFull else "see to the state folder"
            raise kind(
                f"{self._path}: the job store cannot be used: {error}; {what}", path=self._path
            ) from error

    def wait(self, timeout: float, since: int) -> None:
        """Sleep until the store's `version` is another, or `nudge` was called, or `timeout` seconds."""
        with self._changed:
            if self.version == since:
                self._changed.wait(timeout)

    def wait_beyond(self, job: str, sequence: int, timeout: float) -> None:
        """Sleep until the job has an event after `sequence`, or was nudged, or `timeout` seconds."""
        with self._changed:
            if self._row(job)["sequence"] <= sequence:
                self._changed.wait(timeout)

    def nudge(self) -> None:
        """Wake everything that waits, so that it looks whether it should go on."""
        with self._changed:
            self._changed.notify_all()

    # Reading

    def _row(self, job: str) -> sqlite3.Row:
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise NotFound(f"there is no job {job!r}; ListJobs says which there are", field="id", value=job)
        assert isinstance(row, sqlite3.Row)
        return row

    def glance(self, job: str) -> tuple[State, int]:
        """State and latest sequence number, for those who look often.

        Raises:
            NotFound: no such job.
        """
        with self._lock, self._translated():
            row = self._row(job)
            return State(row["state"]), int(row["sequence"])

    def state(self, job: str) -> State:
        with self._lock, self._translated():
            return State(self._row(job)["state"])

    def pausing(self, job: str) -> bool:
        """Whether it runs and was asked to pause."""
        with self._lock, self._translated():
            return bool(self._row(job)["pausing"])

    def job(self, job: str) -> job_pb2.Job:
        """The job as it is now.

        Raises:
            NotFound: no such job.
        """
        with self._lock, self._translated():
            return self._job(self._row(job))

    def jobs(
        self, only: Sequence[int], before: int | None, limit: int
    ) -> tuple[list[job_pb2.Job], int | None]:
        """Jobs in these states (none: all), newest first, and the cursor for what is older."""
        marks = ",".join("?" * len(only))
        where = f"state IN ({marks})" if only else "1"
        query = f"SELECT * FROM jobs WHERE {where} AND number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._lock, self._translated():
            rows = self._db.execute(query, (*only, 2**62 if before is None else before, limit + 1)).fetchall()
            jobs = [self._job(row) for row in rows[:limit]]
        page = paging.fitting(jobs)
        return jobs[:page], rows[page - 1]["number"] if len(rows) > page else None

    def frames(
        self, job: str, only: Sequence[int], after: int | None, limit: int
    ) -> tuple[list[job_pb2.FrameReport], int | None]:
        """Latest reports of frames in these states (none: all), and the cursor for those that follow."""
        marks = ",".join("?" * len(only))
        where = f"state IN ({marks})" if only else "1"
        query = (
            f"SELECT frame, payload FROM frames WHERE job = ? AND {where} AND frame > ? "  # noqa: S608
            "ORDER BY frame LIMIT ?"
        )
        with self._lock, self._translated():
            self._row(job)
            start = -(2**63) if after is None else after
            rows = self._db.execute(query, (job, *only, start, limit + 1)).fetchall()
        reports = [job_pb2.FrameReport.FromString(row["payload"]) for row in rows[:limit]]
        page = paging.fitting(reports)
        return reports[:page], rows[page - 1]["frame"] if len(rows) > page else None

    def events(self, job: str, after: int, limit: int) -> tuple[list[job_pb2.JobEvent], int]:
        """Events above `after`, old ones first, and the sequence of the latest event that is no longer kept."""
        with self._lock, self._translated():
            thinned = self._row(job)["thinned"]
            query = "SELECT payload FROM events WHERE job = ? AND sequence > ? ORDER BY sequence LIMIT ?"
            rows = self._db.execute(query, (job, after, limit)).fetchall()
        return [job_pb2.JobEvent.FromString(row["payload"]) for row in rows], thinned

    def by_request(self, request_id: str) -> tuple[job_pb2.Job, str] | None:
        """The job that a request made or was given, and the digest of its spec."""
        query = "SELECT jobs.* FROM requests JOIN jobs ON jobs.id = job WHERE requests.id = ?"
        with self._lock, self._translated():
            row = self._db.execute(query, (request_id,)).fetchone()
            return row and (self._job(row), row["digest"])

    def active_with(self, digest: str) -> job_pb2.Job | None:
        """The job with this spec that has not ended."""
        query = f"SELECT * FROM jobs WHERE digest = ? AND state IN ({_ACTIVE}) ORDER BY number LIMIT 1"  # noqa: S608
        with self._lock, self._translated():
            row = self._db.execute(query, (digest,)).fetchone()
            return row and self._job(row)

    def ancestors(self, jobs: Iterable[str]) -> frozenset[str]:
        """These jobs and all that they wait for, directly or not.

        Raises:
            NotFound: one of them is not there.
        """
        query = (
            "WITH RECURSIVE up (id) AS (SELECT ? UNION SELECT needs FROM dependencies JOIN up ON job = up.id) "
            "SELECT id FROM up"
        )
        with self._lock, self._translated():
            found = [self._db.execute(query, (self._row(job)["id"],)).fetchall() for job in jobs]
        return frozenset(row["id"] for rows in found for row in rows)

    def outputs(self, jobs: Iterable[str]) -> tuple[Output, ...]:
        """What these jobs write."""
        query = "SELECT folder, name, frames FROM outputs WHERE job = ?"
        with self._lock, self._translated():
            rows = [row for job in jobs for row in self._db.execute(query, (job,)).fetchall()]
        return tuple(Output.load(*row) for row in rows)

    def writers(self) -> list[tuple[str, Output]]:
        """Who writes what: the outputs of all jobs that have not ended."""
        query = (
            f"SELECT job, folder, name, frames FROM outputs JOIN jobs ON id = job WHERE state IN ({_ACTIVE})"  # noqa: S608
        )
        with self._lock, self._translated():
            return [(row[0], Output.load(*row[1:])) for row in self._db.execute(query).fetchall()]

    def _job(self, row: sqlite3.Row) -> job_pb2.Job:
        job = job_pb2.Job(
            id=row["id"],
            spec=job_pb2.JobSpec.FromString(row["spec"]),
            state=row["state"],
            label=row["label"],
            user=row["user"],
            attempts=row["attempts"],
            last_sequence=row["sequence"],
            create_time=_timestamp(row["created"]),
            start_time=_timestamp(row["started"]),
            end_time=_timestamp(row["ended"]),
        )
        for name in ("progress", "training", "error"):
            if row[name] is not None:
                getattr(job, name).MergeFromString(row[name])
        needs = self._db.execute("SELECT needs FROM dependencies WHERE job = ? ORDER BY needs", (job.id,))
        job.depends_on.extend(r["needs"] for r in needs)
        count = "SELECT count(*) FROM frames WHERE job = ? AND state = ?"
        (job.frames_failed,) = self._db.execute(count, (job.id, job_pb2.FRAME_STATE_FAILED)).fetchone()
        (job.frames_missing,) = self._db.execute(count, (job.id, job_pb2.FRAME_STATE_MISSING)).fetchone()
        made = self._db.execute("SELECT payload FROM artifacts WHERE job = ? ORDER BY sequence", (job.id,))
        job.artifacts.extend(job_pb2.Artifact.FromString(r["payload"]) for r in made)
        return job

    # Writing

    def add(self, submission: Submission) -> str:
        """Store a job, QUEUED; gives its id. The caller has seen in the same transaction that it may be stored."""
        job, now = secrets.token_hex(6), time.time()
        with self.transaction() as db:
            given = (submission.digest, submission.spec.SerializeToString(), State.QUEUED)
            db.execute(
                "INSERT INTO jobs (id, digest, spec, state, label, user, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (job, *given, submission.label, submission.user, now),
            )
            self.name_request(submission.request_id, job)
            for needs in dict.fromkeys(submission.depends_on):
                db.execute("INSERT INTO dependencies VALUES (?, ?)", (job, needs))
            for output in submission.outputs:
                db.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?, ?)", (job, *output.dump()))
            change = job_pb2.StateChange(to_state=job_pb2.JOB_STATE_QUEUED)
            self.record(job, [job_pb2.JobEvent(state_change=change)])
        return job

    def name_request(self, request_id: str, job: str) -> None:
        """Remember which job a request was answered with."""
        with self.transaction() as db:
            db.execute("INSERT INTO requests VALUES (?, ?)", (request_id, job))

    def move(self, job: str, to: State, error: job_pb2.Error | None = None) -> None:
        """Take a job to another state and tell it as an event.

        Raises:
            JobStateRefused: the table of states has no such step.
        """
        with self.transaction() as db:
            before = State(self._row(job)["state"])
            states.check(job, before, to)
            now = time.time()
            db.execute("UPDATE jobs SET state = ?, pausing = 0 WHERE id = ?", (to, job))
            if to is State.RUNNING:
                db.execute(
                    "UPDATE jobs SET attempts = attempts + 1, started = coalesce(started, ?) WHERE id = ?",
                    (now, job),
                )
            if to.ended:
                kept = error.SerializeToString() if error and to is State.FAILED else None
                db.execute("UPDATE jobs SET ended = ?, error = ? WHERE id = ?", (now, kept, job))
                db.execute("DELETE FROM updates WHERE job = ?", (job,))
            if before.ended:  # a retry
                db.execute("UPDATE jobs SET ended = NULL, error = NULL, deaths = 0 WHERE id = ?", (job,))
            change = job_pb2.StateChange(from_state=int(before), to_state=int(to), error=error)  # type: ignore[arg-type]
            self.record(job, [job_pb2.JobEvent(state_change=change)])

    def ask_pause(self, job: str) -> None:
        """Note that a running job was asked to pause: this outlives the daemon."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET pausing = 1 WHERE id = ?", (job,))

    def count_death(self, job: str) -> int:
        """A worker died under it; gives how many have."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET deaths = deaths + 1 WHERE id = ?", (job,))
            return int(self._row(job)["deaths"])

    def record(self, job: str, events: Sequence[job_pb2.JobEvent]) -> None:
        """Append events: each gets its sequence number and, where it has none, the time; the job's row follows."""
        with self.transaction() as db:
            sequence = self._row(job)["sequence"]
            for sequence, event in enumerate(events, start=sequence + 1):  # noqa: B020  continues the job's own
                self._append(db, job, sequence, event)
            db.execute("UPDATE jobs SET sequence = ? WHERE id = ?", (sequence, job))
            retention.thin(db, job)

    def _append(self, db: sqlite3.Connection, job: str, sequence: int, event: job_pb2.JobEvent) -> None:
        event.sequence = sequence
        if not event.HasField("time"):
            event.time.CopyFrom(_timestamp(time.time()) or timestamp_pb2.Timestamp())
        kind = event.WhichOneof("event") or ""
        frame = event.frame.frame if kind == "frame" else None
        payload = event.SerializeToString()
        db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (job, sequence, kind, frame, payload))
        match kind:
            case "progress" | "training":
                latest = getattr(event, kind).SerializeToString()
                db.execute(f"UPDATE jobs SET {kind} = ? WHERE id = ?", (latest, job))  # noqa: S608
            case "frame":
                report = event.frame
                row = (job, report.frame, report.state, report.SerializeToString())
                db.execute("INSERT OR REPLACE INTO frames VALUES (?, ?, ?, ?)", row)
            case "artifact":
                made = event.artifact
                item = (job, made.kind, made.path, sequence, made.SerializeToString())
                db.execute("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?, ?)", item)

    # Scheduling

    def next_ready(self) -> str | None:
        """The oldest queued job whose dependencies have all succeeded."""
        query = (
            "SELECT id FROM jobs WHERE state = ? AND NOT EXISTS (SELECT 1 FROM dependencies JOIN jobs AS other "
            "ON other.id = needs WHERE job = jobs.id AND other.state != ?) ORDER BY number LIMIT 1"
        )
        with self._lock, self._translated():
            row = self._db.execute(query, (State.QUEUED, State.SUCCEEDED)).fetchone()
        return row and str(row["id"])

    def doomed(self) -> list[tuple[str, str]]:
        """Queued jobs with a dependency that ended otherwise: (job, dependency)."""
        query = (
            "SELECT job, needs FROM dependencies JOIN jobs ON jobs.id = job JOIN jobs AS other ON other.id = needs "
            "WHERE jobs.state = ? AND other.state IN (?, ?) GROUP BY job ORDER BY jobs.number"
        )
        with self._lock, self._translated():
            rows = self._db.execute(query, (State.QUEUED, State.FAILED, State.CANCELLED)).fetchall()
        return [(row["job"], row["needs"]) for row in rows]

    def recover(self) -> list[tuple[str, State]]:
        """Put what a killed daemon left RUNNING or CANCELLING where it belongs; gives (job, new state)."""
        with self.transaction() as db:
            query = "SELECT id, state, pausing FROM jobs WHERE state IN (?, ?) ORDER BY number"
            moved = []
            for row in db.execute(query, (State.RUNNING, State.CANCELLING)).fetchall():
                if row["state"] == State.CANCELLING:
                    to = State.CANCELLED
                else:
                    to = State.PAUSED if row["pausing"] else State.QUEUED
                self.move(row["id"], to)
                moved.append((row["id"], to))
        return moved


def _timestamp(seconds: float | None) -> timestamp_pb2.Timestamp | None:
    if seconds is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromNanoseconds(int(seconds * 1e9))
    return stamp
