"""The worker: a process of its own that runs one job after another and stays warm between them.

    server → worker   Setup once, then Run, Told, Stop, Run, …; closing the pipe ends the worker; Ask and Drop any time
    worker → server   Reported, Logged, …, and one Ended for each Run; Done for what it was Told; Stopping when it has
                      seen a Stop; one Shown or Refused for each Ask

It looks at the pipe between any two reports of core's generator, and stops by closing that generator. A training also
has it look between any two iterations, and lends its network for previews. One that outlives its killed daemon,
finishing a frame or writing a checkpoint, is done before the next daemon starts workers: a lock that it was born with
sees to it (`process.alone`).
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import cv2

from understudy.core import confine, pages
from understudy.core.errors import OutOfMemory, UnderstudyError
from understudy.core.faceset import index
from understudy.core.kept import Kept
from understudy.core.pipeline import share
from understudy.core.reports import Lent, Report, TrainReport
from understudy.core.train.control import Command, Control, Lend
from understudy.core.weights import WeightsReport
from understudy.daemon import errors
from understudy.daemon.asks import Answer, Ask, Asked, Drop
from understudy.daemon.showing import Shows
from understudy.daemon.site import Site
from understudy.daemon.tasks import Tasks

ORPHAN_SECONDS = 30.0  # what a worker without a daemon may still take to come to its next report
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """First of all.

    Attributes:
        state: the daemon's own folder.
        keep: bytes of networks that stay loaded between jobs.
    """

    site: Site
    state: Path
    verbose: bool
    keep: int = 0


@dataclass(frozen=True)
class Run:
    """Attributes:
    spec: a JobSpec, serialised.
    user: whose job it is.
    """

    job: str
    spec: bytes
    user: str = ""


@dataclass(frozen=True)
class Stop:
    """Close the work at the next report."""


@dataclass(frozen=True)
class Told:
    """What the training that runs is to do between two iterations; a number that Done gives back."""

    number: int
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Reported:
    report: Report | WeightsReport


@dataclass(frozen=True)
class Logged:
    name: str
    level: int
    text: str


@dataclass(frozen=True)
class Stopping:
    """The Stop was seen; closing may take a while where a checkpoint is written."""


@dataclass(frozen=True)
class Done:
    """What was Told under this number is done."""

    number: int


@dataclass(frozen=True)
class Ended:
    """How a Run ended.

    Attributes:
        error: a `job_pb2.Error`, serialised.
        trace: for the daemon's log.
        hits, misses: of networks that were loaded already, and that were not, since the last one ended.
    """

    stopped: bool = False
    error: bytes | None = None
    trace: str = ""
    hits: int = 0
    misses: int = 0


ToWorker: TypeAlias = Setup | Run | Stop | Told | Asked
FromWorker: TypeAlias = Reported | Logged | Stopping | Done | Ended | Answer


class _Pipe:
    """The worker's end. Core may log from threads of its own, so sending takes a lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.recv, self.poll = connection.recv, connection.poll

    def send(self, message: FromWorker) -> None:
        with self._lock:
            self._connection.send(message)


class _Orders(Control):
    """What a job was told; a training's control, which remembers which orders were given out.

    Attributes:
        stop: it is to end at its next report.
        lends: a training iterates, and lends its network wherever previews wait.
    """

    def __init__(self, pipe: _Pipe, shows: Shows) -> None:
        super().__init__()
        self._pipe, self._shows = pipe, shows
        self._put: list[int] = []
        self._given: list[int] = []
        self.stop = self.lends = False

    def listen(self) -> None:
        """Hear all that waits. Raises OSError or EOFError where the daemon is gone."""
        while self._pipe.poll():
            match order := self._pipe.recv():
                case Told():
                    for command in order.commands:
                        self.put(command)
                    self._put.append(order.number)
                case Stop():
                    self.stop = True
                case Ask() | Drop():
                    self._shows.hear(order)
                case _:
                    raise AssertionError(f"a {type(order).__name__} came during a job")

    def take(self) -> list[Command]:
        self.lends = True
        with suppress(OSError, EOFError):  # the next report will find that the daemon is gone
            self.listen()
        if self.stop:  # what has not begun is not begun: it is told to the next attempt, or said to be late
            return []
        self._given += self._put
        self._put = []
        found = super().take()
        return [*found, Lend()] if self._shows.waiting else found

    def show(self, lent: Lent | None) -> None:
        """Answer the asks for previews."""
        self._shows.serve(self._pipe.send, lent, self.listen)

    def done(self) -> list[int]:
        """The numbers of the orders that were given out since this was asked last."""
        given, self._given = self._given, []
        return given


