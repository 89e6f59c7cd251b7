"""`understudy train`: two facesets become a model."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run


def command(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder; one that is there goes on.")],
    src: Annotated[str, typer.Option("--src", metavar="FACESET", help="The face that is put on.")],
    dst: Annotated[str, typer.Option("--dst", metavar="FACESET", help="The performance that stays.")],
    preset: options.Preset = "",
    iterations: options.Iterations = None,
    minutes: options.Minutes = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=0, help="0: the preset's.")] = 0,
    seed: options.Seed = 0,
    device: options.Device = "",
    src_track: options.SrcTrack = None,
    dst_track: options.DstTrack = None,
    release: options.Release = "",
    detach: options.Detach = False,
) -> None:
    """Train a model, or go on with one. Targets are totals, so the same command again does nothing twice."""
    run(
        State.of(context),
        lambda session: session.train(
            model,
            src,
            dst,
            preset=preset,
            iterations=iterations,
            minutes=minutes,
            batch_size=batch_size,
            seed=seed,
            device=device,
            src_track=src_track,
            dst_track=dst_track,
            release=release,
        ),
        detach=detach,
    )
