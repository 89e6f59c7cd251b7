"""Where jobs run: a slot is a worker process and the device that is its own.

`device` of a spec says where one job computes; `workers` of the daemon's configuration says which devices have a
worker each, so how many jobs run at once. A worker sees its own devices only (CUDA_VISIBLE_DEVICES), so that no
library puts anything on another's, and one of the CPU has its own cores: as many threads whenever a job goes on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from understudy.core.errors import InvalidInput
from understudy.v1 import job_pb2

ANY, GPU, CPU = (
    "any",
    "gpu",
    "cpu",
)  # what a job needs, where it names no GPU: a GPU if there is one; a GPU; none
_GPU = re.compile(r"cuda:\d{1,3}")
MOST_WORKERS = 256


@dataclass(frozen=True)
class Slot:
    """A worker's place.

    Attributes:
        name: `cuda:0`; `cpu:0`, …; or `auto`, the only one, which sees all there is and lets jobs choose.
        cores: those it computes on; empty: all.
    """

    name: str
    cores: tuple[int, ...] = ()

    @property
    def is_cpu(self) -> bool:
        return self.name.startswith("cpu")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Which workers a daemon has; without any of both one, which sees all devices and lets jobs choose.

    Attributes:
        devices: GPUs as `cuda:N`, each with a worker of its own.
        cpu: how many more compute on the CPU, which they share out evenly.
        keep_mib: MiB of networks that each keeps loaded between jobs.
    """

    devices: tuple[str, ...] = ()
    cpu: int = 0
    keep_mib: int = 2048

    def __post_init__(self) -> None:
        for name in self.devices:
            if not _GPU.fullmatch(name):
                hint = "; workers of the CPU are workers.cpu (`--workers N`)" if name == "cpu" else ""
                raise InvalidInput(
                    f"devices: {name!r} is not cuda:N{hint}", field="devices", value=",".join(self.devices)
                )
        if len(set(self.devices)) != len(self.devices):
            raise InvalidInput(
                f"devices: {', '.join(self.devices)}: one is named twice, and a device has one worker",
                field="devices",
                value=",".join(self.devices),
            )
        if not 0 <= self.cpu <= MOST_WORKERS:
            raise InvalidInput(f"cpu: {self.cpu} is not 0 to {MOST_WORKERS}", field="cpu", value=self.cpu)
        if self.keep_mib < 0:
            raise InvalidInput(f"keep_mib: {self.keep_mib} is below 0", field="keep_mib", value=self.keep_mib)

    def slots(self, cores: Collection[int] | None = None) -> tuple[Slot, ...]:
        """GPUs first, then the CPU's; `cores` are those of this process."""
        if not self.devices and not self.cpu:
            return (Slot("auto"),)
        there = sorted(_own_cores() if cores is None else cores)
        return (
            *(Slot(name) for name in self.devices),
            *(Slot(f"cpu:{at}", _shared(there, at, self.cpu)) for at in range(self.cpu)),
        )


def _own_cores() -> Collection[int]:
    """The cores that this process may use, by number; none where processes cannot be bound to some, as on macOS."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()


def _shared(cores: Sequence[int], at: int, count: int) -> tuple[int, ...]:
    """The cores of one of so many workers: as many for each, or one where there are fewer cores than workers."""
    if count == 1 or not cores:
        return ()
    each = max(1, len(cores) // count)
    return tuple(cores[(at * each + i) % len(cores)] for i in range(each))


def need_of(spec: job_pb2.JobSpec) -> str:
    """What a job needs: `any`, `gpu`, `cpu`, or GPUs by name, `cuda:0,cuda:1`."""
    settings = getattr(spec, spec.WhichOneof("kind") or "", None)
    if settings is None or "device" not in settings.DESCRIPTOR.fields_by_name:
        return CPU
    asked = settings.device or "auto"
    return {"auto": ANY, "mps": ANY, "cuda": GPU}.get(asked, asked)


def choices(need: str, slots: Sequence[Slot]) -> list[tuple[Slot, ...]]:
    """The slots, or sets of slots, that a need can be met by; none where this daemon has no such worker."""
    if slots[0].name == "auto":
        return [(slots[0],)]
    if need in (ANY, GPU, CPU):
        cpu: list[tuple[Slot, ...]] = [(slot,) for slot in slots if slot.is_cpu]
        gpu: list[tuple[Slot, ...]] = [(slot,) for slot in slots if not slot.is_cpu]
        return {ANY: gpu or cpu, GPU: gpu, CPU: cpu or gpu}[need]
    by_name = {slot.name: slot for slot in slots}
    named = need.split(",")
    return [tuple(by_name[name] for name in named)] if all(name in by_name for name in named) else []


def places(need: str, slots: Sequence[Slot], free: Collection[Slot]) -> list[tuple[Slot, ...]]:
    """The choices of which all slots are free."""
    return [each for each in choices(need, slots) if all(slot in free for slot in each)]


def named(need: str, slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots that a need names, which nobody later in the queue may take before it."""
    return () if need in (ANY, GPU, CPU) else next(iter(choices(need, slots)), ())


def pools(need: str, place: Sequence[Slot], there: Collection[str]) -> tuple[str, ...]:
    """The memories that a job takes of in a place: `cpu`, `cuda:N`.

    Args:
        there: what memories there are.
    """
    if place[0].name != "auto":
        return tuple("cpu" if slot.is_cpu else slot.name for slot in place)
    if need == CPU or (need in (ANY, GPU) and "cuda:0" not in there):
        return ("cpu",)
    return ("cuda:0",) if need in (ANY, GPU) else tuple(need.split(","))


def check(spec: job_pb2.JobSpec, slots: Sequence[Slot]) -> None:
    """Refuse a job that no worker of this daemon could ever run.

    Raises:
        InvalidInput: names the field and the devices that have workers.
    """
    need = need_of(spec)
    if need != GPU and not all(_GPU.fullmatch(name) for name in need.split(",")):
        return  # what is no device is refused by its decoding
    if not choices(need, slots):
        kind = spec.WhichOneof("kind") or ""
        device = getattr(spec, kind).device
        raise InvalidInput(
            f"{kind}.device: no worker of this daemon has {device}; there are {', '.join(s.name for s in slots)}",
            field=f"{kind}.device",
            value=device,
        )


def environment(slots: Sequence[Slot], outer: Mapping[str, str]) -> dict[str, str]:
    """What a worker of these slots is started with, over the daemon's own environment.

    `cuda:N` is the N-th GPU that the daemon itself would see.
    """
    if slots[0].name == "auto":
        return {}
    visible = outer.get("CUDA_VISIBLE_DEVICES")
    shown = None if visible is None else [name.strip() for name in visible.split(",") if name.strip()]
    numbers = [int(slot.name.removeprefix("cuda:")) for slot in slots if not slot.is_cpu]
    if shown is not None:
        numbers_shown: Iterable[str] = (shown[n] for n in numbers if n < len(shown))
    else:
        numbers_shown = map(str, numbers)
    return {"CUDA_VISIBLE_DEVICES": ",".join(numbers_shown)}


def localised(spec: job_pb2.JobSpec, slots: Sequence[Slot]) -> job_pb2.JobSpec:
    """The spec as a worker of these slots is to read it: the GPUs that it sees are numbered from 0."""
    if slots[0].name == "auto" or "cuda:" not in (need := need_of(spec)):
        return spec
    local = job_pb2.JobSpec()
    local.CopyFrom(spec)
    here = ",".join(f"cuda:{at}" for at in range(len(need.split(","))))
    getattr(local, local.WhichOneof("kind") or "").device = here
    return local
