"""`understudy extract`: a plate becomes a faceset."""

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
    plate: Annotated[str, typer.Argument(metavar="PLATE.####.exr")],
    faceset: Annotated[str, typer.Argument(metavar="FACESET", help="Folder; made where it is not there.")],
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    view: options.Views = None,
    release: options.Release = "",
    face_type: Annotated[str, typer.Option("--face-type", help="half, mid_full, full, whole or head.")] = "",
    size: Annotated[int, typer.Option("--size", min=0, help="Side of the aligned faces; 0: 512 pixels.")] = 0,
    detector: Annotated[str, typer.Option("--detector")] = "",
    landmarker: Annotated[str, typer.Option("--landmarker")] = "",
    detach: options.Detach = False,
) -> None:
    """Find the faces in a plate and keep them, aligned, in a faceset."""
    given = Plate(plate, segments(frames, frames_dialect), colour_space, view or ())
    run(
        State.of(context),
        lambda session: session.extract(
            given,
            faceset,
            release=release,
            face_type=face_type,
            size=size,
            detector=detector,
            landmarker=landmarker,
        ),
        detach=detach,
    )
