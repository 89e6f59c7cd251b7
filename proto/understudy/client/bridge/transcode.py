"""Between JSON values and messages, by the protobuf JSON mapping; and errors as JSON values."""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from understudy.client import contract
from understudy.client.errors import NotFound, Refused, TimedOut, UnderstudyError, Unreachable

_PLACE = re.compile(r" at \"?\w+\.([\w.\[\]]+)")  # protobuf's own words, as they are since 4.25
_STEP = re.compile(r"Failed to parse (\w+) field")
_UNKNOWN = re.compile(r"has no field named \"([^\"]*)\"")


def method(name: object) -> contract.Method:
    """The method of a line.

    Raises:
        NotFound: the contract has none of this name.
    """
    found = contract.methods().get(name) if isinstance(name, str) else None
    if found is None:
        raise NotFound(
            f"method: {contract.PACKAGE} has no {name!r}; the hello line lists what it has",
            reason="NOT_FOUND",
            metadata={"field": "method", "value": str(name)},
        )
    return found


def parse(how: contract.Method, request: object) -> Message:
    """A request out of JSON values.

    Raises:
        Refused: names the field that is unknown or has a value that cannot be.
    """
    if not isinstance(request, dict):
        raise Refused.invalid("request", request, "must be an object")
    message = how.request()
    try:
        return json_format.ParseDict(request, message)
    except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        said = str(error).rstrip(".").split("\n")[0]
        raise Refused.invalid(_field(said), "", said) from error


def _field(said: str) -> str:
    """Where a message of protobuf's parser points: `spec.merge.swaps`, as far as it tells."""
    place = _PLACE.search(said)
    steps = [place[1]] if place else _STEP.findall(said)
    unknown = _UNKNOWN.search(said)
    return ".".join([*steps, *([unknown[1]] if unknown else [])]) or "request"


def told(error: UnderstudyError) -> dict[str, Any]:
    """An error as JSON values; `kind` is the name of its class, `code` that of gRPC."""
    answer = {
        "kind": type(error).__name__,
        "code": _code(error),
        "reason": error.reason,
        "message": error.message,
        "field": error.field or "",
        "metadata": error.metadata,
        "exit_code": error.exit_code,
    }
    if isinstance(error, Unreachable):
        answer["sent"] = error.sent
    return answer


def _code(error: UnderstudyError) -> str:
    cause = error.__cause__
    if isinstance(error, Unreachable):  # also where the server said CANCELLED: it was not us
        return str(grpc.StatusCode.UNAVAILABLE.name)
    if isinstance(cause, grpc.RpcError):
        return str(cause.code().name)
    if isinstance(error, TimedOut):
        return str(grpc.StatusCode.DEADLINE_EXCEEDED.name)
    code = grpc.StatusCode.NOT_FOUND if isinstance(error, NotFound) else grpc.StatusCode.INVALID_ARGUMENT
    return str(code.name)
