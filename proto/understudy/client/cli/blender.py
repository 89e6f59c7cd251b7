"""`understudy blender`: the extension for Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.client import plugins, specs
from understudy.client.cli.context import State

app = typer.Typer(no_args_is_help=True, help="The extension for Blender.")


@app.command()
def build(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where the zip goes.")] = ".",
) -> None:
    """Write the extension as a zip: Blender's Preferences, Get Extensions, Install from Disk."""
    made = plugins.build_blender(Path(specs.absolute(folder)))
    State.of(context).result("built", {"file": str(made)}, f"{made}; in Blender: Install from Disk")


@app.command()
def install(
    context: typer.Context,
    repository: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY",
            help="Folder of a local repository of extensions, as Blender's preferences list them.",
        ),
    ],
) -> None:
    """Put the extension into a repository of extensions that a studio's Blenders share."""
    made = plugins.install_blender(Path(specs.absolute(repository)))
    State.of(context).result("installed", {"folder": str(made)}, f"Understudy for Blender is in {made}")
