"""Optimisers by name, and what the field puts around them: clipped gradients, learning-rate dropout, schedules.

Everything is a function of weights, gradients, moments, settings and the number of the iteration: a training that goes
on from a checkpoint takes the steps, to the bit, that it would have taken. Moments are where torch keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from understudy.core.errors import InvalidInput
from understudy.core.train.plan import OPTIMISERS

NAMES = OPTIMISERS
"""See `build`."""

_RESOLUTION = 1e-6  # DeepFaceLab's ε: numpy's `resolution` of float32
_OWN = 0x6C72_6472_6F70  # keeps the dropout's dice from being those of the samples (`trainer`)


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How steps are taken; all of it may change from one iteration to the next (`schedule`).

    Attributes:
        learning_rate: at its height.
        warmup: iterations over which it rises from nothing; 0 none.
        floor: share of its height that is left when the target is reached, along a half cosine; 1 keeps it up.
        cycle: iterations of a cosine between its height and nothing, over and over; 0 none. DeepFaceLab's `lr_cos`
            is 500, and runs with its learning-rate dropout.
        keep: share of the weights that an iteration moves, chosen by chance; the others stay (learning-rate dropout,
            Lin et al., arXiv 1912.00144). 1 moves all. DeepFaceLab's is 0.3. Exact to 1/65536.
        clip: the gradients' norm over all weights is held to it; none where it is None. DeepFaceLab's is 1.
        seed: of the choice.

    Raises:
        InvalidInput: names the field and the value.
    """

    learning_rate: float = 5e-5
    warmup: int = 0
    floor: float = 1.0
    cycle: int = 0
    keep: float = 1.0
    clip: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise _refuse(name, value, "must be above 0")
        for name in ("warmup", "cycle", "seed"):
            if getattr(self, name) < 0:
                raise _refuse(name, getattr(self, name), "must be 0 or more")
        if not 0 <= self.floor <= 1:
            raise _refuse("floor", self.floor, "must be 0 to 1")
        if not 0 < self.keep <= 1:
            raise _refuse("keep", self.keep, "must be above 0 and at most 1")

    def rate(self, iteration: int, progress: float = 0.0) -> float:
        """The learning rate. `progress` is the share of the target that is done, 0 where there is no target."""
        fade = self.floor + (1 - self.floor) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))
        rise = min(1.0, (iteration + 1) / self.warmup) if self.warmup else 1.0
        wave = (math.cos(2 * math.pi * iteration / self.cycle) + 1) / 2 if self.cycle else 1.0
        return self.learning_rate * rise * fade * wave


class _Adam(torch.optim.Adam):
    """torch's, which on a CPU copies gradients whose channels are last, and makes no use of the copy (torch 2.13,
    FusedAdamKernel.cpp): twelve of sixteen milliseconds for 4.7 million weights. So it gets all as it lies in memory.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> Any:
        found = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]  # nothing public gathers them
        for each in lists:  # weights, gradients, moments, counters
            each[:] = [_as_it_lies(x) for x in each]
        return found


def _as_it_lies(x: Tensor) -> Tensor:
    """A view whose last axis is the innermost in memory, where channels are."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.permute(0, 2, 3, 1) if last else x


class AdaBelief(Optimizer):
    """Zhuang et al., "AdaBelief Optimizer", arXiv 2010.07468, algorithm 2, without weight decay and rectification.

    Steps are large where a gradient is what was expected of it, small where it surprises.

    Args:
        eps: added to the variance in each step and to its root; the default is the authors' package's.
        corrected: as published. DeepFaceLab corrects no bias, so that its first steps are 3.5 times the learning
            rate, and adds ε to the root alone.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        corrected: bool = True,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "corrected": corrected})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, group)
        return loss

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """One step of weights that have gradients."""
        (first, second), eps, corrected = group["betas"], group["eps"], group["corrected"]
        memory = [self._memory(weight) for weight in weights]
        grads = [weight.grad for weight in weights if weight.grad is not None]
        means, variances = ([state[kind] for state in memory] for kind in ("exp_avg", "exp_avg_sq"))
        torch._foreach_add_([state["step"] for state in memory], 1)
        torch._foreach_lerp_(means, grads, 1 - first)
        surprise = torch._foreach_sub(grads, means)
        torch._foreach_mul_(variances, second)
        torch._foreach_addcmul_(variances, surprise, surprise, 1 - second)
        rates = [-group["lr"]] * len(weights)
        if corrected:
            torch._foreach_add_(variances, eps)
            counts = [float(state["step"]) for state in memory]
            roots = torch._foreach_sqrt(torch._foreach_div(variances, [1 - second**n for n in counts]))
            rates = [rate / (1 - first**n) for rate, n in zip(rates, counts, strict=True)]
        else:
            roots = torch._foreach_sqrt(variances)
        torch._foreach_add_(roots, eps)
        torch._foreach_addcdiv_(weights, means, roots, rates)

    def _memory(self, weight: Tensor) -> dict[str, Tensor]:
        """What is remembered of a weight, by Adam's names; `step` on the CPU."""
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        return state


