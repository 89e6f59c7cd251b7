"""Running jobs from a command: start, show, cancel when asked, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.client import lines, swap
from understudy.client.cli.context import Interrupted, State
from understudy.client.errors import FRAMES_FAILED, INPUT_MISSING, OK, JobCancelled, JobFailed, Refused
from understudy.client.job import Job
from understudy.client.progress import clock, title
from understudy.client.session import Session


def run(
    state: State,
    start: Callable[[Session], Job],
    *,
    detach: bool = False,
    every_frame: bool = False,
    after: Callable[[Session, Job], None] | None = None,
) -> None:
    """Start one job and follow it to its end; sets the exit code.

    Args:
        after: tells what else there is to say of a job that SUCCEEDED.

    Raises:
        UnderstudyError: it was refused or failed.
        Interrupted: by a signal; the job is cancelled by then.
    """
    if state.checking:
        return
    with state.session() as session:
        refuse_to_leave(session, detach)
        job = start(session)
        if detach:
            state.result("started", job.message, f"{job.id}  {title(job)}")
            return
        follow(state, [job], every_frame=every_frame)
        made(state, job)
        if after is not None:
            after(session, job)
        state.exit_code = exit_code(job)


def refuse_to_leave(session: Session, detach: bool) -> None:
    """A daemon that stops with this command cannot be left a job."""
    if detach and session.embedded:
        raise Refused.invalid(
            "detach",
            "true",
            "no daemon runs that would go on with the job; start one with `understudy serve`",
        )


def follow(state: State, jobs: Sequence[Job], *, every_frame: bool = False, own: bool = True) -> None:
    """Show jobs until the last has ended.

    Args:
        own: cancel those that this command started when a signal comes.

    Raises:
        JobFailed, JobCancelled: at the first that did not end well.
        Interrupted: by a signal.
    """
    with state.reporter(every_frame=every_frame) as show:
        show.started(jobs)
        try:
            for job in jobs:
                for event in job.watch():
                    show.event(job, event)
                show.ended(job)
                job.check()
        except Interrupted:
            if own:
                show.say("cancelling; what is finished stays. Once more to leave at once")
                swap.cancel(jobs)
                for job in jobs:
                    if not job.existing:
                        _wait_for_end(job)
            raise


def _wait_for_end(job: Job) -> None:
    """So that a daemon embedded here is not stopped while the job writes its last checkpoint."""
    try:
        job.wait()
    except (JobCancelled, JobFailed):
        return


def made(state: State, job: Job) -> None:
    """Print what a job made and how it went."""
    counts = {"failed": job.message.frames_failed, "missing": job.message.frames_missing}
    progress = job.message.progress
    if state.as_json:
        print(lines.line("result", lines.plain(job.message), job=job.id), flush=True)
        return
    for artifact in job.message.artifacts:
        print(f"{artifact.kind.replace('_', ' '):<14}{artifact.path}")
    if progress.unit in ("frame", "face", "plate"):
        trouble = "".join(f", {number} {name}" for name, number in counts.items() if number)
        lost = sum(counts.values()) if progress.unit == "frame" else 0  # progress has come past these too
        print(f"{progress.unit + 's':<14}{progress.done - lost} of {progress.total} done{trouble}")
        if count := sum(1 for report in job.frames() if report.warnings):
            print(warnings_line(job, count))
    elif job.stage in ("train", "train_segmenter", "train_enhancer"):
        losses = ", ".join(
            f"{name} {value:.4f}" for name, value in sorted(job.message.training.losses.items())
        )
        print(f"{'iterations':<14}{job.message.training.iteration}{' (' + losses + ')' if losses else ''}")
    print(f"{'time':<14}{clock(job.seconds)}")


def warnings_line(job: Job, count: int) -> str:
    """Where to read what was noticed on so many of its frames."""
    where = f"on {count} frame{'s' if count > 1 else ''}"
    return f"{'warnings':<14}{where}: understudy jobs show {job.id} --frames"


def exit_code(job: Job) -> int:
    """Of a job that SUCCEEDED: single frames may have failed or be missing all the same."""
    if job.message.frames_failed:
        return FRAMES_FAILED
    return INPUT_MISSING if job.message.frames_missing else OK
