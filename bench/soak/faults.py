"""What goes wrong: processes are killed, the disk is full, the clock jumps."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import grpc

from bench import common
from bench.daemon import Here
from bench.soak.host import SECONDS, Gauge, Host, until
from bench.soak.part import SHORT, Alike, Found, Given, finished, ingest, manifested, video
from understudy.core.model import store as models
from understudy.v1 import job_pb2

SUCCEEDED, FAILED, RUNNING = (
    job_pb2.JOB_STATE_SUCCEEDED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_RUNNING,
)
FRAMES = 24
ITERATIONS = 12
LONGEST = 4.0  # seconds from a job's start to the kill
DISK = "tmpfs of 48 MiB in mounts of the daemon's own"
TMPFS = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=48m none "$0" && exec "$@"')
JUMPS = (3600.0, -86400.0, 30 * 86400.0, -10 * 365 * 86400.0, 0.0)  # seconds from the true time
PRELOADED = Path(__file__).with_name("clock.c")


class Work:
    """Merges and trainings that are always running: what is done is followed by the next.

    Attributes:
        merges, trainings: id of the job → its output's folder, or model.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host, self._folder = host, folder
        self.merges: dict[str, Path] = {}
        self.trainings: dict[str, Path] = {}
        self._plate = common.plate("hopper", FRAMES)
        self._faces = (
            folder.parent / "faces"
        )  # of the soak alone: what other benches make anew has frames made anew
        if not (self._faces / "model" / "checkpoint.json").is_file():
            Here(self._plate).model(common.plate("astronaut", FRAMES), self._faces)

    def fill(self) -> None:
        """Two of each kind in the queue or at work."""
        left = self._host.all_jobs(job_pb2.JOB_STATE_QUEUED, RUNNING)
        for there, add in ((self.merges, self._merge), (self.trainings, self._train)):
            for _ in range(2 - len(there.keys() & left.keys())):
                add()

    def _merge(self) -> None:
        folder = self._folder / f"merge{len(self.merges)}"
        frames = [{"first": 1001, "last": 1000 + FRAMES}]
        plate = {
            "pattern": str(Path(self._plate.template.text).absolute()),
            "frames": frames,
            "colour_space": self._plate.colour_space,
        }
        swap = {"faceset": str(self._faces / "dst"), "model": str(self._faces / "model")}
        spec = {"plate": plate, "swaps": [swap], "output": str(folder / "comp.%04d.exr")}
        self.merges[self._host.submit(job_pb2.JobSpec(merge=spec))] = folder

    def _train(self) -> None:
        model = self._folder / f"model{len(self.trainings)}"
        spec = job_pb2.TrainSpec(
            model=str(model),
            src=str(self._faces / "src"),
            dst=str(self._faces / "dst"),
            preset="quick64",
            batch_size=2,
            target_iterations=ITERATIONS,
            device="cpu",
        )
        self.trainings[self._host.submit(job_pb2.JobSpec(train=spec))] = model

    def complete(self, found: Found) -> int:
        """Let all come to their end; gives how many had to be started again, of which workers had died too often."""
        again = 0
        while True:
            self._host.rest(3600)
            failed = self._host.all_jobs(FAILED)
            for job, told in failed.items():
                if told.error.reason != "WORKER_DIED":
                    found.fault(f"job {job} failed: {told.error.message}")
                    return again
                self._host.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id=job), timeout=SECONDS)
                again += 1
            if not failed:
                return again

    def check(self, found: Found) -> None:
        """Every frame there, whole and as the manifest says; every model trained to its target."""
        for folder in self.merges.values():
            paths = finished(folder)
            if len(paths) != FRAMES:
                found.fault(f"{folder}: {len(paths)} of {FRAMES} frames")
            found.whole(paths, manifested(folder))
        for model in self.trainings.values():
            state = models.read_state(model)
            if state.iteration != ITERATIONS:
                found.fault(f"{model}: {state.iteration} of {ITERATIONS} iterations")
            models.load(model)


def kill(given: Given) -> Found:
    """`kill -9` of the daemon or of a worker at random moments of running merges and trainings."""
    found = Found()
    host = Host(given.folder, "--workers", given.workers).start()
    work = Work(host, given.folder)
    killed = {"daemon": 0, "worker": 0}
    before: dict[Path, tuple[int, int]] = {}
    try:
        with Gauge(host).running() as gauge:
            for _ in range(given.count):
                work.fill()
                until(lambda: host.all_jobs(RUNNING))
                time.sleep(given.chance.uniform(0, LONGEST))
                if given.chance.random() < 0.4:
                    host.end(signal.SIGKILL)
                    before |= _seen(work)
                    host.start()
                    killed["daemon"] += 1
                elif workers := sorted(host.workers()):
                    before |= _seen(work)
                    with suppress(ProcessLookupError):
                        os.kill(given.chance.choice(workers), signal.SIGKILL)
                    killed["worker"] += 1
            again = work.complete(found)
        found.taken = gauge.taken()
        ids = [*work.merges, *work.trainings]
        found.stored(host, dict.fromkeys(ids, (SUCCEEDED,)))
        found.reported(host, work.merges)
        work.check(found)
        if changed := [path for path, was in before.items() if _file(path) != was]:
            found.twice += len(changed)
            found.fault(f"finished frames were written again: {changed[:3]}")
        found.clean(given.folder)
        found.count = (
            f"{killed['daemon']} kills of the daemon, {killed['worker']} of workers, over {len(work.merges)} merges "
            f"and {len(work.trainings)} trainings; {again} started again by hand"
        )
        host.end()
    finally:
        host.close()
    return found


