"""A real daemon process on a real socket, and what tests do with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from understudy.v1 import (
    job_pb2,
    job_pb2_grpc,
    plate_pb2_grpc,
    resource_pb2_grpc,
    segment_pb2_grpc,
    system_pb2_grpc,
)

T = TypeVar("T")
ENDED = {job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED}
SECONDS = 300.0  # generous: machines that run tests are busy


def until(what: Callable[[], T], seconds: float = SECONDS) -> T:
    """Ask again and again until the answer is true; gives it."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.02)
    return answer


class Daemon:
    """A daemon for a state folder; started, killed and started again at will."""

    def __init__(self, state: Path, *arguments: str, stdin: int | None = subprocess.DEVNULL) -> None:
        self.state = state
        self.arguments = arguments
        self.stdin = stdin
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        log = (self.state.parent / "stderr.txt").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "understudy.daemon", "--state", str(self.state), *self.arguments],
                stdin=self.stdin,
                stderr=log,
            )
        process = self.process
        until(lambda: self.announced().get("pid") == process.pid or process.poll() is not None)
        assert process.poll() is None, (self.state.parent / "stderr.txt").read_text()
        self.channel = grpc.insecure_channel(self.announced()["endpoint"])
        self.jobs = job_pb2_grpc.JobServiceStub(self.channel)
        self.system = system_pb2_grpc.SystemServiceStub(self.channel)
        self.weights = system_pb2_grpc.WeightsServiceStub(self.channel)
        self.plates = plate_pb2_grpc.PlateServiceStub(self.channel)
        self.facesets = resource_pb2_grpc.FacesetServiceStub(self.channel)
        self.segments = segment_pb2_grpc.SegmentServiceStub(self.channel)
        self.models = resource_pb2_grpc.ModelServiceStub(self.channel)
        self.releases = resource_pb2_grpc.ReleaseServiceStub(self.channel)
        return self

    def announced(self) -> dict:
        try:
            return dict(json.loads((self.state / "daemon.json").read_text()))
        except FileNotFoundError:
            return {}

    def stop(self) -> int:
        """Gracefully."""
        return self.end(signal.SIGTERM)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int) -> int:
        assert self.process is not None
        self.channel.close()
        self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        self.process = None
        return status

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def worker(self) -> int:
        """Process id of a worker, as the system knows it; waits for one to be there."""
        return next(iter(until(self.workers)))

    def workers(self) -> set[int]:
        """Process ids of all workers."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/children")
        found = {int(pid) for file in threads for pid in _read(file).split()}
        return {pid for pid in found if b"daemon import worker" in _read(Path(f"/proc/{pid}/cmdline"))}

    def submit(
        self, spec: job_pb2.JobSpec, *depends_on: str, request_id: str = "", **asked: Any
    ) -> job_pb2.Job:
        """Start a job; `asked`: more fields of the request."""
        request = job_pb2.StartJobRequest(
            request_id=request_id or str(uuid.uuid4()), spec=spec, depends_on=depends_on, **asked
        )
        answer: job_pb2.StartJobResponse = self.jobs.StartJob(request, timeout=SECONDS)
        return answer.job

    def job(self, job: str) -> job_pb2.Job:
        answer: job_pb2.GetJobResponse = self.jobs.GetJob(job_pb2.GetJobRequest(id=job), timeout=SECONDS)
        return answer.job

    def wait(self, job: str) -> job_pb2.Job:
        """The job when it has ended."""
        until(lambda: self.job(job).state in ENDED)
        return self.job(job)

    def succeed(self, job: str) -> job_pb2.Job:
        found = self.wait(job)
        assert found.state == job_pb2.JOB_STATE_SUCCEEDED, json_format.MessageToJson(found)
        return found

    def watch(self, job: str, after: int = 0) -> Iterator[job_pb2.WatchJobResponse]:
        request = job_pb2.WatchJobRequest(id=job, after_sequence=after)
        stream: Iterator[job_pb2.WatchJobResponse] = self.jobs.WatchJob(request, timeout=SECONDS)
        return stream

    def frames(self, job: str) -> dict[int, job_pb2.FrameReport]:
        answer = self.jobs.ListJobFrames(
            job_pb2.ListJobFramesRequest(id=job, page_size=10000), timeout=SECONDS
        )
        return {report.frame: report for report in answer.frames}

    def until_frames(self, job: str, count: int) -> None:
        """Until so many frames are reported; fails when the job ends before."""
        until(lambda: len(self.frames(job)) >= count)
        assert self.job(job).state == job_pb2.JOB_STATE_RUNNING


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Code, reason and metadata of a refused call."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "understudy"
    return error.code(), info.reason, dict(info.metadata)


def _read(file: Path) -> bytes:
    """What /proc says; nothing where the process or thread has gone meanwhile."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended stays in the list until its parent has looked."""
    state = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()[:1]
    return state not in ([], [b"Z"], [b"X"])


@contextmanager
def asleep(pid: int) -> Iterator[None]:
    """A process that does and hears nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
