"""`understudy model history`: a model's losses as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run


def command(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder; a segmenter's will do.")],
    out: Annotated[str, typer.Option("--out", metavar="HISTORY.png")],
    detach: options.Detach = False,
) -> None:
    """Draw losses over iterations, with what was changed while it trained."""
    run(State.of(context), lambda session: session.plot_history(model, out), detach=detach)
