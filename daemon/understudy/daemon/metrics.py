"""What the daemon counts, in Prometheus' words. A site relies on names and labels: docs/operations.md lists them."""

from __future__ import annotations

import os
import shutil
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from understudy.core.reports import FrameReport, Report
from understudy.core.weights import WeightsReport
from understudy.daemon import memory
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.v1 import job_pb2

# Else each counter has a second series, of which nobody makes anything.
disable_created_metrics()  # type: ignore[no-untyped-call]
BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # seconds of an rpc


class Metrics:
    """Counts what happens; gauges are read when somebody asks (`watch`)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of = self.registry
        self._rpcs = Counter("understudy_rpcs", "Calls answered.", ["rpc", "code"], registry=of)
        self._latency = Histogram(
            "understudy_rpc_seconds",
            "Time to the answer of calls with one answer.",
            ["rpc"],
            buckets=BUCKETS,
            registry=of,
        )
        self._frames = Counter(
            "understudy_frames", "Frames reported by jobs.", ["kind", "state"], registry=of
        )
        self._stages = Counter(
            "understudy_stage_seconds", "Time spent on frames, by stage.", ["kind", "stage"], registry=of
        )
        self._ends = Counter(
            "understudy_job_moves", "Runs of jobs that ended.", ["kind", "state"], registry=of
        )
        self._starts = Counter("understudy_worker_starts", "Worker processes started.", registry=of)
        self._deaths = Counter("understudy_worker_deaths", "Workers that died under a job.", registry=of)
        self._loads = Counter("understudy_model_cache", "Networks that jobs wanted.", ["result"], registry=of)
        self._strangers = Counter("understudy_unauthenticated", "Calls without a valid token.", registry=of)

    def called(self, rpc: str, code: str, seconds: float | None) -> None:
        """An rpc was answered with this code; `seconds` is None for a stream."""
        self._rpcs.labels(rpc, code).inc()
        if code == "UNAUTHENTICATED":
            self._strangers.inc()
        if seconds is not None:
            self._latency.labels(rpc).observe(seconds)

    def reported(self, kind: str, report: Report | WeightsReport) -> None:
        """A job of this kind reported."""
        if isinstance(report, FrameReport):
            self._frames.labels(kind, report.status.value).inc()
            for stage, seconds in report.seconds.items():
                self._stages.labels(kind, stage).inc(max(0.0, seconds))

    def moved(self, kind: str, state: State) -> None:
        """A run of a job came to this state."""
        self._ends.labels(kind, state.name.lower()).inc()

    def loaded(self, hits: int, misses: int) -> None:
        """A worker found so many networks loaded already, and had to load so many."""
        self._loads.labels("hit").inc(hits)
        self._loads.labels("miss").inc(misses)

    def hired(self) -> None:
        self._starts.inc()

    def died(self) -> None:
        self._deaths.inc()

    def watch(
        self, store: Store, folder: Path, workers: Callable[[], Mapping[str, int]], ready: Callable[[], str]
    ) -> None:
        """From now on also say what is there at the moment of asking.

        Args:
            folder: the state folder, whose disk is looked at.
            workers: slot → process id.
            ready: why the daemon takes no work; empty where it does.
        """
        self.registry.register(_Now(store, folder, workers, ready))

    def until(self, name: str, seconds: Callable[[], float]) -> None:
        """Also say when something ends, in seconds since 1970."""
        self.registry.register(_Until(name, seconds))


class _Now(Collector):
    def __init__(
        self, store: Store, folder: Path, workers: Callable[[], Mapping[str, int]], ready: Callable[[], str]
    ) -> None:
        self._store, self._folder, self._workers, self._ready = store, folder, workers, ready
        self._kinds: dict[int, str] = {}  # a job's number never comes twice, and its kind never changes

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is asked for before the first scrape

    def collect(self) -> Iterator[Metric]:
        yield _gauge("understudy_ready", "1 where work is taken.", [((), 0.0 if self._ready() else 1.0)])
        jobs = GaugeMetricFamily("understudy_jobs", "Jobs in the store.", labels=["kind", "state"])
        queued = 0
        for (kind, state), count in self._jobs().items():
            jobs.add_metric([kind, State(state).name.lower()], count)
            queued += count if state == State.QUEUED else 0
        yield jobs
        yield _gauge("understudy_queue_length", "Jobs that wait.", [((), queued)])
        free = float(shutil.disk_usage(self._folder).free)
        yield _gauge(
            "understudy_state_disk_free_bytes", "Room on the disk of the state folder.", [((), free)]
        )
        workers = {
            "worker" if slot == "auto" else f"worker {slot}": pid for slot, pid in self._workers().items()
        }
        processes = {"server": os.getpid(), **workers}
        resident = [((name,), float(memory.resident(pid))) for name, pid in processes.items()]
        yield _gauge(
            "understudy_memory_bytes",
            "Of a process and those it started.",
            resident,
            "process",
        )
        gpus = {name.removeprefix("cuda:"): there for name, there in memory.gpus({}).items()}
        used = [((name,), float(there.total - there.free)) for name, there in gpus.items()]
        total = [((name,), float(there.total)) for name, there in gpus.items()]
        yield _gauge("understudy_gpu_memory_used_bytes", "Of all processes.", used, "gpu")
        yield _gauge("understudy_gpu_memory_total_bytes", "What the device has.", total, "gpu")

    def _jobs(self) -> Tally[tuple[str, int]]:
        with self._store.reading() as db:
            rows = db.execute("SELECT number, state FROM jobs").fetchall()
            for number in {row["number"] for row in rows} - self._kinds.keys():
                (spec,) = db.execute("SELECT spec FROM jobs WHERE number = ?", (number,)).fetchone()
                self._kinds[number] = job_pb2.JobSpec.FromString(spec).WhichOneof("kind") or ""
        return Tally((self._kinds[row["number"]], row["state"]) for row in rows)


class _Until(Collector):
    def __init__(self, name: str, seconds: Callable[[], float]) -> None:
        self._name, self._seconds = name, seconds

    def collect(self) -> Iterator[Metric]:
        yield _gauge(self._name, "Seconds since 1970.", [((), self._seconds())])


def _gauge(name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for names, value in values:
        family.add_metric(names, value)
    return family