def _seen(work: Work) -> dict[Path, tuple[int, int]]:
    """The finished frames and which file each is: another one when it is written again."""
    return {path: _file(path) for folder in work.merges.values() for path in finished(folder)}


def _file(path: Path) -> tuple[int, int]:
    there = path.stat()
    return there.st_ino, there.st_mtime_ns


def disk(given: Given) -> Found:
    """A disk that is full again and again, under the job store, the audit log and the outputs."""
    found = Found()
    clip = video(given.folder / "clip.mkv", SHORT)
    mounted = given.folder / "disk"
    mounted.mkdir()
    host = Host(given.folder, "--workers", "1", wrap=(*TMPFS, str(mounted)), state="disk/state").start()
    wanted: list[str] = []
    again = 0
    try:
        with Gauge(host).running() as gauge:
            filler = host.seen(mounted) / "filler"
            for number in range(given.count):
                spec = ingest(clip, mounted / "out" / str(number), SHORT)
                wanted.append(host.submit(spec))
                until(lambda: host.all_jobs(RUNNING))
                time.sleep(given.chance.uniform(0, 1.0))
                _fill(filler)
                with suppress(grpc.RpcError):  # refused, or taken and then done like any other
                    wanted.append(host.submit(ingest(clip, mounted / "out" / f"{number}b", SHORT)))
                time.sleep(given.chance.uniform(0.5, 3.0))
                filler.unlink()
                again += _completed(host, found)
                out = host.seen(mounted) / "out"
                found.whole(finished(out), Alike())
                found.clean(out)
                shutil.rmtree(out)
        found.taken = gauge.taken()
        ids = host.all_jobs()
        found.jobs = len(wanted)
        found.lost = sum(job not in ids or ids[job].state != SUCCEEDED for job in wanted)
        found.reported(host, wanted)
        found.count = f"{given.count} times full ({DISK}); {again} jobs started again by hand"
        audit = host.seen(mounted) / "state" / "audit.jsonl"
        copied = given.folder / "audit.jsonl"
        copied.write_bytes(audit.read_bytes())
        told = subprocess.run(
            [sys.executable, "-m", "understudy.client.cli", "audit", "verify", str(copied)],
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode:
            found.fault(f"audit log: {told.stderr.strip()}")
        host.end()
    finally:
        host.close()
    return found


def _fill(path: Path) -> None:
    """Take all that is left of a disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def _completed(host: Host, found: Found) -> int:
    """Let all jobs end, and start those again that the disk was too full for; gives how many."""
    again = 0
    while True:
        host.rest()
        failed = host.all_jobs(FAILED)
        for job, told in failed.items():
            if told.error.reason not in ("DISK_FULL", "WRITE_FAILED"):
                found.fault(f"job {job} failed: {told.error.reason} {told.error.message}")
                return again
            host.jobs.RetryJobFrames(job_pb2.RetryJobFramesRequest(id=job), timeout=SECONDS)
            again += 1
        if not failed:
            return again


class Clock:
    """The clock of a process that is started with `environment`: the true one and an offset.

    A few lines of C between it and the system's `clock_gettime`, `gettimeofday` and `time`; the monotonic clock stays.
    """

    def __init__(self, folder: Path) -> None:
        library, offset = folder / "clock.so", folder / "offset"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, PRELOADED, "-ldl"], check=True)
        offset.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(offset)}
        with offset.open("r+b") as file:
            self._offset = ctypes.c_double.from_buffer(mmap.mmap(file.fileno(), 8))

    def jump(self, seconds: float) -> None:
        """To so many seconds from the true time."""
        self._offset.value = seconds


def clock(given: Given) -> Found:
    """The daemon's clock jumps, hours and years, there and back, under running jobs and a watch."""
    found = Found()
    clip = video(given.folder / "clip.mkv", SHORT)
    clock_ = Clock(given.folder)
    host = Host(given.folder, "--workers", given.workers, environment=clock_.environment).start()
    ids: list[str] = []
    try:
        with Gauge(host).running() as gauge:
            for number in range(given.count):
                job = host.submit(ingest(clip, given.folder / "out" / str(number), SHORT))
                ids.append(job)
                until(lambda: host.all_jobs(RUNNING))
                time.sleep(given.chance.uniform(0, 1.0))
                clock_.jump(JUMPS[number % len(JUMPS)])
                began = time.monotonic()
                events = host.events(job)
                if [event.sequence for event in events] != list(range(1, len(events) + 1)):
                    found.fault(f"a watch over a jump heard {len(events)} events with gaps")
                shown = host.job(job).end_time.seconds - time.time()
                known = (
                    JUMPS[number % len(JUMPS)],
                    JUMPS[number % len(JUMPS) - 1],
                )  # it may end before the jump
                if all(abs(shown - jump) > SECONDS for jump in known):
                    found.fault(f"the clock was not moved: the job ended {shown:.0f} s from now")
                if (took := time.monotonic() - began) > SECONDS / 2:
                    found.fault(f"a job took {took:.0f} s over a jump of {JUMPS[number % len(JUMPS)]:.0f} s")
            host.rest()
        found.taken = gauge.taken()
        found.count = f"{given.count} jumps of an hour to ten years, there and back"
        found.stored(host, dict.fromkeys(ids, (SUCCEEDED,)))
        found.reported(host, ids)
        found.whole(finished(given.folder / "out"), Alike())
        found.clean(given.folder / "out")
        host.end()
    finally:
        host.close()
    return found
