"""What every call passes: who calls and may they, what comes in, what is told of it, and errors on the way out.

A request is not decoded before its caller is known. A stream of one whose token was taken away ends with the next
message.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from understudy.core.errors import InvalidInput, UnderstudyError
from understudy.daemon.access import NEEDED, OPEN, READ, Access, Caller
from understudy.daemon.audit import Audit, Entry
from understudy.daemon.errors import NotPermitted, Stopping, Unauthenticated, translated
from understudy.daemon.metrics import Metrics
from understudy.daemon.pathmap import PathMapping

OURS = "/understudy."
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Whether calls are taken.

    Attributes:
        draining: nothing is started or changed any more.
        stopped: nothing is answered any more.
    """

    draining: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def need_open(self, method: str) -> None:
        """Raises Stopping where the call comes too late."""
        changes = NEEDED.get(method) != READ
        if self.stopped.is_set() or (changes and self.draining.is_set()):
            raise Stopping("the daemon is stopping; connect again in a moment")


class Calls:
    """Since when nobody has called. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way, self._last = 0, time.monotonic()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A call is under way while the block lasts."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._last = time.monotonic()

    def quiet(self) -> float:
        """Seconds since the last call ended; 0 while one is under way."""
        with self._lock:
            return 0.0 if self._under_way else time.monotonic() - self._last


@dataclass
class Said:
    """What became of a call so far."""

    outcome: str = "OK"
    caller: Caller | None = None
    job: str = ""
    part: bool = False  # of what other calls go on with


class Guard(grpc.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Wraps every handler, so that no servicer can forget any of it."""

    def __init__(
        self, access: Access, gate: Gate, audit: Audit, metrics: Metrics, mapping: PathMapping
    ) -> None:
        self._access, self._gate, self._audit = access, gate, audit
        self._metrics, self._mapping = metrics, mapping
        self.calls = Calls()

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: grpc.RpcMethodHandler[Any, Any] | None = continuation(details)
        if handler is None:
            return None
        call = _Call(self, details.method, handler)
        # No decoder: the bytes are decoded once the caller is known.
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(call.unary, None, handler.response_serializer)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(call.stream, None, handler.response_serializer)
        assert handler.stream_stream is not None, f"{details.method} streams in and answers once"
        return grpc.stream_stream_rpc_method_handler(call.both, None, handler.response_serializer)

    def admit(self, method: str, context: grpc.ServicerContext, said: Said) -> None:
        """Find out who calls, where anybody needs to know, and whether they may.

        Raises:
            Unauthenticated, NotPermitted, Stopping.
        """
        if method in OPEN:
            return
        said.caller = self._access.caller(context)
        said.caller.need(method)
        if method.startswith(OURS):
            self._gate.need_open(method)

    def read(self, decode: Callable[[bytes], Message], raw: bytes, caller: Caller | None) -> Message:
        """The request, with paths as this machine sees them.

        Raises:
            InvalidInput: the bytes are no such message.
            NotFound: it names the caller's scratch, and there is none.
        """
        try:
            message = decode(raw)
        except DecodeError as error:
            raise InvalidInput(
                f"the request is no message of this rpc: {error}", field="", value=len(raw)
            ) from error
        self._mapping.rewrite(message, caller.name if caller else "")
        return message

    def readmit(self, method: str, context: grpc.ServicerContext, said: Said) -> Callable[[], None]:
        """What a stream asks before each message: tokens may have been taken away since."""
        seen = self._access.version

        def check() -> None:
            nonlocal seen
            if self._access.version != seen:
                seen = self._access.version
                self.admit(method, context, said)

        return check

    @contextmanager
    def told(self, method: str, raw: bytes | None, context: grpc.ServicerContext) -> Iterator[Said]:
        """Count the call, keep it in the audit log where it changes something or was not permitted, send its error."""
        rpc, began, said = method.rpartition("/")[2], time.monotonic(), Said()
        # Who only asks for our health, as a supervisor does all day, wants nothing of us.
        counted = self.calls.one() if method.startswith(OURS) else nullcontext()
        try:
            with counted, translated(context, rpc):
                try:
                    yield said
                except UnderstudyError as error:
                    said.outcome = error.reason
                    self._keep(method, raw, context, said, error)
                    raise
                except Stopping:
                    said.outcome = "UNAVAILABLE"
                    raise
                except Exception:
                    said.outcome = "INTERNAL"
                    self._keep(method, raw, context, said, None)
                    raise
                self._keep(method, raw, context, said, None)
        finally:
            self._metrics.called(rpc, said.outcome, None if raw is None else time.monotonic() - began)

    def _keep(
        self,
        method: str,
        raw: bytes | None,
        context: grpc.ServicerContext,
        said: Said,
        error: UnderstudyError | None,
    ) -> None:
        caller, stranger = said.caller, isinstance(error, Unauthenticated)
        changes = method.startswith(OURS) and NEEDED.get(method) != READ and not said.part
        if not (stranger or isinstance(error, NotPermitted) or (changes and caller is not None)):
            return
        entry = Entry(
            who=caller.name if caller else "",
            token=caller.token if caller else "",
            peer=context.peer(),
            what=method.rpartition("/")[2],
            outcome=said.outcome,
            digest="" if raw is None or stranger else hashlib.sha256(raw).hexdigest(),
            job=said.job,
        )
        (self._audit.record_stranger if stranger else self._audit.record)(entry)


class _Call:
    """The handler of one rpc, wrapped."""

    def __init__(self, guard: Guard, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> None:
        self._guard, self._method = guard, method
        self._decode: Callable[[bytes], Any] = handler.request_deserializer or bytes
        self._handler = handler

    def unary(self, raw: bytes, context: grpc.ServicerContext) -> Any:
        assert self._handler.unary_unary is not None
        with self._guard.told(self._method, raw, context) as said:
            self._guard.admit(self._method, context, said)
            reply = self._handler.unary_unary(self._guard.read(self._decode, raw, said.caller), context)
            said.job, said.part = _job(reply), _is_part(reply)
            return reply

    def stream(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
        assert self._handler.unary_stream is not None
        with self._guard.told(self._method, None, context) as said:
            self._guard.admit(self._method, context, said)
            still = self._guard.readmit(self._method, context, said)
            for reply in self._handler.unary_stream(
                self._guard.read(self._decode, raw, said.caller), context
            ):
                still()
                yield reply

    def both(self, raw: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
        assert self._handler.stream_stream is not None
        with self._guard.told(self._method, None, context) as said:
            self._guard.admit(self._method, context, said)
            requests = (self._guard.read(self._decode, each, said.caller) for each in raw)
            yield from self._handler.stream_stream(requests, context)


def _job(reply: Message) -> str:
    """The id of the job that an answer is about."""
    field_ = reply.DESCRIPTOR.fields_by_name.get("job")
    return str(reply.job.id) if field_ is not None and field_.message_type else ""  # type: ignore[attr-defined]


def _is_part(reply: Message) -> bool:
    """Whether there is more to come of what the call began: of a file, the last part is audited alone."""
    return "complete" in reply.DESCRIPTOR.fields_by_name and not reply.complete  # type: ignore[attr-defined]
