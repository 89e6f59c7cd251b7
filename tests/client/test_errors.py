"""The error tree against the contract, and the boundary that makes it."""

from __future__ import annotations

import grpc
import pytest

from tests.client.fake import status
from understudy.client import errors
from understudy.v1.common_pb2 import ErrorReason
from understudy.v1.job_pb2 import Error, Job


class _Rpc(grpc.RpcError):
    """A failed call as grpc raises it."""

    def __init__(self, code, message="", metadata=()):
        self._parts = code, message, metadata

    def code(self):
        return self._parts[0]

    def details(self):
        return self._parts[1]

    def trailing_metadata(self):
        return self._parts[2]


def _rpc(code, reason, message="no", **metadata):
    refusal = status(code, reason, message, **metadata)
    return _Rpc(code, message, refusal.trailing_metadata)


def test_every_reason_of_the_contract_has_an_exit_code():
    names = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - not a dict
    assert set(errors.EXIT_CODES) == names - {"UNSPECIFIED"}


@pytest.mark.parametrize(
    ("code", "reason", "kind", "exit_code"),
    [
        ("INVALID_ARGUMENT", "INVALID_INPUT", errors.Refused, 1),
        ("NOT_FOUND", "NOT_FOUND", errors.NotFound, 3),
        ("FAILED_PRECONDITION", "WEIGHTS_MISSING", errors.WeightsMissing, 3),
        ("FAILED_PRECONDITION", "LICENCE_NOT_ACCEPTED", errors.LicenceRequired, 4),
        ("FAILED_PRECONDITION", "RELEASE_MISSING", errors.ReleaseRequired, 4),
        ("FAILED_PRECONDITION", "RELEASE_INVALID", errors.ReleaseRequired, 4),
        ("PERMISSION_DENIED", "PATH_NOT_ALLOWED", errors.PathNotAllowed, 4),
        ("ABORTED", "OUTPUT_LOCKED", errors.OutputLocked, 75),
        ("FAILED_PRECONDITION", "JOB_STATE", errors.Refused, 1),
        ("FAILED_PRECONDITION", "OF_A_NEWER_DAEMON", errors.Refused, 1),
        ("INTERNAL", "INTERNAL", errors.DaemonFault, 1),
        ("UNAVAILABLE", "", errors.Unreachable, 69),
        ("CANCELLED", "", errors.Unreachable, 69),
        ("DEADLINE_EXCEEDED", "", errors.TimedOut, 75),
    ],
)
def test_a_status_becomes_its_error(code, reason, kind, exit_code):
    with pytest.raises(errors.UnderstudyError) as caught, errors.translated():
        raise _rpc(grpc.StatusCode[code], reason, "why", path="/p", frame="1003", value="v")
    error = caught.value
    assert type(error) is kind
    assert (error.reason, error.message, error.exit_code) == (reason, "why", exit_code)
    assert (error.path, error.frame, error.value) == ("/p", 1003, "v")
    assert isinstance(error.__cause__, grpc.RpcError)


def test_the_field_comes_from_either_detail():
    assert (
        errors.translate(_rpc(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", field="merge.match")).field
        == "merge.match"
    )


def test_a_status_without_details_is_still_one_of_ours():
    error = errors.translate(_Rpc(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max"))
    assert type(error) is errors.Refused
    assert error.message == "message larger than max"
    assert error.frame is None


def test_a_job_that_failed_ends_as_its_reason_says():
    job = Job(id="1", label="merge", error=Error(reason="RELEASE_INVALID", message="it was revoked"))
    assert errors.JobFailed(job).exit_code == 4
    assert errors.JobCancelled(job).exit_code == 130
    assert "merge" in errors.JobCancelled(job).message
