"""`understudy farm`: job bundles of Open Job Description, and what their tasks call."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.client import frames as ranges
from understudy.client import phases
from understudy.client.cli import options, train
from understudy.client.cli.context import State, segments
from understudy.client.cli.people import read_person
from understudy.client.errors import FRAMES_FAILED, Refused
from understudy.client.farm import bundle, redo, warm
from understudy.client.farm.commands import Command, Given, kind_of
from understudy.client.farm.openjd import message
from understudy.client.farm.paths import OPTIONS
from understudy.client.farm.steps import Steps, Wish
from understudy.client.specs import Plate

THEN = "then"
_PERSON = re.compile("[a-z][a-z0-9_]{0,11}")
app = typer.Typer(no_args_is_help=True, help="Job bundles for render farms, of Open Job Description 2023-09.")
_StateFolder = Annotated[str, typer.Option("--state", metavar="FOLDER", help="The session's own.")]


@app.command(
    "bundle",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False},
    epilog="Example: understudy farm bundle sh010.farm merge plate.####.exr --faceset faces --model a.model "
    "--out out/comp.####.exr then review out/comp.####.exr --out out/comp.mov",
)
def write(
    context: typer.Context,
    *,
    folder: Annotated[str, typer.Argument(metavar="BUNDLE", help="Folder; made where it is not there.")],
    commands: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND…",
            help=f"{', '.join(OPTIONS)} as they are, joined by `{THEN}`; all after it is theirs.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Of the job. Default: the folder's.")] = "",
    chunk: Annotated[int, typer.Option("--chunk", min=1, help="Frames of a merge that one task makes.")] = 10,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="That a worker must have.")] = 0,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=0, help="Train by torchrun, in so many, each on a GPU; 0: by the daemon."
        ),
    ] = 0,
    hours: Annotated[float, typer.Option("--hours", min=0.01, help="That one task may take.")] = 24.0,
) -> None:
    """Write a job of commands, as they are typed without a farm: a merge becomes analysis, chunks and a check.

    A step waits for those that write what it reads. Paths are parameters of type PATH, so that a farm can map them.
    """
    state = State.of(context)
    steps = Steps(Wish(chunk=chunk, timeout=round(hours * 3600), gpus=gpus, processes=processes))
    for words in _split(commands):
        command = _read(context, words)
        steps.add(command, _frames(state, command) if command.verb == "merge" else "")
    files = bundle.write(Path(folder), name or Path(folder).absolute().name, steps)
    data: dict[str, object] = {
        "folder": str(Path(folder).absolute()),
        "files": [file.name for file in files],
        "steps": [each["name"] for each in steps.made],
    }
    state.result("bundle", data, "\n".join(map(str, files)))


@app.command("redo")
def find(
    context: typer.Context,
    *,
    folder: Annotated[str, typer.Argument(metavar="BUNDLE", help="One that has been run.")],
) -> None:
    """Find what of a bundle's merges is missing or faulty, and write the values that make just that again.

    `openjd run template.yaml -p file://parameters.json -p file://redo.json` does it. Exit code 2 where there is any.
    """
    state = State.of(context)
    with state.session() as session:
        found = {name: redo.faulty(session, merge) for name, merge in redo.merges(Path(folder)).items()}
    for name, frames in found.items():
        text = ranges.text(ranges.segments_of(each.frame for each in frames), "openjd") if frames else ""
        told = [f"frame {each.frame}: {each.why}" for each in frames]
        data: dict[str, object] = {
            "parameter": name,
            "frames": text,
            "faulty": [{"frame": each.frame, "message": each.why} for each in frames],
        }
        state.result(
            "redo", data, "\n".join([f"{name}={text}" if frames else f"{name}: all are well", *told])
        )
    if any(found.values()):
        redo.write(Path(folder), found)
        state.exit_code = FRAMES_FAILED


@app.command("enter")
def enter(*, state: _StateFolder) -> None:
    """Start a session's daemon and tell the farm where it is. A bundle's tasks call this."""
    print(message("env", f"UNDERSTUDY_ENDPOINT={warm.enter(Path(state).absolute())}"), flush=True)


@app.command("leave")
def leave(*, state: _StateFolder) -> None:
    """Stop a session's daemon, its work kept. A bundle's tasks call this."""
    print(warm.leave(Path(state).absolute()), flush=True)


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    """The commands between `then`."""
    command: list[str] = []
    for word in [*words, THEN]:
        if word != THEN:
            command.append(word)
            continue
        if not command or command[0] not in OPTIONS:
            said = command[0] if command else ""
            raise Refused.invalid("command", said, f"{said!r} is none of {', '.join(OPTIONS)}")
        yield command
        command = []


def _read(context: typer.Context, words: Sequence[str]) -> Command:
    """A command, read and checked by its own parser.

    Raises:
        Refused: it says what cannot be, or cannot be on a farm.
    """
    verb, *rest = words
    parser: Any = context.find_root().command
    own = parser.commands[verb]
    inner = own.make_context(f"farm bundle {verb}", rest, obj=State(checking=True))
    own.invoke(inner)
    given = [each for option in own.params for each in _given(verb, option, inner)]
    settings = _training(inner.params) if verb == "train" else {}
    return Command(verb, given, settings)


def _given(verb: str, option: Any, inner: Any) -> Iterator[Given]:
    """What a command says of one option: nothing where it is left out."""
    source = inner.get_parameter_source(option.name)
    if source is None or source.name != "COMMANDLINE":
        return
    value = inner.params[option.name]
    if option.name == "detach":
        raise Refused.invalid("detach", value, f"{verb}: a farm's task stays until its work is done")
    flag = option.opts[0] if option.opts[0].startswith("-") else ""
    if isinstance(value, bool):
        yield Given(option.name, flag if value else option.secondary_opts[0])
        return
    values = [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]
    if option.name == "person":
        yield from (each for text in values for each in _person(text))
    elif option.name == "person_path":
        raise Refused.invalid(
            "person_path", values[0], "say it in --person: a bundle takes its paths out of it"
        )
    else:
        yield Given(option.name, flag, values, kind_of(verb, option.name))


def _person(text: str) -> Iterator[Given]:
    """One `--person`: its paths as parameters of their own, the rest as it is."""
    name, said = read_person(text)
    if not _PERSON.fullmatch(name):
        why = f"{name!r} must be a small letter, then small letters, digits and _, 12 at most"
        raise Refused.invalid("person", text, why)
    kinds = {key: kind for key in said if (kind := kind_of("merge", key)) is not None}
    pairs = [f"{key}={value}" for key, values in said.items() if key not in kinds for value in values]
    yield Given(f"person_{name}", "--person", [shlex.join([name, *pairs])])
    for key, kind in kinds.items():
        yield Given(f"person_{name}_{key}", "--person-path", said[key], kind, prefix=f"{name}.{key}=")


def _training(said: dict[str, Any]) -> dict[str, Any]:
    """The options of a training by the names of `specs.train`."""
    return {
        **said,
        "options": options.settings(said["set_"]),
        "phases": phases.read(said["phases_"]) if said["phases_"] else (),
        "until": train.instant(said["until"]) if said["until"] else None,
        "memory": train.size(said["memory"]) if said["memory"] else 0,
        "compile": said["compile_"],
    }


def _frames(state: State, merge: Command) -> str:
    """Which frames a merge makes, in Open Job Description's grammar: what it says, else all of the plate.

    Raises:
        Refused, NotFound: of the range, or of the plate.
    """
    dialect = merge.option("frames_dialect")
    said = merge.option("frames") or merge.option("plate_frames")
    if said is not None:
        found = segments(said.values[0], dialect.values[0] if dialect else "fileseq")
    elif (chunk := merge.option("chunk")) is not None:
        found = segments(chunk.values[0], "openjd")
    else:
        plate, view = merge.option("plate"), merge.option("view")
        assert plate is not None
        with state.session() as session:
            found = list(session.plate(Plate(plate.values[0], views=view.values if view else ())).frames)
    return ranges.text(found, "openjd")
