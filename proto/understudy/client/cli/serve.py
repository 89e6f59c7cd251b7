"""`understudy serve`: a daemon that stays."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from understudy.client.cli import operate, options


def command(
    *,
    config: Annotated[
        options.Text,
        typer.Option("--config", metavar="FILE", help="daemon.toml: network, tokens, limits and all below."),
    ] = None,
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
    accept_licence: Annotated[
        options.Texts,
        typer.Option(
            "--accept-licence",
            metavar="WEIGHTS",
            help="May be used though their licence forbids commercial use; again for more.",
        ),
    ] = None,
    device: Annotated[
        options.Text,
        typer.Option("--device", metavar="cuda:0,cuda:1", help="GPUs that get a worker each."),
    ] = None,
    workers: Annotated[
        options.Whole, typer.Option("--workers", metavar="N", help="Workers that compute on the CPU.")
    ] = None,
    idle: Annotated[
        options.Real,
        typer.Option(
            "--idle", metavar="SECONDS", help="Stop after so long without a call and a job. Default: never."
        ),
    ] = None,
    path_mapping_rules: Annotated[
        options.Text,
        typer.Option("--path-mapping-rules", metavar="FILE", help="Open Job Description's pathmapping-1.0."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose")] = False,
) -> None:
    """Run a daemon until it is told to stop. Commands of the same user find it by themselves."""
    operate.need_daemon("serve")
    single = {
        "--config": config,
        "--state": state,
        "--listen": listen,
        "--colour-config": colour_config,
        "--weights-cache": weights_cache,
        "--path-mapping-rules": path_mapping_rules,
        "--device": device,
        "--workers": None if workers is None else str(workers),
        "--idle": None if idle is None else str(idle),
    }
    repeated = {
        "--read-root": read_root,
        "--write-root": write_root,
        "--weights-folder": weights_folder,
        "--accept-licence": accept_licence,
    }
    arguments = [part for name, value in single.items() if value is not None for part in (name, value)]
    arguments += [
        part for name, values in repeated.items() for value in values or () for part in (name, value)
    ]
    arguments += ["--verbose"] if verbose else []
    # The same process from here on, so that a supervisor's signals reach the daemon.
    os.execv(sys.executable, [sys.executable, "-m", "understudy.daemon", *arguments])  # noqa: S606
