"""The jobs that a host knows of: started, watched, steered. It holds what the daemon says, and nothing of a host.

Everything here is called on one thread: that on which the link calls back (`Link(deliver=…)`). Nothing waits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence, Tuple

from .errors import UnderstudyError

if TYPE_CHECKING:
    from .requests import Call, Stream
    from .supervisor import Link

Json = Dict[str, Any]
Stage = Tuple[str, Json]  # what a person calls it, and its spec
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
_FAILED_FRAMES = {"FRAME_STATE_FAILED": "framesFailed", "FRAME_STATE_MISSING": "framesMissing"}


class JobFailed(UnderstudyError):
    """A job ended otherwise than well."""

    code = "ABORTED"


class Jobs:
    """What is known of the daemon's jobs.

    Attributes:
        known: jobs by id, by the protobuf JSON mapping, kept up to date while they are watched, as they were heard of.
        errors: why a job could not be watched, by id; gone when it can be again.
        listeners: each is called with a job and the event that changed it, or None where it was read as a whole.
    """

    def __init__(self, link: Link) -> None:
        self.known: Dict[str, Json] = {}
        self.errors: Dict[str, UnderstudyError] = {}
        self.listeners: List[Callable[[Json, Json | None], object]] = []
        self._link = link
        self._watched: Dict[str, Stream] = {}

    def start(
        self,
        stages: Sequence[Stage],
        label: str,
        done: Callable[[List[str], UnderstudyError | None], object],
    ) -> None:
        """Start jobs, each to begin when the one before has succeeded, and watch them.

        Args:
            label: what they are for, such as the host's file; lists show it.
            done: called with the ids when all are stored, or with the error; those before it are then cancelled.
        """
        ids: List[str] = []

        def begin() -> None:
            name, spec = stages[len(ids)]
            request = {"spec": spec, "label": f"{name} of {label}", "dependsOn": ids[-1:]}
            self._link.call("JobService/StartJob", request, done=begun)

        def begun(call: Call) -> None:
            try:
                job = call.result()["job"]
            except UnderstudyError as error:
                for each in reversed(ids):
                    self.tell("CancelJob", each)
                done([], error)
                return
            ids.append(job["id"])
            self._read(job)
            self.watch(job["id"])
            if len(ids) < len(stages):
                begin()
            else:
                done(ids, None)

        begin()

    def watch(self, job: str) -> None:
        """Follow a job until it has ended; one that is followed already is left so."""
        if job in self._watched or self.ended(job):
            return
        self._watched[job] = self._link.stream(
            "JobService/WatchJob",
            {"id": job, "afterSequence": self.known.get(job, {}).get("lastSequence", 0)},
            on_event=lambda message: self._event(job, message),
            on_end=lambda error: self._watched_out(job, error),
        )

    def refresh(
        self, count: int = 20, done: Callable[[UnderstudyError | None], object] | None = None
    ) -> None:
        """Read the daemon's latest jobs, and watch those that have not ended."""

        def listed(call: Call) -> None:
            error = call.exception()
            if error is None:
                for job in reversed(call.result().get("jobs", [])):
                    self._read(job)
                    self.watch(job["id"])
            if done is not None:
                done(error if isinstance(error, UnderstudyError) else None)

        self._link.call("JobService/ListJobs", {"pageSize": count}, done=listed)

    def tell(
        self, what: str, job: str, done: Callable[[UnderstudyError | None], object] | None = None
    ) -> None:
        """Steer a job: `CancelJob`, `PauseJob`, `ResumeJob` or `RetryJobFrames`."""

        def told(call: Call) -> None:
            error = call.exception()
            if error is None:
                self._read(call.result()["job"])
                self.watch(job)
            if done is not None:
                done(error if isinstance(error, UnderstudyError) else None)

        self._link.call("JobService/" + what, {"id": job}, done=told)

    def newest(self) -> List[Json]:
        """All that are known, the one that was started last first."""
        return sorted(
            self.known.values(), key=lambda job: str(job.get("createTime", "")).rstrip("Z"), reverse=True
        )

    def ended(self, job: str) -> bool:
        return self.known.get(job, {}).get("state") in ENDED

    def failure(self, job: str) -> UnderstudyError | None:
        """Why it did not go well; None while it runs, and when it did."""
        said = self.known.get(job, {})
        if said.get("state") not in ENDED:
            return self.errors.get(job)
        return None if said["state"] == "JOB_STATE_SUCCEEDED" else _failure(said)

    def _read(self, job: Json) -> None:
        """Take what a reply says, but where the watch has told more meanwhile: the two are not in order."""
        known = self.known.setdefault(job["id"], job)
        if int(job.get("lastSequence", 0)) >= int(known.get("lastSequence", 0)):
            self.known[job["id"]] = job
        self._tell_all(self.known[job["id"]], None)

    def _event(self, job: str, message: Json) -> None:
        self.errors.pop(job, None)
        if "snapshot" in message:
            self._read(message["snapshot"])
        elif "event" in message and job in self.known:
            event, known = message["event"], self.known[job]
            if int(event.get("sequence", 0)) > int(
                known.get("lastSequence", 0)
            ):  # the snapshot has the others
                apply(known, event)
            self._tell_all(known, event)

    def _watched_out(self, job: str, error: UnderstudyError | None) -> None:
        """The stream has ended: with the job, whose last words are read; or by a fault."""
        if error is not None:
            self._watched.pop(job, None)
            self.errors[job] = error
            if job in self.known:
                self._tell_all(self.known[job], None)
            return

        def read(call: Call) -> None:
            self._watched.pop(job, None)
            if call.exception() is None:
                self._read(call.result()["job"])
                self.watch(job)  # it was taken up again meanwhile

        self._link.call("JobService/GetJob", {"id": job}, done=read)

    def _tell_all(self, job: Json, event: Json | None) -> None:
        for listener in list(self.listeners):
            listener(job, event)


