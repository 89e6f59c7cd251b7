"""Messages that are none, messages that are too large, and paths that lead elsewhere: each must be refused."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable

import grpc

from bench import hostile
from bench.soak.host import SECONDS, Gauge, Host
from bench.soak.part import Found, Given
from understudy.v1 import job_pb2, resource_pb2, system_pb2
from understudy.v1.resource_pb2_grpc import FacesetServiceStub, ReleaseServiceStub
from understudy.v1.system_pb2_grpc import SystemServiceStub

NO, TOO_MUCH = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
HUGE = (4 << 20) + 1  # bytes, of which the daemon takes one less
HUGE_EVERY = 20
NO_MESSAGE = (b"\xff" * 40, b"\x0a\xff", b"\x0a\x7f" * 200)
LIMITS = "[limits]\njobs = 40\nframes_per_job = 1000\n"


def fuzz(given: Given) -> Found:
    """Messages with nonsense in them, bytes that are none, and some too large; no answer may be a fault of ours."""
    found = Found()
    root = hostile.lay(given.folder / "place")
    host = _host(given).start()
    table = sorted((name, *of) for name, of in hostile.methods().items() if name not in hostile.LONG)
    fuzzed = hostile.Fuzz(given.chance.randrange(1 << 30), root.parent)
    codes: Counter[str] = Counter()
    refused = asked = 0
    try:
        with Gauge(host).running() as gauge:
            for turn in range(given.count):
                method, kind, streams = table[turn % len(table)]
                raw = fuzzed.bytes(kind)
                code = hostile.code(host.channel, method, raw, streams=streams)
                codes[code.name] += 1
                if code in hostile.FAULTS:
                    found.fault(f"{method} of {raw!r}: {code.name}")
                bad = NO_MESSAGE[turn % len(NO_MESSAGE)] if turn % HUGE_EVERY else b"\x0a" * HUGE
                code = hostile.code(host.channel, method, bad, streams=streams)
                asked += 1
                refused += code is (TOO_MUCH if turn % HUGE_EVERY == 0 else NO)
                if code not in (NO, TOO_MUCH):
                    found.fault(f"{method} of {len(bad)} bytes that are no message: {code.name}")
            system = SystemServiceStub(host.channel)  # type: ignore[no-untyped-call]
            assert system.GetInfo(system_pb2.GetInfoRequest(), timeout=SECONDS).version
        found.taken = gauge.taken()
        found.refused = (refused, asked)
        told = ", ".join(f"{name} {count}" for name, count in codes.most_common())
        found.count = f"{given.count} fuzzed ({told}) and {asked} that are none or above 4 MiB"
        host.end()
    finally:
        host.close()
    return found


def paths(given: Given) -> Found:
    """Paths that lead out of the roots, to devices or nowhere, in fields that are read and that are written."""
    found = Found()
    root = hostile.lay(given.folder / "place")
    host = _host(given).start()
    forms = hostile.attacks(root.parent) | hostile.more(root.parent)
    chosen = dict(list(forms.items())[: given.count])
    refused = asked = 0
    try:
        with Gauge(host).running() as gauge:
            for name, path in chosen.items():
                for code, text in _tried(host, path, root.parent):
                    asked += 1
                    good = code not in (None, *hostile.FAULTS) and hostile.SECRET not in text
                    refused += good
                    if not good:
                        found.fault(f"{name}: {path}: {code} {text}")
        found.taken = gauge.taken()
        there = sorted(path.name for path in (root.parent / "out").iterdir())
        if there != sorted(hostile.LAID) or any(
            (root.parent / "out" / name).read_text() != hostile.SECRET for name in there
        ):
            found.fault(f"beside the root was written: {there}")
        found.refused = (refused, asked)
        found.count = f"{len(set(chosen.values()))} forms in {asked} requests"
        host.end()
    finally:
        host.close()
    return found


def _host(given: Given) -> Host:
    """A daemon with one root."""
    place = given.folder / "place"
    config = given.folder / "daemon.toml"
    config.write_text(f'{LIMITS}[roots]\nread = ["{place}/in"]\nwrite = ["{place}/in"]\n')
    return Host(given.folder, "--config", str(config), "--weights-cache", str(place / "weights"))


def _tried(host: Host, path: str, folder: object) -> list[tuple[grpc.StatusCode | None, str]]:
    """A path where releases are read and written, where a faceset is read, and in the specs of jobs."""
    releases, facesets = ReleaseServiceStub(host.channel), FacesetServiceStub(host.channel)  # type: ignore[no-untyped-call]
    made = resource_pb2.Release(subject="performer-a", kind="test", granted_by="test clip")
    specs = (
        job_pb2.JobSpec(torture={"folder": path}),
        job_pb2.JobSpec(plot_history={"model": path, "output": f"{folder}/in/p.png"}),
        job_pb2.JobSpec(check_plate={"plate": {"pattern": f"{path}.####.exr" if path else ""}}),
    )
    calls = [
        (releases.GetRelease, resource_pb2.GetReleaseRequest(path=path)),
        (releases.CreateRelease, resource_pb2.CreateReleaseRequest(path=path, release=made)),
        (facesets.GetFaceset, resource_pb2.GetFacesetRequest(path=path)),
        *(
            (host.jobs.StartJob, job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec))
            for spec in specs
        ),
    ]
    return [_answer(call, request) for call, request in calls]


def _answer(call: Callable[..., object], request: object) -> tuple[grpc.StatusCode | None, str]:
    """Code and words of a refusal; None where it was none."""
    try:
        return None, str(call(request, timeout=SECONDS))
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
