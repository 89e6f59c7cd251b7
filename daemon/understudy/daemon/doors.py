"""Where the daemon listens: a Unix socket always, and TCP where the site says so."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from understudy.core.errors import WriteFailed
from understudy.daemon import tls
from understudy.daemon.config import Address, DaemonConfig
from understudy.daemon.metrics import Metrics

log = logging.getLogger(__name__)


class Occupied(Exception):
    """Another daemon has the state folder, the socket or the port."""


class Doors:
    """The listeners of one daemon; nothing is open before `opened`.

    Raises:
        InvalidInput: of the certificates.
    """

    def __init__(self, config: DaemonConfig) -> None:
        self._path = config.socket()
        self.endpoint = f"unix:{self._path}"
        self._address = Address.parse(config.tcp, "listen.tcp") if config.tcp else None
        self.tcp = ""
        self._credentials: grpc.ServerCredentials | None = None
        self._load: Callable[[], tls.Loaded] | None = None
        self._ends = 0.0
        if self._address is not None and config.tls is not None:
            self._credentials, self._load = tls.credentials(config.tls)
            self._ends = tls.load(config.tls).ends.timestamp()

    @contextmanager
    def opened(self, server: grpc.Server) -> Iterator[None]:
        """Bind all of them; at the end the socket is taken away.

        Raises:
            Occupied: another daemon listens there.
            WriteFailed: the socket cannot be made, or its folder belongs to somebody else.
        """
        _listen(server, self._path)
        try:
            if self._address is not None:
                self.tcp = f"{self._address.host}:{self._bind(server, str(self._address))}"
                log.info("listening tcp=%s tls=%s", self.tcp, "no" if self._credentials is None else "yes")
            yield
        finally:
            self._path.unlink(missing_ok=True)

    def _bind(self, server: grpc.Server, address: str) -> int:
        try:
            if self._credentials is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise Occupied(f"listen.tcp: cannot listen at {address}: {error}") from error

    def reload(self) -> None:
        """Take up new certificates, for connections from now on. Raises InvalidInput."""
        if self._load is not None:
            loaded = self._load()
            self._ends = loaded.ends.timestamp()
            log.info("reloaded certificates ends=%s", loaded.ends.isoformat())

    def tell(self, metrics: Metrics) -> None:
        """Say when the certificate ends, where there is one."""
        if self._load is not None:
            metrics.until("understudy_certificate_end_seconds", lambda: self._ends)


def _listen(server: grpc.Server, path: Path) -> None:
    """Bind the socket so that only this user may connect: mode 0600, in a folder that was made private.

    Raises:
        Occupied: another daemon listens there.
        WriteFailed: the socket cannot be made, or its folder belongs to somebody else.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WriteFailed(f"socket {path}: {error.strerror}", path=path) from error
    if (owner := path.parent.stat().st_uid) not in (os.getuid(), 0):
        raise WriteFailed(f"socket {path}: its folder belongs to user {owner}, not to us", path=path)
    _remove_stale(path)
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    except RuntimeError as error:
        raise WriteFailed(f"socket {path}: cannot listen there: {error}", path=path) from error
    finally:
        os.umask(before)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that was killed; refuse to take one that is in use, or another kind of file."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise WriteFailed(f"socket {path}: another kind of file is in the way", path=path)
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise Occupied(f"another daemon listens at {path}")
    path.unlink()
