"""How much memory there is, what jobs say they need of it, and that none begins where it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import grpc
import pynvml
import pytest

from tests.core import shots
from tests.core.shots import make_release
from tests.daemon import facesets, models, test_queue
from tests.daemon.support import Daemon, refusal, until
from tests.daemon.test_queue import add, end, running
from understudy.core import needs as weighed
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.core.extract import ExtractSettings
from understudy.core.kept import Kept
from understudy.core.model import presets
from understudy.core.model import store as store_of_models
from understudy.core.plate import read_header
from understudy.core.reports import Started
from understudy.core.train import memory as rehearsal
from understudy.core.train import planned
from understudy.core.train.control import Control
from understudy.core.train.plan import Course, Phase, Plan
from understudy.daemon import decode, memory, needs, rooms
from understudy.daemon.attempt import Attempt
from understudy.daemon.decode import Merge, Verify
from understudy.daemon.memory import Memory
from understudy.daemon.metrics import Metrics
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.site import Site
from understudy.daemon.slots import Workers
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.daemon.tasks import Tasks
from understudy.daemon.worker import Ended
from understudy.v1 import job_pb2

GIB = 1 << 30
RUNNING, QUEUED = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_QUEUED


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearsals may take their time: machines that run tests are busy."""
    monkeypatch.setattr(planned, "SECONDS", 600.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.close()


class Lane(test_queue.Lane):
    """As that, and its worker leaves at once when it is told to."""

    def vacate(self):
        self.pid = None
        return super().vacate()


def scheduler_of(store: Store, folder: Path, workers: Workers, probe: rooms.Probe) -> Scheduler:
    site = Site(weights_cache=folder)
    scheduler = Scheduler(store, site, folder, lambda: None, metrics=Metrics(), workers=workers, probe=probe)
    scheduler._lanes = {slot: Lane() for slot in scheduler.slots}  # type: ignore[misc]
    return scheduler


def slots_of(scheduler: Scheduler) -> dict[str, list[str]]:
    """Job → the slots that it has."""
    return {job: [slot.name for slot in attempt.place] for job, attempt in running(scheduler).items()}


# What there is


def test_the_machines_memory_is_what_the_kernel_says():
    said = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    whole = int(said["MemTotal"].split()[0]) * 1024
    found = memory.machine()
    assert 0 < found.free <= found.total <= whole
    assert memory.resident(1 << 30) == 0
    assert memory.found()["cpu"].total == found.total


def tree(folder: Path, cgroup: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """A machine of 16 GiB, 12 of them free, with control groups of which this process is in some."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(cgroup)
    kib = {"MemTotal": 16 << 20, "MemFree": 1 << 20, "MemAvailable": 12 << 20}
    lines = [f"{name}:       {value} kB" for name, value in kib.items()]
    (folder / "proc" / "meminfo").write_text("\n".join([*lines, "HugePages_Total:       0"]))
    for name, text in files.items():
        (folder / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "groups" / name).write_text(text)
    return folder / "proc", folder / "groups"


V2 = {
    "site/memory.max": f"{8 * GIB}\n",
    "site/memory.current": f"{5 * GIB}\n",
    "site/memory.stat": f"anon 5\ninactive_file {GIB}\n",
    "site/job/memory.max": "max\n",
    "site/job/memory.current": "7\n",
    "site/job/memory.stat": "inactive_file 0\n",
}
V1 = {
    "memory/memory.limit_in_bytes": f"{6 * GIB}",
    "memory/memory.usage_in_bytes": f"{7 * GIB}",
    "memory/memory.stat": f"total_inactive_file {GIB}\n",
}


@pytest.mark.parametrize(
    ("cgroup", "files", "total", "free"),
    [
        ("0::/\n", {}, 16, 12),  # a machine of its own
        ("0::/site/job\n", V2, 8, 4),  # the limit is the parent's; a GiB of files can be dropped
        (
            "9:cpu:/\n4:memory:/host/abc\n0::/\n",
            V1,
            6,
            0,
        ),  # a container, which sees its own group as the root
        ("0::/elsewhere\n", V2, 16, 12),
    ],
)
def test_a_control_groups_limit_counts(
    tmp_path: Path, cgroup: str, files: Mapping[str, str], total: int, free: int
):
    assert memory.machine(*tree(tmp_path, cgroup, files)) == Memory(total * GIB, free * GIB)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[object, SimpleNamespace]:
    """NVIDIA's driver, of a machine with two GPUs of 24 GiB, half empty; the test may take and give."""
    there: dict[object, SimpleNamespace] = {
        number: SimpleNamespace(total=24 * GIB, free=12 * GIB) for number in (0, 1)
    }

    def handle(name: object) -> object:
        if name not in there and name != "GPU-one":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return 1 if name == "GPU-one" else name

    for name, answer in (
        ("nvmlInit", lambda: None),
        ("nvmlDeviceGetCount", lambda: len(there)),
        ("nvmlDeviceGetHandleByIndex", handle),
        ("nvmlDeviceGetHandleByUUID", handle),
        ("nvmlDeviceGetMemoryInfo", there.__getitem__),
    ):
        monkeypatch.setattr(pynvml, name, answer)
    return there


def test_gpus_are_numbered_as_programs_see_them(two_gpus: dict[object, SimpleNamespace]):
    two_gpus[1].free = GIB
    free = {
        shown: {
            name: there.free // GIB for name, there in memory.gpus({"CUDA_VISIBLE_DEVICES": shown}).items()
        }
        for shown in ("1,0", "GPU-one", "", "7,1")
    }
    assert free == {
        "1,0": {"cuda:0": 1, "cuda:1": 12},
        "GPU-one": {"cuda:0": 1},
        "": {},
        "7,1": {"cuda:1": 1},
    }
    assert list(memory.gpus({})) == ["cuda:0", "cuda:1"]


# Who begins


def test_a_job_goes_to_the_gpu_that_has_room_for_it(
    store: Store, tmp_path: Path, two_gpus: dict[object, SimpleNamespace]
):
    two_gpus[0].free = 2 * GIB  # of somebody else's program
    scheduler = scheduler_of(store, tmp_path, test_queue.TWO, memory.found)
    job = add(store, memory=8 * GIB)
    scheduler._assign()
    assert slots_of(scheduler) == {job: ["cuda:1"]}
    large, small = add(store, memory=8 * GIB), add(store, memory=GIB)
    scheduler._assign()
    assert slots_of(scheduler) == {job: ["cuda:1"], small: ["cuda:0"]}
    end(scheduler, store, small, State.SUCCEEDED)
    scheduler._assign()
    said = "8,192 MiB of cuda:0's memory: 2,048 MiB of 24,576 MiB are free"
    assert store.job(large).waits_for == said
    assert store.job(large).memory_bytes == 8 * GIB
    two_gpus[0].free = 9 * GIB
    scheduler._assign()
    assert slots_of(scheduler)[large] == ["cuda:0"]
    assert store.job(large).waits_for == ""


def test_several_gpus_must_all_have_room(
    store: Store, tmp_path: Path, two_gpus: dict[object, SimpleNamespace]
):
    two_gpus[1].free = GIB
    scheduler = scheduler_of(store, tmp_path, test_queue.TWO, memory.found)
    both = add(store, device="cuda:0,cuda:1", memory=4 * GIB)
    one = add(store, memory=4 * GIB)
    scheduler._assign()
    assert slots_of(scheduler) == {one: ["cuda:0"]}  # nothing is kept for who lacks what is not ours to give
    assert store.job(both).waits_for.startswith("4,096 MiB of cuda:")
    end(scheduler, store, one, State.SUCCEEDED)
    two_gpus[1].free = 4 * GIB
    scheduler._assign()
    assert slots_of(scheduler) == {both: ["cuda:0", "cuda:1"]}


def test_what_running_jobs_were_promised_is_not_promised_twice(store: Store, tmp_path: Path):
    """By the machine's own figures: the first one has taken nothing yet."""
    found = memory.found()  # once: what else the machine does may take and give some meanwhile
    scheduler = scheduler_of(store, tmp_path, Workers(cpu=2), lambda: found)
    most = found[memory.MACHINE].free * 6 // 10
    first, second = add(store, memory=most), add(store, memory=most)
    tiny, unknown = add(store, memory=1), add(store)
    scheduler._assign()
    assert set(running(scheduler)) == {first, tiny}
    assert store.job(second).waits_for.startswith(f"{memory.text(most)} of the machine's memory: ")
    end(scheduler, store, tiny, State.SUCCEEDED)
    scheduler._assign()
    assert set(running(scheduler)) == {first, unknown}
    end(scheduler, store, first, State.SUCCEEDED)
    scheduler._assign()
    assert set(running(scheduler)) == {second, unknown}


def test_what_a_worker_has_taken_counts_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    free = [10 * GIB]
    scheduler = scheduler_of(store, tmp_path, Workers(cpu=2), lambda: {"cpu": Memory(16 * GIB, free[0])})
    first = add(store, memory=8 * GIB)
    scheduler._assign()
    (lane,) = (lane for lane in scheduler._lanes.values() if lane.attempt)
    lane.pid = 4711  # type: ignore[misc]
    free[0] = 4 * GIB
    second = add(store, memory=3 * GIB)
    monkeypatch.setattr(memory, "resident", {4711: 6 * GIB}.__getitem__)  # 2 are to come
    scheduler._assign()
    assert set(running(scheduler)) == {first}
    monkeypatch.setattr(memory, "resident", {4711: 7 * GIB}.__getitem__)
    scheduler._assign()
    assert set(running(scheduler)) == {first, second}


def test_idle_workers_leave_where_their_memory_is_wanted(store: Store, tmp_path: Path):
    free = [2 * GIB]
    scheduler = scheduler_of(
        store, tmp_path, Workers(devices=("cuda:0",), cpu=2), lambda: {"cpu": Memory(16 * GIB, free[0])}
    )
    for number, lane in enumerate(scheduler._lanes.values(), 4711):
        lane.pid = number  # type: ignore[misc]
    add(store, device="cpu", memory=4 * GIB)
    scheduler._assign()
    left = {slot.name for slot, lane in scheduler._lanes.items() if lane.pid is None}
    assert left == {"cpu:0", "cpu:1"}  # the GPU's has nothing of it
    free[0] = 5 * GIB
    scheduler._assign()
    assert len(running(scheduler)) == 1


def test_who_is_more_important_gets_the_memory_of_who_is_less(store: Store, tmp_path: Path):
    probe = lambda: {"cpu": Memory(16 * GIB, 15 * GIB)}  # noqa: E731  nobody takes what he was promised
    scheduler = scheduler_of(store, tmp_path, Workers(cpu=3), probe)
    low, middle = add(store, priority=-5, memory=6 * GIB), add(store, priority=1, memory=6 * GIB)
    scheduler._assign()
    add(store, priority=9, memory=6 * GIB)  # important, but nobody waits for it
    scheduler._assign()
    assert {attempt.room_for for attempt in running(scheduler).values()} == {""}
    asked = add(store, priority=9, interactive=True, memory=7 * GIB)
    giant = add(store, priority=0, interactive=True, memory=12 * GIB)  # `low` alone would not do
    for _ in range(2):
        scheduler._assign()
    assert {job: attempt.room_for for job, attempt in running(scheduler).items()} == {low: asked, middle: ""}
    assert "12,288 MiB" in store.job(giant).waits_for


# What stays loaded


def test_a_training_finds_nothing_loaded(train: Callable[..., job_pb2.JobSpec], tmp_path: Path):
    kept = Kept(1 << 20)
    kept.get(("segmenter",), 1000, object)
    with closing(
        Tasks(Site(weights_cache=tmp_path), kept).reports(train().SerializeToString(), Control())
    ) as made:
        assert isinstance(next(made), Started)
    assert kept.size == 0


def test_what_was_loaded_already_is_counted():
    metrics = Metrics()
    attempt = Attempt("job", "merge", metrics)
    for ended in (Ended(hits=2, misses=1), Ended(misses=3)):
        attempt.take(ended)
    counts = [
        metrics.registry.get_sample_value("understudy_model_cache_total", {"result": result})
        for result in ("hit", "miss")
    ]
    assert counts == [2, 4]


# What is said


def test_a_training_is_rehearsed_by_another_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planned, "SECONDS", 240.0)  # here nobody waits, and the machine may be busy
    config = presets.preset("quick64")
    course = Course(base=Plan(batch_size=4), phases=(Phase(iteration=5, options={"batch_size": "16"}),))
    found = planned.peak(config, course, bfloat16=False)
    assert found == rehearsal.taken(config, Plan(batch_size=16), bfloat16=False)
    halves = planned.peak(config, course, bfloat16=False, share=2)
    assert halves == rehearsal.taken(config, Plan(batch_size=8), bfloat16=False)


def test_a_rehearsal_that_fails_or_takes_too_long_says_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planned, "SECONDS", 240.0)
    course = Course(base=Plan(batch_size=8, accumulate=8))  # whose half no eight parts make
    assert planned.peak(presets.preset("quick64"), course, bfloat16=False, share=2) == 0
    assert "could not be told" in caplog.text
    monkeypatch.setattr(planned, "SECONDS", 0.001)
    course = Course(base=Plan(batch_size=12))
    assert planned.peak(presets.preset("quick64"), course, bfloat16=False) == 0
    assert "timed out" in caplog.text


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., job_pb2.JobSpec]:
    """Specs of trainings of a tiny model."""
    for name in ("src", "dst"):
        facesets.make(tmp_path / name)
    release.write(make_release(), tmp_path / "src" / "release.json")

    def spec(name: str = "model", **more) -> job_pb2.JobSpec:
        models.make(tmp_path / name)
        paths = {"model": str(tmp_path / name), "src": str(tmp_path / "src"), "dst": str(tmp_path / "dst")}
        return job_pb2.JobSpec(train={**paths, "target_iterations": 10**8, "device": "cpu", **more})

    return spec


