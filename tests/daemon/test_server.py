"""The contract over a real socket: jobs, watching, refusals, health, who may connect."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.daemon.support import ENDED, SECONDS, Daemon, asleep, refusal, until
from understudy.v1 import job_pb2, resource_pb2, system_pb2

Spec = Callable[..., job_pb2.JobSpec]


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return refusal(error.value)


def test_a_job_from_submit_to_its_artifacts(daemon: Daemon, ingest: Spec, tmp_path: Path):
    spec = ingest(count=12)
    job = daemon.submit(spec)
    assert job.state == job_pb2.JOB_STATE_QUEUED
    messages = list(daemon.watch(job.id))
    assert messages[0].HasField("snapshot")
    events = [m.event for m in messages if m.HasField("event")]
    numbers = [e.sequence for e in events]
    assert numbers == sorted(set(numbers))
    states = [e.state_change.to_state for e in events if e.HasField("state_change")]
    assert states == [job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_SUCCEEDED]
    assert [e.frame.frame for e in events if e.HasField("frame")] == list(range(1001, 1013))
    ended = daemon.job(job.id)
    assert ended.last_sequence == numbers[-1]
    assert (ended.progress.done, ended.progress.total, ended.progress.fraction) == (12, 12, 1.0)
    assert ended.label == "ingest clip.mkv"
    assert ended.user
    assert ended.create_time.seconds <= ended.start_time.seconds <= ended.end_time.seconds
    assert [a.kind for a in ended.artifacts] == ["plate"]
    assert len(list((tmp_path / "plate").glob("plate.*.exr"))) == 12
    assert ended.attempts == 1


def test_watching_goes_on_after_a_sequence_number(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest(count=300)).id
    seen = []
    for message in daemon.watch(job):
        if message.HasField("event"):
            seen.append(message.event.sequence)
        if len(seen) == 20:
            break  # the connection drops; the job goes on
    rest = [m.event.sequence for m in daemon.watch(job, after=seen[-1]) if m.HasField("event")]
    everything = [m.event.sequence for m in daemon.watch(job) if m.HasField("event")]
    assert seen + rest == everything
    assert len(daemon.frames(job)) == 300


def test_two_hundred_may_watch(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest("watched")).id
    daemon.until_frames(job, 1)
    with asleep(daemon.worker()):  # so that it is not done too soon
        streams = [daemon.watch(job, after=10**6) for _ in range(200)]
        assert all(next(stream).HasField("snapshot") for stream in streams)  # each has a seat
        daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job))
    rest = [each for stream in streams for each in stream]  # each is woken, and ends
    assert not [each for each in rest if not each.HasField("heartbeat")]


def test_many_watch_at_once_and_see_the_same(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest(count=100)).id
    seen: dict[int, list[int]] = {n: [] for n in range(20)}

    def watch(number: int) -> None:
        seen[number] = [m.event.sequence for m in daemon.watch(job) if m.HasField("event")]

    threads = [threading.Thread(target=watch, args=(n,)) for n in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len({tuple(numbers) for numbers in seen.values()}) == 1
    assert len(seen[0]) > 100


def test_same_request_and_same_spec_are_the_same_job(daemon: Daemon, ingest: Spec):
    request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=ingest(count=1500))
    first = daemon.jobs.StartJob(request)
    again = daemon.jobs.StartJob(request)
    assert (first.existing, again.existing) == (False, True)
    request.request_id = str(uuid.uuid4())
    attached = daemon.jobs.StartJob(request)
    assert attached.existing
    assert {again.job.id, attached.job.id} == {first.job.id}
    request.spec.ingest.first = 5
    assert refused(lambda: daemon.jobs.StartJob(request))[:2] == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=first.job.id))
    daemon.wait(first.job.id)


def test_cancel_keeps_what_is_finished(daemon: Daemon, ingest: Spec, tmp_path: Path):
    job = daemon.submit(ingest()).id
    daemon.until_frames(job, 10)
    answer = daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job)).job
    assert answer.state == job_pb2.JOB_STATE_CANCELLING
    assert daemon.wait(job).state == job_pb2.JOB_STATE_CANCELLED
    done = daemon.frames(job)
    assert 10 <= len(done) < 1500  # it was not waited for
    assert {p.name for p in (tmp_path / "plate").iterdir()} >= {f"plate.{n}.exr" for n in done}
    assert daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job)).job.state == job_pb2.JOB_STATE_CANCELLED
    code, reason, metadata = refused(lambda: daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id=job)))
    assert (code, reason, metadata["job"]) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE", job)


def test_pause_resume_and_retry(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest(count=900)).id
    daemon.until_frames(job, 5)
    daemon.jobs.PauseJob(job_pb2.PauseJobRequest(id=job))
    until(lambda: daemon.job(job).state == job_pb2.JOB_STATE_PAUSED)
    before = len(daemon.frames(job))
    assert before < 900
    other = daemon.submit(ingest("other", count=3))  # room was made
    daemon.succeed(other.id)
    assert daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id=job)).job.state == job_pb2.JOB_STATE_QUEUED
    ended = daemon.succeed(job)
    assert ended.attempts == 2
    assert len(daemon.frames(job)) == 900
    daemon.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id=job))
    assert daemon.succeed(job).attempts == 3
    assert {f.state for f in daemon.frames(job).values()} == {job_pb2.FRAME_STATE_SKIPPED}


@pytest.mark.parametrize("field", ["label", "project"])
@pytest.mark.parametrize("shown", ["\x1b[2Jgone", "two\nlines", "x" * 1001])
def test_what_lists_show_is_printable_and_short(daemon: Daemon, ingest: Spec, field: str, shown: str):
    code, reason, metadata = refused(lambda: daemon.submit(ingest(count=1), **{field: shown}))
    assert (code, reason, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", field)


def test_a_pause_is_taken_back_before_the_job_has_stopped(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest(count=900)).id
    daemon.until_frames(job, 5)
    with asleep(daemon.worker()):  # so that it cannot stop in between
        daemon.jobs.PauseJob(job_pb2.PauseJobRequest(id=job))
        resumed = daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id=job)).job
    assert resumed.state == job_pb2.JOB_STATE_RUNNING
    daemon.succeed(job)
    states = [m.event.state_change.to_state for m in daemon.watch(job) if m.event.HasField("state_change")]
    assert job_pb2.JOB_STATE_PAUSED not in states
    assert refused(lambda: daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id=job)))[1] == "JOB_STATE"


def test_a_queued_job_pauses_and_cancels_at_once(daemon: Daemon, ingest: Spec):
    busy = daemon.submit(ingest()).id
    queued = daemon.submit(ingest("other", count=2)).id
    assert daemon.jobs.PauseJob(job_pb2.PauseJobRequest(id=queued)).job.state == job_pb2.JOB_STATE_PAUSED
    assert daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=queued)).job.state == job_pb2.JOB_STATE_CANCELLED
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=busy))
    daemon.wait(busy)


def test_dependencies_run_in_order_and_fail_together(daemon: Daemon, ingest: Spec, tmp_path: Path):
    first = daemon.submit(ingest())
    plate = {"pattern": first.spec.ingest.pattern}
    second = daemon.submit(job_pb2.JobSpec(verify={"output": plate, "plate": plate}), first.id)
    assert second.state == job_pb2.JOB_STATE_QUEUED  # though its input is not there yet
    third = daemon.submit(ingest("third", count=1), second.id)
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=first.id))
    for job, needs in ((second, first), (third, second)):
        failed = daemon.wait(job.id)
        assert failed.state == job_pb2.JOB_STATE_FAILED
        assert failed.error.reason == "DEPENDENCY_FAILED"
        assert failed.error.metadata["job"] == needs.id


def test_output_is_locked_for_others(daemon: Daemon, ingest: Spec):
    spec = ingest()
    first = daemon.submit(spec)
    spec.ingest.first = 5
    code, reason, metadata = refused(lambda: daemon.submit(spec, refuse_locked=True))
    assert (code, reason, metadata["job"]) == (grpc.StatusCode.ABORTED, "OUTPUT_LOCKED", first.id)
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=first.id))
    daemon.wait(first.id)


def test_waiting_answers_at_the_end_or_at_the_timeout(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest()).id
    began = time.monotonic()
    timeout = {"nanos": 200_000_000}
    answer = daemon.jobs.WaitJob(job_pb2.WaitJobRequest(id=job, timeout=timeout)).job
    assert answer.state not in ENDED
    assert time.monotonic() - began >= 0.2
    later = threading.Timer(0.2, lambda: daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job)))
    later.start()
    answer = daemon.jobs.WaitJob(job_pb2.WaitJobRequest(id=job, timeout={"seconds": 240})).job
    assert answer.state == job_pb2.JOB_STATE_CANCELLED
    later.join()


def test_lists_come_in_pages(daemon: Daemon, ingest: Spec):
    job = daemon.submit(ingest(count=7)).id
    daemon.succeed(job)
    request = job_pb2.ListJobFramesRequest(id=job, page_size=3)
    pages = []
    while True:
        answer = daemon.jobs.ListJobFrames(request)
        pages.append([f.frame for f in answer.frames])
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            break
    assert pages == [[1001, 1002, 1003], [1004, 1005, 1006], [1007]]
    listed = daemon.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=1))
    assert listed.jobs[0].id == job
    succeeded = job_pb2.ListJobsRequest(
        states=[job_pb2.JOB_STATE_SUCCEEDED], page_token=listed.next_page_token
    )
    assert refused(lambda: daemon.jobs.ListJobs(succeeded))[2]["field"] == "page_token"


REFUSALS = [
    ({}, "INVALID_INPUT", "spec"),
    ({"ingest": {"video": "clip.mkv", "pattern": "/o/p.%04d.exr"}}, "INVALID_INPUT", "ingest.video"),
    ({"ingest": {"video": "/nowhere.mkv", "pattern": "/o/p.%04d.exr"}}, "NOT_FOUND", "ingest.video"),
    ({"ingest": {"video": "/etc/passwd", "pattern": "/o/p.%04d.exr"}}, "INVALID_INPUT", "ingest.video"),
    ({"ingest": {"video": "/x", "pattern": "/o/plate.exr"}}, "INVALID_INPUT", "ingest.pattern"),
    ({"ingest": {"video": "/x", "pattern": "/o/p.%04d.%04d.exr"}}, "INVALID_INPUT", "ingest.pattern"),
    ({"ingest": {"video": "/x", "pattern": "/o/p.%04d.png"}}, "INVALID_INPUT", "ingest.pattern"),
    (
        {"ingest": {"video": "/x", "pattern": "/o/p.%04d.exr", "colour_space": "ACEScgg"}},
        "INVALID_INPUT",
        "ingest.colour_space",
    ),
    (
        {"ingest": {"video": "/x", "pattern": "/o/p.%04d.exr", "frames": [{"first": 5, "last": 1}]}},
        "INVALID_INPUT",
        "ingest.frames",
    ),
    (
        {"ingest": {"video": "/x", "pattern": "/o/p.%04d.exr", "frames": [{"first": 1, "last": 2**40}]}},
        "INVALID_INPUT",
        "ingest.frames",
    ),
    (
        {
            "ingest": {
                "video": "/x",
                "pattern": "/o/p.%04d.exr",
                "frames": [{"first": 1, "last": 9, "step": -2}],
            }
        },
        "INVALID_INPUT",
        "ingest.frames",
    ),
    ({"extract": {"plate": {"pattern": "/o/p.%04d.exr"}, "faceset": "/o/f"}}, "NOT_FOUND", None),
    ({"extract": {"faceset": "/o/f"}}, "INVALID_INPUT", "extract.plate.pattern"),
    (
        {"extract": {"plate": {"pattern": "/o/p.%04d.exr"}, "faceset": "f"}},
        "INVALID_INPUT",
        "extract.faceset",
    ),
    ({"train": {"model": "/o/m", "src": "/nowhere/a", "dst": "/nowhere/b"}}, "NOT_FOUND", "train.src"),
    ({"merge": {"output": "/o/c.%04d.exr"}}, "INVALID_INPUT", "merge.swaps"),
    ({"merge": {"swaps": [{}] * 9}}, "INVALID_INPUT", "merge.swaps"),
    ({"verify": {"output": {"pattern": "/nowhere/c.%04d.exr"}}}, "NOT_FOUND", None),
    ({"pull_weights": {"names": ["nothing"]}}, "INVALID_INPUT", "pull_weights.names"),
]
CODES = {
    "INVALID_INPUT": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "WEIGHTS_MISSING": grpc.StatusCode.FAILED_PRECONDITION,
    "TRACK_AMBIGUOUS": grpc.StatusCode.FAILED_PRECONDITION,
}


@pytest.mark.parametrize(("spec", "reason", "field"), REFUSALS, ids=lambda v: str(v)[:60])
def test_a_wrong_spec_is_refused_at_submit_by_field(
    daemon: Daemon, spec: dict, reason: str, field: str | None
):
    before = daemon.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=1)).jobs
    code, found, metadata = refused(lambda: daemon.submit(job_pb2.JobSpec(**spec)))
    assert (code, found) == (CODES[reason], reason)
    if field is not None:
        assert metadata["field"] == field
    assert daemon.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=1)).jobs == before


def test_close_matches_of_a_colour_space_are_named(daemon: Daemon):
    spec = job_pb2.JobSpec(ingest={"video": "/x", "pattern": "/o/p.%04d.exr", "colour_space": "ACEScgg"})
    with pytest.raises(grpc.RpcError, match="ACEScg"):
        daemon.submit(spec)


def test_no_such_job_everywhere(daemon: Daemon):
    calls = [
        lambda: daemon.job("nope"),
        lambda: list(daemon.watch("nope")),
        lambda: daemon.frames("nope"),
        lambda: daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id="nope")),
        lambda: daemon.jobs.PauseJob(job_pb2.PauseJobRequest(id="nope")),
        lambda: daemon.jobs.ResumeJob(job_pb2.ResumeJobRequest(id="nope")),
        lambda: daemon.jobs.WaitJob(job_pb2.WaitJobRequest(id="nope")),
        lambda: daemon.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id="nope")),
        lambda: daemon.jobs.UpdateTraining(job_pb2.UpdateTrainingRequest(job_id="nope", save=True)),
    ]
    for call in calls:
        assert refused(call)[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    request = job_pb2.StartJobRequest(request_id="not a uuid", spec=job_pb2.JobSpec())
    assert refused(lambda: daemon.jobs.StartJob(request))[2]["field"] == "request_id"


def test_roots_are_kept(make_daemon: Callable[..., Daemon], ingest: Spec, video: Path, tmp_path: Path):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "out").symlink_to(tmp_path)
    shutil.copy(video, inside / "clip.mkv")
    daemon = make_daemon("--read-root", str(inside), "--write-root", str(inside)).start()
    spec = ingest(count=2)
    assert refused(lambda: daemon.submit(spec))[:2] == (grpc.StatusCode.PERMISSION_DENIED, "PATH_NOT_ALLOWED")
    spec.ingest.video = str(inside / "clip.mkv")
    spec.ingest.pattern = str(inside / "out" / "p.%04d.exr")
    assert refused(lambda: daemon.submit(spec))[2]["field"] == "ingest.pattern"
    spec.ingest.pattern = str(inside / "p.%04d.exr")
    daemon.succeed(daemon.submit(spec).id)
    roots = daemon.system.GetInfo(system_pb2.GetInfoRequest())
    assert list(roots.read_roots) == list(roots.write_roots) == [str(inside)]


def test_info_names_the_choices(daemon: Daemon):
    info = daemon.system.GetInfo(system_pb2.GetInfoRequest())
    families = {family.name: family for family in info.families}
    choices = {
        "detector",
        "landmarker",
        "pose",
        "identity",
        "enhance",
        "enhancer_preset",
        "match",
        "blend",
        "preset",
        "way",
        "segmenter",
        "segmenter_preset",
        "face_type",
    }
    assert set(families) == choices | {"sort_key"}
    assert all(families[name].default_choice in families[name].choices for name in choices)
    assert {"blur", "yaw", "best"} <= set(families["sort_key"].choices)
    assert info.devices[0].name == "cpu"
    assert info.devices[0].memory_bytes > 2**28
    assert info.colour.working_space in info.colour.colour_spaces
    assert {p.name for p in info.recipe} >= {"match", "feather", "opacity"}
    assert (info.process_id, info.state_folder) == (daemon.pid, str(daemon.state))
    assert not info.embedded


def test_weights_are_listed_and_unknown_ones_not_found(daemon: Daemon):
    names = {w.name for w in daemon.weights.ListWeights(system_pb2.ListWeightsRequest()).weights}
    assert {"blazeface-short", "facemesh"} <= names
    request = system_pb2.VerifyWeightsRequest(names=["nothing"])
    assert refused(lambda: daemon.weights.VerifyWeights(request))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_FOUND",
    )


def test_releases_are_made_once_and_read(daemon: Daemon, tmp_path: Path):
    path = str(tmp_path / "a.release.json")
    asked = resource_pb2.Release(subject="performer-a", kind="test", granted_by="test clip")
    request = resource_pb2.CreateReleaseRequest(release=asked, path=path)
    made = daemon.releases.CreateRelease(request).release
    assert daemon.releases.CreateRelease(request).release == made
    read = daemon.releases.GetRelease(resource_pb2.GetReleaseRequest(path=path))
    assert read.valid
    assert read.release == made
    request.release.subject = "performer-b"
    assert refused(lambda: daemon.releases.CreateRelease(request))[0] == grpc.StatusCode.ALREADY_EXISTS
    request.release.kind = "celebrity"
    request.path = str(tmp_path / "b.json")
    code, _, metadata = refused(lambda: daemon.releases.CreateRelease(request))
    assert (code, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "release.kind")
    (tmp_path / "c.json").write_text("{}")
    bad = resource_pb2.GetReleaseRequest(path=str(tmp_path / "c.json"))
    assert refused(lambda: daemon.releases.GetRelease(bad))[:2] == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RELEASE_INVALID",
    )


def test_health_and_privacy_of_the_socket(daemon: Daemon):
    health = health_pb2_grpc.HealthStub(daemon.channel)
    for service in ("", "understudy.v1.JobService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    socket = Path(daemon.announced()["endpoint"].removeprefix("unix:"))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.state.stat().st_mode) == 0o700


def test_a_second_daemon_names_the_first_and_leaves(daemon: Daemon):
    command = [sys.executable, "-m", "understudy.daemon", "--state", str(daemon.state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 75
    assert f"process id {daemon.pid} has the state folder {daemon.state}" in done.stderr
    assert daemon.announced()["pid"] == daemon.pid


@pytest.mark.parametrize(
    "arguments", [["--listen", "0.0.0.0:50051"], ["--nonsense"], ["--read-root", "/nowhere"]]
)
def test_wrong_arguments_end_with_1(tmp_path: Path, arguments: list[str]):
    command = [sys.executable, "-m", "understudy.daemon", "--state", str(tmp_path / "s"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert arguments[0] in done.stderr
    assert not (tmp_path / "s").exists()


def test_an_embedded_daemon_stops_with_its_input(make_daemon: Callable[..., Daemon], tmp_path: Path):
    deep = tmp_path / ("d" * 90) / "state"
    deep.parent.mkdir()
    daemon = make_daemon("--embedded", state=deep, stdin=subprocess.PIPE).start()
    assert daemon.announced()["embedded"]
    socket = Path(daemon.announced()["endpoint"].removeprefix("unix:"))
    assert socket.exists()
    process = daemon.process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(SECONDS) == 0
    assert not (deep / "daemon.json").exists()
    assert not socket.exists()
    daemon.process = None