def apply(job: Json, event: Json) -> None:
    """Change a job as its event says."""
    job["lastSequence"] = event.get("sequence", job.get("lastSequence", 0))
    if "stateChange" in event:
        job["state"] = event["stateChange"]["toState"]
        if event["stateChange"].get("error"):
            job["error"] = event["stateChange"]["error"]
    for name in ("progress", "training"):
        if name in event:
            job[name] = event[name]
    if "artifact" in event:
        made = job.setdefault("artifacts", [])
        job["artifacts"] = [a for a in made if a.get("path") != event["artifact"].get("path")]
        job["artifacts"].append(event["artifact"])
    counted = _FAILED_FRAMES.get(event.get("frame", {}).get("state", ""))
    if counted:
        job[counted] = int(job.get(counted, 0)) + 1


def kind(job: Json) -> str:
    """What it does: `extract`, `train`, `merge`, …"""
    return next(iter(job.get("spec") or {}), "")


def fraction(job: Json) -> float:
    """How far it is, 0 to 1."""
    return float((job.get("progress") or {}).get("fraction", 0.0))


def words(job: Json) -> str:
    """How it stands, in one line for a person: state, progress, rate, time left; or what went wrong."""
    state = str(job.get("state", "")).replace("JOB_STATE_", "").lower()
    if state == "failed":
        return str((job.get("error") or {}).get("message") or "failed")
    if state == "queued" and job.get("waitsFor"):
        return "waits for " + str(job["waitsFor"])
    failed, missing = int(job.get("framesFailed", 0)), int(job.get("framesMissing", 0))
    bad = [f"{n} frames {what}" for n, what in ((failed, "failed"), (missing, "missing")) if n]
    return ", ".join([state, *_progress(job), *bad])


def _progress(job: Json) -> List[str]:
    told = job.get("progress") or {}
    if not told.get("done") and not told.get("total"):
        iteration = (job.get("training") or {}).get("iteration")
        return [f"iteration {iteration}"] if iteration else []
    of = " of {}".format(told["total"]) if told.get("total") else ""
    said = ["{}{} {}s".format(told.get("done", 0), of, told.get("unit") or "step")]
    if job.get("state") == "JOB_STATE_RUNNING":
        if told.get("rate"):
            said.append("{:.2g} a second".format(float(told["rate"])))
        if told.get("remaining"):
            said.append(duration(float(str(told["remaining"]).rstrip("s"))) + " left")
    return said


def duration(seconds: float) -> str:
    """Such as `40 s`, `12 min`, `3 h 05`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else "{} h {:02d}".format(*divmod(minutes, 60))


def remembered(text: str) -> List[str]:
    """The ids that a host's file holds, written by `to_remember`; none where it holds something else."""
    try:
        ids = json.loads(text or "[]")
    except ValueError:
        return []
    return [str(each) for each in ids] if isinstance(ids, list) else []


def to_remember(text: str, ids: Sequence[str], most: int = 20) -> str:
    """The text for a host's file, these ids added to those of `text`; the oldest go."""
    return json.dumps([*(i for i in remembered(text) if i not in ids), *ids][-most:])


def _failure(job: Json) -> JobFailed:
    said = job.get("error") or {}
    state = str(job.get("state", "")).replace("JOB_STATE_", "").lower()
    return JobFailed(
        "{}: {}".format(job.get("label") or kind(job), said.get("message") or state),
        reason=said.get("reason", ""),
        metadata=dict(said.get("metadata") or {}, job=job.get("id", "")),
    )
