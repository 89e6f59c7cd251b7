"""The chain of a swap: what it plans, starts, cleans up and reports."""

from __future__ import annotations

import dataclasses

import grpc
import pytest

from tests.client.fake import FakeDaemon, frame, status
from understudy.client import (
    JobFailed,
    Refused,
    ReleaseRequired,
    Session,
    SwapSettings,
    UserMatte,
    WeightsMissing,
)
from understudy.client.swap import plan
from understudy.v1 import job_pb2

VIDEOS = SwapSettings(
    src="/shots/a.mp4", dst="/shots/b.mov", output="/out/comp.####.exr", release="/a.release.json"
)
PLATES = SwapSettings(
    src="/p/src.%04d.exr", dst="/p/dst.####.exr", output="/out/comp_v1.%04d.exr", frames="1001-1010"
)


def _specs(settings: SwapSettings, preset: str = "quick96") -> dict[str, job_pb2.JobSpec]:
    return {stage.name: stage.spec for stage in plan(settings, preset)}


def test_videos_are_ingested_and_every_stage_waits_for_what_it_reads():
    stages = plan(VIDEOS, "quick96")
    assert [(s.name, s.needs) for s in stages] == [
        ("ingest src", ()),
        ("extract src", ("ingest src",)),
        ("ingest dst", ()),
        ("extract dst", ("ingest dst",)),
        ("train", ("extract src", "extract dst")),
        ("merge", ("ingest dst", "extract dst", "train")),
    ]


def test_what_one_stage_makes_the_next_one_reads():
    specs = _specs(VIDEOS)
    ingest, extract = specs["ingest dst"].ingest, specs["extract dst"].extract
    train, merge = specs["train"].train, specs["merge"].merge
    assert extract.plate.pattern == ingest.pattern == merge.plate.pattern
    assert extract.plate.colour_space == ""  # the ingested plate says it itself
    assert train.dst == extract.faceset == merge.swaps[0].faceset
    assert train.src == specs["extract src"].extract.faceset
    assert train.model == merge.swaps[0].model
    assert all(
        path.startswith("/out/comp_work/") for path in (ingest.pattern, train.src, train.dst, train.model)
    )
    assert specs["extract src"].extract.release == "/a.release.json"
    assert specs["extract dst"].extract.release == ""
    assert train.target_time.seconds == 600  # neither iterations nor minutes were given


def test_plates_are_used_where_they_are():
    settings = dataclasses.replace(
        PLATES, dst_colour_space="ACEScg", minutes=None, iterations=7, work="/scratch"
    )
    specs = _specs(settings)
    assert list(specs) == ["extract src", "extract dst", "train", "merge"]
    assert specs["merge"].merge.plate.pattern == "/p/dst.####.exr"
    assert (
        specs["merge"].merge.plate.colour_space == specs["extract dst"].extract.plate.colour_space == "ACEScg"
    )
    assert specs["merge"].merge.plate.frames[0].last == 1010
    assert specs["extract src"].extract.plate.frames == []
    assert specs["train"].train.model.startswith("/scratch/models/quick96-")
    assert specs["train"].train.target_iterations == 7
    assert not specs["train"].train.HasField("target_time")


def test_the_segmenter_and_a_persons_mattes_are_the_merges():
    keep = UserMatte("/p/keep.####.exr", "keep")
    settings = dataclasses.replace(PLATES, segmenter="/seg", user_mattes=[keep])
    specs = _specs(settings)
    assert specs["merge"].merge.swaps[0].segmenter == "/seg"
    assert specs["merge"].merge.swaps[0].user_mattes[0] == keep.message()
    assert {n: s for n, s in specs.items() if n != "merge"} == {
        n: s for n, s in _specs(PLATES).items() if n != "merge"
    }


def test_the_same_settings_are_the_same_plan():
    assert _specs(VIDEOS) == _specs(dataclasses.replace(VIDEOS))


@pytest.mark.parametrize(
    ("change", "same_faceset", "same_model"),
    [
        ({"src": "/other/src.%04d.exr"}, False, False),
        ({"src_frames": "1001-1005"}, False, False),
        ({"src_track": 1}, True, False),
        ({"frames": "1001-1100"}, True, True),
        ({"iterations": 900}, True, True),
    ],
)
def test_other_sources_never_mix_and_longer_runs_go_on(change, same_faceset, same_model):
    before, after = _specs(PLATES), _specs(dataclasses.replace(PLATES, **change))
    assert (before["train"].train.src == after["train"].train.src) is same_faceset
    assert (before["train"].train.model == after["train"].train.model) is same_model


