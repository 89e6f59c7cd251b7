"""Plates through the daemon: GetPlate, the jobs that check and that write the torture set, and who may read what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.core import ailing
from tests.daemon.support import SECONDS, Daemon, refusal
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.frames import FrameRange
from understudy.core.plate import Template
from understudy.daemon import decode
from understudy.daemon.decode import CheckPlate, Torture
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import common_pb2, job_pb2, plate_pb2


def get(daemon: Daemon, pattern: object, **ref) -> plate_pb2.Plate:
    request = plate_pb2.GetPlateRequest(plate=common_pb2.PlateRef(pattern=str(pattern), **ref))
    answer: plate_pb2.GetPlateResponse = daemon.plates.GetPlate(request, timeout=SECONDS)
    return answer.plate


def refused(daemon: Daemon, pattern: object, **ref) -> tuple[grpc.StatusCode, str, str]:
    with pytest.raises(grpc.RpcError) as error:
        get(daemon, pattern, **ref)
    code, reason, _ = refusal(error.value)
    assert isinstance(error.value, grpc.Call)
    return code, reason, error.value.details() or ""


def check(pattern: object, **ref) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(check_plate={"plate": {"pattern": str(pattern), **ref}})


def decoded(spec: job_pb2.JobSpec, tmp_path: Path, colour: ColourConfig, **roots: Any) -> decode.Work:
    site = Site(weights_cache=tmp_path / "weights", roots=Roots(**roots))
    return decode.work(spec, site=site, colour=colour)


def test_a_plate_as_the_contract_has_it(daemon: Daemon, tmp_path):
    template = ailing.make(tmp_path, (1001, 1002, 1004, 1005))
    ailing.BREAK["zero bytes"](template.path(1005))
    said = get(daemon, template.text)
    assert said.pattern == template.hashes
    assert (said.first, said.last, said.count) == (1001, 1005, 4)
    assert [(s.first, s.last, s.step) for s in said.frames] == [(1001, 1002, 1), (1004, 1005, 1)]
    assert [s.first for s in said.missing] == [1003]
    assert said.size_bytes == sum(template.path(n).stat().st_size for n in (1001, 1002, 1004))
    (part,) = said.parts
    assert (part.display.width, part.display.height, part.pixel_aspect) == (24, 16, 1.0)
    assert [(c.name, c.type) for c in part.layers[0].channels] == [(c, "half") for c in "RGB"]
    assert (part.compression, part.HasField("tiles"), part.line_order) == ("zips", False, "increasing")
    assert (said.timecode.first, said.timecode.last, said.timecode.continuous) == (
        "01:00:00:00",
        "01:00:00:03",
        True,
    )
    assert not said.timecode.HasField("break_frame")
    assert (said.rate.numerator, said.rate.denominator) == (24, 1)
    assert not said.HasField("dpx")
    (broken,) = said.unreadable
    assert (broken.frame, "zero bytes" in broken.message) == (1005, True)


def test_frames_and_views_may_be_named(daemon: Daemon, tmp_path):
    for view in ("left", "right"):
        ailing.make(tmp_path / view)
    said = get(
        daemon, tmp_path / "%V" / "p.####.exr", frames=[{"first": 1002, "last": 1003}], views=["right"]
    )
    assert (said.count, list(said.views), [part.view for part in said.parts]) == (2, ["right"], ["right"])
    code, reason, message = refused(daemon, tmp_path / "%V" / "p.####.exr", views=["centre"])
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert "left, right" in message
    code, _, message = refused(daemon, tmp_path / "left" / "p.####.exr", views=["centre"])
    assert (code, "no views" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_a_folder_and_a_file_are_answered_with_what_is_there(daemon: Daemon, tmp_path):
    template = ailing.make(tmp_path)
    for path in (tmp_path, template.path(1002)):
        code, reason, message = refused(daemon, path)
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert f"such as {template.hashes}. In the folder: p.####.exr 1001-1005" in message
    code, reason, _ = refused(daemon, tmp_path / "nowhere")
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")


def test_check_reports_each_frame_and_writes_nothing(daemon: Daemon, tmp_path):
    template = ailing.make(tmp_path, (1001, 1002, 1003, 1005))
    ailing.BREAK["truncated"](template.path(1002))
    (tmp_path / "p.1003.exr.tmp").touch()
    before = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    job = daemon.wait(daemon.submit(check(template.text)).id)
    assert (job.state, job.label) == (job_pb2.JOB_STATE_SUCCEEDED, "check p.####.exr")
    assert (job.frames_failed, job.frames_missing, job.progress.total) == (1, 1, 5)
    found = daemon.frames(job.id)
    assert found[1002].error.reason == "FRAME_UNREADABLE"
    assert {n: f.state for n, f in found.items()} == {
        1001: job_pb2.FRAME_STATE_DONE,
        1002: job_pb2.FRAME_STATE_FAILED,
        1003: job_pb2.FRAME_STATE_DONE,
        1004: job_pb2.FRAME_STATE_MISSING,
        1005: job_pb2.FRAME_STATE_DONE,
    }
    warnings = [m.event.warning for m in daemon.watch(job.id) if m.event.HasField("warning")]
    assert [warning.reason for warning in warnings] == ["LEFTOVERS"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == before


def test_the_torture_set_is_plates_that_can_be_described(daemon: Daemon, tmp_path):
    """Cut short after a few: what is finished stays."""
    job = daemon.submit(job_pb2.JobSpec(torture={"folder": str(tmp_path / "set")})).id
    made = (message.event.artifact for message in daemon.watch(job) if message.event.HasField("artifact"))
    first, second = (next(made).path for _ in range(2))
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job), timeout=SECONDS)
    ended = daemon.wait(job)
    assert (ended.state, ended.progress.unit) == (job_pb2.JOB_STATE_CANCELLED, "plate")
    assert 2 <= ended.progress.done < ended.progress.total
    for pattern in (first, second):
        said = get(daemon, pattern)
        assert (said.count, said.format, len(said.parts)) == (2, "openexr", 1)


def test_a_check_locks_nothing_and_needs_no_colour_space(tmp_path, colour: ColourConfig):
    template = ailing.make(tmp_path)
    work = decoded(check(template.text, frames=[{"first": 1002, "last": 1003}]), tmp_path, colour)
    assert work.outputs == ()
    assert isinstance(work.settings, CheckPlate)
    assert work.settings.plate.frames == FrameRange.of(1002, 1003)


def test_torture_locks_its_folder_and_stays_inside_the_write_roots(tmp_path, colour: ColourConfig):
    spec = job_pb2.JobSpec(torture={"folder": str(tmp_path / "set")})
    work = decoded(spec, tmp_path, colour)
    assert work.settings == Torture(folder=tmp_path / "set")
    assert work.outputs == (Output.of_folder(tmp_path / "set"),)
    (tmp_path / "may").mkdir()
    with pytest.raises(UnderstudyError) as error:
        decoded(spec, tmp_path, colour, write=(tmp_path / "may",))
    assert (error.value.reason, error.value.field) == ("PATH_NOT_ALLOWED", "torture.folder")


def test_no_view_and_no_link_leads_out_of_the_read_roots(tmp_path, colour: ColourConfig):
    """A link may be a frame, a view's folder, or the file whose folder would be listed."""
    secret, allowed = tmp_path / "secret", tmp_path / "allowed"
    ailing.make(secret)
    for view in ("left", "right"):
        ailing.make(allowed / view)
    (allowed / "link").mkdir()
    (allowed / "link" / "p.1001.exr").symlink_to(secret / "p.1001.exr")
    (allowed / "other").symlink_to(secret)
    patterns = [
        secret / "p.####.exr",
        secret,
        allowed / "link" / "p.####.exr",
        allowed / "other",
        allowed / "%V" / "p.####.exr",
    ]
    for pattern in patterns:
        with pytest.raises(UnderstudyError) as error:
            decoded(check(pattern), tmp_path, colour, read=(allowed,))
        assert error.value.reason == "PATH_NOT_ALLOWED", pattern
    (allowed / "other").unlink()
    (allowed / "link" / "p.1001.exr").unlink()
    work = decoded(check(allowed / "%V" / "p.####.exr"), tmp_path, colour, read=(allowed,))
    assert isinstance(work.settings, CheckPlate)
    assert work.settings.plate.views == ("left", "right")
    template = Template.parse(str(allowed / "left" / "p.####.exr"))
    with pytest.raises(UnderstudyError, match="single file"):
        decoded(check(template.path(1001)), tmp_path, colour, read=(allowed,))


def test_views_reach_core_for_extract_and_merge(tmp_path, colour: ColourConfig):
    for view in ("left", "right"):
        ailing.make(tmp_path / view, (1001,))
    ref = {"pattern": str(tmp_path / "%V" / "p.####.exr"), "colour_space": "ACEScg", "views": ["right"]}
    site = Site(weights_cache=tmp_path / "weights")
    pulled = decode.work(job_pb2.JobSpec(pull_weights={}), site=site, colour=colour).outputs
    spec = job_pb2.JobSpec(extract={"plate": ref, "faceset": str(tmp_path / "faces")})
    settings = decode.work(spec, pulled, site=site, colour=colour).settings
    assert settings.plate.views == ("right",)  # type: ignore[union-attr]
