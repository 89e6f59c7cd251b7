"""Where the daemon is: given, found, or started for as long as we need one.

A transport opens a channel to a daemon that answers. It is the seam of this library: `Session` knows
nothing else of how bytes travel, so a test gives it a channel to a server of its own.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import grpc
import grpc.aio

from understudy.client import network
from understudy.client.aside import aside
from understudy.client.errors import TEMPORARY, Refused, Unreachable, translate
from understudy.v1.system_pb2 import GetInfoRequest, GetInfoResponse
from understudy.v1.system_pb2_grpc import SystemServiceStub

Stub = Callable[[grpc.Channel], Any]  # the generated ones have no types
Start = Literal["embedded", "detached", "never"]

API = "understudy.v1"
ANSWER_S = 5.0  # how long a daemon that is there may take to say so
INFO_S = (
    30.0  # how long it may take to say what it is: the first time it looks at its devices, on a busy machine
)
START_S = 60.0  # how long a new one may take: it imports a lot, on network disks slowly
STOP_S = 60.0  # how long it may take to stop: a training writes its checkpoint
INSTALL = f"{sys.executable} -m pip install 'understudy[daemon]'"

# gRPC's health check: its request may be empty, and one answer of two bytes says that the daemon is stopping.
HEALTH = "/grpc.health.v1.Health/Check"
NOT_SERVING = b"\x08\x02"
AS_IT_IS = bytes  # for messages that nobody needs to look into
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),  # a Unix socket is never behind the studio's proxy
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel tries at once, whatever an old one waits for
)


class Transport(Protocol):
    """Opens channels to one daemon, or one after the other where they come and go."""

    @property
    def embedded(self) -> bool:
        """Whether the daemon is this process's own and stops with it."""

    def connect(self) -> grpc.Channel:
        """A channel to a daemon that answers; called again after a drop. Channels given before are closed.

        Raises:
            Unreachable: there is none.
        """

    def open_aio(self) -> grpc.aio.Channel:
        """Another channel to the daemon that `connect` found last, for asyncio. Whoever asks for it closes it."""

    def close(self) -> None:
        """Closes the channel, and stops the daemon if it was started here to be embedded."""


def from_environment(environ: Mapping[str, str], start: Start = "embedded") -> Transport:
    """By `$UNDERSTUDY_ENDPOINT`, else by the state folder."""
    endpoint = environ.get("UNDERSTUDY_ENDPOINT", "")
    return Remote(endpoint) if endpoint else Local(state_folder(environ), start)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where the user's daemon keeps its jobs and says where it listens."""
    if environ.get("UNDERSTUDY_STATE"):
        return Path(environ["UNDERSTUDY_STATE"]).absolute()
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home).absolute() / "understudy"


