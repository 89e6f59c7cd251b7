"""`python -m understudy.daemon`: the edge. Arguments and environment are read here and nowhere below.

SIGTERM and SIGINT stop it gracefully, as does `--idle` when there is nothing to do; SIGHUP, where it has no terminal,
reads tokens and certificates again.
Ends with 0 after a graceful stop, 1 when an argument or the configuration is wrong or the state folder cannot be used,
75 when another daemon has the state folder, the socket or a port. With `--check` it looks whether it could run here,
and ends with 1 where something is to be done.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from understudy.core.errors import UnderstudyError
from understudy.core.faceset import index
from understudy.daemon import logs, server
from understudy.daemon.arguments import parse, settled
from understudy.daemon.config import DaemonConfig
from understudy.daemon.doors import Occupied

STOP, RELOAD = "stop", "reload"
LOOK_SECONDS = 1.0  # how often it looks whether there is anything to do
log = logging.getLogger("understudy.daemon")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run a daemon until it is told to stop; gives the exit status."""
    orders: SimpleQueue[str] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: orders.put(STOP))
    hung_up = STOP if sys.stdin is not None and sys.stdin.isatty() else RELOAD
    signal.signal(signal.SIGHUP, lambda *_: orders.put(hung_up))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # there are faces in the memory
    os.environ["CUDA_DEVICE_ORDER"] = (
        "PCI_BUS_ID"  # for workers: a GPU has the driver's number, as `memory.gpus`
    )
    try:
        given = parse(arguments)
        if given.check:
            from understudy.daemon import doctor

            return doctor.main(given, environment)
        config = settled(given, environment)
        with server.claimed(config.state):
            logs.begin(config.log, config.state)
            index.keep_below(config.site.written)
            _serve(config, orders, environment.get("NOTIFY_SOCKET", ""))
    except Occupied as error:
        print(f"understudy.daemon: {error}", file=sys.stderr)
        return 75
    except UnderstudyError as error:
        print(f"understudy.daemon: {error.message}", file=sys.stderr)
        return 1
    return 0


def _serve(config: DaemonConfig, orders: SimpleQueue[str], supervisor: str) -> None:
    with server.running(config) as running:
        log.info("pid=%d listening=%s", os.getpid(), running.endpoint)
        _notify(supervisor, "READY=1")
        if config.embedded:
            threading.Thread(target=_await_end_of_input, args=(orders,), daemon=True).start()
        while _next(orders, running, config.idle) == RELOAD:
            running.reload()
        log.info("stopping")
        _notify(supervisor, "STOPPING=1")


def _next(orders: SimpleQueue[str], running: server.Running, idle: float) -> str:
    """The next order; after so many seconds with nothing to do that is to stop, 0: never."""
    while True:
        with suppress(Empty):
            return orders.get(timeout=LOOK_SECONDS if idle else None)
        if running.idle() >= idle:
            log.info("nothing to do for %.0f s", idle)
            return STOP


def _notify(supervisor: str, state: str) -> None:
    """Tell systemd where we are (sd_notify(3)); an address that begins with @ is an abstract one.

    One that does not listen stops nobody: the variable may be that of a service which started who started us.
    """
    if supervisor:
        address = supervisor.replace("@", "\0", 1) if supervisor.startswith("@") else supervisor
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.connect(address)
                line.send(state.encode())
        except OSError as error:
            log.warning("%s not told to NOTIFY_SOCKET=%s: %s", state, supervisor, error.strerror)


def _await_end_of_input(orders: SimpleQueue[str]) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    log.info("standard input closed")
    orders.put(STOP)


if __name__ == "__main__":
    sys.exit(main())
