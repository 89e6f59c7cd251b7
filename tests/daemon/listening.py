"""A server in this process with real sockets, and callers of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from tests.daemon import support
from tests.daemon.certificates import Authority, Pair
from understudy.daemon import access, server
from understudy.daemon.config import DaemonConfig
from understudy.daemon.site import Site
from understudy.daemon.tls import Tls
from understudy.v1 import job_pb2_grpc, system_pb2_grpc

SECONDS = support.SECONDS


@dataclass
class Place:
    """What a daemon needs to listen, below one folder.

    Attributes:
        own: the daemon's certificate.
        tokens: the file; `token` adds to it.
    """

    folder: Path
    authority: Authority
    own: Pair
    tokens: Path
    site: Site

    @classmethod
    def at(cls, folder: Path) -> Place:
        authority = Authority(folder)
        (folder / "state").mkdir(mode=0o700)
        tokens = folder / "tokens.json"
        access.create(tokens, "nobody", ("read",))
        site = Site(weights_cache=folder / "weights")
        return cls(folder, authority, authority.sign("daemon"), tokens, site)

    def token(self, user: str, *scopes: str, days: float | None = None) -> str:
        return access.create(self.tokens, user, scopes, days)

    def tls(self, client_ca: Path | None = None) -> Tls:
        return Tls(certificate=self.own.certificate, key=self.own.key, client_ca=client_ca)

    def config(self, **changes: Any) -> DaemonConfig:
        usual = {
            "state": self.folder / "state",
            "site": self.site,
            "tcp": "localhost:0",
            "tls": self.tls(),
            "tokens": self.tokens,
        }
        return DaemonConfig(**{**usual, **changes})


@dataclass(frozen=True)
class Listener:
    """A daemon that runs, and how to call it."""

    place: Place
    running: server.Running
    opened: list[grpc.Channel] = field(default_factory=list)

    def channel(self, ca: Path | None = None, own: Pair | None = None) -> grpc.Channel:
        """Over TLS."""
        key, chain = (own.key.read_bytes(), own.certificate.read_bytes()) if own else (None, None)
        ca = ca or self.place.authority.path
        credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, chain)
        return self._kept(grpc.secure_channel(self.running.tcp, credentials))

    def plain(self) -> grpc.Channel:
        return self._kept(grpc.insecure_channel(self.running.tcp))

    def local(self) -> grpc.Channel:
        return self._kept(grpc.insecure_channel(self.running.endpoint))

    def _kept(self, channel: grpc.Channel) -> grpc.Channel:
        self.opened.append(channel)
        return channel


@contextmanager
def listening(place: Place, **changes: Any) -> Iterator[Listener]:
    config = place.config(**changes)
    with server.claimed(config.state), server.running(config) as running:
        listener = Listener(place, running)
        try:
            yield listener
        finally:
            for channel in listener.opened:
                channel.close()


def shown(token: str) -> Sequence[tuple[str, str]]:
    """Metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


def system(channel: grpc.Channel) -> Any:
    stub: Callable[[grpc.Channel], Any] = system_pb2_grpc.SystemServiceStub
    return stub(channel)


def jobs(channel: grpc.Channel) -> Any:
    stub: Callable[[grpc.Channel], Any] = job_pb2_grpc.JobServiceStub
    return stub(channel)
