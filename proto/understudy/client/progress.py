"""How a job looks while it runs: bars on a terminal, plain lines in a log, JSON lines for a script.

Results go to stdout, everything on the way to stderr; with JSON lines, the lines are the result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from understudy.client import lines
from understudy.client.job import Event, Job
from understudy.v1 import job_pb2 as pb

EVERY_S = 10.0  # between two plain lines about the same job
SCORES = {"iou": "IoU"}  # as people write them
_BY_HAND = ("label_faces",)  # stages whose every frame is a person's work: what is odd about one is said
_NEWS = (  # what a training says of itself: no warnings
    "NETWORK",
    "CHANGED",
    "PHASE",
    "MEMORY",
    "PLATEAU",
    "UNTIL",
)
_TROUBLE = {pb.FRAME_STATE_FAILED: "failed", pb.FRAME_STATE_MISSING: "missing"}


class Reporter(Protocol):
    """Shows jobs; used as a context manager around all of them."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def started(self, jobs: Sequence[Job]) -> None:
        """These jobs are to be shown, in this order."""

    def event(self, job: Job, event: Event) -> None:
        """Something happened to one of them; the job has learned of it already."""

    def ended(self, job: Job) -> None:
        """Nothing more comes from this one."""

    def say(self, text: str) -> None:
        """A line for a person, on stderr."""


def reporter(as_json: bool, *, every_frame: bool = False) -> Reporter:
    """The one for what stdout and stderr are.

    Args:
        as_json: JSON lines on stdout.
        every_frame: say what became of each frame, not only of those in trouble.
    """
    if as_json:
        return JsonLines(sys.stdout)
    return Bars(every_frame) if sys.stderr.isatty() else Lines(sys.stderr, every_frame)


class JsonLines:
    """One JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()

    def started(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._write(lines.line("started", lines.plain(job.message), job=job.id, existing=job.existing))

    def event(self, job: Job, event: Event) -> None:
        self._write(lines.event_line(job, event))

    def ended(self, job: Job) -> None:
        self._write(lines.line("ended", lines.plain(job.message), job=job.id))

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _write(self, line: str) -> None:
        print(line, file=self._out, flush=True)


class Lines:
    """A line when something changes, and now and then in between: for logs."""

    def __init__(self, out: TextIO, every_frame: bool = False) -> None:
        self._out = out
        self._every_frame = every_frame
        self._last = 0.0
        self._begun: set[str] = set()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()

    def started(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.say(f"{title(job)}: job {job.id}{' (under way already)' if job.existing else ''}")

    def event(self, job: Job, event: Event) -> None:
        text = notable(event, self._every_frame, odd=job.stage in _BY_HAND)
        if event.kind == "snapshot":
            if job.id in self._begun and job.message.waits_for:  # the first is of a moment, as often as not
                self.say(f"{title(job)}: waits for {job.message.waits_for}")
            self._begun.add(job.id)
        elif text:
            self.say(f"{title(job)}: {text}")
        elif event.kind in ("progress", "training") and time.monotonic() - self._last >= EVERY_S:
            self._last = time.monotonic()
            self.say(f"{title(job)}: {', '.join(filter(None, standing(job)))}")
        elif event.kind == "state_change" and job.state in ("RUNNING", "PAUSED", "CANCELLING"):
            self._last = time.monotonic()
            self.say(f"{title(job)}: {job.state.lower()}")

    def ended(self, job: Job) -> None:
        self.say(f"{title(job)}: {outcome(job)}")

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class Bars:
    """A bar for each job."""

    def __init__(self, every_frame: bool = False) -> None:
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=None, finished_style="green"),
            *(TextColumn(f"{{task.fields[{name}]}}") for name in ("count", "rate", "left", "note")),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), expand=True)
        self._every_frame = every_frame
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            note = "attached" if job.existing else ""
            self._tasks[job.id] = self._progress.add_task(
                title(job), total=1.0, count="", rate="", left="", note=note
            )

    def event(self, job: Job, event: Event) -> None:
        text = notable(event, self._every_frame, odd=job.stage in _BY_HAND)
        if text:
            self.say(f"{title(job)}: {text}")
        count, rate, left, losses = standing(job)
        waits = f"waits for {job.message.waits_for}" if job.message.waits_for else job.state.lower()
        note = losses if job.state == "RUNNING" else waits
        self._progress.update(
            self._tasks[job.id],
            completed=job.message.progress.fraction,
            count=count,
            rate=rate,
            left=left,
            note=note,
        )

    def ended(self, job: Job) -> None:
        completed = 1.0 if job.state == "SUCCEEDED" else job.message.progress.fraction
        self._progress.update(self._tasks[job.id], rate="", left="", note=outcome(job), completed=completed)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


def title(job: Job) -> str:
    """What a person calls the job."""
    return job.label or job.stage.replace("_", " ")


def notable(event: Event, every_frame: bool = False, *, odd: bool = False) -> str:
    """What is worth a line in any log; empty for the rest. With `odd`, a frame that has a warning is."""
    message = event.message
    if isinstance(message, pb.Error):
        return message.message if message.reason in _NEWS else f"warning: {message.message}"
    if (
        isinstance(message, pb.StateChange)
        and message.to_state == pb.JOB_STATE_QUEUED
        and message.error.message
    ):
        return f"queued again: {message.error.message}"
    if not isinstance(message, pb.FrameReport):
        return ""
    said = message.error.message or "; ".join(message.warnings)
    if message.state in _TROUBLE:
        return f"frame {message.frame} {_TROUBLE[message.state]}: {said or message.error.reason}"
    fine = "no face" if message.state == pb.FRAME_STATE_NO_FACE else "ok"
    shown = every_frame or (odd and said)
    return f"frame {message.frame} {fine}{': ' + said if said else ''}" if shown else ""


def standing(job: Job) -> tuple[str, str, str, str]:
    """How far it is, how fast, how long to go, and its losses and scores, as text; empty where it cannot be told."""
    progress, training = job.message.progress, job.message.training
    losses = " ".join(
        [f"{name} {value:.4f}" for name, value in sorted(training.losses.items())]
        + [f"{SCORES.get(name, name)} {value:.3f}" for name, value in sorted(training.scores.items())]
    )
    left = (
        f"{clock(progress.remaining.ToTimedelta().total_seconds())} left"
        if progress.HasField("remaining")
        else ""
    )
    if progress.unit == "byte":
        megabytes = f"{progress.done / 1e6:.1f}" + (f"/{progress.total / 1e6:.1f}" if progress.total else "")
        return f"{megabytes} MB", f"{progress.rate / 1e6:.1f} MB/s" if progress.rate else "", left, losses
    count = f"{progress.done}" + (f"/{progress.total}" if progress.total else "")
    return (
        f"{count} {progress.unit}s" if progress.unit else "",
        rate(progress.rate, progress.unit),
        left,
        losses,
    )


def rate(per_second: float, unit: str) -> str:
    """`3.2 frames/s`, or `4.1 s/frame` where it is slow."""
    if per_second <= 0:
        return ""
    return f"{per_second:.1f} {unit}s/s" if per_second >= 1 else f"{1 / per_second:.1f} s/{unit}"


def clock(seconds: float) -> str:
    """`1:02:03`, `2:03`."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def outcome(job: Job) -> str:
    """How it ended, in a few words."""
    if job.state != "SUCCEEDED":
        return job.state.lower()
    counts = (("failed", job.message.frames_failed), ("missing", job.message.frames_missing))
    trouble = "".join(f", {n} {name}" for name, n in counts if n)
    return f"done in {clock(job.seconds)}{trouble}"
