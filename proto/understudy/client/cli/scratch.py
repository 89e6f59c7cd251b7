"""`understudy scratch`: files to and from a daemon that shares no storage with this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from understudy.client import lines
from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.jobs import find
from understudy.client.cli.printed import clean
from understudy.client.progress import EVERY_S
from understudy.client.scratch import IN_FLIGHT
from understudy.client.transfer import Report, Transfer

app = typer.Typer(
    no_args_is_help=True,
    help="Send plates, facesets and models to a daemon without shared storage, and fetch what it makes. Everywhere "
    "else a path is then scratch:FOLDER/FILE.",
)
InFlight = Annotated[int, typer.Option("--in-flight", min=1, max=32, help="Files at once.")]


@app.command()
def send(
    context: typer.Context,
    *,
    what: Annotated[str, typer.Argument(metavar="PLATE.####.exr|FOLDER|FILE")],
    to: Annotated[str, typer.Argument(metavar="FOLDER", help="In the scratch, as sh010/plate.")],
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    in_flight: InFlight = IN_FLIGHT,
) -> None:
    """Send a plate, what is in a folder, or a file; prints the path that it then has.

    What is there already is not sent again. Stopped and started again, it goes on where it was.
    """
    wanted = segments(frames, frames_dialect) or None
    ours = State.of(context)
    with ours.session() as session, _shown(ours, "send") as shown:
        path = session.send(what, to, frames=wanted, report=shown, in_flight=in_flight)
    _tell(ours, path, shown.last)


@app.command()
def fetch(
    context: typer.Context,
    *,
    what: Annotated[str, typer.Argument(metavar="scratch:PLATE.####.exr|FOLDER|FILE")],
    to: Annotated[str, typer.Argument(metavar="FOLDER", help="On this machine; made where it is not there.")],
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    job: Annotated[
        str, typer.Option("--job", metavar="ID", help="Fetch frames as this job makes them, until it ends.")
    ] = "",
    in_flight: InFlight = IN_FLIGHT,
) -> None:
    """Fetch a sequence, what is in a folder, or a file; prints the path that it then has here.

    What is here already is not fetched again. Stopped and started again, it goes on where it was.
    """
    wanted = segments(frames, frames_dialect) or None
    ours = State.of(context)
    with ours.session() as session, _shown(ours, "fetch") as shown:
        followed = find(session, job) if job else None
        path = session.fetch(what, to, frames=wanted, follow=followed, report=shown, in_flight=in_flight)
    _tell(ours, path, shown.last)


@app.command("list")
def list_(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="FOLDER", help="Default: all.")] = "",
) -> None:
    """List your files on the daemon's machine, and what they take of your quota."""
    ours = State.of(context)
    with ours.session() as session:
        for file in session.scratch_files(what):
            when = file.modify_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
            ours.result("file", file, f"{file.size_bytes:>14,}  {when}  scratch:{clean(file.name)}")
        used, quota = session.scratch_space()
    left = f" of {quota / 2**20:,.0f}" if quota else ""
    ours.result("space", {"usedBytes": used, "quotaBytes": quota}, f"{used / 2**20:,.0f}{left} MiB are taken")


@app.command()
def delete(
    context: typer.Context, what: Annotated[str, typer.Argument(metavar="scratch:FOLDER|FILE")]
) -> None:
    """Delete a file, or a folder and all that is in it, on the daemon's machine."""
    ours = State.of(context)
    with ours.session() as session:
        count = session.delete_scratch(what)
    ours.result("deleted", {"files": count}, f"{count} files deleted")


def _tell(ours: State, path: str, done: Transfer) -> None:
    text = f"{path}: {done.files} files, {done.total_bytes / 1e6:,.1f} MB"
    ours.result(
        "result", {"path": path, **_data(done)}, text + (f", {done.same} there already" * bool(done.same))
    )


def _data(done: Transfer) -> dict[str, object]:
    """As JSON lines have names."""
    words = (name.split("_") for name in asdict(done))
    names = (first + "".join(map(str.title, rest)) for first, *rest in words)
    return dict(zip(names, asdict(done).values()))


class _Shown:
    """Where a transfer stands; called with that.

    Attributes:
        last: what it was called with last.
    """

    def __init__(self, show: Report, every: float) -> None:
        self._show, self._every = show, every
        self._at = time.monotonic()
        self.last = Transfer()

    def __call__(self, now: Transfer) -> None:
        self.last = now
        if time.monotonic() - self._at >= self._every:
            self._at = time.monotonic()
            self._show(now)


@contextmanager
def _shown(ours: State, verb: str) -> Iterator[_Shown]:
    """A bar on a terminal, plain lines in a log, JSON lines for a script."""
    if ours.as_json:
        yield _Shown(lambda now: print(lines.line("transfer", _data(now)), flush=True), EVERY_S)
    elif not sys.stderr.isatty():
        yield _Shown(lambda now: print(f"{verb}: {_standing(now)}", file=sys.stderr, flush=True), EVERY_S)
    else:
        columns = (TextColumn(verb), BarColumn(bar_width=None), TextColumn("{task.fields[said]}"))
        with Progress(
            *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True), expand=True
        ) as bar:
            task = bar.add_task(verb, total=None, said="")
            shown = _Shown(_on(bar, task), 0.1)
            try:
                yield shown
            finally:
                _on(bar, task)(shown.last)


def _on(bar: Progress, task: TaskID) -> Callable[[Transfer], None]:
    def show(now: Transfer) -> None:
        bar.update(task, completed=now.bytes, total=now.total_bytes, said=_standing(now))

    return show


def _standing(now: Transfer) -> str:
    return f"{now.files}/{now.total_files} files, {now.bytes / 1e6:,.1f}/{now.total_bytes / 1e6:,.1f} MB"
