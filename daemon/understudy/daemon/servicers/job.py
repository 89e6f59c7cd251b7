"""JobService."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import grpc

from understudy.core.errors import InvalidInput
from understudy.daemon import control, paging
from understudy.daemon.access import Caller
from understudy.daemon.errors import Stopping
from understudy.daemon.limits import Limits
from understudy.daemon.refs import named
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.v1 import job_pb2, job_pb2_grpc

HEARTBEAT_SECONDS = 5.0
BATCH = 500  # events read at once
WAIT_SECONDS, WAIT_MOST = 30.0, 300.0


class JobServicer(job_pb2_grpc.JobServiceServicer):
    """Jobs over the wire.

    Args:
        store: where jobs are.
        check: decodes a spec and refuses a wrong one.
        changed: refuses what a training cannot be told.
        caller: who makes a call; a job belongs to who started it.
        limits: how many jobs are taken.
        most_priority: that callers without the scope `admin` may ask for.
        stopping: set when the daemon stops: streams then end.
        watchers: threads that streams and waits may hold, so that the others always find one.
    """

    def __init__(
        self,
        store: Store,
        check: control.Check,
        changed: control.Changed,
        *,
        caller: Callable[[grpc.ServicerContext], Caller],
        limits: Limits,
        most_priority: int,
        stopping: threading.Event,
        watchers: int,
    ) -> None:
        self._store = store
        self._check = check
        self._changed = changed
        self._caller = caller
        self._limits = limits
        self._most_priority = most_priority
        self._stopping = stopping
        self._seats = threading.BoundedSemaphore(watchers)

    def StartJob(
        self, request: job_pb2.StartJobRequest, context: grpc.ServicerContext
    ) -> job_pb2.StartJobResponse:
        caller = self._caller(context)
        caller.need_priority(request.priority, self._most_priority)
        project = caller.project_of(request.project)
        job, existing = control.start(
            self._store, request, caller.name, self._check, self._limits, project=project
        )
        return job_pb2.StartJobResponse(job=job, existing=existing)

    def GetJob(self, request: job_pb2.GetJobRequest, context: grpc.ServicerContext) -> job_pb2.GetJobResponse:
        return job_pb2.GetJobResponse(job=self._store.job(request.id))

    def ListJobs(
        self, request: job_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> job_pb2.ListJobsResponse:
        scope = f"jobs {sorted(request.states)} {request.user!r} {request.project!r}"
        jobs, following = self._store.jobs(
            request.states,
            paging.cursor(scope, request.page_token),
            paging.size(request.page_size, 100, 1000),
            user=request.user,
            project=request.project,
        )
        token = "" if following is None else paging.token(scope, following)
        return job_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    def CancelJob(
        self, request: job_pb2.CancelJobRequest, context: grpc.ServicerContext
    ) -> job_pb2.CancelJobResponse:
        return job_pb2.CancelJobResponse(job=control.cancel(self._store, self._steered(request.id, context)))

    def PauseJob(
        self, request: job_pb2.PauseJobRequest, context: grpc.ServicerContext
    ) -> job_pb2.PauseJobResponse:
        return job_pb2.PauseJobResponse(job=control.pause(self._store, self._steered(request.id, context)))

    def ResumeJob(
        self, request: job_pb2.ResumeJobRequest, context: grpc.ServicerContext
    ) -> job_pb2.ResumeJobResponse:
        return job_pb2.ResumeJobResponse(job=control.resume(self._store, self._steered(request.id, context)))

    def WaitJob(
        self, request: job_pb2.WaitJobRequest, context: grpc.ServicerContext
    ) -> job_pb2.WaitJobResponse:
        asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else WAIT_SECONDS
        if asked < 0:
            raise InvalidInput(f"timeout {asked} s is negative", field="timeout", value=asked)
        until = time.monotonic() + min(asked, WAIT_MOST)
        for state, latest in self._follow(request.id, context):
            left = until - time.monotonic()
            if state.ended or left <= 0:
                return job_pb2.WaitJobResponse(job=self._store.job(request.id))
            self._store.wait_beyond(request.id, latest, min(left, 1.0))
        return job_pb2.WaitJobResponse()  # the caller has gone

    def WatchJob(
        self, request: job_pb2.WatchJobRequest, context: grpc.ServicerContext
    ) -> Iterator[job_pb2.WatchJobResponse]:
        sent = request.after_sequence
        if sent < 0:
            raise InvalidInput(f"after_sequence {sent} is negative", field="after_sequence", value=sent)
        told, snapshot_at, waited = time.monotonic(), -1, ""
        for state, latest in self._follow(request.id, context):
            events, thinned = self._store.events(request.id, sent, BATCH)
            if snapshot_at < 0 or max(snapshot_at, sent) < thinned:
                job = self._store.job(request.id)
                yield job_pb2.WatchJobResponse(snapshot=job)
                told, snapshot_at = time.monotonic(), job.last_sequence
            for event in events:
                yield job_pb2.WatchJobResponse(event=event)
                told, sent = time.monotonic(), event.sequence
            if events:
                continue
            if state.ended and sent >= latest:
                return
            if time.monotonic() - told >= HEARTBEAT_SECONDS:
                now = self._store.job(request.id) if state is State.QUEUED else None
                if now is not None and now.waits_for != waited:
                    waited = now.waits_for
                    yield job_pb2.WatchJobResponse(snapshot=now)
                else:
                    beat = job_pb2.Heartbeat()
                    beat.time.GetCurrentTime()
                    yield job_pb2.WatchJobResponse(heartbeat=beat)
                told = time.monotonic()
            self._store.wait_beyond(request.id, max(sent, latest), 1.0)

    def ListJobFrames(
        self, request: job_pb2.ListJobFramesRequest, context: grpc.ServicerContext
    ) -> job_pb2.ListJobFramesResponse:
        scope = f"frames {request.id} {sorted(request.states)}"
        frames, following = self._store.frames(
            request.id,
            request.states,
            paging.cursor(scope, request.page_token),
            paging.size(request.page_size, 1000, 10000),
        )
        token = "" if following is None else paging.token(scope, following)
        return job_pb2.ListJobFramesResponse(frames=frames, next_page_token=token)

    def RetryJobFrames(
        self, request: job_pb2.RetryJobFramesRequest, context: grpc.ServicerContext
    ) -> job_pb2.RetryJobFramesResponse:
        return job_pb2.RetryJobFramesResponse(
            job=control.retry(self._store, self._steered(request.id, context))
        )

    def SetJobPriority(
        self, request: job_pb2.SetJobPriorityRequest, context: grpc.ServicerContext
    ) -> job_pb2.SetJobPriorityResponse:
        self._caller(context).need_priority(request.priority, self._most_priority)
        job = control.set_priority(self._store, self._steered(request.id, context), request.priority)
        return job_pb2.SetJobPriorityResponse(job=job)

    def UpdateTraining(
        self, request: job_pb2.UpdateTrainingRequest, context: grpc.ServicerContext
    ) -> job_pb2.UpdateTrainingResponse:
        with named("", {"id": "job_id"}):
            self._steered(request.job_id, context)
        return job_pb2.UpdateTrainingResponse(job=control.update(self._store, request, self._changed))

    def _steered(self, job: str, context: grpc.ServicerContext) -> str:
        """The id of a job that the caller may steer: over TCP their own, unless they are an admin."""
        self._caller(context).need_of(job, self._store.job(job).user)
        return job

    def _follow(self, job: str, context: grpc.ServicerContext) -> Iterator[tuple[State, int]]:
        """State and latest sequence, again and again, while the caller is there and the daemon runs."""
        self._store.glance(job)  # refuses one that is not there before it takes a seat
        if not self._seats.acquire(blocking=False):
            raise Stopping("too many calls wait for jobs at once; try again in a moment")
        follows = True

        def gone() -> (
            None
        ):  # called at every end: of hundreds who hear the last event, none need wake the others
            if follows:
                self._store.nudge(job)

        try:
            context.add_callback(gone)
            while context.is_active():
                if self._stopping.is_set():
                    raise Stopping("the daemon is stopping; the job is kept")
                yield self._store.glance(job)
        finally:
            follows = False
            self._seats.release()
