"""`understudy serve`: a daemon that stays."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.endpoint import INSTALL
from understudy.client.errors import Refused


def command(
    *,
    state: Annotated[
        options.Text,
        typer.Option("--state", metavar="FOLDER", help="Jobs, log and socket. Default: the user's."),
    ] = None,
    listen: Annotated[
        options.Text,
        typer.Option("--listen", metavar="unix:PATH", help="Default: a socket in the state folder."),
    ] = None,
    read_root: Annotated[
        options.Texts,
        typer.Option(
            "--read-root", metavar="FOLDER", help="May be read; again for more. Default: what the user may."
        ),
    ] = None,
    write_root: Annotated[
        options.Texts,
        typer.Option("--write-root", metavar="FOLDER", help="May be written; again for more."),
    ] = None,
    colour_config: Annotated[
        options.Text,
        typer.Option(
            "--colour-config", metavar="CONFIG", help="Path or ocio:// name. Default: $OCIO, else built in."
        ),
    ] = None,
    weights_cache: Annotated[
        options.Text, typer.Option("--weights-cache", metavar="FOLDER", help="Where weights are fetched to.")
    ] = None,
    weights_folder: Annotated[
        options.Texts,
        typer.Option("--weights-folder", metavar="FOLDER", help="Looked into first; again for more."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose")] = False,
) -> None:
    """Run a daemon until it is told to stop. Commands of the same user find it by themselves."""
    if importlib.util.find_spec("understudy.daemon") is None:
        raise Refused.invalid("serve", "", f"the daemon is not installed here; install it with `{INSTALL}`")
    single = {
        "--state": state,
        "--listen": listen,
        "--colour-config": colour_config,
        "--weights-cache": weights_cache,
    }
    repeated = {"--read-root": read_root, "--write-root": write_root, "--weights-folder": weights_folder}
    arguments = [part for name, value in single.items() if value is not None for part in (name, value)]
    arguments += [
        part for name, values in repeated.items() for value in values or () for part in (name, value)
    ]
    arguments += ["--verbose"] if verbose else []
    # The same process from here on, so that a supervisor's signals reach the daemon.
    os.execv(sys.executable, [sys.executable, "-m", "understudy.daemon", *arguments])  # noqa: S606
