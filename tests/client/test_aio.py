"""The asyncio twin: the same methods, and what only it can: many watches on one thread, and cancelling."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.client.fake import FakeDaemon, frame, status
from understudy.client import FrameReport, Job, JobFailed, PathNotAllowed, Session, TimedOut, Unreachable
from understudy.client import wire as wires
from understudy.client.aio import AsyncJob, AsyncSession
from understudy.client.wire import deadline
from understudy.v1 import job_pb2


def run(daemon: FakeDaemon, story: Callable[[AsyncSession], Awaitable[object]]) -> object:
    async def whole() -> object:
        async with AsyncSession(daemon.endpoint) as session:
            return await story(session)

    return asyncio.run(asyncio.wait_for(whole(), 120))


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("plain", "twin", "other"),
    [(Session, AsyncSession, {"close"}), (Job, AsyncJob, {"label", "stage", "seconds", "learn"})],
)
def test_it_has_all_that_the_other_has(plain: type, twin: type, other: set[str]):
    assert _public(plain) - other <= _public(twin)
    for name in _public(plain) - other:
        of_plain, of_twin = getattr(plain, name), getattr(twin, name)
        if callable(of_plain) and name not in ("swap", "jobs", "check", "watch", "wait"):
            assert of_twin.__wrapped__ is of_plain
            lists = inspect.isgeneratorfunction(of_plain)
            assert (inspect.isasyncgenfunction if lists else inspect.iscoroutinefunction)(of_twin), name
        elif callable(of_plain):
            assert list(inspect.signature(of_twin).parameters) == list(inspect.signature(of_plain).parameters)


def test_a_job_is_started_watched_and_listed(daemon: FakeDaemon):
    daemon.script = [frame(1001), frame(1002)]
    daemon.frames = [frame(n).frame for n in range(1001, 1008)]

    async def story(session: AsyncSession) -> None:
        first = await session.extract("/p.%04d.exr", "/f", label="first")
        second = await session.verify("/o.%04d.exr", depends_on=[first])
        assert [e.kind async for e in first.watch()] == ["snapshot", "frame", "frame", "state_change"]
        assert (await second.wait()).state == "SUCCEEDED"
        assert list(second.message.depends_on) == [first.id]
        assert [job.id async for job in session.jobs()] == [second.id, first.id]
        assert [report.frame async for report in first.frames()] == list(range(1001, 1008))
        assert (await session.job(first.id)).existing
        assert (await session.info()).process_id == 1
        assert not session.embedded

    run(daemon, story)


def test_a_dropped_stream_and_a_silent_one_go_on_where_they_were(daemon: FakeDaemon, monkeypatch):
    monkeypatch.setattr(wires, "SILENCE_S", 1.0)
    daemon.script = [frame(n) for n in range(1001, 1007)]
    daemon.drop_after = 5

    async def story(session: AsyncSession) -> None:
        job = await session.extract("/p.%04d.exr", "/f")
        daemon.silent = True
        seen = [e.message.frame async for e in job.watch() if isinstance(e.message, FrameReport)]
        assert seen == [1001, 1002, 1003, 1004, 1005, 1006]

    run(daemon, story)
    # Where the machine is busy, one that has more to say may fall silent too.
    assert daemon.watches[:2] == [0, 0]
    assert daemon.watches[-1] == 5


def test_a_daemon_that_restarts_is_found_again(daemon: FakeDaemon):
    daemon.script = None

    async def story(session: AsyncSession) -> None:
        job = await session.extract("/p.%04d.exr", "/f")
        events = job.watch()
        assert (await events.__anext__()).kind == "snapshot"
        await asyncio.to_thread(daemon.stop)
        daemon.play(job.id, [frame(1001)])
        daemon.end(job.id, job_pb2.JOB_STATE_SUCCEEDED)
        daemon.start()
        assert [e.kind async for e in events if e.kind != "snapshot"] == ["frame", "state_change"]
        assert (await job.retry()).ended  # not repeatable: goes to a daemon that has just answered

    run(daemon, story)


def test_a_daemon_that_stays_away_is_unreachable(daemon: FakeDaemon):
    daemon.script = None

    async def story(session: AsyncSession) -> None:
        job = await session.extract("/p.%04d.exr", "/f")
        session.wire.patience = session.plain._wire.patience = 0.3
        await asyncio.to_thread(daemon.stop)
        with pytest.raises(Unreachable):
            await job.wait()

    run(daemon, story)


def test_many_watches_hold_no_threads(daemon: FakeDaemon):
    daemon.script = None

    async def story(session: AsyncSession) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        jobs = [await session.verify(f"/o{n}.%04d.exr") for n in range(5)]
        waits = [asyncio.ensure_future(job.wait()) for job in jobs]
        while len(daemon.watches) < 5:
            await asyncio.sleep(0.01)
        assert len([job async for job in session.jobs()]) == 5  # the only thread is free
        for job in jobs:
            daemon.end(job.id, job_pb2.JOB_STATE_SUCCEEDED)
        assert [job.state for job in await asyncio.gather(*waits)] == ["SUCCEEDED"] * 5

    run(daemon, story)


def test_waiting_can_be_cancelled_and_times_out_and_the_job_goes_on(daemon: FakeDaemon):
    daemon.script = None

    async def story(session: AsyncSession) -> None:
        job = await session.extract("/p.%04d.exr", "/f")
        with pytest.raises(TimedOut, match=r"has not ended after 0\.3 s; it is QUEUED"):
            await job.wait(0.3)
        waiting = asyncio.ensure_future(job.wait())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await job.refresh()).state == "QUEUED"
        with pytest.raises(TimedOut), deadline(-1.0):
            await job.refresh()

    run(daemon, story)


def test_refusals_and_failures_are_of_the_one_tree(daemon: FakeDaemon):
    daemon.refuse["train"] = status(grpc.StatusCode.PERMISSION_DENIED, "PATH_NOT_ALLOWED", "no", path="/m")
    daemon.ending = job_pb2.JOB_STATE_FAILED
    daemon.error = job_pb2.Error(reason="NO_FACE", message="there is no face")

    async def story(session: AsyncSession) -> None:
        with pytest.raises(PathNotAllowed) as caught:
            await session.train("/m", "/a", "/b", iterations=1)
        assert caught.value.path == "/m"
        with pytest.raises(JobFailed, match="no face"):
            await (await session.extract("/p.%04d.exr", "/f")).wait()

    run(daemon, story)
