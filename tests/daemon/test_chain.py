"""A whole swap as a chain of jobs, submitted at once, through kills of worker and daemon: every kind end to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Clips
from tests.daemon.support import Daemon, until
from understudy.v1 import job_pb2, resource_pb2

ITERATIONS = 30  # enough that the first kill comes before the last of them


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_swap_survives_kills_in_training_and_merge(
    make_daemon: Callable[..., Daemon], clips: Clips, weights_arguments: tuple[str, ...], tmp_path: Path
):
    daemon = make_daemon(*weights_arguments).start()
    pulled = daemon.submit(job_pb2.JobSpec(pull_weights=job_pb2.PullWeightsSpec()))
    made = resource_pb2.CreateReleaseRequest(
        release=resource_pb2.Release(subject="performer-a", kind="public-domain", granted_by="public domain"),
        path=str(tmp_path / "a.release.json"),
    )
    release = daemon.releases.CreateRelease(made).release
    output = str(tmp_path / "comp" / "comp.%04d.exr")
    src, dst, train, merge, verify = specs(clips, tmp_path, output)
    a = daemon.submit(src, pulled.id)
    b = daemon.submit(dst, pulled.id)
    t = daemon.submit(train, a.id, b.id)
    m = daemon.submit(merge, b.id, t.id)
    v = daemon.submit(verify, m.id)

    until(lambda: daemon.job(t.id).training.iteration >= 1)
    os.kill(daemon.worker(), signal.SIGKILL)
    until(lambda: daemon.job(t.id).attempts == 2 and daemon.job(t.id).training.iteration >= 2)
    daemon.kill()
    daemon.start()
    until(lambda: daemon.frames(m.id))
    daemon.kill()
    daemon.start()
    until(lambda: daemon.job(v.id).state not in (job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING))
    for job in (pulled, a, b, t, m, v):
        daemon.succeed(job.id)

    model = daemon.models.GetModel(resource_pb2.GetModelRequest(path=str(tmp_path / "model"))).model
    assert model.iteration == ITERATIONS
    assert (model.preset, list(model.release_ids)) == ("quick64", [release.id])
    assert model.parameters > 1_000_000
    trained = daemon.job(t.id)
    assert trained.training.iteration == ITERATIONS
    assert trained.training.checkpoint
    assert {a.kind for a in daemon.job(m.id).artifacts} >= {"comp", "contact_sheet", "manifest"}
    assert {f.frame for f in daemon.frames(m.id).values()} == set(clips.frames)
    assert {f.state for f in daemon.frames(v.id).values()} == {job_pb2.FRAME_STATE_DONE}
    faceset = daemon.facesets.GetFaceset(resource_pb2.GetFacesetRequest(path=str(tmp_path / "src"))).faceset
    assert (faceset.faces, faceset.release_id, len(faceset.tracks)) == (8, release.id, 1)
    page = daemon.facesets.ListFaces(resource_pb2.ListFacesRequest(path=str(tmp_path / "src"), page_size=5))
    rest = resource_pb2.ListFacesRequest(path=str(tmp_path / "src"), page_token=page.next_page_token)
    faces = [*page.faces, *daemon.facesets.ListFaces(rest).faces]
    assert [f.frame for f in faces] == list(clips.frames)
    assert len(faces[0].landmarks) == 136

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "comp").glob("*.exr")}
    again = [daemon.submit(spec) for spec in (src, train, merge)]  # the same commands a second time
    for job in again:
        daemon.succeed(job.id)
    assert {f.state for f in daemon.frames(again[2].id).values()} == {job_pb2.FRAME_STATE_SKIPPED}
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "comp").glob("*.exr")}


def specs(clips: Clips, folder: Path, output: str) -> list[job_pb2.JobSpec]:
    frames = [{"first": 1001, "last": 1008}]
    plate = {"pattern": clips.dst, "colour_space": clips.colour_space, "frames": frames}
    source = {"pattern": clips.src, "colour_space": clips.colour_space, "frames": frames}
    swap = {"faceset": str(folder / "dst"), "model": str(folder / "model"), "recipe": {"match": "reinhard"}}
    train = job_pb2.TrainSpec(
        model=str(folder / "model"),
        src=str(folder / "src"),
        dst=str(folder / "dst"),
        preset="quick64",
        target_iterations=ITERATIONS,
        batch_size=2,
        device="cpu",
    )
    release = str(folder / "a.release.json")
    return [
        job_pb2.JobSpec(extract={"plate": source, "faceset": str(folder / "src"), "release": release}),
        job_pb2.JobSpec(extract={"plate": plate, "faceset": str(folder / "dst")}),
        job_pb2.JobSpec(train=train),
        job_pb2.JobSpec(merge={"plate": plate, "swaps": [swap], "output": output}),
        job_pb2.JobSpec(verify={"output": {"pattern": output, "frames": frames}}),
    ]
