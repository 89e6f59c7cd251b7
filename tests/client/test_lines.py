"""The JSON lines that scripts read."""

from __future__ import annotations

import json

from google.protobuf import json_format

from understudy.client import lines
from understudy.client.errors import Refused
from understudy.v1 import job_pb2, resource_pb2


def _report() -> job_pb2.FrameReport:
    return job_pb2.FrameReport(
        frame=1001,
        state=job_pb2.FRAME_STATE_DONE,
        seconds={"read": 0.5},
        digests={"plate": "ab"},
        outputs=["/o.exr"],
    )


def test_frame_numbers_are_numbers_and_maps_keep_their_kind():
    data = lines.plain(_report())
    assert data["frame"] == 1001
    assert data["seconds"] == {"read": 0.5}
    assert data["digests"] == {"plate": "ab"}
    assert data["state"] == "FRAME_STATE_DONE"


def test_defaults_are_there_so_that_scripts_need_not_guess():
    data = lines.plain(job_pb2.Job(id="1"))
    assert data["framesFailed"] == 0
    assert data["dependsOn"] == []


def test_nested_and_repeated_numbers_too():
    faceset = resource_pb2.Faceset(faces=3)
    faceset.frames.add(first=1, last=3)
    faceset.tracks.add(id=1, faces=3).frames.add(first=1, last=3, step=2)
    data = lines.plain(faceset)
    assert data["faces"] == 3
    assert data["frames"] == [{"first": 1, "last": 3, "step": 0}]
    assert data["tracks"][0]["frames"][0]["step"] == 2


def test_the_mapping_reads_it_back():
    job = job_pb2.Job(
        id="1", last_sequence=7, spec=job_pb2.JobSpec(ingest=job_pb2.IngestSpec(video="/v.mov", first=5))
    )
    job.create_time.FromSeconds(1_700_000_000)
    job.progress.remaining.FromMilliseconds(1500)
    data = lines.plain(job)
    assert data["createTime"] == "2023-11-14T22:13:20Z"
    assert data["spec"]["ingest"]["first"] == 5
    assert json_format.ParseDict(data, job_pb2.Job()) == job


def test_an_error_is_a_line_too():
    line = json.loads(lines.error_line(Refused.invalid("preset", "quick1", "none such")))
    assert line["event"] == "error"
    assert line["data"]["exitCode"] == 1
    assert line["data"]["reason"] == "INVALID_INPUT"
    assert line["data"]["metadata"] == {"field": "preset", "value": "quick1"}
    assert "\n" not in lines.line("x", {"a": "b\nc"})