class Remote:
    """A daemon at a known endpoint: `unix:/run/understudy.sock`, the path of the socket, or `tls://host:port`."""

    embedded = False

    def __init__(self, endpoint: str) -> None:
        self.endpoint = _socket(endpoint)
        self._channel: grpc.Channel | None = None

    def connect(self) -> grpc.Channel:
        self.close()
        self._channel = _open(self.endpoint)
        try:
            ask(self._channel)
        except grpc.RpcError as error:
            if error.code() in network.REFUSED:
                raise translate(error) from error
            raise Unreachable(
                f"no daemon answers at {self.endpoint}: {error.details()}. {_way_out(self.endpoint)}",
                metadata={"field": "endpoint", "value": self.endpoint},
            ) from error
        return self._channel

    def open_aio(self) -> grpc.aio.Channel:
        if self.endpoint.startswith(network.SCHEME):
            return network.aio_channel(self.endpoint, _OPTIONS)
        return grpc.aio.insecure_channel(self.endpoint, options=_OPTIONS)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class Local:
    """The user's daemon: the one that `daemon.json` in the state folder names, else one that is started.

    Args:
        state: the state folder.
        start: what to do where none runs. `embedded`: start one that stops with this process, however that ends.
            `detached`: start one that stays, as `understudy serve` would. `never`: there is none.
        idle: seconds without a call and without a job after which a detached one stops by itself; 0: never.

    Attributes:
        endpoint: of the daemon that `connect` found last; empty before.
    """

    def __init__(self, state: Path, start: Start = "embedded", *, idle: float = 0.0) -> None:
        self.state = state
        self._idle = idle
        self.endpoint = ""
        self._start_as = start
        self._channel: grpc.Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def embedded(self) -> bool:
        return self._process is not None and self._start_as == "embedded"

    def connect(self) -> grpc.Channel:
        self._close_channel()
        self._channel = self._find() or self._start()
        return self._channel

    def open_aio(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.endpoint, options=_OPTIONS)

    def _find(self) -> grpc.Channel | None:
        """A channel to the daemon that says it is there, if it answers."""
        try:
            endpoint = json.loads((self.state / "daemon.json").read_text(encoding="utf-8"))["endpoint"]
        except (OSError, ValueError, KeyError):  # none runs, or it is just coming or going
            return None
        channel = _open(str(endpoint))
        try:
            info = ask(channel)
        except grpc.RpcError:  # left behind by one that was killed, or stopping
            channel.close()
            return None
        if self._process is not None and info.process_id != self._process.pid:
            self._stop_ours()  # another client's was quicker than the one we started
        self.endpoint = str(endpoint)
        return channel

    def _start(self) -> grpc.Channel:
        """Start a daemon and wait for it, or for another client's that was quicker."""
        if self._start_as == "never":
            raise Unreachable(
                f"no daemon runs for {self.state}; start one with `understudy serve --state {self.state}`",
                metadata={"path": str(self.state)},
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._launch()
            time.sleep(0.1)
            channel = self._find()
            if channel is not None:
                return channel
            self._check_child(deadline)
        said = self._said()
        self.close()
        raise Unreachable(f"the {self._start_as} daemon did not answer within {START_S:.0f} s{said}")

    def _launch(self) -> None:
        if importlib.util.find_spec("understudy.daemon") is None:
            raise Unreachable(
                f"no daemon runs and none is installed here. Install one with `{INSTALL}`, or name one that "
                "runs on this machine with --endpoint unix:PATH"
            )
        self._close_output()
        command = [sys.executable, "-m", "understudy.daemon", "--state", str(self.state)]
        if self._start_as == "detached":  # it has its log; what nobody reads must not grow
            nobody = subprocess.DEVNULL
            command += ["--idle", str(self._idle)] if self._idle else []
            self._process = subprocess.Popen(
                command, stdin=nobody, stdout=nobody, stderr=nobody, start_new_session=True
            )
            return
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        self._process = subprocess.Popen(
            [*command, "--embedded"],
            stdin=subprocess.PIPE,  # when it closes, even because we were killed, the daemon stops
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # a Ctrl-C in the terminal is for us; we then ask it to cancel
        )

    def _check_child(self, deadline: float) -> None:
        """Tell why a daemon gave up at once, unless it did so because another one is coming up."""
        if self._process is None or self._process.poll() is None:
            return
        if (
            self._process.returncode == TEMPORARY
        ):  # another daemon has the state folder, but does not answer yet
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
            return
        said = self._said()
        code = self._process.returncode
        self.close()
        raise Unreachable(f"the {self._start_as} daemon ended with exit code {code}{said}")

    def _said(self) -> str:
        """The end of what the child printed, for an error message."""
        said: list[str] = []
        if self._output is not None:
            self._output.seek(0)
            said = self._output.read().decode(errors="replace").strip().splitlines()[-8:]
        return ":\n  " + "\n  ".join(said) if said else f"; see {self.state / 'daemon.log'}"

    def close(self) -> None:
        self._close_channel()
        self._stop_ours()

    def _stop_ours(self) -> None:
        if self.embedded and self._process is not None:
            _stop(self._process)
        self._process = None
        self._close_output()

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop an embedded daemon: kindly by closing its stdin, then by signals."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(STOP_S / 6)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def alive(channel: grpc.Channel) -> bool:
    """Whether a daemon is there and takes calls; quicker than to `ask` it who it is."""
    health = channel.unary_unary(HEALTH, AS_IT_IS, AS_IT_IS)
    try:
        said = aside(lambda: health(b"", timeout=ANSWER_S))
    except grpc.RpcError as error:
        return error.code() not in GONE
    return bool(said != NOT_SERVING)


def ask(channel: grpc.Channel) -> GetInfoResponse:
    """What the daemon says of itself.

    Raises:
        grpc.RpcError: it does not answer within `INFO_S`.
        Refused: it speaks another version of the contract.
    """
    stub: Stub = SystemServiceStub
    info: GetInfoResponse = aside(lambda: stub(channel).GetInfo(GetInfoRequest(), timeout=INFO_S))
    if info.api_versions and API not in info.api_versions:
        raise Refused.invalid(
            "endpoint",
            ",".join(info.api_versions),
            f"the daemon (understudy {info.version}) speaks {', '.join(info.api_versions)}, this client "
            f"{API}; bring both to the same release",
        )
    network.refuse_old(metadata.version("understudy"), info)
    return info


def _socket(endpoint: str) -> str:
    """`unix:/absolute/path` for an endpoint as a person writes it; `tls://host:port` as it is."""
    if endpoint.startswith(network.SCHEME):
        return network.checked(endpoint)
    path = endpoint.removeprefix("unix:")
    if path.startswith("///"):
        path = path[2:]
    if (
        endpoint.startswith("unix-abstract:")
        or not path
        or ("/" not in path and not endpoint.startswith("unix:"))
    ):
        raise Refused.invalid(
            "endpoint",
            endpoint,
            f"{endpoint!r} is not a Unix socket; write unix:/path/of/the.sock, or tls://HOST:PORT",
        )
    return f"unix:{Path(path).absolute()}"


def _way_out(endpoint: str) -> str:
    """What to do where no daemon answers."""
    if endpoint.startswith(network.SCHEME):
        return (
            f"If one listens there, see to the certificates: ${network.CA} names the authority of its own, "
            f"${network.CERTIFICATE} and ${network.KEY} are ours where it wants one"
        )
    return (
        f"Start one there with `understudy serve --listen {endpoint}`, or leave --endpoint and "
        "$UNDERSTUDY_ENDPOINT out"
    )


def _open(endpoint: str) -> grpc.Channel:
    if endpoint.startswith(network.SCHEME):
        return network.channel(endpoint, _OPTIONS)
    return grpc.insecure_channel(endpoint, options=_OPTIONS)
