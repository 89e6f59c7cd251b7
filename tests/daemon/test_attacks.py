"""What malice sends: messages that are none, and paths that lead elsewhere. Nothing of it may be a fault of ours."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import OpenImageIO as oiio  # noqa: N813
import pytest

from bench.hostile import FAULTS, LAID, LONG, SECRET, Fuzz, attacks, code, lay, methods, more
from tests.daemon.listening import SECONDS, Listener, Place, jobs, listening, system
from tests.daemon.support import refusal
from understudy.daemon.limits import Limits
from understudy.daemon.paths import Roots
from understudy.daemon.settings import Scratch
from understudy.daemon.site import Site
from understudy.v1 import (
    common_pb2,
    job_pb2,
    plate_pb2,
    plate_pb2_grpc,
    recipe_pb2,
    recipe_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    system_pb2,
)

MESSAGES = 400
CODES = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """A daemon with one root, `in`, beside which there is `out`."""
    folder = tmp_path_factory.mktemp("attacks")
    root = lay(folder)
    roots = Roots(read=(root,), write=(root,))
    (folder / "scratch").mkdir()
    site = Site(
        roots=roots,
        weights_cache=folder / "weights",
        limits=Limits(jobs=40, frames_per_job=1000),
        scratch=Scratch(folder=folder / "scratch"),
    )
    with listening(Place.at(folder), site=site, tcp="") as listener:
        yield listener


@pytest.mark.parametrize("seed", range(4))
def test_no_message_is_a_fault_of_the_daemon(listener: Listener, seed: int):
    fuzz, channel = Fuzz(seed, listener.place.folder), listener.local()
    table = sorted((name, *of) for name, of in methods().items() if name not in LONG)
    found = []
    for turn in range(MESSAGES // 4):
        method, kind, streams = table[turn % len(table)]
        raw = fuzz.bytes(kind)
        found.append(code(channel, method, raw, streams=streams))
        assert found[-1] not in FAULTS, (method, raw)
    assert found.count(grpc.StatusCode.INVALID_ARGUMENT) > len(found) // 4
    assert system(channel).GetInfo(system_pb2.GetInfoRequest(), timeout=SECONDS).version


@pytest.mark.parametrize("method", sorted(methods()))
def test_bytes_that_are_no_message_are_invalid(listener: Listener, method: str):
    _, streams = methods()[method]
    channel = listener.local()
    nested = b"\x0a\x7f" * 200
    answers = [code(channel, method, raw, streams=streams) for raw in (b"\xff" * 40, b"\x0a\xff", nested)]
    assert set(answers) <= {grpc.StatusCode.INVALID_ARGUMENT}, answers


def test_a_choice_that_there_is_not_is_invalid(listener: Listener):
    stub = recipe_pb2_grpc.RecipeServiceStub(listener.local())
    request = recipe_pb2.GetRecipeRequest()
    key = request.changes.erode.keys.keys.add()
    key.interpolation = cast("Any", 99)
    with pytest.raises(grpc.RpcError) as error:
        stub.GetRecipe(request, timeout=SECONDS)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_no_path_leads_out_of_the_roots(listener: Listener):
    folder = listener.place.folder
    releases = resource_pb2_grpc.ReleaseServiceStub(listener.local())
    facesets = resource_pb2_grpc.FacesetServiceStub(listener.local())
    made = resource_pb2.Release(subject="performer-a", kind="test", granted_by="test clip")
    for name, path in (attacks(folder) | more(folder)).items():
        for call in (
            lambda path=path: releases.GetRelease(resource_pb2.GetReleaseRequest(path=path), timeout=SECONDS),
            lambda path=path: releases.CreateRelease(
                resource_pb2.CreateReleaseRequest(path=path, release=made), timeout=SECONDS
            ),
            lambda path=path: facesets.GetFaceset(resource_pb2.GetFacesetRequest(path=path), timeout=SECONDS),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call()
            found, _, metadata = refusal(error.value)
            assert found in CODES, (name, error.value)
            assert metadata["field"] == "path", name
            assert SECRET not in str(error.value), name
    assert (folder / "out" / "secret.json").read_text() == SECRET
    assert sorted(p.name for p in (folder / "out").iterdir()) == sorted(LAID)


def test_no_job_takes_such_a_path(listener: Listener):
    folder = listener.place.folder
    stub = jobs(listener.local())
    for name, path in attacks(folder).items():
        specs = (
            job_pb2.JobSpec(torture={"folder": path}),
            job_pb2.JobSpec(plot_history={"model": path, "output": str(folder / "in" / "p.png")}),
            job_pb2.JobSpec(check_plate={"plate": {"pattern": f"{path}.####.exr" if path else ""}}),
        )
        for spec in specs:
            request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec)
            with pytest.raises(grpc.RpcError) as error:
                stub.StartJob(request, timeout=SECONDS)
            allowed = CODES | {grpc.StatusCode.NOT_FOUND} if path.startswith(f"{folder}/in/") else CODES
            assert error.value.code() in allowed, (name, spec, error.value)
            assert SECRET not in str(error.value)
    assert sorted(p.name for p in (folder / "out").iterdir()) == sorted(LAID)


def test_a_loop_of_links_is_refused_and_holds_nobody_up(listener: Listener):
    attacks(listener.place.folder)
    path = str(listener.place.folder / "in" / "loop")
    facesets = resource_pb2_grpc.FacesetServiceStub(listener.local())
    with pytest.raises(grpc.RpcError) as error:
        facesets.GetFaceset(resource_pb2.GetFacesetRequest(path=path), timeout=SECONDS)
    assert error.value.code() not in FAULTS


def test_without_roots_devices_and_pipes_are_refused_too(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    with listening(Place.at(tmp_path), tcp="") as listener:
        releases = resource_pb2_grpc.ReleaseServiceStub(listener.local())
        for path in (tmp_path / "pipe.json", tmp_path / "zero.json", "/proc/self/environ", "/dev/urandom"):
            with pytest.raises(grpc.RpcError) as error:
                releases.GetRelease(resource_pb2.GetReleaseRequest(path=str(path)), timeout=SECONDS)
            assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_jobs_of_a_user_and_frames_of_a_job_are_limited(tmp_path: Path, video: Path):
    site = Site(weights_cache=tmp_path, limits=Limits(jobs_per_user=2, frames_per_job=1000))
    place = Place.at(tmp_path)
    with listening(place, site=site, tcp="") as listener:
        stub = jobs(listener.local())

        def start(number: int, last: int) -> job_pb2.Job:
            spec = job_pb2.IngestSpec(
                video=str(video),
                pattern=str(tmp_path / f"{number}" / "p.%04d.exr"),
                frames=[common_pb2.FrameSegment(first=1001, last=last)],
            )
            request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec={"ingest": spec})
            answer = stub.StartJob(request, timeout=SECONDS)
            stub.PauseJob(job_pb2.PauseJobRequest(id=answer.job.id), timeout=SECONDS)
            job = answer.job
            assert isinstance(job, job_pb2.Job)
            return job

        with pytest.raises(grpc.RpcError) as error:
            start(0, 2001)
        found, reason, metadata = refusal(error.value)
        assert (found, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
        assert (metadata["field"], metadata["value"]) == ("ingest.frames", "1001")
        first = start(1, 2000)
        start(2, 2000)
        with pytest.raises(grpc.RpcError) as error:
            start(3, 2000)
        assert refusal(error.value)[1] == "LIMIT_REACHED"
        stub.CancelJob(job_pb2.CancelJobRequest(id=first.id), timeout=SECONDS)
        ended = job_pb2.WaitJobRequest(id=first.id)
        assert stub.WaitJob(ended, timeout=SECONDS).job.state == job_pb2.JOB_STATE_CANCELLED
        start(3, 2000)


@pytest.mark.parametrize(
    ("limits", "name"), [({"pixels": 64 * 48 - 1}, "pixels"), ({"channels": 4}, "channels")]
)
def test_a_plate_that_is_too_large_is_refused_by_its_header(
    tmp_path: Path, limits: dict[str, int], name: str
):
    spec = oiio.ImageSpec(64, 48, 5, "half")
    assert oiio.ImageBuf(spec).write(str(tmp_path / "p.1001.exr"))
    request = plate_pb2.GetPlateRequest(plate={"pattern": str(tmp_path / "p.####.exr")})
    with listening(
        Place.at(tmp_path), site=Site(weights_cache=tmp_path, limits=Limits(**limits)), tcp=""
    ) as listener:
        stub = plate_pb2_grpc.PlateServiceStub(listener.local())
        with pytest.raises(grpc.RpcError) as error:
            stub.GetPlate(request, timeout=SECONDS)
        assert refusal(error.value)[1] == "LIMIT_REACHED"
        assert f"limits.{name}" in (error.value.details() or "")
    (tmp_path / "again").mkdir()
    with listening(Place.at(tmp_path / "again"), site=Site(weights_cache=tmp_path), tcp="") as listener:
        stub = plate_pb2_grpc.PlateServiceStub(listener.local())
        assert stub.GetPlate(request, timeout=SECONDS).plate.count == 1
