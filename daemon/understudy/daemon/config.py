"""Everything a daemon is told at its start; built by `__main__`, which alone reads arguments and environment."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.daemon.settings import Queue, Retention
from understudy.daemon.site import Site
from understudy.daemon.slots import Workers
from understudy.daemon.tls import Tls

LONGEST_SOCKET = 100  # bytes; sockaddr_un holds 108 on Linux and 104 on macOS
DRAIN_SECONDS = 330.0  # a checkpoint of a large model on slow storage takes its time
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(?P<port>\d{1,5})")


def version() -> str:
    """Of the software."""
    return metadata.version("understudy")


@dataclass(frozen=True)
class Address:
    """`host:port`; an IPv6 host stands in brackets; port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, field: str) -> Address:
        """Raises InvalidInput: it is none."""
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > 65535:
            raise InvalidInput(
                f"{field}: {text!r} is not HOST:PORT, such as 127.0.0.1:7443 or [::]:7443",
                field=field,
                value=text,
            )
        return cls(found["host"], int(found["port"]))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. Of names only `localhost` is known to be."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Log:
    """What is logged, and how.

    Attributes:
        format: `text`, or `json`: one object a line.
        verbose: log more.
    """

    format: str = "text"
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.format not in ("text", "json"):
            raise InvalidInput(
                f"format: {self.format!r} is neither text nor json", field="format", value=self.format
            )


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """How one daemon runs.

    Attributes:
        state: folder of this daemon, made with mode 0700 where it is not there.
        site: what server and worker share.
        listen: `unix:PATH`; empty: `daemon.sock` in the state folder.
        tcp: `host:port` to listen on as well; empty: nowhere. Beyond loopback it needs `tls`, everywhere `tokens`.
        tls: certificates of the TCP listener.
        tokens: file of those who may call over TCP.
        metrics: `host:port` on loopback for metrics, health and readiness over HTTP; empty: nowhere.
        audit: file of the audit log; None: `audit.jsonl` in the state folder.
        workers: how many jobs run at once, and on which devices.
        queue: how the queue is served.
        retention: how long jobs are kept that have ended.
        drain: seconds that running work may take to come to a stop when the daemon does.
        idle: seconds without a call and without a job to do after which it stops by itself; 0: never.
        log: what is logged, and how.
        embedded: started for one command; stops when its standard input closes.
    """

    state: Path
    site: Site
    listen: str = ""
    tcp: str = ""
    tls: Tls | None = None
    tokens: Path | None = None
    metrics: str = ""
    audit: Path | None = None
    workers: Workers = field(default_factory=Workers)
    queue: Queue = field(default_factory=Queue)
    retention: Retention = field(default_factory=Retention)
    drain: float = DRAIN_SECONDS
    idle: float = 0.0
    log: Log = Log()
    embedded: bool = False

    def __post_init__(self) -> None:
        if not self.state.is_absolute():
            raise InvalidInput(f"--state {self.state}: must be absolute", field="state", value=self.state)
        if not 0 < self.drain <= 86400:
            raise InvalidInput(
                f"drain.seconds: {self.drain:g} is not above 0 and at most 86400",
                field="drain.seconds",
                value=self.drain,
            )
        if not 0 <= self.idle <= 86400 * 366:
            raise InvalidInput(
                f"idle.seconds: {self.idle:g} is not 0 to {86400 * 366}",
                field="idle.seconds",
                value=self.idle,
            )
        scratch = self.site.scratch.folder
        if scratch is not None and not scratch.is_dir():
            raise InvalidInput(
                f"scratch.folder: there is no folder {scratch}; make it, for the daemon's user alone (mode 0700)",
                path=scratch,
                field="scratch.folder",
                value=scratch,
            )
        self._check_socket()
        self._check_tcp()
        if self.metrics and not Address.parse(self.metrics, "metrics.listen").loopback:
            raise InvalidInput(
                f"metrics.listen: {self.metrics} can be reached from other machines, and metrics have no lock; listen "
                "on 127.0.0.1 and let an agent on this machine or a proxy with TLS pass them on",
                field="metrics.listen",
                value=self.metrics,
            )

    def _check_socket(self) -> None:
        if self.listen and not self.listen.startswith("unix:"):
            raise InvalidInput(
                f"--listen {self.listen}: is not unix:PATH; what listens on TCP is --tcp HOST:PORT",
                field="listen",
                value=self.listen,
            )
        path = self.listen.removeprefix("unix:")
        if self.listen and (not path.startswith("/") or len(os.fsencode(path)) > LONGEST_SOCKET):
            raise InvalidInput(
                f"--listen {self.listen}: needs an absolute path of at most {LONGEST_SOCKET} bytes",
                field="listen",
                value=self.listen,
            )

    def _check_tcp(self) -> None:
        """A port that others reach without a token, or in clear text from other machines, is never opened."""
        if not self.tcp:
            return
        if not Address.parse(self.tcp, "listen.tcp").loopback and self.tls is None:
            raise InvalidInput(
                f"listen.tcp: {self.tcp} can be reached from other machines, so it needs TLS: set tls.certificate and "
                "tls.key, or listen on 127.0.0.1",
                field="listen.tcp",
                value=self.tcp,
            )
        if self.tokens is None:
            raise InvalidInput(
                f"listen.tcp: {self.tcp} needs tokens: set access.tokens to a file made by `understudy token create`",
                field="access.tokens",
                value="",
            )

    @property
    def audit_file(self) -> Path:
        return self.audit or self.state / "audit.jsonl"

    def socket(self) -> Path:
        """Where to listen. A state folder too deep for a socket's name gets a short one in the temporary folder."""
        if self.listen:
            return Path(self.listen.removeprefix("unix:"))
        usual = self.state / "daemon.sock"
        if len(os.fsencode(usual)) <= LONGEST_SOCKET:
            return usual
        name = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}" / f"{name}.sock"
