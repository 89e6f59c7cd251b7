"""What the bridge does with the lines: calls, streams, and what belongs to them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import os
import platform
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Union

from understudy.client import contract, lines
from understudy.client.async_wire import AsyncWire
from understudy.client.bridge import transcode
from understudy.client.bridge.pipes import LINE_BYTES, Reader, Writer, take_over
from understudy.client.endpoint import Transport
from understudy.client.errors import DaemonFault, Refused, UnderstudyError
from understudy.client.wire import CALL_S

PROTOCOL = 1  # of the lines; grows when a host must know
CALLS = 1024  # at once
BIG_BYTES = 64 << 10  # what is larger is transcoded in a thread
WATCH_S, WATCHES = (
    1.0,
    30,
)  # how often the parent is looked for, and at which of these times the installed release
Id = Union[str, int]
log = logging.getLogger("understudy.bridge")


def serve(transport: Transport) -> None:
    """Be a bridge on this process's standard input and output until the input ends."""
    source, sink = take_over()
    asyncio.run(_serve(transport, source, sink))


async def _serve(transport: Transport, source: BinaryIO, sink: BinaryIO) -> None:
    bridge = Bridge(AsyncWire(transport), source, sink)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: there the input ends
            loop.add_signal_handler(number, bridge.end, number.name)
    await bridge.run()


def installed() -> str:
    """The release on disk, which an upgrade changes under a bridge that runs."""
    return importlib.metadata.version("understudy")


class _Call:
    """A call under way.

    Attributes:
        room: how many more events the host wants; None: as many as there are.
    """

    def __init__(self, method: contract.Method, window: int | None) -> None:
        self.method = method
        self.task: asyncio.Task[None] | None = None
        self.room = None if window is None else asyncio.Semaphore(window)


