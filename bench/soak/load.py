"""Many: small jobs, clients that watch, cancels, and clients that are slow."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc

from bench import clips
from bench.soak.host import SECONDS, Gauge, Host, until
from bench.soak.part import SHORT, Alike, Found, Given, finished, ingest, video
from understudy.client.aio import AsyncSession
from understudy.client.endpoint import Local
from understudy.v1 import job_pb2

SUCCEEDED, CANCELLED = job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_CANCELLED
AT_ONCE = 4  # threads that submit
A_FOLDER = 100  # links to the one frame; a job looks through its folder
WATCHED = 4  # jobs that all clients watch
SILENT_SECONDS = 20.0
MOST_WAIT = 5.0  # seconds that an answer may take while others are slow


def jobs(given: Given) -> Found:
    """Small jobs: each checks a plate of one small frame of its own name."""
    found = Found()
    frame = Path(
        clips.make("hopper", str(given.folder / "one.%04d.exr"), frames=1, width=64, height=48) % 1001
    )
    host = Host(given.folder, "--workers", given.workers).start()

    def submit(number: int) -> str:
        folder = given.folder / "tiny" / str(number // A_FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        os.link(frame, folder / f"p{number}.1001.exr")
        plate = {"pattern": str(folder / f"p{number}.%04d.exr")}
        return host.submit(job_pb2.JobSpec(check_plate={"plate": plate}))

    try:
        with Gauge(host).running() as gauge:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                began = time.monotonic()
                ids = list(threads.map(submit, range(given.count)))
                submitted = time.monotonic() - began
            host.rest(3600)
        found.taken = gauge.taken()
        found.count = f"{len(set(ids))} jobs; taken at {len(ids) / submitted:.0f} a second"
        found.stored(host, dict.fromkeys(ids, (SUCCEEDED,)))
        found.reported(host, ids)
        host.end()
    finally:
        host.close()
    return found


def watch(given: Given) -> Found:
    """Clients that watch the same running jobs through a restart: each must hear every event once, in order."""
    found = Found()
    clip = video(given.folder / "clip.mkv", 100)
    host = Host(given.folder, "--workers", given.workers).start()
    try:
        with Gauge(host).running() as gauge:
            ids = [host.submit(ingest(clip, given.folder / f"{n}", 100)) for n in range(WATCHED)]
            for job in ids:  # until all watch
                host.jobs.PauseJob(job_pb2.PauseJobRequest(id=job), timeout=SECONDS)
            heard, restarts = asyncio.run(_watched(host, ids, given.count))
        found.taken = gauge.taken()
        found.stored(host, dict.fromkeys(ids, (SUCCEEDED,)))
        found.reported(host, ids)
        last = {job: host.job(job).last_sequence for job in ids}
        wrong = [each for job, each in heard if each != list(range(1, last[job] + 1))]
        if wrong:
            found.fault(f"{len(wrong)} clients did not hear every event once and in order")
        found.count = (
            f"{len(heard)} clients, {sum(len(each) for _, each in heard)} events, {restarts} restarts"
        )
        found.whole(finished(given.folder), Alike())
        host.end()
    finally:
        host.close()
    return found


async def _watched(host: Host, ids: list[str], count: int) -> tuple[list[tuple[str, list[int]]], int]:
    """What each client heard, and how often the daemon was started anew meanwhile."""
    watching = 0

    async def one(number: int) -> tuple[str, list[int]]:
        nonlocal watching
        job, seen, first = ids[number % len(ids)], list[int](), True
        async with AsyncSession(transport=Local(host.state, "never")) as session:
            handle = await session.job(job)
            async for event in handle.watch():
                watching, first = watching + first, False
                if event.kind != "snapshot":
                    seen.append(event.sequence)
        return job, seen

    async def restart() -> int:
        while watching < count:
            await asyncio.sleep(0.1)
        for job in ids:
            await asyncio.to_thread(host.jobs.ResumeJob, job_pb2.ResumeJobRequest(id=job))
        await asyncio.sleep(2.0)
        await asyncio.to_thread(lambda: (host.end(), host.start()))
        return 1

    heard, restarts = await asyncio.gather(
        asyncio.gather(*map(one, range(count))), asyncio.wait_for(restart(), SECONDS)
    )
    return heard, restarts


def cancel(given: Given) -> Found:
    """Cancels at random moments of a job: before it runs, after any of its frames, when it has just ended."""
    found = Found()
    clip = video(given.folder / "clip.mkv", SHORT)
    host = Host(given.folder, "--workers", given.workers).start()
    ends = dict.fromkeys((SUCCEEDED, CANCELLED), 0)

    def one(number: int, frames: int) -> tuple[str, bool]:
        job = host.submit(ingest(clip, given.folder / "out" / str(number), SHORT))
        _await_frames(host, job, frames)
        try:
            host.jobs.CancelJob(job_pb2.CancelJobRequest(id=job), timeout=SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                return job, True
            raise
        return job, False

    try:
        with Gauge(host).running() as gauge, ThreadPoolExecutor(3) as threads:
            # Counted in frames, a machine's speed does not choose; one in twelve comes when all are made.
            moments = [given.chance.randrange(SHORT + SHORT // 11 + 1) for _ in range(given.count)]
            ids, late = zip(*threads.map(one, range(given.count), moments), strict=True)
            host.rest()
        found.taken = gauge.taken()
        found.stored(host, dict.fromkeys(ids, tuple(ends)))
        for job in host.all_jobs().values():
            ends[job.state] += 1
        found.count = f"{given.count} cancels: {ends[CANCELLED]} cancelled, {ends[SUCCEEDED]} had ended"
        if sum(late) != ends[SUCCEEDED]:
            found.fault(f"{sum(late)} cancels came too late, but {ends[SUCCEEDED]} jobs succeeded")
        found.reported(host, ids)
        found.whole(finished(given.folder / "out"), Alike())
        found.clean(given.folder / "out")
        host.end()
    finally:
        host.close()
    return found


def _await_frames(host: Host, job: str, frames: int) -> None:
    """Until a job has made so many frames, or has ended."""
    if frames:
        stream = host.jobs.WatchJob(job_pb2.WatchJobRequest(id=job), timeout=SECONDS)
        for message in stream:
            frames -= message.event.HasField("frame")
            if not frames:
                break
        stream.cancel()


def slow(given: Given) -> Found:
    """Clients that read nothing of what they watch, and connections that say nothing, beside one that asks."""
    found = Found()
    clip = video(given.folder / "clip.mkv", 1200)
    host = Host(given.folder, "--workers", "1").start()
    longest, done = 0.0, threading.Event()

    def ask() -> None:
        nonlocal longest
        while not done.wait(0.2):
            began = time.monotonic()
            host.job(job)
            longest = max(longest, time.monotonic() - began)

    try:
        with Gauge(host).running() as gauge:
            job = host.submit(ingest(clip, given.folder / "out", 1200))
            silent = [
                _connected(host, b"" if n % 2 else b"PRI * HTTP/2.0\r\n\r\nSM") for n in range(given.count)
            ]
            channels = [host.open() for _ in range(given.count)]
            request = job_pb2.WatchJobRequest(id=job)
            streams = [host.jobs.__class__(each).WatchJob(request, timeout=SECONDS) for each in channels]
            asking = threading.Thread(target=ask)
            asking.start()
            until(lambda: host.job(job).state == SUCCEEDED)
            time.sleep(SILENT_SECONDS)
            done.set()
            asking.join()
            last = host.job(job).last_sequence
            for stream in streams:
                heard = [m.event.sequence for m in stream if m.HasField("event")]
                if heard != list(range(1, last + 1)):
                    found.fault(f"a slow client heard {len(heard)} of {last} events")
            for line in silent:
                line.close()
            for channel in channels:
                channel.close()
        found.taken = gauge.taken()
        found.count = (
            f"{given.count} slow watchers, {given.count} silent connections; longest answer {longest:.2f} s"
        )
        if longest > MOST_WAIT:
            found.fault(f"an answer took {longest:.1f} s beside slow clients")
        found.stored(host, {job: (SUCCEEDED,)})
        found.reported(host, [job])
        found.whole(finished(given.folder / "out"), Alike())
        host.end()
    finally:
        host.close()
    return found


def _connected(host: Host, said: bytes) -> socket.socket:
    """A connection that says only this."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(host.endpoint.removeprefix("unix:"))
    with suppress(OSError):
        line.sendall(said)
    return line
