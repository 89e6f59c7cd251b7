"""What a task says to the farm that runs it: lines of Open Job Description on stdout.

`openjd_progress: 0..100`, `openjd_status: TEXT`, `openjd_fail: TEXT` (why it fails) and `openjd_env: NAME=VALUE` stand
alone on their lines. All else that is printed is log.
Source: OpenJobDescription/openjd-specifications, wiki "How Jobs Are Run", stdout messages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from understudy.client import frames as ranges
from understudy.client.errors import RETRYABLE, UnderstudyError
from understudy.client.job import Event, Job
from understudy.client.progress import Lines, outcome, standing, title

EVERY_S = 1.0  # between two lines of progress; a farm's manager stores each
LONGEST = 2000  # characters of a message; what is longer is in the log
_NAMED = 5  # frames whose trouble is told in full


def message(kind: str, text: str) -> str:
    """`openjd_KIND: TEXT` on one line, whatever the text holds."""
    return f"openjd_{kind}: {' '.join(text.split())[:LONGEST]}"


def failure(error: UnderstudyError) -> str:
    """The line that tells why a task fails, and whether it may succeed when it is tried again."""
    again = "try again" if error.exit_code in RETRYABLE else "trying again will not help"
    reason = f"{error.reason}, " if error.reason else ""
    return message("fail", f"{error.message[: LONGEST - 100]} [{reason}exit code {error.exit_code}: {again}]")


class OpenJd(Lines):
    """Progress for the farm, on stdout as all of its messages are, and what is worth a line beside it.

    Several jobs count as equal parts of the whole.
    """

    def __init__(self, out: TextIO, every_frame: bool = False) -> None:
        super().__init__(out, every_frame)
        self._jobs: Sequence[Job] = ()
        self._told = -1.0
        self._at = 0.0

    def started(self, jobs: Sequence[Job]) -> None:
        super().started(jobs)
        self._jobs = jobs
        self._tell("progress", "0.0")

    def event(self, job: Job, event: Event) -> None:
        super().event(job, event)
        if event.kind in ("snapshot", "progress", "training") and time.monotonic() - self._at >= EVERY_S:
            self._stand(job)

    def _stand(self, job: Job) -> None:
        done = sum(1.0 if each.ended else each.message.progress.fraction for each in self._jobs)
        if (percent := 100.0 * done / len(self._jobs)) > self._told:  # a farm's bar goes up only
            self._told, self._at = percent, time.monotonic()
            self._tell("progress", f"{percent:.1f}")
            self._tell("status", f"{title(job)}: {', '.join(filter(None, standing(job))) or 'running'}")

    def ended(self, job: Job) -> None:
        super().ended(job)
        self._at = 0.0
        self._stand(job)
        self._tell("status", f"{title(job)}: {outcome(job)}")
        if job.state == "SUCCEEDED" and (job.message.frames_failed or job.message.frames_missing):
            self._tell("fail", f"{title(job)}: {trouble(job)}")

    def say(self, text: str) -> None:
        super().say(" ".join(text.splitlines()))  # no line that is not ours may look like a message

    def _tell(self, kind: str, text: str) -> None:
        self.say(message(kind, text))


def trouble(job: Job) -> str:
    """Which frames failed or are missing, all of them as ranges, the first with what is wrong."""
    found = list(job.frames(("FAILED", "MISSING")))
    numbers = ranges.text(ranges.segments_of(each.frame for each in found), "openjd")
    told = [each.error.message or each.error.reason for each in found[:_NAMED]]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"frames {numbers}: {'; '.join(told)}{more}"
