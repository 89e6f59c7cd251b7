"""What a job will need of the memory of the device that computes, stated when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from understudy.core import needs
from understudy.core.errors import InvalidInput
from understudy.core.extract import ExtractSettings
from understudy.core.extract.crew import MOST
from understudy.core.extract.station import FAMILIES
from understudy.core.model import presets, store
from understudy.core.pipeline import cores
from understudy.core.train import planned
from understudy.core.train.settings import TrainSettings
from understudy.daemon import decode, memory, slots
from understudy.daemon.decode import Merge, families
from understudy.daemon.decode.settings import Settings
from understudy.daemon.memory import Memory
from understudy.daemon.site import Site
from understudy.daemon.slots import Slot
from understudy.v1 import job_pb2

_MOST = 2**63 - 1  # of a column of the store, and of a field of the wire


def stated(spec: job_pb2.JobSpec, settings: Settings, there: Sequence[Slot], site: Site) -> int:
    """Bytes that a job will need of its device, of each where there are several; 0 for kinds that nobody has weighed.

    Raises:
        InvalidInput: more than any device has that it may run on; names the field and the value.
    """
    if not isinstance(settings, TrainSettings | ExtractSettings | Merge):
        return 0
    found = memory.found()
    asked = slots.need_of(spec)
    pools = [slots.pools(asked, place, found) for place in slots.choices(asked, there)]
    gpu = any(memory.MACHINE not in pool for pool in pools)
    match settings:
        case TrainSettings():
            need = _training(spec, settings, gpu=gpu, rehearsed=there[0].name != "auto")
        case Merge():
            need = needs.merge(settings.core, gpu=gpu)
        case ExtractSettings():
            need = _extraction(settings, there, site, gpu=gpu)
    _refuse_giant(spec, settings, need, pools, found)
    return min(need, _MOST)


def _training(spec: job_pb2.JobSpec, settings: TrainSettings, *, gpu: bool, rehearsed: bool) -> int:
    """What was asked for, or else what a rehearsal says.

    That takes seconds: a daemon of one worker, which may be there for one command only, does without.
    """
    more = needs.CUDA if gpu else needs.PROCESS
    if settings.memory is not None:
        return settings.memory + more
    if not rehearsed:
        return 0
    config = presets.preset(settings.preset) if settings.preset else store.read_config(settings.model)
    share = len(settings.device.split(","))
    taken = planned.peak(config, decode.course(spec.train), bfloat16=gpu, share=share)
    return taken + more if taken else 0


def _extraction(settings: ExtractSettings, there: Sequence[Slot], site: Site, *, gpu: bool) -> int:
    wanted = families.needed({family: getattr(settings, field) for field, family in FAMILIES.items()})
    own = max((len(slot.cores) for slot in there if slot.is_cpu), default=0) or cores()
    weights = site.weights()
    loaded = sum(weights.entry(name).size for name in wanted)
    return needs.extract(settings, loaded, gpu=gpu, processes=settings.workers or min(own, MOST))


def _refuse_giant(
    spec: job_pb2.JobSpec,
    settings: TrainSettings | ExtractSettings | Merge,
    need: int,
    pools: Collection[Collection[str]],
    found: Mapping[str, Memory],
) -> None:
    """Refuse what fits nowhere, however much is free."""
    totals = {pool: found[pool].total for each in pools for pool in each if pool in found}
    fits = partial(_fits, need, found)
    if not totals or any(all(map(fits, each)) for each in pools):
        return
    kind = spec.WhichOneof("kind") or ""
    field, value, hint = _culprit(kind, settings)
    largest = max(totals, key=totals.__getitem__)
    raise InvalidInput(
        f"{kind}.{field}: {value} needs {memory.text(need)} of memory, and the most that it can get here is "
        f"{memory.text(totals[largest])} ({largest}); {hint}",
        field=f"{kind}.{field}",
        value=value,
    )


def _fits(need: int, found: Mapping[str, Memory], pool: str) -> bool:
    return pool not in found or need <= found[pool].total


def _culprit(kind: str, settings: TrainSettings | ExtractSettings | Merge) -> tuple[str, object, str]:
    """The field to name, its value, and what to do."""
    match settings:
        case TrainSettings(memory=int() as asked):
            return "memory_bytes", asked, "ask for less, and the training is made to fit"
        case TrainSettings():
            size = settings.plan().batch_size
            return (
                "batch_size",
                size,
                "take a smaller one or a smaller preset, or say memory_bytes (--memory)",
            )
        case ExtractSettings():
            return "plate", settings.plate.template.text, "use fewer workers, or another machine"
        case Merge():
            return "plate", settings.core.plate.template.text, "use another machine"
    raise AssertionError(kind)
