"""What a network is judged by: the discriminators of GAN and TrueFace, each with its optimiser, and how they learn.

They are made when a plan first gives them power, and stay when it takes it away, so that it may come back.
Suffixes: B batch, C channels, H, W pixels. Faces are in swap space, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.model import discriminators
from understudy.core.model.discriminators import CodeDiscriminator, PatchDiscriminator
from understudy.core.train import adversarial, precision
from understudy.core.train.adversarial import AdaptiveAugmentation
from understudy.core.train.plan import Plan
from understudy.core.train.stepper import Stepper

_ASK = 4  # iterations between looks at how sure the GAN's is, as in the paper
_OWN = 0x6A75_6467_6573  # keeps the dice of disguises from being those of the samples (`trainer`)
_TURN, _SHIFT, _BRIGHTNESS, _CONTRAST = math.radians(8), 0.06, 0.15, 0.3  # of a disguise, either way


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """One random change of each sample, for what is real and what is made alike: mirrored, turned a little, shifted,
    brighter, of other contrast, each with one probability. Gradients go through it.

    Attributes:
        place: (B, 2, 3), where in a face, from -1 to 1, the disguised one's pixels lie.
        contrast, brightness: (B, 1, 1, 1).
    """

    place: Tensor
    contrast: Tensor
    brightness: Tensor

    def part(self, rows: slice) -> Disguise:
        """Of some of the samples."""
        return Disguise(
            place=self.place[rows], contrast=self.contrast[rows], brightness=self.brightness[rows]
        )

    def __call__(self, face_BCHW: Tensor) -> Tensor:
        grid = functional.affine_grid(self.place, list(face_BCHW.shape), align_corners=False)
        moved = functional.grid_sample(face_BCHW, grid, padding_mode="reflection", align_corners=False)
        return (moved - 0.5) * self.contrast + 0.5 + self.brightness


def disguise(count: int, probability: float, dice: Generator, device: torch.device) -> Disguise:
    """Draw one for `count` samples. Draws are the CPU's, so that all devices see the same."""

    def strays(reach: float) -> Tensor:
        """(count,) -reach to reach; of those that chance leaves alone 0."""
        chosen = torch.rand(count, generator=dice) < probability
        return (torch.rand(count, generator=dice) * 2 - 1) * reach * chosen

    mirror = 1 - 2 * (strays(1.0) > 0).float()
    angle, x, y = strays(_TURN), strays(2 * _SHIFT), strays(2 * _SHIFT)
    light = strays(_CONTRAST).exp(), strays(_BRIGHTNESS)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos * mirror, -sin, x], 1), torch.stack([sin * mirror, cos, y], 1)]
    contrast, brightness = (each[:, None, None, None].to(device) for each in light)
    return Disguise(place=torch.stack(rows, 1).to(device), contrast=contrast, brightness=brightness)


class Contest(NamedTuple):
    """What discriminators tell apart, (B, …), without gradient: src's faces, real and painted, and codes, those that
    a swap hands to src's decoder and those of src.
    """

    faces: Tensor
    painted: Tensor
    swapped: Tensor
    codes: Tensor


class Judge:
    """A discriminator with its optimiser.

    Attributes:
        sizes: what it was built with.
    """

    def __init__(
        self, net: PatchDiscriminator | CodeDiscriminator, sizes: tuple[int, int], plan: Plan, *, salt: int
    ) -> None:
        self.net, self.sizes = net, sizes
        self.stepper = Stepper(dict(net.named_parameters()), plan, salt=salt)

    def moments(self) -> dict[str, Tensor]:
        """All of it, by name."""
        weights = {f"weights/{name}": weight for name, weight in self.net.state_dict().items()}
        return {"sizes": torch.tensor(self.sizes), **weights, **self.stepper.moments()}


