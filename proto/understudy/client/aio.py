"""The twin of `Session` for asyncio: the same methods with the same arguments, awaited.

    async with AsyncSession() as session:
        job = await session.extract("sh010/plate.%04d.exr", "sh010/faces")
        async for event in job.watch():
            print(event.kind)

No method is written twice. Short calls and transfers of files are those of `Session`, made in a thread; what lasts as
long as a job, `watch` and `wait`, is gRPC's own asyncio and holds no thread, so a program may watch hundreds of jobs.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from understudy.client import contract, wire
from understudy.client.async_wire import AsyncWire
from understudy.client.backoff import Patience
from understudy.client.endpoint import Transport
from understudy.client.errors import TimedOut, Unreachable
from understudy.client.job import Asking, Event, Job
from understudy.client.session import Session
from understudy.client.swap import Swap, SwapResult, SwapSettings
from understudy.v1 import job_pb2 as pb
from understudy.v1.job_pb2_grpc import JobServiceStub

T = TypeVar("T")
BATCH = 500  # items of a list that are fetched by one thread


def _plain(value: Any) -> Any:
    """An argument as `Session` takes it: with the jobs that are inside."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.plain if isinstance(value, AsyncJob) else value


async def _threaded(twin: AsyncSession | AsyncJob, method: Callable[..., T], args: Any, named: Any) -> T:
    named = {name: _plain(value) for name, value in named.items()}
    ending = wire.Ending()
    try:
        with ending.held():
            return await asyncio.to_thread(method, twin.plain, *map(_plain, args), **named)
    except asyncio.CancelledError:
        ending.end()  # a preview that nobody waits for: the daemon makes it no more
        raise


def _call(
    method: Callable[..., T],
) -> Callable[..., Coroutine[Any, Any, T]]:
    """A method, awaited."""

    @functools.wraps(method)
    async def twin(self: Any, *args: Any, **named: Any) -> T:
        return await _threaded(self, method, args, named)

    return twin


def _job(
    method: Callable[..., Job],
) -> Callable[..., Coroutine[Any, Any, AsyncJob]]:
    """A method that gives a job, awaited."""

    @functools.wraps(method)
    async def twin(self: Any, *args: Any, **named: Any) -> AsyncJob:
        return AsyncJob(self.wire, await _threaded(self, method, args, named))

    return twin


def _each(
    method: Callable[..., Iterator[T]],
) -> Callable[..., AsyncIterator[T]]:
    """A method that gives one thing after the other."""

    @functools.wraps(method)
    async def twin(self: Any, *args: Any, **named: Any) -> AsyncIterator[T]:
        found = iter(await _threaded(self, method, args, named))
        while batch := await asyncio.to_thread(lambda: list(islice(found, BATCH))):
            for each in batch:
                yield each

    return twin


class AsyncJob:
    """A handle on one job, as `Job`. Made by `AsyncSession`.

    Attributes:
        plain: the `Job` whose message this brings up to date.
    """

    def __init__(self, wire: AsyncWire, job: Job) -> None:
        self.wire = wire
        self.plain = job

    def __repr__(self) -> str:
        return repr(self.plain)

    @property
    def id(self) -> str:
        return self.plain.id

    @property
    def message(self) -> pb.Job:
        """The job as last seen."""
        return self.plain.message

    @property
    def state(self) -> str:
        """As `Job.state`."""
        return self.plain.state

    @property
    def ended(self) -> bool:
        return self.plain.ended

    @property
    def existing(self) -> bool:
        """As `Job.existing`."""
        return self.plain.existing

    def check(self) -> AsyncJob:
        """As `Job.check`."""
        self.plain.check()
        return self

    refresh = _job(Job.refresh)
    cancel = _job(Job.cancel)
    pause = _job(Job.pause)
    resume = _job(Job.resume)
    retry = _job(Job.retry)
    set_priority = _job(Job.set_priority)
    update_training = _job(Job.update_training)
    frames = _each(Job.frames)

    async def watch(self, after_sequence: int = 0) -> AsyncIterator[Event]:
        """As `Job.watch`."""
        method, seen = contract.find(JobServiceStub, "WatchJob"), after_sequence
        patience: Patience | None = None
        while True:
            request = pb.WatchJobRequest(id=self.id, after_sequence=seen)
            error = Unreachable("the daemon ended the stream before the job had ended")
            try:
                async with _closing(self.wire.replies(method, request, silence=wire.SILENCE_S)) as replies:
                    async for reply in replies:
                        patience = None
                        event = self.plain.learn(reply)
                        if event is not None:
                            seen = max(seen, event.sequence if event.kind != "snapshot" else seen)
                            yield event
            except Unreachable as unreachable:
                error = unreachable
            else:
                if self.ended:
                    await self.refresh()
                    return
            patience = patience or Patience(self.wire.patience)
            await asyncio.sleep(patience.next(error))

    async def wait(self, timeout: float | None = None) -> AsyncJob:
        """As `Job.wait`. It may be cancelled at any time; the job goes on."""
        try:
            await asyncio.wait_for(self._end(), timeout)
        except asyncio.TimeoutError as error:
            name = self.message.label or self.id
            raise TimedOut(f"{name} has not ended after {timeout} s; it is {self.state}") from error
        return self.check()

    async def _end(self) -> None:
        if not self.ended:
            async with _closing(self.watch()) as events:
                async for _ in events:
                    pass


