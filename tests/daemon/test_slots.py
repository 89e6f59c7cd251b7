"""Which worker a job may have, and what that worker sees."""

from __future__ import annotations

import pytest

from understudy.core.errors import InvalidInput
from understudy.daemon import slots
from understudy.daemon.slots import Slot, Workers
from understudy.v1 import job_pb2

MIXED = Workers(devices=("cuda:0", "cuda:2"), cpu=2).slots(range(8))
GPUS = Workers(devices=("cuda:0", "cuda:1")).slots(range(8))
CPUS = Workers(cpu=2).slots(range(8))


def train(device: str = "") -> job_pb2.JobSpec:
    return job_pb2.JobSpec(train={"model": "/m", "device": device})


def test_without_settings_one_worker_sees_all():
    assert Workers().slots() == (Slot("auto"),)
    assert slots.environment(Workers().slots(), {"CUDA_VISIBLE_DEVICES": "1"}) == {}
    for device in ("", "cpu", "cuda", "cuda:7", "cuda:0,cuda:1"):
        assert slots.choices(slots.need_of(train(device)), Workers().slots()) == [(Slot("auto"),)]
        assert slots.localised(train(device), Workers().slots()) == train(device)


def test_workers_of_the_cpu_share_its_cores_evenly():
    assert [slot.cores for slot in CPUS] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [slot.cores for slot in Workers(cpu=3).slots(range(2))] == [(0,), (1,), (0,)]
    assert [slot.cores for slot in Workers(cpu=1).slots(range(8))] == [()]


def test_workers_are_bound_to_no_cores_where_that_cannot_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr("os.sched_getaffinity")  # as on macOS
    assert [slot.cores for slot in Workers(cpu=2).slots()] == [(), ()]


@pytest.mark.parametrize(
    ("workers", "field", "said"),
    [
        ({"devices": ("cpu", "cpu")}, "devices", "workers of the CPU are workers.cpu (`--workers N`)"),
        ({"devices": ("cuda",)}, "devices", "'cuda' is not cuda:N"),
        ({"devices": ("cuda:0", "cuda:0")}, "devices", "one is named twice"),
        ({"cpu": -1}, "cpu", "-1 is not 0 to"),
        ({"cpu": 10**6}, "cpu", "1000000 is not 0 to"),
    ],
)
def test_workers_that_cannot_be_are_refused(workers: dict, field: str, said: str):
    with pytest.raises(InvalidInput) as refused:
        Workers(**workers)
    assert refused.value.field == field
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("device", "there", "names"),
    [
        ("", MIXED, [["cuda:0"], ["cuda:2"]]),
        ("auto", CPUS, [["cpu:0"], ["cpu:1"]]),
        ("cuda", MIXED, [["cuda:0"], ["cuda:2"]]),
        ("cpu", MIXED, [["cpu:0"], ["cpu:1"]]),
        ("cpu", GPUS, [["cuda:0"], ["cuda:1"]]),
        ("cuda:2", MIXED, [["cuda:2"]]),
        ("cuda:0,cuda:2", MIXED, [["cuda:0", "cuda:2"]]),
        ("cuda:1", MIXED, []),
        ("cuda:0,cuda:1", MIXED, []),
        ("cuda", CPUS, []),
    ],
)
def test_where_a_job_may_run(device: str, there: tuple[Slot, ...], names: list[list[str]]):
    found = slots.choices(slots.need_of(train(device)), there)
    assert [[slot.name for slot in place] for place in found] == names
    if names:
        slots.check(train(device), there)
        return
    with pytest.raises(InvalidInput, match="no worker of this daemon has") as refused:
        slots.check(train(device), there)
    assert (refused.value.field, refused.value.value) == ("train.device", device)
    assert there[0].name in refused.value.message


def test_what_needs_no_device_leaves_gpus_free():
    spec = job_pb2.JobSpec(ingest={"video": "/v"})
    assert [place[0].name for place in slots.choices(slots.need_of(spec), MIXED)] == ["cpu:0", "cpu:1"]
    assert slots.places(slots.need_of(spec), MIXED, {MIXED[0]}) == []  # it waits for the CPU's
    assert slots.places(slots.need_of(spec), GPUS, {GPUS[1]}) == [(GPUS[1],)]


@pytest.mark.parametrize(
    ("place", "outer", "seen"),
    [
        (MIXED[1:2], {}, "2"),
        (MIXED[:2], {}, "0,2"),
        (MIXED[2:3], {}, ""),
        (MIXED[1:2], {"CUDA_VISIBLE_DEVICES": "5, 6 ,GPU-abc"}, "GPU-abc"),
        (MIXED[1:2], {"CUDA_VISIBLE_DEVICES": "5"}, ""),  # the daemon has no third one
        (MIXED[0:1], {"CUDA_VISIBLE_DEVICES": ""}, ""),
    ],
)
def test_a_worker_sees_its_own_devices_only(place: tuple[Slot, ...], outer: dict[str, str], seen: str):
    assert slots.environment(place, outer) == {"CUDA_VISIBLE_DEVICES": seen}


def test_gpus_are_named_as_the_worker_counts_them():
    several = train("cuda:0,cuda:2")
    assert slots.localised(several, MIXED[:2]).train.device == "cuda:0,cuda:1"
    assert slots.localised(train("cuda:2"), MIXED[1:2]).train.device == "cuda:0"
    assert slots.localised(train("cpu"), MIXED[1:2]) == train("cpu")
    assert several.train.device == "cuda:0,cuda:2"
