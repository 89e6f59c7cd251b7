"""The errors of the client, one tree, and the one boundary where the wire's errors become them.

    UnderstudyError
    ├── Refused                 the daemon, or the client before it, does not accept this: `reason` says why
    │   ├── NotFound            a plate, video, faceset, model, release or job is not there
    │   ├── WeightsMissing      networks' weights are not on the daemon's machine, or not what was published
    │   ├── LicenceRequired     weights are for non-commercial use, and the daemon was not told that it may use them
    │   ├── ReleaseRequired     a likeness has no release record, or not a valid one
    │   ├── PathNotAllowed      a path is outside the folders that the daemon may use
    │   └── OutputLocked        another job writes to the same output
    ├── JobFailed               the job ended in failure: `reason` says why, `job` holds the rest
    ├── JobCancelled            the job was cancelled, by this session or by another one
    ├── Unreachable             no daemon answers
    ├── TimedOut                a daemon is there, but did not answer in time
    └── DaemonFault             a fault of the daemon; its log says more

`reason` is a stable token of `understudy.v1.ErrorReason`; `exit_code` is what the command line ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from understudy.v1 import job_pb2

OK = 0
INVALID = 1  # usage or validation
FRAMES_FAILED = 2
INPUT_MISSING = 3
NOT_ALLOWED = 4  # release or policy
UNREACHABLE = 69  # EX_UNAVAILABLE of sysexits.h
TEMPORARY = 75  # EX_TEMPFAIL: the same command later may well succeed
CANCELLED = 130  # 128 + SIGINT, as shells count
RETRYABLE = (UNREACHABLE, TEMPORARY)  # what a farm may try again with nothing changed

# Every reason of the contract: a test holds the two together. Reasons of a newer daemon end with INVALID.
EXIT_CODES: Mapping[str, int] = {
    "INTERNAL": INVALID,
    "INVALID_INPUT": INVALID,
    "PATH_NOT_ALLOWED": NOT_ALLOWED,
    "NOT_FOUND": INPUT_MISSING,
    "FRAME_MISSING": INPUT_MISSING,
    "FRAME_UNREADABLE": INPUT_MISSING,
    "NO_FACE": INPUT_MISSING,
    "TRACK_AMBIGUOUS": INVALID,
    "WRITE_FAILED": INVALID,
    "DISK_FULL": TEMPORARY,
    "WEIGHTS_MISSING": INPUT_MISSING,
    "WEIGHTS_CORRUPT": INPUT_MISSING,
    "MODEL_INVALID": INVALID,
    "NOT_MEASURED": INVALID,
    "RELEASE_MISSING": NOT_ALLOWED,
    "RELEASE_INVALID": NOT_ALLOWED,
    "OUTPUT_LOCKED": TEMPORARY,
    "JOB_STATE": INVALID,
    "DEPENDENCY_FAILED": INVALID,
    "WORKER_DIED": TEMPORARY,
    "OUT_OF_MEMORY": INVALID,  # the same settings will not fit the next time either
    "FRAMES_FAILED": FRAMES_FAILED,
    "REQUEST_ID_REUSED": INVALID,
    "VERIFY_FAILED": FRAMES_FAILED,
    "UNAUTHENTICATED": NOT_ALLOWED,
    "NOT_PERMITTED": NOT_ALLOWED,
    "LIMIT_REACHED": TEMPORARY,
    "LICENCE_NOT_ACCEPTED": NOT_ALLOWED,
    "PREEMPTED": TEMPORARY,
    "SUPERSEDED": INVALID,
    "LATE": TEMPORARY,
}


class UnderstudyError(Exception):
    """Base of everything the client raises on purpose.

    Attributes:
        message: a whole sentence for a person: what is wrong, where, and what to do about it.
        reason: the stable token, empty where the contract has none.
        metadata: `path`, `frame`, `field`, `value`, `job`, where they apply, as text.
    """

    _exit_code: ClassVar[int | None] = None  # None: by the reason

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})

    @property
    def exit_code(self) -> int:
        """What the command line ends with; see `EXIT_CODES`."""
        return EXIT_CODES.get(self.reason, INVALID) if self._exit_code is None else self._exit_code

    @property
    def field(self) -> str | None:
        """The setting concerned, as the API names it."""
        return self.metadata.get("field")

    @property
    def value(self) -> str | None:
        """The value that was refused."""
        return self.metadata.get("value")

    @property
    def path(self) -> str | None:
        """The file or folder concerned, on the daemon's machine."""
        return self.metadata.get("path")

    @property
    def frame(self) -> int | None:
        """The frame number concerned."""
        text = self.metadata.get("frame", "")
        return int(text) if text.lstrip("-").isdigit() else None


