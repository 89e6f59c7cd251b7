"""`understudy submit`: a job as the contract writes it, for scripts that make their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.errors import NotFound, Refused
from understudy.v1.job_pb2 import JobSpec


def command(
    context: typer.Context,
    spec: Annotated[
        str, typer.Argument(metavar="SPEC.json", help="A JobSpec as protobuf's JSON; - reads standard input.")
    ],
    label: Annotated[str, typer.Option("--label", help="What lists call it.")] = "",
    detach: options.Detach = False,
) -> None:
    """Start any job, such as `jobs show --json` prints in `spec`, with absolute paths."""
    asked = _read(spec)
    run(State.of(context), lambda session: session.start(asked, label=label), detach=detach)


def _read(name: str) -> JobSpec:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"{name}: {error.strerror}", reason="NOT_FOUND") from error
    try:
        return json_format.Parse(text, JobSpec())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise Refused.invalid("spec", name, f"{name} is no JobSpec: {error}") from error
