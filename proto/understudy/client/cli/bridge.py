"""`understudy bridge`: the daemon for hosts, as JSON lines."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from understudy.client import bridge
from understudy.client.cli import options
from understudy.client.cli.context import State, one_of
from understudy.client.endpoint import Local, Remote, Start, Transport, from_environment


def command(
    context: typer.Context,
    *,
    state: Annotated[
        options.Text, typer.Option("--state", metavar="FOLDER", help="State folder. Default: the user's.")
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            metavar="|".join(get_args(Start)),
            help="Where no daemon runs: one for as long as the bridge lives, one that stays, or none.",
        ),
    ] = "embedded",
    verbose: Annotated[bool, typer.Option("--verbose", help="Log calls that fail.")] = False,
) -> None:
    """Speak JSON lines on standard input and output, for hosts that cannot load gRPC. Ends with its input."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    ours, how = State.of(context), cast(Start, one_of(start, get_args(Start), "start"))
    transport: Transport
    if ours.endpoint:
        transport = Remote(ours.endpoint)
    elif state is not None:
        transport = Local(Path(state).absolute(), how)
    else:
        transport = from_environment(ours.environ, how)
    bridge.serve(transport)
