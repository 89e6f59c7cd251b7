"""What malice sends: messages that are none, and paths that lead elsewhere. Nothing of it may be a fault of ours."""

from __future__ import annotations

import os
import random
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import OpenImageIO as oiio  # noqa: N813
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.daemon.listening import SECONDS, Listener, Place, jobs, listening, system
from tests.daemon.support import refusal
from understudy.daemon.limits import Limits
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import (
    common_pb2,
    job_pb2,
    plate_pb2,
    plate_pb2_grpc,
    preview_pb2,
    resource_pb2,
    resource_pb2_grpc,
    segment_pb2,
    system_pb2,
)

MESSAGES = 400
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
LONG = {"/understudy.v1.JobService/WatchJob", "/understudy.v1.JobService/WaitJob"}
SECRET = "a secret that nobody may read"
CODES = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """A daemon with one root, `in`, beside which there is `out`."""
    folder = tmp_path_factory.mktemp("attacks")
    for name in ("in", "out", "in/sub", "weights"):
        (folder / name).mkdir()
    (folder / "out" / "secret.json").write_text(SECRET)
    (folder / "out" / "plate.1001.exr").write_text(SECRET)
    roots = Roots(read=(folder / "in",), write=(folder / "in",))
    site = Site(roots=roots, weights_cache=folder / "weights", limits=Limits(jobs=40, frames_per_job=1000))
    with listening(Place.at(folder), site=site, tcp="") as listener:
        yield listener


