"""A daemon of a few lines: it keeps jobs and plays events, as the contract says, and does no work."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from understudy.v1 import (
    common_pb2,
    job_pb2,
    job_pb2_grpc,
    plate_pb2,
    plate_pb2_grpc,
    recipe_pb2,
    recipe_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    system_pb2,
    system_pb2_grpc,
)

ENDED = (job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED)


def status(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> grpc.Status:
    """A refusal as the contract has it."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="understudy", metadata=metadata)
    details = [info]
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=metadata.get("field", ""), description=message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    number = code_pb2.Code.Value(code.name)
    return rpc_status.to_status(status_pb2.Status(code=number, message=message, details=packed))


class FakeDaemon(
    job_pb2_grpc.JobServiceServicer,
    system_pb2_grpc.SystemServiceServicer,
    system_pb2_grpc.WeightsServiceServicer,
    plate_pb2_grpc.PlateServiceServicer,
    recipe_pb2_grpc.RecipeServiceServicer,
    resource_pb2_grpc.FacesetServiceServicer,
    resource_pb2_grpc.ReleaseServiceServicer,
):
    """State outlives `stop` and `start`, as a real daemon's store does.

    Attributes:
        script: events that every new job plays, then ends as `ending`; None leaves jobs QUEUED.
        refuse: kind of spec → what StartJob answers to it.
        drop_after: sequence number after which the stream of a job is cut off, once.
        silent: WatchJob says nothing at all, once.
        waiting: what a watched job waits for, one thing after the other, before its script.
        stubborn: cancelled jobs stay CANCELLING.
        frames_failed, frames_missing: of every new job.
        plate: what GetPlate answers; its pattern is that of the request.
        asked: the plates that GetPlate was asked for.
        look: what GetRecipe finds wherever it looks; `looked`: the paths; `whose`: the people.
        review: what ListReviewFrames answers.
        updates: what UpdateTraining was asked.
    """

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"unix:{folder / 'd.sock'}"
        self.script: list[job_pb2.JobEvent] | None = []
        self.ending = job_pb2.JOB_STATE_SUCCEEDED
        self.error = job_pb2.Error()
        self.refuse: dict[str, grpc.Status] = {}
        self.refusals: dict[str, int] = {}
        self.drop_after = 0
        self.silent = False
        self.waiting: list[str] = []
        self.stubborn = False
        self.released = True
        self.frames_failed = self.frames_missing = 0
        self.api = ["understudy.v1"]
        self.version = "0.1.0"
        self.plate = plate_pb2.Plate()
        self.asked: list[common_pb2.PlateRef] = []
        self.look = recipe_pb2.Recipe()
        self.looked: list[str] = []
        self.whose: list[str] = []
        self.jobs: dict[str, job_pb2.Job] = {}
        self.events: dict[str, list[job_pb2.JobEvent]] = {}
        self.frames: list[job_pb2.FrameReport] = []
        self.requests: list[job_pb2.StartJobRequest] = []
        self.watches: list[int] = []
        self.review: list[resource_pb2.ReviewFrame] = []
        self.updates: list[job_pb2.UpdateTrainingRequest] = []
        self._ids = itertools.count(1)
        self._server: grpc.Server | None = None
        self._stopping = threading.Event()

    def start(self) -> FakeDaemon:
        self._stopping.clear()
        server = grpc.server(ThreadPoolExecutor(8))
        job_pb2_grpc.add_JobServiceServicer_to_server(self, server)
        system_pb2_grpc.add_SystemServiceServicer_to_server(self, server)
        system_pb2_grpc.add_WeightsServiceServicer_to_server(self, server)
        plate_pb2_grpc.add_PlateServiceServicer_to_server(self, server)
        recipe_pb2_grpc.add_RecipeServiceServicer_to_server(self, server)
        resource_pb2_grpc.add_FacesetServiceServicer_to_server(self, server)
        resource_pb2_grpc.add_ReleaseServiceServicer_to_server(self, server)
        server.add_insecure_port(self.endpoint)
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.stop(0).wait()
        self._server = None

    def play(self, id_: str, events: Iterable[job_pb2.JobEvent]) -> None:
        """Give a job these events."""
        for event in events:
            kept = self.events[id_]
            copy = job_pb2.JobEvent()
            copy.CopyFrom(event)
            copy.sequence = kept[-1].sequence + 2 if kept else 1
            copy.time.GetCurrentTime()
            job = self.jobs[id_]
            job.last_sequence = copy.sequence
            if copy.HasField("state_change"):
                job.state = copy.state_change.to_state
                job.error.CopyFrom(copy.state_change.error)
            if copy.HasField("progress"):
                job.progress.CopyFrom(copy.progress)
            kept.append(copy)

    def end(self, id_: str, state: job_pb2.JobState) -> None:
        change = job_pb2.StateChange(from_state=self.jobs[id_].state, to_state=state, error=self.error)
        self.play(id_, [job_pb2.JobEvent(state_change=change)])
        self.jobs[id_].end_time.GetCurrentTime()

    # JobService

    def StartJob(self, request, context):
        kind = request.spec.WhichOneof("kind")
        refusal = self.refuse.get(kind)
        waits_for_weights = any(
            self.jobs[id_].spec.WhichOneof("kind") == "pull_weights" for id_ in request.depends_on
        )
        if refusal is not None and not waits_for_weights:
            self.refusals[kind] = self.refusals.get(kind, 0) + 1
            context.abort_with_status(refusal)
        self.requests.append(request)
        for job in self.jobs.values():
            if job.spec == request.spec and job.state not in ENDED:
                return job_pb2.StartJobResponse(job=job, existing=True)
        job = job_pb2.Job(
            id=f"job-{next(self._ids)}",
            spec=request.spec,
            state=job_pb2.JOB_STATE_QUEUED,
            label=request.label,
            depends_on=request.depends_on,
            frames_failed=self.frames_failed,
            frames_missing=self.frames_missing,
        )
        job.create_time.GetCurrentTime()
        job.start_time.GetCurrentTime()
        self.jobs[job.id], self.events[job.id] = job, []
        if self.script is not None:
            self.play(job.id, self.script)
            self.end(job.id, self.ending)
        return job_pb2.StartJobResponse(job=job)

    def _heard(self, context) -> bool:
        """Whether there is somebody to answer, and a daemon to do it."""
        return context.is_active() and not self._stopping.is_set()

    def _job(self, id_, context):
        if id_ not in self.jobs:
            context.abort_with_status(
                status(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"there is no job {id_}", value=id_)
            )
        return self.jobs[id_]

    def GetJob(self, request, context):
        return job_pb2.GetJobResponse(job=self._job(request.id, context))

    def ListJobs(self, request, context):
        found = [j for j in reversed(self.jobs.values()) if not request.states or j.state in request.states]
        first = int(request.page_token or 0)
        token = str(first + 2) if first + 2 < len(found) else ""
        return job_pb2.ListJobsResponse(jobs=found[first : first + 2], next_page_token=token)

    def CancelJob(self, request, context):
        job = self._job(request.id, context)
        if job.state not in ENDED:
            self.end(job.id, job_pb2.JOB_STATE_CANCELLING if self.stubborn else job_pb2.JOB_STATE_CANCELLED)
        return job_pb2.CancelJobResponse(job=job)

    def PauseJob(self, request, context):
        job = self._job(request.id, context)
        if job.state in ENDED:
            context.abort_with_status(
                status(
                    grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE", f"job {job.id} has ended", job=job.id
                )
            )
        job.state = job_pb2.JOB_STATE_PAUSED
        return job_pb2.PauseJobResponse(job=job)

    def ResumeJob(self, request, context):
        job = self._job(request.id, context)
        self.end(job.id, self.ending)
        return job_pb2.ResumeJobResponse(job=job)

    def SetJobPriority(self, request, context):
        job = self._job(request.id, context)
        job.priority = request.priority
        return job_pb2.SetJobPriorityResponse(job=job)

    def RetryJobFrames(self, request, context):
        job = self._job(request.id, context)
        self.end(job.id, self.ending)
        return job_pb2.RetryJobFramesResponse(job=job)

    def UpdateTraining(self, request, context):
        self.updates.append(request)
        return job_pb2.UpdateTrainingResponse(job=self._job(request.job_id, context))

    def WaitJob(self, request, context):
        until = time.monotonic() + request.timeout.ToTimedelta().total_seconds()
        job = self._job(request.id, context)
        while job.state not in ENDED and time.monotonic() < until and self._heard(context):
            time.sleep(0.01)
        return job_pb2.WaitJobResponse(job=job)

    def WatchJob(self, request, context):
        job = self._job(request.id, context)
        self.watches.append(request.after_sequence)
        if self.silent:
            self.silent = False
            while self._heard(context):
                time.sleep(0.01)
            return
        yield job_pb2.WatchJobResponse(snapshot=job)
        yield job_pb2.WatchJobResponse(heartbeat=job_pb2.Heartbeat())
        for text in self.waiting:
            waits = job_pb2.Job()
            waits.CopyFrom(job)
            waits.state, waits.waits_for = job_pb2.JOB_STATE_QUEUED, text
            yield job_pb2.WatchJobResponse(snapshot=waits)
        sent = request.after_sequence
        while self._heard(context):
            for event in [e for e in self.events[job.id] if e.sequence > sent]:
                yield job_pb2.WatchJobResponse(event=event)
                sent = event.sequence
                if self.drop_after and sent >= self.drop_after:
                    self.drop_after = 0
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the daemon is stopping")
            if job.state in ENDED:
                return
            time.sleep(0.01)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the daemon is stopping")

    def ListJobFrames(self, request, context):
        found = [f for f in self.frames if not request.states or f.state in request.states]
        first = int(request.page_token or 0)
        token = str(first + 2) if first + 2 < len(found) else ""
        return job_pb2.ListJobFramesResponse(frames=found[first : first + 2], next_page_token=token)

    # SystemService, WeightsService

    def GetInfo(self, request, context):
        presets = system_pb2.Family(name="preset", default_choice="quick96", choices=["quick64", "quick96"])
        device = system_pb2.Device(name="cpu", description="a processor", memory_bytes=2_000_000_000)
        return system_pb2.GetInfoResponse(
            version=self.version,
            api_versions=self.api,
            families=[presets],
            devices=[device],
            state_folder="/tmp",
            process_id=1,
            colour=system_pb2.ColourInfo(config="ocio://fake", working_space="ACEScg"),
            recipe=[
                common_pb2.Parameter(
                    name="erode",
                    help="Shrinks the matte",
                    type="number",
                    default_value="0",
                    minimum=-500,
                    maximum=500,
                    keyable=True,
                ),
                common_pb2.Parameter(
                    name="blend",
                    help="How",
                    type="choice",
                    default_value="over",
                    choices=["over", "seamless"],
                ),
                common_pb2.Parameter(name="keep_highlights", help="Kept", type="bool", default_value="true"),
            ],
        )

    def ListWeights(self, request, context):
        state = system_pb2.WEIGHTS_STATE_MISSING if self.refuse else system_pb2.WEIGHTS_STATE_PRESENT
        weights = system_pb2.Weights(
            name="blazeface", kind="detector", size_bytes=229_746, state=state, by_default=True
        )
        return system_pb2.ListWeightsResponse(weights=[weights])

    def VerifyWeights(self, request, context):
        return system_pb2.VerifyWeightsResponse(
            weights=[system_pb2.Weights(name="blazeface", state=system_pb2.WEIGHTS_STATE_CORRUPT)]
        )

    # PlateService, RecipeService, FacesetService, ReleaseService

    def GetRecipe(self, request, context):
        self.looked.append(request.path)
        self.whose.append(request.person)
        answer = recipe_pb2.Recipe()
        answer.CopyFrom(self.look)
        for field, _ in request.changes.ListFields():
            if field.name != "overrides":
                answer.ClearField(field.name)
        answer.MergeFrom(request.changes)
        return recipe_pb2.GetRecipeResponse(recipe=answer)

    def GetPlate(self, request, context):
        self.asked.append(request.plate)
        refusal = self.refuse.get("plate")
        if refusal is not None:
            context.abort_with_status(refusal)
        answer = plate_pb2.Plate()
        answer.CopyFrom(self.plate)
        answer.pattern = request.plate.pattern
        return plate_pb2.GetPlateResponse(plate=answer)

    def GetFaceset(self, request, context):
        if not self.released:
            context.abort_with_status(
                status(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "no faceset", path=request.path)
            )
        return resource_pb2.GetFacesetResponse(
            faceset=resource_pb2.Faceset(path=request.path, release_id="abc")
        )

    def ListFaces(self, request, context):
        first = int(request.page_token or 1001)
        token = str(first + 1) if first < 1003 else ""
        return resource_pb2.ListFacesResponse(faces=[resource_pb2.Face(frame=first)], next_page_token=token)

    def ListReviewFrames(self, request, context):
        return resource_pb2.ListReviewFramesResponse(frames=self.review)

    def GetRelease(self, request, context):
        release = resource_pb2.Release(id="abc", subject="performer-a", kind="test")
        valid = "revoked" not in request.path
        return resource_pb2.GetReleaseResponse(
            release=release, valid=valid, message="" if valid else "it was revoked"
        )

    def CreateRelease(self, request, context):
        release = resource_pb2.Release()
        release.CopyFrom(request.release)
        release.id = "abc"
        return resource_pb2.CreateReleaseResponse(release=release)


def frame(
    number: int,
    state: job_pb2.FrameState = job_pb2.FRAME_STATE_DONE,
    message: str = "",
    warnings: Sequence[str] = (),
) -> job_pb2.JobEvent:
    """An event about one frame."""
    error = job_pb2.Error(reason="FRAME_UNREADABLE", message=message) if message else None
    return job_pb2.JobEvent(
        frame=job_pb2.FrameReport(frame=number, state=state, error=error, warnings=warnings)
    )


def progress(done: int, total: int, unit: str = "frame", rate: float = 2.0) -> job_pb2.JobEvent:
    """An event about progress, with half a second a unit to go."""
    message = job_pb2.Progress(done=done, total=total, unit=unit, rate=rate, fraction=done / total)
    message.remaining.FromMilliseconds(500 * (total - done))
    return job_pb2.JobEvent(progress=message)
