"""A job of the daemon, as one handle: watch it, wait for it, steer it.

Example:
    job = session.extract("sh010/plate.%04d.exr", "sh010/faces")
    for event in job.watch():
        if isinstance(event.message, FrameReport):
            print(event.message.frame, event.message.error.message)
    job.check()
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from google.protobuf.timestamp_pb2 import Timestamp

from understudy.client.errors import JobCancelled, JobFailed, TimedOut, Unreachable
from understudy.client.phases import texts
from understudy.client.wire import Wire
from understudy.v1 import job_pb2 as pb
from understudy.v1.job_pb2_grpc import JobServiceStub

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
_WAIT_S = 60  # one WaitJob; the contract allows up to 5 minutes

Payload = Union[
    pb.Job,
    pb.StateChange,
    pb.Progress,
    pb.FrameReport,
    pb.TrainProgress,
    pb.Artifact,
    pb.Error,
    pb.TrainingUpdate,
]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        job: id of the job.
        kind: `snapshot` (a Job; of a queued one again where it waits for something else), `state_change`,
            `progress`, `frame` (a FrameReport), `training` (a TrainProgress), `artifact`, `warning` (an Error) or
            `training_update`.
        sequence: grows from event to event of a job; a snapshot has that of the latest event before it.
        time: when it happened, UTC.
        message: the message of `understudy.v1` that belongs to the kind.
    """

    job: str
    kind: str
    sequence: int
    time: Timestamp
    message: Payload


@dataclass(frozen=True)
class Asking:
    """How jobs stand in the daemon's queue.

    Attributes:
        priority: -1000 to 1000; higher begins first.
        project: for lists; empty: that of the token, if it has one.
        after: ids of jobs that must have succeeded first.
        interactive: where no worker is free, a job of lower priority makes room, and goes on later by itself.
        refuse_locked: refuse a job whose output another one is writing, rather than let it wait.
    """

    priority: int = 0
    project: str = ""
    after: tuple[str, ...] = ()
    interactive: bool = False
    refuse_locked: bool = False


def state_name(state: int) -> str:
    """`RUNNING` for JOB_STATE_RUNNING. A state of a newer daemon is its number."""
    return pb.JobState.Name(state)[len("JOB_STATE_") :] if state in pb.JobState.values() else str(state)


def frame_state_name(state: int) -> str:
    """`NO_FACE` for FRAME_STATE_NO_FACE."""
    return pb.FrameState.Name(state)[len("FRAME_STATE_") :] if state in pb.FrameState.values() else str(state)