def test_merges_and_extractions_are_weighed_by_what_they_load_and_see(tmp_path: Path, colour: ColourConfig):
    shot, site = shots.make(tmp_path / "shot"), Site(weights_cache=tmp_path / "weights")
    release.write(make_release(), shot.faceset / "release.json")
    model = shots.tiny_model(tmp_path / "model")
    pattern = shot.plate.template.text
    plate = {"pattern": pattern, "colour_space": shot.plate.colour_space}
    swap = {"faceset": str(shot.faceset), "model": str(model)}
    merging = job_pb2.JobSpec(merge={"plate": plate, "output": str(tmp_path / "c.%04d.exr"), "swaps": [swap]})
    settings = decode.work(merging, site=site, colour=colour).settings
    assert isinstance(settings, Merge)
    loaded = (store_of_models.current(model) / store_of_models.WEIGHTS).stat().st_size
    header = read_header(settings.core.plate.template.path(next(iter(settings.core.plate.present))))
    pixels = header.data.width * header.data.height
    expected = weighed.PROCESS + 2 * loaded + pixels * (40 + 20 * len(header.channels))
    there = Workers(cpu=1).slots()
    assert needs.stated(merging, settings, there, site) == expected
    assert weighed.merge(settings.core, gpu=True) == weighed.CUDA + 2 * loaded  # the plate stays outside
    extraction = ExtractSettings(plate=settings.core.plate, faceset=tmp_path / "faces", workers=3)
    networks = sum(
        site.weights().entry(name).size for name in ("blazeface-short", "blazeface-full", "facemesh")
    )
    each = weighed.PROCESS + 2 * networks + pixels * (40 + 20 * len(header.channels))
    spec = job_pb2.JobSpec(extract={"device": "cpu"})
    assert needs.stated(spec, extraction, there, site) == 3 * each  # its networks need not be here
    assert needs.stated(job_pb2.JobSpec(verify={}), Verify(output=shot.plate, plate=None), there, site) == 0


