"""The server's end of a worker process."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from understudy.core.pipeline import patience
from understudy.daemon import slots
from understudy.daemon.slots import Slot
from understudy.daemon.worker import FromWorker, Setup, ToWorker

LEAVE_SECONDS = 10.0
log = logging.getLogger(__name__)


class Gone(Exception):
    """The worker process has ended."""


def alone(lock: Path) -> bool:
    """Whether no worker of an earlier daemon lives that was started with this lock.

    One may outlive its killed daemon by some seconds, finishing a frame or writing a checkpoint.
    """
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


class WorkerProcess:
    """A worker, started at once. Several threads may `send`; all else is one thread's.

    Args:
        place: the slots whose devices it sees.
        lock: a file; its lock, which workers share, is the process's until it ends, however it does.
    """

    def __init__(self, setup: Setup, place: Sequence[Slot], lock: Path) -> None:
        self.place = tuple(place)
        cores = set().union(*(slot.cores for slot in place))
        lines = [f"import os; os.sched_setaffinity(0, {cores})"] if cores else []
        ours, theirs = socket.socketpair()
        with theirs, lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_SH)  # here: a worker whose daemon dies now has it as well
            descriptor = theirs.fileno()
            lines += [f"from understudy.daemon import worker; worker.main({descriptor})"]
            environment = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(setup.site.limits.pixels)}
            self._process = subprocess.Popen(
                [sys.executable, "-c", "\n".join(lines)],
                pass_fds=[descriptor, held.fileno()],
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **patience(os.environ),
                    **environment,
                    **slots.environment(place, os.environ),
                },
                stdout=2,  # what native libraries print is for the log, not for a pipe's reader
            )
        self._connection = Connection(ours.detach())
        self._sending = threading.Lock()
        self.send(setup)
        log.info("worker=%d started slot=%s", self.pid, ",".join(slot.name for slot in place))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, order: ToWorker) -> None:
        """Raises Gone."""
        try:
            with self._sending:
                self._connection.send(order)
        except OSError as error:
            raise Gone(self.epitaph()) from error

    def receive(self, timeout: float, most: int = 256) -> list[FromWorker]:
        """What has come, at most so many messages; waits up to `timeout` seconds for the first. Raises Gone."""
        messages: list[FromWorker] = []
        try:
            while len(messages) < most and self._connection.poll(0.0 if messages else timeout):
                messages.append(self._connection.recv())
        except (OSError, EOFError) as error:
            if not messages:
                raise Gone(self.epitaph()) from error
        # A process that the worker started may keep the pipe open after its death.
        if not messages and not self.alive:
            raise Gone(self.epitaph())
        return messages

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Let it leave: closing the pipe ends it, or a kill does."""
        self._connection.close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        log.info("worker=%d left status=%s", self.pid, self._process.returncode)

    def epitaph(self) -> str:
        """How it died, for a person."""
        try:
            code = self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"worker {self.pid} {how}"
