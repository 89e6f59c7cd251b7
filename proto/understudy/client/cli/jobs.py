"""`understudy jobs`: what the daemon has done, does and will do."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, one_of
from understudy.client.cli.follow import exit_code, follow, made, refuse_to_leave
from understudy.client.errors import NotFound
from understudy.client.job import Job, frame_state_name
from understudy.client.progress import clock, standing, title
from understudy.client.session import Session

app = typer.Typer(no_args_is_help=True, help="List, watch and steer jobs.")

STATES = ("queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled")
Id = Annotated[str, typer.Argument(metavar="ID", help="Of a job; its beginning will do.")]


def find(session: Session, id_: str) -> Job:
    """The job with this id, or the only one whose id begins so."""
    try:
        return session.job(id_)
    except NotFound:
        found = [job for job in session.jobs() if job.id.startswith(id_)]
        if len(found) != 1:
            raise
        return found[0]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[
        options.Text, typer.Option("--state", metavar="|".join(STATES), help="Only these; several by commas.")
    ] = None,
    user: Annotated[str, typer.Option("--user", help="Only this one's.")] = "",
) -> None:
    """List jobs, newest first; with --project only its."""
    states = [one_of(s.strip().lower(), STATES, "state").upper() for s in state.split(",")] if state else []
    ours = State.of(context)
    with ours.session() as session:
        for job in session.jobs(states, user=user, project=ours.asking.project):
            ours.result("job", job.message, _row(job))


def _row(job: Job) -> str:
    created = job.message.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
    waits = f"waits for {job.message.waits_for}" if job.message.waits_for else standing(job)[0]
    return f"{job.id}  {job.state:<10}  {created}  {clock(job.seconds):>8}  {title(job):<14}  {waits}"


@app.command()
def show(
    context: typer.Context,
    id_: Id,
    frames: Annotated[bool, typer.Option("--frames", help="And what became of each frame.")] = False,
) -> None:
    """Tell all about one job."""
    ours = State.of(context)
    with ours.session() as session:
        job = find(session, id_)
        ours.result("job", job.message, lambda: _card(job))
        if frames:
            for report in job.frames():
                state = frame_state_name(report.state).lower()
                said = report.error.message or "; ".join(report.warnings)
                ours.result("frame", report, f"  {report.frame:>8}  {state:<8}  {said}".rstrip())


def _card(job: Job) -> str:
    message = job.message
    states = Counter(frame_state_name(report.state).lower() for report in job.frames())
    parts = {
        "id": job.id,
        "what": f"{title(job)} ({job.stage})",
        "state": job.state.lower() + (f", attempt {message.attempts}" if message.attempts > 1 else ""),
        "user": message.user,
        "project": message.project,
        "priority": f"{message.priority or ''}{', interactive' if message.interactive else ''}".lstrip(", "),
        "progress": ", ".join(filter(None, standing(job))),
        "frames": ", ".join(f"{number} {name}" for name, number in states.items()),
        "time": clock(job.seconds),
        "after": ", ".join(message.depends_on),
        "waits for": message.waits_for,
        "memory": f"{message.memory_bytes / 2**20:,.0f} MiB" if message.memory_bytes else "",
        "error": f"{message.error.message} [{message.error.reason}]" if message.error.reason else "",
    }
    text = [f"{name:<14}{value}" for name, value in parts.items() if value]
    text += [f"{artifact.kind.replace('_', ' '):<14}{artifact.path}" for artifact in message.artifacts]
    return "\n".join(text)


@app.command()
def watch(context: typer.Context, id_: Id) -> None:
    """Follow a job to its end. Ctrl-C leaves it alone; its exit code is the job's."""
    ours = State.of(context)
    with ours.session() as session:
        _to_the_end(ours, find(session, id_), own=False)


@app.command()
def cancel(context: typer.Context, id_: Id) -> None:
    """Ask a job to stop. What is finished stays; a training writes its checkpoint."""
    _steer(context, id_, Job.cancel)


@app.command()
def pause(context: typer.Context, id_: Id) -> None:
    """Ask a job to make room, with its work kept."""
    _steer(context, id_, Job.pause)


def _steer(context: typer.Context, id_: str, ask: object) -> None:
    assert callable(ask)
    ours = State.of(context)
    with ours.session() as session:
        job = find(session, id_)
        ask(job)
        ours.result("job", job.message, f"{job.id}  {title(job)}: {job.state.lower()}")


@app.command()
def update(
    context: typer.Context,
    *,
    id_: Id,
    set_: options.Sets = None,
    preview: Annotated[bool, typer.Option("--preview", help="Make a preview now.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Write a checkpoint now.")] = False,
    back_up: Annotated[bool, typer.Option("--back-up", help="Make a backup now.")] = False,
) -> None:
    """Tell a running training to go on with other options, or what to do now; it goes on."""
    told = options.settings(set_)
    _steer(context, id_, lambda job: job.update_training(told, preview=preview, save=save, back_up=back_up))


@app.command(context_settings={"ignore_unknown_options": True})  # -5 is a priority
def priority(
    context: typer.Context,
    id_: Id,
    value: Annotated[int, typer.Argument(metavar="N", min=-1000, max=1000, help="Higher begins first.")],
) -> None:
    """Change a job's place in the queue."""
    _steer(context, id_, lambda job: job.set_priority(value))


@app.command()
def resume(context: typer.Context, id_: Id, detach: options.Detach = False) -> None:
    """Go on with a paused job, and follow it to its end."""
    _queue(context, id_, Job.resume, detach)


@app.command()
def retry(context: typer.Context, id_: Id, detach: options.Detach = False) -> None:
    """Do again what failed in an ended job, and nothing else, and follow it to its end."""
    _queue(context, id_, Job.retry, detach)


def _queue(context: typer.Context, id_: str, ask: object, detach: bool) -> None:
    assert callable(ask)
    ours = State.of(context)
    with ours.session() as session:
        refuse_to_leave(session, detach)
        job = find(session, id_)
        ask(job)
        if detach:
            ours.result("job", job.message, f"{job.id}  {title(job)}: {job.state.lower()}")
        else:
            job.existing = False  # it runs again because we asked: a signal here is meant for it
            _to_the_end(ours, job, own=True)


def _to_the_end(state: State, job: Job, *, own: bool) -> None:
    follow(state, [job], own=own, every_frame=job.stage == "verify")
    made(state, job)
    state.exit_code = exit_code(job)
