"""Metrics, health and readiness over HTTP, on loopback, for those who know no gRPC."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from understudy.core.errors import UnderstudyError
from understudy.daemon.config import Address
from understudy.daemon.doors import Occupied
from understudy.daemon.metrics import Metrics

SILENCE_SECONDS = 10.0  # a caller that says nothing for so long is gone
PLAIN = "text/plain; charset=utf-8"


@contextmanager
def serving(listen: str, metrics: Metrics, ready: Callable[[], str]) -> Iterator[None]:
    """Answer while the block lasts.

    Args:
        listen: `host:port`; empty: nowhere.
        ready: why the daemon takes no work; empty where it does.

    Raises:
        Occupied: the port is taken.
    """
    if not listen:
        yield
        return
    address = Address.parse(listen, "metrics.listen")
    try:
        kind = _Server6 if address.host.startswith("[") else _Server
        server = kind((address.host.strip("[]"), address.port), _Handler)
    except OSError as error:
        raise Occupied(f"metrics.listen: cannot listen at {listen}: {error.strerror}") from error
    server.metrics, server.ready = metrics, ready
    thread = threading.Thread(target=server.serve_forever, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    metrics: Metrics
    ready: Callable[[], str]


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    """`/metrics`; `/healthz`: the process answers; `/readyz`: it takes work, else 503 and why not."""

    server: _Server
    timeout = SILENCE_SECONDS

    def do_GET(self) -> None:
        match urlsplit(self.path).path:
            case "/metrics":
                self._metrics()
            case "/healthz":
                self._answer(HTTPStatus.OK, b"ok\n", PLAIN)
            case "/readyz":
                why = self.server.ready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
                self._answer(status, f"{why or 'ok'}\n".encode(), PLAIN)
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics, /healthz and /readyz\n", PLAIN)

    def _metrics(self) -> None:
        try:
            text = generate_latest(self.server.metrics.registry)
        except UnderstudyError as error:  # the store cannot be read: no numbers are better than wrong ones
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.message}\n".encode(), PLAIN)
        else:
            self._answer(HTTPStatus.OK, text, CONTENT_TYPE_LATEST)

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A scrape every few seconds is no news."""
