"""`understudy verify`: an output is checked against its plate, frame by frame."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import run
from understudy.client.specs import Plate


def command(
    context: typer.Context,
    *,
    output: Annotated[str, typer.Argument(metavar="COMP.####.exr")],
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    plate: Annotated[
        options.Text,
        typer.Option(
            "--plate", metavar="PLATE.####.exr", help="Default: the one that the output's headers name."
        ),
    ] = None,
) -> None:
    """Check that frames are the plate's, bit for bit outside the matte, and the published mix inside it.

    Exit code 2 when a frame does not pass.
    """
    given = Plate(output, segments(frames, frames_dialect))
    run(State.of(context), lambda session: session.verify(given, plate), every_frame=True)
