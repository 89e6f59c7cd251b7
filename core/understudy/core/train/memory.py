"""A training in so much memory: what an iteration needs at its worst, and what is traded until that fits.

The need is not guessed from sizes. A trainer takes two steps on torch's meta device, where tensors have shapes and no
numbers, and every piece of memory that it takes and gives back is counted: so what is counted is the step that will be
taken, with all its losses and discriminators. What libraries take inside one operation is not seen, and not counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from understudy.core.errors import InvalidInput
from understudy.core.model import winograd
from understudy.core.model.presets import ModelConfig
from understudy.core.train.data import Crops, side_of
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import Plan
from understudy.core.train.stepper import CHUNK
from understudy.core.train.trainer import Trainer

_MIB = 2**20
_ROOM = 1.35  # times what is counted: allocators leave holes (18 % were seen), and libraries want some
_META = torch.device("meta")
_SAMPLE = 3, 5  # channels of an input and of its target
_COPIES = 4  # of a batch's crops that are there at once while samples are drawn


@dataclass(frozen=True, kw_only=True)
class Need:
    """What the iterations of a training take of their device, in bytes.

    Attributes:
        held: between two of them: weights, what the optimisers remember, the running mean.
        peak: at the worst moment of one, `held` included.
    """

    held: int
    peak: int


def fit(
    config: ModelConfig, plan: Plan, budget: int, *, bfloat16: bool, offload: bool = True
) -> tuple[Plan, tuple[str, ...]]:
    """A plan that trains alike in `budget` bytes of the device's memory.

    Traded, the cheapest first and no more than is needed: samples that are computed together (`accumulate`), time for
    what the forward pass keeps (`recompute`), time for what the optimiser remembers (`offload`).

    Args:
        offload: whether there is other memory than the device's, as of GPUs.

    Returns:
        The plan, and a sentence for each thing that was traded.

    Raises:
        InvalidInput: nothing does; names the least that would.
    """

    @cache
    def size(traded: Plan) -> int:
        return taken(config, traded, bfloat16=bfloat16)

    least: list[int] = []
    for group in _trades(plan, offload):
        least.append(
            min(size(group[0]), size(group[-1]))
        )  # more parts are less memory, but for tiny networks
        if least[-1] <= budget:
            traded = next(each for each in group if size(each) <= budget)
            return traded, tuple(_said(plan, traded))
    raise InvalidInput(
        f"train: memory {budget / _MIB:,.0f} MiB is too little for {config.arch} at {config.resolution} pixels, which "
        f"needs {min(least) / _MIB:,.0f} MiB at the least; take a preset of a lower resolution or narrower",
        field="memory",
        value=budget,
    )


def taken(config: ModelConfig, plan: Plan, *, bfloat16: bool) -> int:
    """Bytes that a training takes at the most, with what allocators and libraries waste."""
    return int(need(config, plan, bfloat16=bfloat16).peak * _ROOM)


def need(config: ModelConfig, plan: Plan, *, bfloat16: bool) -> Need:
    """What a training takes on a device of its own; nothing is computed and no memory taken."""
    watch, shown = _Watch(), _shortened(plan)
    with watch:
        with _META:
            step = _Rehearsal(config, shown, watch, bfloat16=bfloat16)
        step.twice()
    weights = sum(weight.numel() for weight in step.net.parameters())
    moments, gradients, chunk = step.moments_bytes, step.gradients, step.chunk
    held, peak = watch.live, watch.peak
    if not bfloat16 and plan.form == "ours":  # a rehearsal takes the plain way
        held, peak = held + winograd.kept(), peak + winograd.kept()
    if bfloat16:  # in the rehearsal all is narrow; in truth there is a narrow copy of each weight beside
        held, peak = held + 2 * weights + moments, peak + 4 * weights + moments + gradients
        moments, gradients, chunk = 2 * moments, 2 * gradients, 2 * chunk
    elsewhere = moments if plan.offload else 0
    more = 4 * weights if plan.average else 0
    held, peak = held + more - elsewhere, peak + more - elsewhere
    more = 2 * (plan.batch_size - shown.batch_size) * sum(_SAMPLE) * 4 * config.resolution**2
    own = (2 * chunk if plan.offload else 0) + (chunk if plan.keep < 1 else 0)  # of a step, see `stepper`
    return Need(held=held, peak=max(peak + more, held + gradients + own, held + _sampling(config, plan)))


def _shortened(plan: Plan) -> Plan:
    """One that can be rehearsed, and of as many parts of a batch only as differ."""
    parts = min(2, plan.accumulate)
    size = plan.batch_size // plan.accumulate
    return replace(
        plan,
        batch_size=parts * size,
        accumulate=parts,
        offload=False,
        keep=1.0,
        average=0.0,
        initial="ours",  # the others read numbers, which there are none of
    )


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts bytes of tensors on the meta device.

    Attributes:
        live, peak: now, and the most so far.
        idle: while it is set, `peak` stays.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self.idle = False
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor) and each.device.type == "meta":
                self._note(each.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        weakref.finalize(storage, self._gone, key, size).atexit = False
        self.live += size
        if not self.idle:
            self.peak = max(self.peak, self.live)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


class _Rehearsal(Trainer):
    """A trainer whose samples have shapes alone.

    Attributes:
        gradients: bytes of all gradients when a step is taken.
    """

    def __init__(self, config: ModelConfig, plan: Plan, watch: _Watch, *, bfloat16: bool) -> None:
        vgg = Vgg().requires_grad_(False) if plan.perceptual else None
        super().__init__(config, plan, _META, seed=0, bfloat16=False, vgg=vgg)
        self.gradients, self._watch = 0, watch
        self._steppers = [self.stepper, *(judge.stepper for judge in self.judges.at_work(plan))]
        if bfloat16:  # autocast does not know the meta device
            nets = [(self.net, self.net.encoder), *((j.net, j.net) for j in self.judges.at_work(plan))]
            for net, first in nets:
                net.bfloat16()
                first.register_forward_pre_hook(_narrow)

    @property
    def moments_bytes(self) -> int:
        """Of what the optimisers remember."""
        return sum(_bytes(stepper.moments().values()) for stepper in self._steppers)

    @property
    def chunk(self) -> int:
        """Bytes of the most weights that take their steps together."""
        sizes = [weight.numel() for weight in self.net.parameters()]
        return min(sum(sizes), max(*sizes, CHUNK)) * next(self.net.parameters()).element_size()

    def twice(self) -> None:
        """Step twice: the first makes what optimisers remember, the second finds it there."""
        nobody = Crops(array=np.empty((0, 1, 1, 5), np.float16), digest="")
        for iteration in range(2):
            self._watch.peak = self._watch.live
            self.step(nobody, nobody, iteration, 0.0)

    def samples(self, _src: Crops, _dst: Crops, _iteration: int, _progress: float) -> tuple[Tensor, Tensor]:
        count, side = 2 * self.plan.batch_size, self.config.resolution
        inputs, targets = (torch.empty(count, channels, side, side, device=_META) for channels in _SAMPLE)
        return inputs, targets

    def _share(self, weights: Any) -> None:
        """The gradients are there and the step comes: of a fused one, as it is on devices, nothing more is seen."""
        self.gradients = max(self.gradients, _bytes(w.grad for w in weights if w.grad is not None))
        self._watch.idle = self.plan.optimiser == "adam"

    def _judge(self, iteration: int, progress: float) -> None:
        super()._judge(iteration, progress)
        self._watch.idle = False


def _trades(plan: Plan, offload: bool) -> Iterator[list[Plan]]:
    """The plan and what may be traded for memory: groups, the cheapest first, in each by the number of parts."""
    count, most = plan.batch_size, 256  # that `Plan.accumulate` may be
    parts = [n for n in range(plan.accumulate, min(count, most) + 1) if count % n == 0]
    for elsewhere, again in product((False, True) if offload else (False,), (False, True)):
        if elsewhere >= (plan.offload and offload) and again >= plan.recompute:
            yield [replace(plan, accumulate=n, recompute=again, offload=elsewhere) for n in parts]


def _said(plan: Plan, traded: Plan) -> Iterator[str]:
    """What was traded, a sentence each."""
    if traded.accumulate > plan.accumulate:
        size = traded.batch_size // traded.accumulate
        yield (
            f"memory: the batch of {traded.batch_size} is computed in {traded.accumulate} parts of {size}, which "
            "changes no result (accumulate)"
        )
    if traded.recompute > plan.recompute:
        yield "memory: parts of the forward pass are computed twice, up to a third more time (recompute)"
    if traded.offload > plan.offload:
        yield "memory: what the optimiser remembers lies in the CPU's memory, some more time a step (offload)"


def _sampling(config: ModelConfig, plan: Plan) -> int:
    """Bytes that are taken while a batch is drawn."""
    side = side_of(config.resolution)
    return _COPIES * 2 * plan.batch_size * 5 * side * side * 4


def _narrow(_module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.bfloat16() for x in given)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
