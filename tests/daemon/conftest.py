"""Daemons and small material for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.daemon.support import Daemon
from understudy.core.weights import WeightStore
from understudy.v1 import job_pb2


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons on `tmp_path / "state"`, and leaves none behind."""
    made: list[Daemon] = []

    def make(*arguments: str, state: Path | None = None, **options) -> Daemon:
        made.append(Daemon(state or tmp_path / "state", *arguments, **options))
        return made[-1]

    yield make
    for daemon in made:
        if daemon.process is not None:
            daemon.kill()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for a module's tests that leave it well."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1500 small pictures: a job on them takes long enough to be interrupted, and no picture takes long."""
    path = tmp_path_factory.mktemp("video") / "clip.mkv"
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(1500):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.fixture
def ingest(video: Path, tmp_path: Path) -> Callable[..., job_pb2.JobSpec]:
    """Specs of ingests of `video` into `tmp_path`."""

    def spec(name: str = "plate", count: int = 1500) -> job_pb2.JobSpec:
        frames = [{"first": 1001, "last": 1000 + count}]
        pattern = str(tmp_path / name / "plate.%04d.exr")
        return job_pb2.JobSpec(ingest=job_pb2.IngestSpec(video=str(video), pattern=pattern, frames=frames))

    return spec


@pytest.fixture(scope="session")
def weights_arguments(weight_store: WeightStore) -> tuple[str, ...]:
    """For daemons that detect faces."""
    return ("--weights-cache", str(weight_store.cache))