def methods() -> dict[str, tuple[type[Message], bool]]:
    """Every rpc: its request and whether it answers in a stream."""
    return {
        f"/{service.full_name}/{method.name}": (
            message_factory.GetMessageClass(method.input_type),
            method.server_streaming,
        )
        for module in (job_pb2, plate_pb2, preview_pb2, resource_pb2, segment_pb2, system_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def code(channel: grpc.Channel, method: str, raw: bytes, *, streams: bool) -> grpc.StatusCode:
    """What comes back for these bytes."""
    opened: Any = channel
    call = opened.unary_stream(method) if streams else opened.unary_unary(method).with_call
    try:
        list(call(raw, timeout=SECONDS))
    except grpc.RpcError as error:
        found: grpc.StatusCode = error.code()
        return found
    return grpc.StatusCode.OK


class Fuzz:
    """Messages of the contract with nonsense in them, and bytes that are none; the same for a seed."""

    TEXTS = (
        "",
        "x",
        "/",
        "/in",
        "\0",
        "a\nb",
        "/" + "a" * 300,
        "../../etc",
        "%d",
        "####",
        "é" * 40,
        "{}",
        "-1",
        "auto",
    )
    NUMBERS = (0, 1, -1, 2, 31, 2**31 - 1, -(2**31))
    LARGE = (0, 1, -1, 2**62, -(2**63), 2**63 - 1)

    def __init__(self, seed: int, folder: Path) -> None:
        self._random = random.Random(seed)
        self._texts = (
            *self.TEXTS,
            str(folder / "in"),
            str(folder / "in" / "p.####.exr"),
            str(uuid.UUID(int=seed)),
        )

    def bytes(self, kind: type[Message]) -> bytes:
        raw = bytearray(self._message(kind.DESCRIPTOR, kind()).SerializeToString())
        for _ in range(self._random.choice((0, 0, 1, 4))):
            at = self._random.randrange(len(raw) + 1)
            match self._random.randrange(3):
                case 0:
                    raw[at:at] = self._random.randbytes(self._random.randrange(1, 9))
                case 1:
                    del raw[at:]
                case _:
                    raw[at : at + 1] = self._random.randbytes(1)
        return bytes(raw)

    def _message(self, descriptor: Any, message: Any, depth: int = 0) -> Any:
        for field in descriptor.fields:
            if self._random.random() < (0.5 if depth < 5 else 0.1):
                self._fill(field, message, depth)
        return message

    def _fill(self, field: FieldDescriptor, message: Any, depth: int) -> None:
        there = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                there[self._random.choice(self._texts).replace("\0", "")] = self._random.choice(self._texts)
        elif field.message_type is not None and depth < 6:
            inner = there.add() if hasattr(there, "add") else there
            self._message(field.message_type, inner, depth + 1)
        elif field.message_type is None:
            value = self._value(field)
            if hasattr(there, "append"):
                there.append(value)
            else:
                setattr(message, field.name, value)

    def _value(self, field: FieldDescriptor) -> Any:
        of = self._random.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return of(self._texts)
            case FieldDescriptor.CPPTYPE_BOOL:
                return of((True, False))
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return of((0.0, -1.0, 0.5, 1e30, float("inf"), float("nan")))
            case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
                return of((0, 1, 2**32 - 1))
            case FieldDescriptor.CPPTYPE_ENUM:
                return of((0, 1, 2, 99))
            case FieldDescriptor.CPPTYPE_INT32:
                return of(self.NUMBERS)
            case _:
                return of(self.LARGE)


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


def attacks(folder: Path) -> dict[str, str]:
    """Paths that must not be read, by what they try; links and pipes are made."""
    inside, outside = folder / "in", folder / "out"
    links = {
        "out": outside,
        "secret.json": outside / "secret.json",
        "root": Path("/"),
        "proc": Path("/proc/self"),
    }
    for name, target in links.items():
        if not (inside / name).is_symlink():
            (inside / name).symlink_to(target)
    if not (inside / "chain").is_symlink():
        (inside / "chain").symlink_to(inside / "sub" / ".." / "out")
        (inside / "loop").symlink_to(inside / "loop")
        os.mkfifo(inside / "pipe.json")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(inside / "s.json"))
    return {
        "plainly outside": str(outside / "secret.json"),
        "dots": f"{inside}/../out/secret.json",
        "dots twice": f"{inside}/sub/../../out/secret.json",
        "dots behind nothing": f"{inside}/none/../../out/secret.json",
        "dots and slashes": f"{inside}//..//out///secret.json",
        "to the root": f"{inside}/../../../../../../../../etc/passwd",
        "a link to a folder": f"{inside}/out/secret.json",
        "a link to a file": f"{inside}/secret.json",
        "a link to a link": f"{inside}/chain/secret.json",
        "a link to the root": f"{inside}/root/etc/passwd",
        "a link to a process": f"{inside}/proc/environ",
        "a link and dots": f"{inside}/out/../in/../out/secret.json",
        "a prefix that is no folder": f"{inside}side/secret.json",
        "a pipe": f"{inside}/pipe.json",
        "a socket": f"{inside}/s.json",
        "the kernel": "/proc/self/environ",
        "our own memory": "/proc/self/mem",
        "our own descriptors": "/proc/self/fd/0",
        "a device without end": "/dev/zero",
        "a device": "/dev/stdin",
        "a setting of the kernel": "/sys/kernel/mm",
        "nothing": "",
        "relative": "in/a.json",
        "dots alone": "..",
        "home": "~/a.json",
        "a variable": "$HOME/a.json",
        "an url": "file:///etc/passwd",
        "a share": r"\\server\share\a.json",
        "a drive": r"C:\a.json",
        "NUL": f"{inside}/a\0.json",
        "NUL in front of a suffix": f"{outside}/secret.json\0.json",
        "a new line": f"{inside}/a\n.json",
        "an escape": f"{inside}/a\x1b[2J.json",
        "a long name": f"{inside}/{'a' * 256}.json",
        "a long path": f"{inside}/{'a/' * 2100}a.json",
        "the root itself": "/",
    }


def test_no_path_leads_out_of_the_roots(listener: Listener):
    folder = listener.place.folder
    releases = resource_pb2_grpc.ReleaseServiceStub(listener.local())
    facesets = resource_pb2_grpc.FacesetServiceStub(listener.local())
    made = resource_pb2.Release(subject="performer-a", kind="test", granted_by="test clip")
    for name, path in attacks(folder).items():
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
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["plate.1001.exr", "secret.json"]


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
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["plate.1001.exr", "secret.json"]


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
    site = Site(weights_cache=tmp_path, limits=Limits(jobs_per_user=2, frames_per_job=100))
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
            start(0, 1101)
        found, reason, metadata = refusal(error.value)
        assert (found, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
        assert (metadata["field"], metadata["value"]) == ("ingest.frames", "101")
        first = start(1, 1100)
        start(2, 1100)
        with pytest.raises(grpc.RpcError) as error:
            start(3, 1100)
        assert refusal(error.value)[1] == "LIMIT_REACHED"
        stub.CancelJob(job_pb2.CancelJobRequest(id=first.id), timeout=SECONDS)
        ended = job_pb2.WaitJobRequest(id=first.id)
        assert stub.WaitJob(ended, timeout=SECONDS).job.state == job_pb2.JOB_STATE_CANCELLED
        start(3, 1100)


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