@asynccontextmanager
async def _closing(each: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Ends a generator where it is left, not when it is collected. As `contextlib.aclosing` of Python 3.10."""
    try:
        yield each
    finally:
        await each.aclose()  # type: ignore[attr-defined]


class AsyncSwap:
    """A handle on the jobs of one swap, as `Swap`. Made by `AsyncSession.swap`."""

    def __init__(self, wire: AsyncWire, swap: Swap) -> None:
        self.plain = swap
        self.jobs = tuple(AsyncJob(wire, job) for job in swap.jobs)

    async def watch(self) -> AsyncIterator[Event]:
        """As `Swap.watch`."""
        for job in self.jobs:
            async with _closing(job.watch()) as events:
                async for event in events:
                    yield event
            job.check()

    async def wait(self) -> SwapResult:
        """As `Swap.wait`."""
        for job in self.jobs:
            await job.wait()
        return await self.result()

    async def cancel(self) -> None:
        """As `Swap.cancel`."""
        await asyncio.to_thread(self.plain.cancel)

    async def result(self) -> SwapResult:
        """As `Swap.result`."""
        return await asyncio.to_thread(self.plain.result)


class AsyncSession:
    """A connection to the user's daemon, as `Session`; it is made by `async with`. For one event loop.

    Attributes:
        plain: the `Session` that makes the short calls.
    """

    plain: Session
    wire: AsyncWire

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        state: Path | None = None,
        transport: Transport | None = None,
        asking: Asking = Asking(),  # noqa: B008 - frozen
    ) -> None:
        self._open = functools.partial(Session, endpoint, state=state, transport=transport, asking=asking)

    async def __aenter__(self) -> AsyncSession:
        self.plain = await asyncio.to_thread(self._open)
        self.wire = AsyncWire(self.plain._wire, self.plain._wire.patience)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.wire.close()

    @property
    def embedded(self) -> bool:
        """As `Session.embedded`."""
        return self.plain.embedded

    async def swap(self, settings: SwapSettings) -> AsyncSwap:
        """As `Session.swap`."""
        return AsyncSwap(self.wire, await asyncio.to_thread(self.plain.swap, settings))

    async def jobs(
        self, states: Sequence[str] = (), *, user: str = "", project: str = ""
    ) -> AsyncIterator[AsyncJob]:
        """As `Session.jobs`."""
        async for job in _each(Session.jobs)(self, states, user=user, project=project):
            yield AsyncJob(self.wire, job)

    start = _job(Session.start)
    job = _job(Session.job)
    update_training = _job(Session.update_training)
    ingest = _job(Session.ingest)
    extract = _job(Session.extract)
    train = _job(Session.train)
    train_enhancer = _job(Session.train_enhancer)
    merge = _job(Session.merge)
    merge_people = _job(Session.merge_people)
    verify = _job(Session.verify)
    review = _job(Session.review)
    check_plate = _job(Session.check_plate)
    torture = _job(Session.torture)
    pull_weights = _job(Session.pull_weights)
    plot_history = _job(Session.plot_history)
    plate = _call(Session.plate)
    recipe = _call(Session.recipe)
    create_release = _call(Session.create_release)
    release = _call(Session.release)
    info = _call(Session.info)
    default = _call(Session.default)
    weights = _call(Session.weights)
    verify_weights = _call(Session.verify_weights)

    measure_faceset = _job(Session.measure_faceset)
    faceset_sheet = _job(Session.faceset_sheet)
    faceset_coverage = _job(Session.faceset_coverage)
    pack_faceset = _job(Session.pack_faceset)
    unpack_faceset = _job(Session.unpack_faceset)
    resize_faceset = _job(Session.resize_faceset)
    import_faceset = _job(Session.import_faceset)
    export_faceset = _job(Session.export_faceset)
    join_facesets = _job(Session.join_facesets)
    faceset = _call(Session.faceset)
    faces = _each(Session.faces)
    show_faces = _each(Session.show_faces)
    duplicates = _call(Session.duplicates)
    faceset_statistics = _call(Session.faceset_statistics)
    pick_track = _call(Session.pick_track)
    review_frames = _call(Session.review_frames)
    reject_faces = _call(Session.reject_faces)
    restore_faces = _call(Session.restore_faces)
    set_manual_faces = _call(Session.set_manual_faces)
    manual_faces = _call(Session.manual_faces)
    delete_manual_faces = _call(Session.delete_manual_faces)

    export_model = _job(Session.export_model)
    import_model = _job(Session.import_model)
    combine_models = _job(Session.combine_models)
    restore_model = _job(Session.restore_model)
    model = _call(Session.model)
    model_backups = _call(Session.model_backups)

    preview = _call(Session.preview)
    preview_people = _call(Session.preview_people)
    preview_training = _call(Session.preview_training)

    send = _call(Session.send)
    fetch = _call(Session.fetch)
    scratch_files = _each(Session.scratch_files)
    scratch_space = _call(Session.scratch_space)
    delete_scratch = _call(Session.delete_scratch)

    label_faces = _job(Session.label_faces)
    train_segmenter = _job(Session.train_segmenter)
    apply_segmenter = _job(Session.apply_segmenter)
    preview_segmentation = _job(Session.preview_segmentation)
    segmenter = _call(Session.segmenter)
    labels = _call(Session.labels)
    suggest_labels = _call(Session.suggest_labels)
    clear_segmentation = _call(Session.clear_segmentation)