def build(name: str, parameters: Iterable[nn.Parameter], settings: OptimiserSettings) -> Optimizer:
    """An optimiser of these weights; call `schedule` before each step of it.

    Args:
        name: `adam` and `rmsprop` as torch has them, `adabelief` as published, or what DeepFaceLab calls the latter
            two: `rmsprop-dfl` (ρ 0.9, ε 1e-6) and `adabelief-dfl` (see `AdaBelief`).

    Raises:
        InvalidInput: there is no such name; the message lists those there are.
    """
    weights, rate = list(parameters), settings.learning_rate
    found: Optimizer
    match name:
        case "adam":
            fused = all(weight.device.type in ("cpu", "cuda") for weight in weights)
            found = _Adam(weights, lr=rate, fused=fused)
        case "rmsprop":
            found = torch.optim.RMSprop(weights, lr=rate)
        case "rmsprop-dfl":
            found = torch.optim.RMSprop(weights, lr=rate, alpha=0.9, eps=_RESOLUTION)
        case "adabelief":
            found = AdaBelief(weights, rate)
        case "adabelief-dfl":
            found = AdaBelief(weights, rate, eps=_RESOLUTION, corrected=False)
        case _:
            raise _refuse("optimiser", name, f"is none of {', '.join(NAMES)}")
    dropout = _Dropout()
    found.register_step_pre_hook(_clip)
    found.register_step_pre_hook(dropout.before)
    found.register_step_post_hook(dropout.after)
    schedule(found, settings, 0)
    return found


def schedule(
    optimiser: Optimizer, settings: OptimiserSettings, iteration: int, progress: float = 0.0
) -> None:
    """Make ready for the step of an iteration. `progress` as in `OptimiserSettings.rate`."""
    for group in optimiser.param_groups:
        group["lr"] = settings.rate(iteration, progress)
        group.update(clip=settings.clip, keep=settings.keep)
        group["draw"] = ((settings.seed * 1_000_003 + iteration) ^ _OWN) % 2**63


def _weights(optimiser: Optimizer) -> list[Tensor]:
    """All that have a gradient."""
    return [
        weight for group in optimiser.param_groups for weight in group["params"] if weight.grad is not None
    ]


def _clip(optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
    clip = optimiser.param_groups[0]["clip"]
    if clip is not None:
        nn.utils.clip_grad_norm_(_weights(optimiser), clip)


class _Dropout:
    """Puts back, after a step of any optimiser, the weights that chance did not choose; moments move all."""

    def __init__(self) -> None:
        self._before: list[Tensor] = []

    def before(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if optimiser.param_groups[0]["keep"] < 1:
            self._before = [weight.detach().clone() for weight in _weights(optimiser)]

    @torch.no_grad()
    def after(self, optimiser: Optimizer, _args: Any, _kwargs: Any) -> None:
        if not self._before:
            return
        keep, draw = (optimiser.param_groups[0][name] for name in ("keep", "draw"))
        dice: dict[torch.device, Generator] = {}
        for weight, old in zip(_weights(optimiser), self._before, strict=True):
            if weight.device not in dice:
                dice[weight.device] = Generator(weight.device).manual_seed(draw)
            torch.where(_chosen(weight, keep, dice[weight.device]), weight, old, out=weight)
        self._before = []


def _chosen(weight: Tensor, keep: float, dice: Generator) -> Tensor:
    """That share of a weight's places; True is chosen. Four places share a draw, which is four times as fast."""
    draws = torch.empty(-(-weight.numel() // 4), dtype=torch.int64, device=weight.device)
    bits = draws.random_(-(2**63), None, generator=dice).view(torch.int16)[: weight.numel()]
    return (bits < min(round(keep * 2**16) - 2**15, 2**15 - 1)).view(weight.shape)


def _refuse(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"optimiser: {field} {value!s} {why}", field=field, value=value)
