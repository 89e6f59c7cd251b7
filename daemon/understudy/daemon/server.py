"""The server process: claims its state folder, serves the socket, runs the scheduler, and puts it all away again."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import pwd
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from understudy.core.colour import ColourConfig
from understudy.core.errors import WriteFailed
from understudy.core.files import write_text
from understudy.daemon import decode
from understudy.daemon.config import DaemonConfig, version
from understudy.daemon.errors import Stopping, translated
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.servicers.faceset import FacesetServicer
from understudy.daemon.servicers.job import JobServicer
from understudy.daemon.servicers.model import ModelServicer
from understudy.daemon.servicers.plate import PlateServicer
from understudy.daemon.servicers.release import ReleaseServicer
from understudy.daemon.servicers.segment import SegmentServicer
from understudy.daemon.servicers.system import SystemServicer
from understudy.daemon.servicers.weights import WeightsServicer
from understudy.daemon.store import Store
from understudy.v1 import (
    job_pb2_grpc,
    plate_pb2_grpc,
    resource_pb2_grpc,
    segment_pb2_grpc,
    system_pb2_grpc,
)

THREADS, WATCHERS = 128, 112  # of them: watching and waiting calls hold a thread each
GRACE_SECONDS = 2.0  # for calls under way when the daemon stops
log = logging.getLogger(__name__)


class Occupied(Exception):
    """Another daemon has the state folder or the socket."""


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


@contextmanager
def running(config: DaemonConfig) -> Iterator[str]:
    """Serve while the block lasts; gives the endpoint. The caller has claimed the state folder."""
    colour = ColourConfig.open(config.site.colour_config)
    store = Store(config.state / "jobs.db")
    for job, state in store.recover():
        log.info("job=%s state=%s recovered", job, state.name)
    scheduler = Scheduler(store, config.site, config.state, _give_up, verbose=config.verbose)
    stopping = threading.Event()
    server = _server(stopping)
    _add_services(server, config, colour, store, stopping)
    status = _add_health(server)
    path = config.socket()
    _listen(server, path)
    endpoint = f"unix:{path}"
    server.start()
    scheduler.start()
    announcement = config.state / "daemon.json"
    says = {"endpoint": endpoint, "pid": os.getpid(), "embedded": config.embedded, "version": version()}
    try:
        write_text(announcement, json.dumps(says) + "\n")
        status(health_pb2.HealthCheckResponse.SERVING)
        yield endpoint
    finally:
        announcement.unlink(missing_ok=True)  # first, so that nobody new comes
        status(health_pb2.HealthCheckResponse.NOT_SERVING)
        scheduler.stop()
        stopping.set()
        store.nudge()
        server.stop(GRACE_SECONDS).wait()
        path.unlink(missing_ok=True)
        store.close()


def _server(stopping: threading.Event) -> grpc.Server:
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="rpc")
    # The socket is local and private: no reuse of ports, and no compression that would only cost time.
    return grpc.server(pool, interceptors=[_Translate(stopping)], options=[("grpc.so_reuseport", 0)])


def _add_services(
    server: grpc.Server, config: DaemonConfig, colour: ColourConfig, store: Store, stopping: threading.Event
) -> None:
    roots = config.site.roots
    check = partial(decode.work, site=config.site, colour=colour, new=True)
    changed = partial(decode.changed, site=config.site)
    jobs = JobServicer(store, check, changed, user=_user(), stopping=stopping, watchers=WATCHERS)
    table: tuple[tuple[Callable[[Any, grpc.Server], None], object], ...] = (
        (job_pb2_grpc.add_JobServiceServicer_to_server, jobs),
        (system_pb2_grpc.add_SystemServiceServicer_to_server, SystemServicer(config, colour)),
        (system_pb2_grpc.add_WeightsServiceServicer_to_server, WeightsServicer(config.site.weights())),
        (plate_pb2_grpc.add_PlateServiceServicer_to_server, PlateServicer(config.site, colour)),
        (resource_pb2_grpc.add_FacesetServiceServicer_to_server, FacesetServicer(roots)),
        (resource_pb2_grpc.add_ModelServiceServicer_to_server, ModelServicer(roots)),
        (resource_pb2_grpc.add_ReleaseServiceServicer_to_server, ReleaseServicer(roots)),
        (segment_pb2_grpc.add_SegmentServiceServicer_to_server, SegmentServicer(roots)),
    )
    for add, servicer in table:
        add(servicer, server)


SERVICES = tuple(
    f"understudy.v1.{name}Service"
    for name in ("Job", "System", "Weights", "Plate", "Faceset", "Model", "Release", "Segment")
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


class _Translate(grpc.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Wraps every handler, so that no servicer can forget to translate its errors."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: grpc.RpcMethodHandler[Any, Any] | None = continuation(details)
        if handler is None or not details.method.startswith("/understudy."):
            return handler
        rpc = details.method.rpartition("/")[2]
        forms = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(rpc, handler.unary_stream), *forms)
        assert handler.unary_unary is not None
        return grpc.unary_unary_rpc_method_handler(self._unary(rpc, handler.unary_unary), *forms)

    def _open(self) -> None:
        if self._stopping.is_set():
            raise Stopping("the daemon is stopping; connect again in a moment")

    def _unary(self, rpc: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        def call(request: object, context: grpc.ServicerContext) -> Any:
            with translated(context, rpc):
                self._open()
                return behaviour(request, context)

        return call

    def _stream(self, rpc: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        def call(request: object, context: grpc.ServicerContext) -> Any:
            with translated(context, rpc):
                self._open()
                yield from behaviour(request, context)

        return call