class _Log(logging.Handler):
    """Sends records to the daemon, which alone writes the log."""

    def __init__(self, pipe: _Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._pipe.send(Logged(record.name, record.levelno, self.format(record)))
        except OSError:
            self.handleError(record)  # no daemon to log for


def main(descriptor: int) -> None:
    """Serve the pipe until it closes."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the daemon, which will say what to do
        signal.signal(number, signal.SIG_IGN)
    _be_first_to_go()
    pages.keep()
    cv2.setNumThreads(share())  # its threads spin while they wait, and the stages of a job already overlap
    threading.Thread(target=_outlive_briefly, args=(os.getppid(),), daemon=True).start()
    with Connection(descriptor) as connection:
        pipe = _Pipe(connection)
        setup = pipe.recv()
        index.keep_below(setup.site.written)
        logging.basicConfig(handlers=[_Log(pipe)], level=logging.DEBUG if setup.verbose else logging.INFO)
        own = (setup.state, setup.site.weights_cache, Path(tempfile.gettempdir()))
        with confine.below(setup.site.roots.write, own):
            kept = Kept(setup.keep)
            _serve(pipe, Tasks(setup.site, kept), kept)


def _serve(pipe: _Pipe, tasks: Tasks, kept: Kept) -> None:
    shows = Shows(tasks.previewer, _fault)
    while True:
        try:
            order = _order(pipe, shows)
        except (OSError, EOFError):
            return
        if isinstance(order, Run):  # a Stop or a Told that crossed the end of its job is late
            ended = replace(_work(pipe, tasks, order, shows), hits=kept.hits, misses=kept.misses)
            kept.hits = kept.misses = 0
            try:
                pipe.send(ended)
            except OSError:
                return  # the daemon was killed; what is finished is on the disk
            if ended.trace:
                return  # after an unexpected error memory and devices are in a state that nobody knows


def _order(pipe: _Pipe, shows: Shows) -> ToWorker:
    """The next order; previews are shown while none comes."""
    orders: list[ToWorker] = []

    def hear() -> None:
        while not orders and pipe.poll():
            order = pipe.recv()
            if isinstance(order, Ask | Drop):
                shows.hear(order)
            else:
                orders.append(order)

    while not orders:
        if not shows.waiting:
            pipe.poll(None)
        shows.serve(pipe.send, None, hear)
    return orders[0]


def _work(pipe: _Pipe, tasks: Tasks, run: Run, shows: Shows) -> Ended:
    """One job from its decoding to its end."""
    orders = _Orders(pipe, shows)
    try:
        with closing(tasks.reports(run.spec, orders, run.user)) as reports:
            stopped = any(not _told(pipe, report, orders) for report in reports)
        return Ended(stopped=stopped)
    except UnderstudyError as error:
        return Ended(error=errors.message(error).SerializeToString())
    except Exception as error:  # noqa: BLE001  the boundary: whatever core did not foresee ends this job, not the worker
        fault = _fault(error)
        return Ended(error=errors.message(fault).SerializeToString(), trace=traceback.format_exc())


def _told(pipe: _Pipe, report: Report | WeightsReport, orders: _Orders) -> bool:
    """Send one report and hear all that waits; False where the work is to stop, whatever else it was told."""
    try:
        if isinstance(report, Lent):
            orders.show(report)
            return True
        if (
            isinstance(report, TrainReport) and report.losses
        ):  # of an iteration, before which orders are carried out
            for number in orders.done():
                pipe.send(Done(number))
        pipe.send(Reported(report))
        orders.listen()
        if not (orders.lends or orders.stop):
            orders.show(None)
        if orders.stop:
            pipe.send(Stopping())
    except (OSError, EOFError):
        log.info("the daemon is gone")
        return False
    return not orders.stop


def _fault(error: Exception) -> UnderstudyError:
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "OutOfMemoryError", MemoryError)
    if isinstance(error, MemoryError | cuda) or "can't allocate memory" in str(error):
        return OutOfMemory(
            f"memory did not suffice: {error}; choose a smaller batch size, preset or plate, or another device"
        )
    return UnderstudyError(
        f"a fault of the worker ({type(error).__name__}: {error}); the daemon's log has the trace"
    )


def _be_first_to_go() -> None:
    """Where memory runs out, let the kernel take the worker and not the daemon: the job is then queued again."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("500")


def _outlive_briefly(daemon: int) -> None:
    """End the process when the daemon is gone and the work does not come to its next report."""
    while os.getppid() == daemon:
        time.sleep(1.0)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)
