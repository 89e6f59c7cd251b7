"""The command line as a whole: its verbs, its global options, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from understudy.client import lines
from understudy.client.cli import (
    blender,
    bridge,
    doctor,
    enhance,
    extract,
    faceset,
    farm,
    frames,
    ingest,
    jobs,
    merge,
    model,
    nuke,
    operate,
    options,
    plate,
    preview,
    recipe,
    release,
    review,
    scratch,
    segment,
    serve,
    submit,
    swap,
    train,
    verify,
    weights,
)
from understudy.client.cli.context import Interrupted, State, interruptible, one_of
from understudy.client.errors import INVALID, Refused, UnderstudyError
from understudy.client.job import Asking

USAGE = 2  # what typer ends with on wrong usage; here it means failed frames, so it becomes INVALID
PROGRESS = ("person", "openjd")
_FLAGS = ("--json", "--interactive", "--refuse-locked")
_VALUED = ("--endpoint", "--progress", "--priority", "--project", "--after")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Face replacement for film plates.",
    epilog="Exit codes: 0 done, 1 usage or validation, 2 some frames failed, 3 input missing, 4 release or policy, "
    "69 no daemon, 75 temporary, 130 or 143 cancelled.",
)
for verb, module in (
    ("swap", swap),
    ("ingest", ingest),
    ("extract", extract),
    ("train", train),
    ("merge", merge),
    ("verify", verify),
    ("review", review),
    ("submit", submit),
    ("frames", frames),
    ("serve", serve),
    ("bridge", bridge),
    ("doctor", doctor),
):
    app.command(verb)(module.command)
for verb, command in (("token", operate.token), ("audit", operate.audit)):
    app.command(verb, context_settings=operate.PASSED_ON)(command)
for noun, group in (
    ("plate", plate),
    ("preview", preview),
    ("recipe", recipe),
    ("faceset", faceset),
    ("segment", segment),
    ("enhance", enhance),
    ("model", model),
    ("farm", farm),
    ("scratch", scratch),
    ("jobs", jobs),
    ("weights", weights),
    ("release", release),
    ("nuke", nuke),
    ("blender", blender),
):
    app.add_typer(group.app, name=noun)


def _print_version(asked: bool) -> None:
    if asked:
        print(doctor.version())
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    *,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="unix:PATH",
            help="Of a daemon; or tls://HOST:PORT. Default: the user's, or an embedded one.",
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout; logs go to stderr.")
    ] = False,
    priority: Annotated[
        int,
        typer.Option(
            "--priority", min=-1000, max=1000, help="Of a job that is started; higher begins first."
        ),
    ] = 0,
    project: Annotated[str, typer.Option("--project", help="Of a job that is started, or is listed.")] = "",
    after: Annotated[
        options.Texts,
        typer.Option("--after", metavar="ID", help="A job that must have succeeded first; repeatable."),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive", help="A running job of lower priority makes room; it goes on by itself."
        ),
    ] = False,
    refuse_locked: Annotated[
        bool, typer.Option("--refuse-locked", help="Do not wait for another job that writes the same output.")
    ] = False,
    progress: Annotated[
        str,
        typer.Option("--progress", metavar="|".join(PROGRESS), help="openjd: lines for a farm on stdout."),
    ] = PROGRESS[0],
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command; they may stand behind the verb as well."""
    state = State.of(context)
    state.endpoint = endpoint
    state.as_json = as_json
    state.asking = Asking(
        priority=priority,
        project=project,
        after=tuple(after or ()),
        interactive=interactive,
        refuse_locked=refuse_locked,
    )
    state.openjd = one_of(progress, PROGRESS, "progress") == "openjd"
    if as_json and state.openjd:
        raise Refused.invalid("progress", progress, "--json and --progress openjd exclude each other")


def main() -> NoReturn:
    """The entry point `understudy`."""
    sys.exit(run(sys.argv[1:], State()))


def run(arguments: Sequence[str], state: State) -> int:
    """Run one command; the exit code."""
    try:
        with interruptible():
            app(hoisted(arguments), obj=state, prog_name="understudy")
    except SystemExit as end:  # how typer ends, well or not
        if end.code == USAGE:
            if "--json" in arguments:  # typer has told people, and only them
                print(lines.error_line(_misused(end)), flush=True)
            return INVALID
        return end.code if isinstance(end.code, int) and end.code else state.exit_code
    except Interrupted as interrupted:
        return interrupted.exit_code
    except UnderstudyError as error:
        return state.fail(error)
    return state.exit_code


def _misused(end: SystemExit) -> Refused:
    """What typer ended of: it exits while it handles the error of its parser."""
    told = getattr(end.__context__, "format_message", str)
    return Refused(told() or "a command is missing", reason="INVALID_INPUT")


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Global options moved in front of the verb, wherever they stand before `--`."""
    front: list[str] = []
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--":
            rest += [argument, *given]
        elif argument in _FLAGS or argument.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(argument)
        elif argument in _VALUED:
            front += [argument, *([value] if (value := next(given, None)) is not None else [])]
        else:
            rest.append(argument)
    return front + rest
