"""The daemon of one farm session: started before its first task, stopped after its last.

It keeps what a task leaves in memory (models, networks' weights) for the next one. Its state folder lies in the
session's own: two sessions on one machine share nothing, and nothing is left when the session's folder goes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from understudy.client.endpoint import START_S, Local, ask
from understudy.client.errors import Unreachable

IDLE_S = 3600.0  # a session whose agent was killed never leaves: its daemon stops by itself after so long without work
DRAIN_S = 360.0  # how long it may take to stop; a daemon gives its running job 330 s


def enter(state: Path) -> str:
    """Start a daemon that outlives this process and wait until it answers, or find the one that is there.

    Returns:
        Its endpoint.

    Raises:
        Unreachable: it did not start; says what it said.
    """
    transport = Local(state, start="detached", idle=IDLE_S)
    try:
        transport.connect()
        return transport.endpoint
    except Unreachable as error:
        raise Unreachable(f"{error.message}: {_why(state)}", metadata=error.metadata) from error
    finally:
        transport.close()


def _why(state: Path) -> str:
    """What a daemon says that does not start: one that would end at once is started, and heard."""
    command = [sys.executable, "-m", "understudy.daemon", "--state", str(state), "--embedded"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"started again, it did not end within {START_S:.0f} s"
    return " / ".join(done.stderr.strip().splitlines()[-3:])


def leave(state: Path, *, drain: float = DRAIN_S) -> str:
    """Stop the daemon of a state folder: its running job writes what it has; after `drain` seconds it is killed.

    Returns:
        What there was to do, for a log.
    """
    transport = Local(state, start="never")
    try:
        process = ask(transport.connect()).process_id
    except Unreachable:
        return f"no daemon runs for {state}"
    finally:
        transport.close()
    os.kill(process, signal.SIGTERM)
    if _wait(lambda: _free(state), drain):
        return f"the daemon of {state} has stopped"
    os.kill(process, signal.SIGKILL)
    return f"the daemon of {state} did not stop within {drain:.0f} s and was killed"


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (ended := done()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return ended


def _free(state: Path) -> bool:
    """Whether no daemon holds the state folder any more. Its process id would not do: nobody may have reaped it."""
    import fcntl  # not on top: a client on Windows submits bundles too

    with (state / "daemon.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
