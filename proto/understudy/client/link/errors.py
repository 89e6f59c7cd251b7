"""The errors of a link, one tree. The names are those of `understudy.client.errors`, and mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class UnderstudyError(Exception):
    """Base of everything that a link raises.

    Attributes:
        message: a whole sentence for a person.
        code: gRPC's: `UNAVAILABLE`, `INVALID_ARGUMENT`, …
        reason: the contract's stable token; empty where it has none.
        field: the setting concerned.
        metadata: `path`, `frame`, `value`, `job`, where they apply, as text.
        sent: whether a daemon may have had the request.
    """

    code = "UNKNOWN"

    def __init__(self, message: str, **said: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = str(said.get("code") or type(self).code)
        self.reason = str(said.get("reason", ""))
        self.field = str(said.get("field", ""))
        self.metadata = dict(said.get("metadata") or {})
        self.sent = bool(said.get("sent", True))


class Refused(UnderstudyError):
    code = "INVALID_ARGUMENT"


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


class Unreachable(UnderstudyError):
    code = "UNAVAILABLE"


class TimedOut(UnderstudyError):
    code = "DEADLINE_EXCEEDED"


class DaemonFault(UnderstudyError):
    code = "INTERNAL"


class Cancelled(UnderstudyError):
    """By the host."""

    code = "CANCELLED"


class BridgeMissing(Unreachable):
    """No bridge can be started on this machine."""


class BridgeFault(Unreachable):
    """What was started is not a bridge, or one that cannot live here."""


class Closed(Cancelled):
    """The link is closed."""


def _kinds(base: Any) -> Iterator[Any]:
    yield base
    for each in base.__subclasses__():
        yield from _kinds(each)


def error_of(said: dict[str, Any]) -> UnderstudyError:
    """The error of a line; of the base where a newer bridge knows more kinds than this."""
    kinds = {kind.__name__: kind for kind in _kinds(UnderstudyError)}
    kind: Any = kinds.get(str(said.get("kind")), UnderstudyError)
    more = {name: value for name, value in said.items() if name not in ("message", "kind")}
    error: UnderstudyError = kind(str(said.get("message") or said.get("code")), **more)
    return error
