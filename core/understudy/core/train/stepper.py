"""An optimiser of some weights as a plan wants it, and where what it remembers lies.

The weights are dealt out in chunks, each with an optimiser of its own, so that what a step needs beside the weights
(moments that lie elsewhere, weights as they were before a dropout) is needed of one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.core.train import optimisers
from understudy.core.train.optimisers import OptimiserSettings
from understudy.core.train.plan import Plan

CHUNK = 1 << 24  # numbers, 64 MiB; a weight that is larger is a chunk of its own
_KINDS = (
    "step",
    "exp_avg",
    "exp_avg_sq",
    "square_avg",
)  # what torch's optimisers and ours remember of a weight
_CPU = torch.device("cpu")


class Stepper:
    """Takes the steps of some weights. A step is a function of weights, gradients, moments, plan, seed and iteration.

    Args:
        weights: by name, all on one device; the names are those of `moments`.
        salt: 0 to 3, another one for each stepper of a training: keeps their dropouts apart.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], plan: Plan, *, salt: int = 0) -> None:
        self._weights, self._salt, self._plan = dict(weights), salt, plan
        self._chunks = list(_chunks(self._weights))
        self._optimisers: list[Optimizer] = []
        self._begin(plan)

    def adopt(self, plan: Plan) -> None:
        """Follow a plan from the next step on; an optimiser of another name begins without memory."""
        if plan.optimiser != self._plan.optimiser:
            self._begin(plan)
        elif plan.offload != self._plan.offload:
            for optimiser in self._optimisers:
                _place(optimiser, _CPU if plan.offload else self._device)
        self._plan = plan

    def step(self, iteration: int, progress: float, seed: int) -> None:
        """Move the weights along their gradients, which are gone then. Weights without one stay."""
        given = [weight for weight in self._weights.values() if weight.grad is not None]
        if self._plan.clip:
            nn.utils.clip_grad_norm_(given, self._plan.clip)
        for number, optimiser in enumerate(self._optimisers):
            settings = self._settings((seed * 4 + self._salt) * 4096 + number)
            optimisers.schedule(optimiser, settings, iteration, progress)
            if self._plan.offload:
                _place(optimiser, self._device)
            optimiser.step()
            if self._plan.offload:
                _place(optimiser, _CPU)
            optimiser.zero_grad()

    def moments(self) -> dict[str, Tensor]:
        """What the optimiser remembers, as `kind/weight`; of all but Adam with the optimiser's name before that."""
        return {
            f"{self._prefix}{kind}/{name}": value
            for names, optimiser in zip(self._chunks, self._optimisers, strict=True)
            for name in names
            for kind, value in optimiser.state.get(self._weights[name], {}).items()
            if kind in _KINDS
        }

    def restore(self, moments: Mapping[str, Tensor]) -> None:
        """Go back to what `moments` gave; of another optimiser than the plan's nothing is taken."""
        self._begin(self._plan)
        for names, optimiser in zip(self._chunks, self._optimisers, strict=True):
            for name in names:
                weight = self._weights[name]
                keys = {kind: f"{self._prefix}{kind}/{name}" for kind in _KINDS}
                found = {kind: moments[key] for kind, key in keys.items() if key in moments}
                if found:  # none of those saved before the first step
                    optimiser.state[weight] = {
                        kind: self._laid(kind, value, weight) for kind, value in found.items()
                    }

    @property
    def _device(self) -> torch.device:
        return next(iter(self._weights.values())).device

    @property
    def _prefix(self) -> str:
        return "" if self._plan.optimiser == "adam" else f"{self._plan.optimiser}/"

    def _begin(self, plan: Plan) -> None:
        self._plan = plan
        self._optimisers = [
            optimisers.build(plan.optimiser, (self._weights[name] for name in names), self._settings(0))
            for names in self._chunks
        ]

    def _settings(self, seed: int) -> OptimiserSettings:
        plan = self._plan
        return OptimiserSettings(
            learning_rate=plan.learning_rate,
            warmup=plan.warmup,
            floor=plan.floor,
            cycle=plan.cycle,
            keep=plan.keep,
            seed=seed,
        )

    def _laid(self, kind: str, value: Tensor, weight: Tensor) -> Tensor:
        """A moment where the optimiser wants it."""
        if kind == "step":  # torch's fused Adam alone counts on the device
            fused = self._plan.optimiser == "adam" and weight.device.type == "cuda"
            return value.to(weight.device if fused else _CPU, copy=True)
        where = _CPU if self._plan.offload else weight.device
        return torch.empty_like(weight, device=where, requires_grad=False).copy_(value)


def _chunks(weights: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """The names in order, as many in a chunk as fit into it."""
    names: list[str] = []
    size = 0
    for name, weight in weights.items():
        if names and size + weight.numel() > CHUNK:
            yield names
            names, size = [], 0
        names.append(name)
        size += weight.numel()
    yield names


def _place(optimiser: Optimizer, where: torch.device) -> None:
    """Lay what it remembers there, but for its counters, which stay where it wants them."""
    for memory in optimiser.state.values():
        for kind, value in memory.items():
            if kind != "step" and isinstance(value, Tensor):
                memory[kind] = value.to(where)