class Judges:
    """The discriminators of one training, there or not.

    Args:
        resolution: of the faces.
        code: channels and side of the codes.
        seed: of first weights.

    Attributes:
        gan, true_face: None until a plan gives them power.
        adapt: how probably the GAN's sees disguises.
    """

    def __init__(
        self, resolution: int, code: tuple[int, int], device: torch.device, *, seed: int, bfloat16: bool
    ) -> None:
        self._resolution, self._code, self._device = resolution, code, device
        self._seed, self._bfloat16 = seed, bfloat16
        self.gan: Judge | None = None
        self.true_face: Judge | None = None
        self.adapt = AdaptiveAugmentation()
        self._confidence = torch.zeros((), device=device)  # summed over samples
        self._judged = 0  # samples in it

    def adopt(self, plan: Plan) -> None:
        """Follow a plan: make whom it needs and does not find; a GAN of other sizes begins anew."""
        if plan.gan:
            # the smallest patch that there is is 3 pixels
            sizes = max(3, plan.gan_patch or self._resolution // 8), plan.gan_dims
            if self.gan is None or self.gan.sizes != sizes:
                self.gan = self._gan(plan, sizes)
                self._begin_to_adapt()
        if plan.true_face and self.true_face is None:
            self.true_face = self._true_face(plan, self._code)
        for _, judge in self._there():
            judge.stepper.adopt(plan)

    def disguise(self, plan: Plan, count: int, iteration: int, seed: int) -> Disguise | None:
        """What the GAN's sees an iteration's samples in; None where it sees them as they are."""
        if not (plan.gan and plan.gan_adapt and self.adapt.probability):
            return None
        dice = Generator().manual_seed(((seed * 1_000_003 + iteration) ^ _OWN) % 2**63)
        return disguise(count, self.adapt.probability, dice, self._device)

    def patches(self, face_BCHW: Tensor) -> Sequence[Tensor]:
        """The GAN's logits of src's faces."""
        assert self.gan is not None, "adopt makes it"
        return self._said(self.gan, face_BCHW)

    def codes(self, code_BCHW: Tensor) -> Sequence[Tensor]:
        """TrueFace's logits of codes."""
        assert self.true_face is not None, "adopt makes it"
        return self._said(self.true_face, code_BCHW)

    def learn(self, plan: Plan, contest: Contest, scale: float) -> dict[str, Tensor]:
        """Add up the discriminators' gradients of some samples, whose sum counts `scale`; their losses, each (B,)."""
        found: dict[str, Tensor] = {}
        if plan.true_face:
            told = adversarial.discriminator_loss(self.codes(contest.swapped), self.codes(contest.codes))
            found["true_face_judge"] = self._learn(self.true_face, told, scale)
        if plan.gan:
            real, made = self.patches(contest.faces), self.patches(contest.painted)
            told = adversarial.discriminator_loss(real, made, smoothing=plan.gan_smoothing)
            found["gan_judge"] = self._learn(self.gan, told, scale)
            self._confidence += adversarial.confidence(real) * len(told)
            self._judged += len(told)
        return found

    def step(self, plan: Plan, iteration: int, progress: float, seed: int) -> None:
        """Move those that have power along their gradients."""
        for judge in self.at_work(plan):
            judge.stepper.step(iteration, progress, seed)

    def at_work(self, plan: Plan) -> list[Judge]:
        """Those that have power."""
        pairs = ((plan.true_face, self.true_face), (plan.gan, self.gan))
        return [judge for power, judge in pairs if power and judge is not None]

    def due(self, plan: Plan, iteration: int) -> Tensor | None:
        """The GAN's mean confidence since it was last asked, where it is time to `adapt`."""
        if not (plan.gan and plan.gan_adapt and self._judged and (iteration + 1) % _ASK == 0):
            return None
        return self._confidence / self._judged

    def tune(self, confidence: Tensor, processes: int = 1) -> None:
        """Disguise more or less from here on; `confidence` is the mean of so many processes."""
        self.adapt = self.adapt.after(float(confidence), self._judged * processes)
        self._confidence, self._judged = torch.zeros_like(self._confidence), 0

    def moments(self) -> dict[str, Tensor]:
        """All of it, by name."""
        found = {
            f"{name}/{key}": value for name, judge in self._there() for key, value in judge.moments().items()
        }
        if self.gan is not None:
            found["adapt/probability"] = torch.tensor(self.adapt.probability, dtype=torch.float64)
            found["adapt/confidence"] = self._confidence
            found["adapt/judged"] = torch.tensor(self._judged)
        return found

    def restore(self, moments: Mapping[str, Tensor], plan: Plan) -> None:
        """Go back to what `moments` gave; `plan` is that of the next iteration."""
        self.gan = _restored(under(moments, "gan"), plan, self._gan)
        self.true_face = _restored(under(moments, "true_face"), plan, self._true_face)
        self._begin_to_adapt()
        if adapt := under(moments, "adapt"):
            self.adapt = AdaptiveAugmentation(probability=float(adapt["probability"]))
            self._confidence.copy_(adapt["confidence"])
            self._judged = int(adapt["judged"])
        self.adopt(plan)

    def sound(self) -> bool:
        """Whether every weight is finite."""
        return all(
            bool(torch.isfinite(w).all()) for _, judge in self._there() for w in judge.net.parameters()
        )

    def _begin_to_adapt(self) -> None:
        self.adapt = AdaptiveAugmentation()
        self._confidence, self._judged = torch.zeros_like(self._confidence), 0

    def _there(self) -> Iterator[tuple[str, Judge]]:
        for name, judge in (("gan", self.gan), ("true_face", self.true_face)):
            if judge is not None:
                yield name, judge

    def _gan(self, plan: Plan, sizes: tuple[int, int]) -> Judge:
        return self._ready(PatchDiscriminator(*sizes), sizes, plan, salt=1)

    def _true_face(self, plan: Plan, sizes: tuple[int, int]) -> Judge:
        return self._ready(CodeDiscriminator(*sizes), sizes, plan, salt=2)

    def _ready(
        self, net: PatchDiscriminator | CodeDiscriminator, sizes: tuple[int, int], plan: Plan, *, salt: int
    ) -> Judge:
        discriminators.initialise(net, Generator().manual_seed((4 * self._seed + salt) % 2**63))
        net = net.to(self._device)
        if self._bfloat16:  # as the network that they judge
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Judge(net, sizes, plan, salt=salt)

    def _said(self, judge: Judge, x_BCHW: Tensor) -> Sequence[Tensor]:
        with precision.autocast(self._device, self._bfloat16):
            found: Sequence[Tensor] = judge.net(x_BCHW)
        return found

    def _learn(self, judge: Judge | None, loss_B: Tensor, scale: float) -> Tensor:
        assert judge is not None, "adopt makes it"
        (loss_B.sum() * scale).backward(inputs=list(judge.net.parameters()))  # type: ignore[no-untyped-call]
        return loss_B.detach()


def _restored(
    moments: Mapping[str, Tensor], plan: Plan, make: Callable[[Plan, tuple[int, int]], Judge]
) -> Judge | None:
    """The judge that `Judge.moments` told of; none where there was none."""
    if not moments:
        return None
    first, second = moments["sizes"].tolist()
    judge = make(plan, (first, second))
    judge.net.load_state_dict(under(moments, "weights"))
    judge.stepper.restore(moments)
    return judge


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with `prefix/`, without it."""
    return {n.removeprefix(f"{prefix}/"): t for n, t in tensors.items() if n.startswith(f"{prefix}/")}
