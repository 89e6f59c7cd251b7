"""`understudy nuke`: the plug-in for Nuke."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.client import plugins, specs
from understudy.client.cli.context import State
from understudy.client.cli.doctor import version

app = typer.Typer(no_args_is_help=True, help="The plug-in for Nuke.")


@app.callback()
def noun() -> None:
    """The plug-in for Nuke."""


@app.command()
def install(
    context: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Made, or an earlier release in it replaced. Add it to NUKE_PATH."
        ),
    ],
) -> None:
    """Write a folder for NUKE_PATH that needs nothing else: the plug-in and its link to the daemon."""
    release = version()
    made = plugins.install_nuke(Path(specs.absolute(folder)), release)
    State.of(context).result(
        "installed",
        {"folder": str(made), "version": release},
        f"Understudy {release} for Nuke is in {made}; add that folder to NUKE_PATH",
    )
