"""`understudy ingest`: a video becomes a plate."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import run


def command(
    context: typer.Context,
    *,
    video: Annotated[str, typer.Argument(metavar="VIDEO")],
    pattern: Annotated[str, typer.Argument(metavar="PLATE.####.exr")],
    first: Annotated[int, typer.Option("--first", help="Number of the video's first frame.")] = 1001,
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    detach: options.Detach = False,
) -> None:
    """Turn a video into a plate: scene-linear half EXR with frame rate and timecode."""
    wanted = segments(frames, frames_dialect)
    run(
        State.of(context),
        lambda session: session.ingest(video, pattern, first=first, frames=wanted, colour_space=colour_space),
        detach=detach,
    )