class Bridge:
    """Serves one host.

    Args:
        wire: to the daemon; closed at the end.
        source, sink: of lines.
        release: tells the release that is installed.
    """

    def __init__(
        self, wire: AsyncWire, source: BinaryIO, sink: BinaryIO, release: Callable[[], str] = installed
    ) -> None:
        loop = asyncio.get_running_loop()
        self._wire = wire
        self._release = release
        self._software = release()
        self._parent = os.getppid()
        self._calls: dict[Id, _Call] = {}
        self._ended = asyncio.Event()
        self._reader = Reader(source, loop, self._take)
        self._writer = Writer(sink, loop, lambda: self.end("nobody reads"))

    async def run(self) -> None:
        """Until the input ends, nobody reads, or the parent has gone; then cancels what is under way."""
        self._writer.start()
        own = [asyncio.ensure_future(each) for each in (self._greet(), self._watch())]
        await self._ended.wait()
        tasks = [*own, *(call.task for call in self._calls.values() if call.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._wire.close()

    def end(self, why: str) -> None:
        if not self._ended.is_set():
            log.info("ending: %s", why)
            self._ended.set()

    async def _greet(self) -> None:
        """Nobody may read it: a host that has gone meanwhile, or one that is killed before it does."""
        await self._say({"hello": self._hello()})
        self._reader.start()

    def _hello(self) -> dict[str, Any]:
        facts = {
            each.name: {
                "stream": each.streams,
                "repeatable": each.repeatable,
                "request_id": each.request_id,
                "resumes": each.resumes,
            }
            for each in contract.methods().values()
        }
        return {
            "protocol": PROTOCOL,
            "contract": [contract.PACKAGE],
            "software": self._software,
            "python": platform.python_version(),
            "pid": os.getpid(),
            "line_bytes": LINE_BYTES,
            "methods": facts,
        }

    async def _watch(self) -> None:
        """Ends with the parent, whose death does not close our input where a child of it has inherited the pipe."""
        beat = 0
        while True:
            await asyncio.sleep(WATCH_S)
            beat += 1
            if os.getppid() != self._parent:
                self.end("the parent has gone")
            idle = all(
                call.method.streams for call in self._calls.values()
            )  # streams resume in the next bridge
            if beat % WATCHES == 0 and idle and self._upgraded():
                self.end("another release is installed; the host starts that one")

    def _upgraded(self) -> bool:
        try:
            return self._release() != self._software
        except importlib.metadata.PackageNotFoundError:  # the old one is gone, the new one not there yet
            return False

    # Lines in

    async def _take(self, said: dict[str, Any] | str | None, size: int) -> None:
        if said is None:
            self.end("the input has ended")
        elif isinstance(said, str):
            await self._refuse(None, Refused.invalid("line", "", said))
        elif "ping" in said:
            await self._say({"pong": said["ping"]})
        elif "cancel" in said:
            call = self._calls.get(_id(said["cancel"]))
            if call is not None and call.task is not None:
                call.task.cancel()
        elif "ack" in said:
            self._make_room(said)
        else:
            await self._begin(said, size)

    def _make_room(self, said: dict[str, Any]) -> None:
        call, events = self._calls.get(_id(said["ack"])), said.get("events", 1)
        if call is not None and call.room is not None and isinstance(events, int):
            for _ in range(min(events, CALLS)):
                call.room.release()

    async def _begin(self, said: dict[str, Any], size: int) -> None:
        id_ = said.get("id")
        try:
            if isinstance(id_, bool) or not isinstance(id_, (str, int)):
                raise Refused.invalid("id", id_, "must be text or a whole number")
            if id_ in self._calls:
                id_, again = None, id_  # an answer under this id would end the other call
                raise Refused.invalid("id", again, "a call with this id is under way")
            if len(self._calls) >= CALLS:
                raise Refused.invalid("id", id_, f"{CALLS} calls are under way; wait for some to end")
            call = _Call(transcode.method(said.get("method")), _positive(said, "window", int, None))
            timeout = _positive(said, "deadline_s", (int, float), None if call.method.streams else CALL_S)
        except UnderstudyError as error:
            await self._refuse(id_ if isinstance(id_, (str, int)) else None, error)
            return
        self._calls[id_] = call
        call.task = asyncio.ensure_future(self._run(id_, call, said.get("request", {}), timeout, size))

    async def _run(self, id_: Id, call: _Call, request: object, timeout: float | None, size: int) -> None:
        """One call to its end, which is told in just one line: a reply, the end of a stream, or an error."""
        last: dict[str, Any]
        try:
            message = await _threaded(size, transcode.parse, call.method, request)
            if call.method.streams:
                await self._stream(id_, call, message, timeout)
                last = {"end": True}
            else:
                assert timeout is not None
                reply = await self._wire.ask(call.method, message, timeout=timeout)
                last = {"reply": await _threaded(reply.ByteSize(), lines.plain, reply)}
        except asyncio.CancelledError:
            if self._ended.is_set():
                raise
            last = {"error": {"kind": "Cancelled", "code": "CANCELLED", "message": "cancelled by the host"}}
        except UnderstudyError as error:
            log.info("%s: %s %s", call.method.name, type(error).__name__, error.reason)
            last = {"error": transcode.told(error)}
        except Exception:
            log.exception("%s: a fault of the bridge", call.method.name)
            last = {
                "error": transcode.told(
                    DaemonFault("a fault of the bridge; its log on standard error has more")
                )
            }
        finally:
            del self._calls[id_]
        await self._say({"id": id_, **last})

    async def _stream(self, id_: Id, call: _Call, message: object, timeout: float | None) -> None:
        """All events. One waits in gRPC, and then at the daemon, while the host has not made room for it."""
        async for reply in self._wire.replies(call.method, message, timeout=timeout):
            if call.room is not None:
                await call.room.acquire()
            event = {"id": id_, "event": await _threaded(reply.ByteSize(), lines.plain, reply)}
            number = contract.sequence(reply) if call.method.resumes else None
            await self._say(event if number is None else {**event, "sequence": number})

    # Lines out

    async def _refuse(self, id_: Id | None, error: UnderstudyError) -> None:
        await self._say({"id": id_, "error": transcode.told(error)})

    async def _say(self, said: dict[str, Any]) -> None:
        line = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > LINE_BYTES:
            why = f"the answer has {len(line)} bytes, more than a line may have; ask for less, a smaller page say"
            refusal = {"id": said.get("id"), "error": transcode.told(Refused.invalid("page_size", "", why))}
            line = json.dumps(refusal).encode() + b"\n"
        await self._writer.say(line)


def _id(said: object) -> Id:
    return said if isinstance(said, (str, int)) else ""


def _positive(said: dict[str, Any], name: str, kind: Any, usual: Any) -> Any:
    """A number of a line that must be above 0."""
    value = said.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
        raise Refused.invalid(name, value, "must be a number above 0")
    return value


async def _threaded(size: int, work: Callable[..., Any], *arguments: object) -> Any:
    """Do it here, or in a thread where it would keep the loop for long."""
    if size <= BIG_BYTES:
        return work(*arguments)
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)