@pytest.mark.parametrize(
    ("device", "workers", "asked", "field", "said"),
    [
        ("cpu", Workers(cpu=1), {"memory_bytes": 5 * GIB}, "memory_bytes", "4,096 MiB (cpu)"),
        ("cpu", Workers(), {"memory_bytes": 5 * GIB}, "memory_bytes", "4,096 MiB (cpu)"),
        ("", Workers(), {"memory_bytes": 24 * GIB}, "memory_bytes", "24,576 MiB (cuda:0)"),
        ("cuda:1", test_queue.TWO, {"memory_bytes": 24 * GIB}, "memory_bytes", "24,576 MiB (cuda:1)"),
        ("cpu", Workers(cpu=1), {"batch_size": 1024}, "batch_size", "4,096 MiB (cpu)"),
    ],
)
def test_what_fits_nowhere_is_refused_by_field_and_value(
    train: Callable[..., job_pb2.JobSpec],
    tmp_path: Path,
    colour: ColourConfig,
    two_gpus: dict[object, SimpleNamespace],
    monkeypatch: pytest.MonkeyPatch,
    *,
    device: str,
    workers: Workers,
    asked: dict[str, int],
    field: str,
    said: str,
):
    monkeypatch.setattr(memory, "machine", lambda: Memory(4 * GIB, 4 * GIB))
    site, spec = Site(weights_cache=tmp_path), train(**{"device": device, **asked})
    settings = decode.work(spec, site=site, colour=colour).settings
    with pytest.raises(InvalidInput, match="of memory, and the most that it can get here is") as refused:
        needs.stated(spec, settings, workers.slots(), site)
    assert (refused.value.field, refused.value.value) == (f"train.{field}", asked[field])
    assert said in refused.value.message
    two_gpus.clear()  # a machine without: nothing is known of what is not there
    if device.startswith("cuda"):
        assert needs.stated(spec, settings, workers.slots(), site) > 24 * GIB


def test_trainings_on_a_real_daemon_say_what_they_need_and_wait_for_it(
    make_daemon: Callable[..., Daemon], train: Callable[..., job_pb2.JobSpec]
):
    daemon = make_daemon("--workers", "2").start()
    giant = 1 << 50
    with pytest.raises(grpc.RpcError) as refused:
        daemon.submit(train("giant", memory_bytes=giant))
    code, reason, metadata = refusal(refused.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert (metadata["field"], metadata["value"]) == ("train.memory_bytes", str(giant))
    most = memory.machine().free * 6 // 10
    first = daemon.submit(train("first", memory_bytes=most))
    assert first.memory_bytes == most + weighed.PROCESS
    until(lambda: daemon.job(first.id).state == RUNNING)
    second = daemon.submit(train("second", memory_bytes=most)).id
    until(lambda: "of the machine's memory: " in daemon.job(second).waits_for)
    assert daemon.job(second).state == QUEUED
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=first.id))
    until(lambda: daemon.job(second).state == RUNNING)
