"""Errors on the wire: the daemon's own ones, the status code of each reason, and the one place where they are sent.

Core's errors carry a stable `reason`; so do the daemon's own below. `CODES` says which gRPC status a reason becomes
when it refuses a request. Reasons that only ever end a job have a code all the same, so that the table is complete
and a test can hold it against `ErrorReason`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from understudy.core.errors import UnderstudyError
from understudy.daemon.text import text, texts
from understudy.v1 import job_pb2

DOMAIN = "understudy"
log = logging.getLogger(__name__)


class DaemonError(UnderstudyError):
    """Base of the errors that only a daemon has; `job` is the id of the job concerned."""

    def __init__(
        self, message: str, *, job: str | None = None, field: str | None = None, value: object = None
    ) -> None:
        super().__init__(message, field=field, value=value)
        self.job = job

    def details(self) -> dict[str, str]:
        return super().details() | ({"job": self.job} if self.job else {})


class PathNotAllowed(UnderstudyError):
    reason = "PATH_NOT_ALLOWED"


class OutputLocked(DaemonError):
    reason = "OUTPUT_LOCKED"


class JobStateRefused(DaemonError):
    reason = "JOB_STATE"


class DependencyFailed(DaemonError):
    reason = "DEPENDENCY_FAILED"


class Preempted(DaemonError):
    reason = "PREEMPTED"


class WorkerDied(DaemonError):
    reason = "WORKER_DIED"


class FramesFailed(DaemonError):
    reason = "FRAMES_FAILED"


class RequestIdReused(DaemonError):
    reason = "REQUEST_ID_REUSED"


class Unauthenticated(DaemonError):
    reason = "UNAUTHENTICATED"


class NotPermitted(DaemonError):
    reason = "NOT_PERMITTED"


class LimitReached(DaemonError):
    reason = "LIMIT_REACHED"


class Superseded(DaemonError):
    reason = "SUPERSEDED"


class Late(DaemonError):
    reason = "LATE"


class Exists(UnderstudyError):
    """A file is there with another content. On the wire the reason is INVALID_INPUT, the code ALREADY_EXISTS."""

    reason = "INVALID_INPUT"


class Stopping(Exception):
    """The daemon is stopping, or has no thread left for another watcher: reconnect with back-off."""


CODES: Mapping[str, grpc.StatusCode] = MappingProxyType(
    {
        "INTERNAL": grpc.StatusCode.INTERNAL,
        "INVALID_INPUT": grpc.StatusCode.INVALID_ARGUMENT,
        "PATH_NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
        "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
        "FRAME_MISSING": grpc.StatusCode.NOT_FOUND,
        "FRAME_UNREADABLE": grpc.StatusCode.FAILED_PRECONDITION,
        "NO_FACE": grpc.StatusCode.NOT_FOUND,
        "TRACK_AMBIGUOUS": grpc.StatusCode.FAILED_PRECONDITION,
        "WRITE_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
        "DISK_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "WEIGHTS_MISSING": grpc.StatusCode.FAILED_PRECONDITION,
        "WEIGHTS_CORRUPT": grpc.StatusCode.FAILED_PRECONDITION,
        "LICENCE_NOT_ACCEPTED": grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_INVALID": grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_MEASURED": grpc.StatusCode.FAILED_PRECONDITION,
        "RELEASE_MISSING": grpc.StatusCode.FAILED_PRECONDITION,
        "RELEASE_INVALID": grpc.StatusCode.FAILED_PRECONDITION,
        "OUTPUT_LOCKED": grpc.StatusCode.ABORTED,
        "JOB_STATE": grpc.StatusCode.FAILED_PRECONDITION,
        "DEPENDENCY_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
        "PREEMPTED": grpc.StatusCode.ABORTED,
        "WORKER_DIED": grpc.StatusCode.INTERNAL,
        "OUT_OF_MEMORY": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "FRAMES_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
        "VERIFY_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
        "REQUEST_ID_REUSED": grpc.StatusCode.ALREADY_EXISTS,
        "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
        "NOT_PERMITTED": grpc.StatusCode.PERMISSION_DENIED,
        "LIMIT_REACHED": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "SUPERSEDED": grpc.StatusCode.ABORTED,
        "LATE": grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


def message(error: UnderstudyError) -> job_pb2.Error:
    """The error as a job or frame carries it."""
    return job_pb2.Error(reason=error.reason, message=text(error.message), metadata=texts(error.details()))


def status(error: UnderstudyError) -> status_pb2.Status:
    """The error as a refused request carries it: ErrorInfo, and BadRequest where a field is wrong."""
    code = grpc.StatusCode.ALREADY_EXISTS if isinstance(error, Exists) else CODES[error.reason]
    details = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=texts(error.details())),
    ]
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field or "", description=text(error.message)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    packed = [any_pb2.Any() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    return status_pb2.Status(code=code_pb2.Code.Value(code.name), message=text(error.message), details=packed)


def _abort(context: grpc.ServicerContext, refused: status_pb2.Status) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(refused))
    raise AssertionError("abort returns never")


@contextmanager
def translated(context: grpc.ServicerContext, rpc: str) -> Iterator[None]:
    """Send what the block raises as a status; an unexpected error is logged under an id, and only the id goes out."""
    try:
        yield
    except UnderstudyError as error:
        log.info("rpc=%s reason=%s %r", rpc, error.reason, error.message)
        _abort(context, status(error))
    except Stopping as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except Exception as error:
        number = uuid.uuid4().hex[:12]
        log.exception("rpc=%s error_id=%s", rpc, number)
        fault = UnderstudyError(f"a fault of the daemon ({type(error).__name__}); its log has error {number}")
        _abort(context, status(fault))
