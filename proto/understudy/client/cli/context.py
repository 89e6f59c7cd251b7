"""What every command shares: how to reach a daemon, how to print, and what the process ends with."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

import typer
from google.protobuf.message import Message

from understudy.client import lines, network
from understudy.client.errors import OK, Refused, UnderstudyError, meant
from understudy.client.farm import openjd
from understudy.client.frames import parse
from understudy.client.job import Asking
from understudy.client.progress import Reporter, reporter
from understudy.client.session import Session
from understudy.v1.common_pb2 import FrameSegment


@dataclass
class State:
    """One run of the command line.

    Attributes:
        environ: the environment; it is read nowhere below.
        endpoint: of the daemon; empty to find or embed one.
        as_json: print JSON lines.
        asking: how jobs that are started stand in the daemon's queue.
        openjd: print a farm's messages.
        checking: commands check what they are told and start nothing.
        exit_code: what the process ends with when nothing is raised.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    endpoint: str = ""
    as_json: bool = False
    asking: Asking = field(default_factory=Asking)
    openjd: bool = False
    checking: bool = False
    exit_code: int = OK

    @staticmethod
    def of(context: typer.Context) -> State:
        state = context.obj
        assert isinstance(state, State)
        return state

    @property
    def remote(self) -> bool:
        """Whether the daemon may be on another machine."""
        return (self.endpoint or self.environ.get("UNDERSTUDY_ENDPOINT", "")).startswith(network.SCHEME)

    def session(self) -> Session:
        return Session(self.endpoint or None, asking=self.asking)

    def reporter(self, *, every_frame: bool = False) -> Reporter:
        """What shows jobs as the command line asks for it."""
        if self.openjd:
            return openjd.OpenJd(sys.stdout, every_frame)
        return reporter(self.as_json, every_frame=every_frame)

    def result(self, event: str, message: Message | dict[str, object], text: str | Callable[[], str]) -> None:
        """Print a result on stdout: a JSON line, or text for a person."""
        if self.as_json:
            data = lines.plain(message) if isinstance(message, Message) else message
            print(lines.line(event, data), flush=True)
        else:
            print(text if isinstance(text, str) else text(), flush=True)

    def fail(self, error: UnderstudyError) -> int:
        """Say what is wrong; the exit code."""
        if self.as_json:
            print(lines.error_line(error), flush=True)
        if self.openjd:
            print(openjd.failure(error), flush=True)
        said = " ".join(error.message.splitlines()) if self.openjd else error.message  # no line but ours
        print(f"understudy: {said}" + (f" [{error.reason}]" if error.reason else ""), file=sys.stderr)
        return error.exit_code


def segments(text: str | None, dialect: str, option: str = "frames") -> list[FrameSegment]:
    """The value of an option that takes a frame range; empty when it was not given."""
    return [] if text is None else parse(text, dialect, field=option)


def one_of(value: str, choices: tuple[str, ...], option: str) -> str:
    """The value of an option that takes one of a few names."""
    if value not in choices:
        raise Refused.invalid(
            option, value, f"{value!r} is none of {', '.join(choices)}{meant(value, choices)}"
        )
    return value


class Interrupted(BaseException):
    """SIGINT or SIGTERM came. Not an Exception, so that only who means it catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal to stop raises `Interrupted`, the second one leaves at once."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    def stop(number: int, _: FrameType | None) -> NoReturn:
        for each in before:
            signal.signal(each, leave)
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
