"""Previews from a real daemon: of a running training's weights, beside other jobs, and of an idle worker."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import grpc
import numpy as np
import pytest

from tests.core import shots
from tests.core.shots import make_release
from tests.daemon import facesets, models
from tests.daemon.support import Daemon, refusal, until
from understudy.core import plate, release
from understudy.daemon.asks import Grid
from understudy.daemon.errors import WorkerDied
from understudy.daemon.previews import Previews
from understudy.daemon.process import Gone
from understudy.v1 import job_pb2, preview_pb2
from understudy.v1.preview_pb2_grpc import PreviewServiceStub

SOON = 240.0
RUNNING = job_pb2.JOB_STATE_RUNNING


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> shots.Shot:
    return shots.make(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.make(tmp_path / "model", releases=(make_release(),), working_space="")


@pytest.fixture
def training(tmp_path: Path, model: Path) -> job_pb2.JobSpec:
    for name in ("src", "dst"):
        facesets.make(tmp_path / name)
    release.write(make_release(), tmp_path / "src" / "release.json")
    paths = {"model": str(model), "src": str(tmp_path / "src"), "dst": str(tmp_path / "dst")}
    return job_pb2.JobSpec(train={**paths, "target_iterations": 10**8, "batch_size": 6, "device": "cpu"})


def merge(scene: shots.Shot, model: Path, **more) -> job_pb2.MergeSpec:
    return job_pb2.MergeSpec(
        plate={"pattern": scene.plate.template.text, "colour_space": "ACEScg"},
        swaps=[{"faceset": str(scene.faceset), "model": str(model)}],
        device="cpu",
        **more,
    )


def told(stream: Iterator) -> tuple[preview_pb2.Preview, bytes]:
    """What a stream of parts says, and the file."""
    parts = list(stream)
    assert [part.WhichOneof("part") for part in parts] == ["preview"] + ["data"] * (len(parts) - 1)
    data = b"".join(part.data for part in parts[1:])
    assert parts[0].preview.size_bytes == len(data)
    return parts[0].preview, data


def show(daemon: Daemon, spec: job_pb2.MergeSpec, frame: int = shots.FIRST, timeout: float = SOON, **more):
    request = preview_pb2.PreviewFrameRequest(merge=spec, frame=frame, **more)
    return told(PreviewServiceStub(daemon.channel).PreviewFrame(request, timeout=timeout))


def grid(daemon: Daemon, model: Path, timeout: float = SOON):
    request = preview_pb2.PreviewTrainingRequest(model=str(model))
    return told(PreviewServiceStub(daemon.channel).PreviewTraining(request, timeout=timeout))


def picture(data: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, str | None]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    code, reason, metadata = refusal(error.value)
    return code, reason, metadata.get("field")


def begun(daemon: Daemon, job: str) -> None:
    until(lambda: daemon.job(job).training.iteration > 0, SOON)
    assert daemon.job(job).state == RUNNING


def cancel(daemon: Daemon, job: str) -> None:
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job))
    assert daemon.wait(job).state == job_pb2.JOB_STATE_CANCELLED


def test_a_training_is_looked_at_while_it_runs(
    daemon: Daemon, scene: shots.Shot, training: job_pb2.JobSpec, model: Path
):
    job = daemon.submit(training).id
    begun(daemon, job)
    worker = daemon.worker()
    about, data = grid(daemon, model)
    assert about.live
    assert picture(data).shape[0] > 9 * 64
    first, one = show(daemon, merge(scene, model))
    second, other = show(daemon, merge(scene, model))
    assert first.live
    assert first.faces == 1
    assert second.iteration > first.iteration >= about.iteration > 0
    assert picture(one).shape == picture(other).shape
    assert (picture(one) != picture(other)).any()  # it has learnt
    small = picture(show(daemon, merge(scene, model), size=40)[1])
    assert max(small.shape) == 40
    assert daemon.worker() == worker
    assert daemon.job(job).state == RUNNING
    cancel(daemon, job)
    assert refused(lambda: grid(daemon, model)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "JOB_STATE",
        "model",
    )


def test_without_a_training_it_is_a_merge_by_the_checkpoint(
    daemon: Daemon, scene: shots.Shot, model: Path, tmp_path: Path
):
    about, data = show(daemon, merge(scene, model), format=preview_pb2.PREVIEW_FORMAT_EXR)
    assert not about.live
    path = tmp_path / "shown.exr"
    path.write_bytes(data)
    assert "mask_blend.A" in plate.read_file(path, shots.FIRST).planes
    again, same = show(daemon, merge(scene, model), format=preview_pb2.PREVIEW_FORMAT_EXR)
    assert again == about
    assert len(same) == len(data)


def test_between_the_frames_of_another_job(daemon: Daemon, scene: shots.Shot, model: Path, ingest):
    job = daemon.submit(ingest()).id
    daemon.until_frames(job, 1)
    about, _ = show(daemon, merge(scene, model))
    assert about.faces == 1
    cancel(daemon, job)


def test_the_last_ask_of_an_asker_holds(
    daemon: Daemon, scene: shots.Shot, training: job_pb2.JobSpec, model: Path
):
    job = daemon.submit(training).id
    begun(daemon, job)
    os.kill(daemon.worker(), signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as threads:
            mine = [
                threads.submit(show, daemon, merge(scene, model), frame, asker="viewer")
                for frame in (shots.FIRST, shots.FIRST + 1)
            ]
            other = threads.submit(show, daemon, merge(scene, model), asker="another")
            (first,) = until(lambda: [each for each in mine if each.done()], SOON)
            assert refused(first.result)[1] == "SUPERSEDED"
            os.kill(daemon.worker(), signal.SIGCONT)
            (last,) = (each for each in mine if each is not first)
            assert last.result(SOON)[0].live
            assert other.result(SOON)[0].live
    finally:
        os.kill(daemon.worker(), signal.SIGCONT)
    cancel(daemon, job)


def test_a_deadline_and_a_cancel_end_the_waiting(
    daemon: Daemon, scene: shots.Shot, training: job_pb2.JobSpec, model: Path
):
    job = daemon.submit(training).id
    begun(daemon, job)
    os.kill(daemon.worker(), signal.SIGSTOP)
    try:
        with pytest.raises(grpc.RpcError) as late:
            show(daemon, merge(scene, model), timeout=1.0)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        request = preview_pb2.PreviewFrameRequest(merge=merge(scene, model), frame=shots.FIRST)
        streams = [PreviewServiceStub(daemon.channel).PreviewFrame(request, timeout=SOON) for _ in range(30)]
        ends = [threading.Thread(target=_to_the_end, args=(stream,)) for stream in streams]
        for each in ends:
            each.start()
        for stream in streams:
            stream.cancel()
        for each in ends:
            each.join(SOON)
    finally:
        os.kill(daemon.worker(), signal.SIGCONT)
    found = until(lambda: _taken(daemon, scene, model), SOON)
    assert found is not None
    assert found.live  # nobody waits any more: there are seats
    cancel(daemon, job)


def _taken(daemon: Daemon, scene: shots.Shot, model: Path) -> preview_pb2.Preview | None:
    try:
        about: preview_pb2.Preview = show(daemon, merge(scene, model))[0]
        return about
    except grpc.RpcError as error:
        if refusal(error)[1] != "LIMIT_REACHED":
            raise
        return None


def _to_the_end(stream: Iterator) -> None:
    with suppress(grpc.RpcError):  # cancelled, or refused because there are too many
        list(stream)


def test_a_flood_is_refused_and_a_dead_worker_told(
    daemon: Daemon, scene: shots.Shot, training: job_pb2.JobSpec, model: Path
):
    job = daemon.submit(training).id
    begun(daemon, job)
    os.kill(daemon.worker(), signal.SIGSTOP)
    with ThreadPoolExecutor(20) as threads:
        asks = [threads.submit(show, daemon, merge(scene, model)) for _ in range(20)]
        full = until(lambda: [each for each in asks if each.done()], SOON)
        until(lambda: len([each for each in asks if each.done()]) >= 12, SOON)
        assert all(refused(each.result)[1] == "LIMIT_REACHED" for each in full)
        os.kill(daemon.worker(), signal.SIGKILL)
        left = [each for each in asks if each not in full and each.exception(SOON) is None]
        assert len(left) == 8  # the next worker makes them
    cancel(daemon, job)


def test_an_ask_under_which_two_workers_died_ends():
    previews = Previews(lambda: None)
    with ThreadPoolExecutor(1) as threads:
        ask = threads.submit(previews.ask, Grid(Path("/no/model")), ("me", ""), SOON, lambda _: True)
        for pid in (1, 2):
            sent: list[object] = []
            worker = cast("Any", SimpleNamespace(pid=pid, send=sent.append))
            assert not ask.done()  # one may have died of something else
            with suppress(Gone), previews.served_by("cpu:0", worker, idle=True):
                until(partial(bool, sent))
                raise Gone("it was killed by signal 9")
        with pytest.raises(WorkerDied):
            ask.result(SOON)
    assert not previews.unsent


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"frame": 99}, "INVALID_INPUT", "frame"),
        ({"size": -1}, "INVALID_INPUT", "size"),
        ({"format": 9}, "INVALID_INPUT", "format"),
        ({"asker": "a" * 101}, "INVALID_INPUT", "asker"),
    ],
)
def test_what_cannot_be_is_refused(daemon: Daemon, scene: shots.Shot, model: Path, change, reason, field):
    assert refused(lambda: show(daemon, merge(scene, model), **change))[1:] == (reason, field)


def test_a_model_without_a_release_is_refused(daemon: Daemon, scene: shots.Shot, tmp_path: Path):
    free = models.make(tmp_path / "free", working_space="")
    assert refused(lambda: show(daemon, merge(scene, free)))[1] == "RELEASE_MISSING"


def test_of_several_workers_the_training_one_shows_its_model_and_an_idle_one_the_rest(
    make_daemon: Callable[..., Daemon],
    scene: shots.Shot,
    training: job_pb2.JobSpec,
    model: Path,
    tmp_path: Path,
):
    two = make_daemon("--workers", "2").start()
    other = models.make(tmp_path / "other", releases=(make_release(),), working_space="")
    job = two.submit(training).id
    begun(two, job)
    (trains,) = two.workers()
    assert show(two, merge(scene, model))[0].live
    assert grid(two, model)[0].live
    assert two.workers() == {trains}  # nobody else was needed
    assert not show(two, merge(scene, other))[0].live
    (idle,) = two.workers() - {trains}
    os.kill(idle, signal.SIGKILL)
    assert not show(two, merge(scene, other))[0].live  # by the next worker of that slot
    assert show(two, merge(scene, model))[0].live
    cancel(two, job)
    assert not show(two, merge(scene, model))[0].live


def test_where_all_workers_have_a_job_one_shows_it_between_reports(
    make_daemon: Callable[..., Daemon],
    scene: shots.Shot,
    training: job_pb2.JobSpec,
    model: Path,
    tmp_path: Path,
    ingest,
):
    two = make_daemon("--workers", "2").start()
    first = two.submit(training).id
    begun(two, first)
    second = two.submit(ingest("second", count=400)).id
    two.until_frames(second, 2)
    other = models.make(tmp_path / "other", releases=(make_release(),), working_space="")
    assert not show(two, merge(scene, other))[0].live
    assert len(two.workers()) == 2
    cancel(two, first)
