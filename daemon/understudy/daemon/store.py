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
from weakref import WeakValueDictionary

from understudy.core.errors import DiskFull, NotFound, WriteFailed
from understudy.daemon import encode_job, paging, retention, schema, slots, states
from understudy.daemon.outputs import Output
from understudy.daemon.states import ACTIVE, State
from understudy.v1 import job_pb2

_ACTIVE = ",".join(str(int(state)) for state in sorted(ACTIVE))
GOOD = (job_pb2.FRAME_STATE_DONE, job_pb2.FRAME_STATE_SKIPPED, job_pb2.FRAME_STATE_NO_FACE)
"""Frames that need not be made again."""


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
    priority: int = 0
    project: str = ""
    interactive: bool = False
    refuse_locked: bool = False
    memory: int = 0


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
        # One for each job that is watched: hundreds may watch, and only those of its job are woken by an event.
        self._watched: WeakValueDictionary[str, threading.Condition] = WeakValueDictionary()
        self._told: set[str] = set()  # jobs with events in the transaction that runs
        self._depth = 0
        self.version = 0  # grows with every commit
        self.moves = 0  # grows with every commit that may change what can run
        self._moved = False
        with self._translated():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            schema.migrate(self._db, str(path))
        self._name_needs()

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
                self.moves += self._moved
                self._changed.notify_all()
                for job in self._told:
                    self._wake(job)
            finally:
                self._depth, self._moved = 0, False
                self._told.clear()
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
        """Sleep until the store's `moves` are others, or `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.moves != since, timeout)

    def turn(self) -> None:
        """Something outside of the store may let another job run: who waits for moves looks again."""
        with self._changed:
            self.moves += 1
            self._changed.notify_all()

    def wait_beyond(self, job: str, sequence: int, timeout: float) -> None:
        """Sleep until the job has an event after `sequence`, or was nudged, or `timeout` seconds."""
        with self._changed:
            if self._row(job)["sequence"] <= sequence:
                self._watched.setdefault(job, threading.Condition(self._lock)).wait(timeout)

    def _wake(self, job: str) -> None:
        if (watched := self._watched.get(job)) is not None:
            watched.notify_all()

    def _name_needs(self) -> None:
        """What the jobs of an older file need of devices."""
        with self.transaction() as db:
            for row in db.execute("SELECT number, spec FROM jobs WHERE need = ''").fetchall():
                need = slots.need_of(job_pb2.JobSpec.FromString(row["spec"]))
                db.execute("UPDATE jobs SET need = ? WHERE number = ?", (need, row["number"]))

    def nudge(self, job: str = "") -> None:
        """Wake all who wait for a job, or for any, so that they look whether they should go on."""
        with self._lock:
            for each in [job] if job else list(self._watched):
                self._wake(each)

    # Reading

    def _row(self, job: str) -> sqlite3.Row:
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise NotFound(
                f"there is no job {job!r}, or it ended long ago and is no longer kept; a list of jobs says which "
                "there are",
                field="id",
                value=job,
            )
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

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits to."""
        states = (State.QUEUED, State.RUNNING, State.CANCELLING)
        with self._lock, self._translated():
            row = self._db.execute("SELECT 1 FROM jobs WHERE state IN (?, ?, ?) LIMIT 1", states).fetchone()
        return row is not None

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
        self, only: Sequence[int], before: int | None, limit: int, *, user: str = "", project: str = ""
    ) -> tuple[list[job_pb2.Job], int | None]:
        """Jobs in these states (none: all), newest first, and the cursor for what is older."""
        marks = ",".join("?" * len(only))
        where = f"state IN ({marks})" if only else "1"
        whose = {name: value for name, value in (("user", user), ("project", project)) if value}
        where += "".join(f" AND {name} = ?" for name in whose)
        query = f"SELECT * FROM jobs WHERE {where} AND number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608
        start = 2**62 if before is None else before
        with self._lock, self._translated():
            rows = self._db.execute(query, (*only, *whose.values(), start, limit + 1)).fetchall()
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

    def outputs(self, jobs: Iterable[str]) -> tuple[Output, ...]:
        """What these jobs write."""
        query = "SELECT folder, name, frames FROM outputs WHERE job = ?"
        with self._lock, self._translated():
            rows = [row for job in jobs for row in self._db.execute(query, (job,)).fetchall()]
        return tuple(Output.load(*row) for row in rows)

    def _job(self, row: sqlite3.Row) -> job_pb2.Job:
        return encode_job.job(self._db, row)

    # Writing

    def add(self, submission: Submission) -> str:
        """Store a job, QUEUED; gives its id. The caller has seen in the same transaction that it may be stored."""
        job, now = secrets.token_hex(6), time.time()
        with self.transaction() as db:
            row = {
                "id": job,
                "digest": submission.digest,
                "spec": submission.spec.SerializeToString(),
                "state": State.QUEUED,
                "label": submission.label,
                "user": submission.user,
                "created": now,
                "priority": submission.priority,
                "project": submission.project,
                "interactive": submission.interactive,
                "refuse_locked": submission.refuse_locked,
                "need": slots.need_of(submission.spec),
                "memory": submission.memory,
            }
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
            self._moved = True
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
            self._moved = True
            if to.ended:
                kept = error.SerializeToString() if error and to is State.FAILED else None
                db.execute(
                    "UPDATE jobs SET ended = ?, error = ?, holds = 0, note = '' WHERE id = ?",
                    (now, kept, job),
                )
                db.execute("DELETE FROM updates WHERE job = ?", (job,))
            if before.ended:  # a retry
                db.execute("UPDATE jobs SET ended = NULL, error = NULL, deaths = 0 WHERE id = ?", (job,))
            change = job_pb2.StateChange(from_state=int(before), to_state=int(to), error=error)  # type: ignore[arg-type]
            self.record(job, [job_pb2.JobEvent(state_change=change)])

    def ask_pause(self, job: str, *, asked: bool = True) -> None:
        """Note that a running job was asked to pause, or that it no longer is: this outlives the daemon."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET pausing = ? WHERE id = ?", (asked, job))

    def refuses_locked(self, job: str) -> bool:
        """Whether it fails rather than waits for its output."""
        with self._lock, self._translated():
            return bool(self._row(job)["refuse_locked"])

    def set_priority(self, job: str, priority: int) -> None:
        """Change where it stands in the queue."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET priority = ? WHERE id = ?", (priority, job))
            self._moved = True

    def set_note(self, job: str, note: str) -> None:
        """Say what a queued job waits for that this daemon has no part in."""
        with self.transaction() as db:
            db.execute("UPDATE jobs SET note = ? WHERE id = ?", (note, job))

    def count_death(self, job: str, saved: int = 0) -> int:
        """A worker died under it; gives how many have since it came further than it ever was at a death.

        Args:
            saved: iterations that are on the disk; frames are counted here.
        """
        made = "SELECT count(*) FROM frames WHERE job = ? AND state IN (?, ?, ?)"
        with self.transaction() as db:
            (count,) = db.execute(made, (job, *GOOD)).fetchone()
            reached = max(count, saved)
            db.execute(
                "UPDATE jobs SET deaths = CASE WHEN ? > reached THEN 1 ELSE deaths + 1 END, "
                "reached = max(reached, ?) WHERE id = ?",
                (reached, reached, job),
            )
            return int(self._row(job)["deaths"])

    def record(self, job: str, events: Sequence[job_pb2.JobEvent]) -> None:
        """Append events: each gets its sequence number and, where it has none, the time; the job's row follows."""
        with self.transaction() as db:
            sequence = self._row(job)["sequence"]
            for sequence, event in enumerate(events, start=sequence + 1):  # noqa: B020  continues the job's own
                self._append(db, job, sequence, event)
            db.execute("UPDATE jobs SET sequence = ? WHERE id = ?", (sequence, job))
            self._told.add(job)
            retention.thin(db, job)

    def _append(self, db: sqlite3.Connection, job: str, sequence: int, event: job_pb2.JobEvent) -> None:
        event.sequence = sequence
        if not event.HasField("time"):
            event.time.CopyFrom(encode_job.timestamp(time.time()))
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

    def take(self, job: str) -> bool:
        """QUEUED → RUNNING, from when on it holds its outputs; False where somebody has steered it since."""
        with self.transaction() as db:
            if self.state(job) is not State.QUEUED:
                return False
            self.move(job, State.RUNNING)
            db.execute("UPDATE jobs SET holds = 1, note = '' WHERE id = ?", (job,))
            return True

    def put_back(self, job: str) -> State | None:
        """What a killed worker or daemon left RUNNING or CANCELLING goes where it belongs; gives that, if it does."""
        with self.transaction():
            row = self._row(job)
            if row["state"] not in (State.RUNNING, State.CANCELLING):
                return None
            if row["state"] == State.CANCELLING:
                to = State.CANCELLED
            else:
                to = State.PAUSED if row["pausing"] else State.QUEUED
            self.move(job, to)
            return to

    def recover(self) -> list[tuple[str, State]]:
        """Put back all that a killed daemon left; gives (job, new state)."""
        with self.transaction() as db:
            query = "SELECT id FROM jobs WHERE state IN (?, ?) ORDER BY number"
            left = [row["id"] for row in db.execute(query, (State.RUNNING, State.CANCELLING)).fetchall()]
            return [(job, to) for job in left if (to := self.put_back(job)) is not None]