def meant(name: str, known: Iterable[str]) -> str:
    """What a message about a name that is not known ends with: the one most like it, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Refused(UnderstudyError):
    """A request that is not accepted; nothing was started."""

    @classmethod
    def invalid(cls, field: str, value: object, why: str) -> Refused:
        """Refused by the client itself: the value of `field` cannot be."""
        return cls(f"{field}: {why}", reason="INVALID_INPUT", metadata={"field": field, "value": str(value)})

    @staticmethod
    def missing(path: str, message: str) -> NotFound:
        """Not found by the client itself."""
        return NotFound(message, reason="NOT_FOUND", metadata={"path": path})


class NotFound(Refused):
    pass


class WeightsMissing(Refused):
    pass


class LicenceRequired(Refused):
    pass


class ReleaseRequired(Refused):
    pass


class PathNotAllowed(Refused):
    pass


class OutputLocked(Refused):
    pass


class JobFailed(UnderstudyError):
    """The job ended FAILED. What it finished is on disk; `job.retry()` does the rest."""

    def __init__(self, job: job_pb2.Job) -> None:
        super().__init__(
            job.error.message or f"{job.label or job.id}: the job failed and gave no reason",
            reason=job.error.reason,
            metadata=job.error.metadata,
        )
        self.job = job


class JobCancelled(UnderstudyError):
    _exit_code = CANCELLED

    def __init__(self, job: job_pb2.Job) -> None:
        super().__init__(f"{job.label or job.id}: the job was cancelled; what was finished stays")
        self.job = job


class Unreachable(UnderstudyError):
    """No daemon answers.

    Attributes:
        sent: whether a daemon may have had the request.
    """

    _exit_code = UNREACHABLE
    sent = True


class TimedOut(UnderstudyError):
    _exit_code = TEMPORARY


class DaemonFault(UnderstudyError):
    pass


_BY_REASON: Mapping[str, type[Refused]] = {
    "NOT_FOUND": NotFound,
    "WEIGHTS_MISSING": WeightsMissing,
    "WEIGHTS_CORRUPT": WeightsMissing,
    "LICENCE_NOT_ACCEPTED": LicenceRequired,
    "RELEASE_MISSING": ReleaseRequired,
    "RELEASE_INVALID": ReleaseRequired,
    "PATH_NOT_ALLOWED": PathNotAllowed,
    "OUTPUT_LOCKED": OutputLocked,
}
# Codes that say more than a reason: the daemon is not there, or not well.
_BY_CODE: Mapping[grpc.StatusCode, type[UnderstudyError]] = {
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,  # not by us: a server that stops, or a stream that fell silent
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
    grpc.StatusCode.INTERNAL: DaemonFault,
    grpc.StatusCode.UNKNOWN: DaemonFault,
    grpc.StatusCode.UNIMPLEMENTED: DaemonFault,
    grpc.StatusCode.NOT_FOUND: NotFound,
}
_TRAILER = "grpc-status-details-bin"


@contextmanager
def translated() -> Iterator[None]:
    """The boundary: gRPC's errors inside become ours outside, with the original as cause."""
    try:
        yield
    except grpc.RpcError as error:
        raise translate(error) from error


def translate(error: grpc.RpcError) -> UnderstudyError:
    """Our error for a gRPC status: by its code where that tells of the daemon, else by its reason."""
    code = error.code()
    message = error.details() or code.name
    reason, metadata = _details(error)
    kind = _BY_CODE.get(code) or _BY_REASON.get(reason, Refused)
    return kind(message, reason=reason, metadata=metadata)


def _details(error: grpc.RpcError) -> tuple[str, dict[str, str]]:
    """Reason and metadata out of the google.rpc.Status in the trailer; empty where there is none."""
    reason, metadata = "", {}
    trailer: Iterable[Any] = error.trailing_metadata() or ()
    for key, value in trailer:
        if key != _TRAILER:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info) and info.domain == "understudy":
                reason = info.reason
                metadata.update(info.metadata)
            elif detail.Unpack(bad) and bad.field_violations:
                metadata.setdefault("field", bad.field_violations[0].field)
    return reason, metadata