def test_another_preset_is_another_model():
    assert _specs(PLATES, "quick64")["train"].train.model != _specs(PLATES, "quick96")["train"].train.model


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"output": "/out/comp.exr"}, "output", r"no frame token; write e\.g\. comp\.####\.exr"),
        ({"src": "/p/src.exr"}, "src", "neither a video nor a plate"),
        ({"dst": "/p"}, "dst", "neither a video nor a plate"),
        ({"src_frames": "9-1"}, "src_frames", "runs backwards"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(change, field, why):
    with pytest.raises(Refused, match=why) as caught:
        plan(dataclasses.replace(PLATES, **change), "quick96")
    assert caught.value.field == field


def test_missing_weights_are_fetched_first(daemon: FakeDaemon, session: Session):
    daemon.refuse["extract"] = status(grpc.StatusCode.FAILED_PRECONDITION, "WEIGHTS_MISSING", "pull")
    swap = session.swap(PLATES)
    assert [job.label for job in swap.jobs] == ["weights", "extract src", "extract dst", "train", "merge"]
    assert [list(daemon.jobs[job].depends_on) for job in ("job-2", "job-3")] == [["job-1"], ["job-1"]]


def test_weights_that_stay_missing_are_an_error(daemon: FakeDaemon, session: Session, monkeypatch):
    refusal = status(grpc.StatusCode.FAILED_PRECONDITION, "WEIGHTS_CORRUPT", "delete and pull again")
    daemon.refuse["extract"] = refusal
    with pytest.raises(WeightsMissing, match="delete"):
        session.swap(PLATES)
    assert not daemon.jobs


def test_no_release_is_told_before_anything_starts(daemon: FakeDaemon, session: Session):
    daemon.released = False
    with pytest.raises(ReleaseRequired, match="understudy release create --kind test") as caught:
        session.swap(PLATES)
    assert (caught.value.reason, caught.value.exit_code) == ("RELEASE_MISSING", 4)
    with pytest.raises(ReleaseRequired, match="it was revoked"):
        session.swap(dataclasses.replace(PLATES, release="/revoked.json"))
    assert not daemon.jobs


def test_a_refusal_in_the_middle_leaves_nothing_running(daemon: FakeDaemon, session: Session):
    daemon.script = None
    daemon.refuse["merge"] = status(grpc.StatusCode.ABORTED, "OUTPUT_LOCKED", "job 9 writes there", job="9")
    with pytest.raises(Refused, match="job 9 writes there"):
        session.swap(PLATES)
    assert {job.state for job in daemon.jobs.values()} == {job_pb2.JOB_STATE_CANCELLED}


def test_cancel_leaves_what_others_started(daemon: FakeDaemon, session: Session):
    daemon.script = None
    theirs = session.start(plan(PLATES, "quick96")[0].spec)
    swap = session.swap(PLATES)
    swap.cancel()
    assert [job.refresh().state for job in swap.jobs] == ["QUEUED", "CANCELLED", "CANCELLED", "CANCELLED"]
    assert theirs.refresh().state == "QUEUED"


def test_the_result_says_what_was_made(daemon: FakeDaemon, session: Session):
    artifact = job_pb2.Artifact(kind="contact_sheet", path="/out/comp_contact.png")
    daemon.frames = [
        frame(1001).frame,
        frame(1002, job_pb2.FRAME_STATE_NO_FACE).frame,
        frame(1003, job_pb2.FRAME_STATE_FAILED, "truncated").frame,
    ]
    swap = session.swap(PLATES)
    daemon.jobs[swap.jobs[-1].id].artifacts.append(artifact)
    assert [e.kind for e in swap.watch()] == ["snapshot", "state_change"] * 4
    result = swap.wait()
    assert result.output == "/out/comp_v1.%04d.exr"
    assert result.frames == {"DONE": 1, "NO_FACE": 1, "FAILED": 1}
    assert [report.error.message for report in result.failed] == ["truncated"]
    assert result.artifact("contact_sheet") == "/out/comp_contact.png"
    assert result.artifact("manifest") == ""
    assert list(result.seconds) == ["extract src", "extract dst", "train", "merge"]


def test_the_first_job_that_fails_ends_the_watch(daemon: FakeDaemon, session: Session):
    daemon.ending = job_pb2.JOB_STATE_FAILED
    daemon.error = job_pb2.Error(reason="NO_FACE", message="no face in src")
    with pytest.raises(JobFailed, match="no face in src"):
        list(session.swap(PLATES).watch())
