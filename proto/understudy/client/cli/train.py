"""`understudy train`: two facesets become a model."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Any

import typer

from understudy.client import lines, phases
from understudy.client.cli import options, printed
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.errors import Refused
from understudy.client.job import Job
from understudy.client.session import Session
from understudy.v1.common_pb2 import Parameter

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(\w+)")


def _list_options(context: typer.Context, asked: bool) -> None:
    """Print the options of a training and end."""
    if not asked or context.resilient_parsing:
        return
    ours = State.of(context)
    with ours.session() as session:
        found = session.info().training
    if ours.as_json:
        for each in found:
            print(lines.line("parameter", lines.plain(each)))
    else:
        heads = ("option", "default", "range", "what it is")
        printed.table(heads, map(_row, found), left=heads)
    raise typer.Exit


def _row(option: Parameter) -> tuple[str, ...]:
    between = f"{option.minimum:g} to {option.maximum:g}" if option.HasField("minimum") else ""
    choices = "yes, no" if option.type == "bool" else ", ".join(option.choices)
    return option.name, option.default_value, between or choices, option.help


def command(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder; one that is there goes on.")],
    src: Annotated[str, typer.Option("--src", metavar="FACESET", help="The face that is put on.")],
    dst: Annotated[str, typer.Option("--dst", metavar="FACESET", help="The performance that stays.")],
    preset: options.Preset = "",
    way: Annotated[
        str,
        typer.Option("--way", help="How to train: ours, dfl, pretrain, …; `understudy doctor` lists all."),
    ] = "",
    set_: options.Sets = None,
    phases_: Annotated[
        str,
        typer.Option(
            "--phases",
            metavar="FILE.toml",
            help='Options that hold from some point on: tables `phase` with `from` ("60%" or an iteration).',
        ),
    ] = "",
    iterations: options.Iterations = None,
    minutes: options.Minutes = None,
    until_plateau: Annotated[
        bool, typer.Option("--until-plateau", help="Train until the losses get no better.")
    ] = False,
    until: Annotated[
        options.Text,
        typer.Option(
            "--until", metavar="TIME", help="Train until then: 2026-12-01T08:00, local unless it says."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=0, help="0: the preset's.")] = 0,
    memory: Annotated[
        str,
        typer.Option(
            "--memory", metavar="SIZE", help="Fit into so much, e.g. 2GiB, and say what that trades."
        ),
    ] = "",
    start_from: Annotated[
        str,
        typer.Option("--start-from", metavar="MODEL", help="What a new model begins with, pretrained say."),
    ] = "",
    new_inter: Annotated[
        bool, typer.Option("--new-inter", help="With it: what joins the two people is made anew.")
    ] = False,
    preview_exr: Annotated[bool, typer.Option("--preview-exr", help="Previews also as EXR.")] = False,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network for this machine: slow to begin, then faster."),
    ] = False,
    seed: options.Seed = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda, cuda:N, or several: cuda:0,cuda:1.")
    ] = "",
    src_track: options.SrcTrack = None,
    dst_track: options.DstTrack = None,
    release: options.Release = "",
    _listed: Annotated[
        bool,
        typer.Option("--list-options", callback=_list_options, is_eager=True, help="List what --set takes."),
    ] = False,
    detach: options.Detach = False,
) -> None:
    """Train a model, or go on with one. Targets are totals, so the same command again does nothing twice.

    At least one of --iterations, --minutes, --until-plateau and --until; whichever comes first ends it.
    `understudy jobs update` changes options while it runs.
    """
    asked: dict[str, Any] = {
        "preset": preset,
        "way": way,
        "options": options.settings(set_),
        "phases": phases.read(phases_) if phases_ else (),
        "iterations": iterations,
        "minutes": minutes,
        "until_plateau": until_plateau,
        "until": instant(until) if until else None,
        "batch_size": batch_size,
        "memory": size(memory) if memory else 0,
        "start_from": start_from,
        "new_inter": new_inter,
        "preview_exr": preview_exr,
        "compile": compile_,
        "seed": seed,
        "device": device,
        "src_track": src_track,
        "dst_track": dst_track,
        "release": release,
    }

    def start(session: Session) -> Job:
        try:
            return session.train(model, src, dst, **asked)
        except Refused as error:
            told = phases.explained(error, phases_, asked["phases"])
            if told is error:
                raise
            raise told from error

    run(State.of(context), start, detach=detach)


def size(text: str) -> int:
    """Bytes of `2GiB`. Raises Refused."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in _UNITS:
        raise Refused.invalid(
            "memory", text, f"{text!r} is no size; write a number and one of {', '.join(_UNITS)}"
        )
    return int(float(found[1]) * _UNITS[found[2]])


def instant(text: str) -> datetime:
    """`2026-12-01T08:00`, local unless it says otherwise. Raises Refused."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return when.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise Refused.invalid("until", text, f"{text!r} is no time; write e.g. 2026-12-01T08:00") from error
