"""Calls for asyncio: what `wire` is to threads, on one event loop and with gRPC's own asyncio.

A daemon is found, or started, by the same transports, in a thread, so the loop never waits for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc.aio

from understudy.client.backoff import Patience
from understudy.client.contract import Method
from understudy.client.endpoint import ANSWER_S, AS_IT_IS, GONE, HEALTH, NOT_SERVING
from understudy.client.errors import TimedOut, Unreachable, translated


class Source(Protocol):
    """What `AsyncWire` needs of a transport; a `Wire` has it too, so that both may share one."""

    def connect(self) -> object:
        """Finds a daemon or starts one.

        Raises:
            Unreachable: there is none.
        """

    def open_aio(self) -> grpc.aio.Channel:
        """A channel to what `connect` found last."""

    def close(self) -> None:
        """Ends what `connect` began."""


class _Line:
    """A channel, and how many calls are on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.calls = 0


async def _alive(channel: grpc.aio.Channel) -> bool:
    """As `endpoint.alive`."""
    try:
        said = await channel.unary_unary(HEALTH, AS_IT_IS, AS_IT_IS)(b"", timeout=ANSWER_S)
    except grpc.aio.AioRpcError as error:
        return error.code() not in GONE
    except grpc.aio.UsageError:  # closed
        return False
    return bool(said != NOT_SERVING)


class AsyncWire:
    """One connection at a time, for any number of tasks of one loop. It connects when it is first needed.

    Args:
        transport: finds a daemon and opens channels to it; closed with this.
        patience: seconds to try to get a daemon back after a drop.
    """

    def __init__(self, transport: Source, patience: float = 60.0) -> None:
        self.patience = patience
        self._transport = transport
        self._line: _Line | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Find a daemon, or start one, and open a new channel to it.

        Raises:
            Unreachable: there is none; nothing was sent.
            Refused: it speaks another version of the contract.
        """
        if self._connecting is None:  # whoever comes meanwhile waits for the same attempt
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        await asyncio.shield(self._connecting)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._transport.connect)
        except Unreachable as error:
            error.sent = False
            raise
        old, self._line = self._line, _Line(self._transport.open_aio())
        if old is not None and not old.calls:
            await old.channel.close(None)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # told to those who wait, if anybody still does

    @asynccontextmanager
    async def _on(self, timeout: float | None, *, check: bool) -> AsyncIterator[tuple[Any, float | None]]:
        """A channel, and the seconds that are left of `timeout`. Errors of the wire become ours."""
        began = time.monotonic()
        if self._line is None or (check and not await _alive(self._line.channel)):
            try:
                await asyncio.wait_for(self.connect(), timeout)
            except asyncio.TimeoutError as error:
                raise TimedOut(f"no daemon was there within {timeout:.1f} s; nothing was asked") from error
        line = self._line
        assert line is not None
        line.calls += 1
        try:
            with translated():
                yield (
                    line.channel,
                    None if timeout is None else max(0.0, timeout - (time.monotonic() - began)),
                )
        except (Unreachable, grpc.aio.UsageError) as error:
            if line is self._line:
                self._line = None  # the next call looks for a daemon again
            if isinstance(error, grpc.aio.UsageError):
                raise Unreachable("the connection was closed to open a new one") from error
            raise
        finally:
            line.calls -= 1
            if line is not self._line and not line.calls:
                await line.channel.close(None)

    async def ask(self, method: Method, request: object, *, timeout: float) -> Any:
        """One request, one reply, one attempt. What may not be repeated is asked of a daemon that has just answered.

        Args:
            timeout: seconds for all of it, finding a daemon included.

        Raises:
            Unreachable: `sent` says whether a daemon may have had the request.
            UnderstudyError: as `errors.translate` says.
        """
        async with self._on(timeout, check=not method.repeatable) as (channel, left):
            ask = channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.reply.FromString,
            )
            return await ask(request, timeout=left)

    async def call(self, method: Method, request: object, *, timeout: float) -> Any:
        """As `ask`, and again after a drop where the contract lets it be.

        Args:
            timeout: seconds for each attempt.
        """
        patience: Patience | None = None
        while True:
            try:
                return await self.ask(method, request, timeout=timeout)
            except Unreachable as error:  # noqa: PERF203 - a call takes longer than a try
                if error.sent and not method.repeatable:
                    raise
                patience = patience or Patience(self.patience)
                await asyncio.sleep(patience.next(error))

    async def replies(
        self, method: Method, request: object, *, timeout: float | None = None, silence: float | None = None
    ) -> AsyncIterator[Any]:
        """One request, many replies, one attempt.

        Args:
            timeout: seconds for all of it; None: as long as it takes.
            silence: seconds without a reply after which the stream is given up.

        Raises:
            Unreachable: the stream dropped or was silent.
            UnderstudyError: as `errors.translate` says.
        """
        async with self._on(timeout, check=False) as (channel, left):
            ask = channel.unary_stream(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.reply.FromString,
            )
            call = ask(request, timeout=left)
            each = call.__aiter__()
            try:
                while True:
                    yield await asyncio.wait_for(each.__anext__(), silence)
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError as error:
                raise Unreachable(f"the stream was silent for {silence:.0f} s") from error
            finally:
                call.cancel()

    async def close(self) -> None:
        """Close the connection; a daemon that is embedded here stops."""
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        if self._line is not None:
            await self._line.channel.close(None)
            self._line = None
        await asyncio.get_running_loop().run_in_executor(None, self._transport.close)
