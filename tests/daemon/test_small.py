"""Paths, page tokens, the meter, the error catalogue, and what the server must never import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from understudy.core import errors as core_errors
from understudy.core.errors import InvalidInput, UnderstudyError
from understudy.core.frames import FrameRange
from understudy.core.reports import Advanced, Artifact, FrameReport, FrameStatus, Started, TrainReport, Warned
from understudy.daemon import arguments, encode, errors, paging
from understudy.daemon.config import DaemonConfig
from understudy.daemon.errors import PathNotAllowed
from understudy.daemon.meter import Meter
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import common_pb2, job_pb2


def all_of(kind: type[UnderstudyError]) -> set[type[UnderstudyError]]:
    """The class and all that come from it."""
    return {kind}.union(*map(all_of, kind.__subclasses__()))


def test_catalogue_enum_and_errors_are_the_same_set():
    wire = {name.removeprefix("ERROR_REASON_") for name, number in common_pb2.ErrorReason.items() if number}
    raised = {
        kind.reason
        for kind in all_of(UnderstudyError)
        if kind.__module__ in (core_errors.__name__, errors.__name__)
    }
    reported = {"VERIFY_FAILED"}  # of frames only, never raised
    assert set(errors.CODES) == wire
    assert raised | reported == wire


def test_status_carries_reason_metadata_and_the_field():
    error = InvalidInput("size: 3 is too small", field="extract.size", value=3)
    status = errors.status(error)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(request)
    assert (info.reason, info.domain) == ("INVALID_INPUT", "understudy")
    assert dict(info.metadata) == {"field": "extract.size", "value": "3"}
    assert request.field_violations[0].field == "extract.size"
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.mark.parametrize("path", ["", "relative/file", "~/home", "/with\0nul"])
def test_paths_that_cannot_be_are_refused_by_field(path: str):
    with pytest.raises(InvalidInput) as refused:
        Roots().readable(path, "extract.faceset")
    assert refused.value.field == "extract.faceset"


def test_links_and_dots_do_not_lead_out_of_a_root(tmp_path: Path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "loop").symlink_to(inside / "loop")
    roots = Roots(read=(inside,), write=(inside,))
    assert roots.readable(inside / "a" / "b", "f") == inside / "a" / "b"
    for bad in (outside, inside / "link" / "x", inside / ".." / "out", tmp_path / "inner", Path("/")):
        with pytest.raises(PathNotAllowed) as refused:
            roots.writable(str(bad), "merge.output")
        assert refused.value.field == "merge.output"
        assert str(bad) in refused.value.message
    (inside / "frame.1001.exr").symlink_to(outside / "frame.1001.exr")
    with pytest.raises(PathNotAllowed, match="a link to"):
        roots.readable_links([inside / "frame.1001.exr"], "plate")


def test_roots_given_as_links_still_hold_their_folders(tmp_path: Path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "alias").symlink_to(real)
    roots = Roots(read=(tmp_path / "alias",))
    assert roots.readable(real / "x", "f")
    assert roots.readable(tmp_path / "alias" / "x", "f")


def test_what_may_be_written_may_be_read(tmp_path: Path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    roots = Roots(read=(a,), write=(b,))
    assert roots.readable(b / "x", "f")
    with pytest.raises(PathNotAllowed):
        roots.writable(a / "x", "f")
    with pytest.raises(InvalidInput, match="--read-root"):
        Roots(read=(tmp_path / "nowhere",))


@given(st.integers(-(2**62), 2**62), st.text())
def test_page_tokens_come_back_and_belong_to_one_list(cursor: int, scope: str):
    token = paging.token(scope, cursor)
    assert paging.cursor(scope, token) == cursor
    with pytest.raises(InvalidInput):
        paging.cursor(scope + "x", token)


@given(st.text(min_size=1))
def test_any_other_text_is_no_page_token(text: str):
    with pytest.raises(InvalidInput) as refused:
        paging.cursor("jobs", text)
    assert refused.value.field == "page_token"


def test_page_sizes():
    assert [paging.size(n, 100, 1000) for n in (0, 5, 5000)] == [100, 5, 1000]
    with pytest.raises(InvalidInput, match="-1 is negative"):
        paging.size(-1, 100, 1000)


def test_a_page_fits_what_clients_take():
    small, large = job_pb2.Job(label="x"), job_pb2.Job(label="x" * (paging.MOST_BYTES + 1))
    assert paging.fitting([]) == 0
    assert paging.fitting([small] * 10) == 10
    assert paging.fitting([small, large, small]) == 1
    assert paging.fitting([large, small]) == 1  # never none, or a list would not end
    many = iter([job_pb2.Job(label="x" * 2**20) for _ in range(9)])
    assert len(paging.filled(many)) == 1
    assert len(list(many)) == 7  # no more were asked for than can go, and one


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(meter: Meter):
    return meter.tell().progress


def test_meter_of_frames():
    clock = Clock()
    meter = Meter(clock)
    meter.take(Started(total=10, skipped=4))
    for number in range(4):
        meter.take(FrameReport(frame=number, status=FrameStatus.SKIPPED))
    assert told(meter).done == 4
    for number in range(4, 7):
        clock.now += 2.0
        meter.take(FrameReport(frame=number, status=FrameStatus.DONE))
        meter.take(FrameReport(frame=number, status=FrameStatus.DONE))  # reported twice, done once
    progress = told(meter)
    assert (progress.done, progress.total, progress.unit) == (7, 10, "frame")
    assert progress.rate == pytest.approx(0.5)
    assert progress.remaining.ToTimedelta().total_seconds() == pytest.approx(6.0)
    assert progress.fraction == pytest.approx(0.7)


def test_meter_of_training_by_time_and_count():
    meter = Meter(Clock())
    meter.take(Started(total=1000, unit="iteration", seconds=100.0, skipped=100))
    assert told(meter).done == 100
    meter.take(TrainReport(iteration=200, seconds=80.0, losses={}, rate=10.0))
    progress = told(meter)
    assert progress.fraction == pytest.approx(0.8)  # time is nearer to its end
    assert progress.remaining.ToTimedelta().total_seconds() == pytest.approx(20.0)


def test_meter_of_a_set_of_plates():
    meter = Meter(Clock())
    meter.take(Started(total=3, unit="plate"))
    for kind in ("plate", "plate", "readme"):
        meter.take(Artifact(kind=kind, path=Path("/set")))
    progress = told(meter)
    assert (progress.done, progress.total, progress.unit) == (2, 3, "plate")


def test_meter_of_work_without_frames():
    clock = Clock()
    meter = Meter(clock)
    meter.take(Started(total=100, unit="face", skipped=20))
    meter.take(Advanced(done=20))
    clock.now += 2.0
    meter.take(Advanced(done=60))
    progress = told(meter)
    assert (progress.done, progress.total, progress.unit) == (60, 100, "face")
    assert progress.rate == pytest.approx(20.0)  # what was skipped took no time
    assert progress.remaining.ToTimedelta().total_seconds() == pytest.approx(2.0)
    assert encode.events(Advanced(done=60)) == []  # the meter alone tells of it, now and then


@pytest.mark.parametrize("frames", [True, False])
def test_meter_tells_seldom(frames: bool):
    clock = Clock()
    meter = Meter(clock)
    meter.take(Started(total=100))
    tells = 0
    for number in range(100):
        clock.now += 0.01
        meter.take(
            FrameReport(frame=number, status=FrameStatus.DONE) if frames else Advanced(done=number + 1)
        )
        if meter.due():
            meter.tell()
            tells += 1
    assert 3 <= tells <= 5
    assert meter.dirty


def test_every_frame_status_has_its_wire_state():
    for status in FrameStatus:
        assert encode.FRAME_STATES[status] == job_pb2.FrameState.Value(f"FRAME_STATE_{status.name}")
    assert encode.segments(FrameRange.of(1, 9, 2))[0].step == 2


def test_names_that_are_not_unicode_break_no_message():
    """A file's name or a header's text may be any bytes; Python keeps them as lone surrogates."""
    odd = "caf\udce9.exr"
    report = FrameReport(frame=1, status=FrameStatus.FAILED, reason="INTERNAL", message=odd, warnings=(odd,))
    assert encode.frame_report(report).error.message == r"caf\udce9.exr"
    for each in (
        Warned(reason="LEFTOVERS", message=odd),
        Artifact(kind="plate", path=Path(odd), layers=(odd,)),
    ):
        assert len(encode.events(each)) == 1
    error = InvalidInput(odd, path=odd, field="path", value=odd)
    assert errors.message(error).metadata["path"] == r"caf\udce9.exr"
    assert errors.status(error).message == r"caf\udce9.exr"


@pytest.mark.parametrize(
    "listen", ["tcp:localhost:50051", "0.0.0.0:50051", "unix:rel.sock", "unix:/" + "x" * 101]
)
def test_only_unix_sockets(tmp_path: Path, listen: str):
    with pytest.raises(InvalidInput) as refused:
        DaemonConfig(state=tmp_path, site=Site(weights_cache=tmp_path), listen=listen)
    assert refused.value.field == "listen"


def test_a_deep_state_folder_gets_a_short_socket(tmp_path: Path):
    deep = tmp_path / ("d" * 100)
    socket = DaemonConfig(state=deep, site=Site(weights_cache=tmp_path)).socket()
    assert len(os.fsencode(socket)) <= 100
    other = DaemonConfig(state=deep / "x", site=Site(weights_cache=tmp_path)).socket()
    assert socket != other


def settle(given: list[str], environment: dict[str, str]) -> DaemonConfig:
    return arguments.settled(arguments.parse(given), environment)


def test_arguments_come_before_the_environment(tmp_path: Path):
    environment = {
        "HOME": "/home/x",
        "OCIO": "/site/config.ocio",
        "XDG_STATE_HOME": "/s",
        "XDG_CACHE_HOME": "/c",
    }
    config = settle([], environment)
    assert config.state == Path("/s/understudy")
    assert config.site.colour_config == "/site/config.ocio"
    assert config.site.weights_cache == Path("/c/understudy/weights")
    environment["UNDERSTUDY_STATE"] = "/own"
    assert settle([], environment).state == Path("/own")
    config = settle(["--state", "/arg", "--colour-config", "ocio://default"], environment)
    assert (config.state, config.site.colour_config) == (Path("/arg"), "ocio://default")
    assert settle([], {"HOME": "/home/x"}).state == Path("/home/x/.local/state/understudy")


def test_the_server_never_imports_torch():
    code = "import sys, json; import understudy.daemon.server; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert "understudy.core.extract" in modules
    assert not {m for m in modules if m.split(".")[0] in ("torch", "tensorboard", "ai_edge_litert")}
