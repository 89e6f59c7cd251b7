"""The daemon under load: a process of its own that is started, killed and started again, and what it takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import numpy as np

from understudy.v1 import job_pb2
from understudy.v1.job_pb2_grpc import JobServiceStub

T = TypeVar("T")
ENDED = {job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED}
SECONDS = 600.0  # that anything may take before the soak gives up on it
SAMPLE_SECONDS = 0.5
SETTLE_SECONDS = 2.0  # after the last client has gone
DAEMON = (sys.executable, "-m", "understudy.daemon")


def until(what: Callable[[], T], seconds: float = SECONDS) -> T:
    """Ask again and again until the answer is true; gives it."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.05)
    return answer


class Host:
    """A daemon for a state folder.

    Args:
        folder: of the part; the state folder lies in it.
        wrap: what the daemon is started by, in mounts of its own; empty: by itself.
        environment: what it gets beside ours.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        wrap: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        state: str = "state",
    ) -> None:
        self.folder, self.state = folder, folder / state
        self._command = [*wrap, *DAEMON, "--state", str(self.state), *arguments]
        self._own_mounts = bool(wrap)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> Host:
        with (self.folder / "stderr.txt").open("ab") as log:
            process = self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stderr=log, env=self._environment
            )
        until(lambda: self._announced().get("pid") == process.pid or process.poll() is not None)
        assert process.poll() is None, (self.folder / "stderr.txt").read_text()
        self.endpoint = self._announced()["endpoint"]
        if self._own_mounts:
            self.endpoint = self.endpoint.replace("unix:", f"unix:/proc/{process.pid}/root")
        self.channel = self.open()
        self.jobs: Any = JobServiceStub(self.channel)  # type: ignore[no-untyped-call]
        return self

    def seen(self, path: Path) -> Path:
        """A path as the daemon sees it: it may have mounts of its own."""
        return Path(f"/proc/{self.pid}/root{path}")

    def open(self) -> grpc.Channel:
        """Another connection."""
        return grpc.insecure_channel(self.endpoint, options=[("grpc.use_local_subchannel_pool", 1)])

    def _announced(self) -> dict[str, Any]:
        assert self._process is not None
        path = self.state / "daemon.json"
        with suppress(FileNotFoundError, ValueError):
            there = Path(f"/proc/{self._process.pid}/root{path}") if self._own_mounts else path
            return dict(json.loads(there.read_text()))
        return {}

    def end(self, number: int = signal.SIGTERM) -> int:
        """Gracefully, or as the signal says; gives the exit status."""
        assert self._process is not None
        self.channel.close()
        self._process.send_signal(number)
        status = self._process.wait(SECONDS)
        self._process = None
        return status

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def workers(self) -> set[int]:
        """Process ids of the workers."""
        found: set[int] = set()
        for file in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with suppress(OSError):
                found.update(map(int, file.read_text().split()))
        return found

    def submit(self, spec: job_pb2.JobSpec, **asked: Any) -> str:
        """Start a job; gives its id."""
        request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec, **asked)
        return str(self.jobs.StartJob(request, timeout=SECONDS).job.id)

    def job(self, job: str) -> job_pb2.Job:
        answer: job_pb2.GetJobResponse = self.jobs.GetJob(job_pb2.GetJobRequest(id=job), timeout=SECONDS)
        return answer.job

    def all_jobs(self, *states: job_pb2.JobState) -> dict[str, job_pb2.Job]:
        """What the job store has, in these states; none: in any."""
        found: dict[str, job_pb2.Job] = {}
        token = ""
        while True:
            request = job_pb2.ListJobsRequest(states=states, page_size=1000, page_token=token)
            answer = self.jobs.ListJobs(request, timeout=SECONDS)
            found |= {job.id: job for job in answer.jobs}
            if not (token := answer.next_page_token):
                return found

    def events(self, job: str) -> list[job_pb2.JobEvent]:
        """All that is kept of a job that has ended."""
        stream = self.jobs.WatchJob(job_pb2.WatchJobRequest(id=job), timeout=SECONDS)
        return [message.event for message in stream if message.HasField("event")]

    def rest(self, seconds: float = SECONDS) -> None:
        """Wait until no job is left to do."""
        active = (job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_CANCELLING)
        until(
            lambda: not self.jobs.ListJobs(job_pb2.ListJobsRequest(states=active, page_size=1)).jobs, seconds
        )


@dataclass(frozen=True)
class Taken:
    """What the daemon took over a part.

    Attributes:
        memory: MiB resident, after a quarter of the time and at the end.
        handles: open descriptors, likewise.
        trend: MiB a minute, fitted to the second half.
    """

    memory: tuple[float, float] = (0.0, 0.0)
    handles: tuple[int, int] = (0, 0)
    trend: float = 0.0


class Gauge:
    """Looks at the daemon's memory and handles twice a second; when it is started anew it begins anew."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._seen: list[tuple[int, float, float, int]] = []
        self._done = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Gauge]:
        thread = threading.Thread(target=self._main, daemon=True)
        thread.start()
        try:
            yield self
            time.sleep(SETTLE_SECONDS)
        finally:
            self._done.set()
            thread.join()

    def _main(self) -> None:
        while True:
            with suppress(OSError, AssertionError):
                self._seen.append(self._look())
            if self._done.wait(SAMPLE_SECONDS):
                return

    def _look(self) -> tuple[int, float, float, int]:
        pid = self._host.pid
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return pid, time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20, handles

    def taken(self) -> Taken:
        """Of the process that lived longest."""
        if not self._seen:
            return Taken()
        pids = [pid for pid, *_ in self._seen]
        longest = max(set(pids), key=pids.count)
        seen = [each for each in self._seen if each[0] == longest]
        half = np.array([each[1:3] for each in seen[len(seen) // 2 :]])
        rise = np.polyfit(half[:, 0] - half[0, 0], half[:, 1], 1)[0] * 60 if len(half) > 2 else 0.0
        first, last = seen[len(seen) // 4], seen[-1]  # by then all is loaded
        return Taken((first[2], last[2]), (first[3], last[3]), float(rise))