class Job:
    """A handle on one job. Made by `Session`.

    Attributes:
        message: the job as last seen; `refresh`, `watch` and every steering call bring it up to date.
        existing: whether the job was there before this session asked for the same work.
    """

    def __init__(self, wire: Wire, message: pb.Job, *, existing: bool = False) -> None:
        self._wire = wire
        self.message = message
        self.existing = existing

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.label or self.stage} {self.state}>"

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def label(self) -> str:
        return self.message.label

    @property
    def stage(self) -> str:
        """Which kind of spec it has: `ingest`, `extract`, `train`, `merge`, `verify`, `measure_faceset`, …"""
        return self.message.spec.WhichOneof("kind") or ""

    @property
    def state(self) -> str:
        """`QUEUED`, `RUNNING`, `PAUSED`, `CANCELLING`, `SUCCEEDED`, `FAILED` or `CANCELLED`."""
        return state_name(self.message.state)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def seconds(self) -> float:
        """Wall time from the first start to the end, or to now; 0 before the start."""
        if not self.message.HasField("start_time"):
            return 0.0
        end = (
            self.message.end_time.ToNanoseconds() / 1e9 if self.message.HasField("end_time") else time.time()
        )
        return max(0.0, end - self.message.start_time.ToNanoseconds() / 1e9)

    def check(self) -> Job:
        """This job, unless it did not end well. Single frames that failed are in `message.frames_failed`.

        Raises:
            JobFailed, JobCancelled: by its state as last seen.
        """
        if self.state == "FAILED":
            raise JobFailed(self.message)
        if self.state == "CANCELLED":
            raise JobCancelled(self.message)
        return self

    def refresh(self) -> Job:
        """Ask the daemon how it stands."""
        return self._update(self._wire.call(JobServiceStub, "GetJob", pb.GetJobRequest(id=self.id)))

    def watch(self, after_sequence: int = 0) -> Iterator[Event]:
        """What happens to the job, from a snapshot of now until its end.

        A dropped connection is taken up again where it was: no event comes twice, and none is lost that the
        daemon still keeps. Leaving the loop leaves the job alone.

        Args:
            after_sequence: the last sequence number seen before, to go on from there.

        Raises:
            NotFound: there is no such job.
            Unreachable: the connection dropped and no daemon came back.
        """
        seen, deadline = after_sequence, None
        while True:
            request = pb.WatchJobRequest(id=self.id, after_sequence=seen)
            error = Unreachable("the daemon ended the stream before the job had ended")
            try:
                for reply in self._wire.stream(JobServiceStub, "WatchJob", request):
                    deadline = None
                    event = self.learn(reply)
                    if event is not None:
                        seen = max(seen, event.sequence if event.kind != "snapshot" else seen)
                        yield event
            except Unreachable as unreachable:
                error = unreachable
            else:
                if self.ended:
                    self.refresh()
                    return
            deadline = self._wire.reconnect(error, deadline)

    def learn(self, reply: pb.WatchJobResponse) -> Event | None:
        """The event in a reply of WatchJob, after this handle has learned from it; None for a heartbeat."""
        which = reply.WhichOneof("message")
        if which == "snapshot":
            self.message = reply.snapshot
            now = Timestamp()
            now.GetCurrentTime()
            return Event(self.id, "snapshot", self.message.last_sequence, now, reply.snapshot)
        kind = reply.event.WhichOneof("event")
        if which != "event" or kind is None:  # None: a kind of event that a newer daemon has
            return None
        payload = getattr(reply.event, kind)
        self._learn(payload)
        return Event(self.id, kind, reply.event.sequence, reply.event.time, payload)

    def _learn(self, payload: Payload) -> None:
        if isinstance(payload, pb.StateChange):
            self.message.state = payload.to_state
            self.message.ClearField("waits_for")
            self.message.ClearField("error")
            if payload.HasField("error"):
                self.message.error.CopyFrom(payload.error)
        elif isinstance(payload, pb.Progress):
            self.message.progress.CopyFrom(payload)
        elif isinstance(payload, pb.TrainProgress):
            scores = dict(self.message.training.scores)
            self.message.training.CopyFrom(payload)
            for (
                name,
                value,
            ) in scores.items():  # they are measured now and then, and hold until they are again
                if name not in payload.scores:
                    self.message.training.scores[name] = value

    def wait(self, timeout: float | None = None) -> Job:
        """Wait for the end.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            JobFailed, JobCancelled: it did not end well.
            TimedOut: it has not ended within the timeout. It goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.ended:
            left = _WAIT_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"{self.label or self.id} has not ended after {timeout} s; it is {self.state}")
            request = pb.WaitJobRequest(id=self.id)
            request.timeout.FromMilliseconds(int(1000 * min(left, _WAIT_S)))
            self._update(self._wire.call(JobServiceStub, "WaitJob", request, timeout=min(left, _WAIT_S) + 30))
        return self.check()

    def cancel(self) -> Job:
        """Ask it to stop. What is finished stays; a training writes its checkpoint."""
        return self._update(self._wire.call(JobServiceStub, "CancelJob", pb.CancelJobRequest(id=self.id)))

    def pause(self) -> Job:
        """Ask it to make room, with its work kept."""
        return self._update(self._wire.call(JobServiceStub, "PauseJob", pb.PauseJobRequest(id=self.id)))

    def resume(self) -> Job:
        """Queue it again after a pause; one that has not stopped yet goes on."""
        return self._update(self._wire.call(JobServiceStub, "ResumeJob", pb.ResumeJobRequest(id=self.id)))

    def set_priority(self, priority: int) -> Job:
        """Change its place in the queue.

        Args:
            priority: -1000 to 1000; higher begins first.

        Raises:
            Refused: it has ended, or the priority cannot be.
        """
        request = pb.SetJobPriorityRequest(id=self.id, priority=priority)
        return self._update(self._wire.call(JobServiceStub, "SetJobPriority", request))

    def retry(self) -> Job:
        """Queue it again after its end: what is finished is skipped, what failed is done again."""
        reply = self._wire.call(JobServiceStub, "RetryJobFrames", pb.RetryJobFramesRequest(id=self.id))
        return self._update(reply)

    def update_training(
        self,
        options: Mapping[str, object] | None = None,
        *,
        preview: bool = False,
        save: bool = False,
        back_up: bool = False,
    ) -> Job:
        """Tell a running training to go on with other options, or to make a preview, checkpoint or backup now.

        The event `training_update` says when it is done.

        Args:
            options: by name, as `session.info().training` lists them: numbers, text, True and False.

        Raises:
            Refused: it is no training, is not running, nothing is asked for, or an option is wrong.
        """
        request = pb.UpdateTrainingRequest(
            job_id=self.id, options=texts(options or {}), preview=preview, save=save, back_up=back_up
        )
        return self._update(self._wire.call(JobServiceStub, "UpdateTraining", request))

    def frames(self, states: Sequence[str] = ()) -> Iterator[pb.FrameReport]:
        """The latest report of each frame, by frame number; only those in `states` (`FAILED`, …) if given."""
        request = pb.ListJobFramesRequest(id=self.id, states=[f"FRAME_STATE_{state}" for state in states])
        while True:
            reply: pb.ListJobFramesResponse = self._wire.call(JobServiceStub, "ListJobFrames", request)
            yield from reply.frames
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def _update(self, reply: object) -> Job:
        """Take over the job out of a reply that holds one."""
        message = getattr(reply, "job")  # noqa: B009 - the replies have it in common, their types do not
        assert isinstance(message, pb.Job)
        self.message = message
        return self
