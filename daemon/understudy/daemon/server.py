"""The server process: claims its state folder, serves the socket, runs the scheduler, and puts it all away again."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pwd
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from understudy.core import confine
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError, WriteFailed
from understudy.core.files import write_text
from understudy.daemon import decode, expiry, needs, pages, slots
from understudy.daemon.access import Access
from understudy.daemon.audit import Audit
from understudy.daemon.config import DaemonConfig, version
from understudy.daemon.decode import Work
from understudy.daemon.doors import Doors, Occupied
from understudy.daemon.guard import Calls, Gate, Guard
from understudy.daemon.limits import Limits
from understudy.daemon.metrics import Metrics
from understudy.daemon.outputs import Output
from understudy.daemon.pathmap import PathMapping
from understudy.daemon.paths import Roots
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.servicers.faceset import FacesetServicer
from understudy.daemon.servicers.job import JobServicer
from understudy.daemon.servicers.model import ModelServicer
from understudy.daemon.servicers.plate import PlateServicer
from understudy.daemon.servicers.preview import PreviewServicer
from understudy.daemon.servicers.recipe import RecipeServicer
from understudy.daemon.servicers.release import ReleaseServicer
from understudy.daemon.servicers.scratch import ScratchServicer
from understudy.daemon.servicers.segment import SegmentServicer
from understudy.daemon.servicers.system import SystemServicer
from understudy.daemon.servicers.weights import WeightsServicer
from understudy.daemon.site import Site
from understudy.daemon.store import Store
from understudy.v1 import (
    job_pb2,
    job_pb2_grpc,
    plate_pb2_grpc,
    preview_pb2_grpc,
    recipe_pb2_grpc,
    resource_pb2_grpc,
    scratch_pb2_grpc,
    segment_pb2_grpc,
    system_pb2_grpc,
)

THREADS, WATCHERS = 320, 288  # of them: watching and waiting calls hold a thread each
CALLS = 1024  # under way or waiting for a thread; more are refused, so that a flood fills no memory
GRACE_SECONDS = 2.0  # for calls under way when the daemon stops
log = logging.getLogger(__name__)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the state folder, made private where it is not there: one daemon for each.

    Raises:
        Occupied: another daemon holds it; names its process id.
        WriteFailed: the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = (folder / "daemon.lock").open("a+")
    except OSError as error:
        raise WriteFailed(f"state folder {folder}: {error.strerror}", path=folder) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise Occupied(f"a daemon with process id {owner} has the state folder {folder}") from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@dataclass(frozen=True, kw_only=True)
class Running:
    """A daemon that serves.

    Attributes:
        endpoint: of the Unix socket.
        tcp: `host:port`; empty where it does not listen there.
        reload: reads tokens and certificates again; what is wrong with them is logged, and the old ones stay.
        idle: seconds for which nobody has called and no job was to be done.
    """

    endpoint: str
    tcp: str
    reload: Callable[[], None]
    idle: Callable[[], float]


class Rest:
    """For how long there has been nothing to do."""

    def __init__(self, calls: Calls, store: Store) -> None:
        self._calls, self._store = calls, store
        self._busy = time.monotonic()  # when there was a job last

    def seconds(self) -> float:
        """Without a call and without a job, as far as was looked: a paused job is none until it is resumed."""
        try:
            busy = self._store.busy
        except WriteFailed:  # who cannot look does not know
            busy = True
        if busy:
            self._busy = time.monotonic()
        return min(self._calls.quiet(), time.monotonic() - self._busy)


@contextmanager
def running(config: DaemonConfig) -> Iterator[Running]:
    """Serve while the block lasts. The caller has claimed the state folder.

    At the end nothing new is started, running work comes to a stop and is queued again, within `config.drain` seconds;
    what was asked before is still answered.
    """
    access = Access(_user(), config.tokens if config.tcp else None)
    doors = Doors(config)
    colour = ColourConfig.open(config.site.colour_config)
    with closing(Audit(config.audit_file)) as audit, closing(Store(config.state / "jobs.db")) as store:
        log.info("audit=%s head=%s", audit.path, audit.head)
        for job, state in store.recover():
            log.info("job=%s state=%s recovered", job, state.name)
        metrics, gate = Metrics(), Gate()
        scheduler = Scheduler(
            store,
            config.site,
            config.state,
            _give_up,
            metrics=metrics,
            workers=config.workers,
            queue=config.queue,
            keep=config.retention,
            verbose=config.log.verbose,
        )
        mapping = PathMapping(config.site.path_mapping, config.site.scratch.home)
        guard = Guard(access, gate, audit, metrics, mapping)
        server = _server(guard, config.site.limits)
        jobs = _jobs(config, colour, store, access, gate)
        previews = PreviewServicer(partial(_site, config, access), colour, access.caller, scheduler.previews)
        scratch = ScratchServicer(config.site, access.caller, store)
        _add_services(server, config, colour, jobs=jobs, previews=previews, scratch=scratch, access=access)
        status = _add_health(server)
        ready = partial(_unready, gate, scheduler)
        metrics.watch(store, config.state, scheduler.pids, ready)
        doors.tell(metrics)
        own = (config.state, config.site.weights_cache, Path(tempfile.gettempdir()))
        with (
            confine.below(config.site.written, own),
            doors.opened(server),
            pages.serving(config.metrics, metrics, ready),
            expiry.running(config.site.scratch, store),
        ):
            server.start()
            scheduler.start()
            try:
                _announce(config, doors)
                status(health_pb2.HealthCheckResponse.SERVING)
                yield Running(
                    endpoint=doors.endpoint,
                    tcp=doors.tcp,
                    reload=partial(_reload, access, doors),
                    idle=Rest(guard.calls, store).seconds,
                )
            finally:
                _announcement(config).unlink(missing_ok=True)  # first, so that nobody new comes
                status(health_pb2.HealthCheckResponse.NOT_SERVING)
                _drain(config.drain, gate, scheduler, store)
                server.stop(GRACE_SECONDS).wait()
                log.info("audit=%s head=%s", audit.path, audit.head)


def _drain(seconds: float, gate: Gate, scheduler: Scheduler, store: Store) -> None:
    """Start nothing more, bring what runs to a stop, then end the calls that wait."""
    gate.draining.set()
    log.info("draining seconds=%.0f", seconds)
    scheduler.stop(seconds)
    gate.stopped.set()
    store.nudge()


def _jobs(
    config: DaemonConfig, colour: ColourConfig, store: Store, access: Access, gate: Gate
) -> JobServicer:
    there = config.workers.slots()

    def check(spec: job_pb2.JobSpec, promised: tuple[Output, ...], user: str) -> Work:
        slots.check(spec, there)
        work = decode.work(spec, promised, site=config.site.of(user), colour=colour, new=True)
        return replace(work, memory=needs.stated(spec, work.settings, there, config.site))

    return JobServicer(
        store,
        check,
        partial(decode.changed, site=config.site),
        caller=access.caller,
        limits=config.site.limits,
        most_priority=config.queue.most_priority,
        stopping=gate.stopped,
        watchers=WATCHERS,
    )


def _site(config: DaemonConfig, access: Access, context: grpc.ServicerContext) -> Site:
    """As it is for who calls."""
    return config.site.of(access.caller(context).name)


def _announcement(config: DaemonConfig) -> Path:
    return config.state / "daemon.json"


def _announce(config: DaemonConfig, doors: Doors) -> None:
    """Tell clients of the same user where we are."""
    says = {
        "endpoint": doors.endpoint,
        "tcp": doors.tcp,
        "pid": os.getpid(),
        "embedded": config.embedded,
        "version": version(),
    }
    write_text(_announcement(config), json.dumps(says) + "\n")


def _unready(gate: Gate, scheduler: Scheduler) -> str:
    """Why no work is taken; empty where it is."""
    if gate.draining.is_set():
        return "draining"
    return "" if scheduler.alive else "the scheduler does not run"


def _reload(access: Access, doors: Doors) -> None:
    try:
        log.info("reloaded tokens=%d", access.reload())
        doors.reload()
    except UnderstudyError as error:
        log.error("reload refused, the old ones stay: %s", error.message)


def _server(guard: Guard, limits: Limits) -> grpc.Server:
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="rpc")
    options = [
        ("grpc.so_reuseport", 0),  # a second daemon on the same port is refused, not given half of the calls
        ("grpc.max_receive_message_length", limits.message_bytes),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            10_000,
        ),  # clients may ask whether we are still there
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
    ]
    return grpc.server(pool, interceptors=[guard], options=options, maximum_concurrent_rpcs=CALLS)


def _add_services(
    server: grpc.Server,
    config: DaemonConfig,
    colour: ColourConfig,
    *,
    jobs: JobServicer,
    previews: PreviewServicer,
    scratch: ScratchServicer,
    access: Access,
) -> None:
    site = partial(_site, config, access)

    def roots(context: grpc.ServicerContext) -> Roots:
        return site(context).roots

    system = SystemServicer(config, colour, access.caller)
    table: tuple[tuple[Callable[[Any, grpc.Server], None], object], ...] = (
        (job_pb2_grpc.add_JobServiceServicer_to_server, jobs),
        (preview_pb2_grpc.add_PreviewServiceServicer_to_server, previews),
        (system_pb2_grpc.add_SystemServiceServicer_to_server, system),
        (system_pb2_grpc.add_WeightsServiceServicer_to_server, WeightsServicer(config.site.weights())),
        (plate_pb2_grpc.add_PlateServiceServicer_to_server, PlateServicer(site, colour)),
        (recipe_pb2_grpc.add_RecipeServiceServicer_to_server, RecipeServicer(site, colour)),
        (resource_pb2_grpc.add_FacesetServiceServicer_to_server, FacesetServicer(roots, colour)),
        (resource_pb2_grpc.add_ModelServiceServicer_to_server, ModelServicer(roots)),
        (resource_pb2_grpc.add_ReleaseServiceServicer_to_server, ReleaseServicer(roots)),
        (segment_pb2_grpc.add_SegmentServiceServicer_to_server, SegmentServicer(roots)),
        (scratch_pb2_grpc.add_ScratchServiceServicer_to_server, scratch),
    )
    for add, servicer in table:
        add(servicer, server)


SERVICES = tuple(
    f"understudy.v1.{name}Service"
    for name in (
        "Job",
        "System",
        "Weights",
        "Plate",
        "Recipe",
        "Faceset",
        "Model",
        "Release",
        "Segment",
        "Preview",
        "Scratch",
    )
)


def _add_health(server: grpc.Server) -> Callable[[int], None]:
    """Health and reflection; gives what sets the status of the server and of every service."""
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    def status(value: int) -> None:
        for name in ("", *SERVICES):
            servicer.set(name, value)

    status(health_pb2.HealthCheckResponse.NOT_SERVING)
    return status


def _give_up() -> None:
    """End this process gracefully; jobs are kept, and clients know how to start or find another daemon."""
    log.critical("the scheduler has failed; its trace is on standard error")
    os.kill(os.getpid(), signal.SIGTERM)


def _user() -> str:
    """Who may call: the socket's owner, who is the daemon's user."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())
