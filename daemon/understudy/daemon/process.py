"""The server's end of a worker process."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection

from understudy.daemon.worker import FromWorker, Setup, ToWorker

LEAVE_SECONDS = 10.0
log = logging.getLogger(__name__)


class Gone(Exception):
    """The worker process has ended."""


class WorkerProcess:
    """A worker, started at once. Several threads may `send`; all else is one thread's."""

    def __init__(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"from understudy.daemon import worker; worker.main({theirs.fileno()})",
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OPENCV_IO_MAX_IMAGE_PIXELS": str(setup.site.limits.pixels)},
                stdout=2,  # what native libraries print is for the log, not for a pipe's reader
            )
        self._connection = Connection(ours.detach())
        self._sending = threading.Lock()
        self.send(setup)
        log.info("worker=%d started", self.pid)

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
