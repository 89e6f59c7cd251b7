"""Link, bridge and a real daemon: killed one after the other in mid-watch, and nothing lost or told twice."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.client.bridges import COMMAND
from tests.daemon.support import Daemon, until
from understudy.client import FrameReport, Session
from understudy.client.aio import AsyncSession
from understudy.client.link import Link

FRAMES = 700  # enough that a kill meets some of them
PATIENT = 300.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures, none of which takes long."""
    path = tmp_path_factory.mktemp("video") / "clip.mkv"
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path / "state").start()
    yield started
    if started.process is not None:
        started.kill()


def _endpoint(daemon: Daemon) -> str:
    return str(daemon.announced()["endpoint"])


def _spec(video: Path, folder: Path, frames: int = FRAMES) -> dict:
    wanted = [{"first": 1001, "last": 1000 + frames}]
    return {"ingest": {"video": str(video), "pattern": str(folder / "plate.%04d.exr"), "frames": wanted}}


def _sequences(events: list[dict]) -> list[int]:
    return [event["event"]["sequence"] for event in events if "event" in event]


def _told(events: list[dict]) -> list[int]:
    """Frames in the order in which they were reported."""
    return [event["event"]["frame"]["frame"] for event in events if "frame" in event.get("event", {})]


def kill_bridge(link: Link) -> None:
    assert link.hello is not None
    os.kill(link.hello["pid"], signal.SIGKILL)


def test_daemon_and_bridge_are_killed_in_mid_watch(daemon: Daemon, video: Path, tmp_path: Path):
    with Link(COMMAND, endpoint=_endpoint(daemon), patience_s=PATIENT) as link:
        spec = _spec(video, tmp_path / "plate")
        job = link.call("JobService/StartJob", {"spec": spec}, deadline_s=PATIENT).result(PATIENT)["job"]
        events: list[dict] = []
        ended: list[object] = []

        def frames_told(least: int) -> None:
            until(lambda: len(_told(events)) >= least or ended, PATIENT)

        link.stream("JobService/WatchJob", {"id": job["id"]}, on_event=events.append, on_end=ended.append)
        for least in (20, 150):
            frames_told(least)
            kill_bridge(link)
            frames_told(len(_told(events)) + 1)
            daemon.kill()
            daemon.start()
        until(lambda: ended, PATIENT)
        assert ended == [None]
        got = link.call("JobService/GetJob", {"id": job["id"]}, deadline_s=PATIENT).result(PATIENT)["job"]
    assert got["state"] == "JOB_STATE_SUCCEEDED"
    numbers = _sequences(events)
    assert numbers == sorted(set(numbers))  # none twice, none out of order
    assert set(_told(events)) == set(range(1001, 1001 + FRAMES))
    assert sorted(p.name for p in (tmp_path / "plate").glob("*.exr")) == [
        f"plate.{n}.exr" for n in range(1001, 1001 + FRAMES)
    ]


def test_session_and_its_twin_watch_through_a_killed_daemon(daemon: Daemon, video: Path, tmp_path: Path):
    told: dict[str, list[int]] = {"twin": [], "plain": []}
    with Session(_endpoint(daemon)) as session:
        job = session.ingest(video, tmp_path / "plate.%04d.exr", frames=f"1001-{1000 + FRAMES}")

        async def twin() -> None:
            async with AsyncSession(_endpoint(daemon)) as other:
                async for event in (await other.job(job.id)).watch():
                    if isinstance(event.message, FrameReport):
                        told["twin"].append(event.sequence)

        thread = threading.Thread(target=lambda: asyncio.run(twin()))
        thread.start()
        killed = False
        for event in job.watch():
            if isinstance(event.message, FrameReport):
                told["plain"].append(event.sequence)
            if len(told["plain"]) > 50 and told["twin"] and not killed:
                daemon.kill()
                daemon.start()
                killed = True
        thread.join(PATIENT)
    assert killed
    assert job.state == "SUCCEEDED"
    assert told["plain"] == told["twin"] == sorted(set(told["plain"]))


def test_an_embedded_daemon_comes_back_with_its_bridge_and_goes_on(video: Path, tmp_path: Path):
    state = tmp_path / "state"
    with Link(COMMAND, state=str(state), patience_s=PATIENT) as link:
        spec = _spec(video, tmp_path / "plate", 300)
        job = link.call("JobService/StartJob", {"spec": spec}, deadline_s=PATIENT).result(PATIENT)["job"]
        stream = link.stream("JobService/WatchJob", {"id": job["id"]})
        events: list[dict] = []
        while len(_told(events)) < 20:
            events.append(next(stream))
        kill_bridge(link)  # its daemon stops with it, and the next bridge starts one
        events += stream
    assert set(_told(events)) == set(range(1001, 1301))
    until(lambda: not (state / "daemon.json").exists())
