"""Many hands for one extraction: this process, and on a CPU further ones beside it.

A further process is a fresh interpreter with networks of its own, in one thread. It reads and computes and writes
nothing, so that it may be killed at any moment: that is how a run is stopped. It ends with its parent, however that
ends: its pipe closes, and a thread sees that the parent is another one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import cv2

from understudy.core.errors import UnderstudyError
from understudy.core.extract.follow import Block
from understudy.core.extract.networks import one_thread
from understudy.core.extract.station import Outfit, Station, Task
from understudy.core.pipeline import cores

MOST = 8  # processes, where their number is not said: each has networks of its own in memory
_WORTH = (
    20.0  # seconds of work ahead that make it worth to start processes, each of which takes a few seconds
)
_POLL = 0.5  # seconds between two looks at the parent


class Crew:
    """Does tasks, several at a time. Results come as futures; what goes wrong is raised by `Future.result`.

    Attributes:
        workers: how many processes look for faces, this one among them.
    """

    def __init__(self, station: Station, outfit: Outfit, *, workers: int = 0) -> None:
        """`workers` as in `ExtractSettings`; on a GPU always this process alone."""
        self.workers = 1
        self._station, self._outfit = station, outfit
        self._most = 1 if station.abreast > 1 else workers or min(cores(), MOST)
        self._queue: deque[tuple[Task, Future[Any]]] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._broken: BaseException | None = None
        self._spent, self._done = 0.0, 0
        self._lanes: list[_Here | _There] = []
        self._threads: list[threading.Thread] = []
        self._add(_Here(station))
        if workers > 1:
            self._grow()

    @property
    def ahead(self) -> int:
        """How many tasks there should be beside the one whose result is waited for, to keep all at work."""
        return self.workers + self._station.abreast

    def submit(self, task: Task, *, first: bool = False) -> Future[Any]:
        """`first`: before all that wait."""
        future: Future[Any] = Future()
        with self._change:
            if self._broken is not None:
                future.set_exception(self._broken)
                return future
            (self._queue.appendleft if first else self._queue.append)((task, future))
            self._change.notify()
        return future

    def consider(self, left: int) -> None:
        """Start further processes if `left` tasks will take so long that it pays."""
        with self._change:
            ahead = left * self._spent / max(1, self._done)
        if self.workers < self._most and ahead > _WORTH:
            self._grow(left)

    def close(self) -> None:
        """End all work now; processes are killed."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for lane in self._lanes:
            lane.stop()
        for thread in self._threads:
            thread.join()

    def _grow(self, useful: int = sys.maxsize) -> None:
        for _ in range(min(self._most, useful) - self.workers):
            self._add(_There(self._outfit, self._station.gain))
            self.workers += 1

    def _add(self, lane: _Here | _There) -> None:
        thread = threading.Thread(target=self._attend, args=(lane,), name="search", daemon=True)
        self._lanes.append(lane)
        self._threads.append(thread)
        thread.start()

    def _attend(self, lane: _Here | _There) -> None:
        """Hand tasks to a lane until all is over."""
        jobs: list[tuple[Task, Future[Any]]] = []
        try:
            lane.begin()
            while jobs := self._taken(lane.abreast):
                began = time.perf_counter()
                results = lane.work([task for task, _ in jobs], self._then())
                with self._change:  # before the results: who has one may `consider` at once
                    self._spent += time.perf_counter() - began
                    self._done += len(jobs)
                for (_, future), result in zip(jobs, results, strict=True):
                    future.set_result(result)
        except BaseException as error:  # noqa: BLE001  it is raised where the result is waited for
            self._break(error, jobs)

    def _taken(self, most: int) -> list[tuple[Task, Future[Any]]]:
        with self._change:
            while not self._queue and not self._closed:
                self._change.wait()
            if self._closed:
                return []
            return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def _then(self) -> Block | None:
        """What a lane will take next, as far as that is certain."""
        with self._change:
            task = self._queue[0][0] if self._queue and self.workers == 1 else None
        return task if isinstance(task, Block) else None

    def _break(self, error: BaseException, jobs: list[tuple[Task, Future[Any]]]) -> None:
        with self._change:
            self._broken = self._broken or error
            jobs = jobs + list(self._queue)
            self._queue.clear()
        for _, future in jobs:
            if not future.done():
                future.set_exception(error)


class _Here:
    """This process."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self.abreast = station.abreast
        self.stop: Callable[[], None] = station.stop

    def begin(self) -> None:
        """It is at work already."""

    def work(self, tasks: Sequence[Task], then: Block | None) -> list[Any]:
        return self._station.work(tasks, then)


class _There:
    """Another process."""

    abreast = 1

    def __init__(self, outfit: Outfit, gain: float | None) -> None:
        self._setup = _Setup(outfit, gain)
        ours, theirs = socket.socketpair()
        start = (
            "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
            "from understudy.core.extract import crew; crew.serve(int(sys.argv[2]))"
        )
        with theirs:  # not multiprocessing's spawn, which would run the caller's main module once more
            self._process = subprocess.Popen(
                [sys.executable, "-c", start, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what native libraries print is not for our caller's reader
            )
        self._connection = Connection(ours.detach())

    def begin(self) -> None:
        self._asked(self._setup)

    def work(self, tasks: Sequence[Task], then: Block | None) -> list[Any]:  # noqa: ARG002  it shares the queue
        return [self._asked(task) for task in tasks]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _asked(self, message: Any) -> Any:
        """Send, and wait for the answer.

        Raises:
            UnderstudyError: of the work itself, or because the process has ended.
        """
        try:
            self._connection.send(message)
            answer = self._connection.recv()
        except (OSError, EOFError) as error:
            code = self._process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            raise UnderstudyError(
                f"a process that looked for faces (pid {self._process.pid}) {how}; if memory ran out, run it again "
                "with fewer workers"
            ) from error
        if isinstance(answer, _Fault):
            raise answer.error or UnderstudyError(f"a fault while looking for faces: {answer.trace}")
        return answer


@dataclass(frozen=True)
class _Setup:
    outfit: Outfit
    gain: float | None


@dataclass(frozen=True)
class _Fault:
    """What went wrong there: an error made on purpose, or the trace of another one."""

    error: UnderstudyError | None
    trace: str = ""


def serve(descriptor: int) -> None:
    """Be a further process: answer what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the parent, which will say what to do
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    cv2.setNumThreads(1)
    with Connection(descriptor) as pipe:
        try:
            station: Station | None = None
            while True:
                station, answer = _answered(pipe.recv(), station)
                pipe.send(answer)
        except (OSError, EOFError):
            os._exit(0)  # the parent is gone, or wants no more; threads may still be reading


def _answered(message: Any, station: Station | None) -> tuple[Station | None, Any]:
    try:
        if isinstance(message, _Setup):
            station = Station(message.outfit, message.gain)
            one_thread()
            return station, True
        assert station is not None, "a task came before the setup"
        return station, station.work([message])[0]
    except UnderstudyError as error:
        return station, _Fault(error)
    except Exception:  # noqa: BLE001  the boundary: the parent tells of it
        return station, _Fault(None, traceback.format_exc())


def _end_with(parent: int) -> None:
    """End the process when the parent has ended, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(1)
