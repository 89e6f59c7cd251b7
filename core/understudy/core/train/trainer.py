"""One model being trained: its network, its optimisers and what one iteration does. Knows no disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from understudy.core.errors import InvalidInput
from understudy.core.model import winograd
from understudy.core.model.networks import Network, Reconstruction, build
from understudy.core.model.presets import ModelConfig
from understudy.core.train import augment, initialisers, precision
from understudy.core.train.averaging import Average
from understudy.core.train.compiling import Compiled
from understudy.core.train.data import SHARE, Crops
from understudy.core.train.judges import Disguise, Judges, under
from understudy.core.train.objective import Made, Objective, Targets, halves, people
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import Plan
from understudy.core.train.sampling import picks
from understudy.core.train.stepper import Stepper

if TYPE_CHECKING:
    from understudy.core.train.distributed import Team

MATTES = 3
"""How many of the rows of `Trainer.look` are mattes, the last ones."""


class _Part(NamedTuple):
    """Some of an iteration's samples, which are computed in one go."""

    inputs: Tensor  # (2b, 3, S, S)
    targets: Targets
    disguise: Disguise | None


class Trainer:
    """Steps through iterations; each is a function of what `weights` and `moments` give, the plan, the seed and the
    iteration's number.

    Args:
        plan: of the first iteration; `adopt` has others follow.
        seed: of first weights, samples and all else that is left to chance.
        bfloat16: whether networks compute in it.
        vgg: what a perceptual loss looks through.
        team: the processes that share an iteration's samples; none where this is the only one.
        compiled: ways to compile the network, tried in turn (`compiling.ways`); none leaves it as it is.

    Attributes:
        warnings: sentences for a person, until somebody takes them out.
        aside: what reads the next samples while a GPU computes.

    Raises:
        InvalidInput: the plan has a perceptual loss and there is no `vgg`.
    """

    def __init__(
        self,
        config: ModelConfig,
        plan: Plan,
        device: torch.device,
        *,
        seed: int,
        bfloat16: bool,
        vgg: Vgg | None = None,
        team: Team | None = None,
        compiled: Sequence[str] = (),
    ) -> None:
        self.config, self.plan, self.device = config, plan, device
        self.seed, self.bfloat16, self.vgg, self.team = seed, bfloat16, vgg, team
        self.warnings: list[str] = []
        self.aside = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[object, Future[list[Tensor]] | None] = None, None
        net = build(config)
        dice = torch.Generator().manual_seed(seed)
        net.initialise(dice)
        if plan.initial != "ours":
            initialisers.INITIALISERS[plan.initial](net, dice)
        self.net = net.to(device)
        if bfloat16:  # kernels for bfloat16 want channels last; in float32 it gains nothing on CPUs
            self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._compiled = Compiled(self.net, compiled, self.warnings) if compiled else None
        self.stepper = Stepper(dict(self.net.named_parameters()), plan)
        code = _code(self.net, device)
        self.judges = Judges(config.resolution, code, device, seed=seed, bfloat16=bfloat16)
        self.mean: Average[Network] | None = None
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Follow a plan from the next step on; raises as the class."""
        if plan.perceptual and self.vgg is None:
            raise InvalidInput(
                "train: perceptual needs the weights vgg16, which are not loaded; pull them, or set it to 0",
                field="perceptual",
                value=plan.perceptual,
            )
        if plan.recompute and not self.net.recompute and self._compiled is not None:
            self.warnings.append("recompute: the network trains as it is, not compiled, while it is on")
        self.plan = plan
        self.net.recompute = plan.recompute
        winograd.allow(self.net, plan.form == "ours")  # theirs adds up plainly
        self.stepper.adopt(plan)
        self.judges.adopt(plan)
        if not plan.average:
            self.mean = None
        elif self.mean is None:
            self.mean = Average(self.net, plan.average)
        else:
            self.mean.decay = plan.average

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Take others' weights, or a part of them, to begin with."""
        self.restore({**self.net.state_dict(), **weights}, {})

    def step(self, src: Crops, dst: Crops, iteration: int, progress: float) -> dict[str, Tensor]:
        """Train on one batch of both people; the losses by name, left on the device.

        `src` and `dst` are the people's (`objective.people`), the others parts of them; what ends in `_judge` is what
        a discriminator's errors cost it.
        """
        if self._compiled is not None:
            self._compiled.begin()
        parts = list(self._parts(src, dst, iteration, progress))
        moved, found, told = self._moved(progress), list[dict[str, Tensor]](), list[Tensor]()
        objective = self._objective()
        for part in parts:
            made = self._made(part.inputs)
            losses = objective.parts(made, part.targets, part.disguise)
            total = torch.stack([loss.sum() for loss in losses.values()]).sum()
            (total * self._scale(2)).backward(inputs=moved)  # type: ignore[no-untyped-call]
            told.append(people(losses).detach())
            found.append({name: loss.detach() for name, loss in losses.items()})
            if self.plan.form == "ours":
                found[-1] |= self._contest(made, part)
        self._share(moved)
        self.stepper.step(iteration, progress, self.seed)
        if self.plan.form == "dfl":  # its discriminators see what the network makes after its step
            for said, part in zip(found, parts, strict=True):
                said.update(self._contest(self._seen(part.inputs), part))
        self._judge(iteration, progress)
        if self.mean is not None:
            self.mean.update(self.net, iteration)
        src_B, dst_B = torch.cat(told, dim=1)
        means = {name: torch.cat([losses[name] for losses in found]).mean() for name in found[0]}
        return self._shared({"src": src_B.mean(), "dst": dst_B.mean(), **means})

    def samples(self, src: Crops, dst: Crops, iteration: int, progress: float) -> tuple[Tensor, Tensor]:
        """Inputs (2b, 3, S, S) and targets (2b, 5, S, S) of an iteration, src first: what falls to this process."""
        of_src, of_dst = self._crops(src, dst, iteration)
        dice = torch.Generator().manual_seed((self.seed * 1_000_003 + iteration) % 2**63)
        amount = self.plan.augment(progress)
        side = self.config.resolution
        inputs, targets = augment.pairs(of_src, of_dst, side, amount, dice, share=SHARE)
        if self.team is not None:
            own = self.team.part(self.plan.batch_size)
            inputs, targets = halves(inputs, own), halves(targets, own)
        return inputs, targets

    @torch.inference_mode()
    def look(self, src: Tensor, dst: Tensor) -> list[Tensor]:
        """Rows of a preview, each (N, 3, S, S) in swap space, for crops (N, C, M, M) of both people; in the precision
        that the training has.

        src, src → src, dst, dst → dst, the swap, the swap back, and the mattes of the second, fourth and fifth.
        """
        net = self.swaps
        side = self.config.resolution
        src, dst = (augment.straight(c[:, :3].to(self.device), side, share=SHARE) for c in (src, dst))
        with precision.autocast(self.device, self.bfloat16):  # half the time, which the training stands still
            both = Made.of(net.reconstruct(src, dst))
            (swap, matte), (back, _) = net.swap(dst), net.swap_back(src)
        (own_src, own_dst), (matte_src, matte_dst) = both.faces.chunk(2), both.mattes.chunk(2)
        mattes = [each.expand(-1, 3, -1, -1) for each in (matte_src, matte_dst, matte)]
        return [src, own_src, dst, own_dst, swap, back, *mattes]

    @property
    def swaps(self) -> Network:
        """What swaps: the network, or where the plan wants it that with the running mean of its weights."""
        return self.net if self.mean is None else self.mean.net

    def weights(self) -> dict[str, Tensor]:
        """Those of what swaps."""
        return dict(self.swaps.state_dict())

    def moments(self) -> dict[str, Tensor]:
        """What training goes on from beside `weights`: the optimiser's memory by the weights' names, discriminators
        with theirs, and the network's own weights where `weights` are their mean.
        """
        own = {f"own/{n}": w for n, w in self.net.state_dict().items()} if self.mean is not None else {}
        return {**own, **self.stepper.moments(), **self.judges.moments()}

    def restore(self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> None:
        """Go back to what `weights` and `moments` gave; the plan is that of the iteration that comes next."""
        self.net.load_state_dict(under(moments, "own") or weights)
        if self.plan.average:
            self.mean = Average(self.net, self.plan.average)
            self.mean.net.load_state_dict(weights)
        self.stepper.restore(moments)
        self.judges.restore(moments, self.plan)

    def sound(self) -> bool:
        """Whether every weight is finite."""
        nets = (self.net, *(() if self.mean is None else (self.mean.net,)))
        found = all(bool(torch.isfinite(w).all()) for net in nets for w in net.parameters())
        return found and self.judges.sound()

    def _objective(self) -> Objective:
        return Objective(
            plan=self.plan, net=self.net, judges=self.judges, vgg=self.vgg, bfloat16=self.bfloat16
        )

    def _parts(self, src: Crops, dst: Crops, iteration: int, progress: float) -> Iterator[_Part]:
        """An iteration's samples, in as many parts as the plan accumulates."""
        inputs, drawn = self.samples(src, dst, iteration, progress)
        targets, count = self._objective().targets(drawn), len(inputs) // 2
        hidden = self.judges.disguise(self.plan, self.plan.batch_size, iteration, self.seed)
        if self.team is not None and hidden is not None:
            hidden = hidden.part(self.team.part(self.plan.batch_size))
        size = count // self.plan.accumulate
        for start in range(0, count, size):
            rows = slice(start, start + size)
            disguise = None if hidden is None else hidden.part(rows)
            yield _Part(halves(inputs, rows), targets.part(rows), disguise)

    def _crops(self, src: Crops, dst: Crops, iteration: int) -> list[Tensor]:
        """src's and dst's of an iteration, on the device; while a GPU computes, the next are read aside."""
        plan, seed = self.plan, self.seed

        def read(number: int) -> list[Tensor]:
            rows = picks(src, dst, plan, number, seed)
            found = [crops.read(taken) for crops, taken in zip((src, dst), rows, strict=True)]
            return [each.pin_memory() for each in found] if self.device.type == "cuda" else found

        if self.aside is None:
            found = read(iteration)
        else:
            asked = id(src), id(dst), plan, seed
            key, waiting = self._next
            found = waiting.result() if waiting and key == (*asked, iteration) else read(iteration)
            self._next = (*asked, iteration + 1), self.aside.submit(read, iteration + 1)
        return [each.to(self.device, non_blocking=True) for each in found]

    def _moved(self, progress: float) -> list[Tensor]:
        """The weights that an iteration moves."""
        # DeepFaceLab's LIAE leaves what both people share where it is once the random warp is off
        still = self.plan.form == "dfl" and self.plan.augment(progress).warp == 0
        return [w for n, w in self.net.named_parameters() if not (still and n.startswith("inter_AB."))]

    def _made(self, inputs: Tensor) -> Made:
        with precision.autocast(self.device, self.bfloat16):
            return Made.of(self._reconstruct(*self._laid(inputs).chunk(2)))

    @torch.no_grad()
    def _seen(self, inputs: Tensor) -> Made:
        return self._made(inputs)

    def _laid(self, inputs: Tensor) -> Tensor:
        return inputs.contiguous(memory_format=torch.channels_last) if self.bfloat16 else inputs

    def _reconstruct(self, src: Tensor, dst: Tensor) -> Reconstruction:
        if self._compiled is None or self.plan.recompute:
            return self.net.reconstruct(src, dst)
        return self._compiled(src, dst)

    def _scale(self, people: int) -> float:
        """What the sum over the samples of this process counts, of so many people: DeepFaceLab minimises the sum of
        a batch, we the mean. Gradients are then averaged over the team.
        """
        processes = 1 if self.team is None else self.team.size
        return float(processes) if self.plan.form == "dfl" else processes / (people * self.plan.batch_size)

    def _contest(self, made: Made, part: _Part) -> dict[str, Tensor]:
        """Have the discriminators learn of a part."""
        if not self.judges.at_work(self.plan):
            return {}
        contest = self._objective().contest(made, part.targets, part.disguise)
        return self.judges.learn(self.plan, contest, self._scale(1))

    def _judge(self, iteration: int, progress: float) -> None:
        """Take the discriminators' steps."""
        for judge in self.judges.at_work(self.plan):
            self._share(judge.net.parameters())
        self.judges.step(self.plan, iteration, progress, self.seed)
        if (confidence := self.judges.due(self.plan, iteration)) is not None:
            self._shared({"confidence": confidence})
            self.judges.tune(confidence, 1 if self.team is None else self.team.size)

    def _share(self, weights: Any) -> None:
        """Average the gradients over the team."""
        if self.team is not None:
            self.team.mean([weight.grad for weight in weights if weight.grad is not None])

    def _shared(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same, averaged over the team in place."""
        if self.team is not None:
            self.team.mean(values.values())
        return values


@torch.no_grad()
def _code(net: Network, device: torch.device) -> tuple[int, int]:
    """Channels and side of the codes that its decoders take."""
    face = torch.zeros(1, 3, net.config.resolution, net.config.resolution, device=device)
    shape = net.code_as_src(net.encoder(face)).shape
    return shape[1], shape[2]
