"""`python -m understudy.daemon`: the edge. Arguments and environment are read here and nowhere below.

Ends with 0 after a graceful stop, 1 when an argument is wrong or the state folder cannot be used, 75 when another
daemon has the state folder.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import NoReturn

from understudy.core.errors import UnderstudyError
from understudy.core.faceset import index
from understudy.daemon import server
from understudy.daemon.config import DaemonConfig
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site

LOG_BYTES, LOG_FILES = 4 << 20, 3
log = logging.getLogger("understudy.daemon")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run a daemon until it is told to stop; gives the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = parse(arguments, environment)
        with server.claimed(config.state):
            _log_to(config)
            index.keep_below(config.site.roots.write)
            with server.running(config) as endpoint:
                log.info("pid=%d listening=%s", os.getpid(), endpoint)
                if config.embedded:
                    threading.Thread(target=_await_end_of_input, args=(stop,), daemon=True).start()
                stop.wait()
                log.info("stopping")
    except server.Occupied as error:
        print(f"understudy.daemon: {error}", file=sys.stderr)
        return 75
    except UnderstudyError as error:
        print(f"understudy.daemon: {error.message}", file=sys.stderr)
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.format_usage()}{self.prog}: {message}\n")  # 2 would mean failed frames


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> DaemonConfig:
    """Arguments first, then the environment, then what is usual."""
    parser = _Parser(prog="python -m understudy.daemon", description="The understudy daemon.")
    add = parser.add_argument
    add("--state", type=Path, help="folder for jobs, socket and log; default $UNDERSTUDY_STATE or XDG's")
    add("--listen", default="", metavar="unix:PATH", help="socket; default daemon.sock in the state folder")
    add("--embedded", action="store_true", help="stop when standard input closes")
    add("--read-root", type=Path, action="append", default=[], help="only read below; may be repeated")
    add("--write-root", type=Path, action="append", default=[], help="only write below; may be repeated")
    add("--colour-config", help="OpenColorIO config: a path or ocio:// name; default $OCIO or the pinned one")
    add("--weights-cache", type=Path, help="folder that weights are fetched to; default XDG's cache")
    add(
        "--weights-folder",
        type=Path,
        action="append",
        default=[],
        help="looked into first; may be repeated; default the folders in $UNDERSTUDY_WEIGHTS",
    )
    add("--verbose", action="store_true", help="log more")
    given = parser.parse_args(arguments)

    def xdg(variable: str, usual: str) -> Path:
        return (
            Path(environment.get(variable) or Path(environment.get("HOME") or Path.home()) / usual)
            / "understudy"
        )

    folders = given.weights_folder or [
        Path(folder) for folder in environment.get("UNDERSTUDY_WEIGHTS", "").split(os.pathsep) if folder
    ]
    state = given.state or environment.get("UNDERSTUDY_STATE") or xdg("XDG_STATE_HOME", ".local/state")
    return DaemonConfig(
        state=Path(state).absolute(),
        listen=given.listen,
        embedded=given.embedded,
        verbose=given.verbose,
        site=Site(
            roots=Roots(read=tuple(given.read_root), write=tuple(given.write_root)),
            colour_config=given.colour_config or environment.get("OCIO") or None,
            weights_cache=(given.weights_cache or xdg("XDG_CACHE_HOME", ".cache") / "weights").absolute(),
            weights_folders=tuple(folder.absolute() for folder in folders),
        ),
    )


def _log_to(config: DaemonConfig) -> None:
    """To daemon.log in the state folder, which is bounded, and to standard error."""
    file = RotatingFileHandler(config.state / "daemon.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    logging.basicConfig(
        level=logging.DEBUG if config.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        handlers=[file, logging.StreamHandler()],
    )


def _await_end_of_input(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    log.info("standard input closed")
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
