"""`understudy token` and `understudy audit`: handed to the daemon's package, which alone knows these files."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable

import typer

from understudy.client.cli.context import State
from understudy.client.endpoint import INSTALL
from understudy.client.errors import Refused

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def need_daemon(command: str) -> None:
    """Raises Refused where the daemon's package is not installed."""
    if importlib.util.find_spec("understudy.daemon") is None:
        raise Refused.invalid(command, "", f"the daemon is not installed here; install it with `{INSTALL}`")


def handed_on(noun: str, help_: str) -> Callable[[typer.Context], None]:
    """A command whose arguments `python -m understudy.daemon.admin` takes."""

    def command(context: typer.Context) -> None:
        need_daemon(noun)
        arguments = [noun, *context.args, *(["--json"] if State.of(context).as_json else [])]
        module = [sys.executable, "-m", "understudy.daemon.admin"]
        os.execv(sys.executable, [*module, *arguments])  # noqa: S606

    command.__doc__ = help_
    return command


token = handed_on("token", "Who may call a daemon over TCP: create, list, revoke.")
audit = handed_on("audit", "A daemon's audit log: verify.")
