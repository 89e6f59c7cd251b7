"""`understudy enhance`: networks that paint more detail into a face than it has pixels for."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.cli.printed import LABEL
from understudy.client.job import Job
from understudy.client.session import Session

app = typer.Typer(no_args_is_help=True, help="Super-resolution: train a small network on your own faces.")


@app.callback()
def enhance() -> None:
    """Super-resolution: train a small network on your own faces."""


@app.command("train")
def train(
    context: typer.Context,
    *,
    enhancer: Annotated[str, typer.Argument(metavar="ENHANCER", help="Folder; one that is there goes on.")],
    faceset: Annotated[
        list[str],
        typer.Option(
            "--faceset", metavar="FACESET", help="Large, sharp faces, with a release; again for more."
        ),
    ],
    preset: Annotated[str, typer.Option("--preset", help="`understudy doctor` lists all.")] = "",
    resolution: Annotated[
        int,
        typer.Option(
            "--resolution",
            min=0,
            help="Learn from faces with so many pixels a side on their plate; 0: as three in four have.",
        ),
    ] = 0,
    iterations: Annotated[
        options.Whole, typer.Option("--iterations", min=1, help="Until it has had so many in all.")
    ] = None,
    minutes: Annotated[
        options.Real, typer.Option("--minutes", min=0.0, help="Until it has had so many in all.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=0, help="0: 16.")] = 0,
    seed: options.Seed = 0,
    device: options.Device = "",
    detach: options.Detach = False,
) -> None:
    """Train an enhancer on large faces, or go on with one. Ends with how near it comes to faces that it never saw.

    At least one of --iterations and --minutes; whichever is reached first ends it.
    """
    ours = State.of(context)
    run(
        ours,
        lambda session: session.train_enhancer(
            enhancer,
            faceset,
            preset=preset,
            resolution=resolution,
            iterations=iterations,
            minutes=minutes,
            batch_size=batch_size,
            seed=seed,
            device=device,
        ),
        detach=detach,
        after=None if ours.as_json else _trained,
    )


def _trained(_session: Session, job: Job) -> None:
    """Say how good it is, and how to use it."""
    scores = job.message.training.scores
    if "psnr" in scores:
        print(f"{'PSNR':<{LABEL}}{scores['psnr']:.2f} dB; of cubic enlargement {scores['plain']:.2f} dB")
    folder = shlex.quote(job.message.spec.train_enhancer.enhancer)
    print(f"{'next':<{LABEL}}understudy merge … --enhancer {folder} --set super_resolution=trained")
