"""One segmenter being trained: its network, its optimiser and what one iteration does. Knows no disk."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core import _plugins
from understudy.core.frames import Float
from understudy.core.pipeline import cores
from understudy.core.segment import augment, judge, occluders, paste
from understudy.core.segment.ahead import Ahead
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segment.plan import Plan
from understudy.core.segment.samples import SHARE, Samples
from understudy.core.train import moments
from understudy.core.train.augment import straight
from understudy.core.train.sampling import indices

Rows = npt.NDArray[np.int64]

_LOOK = 8  # faces that are looked at in one go
_LOSS_DECAY = 0.98  # of the running mean of the loss


class Trainer:
    """Steps through iterations; each is a function of the weights, the seed and the iteration's number.

    Attributes:
        net: the network as the last iteration left it.
        mean: the running mean of its weights, in a network: what is judged, shown and kept.
        best: the weights to keep, where they are not those of `mean`.
        loss: running mean over the iterations; a device's scalar.
    """

    def __init__(
        self, config: SegmenterConfig, plan: Plan, device: torch.device, *, seed: int, bfloat16: bool
    ) -> None:
        self.config, self.plan, self.device = config, plan, device
        self.seed, self.bfloat16 = seed, bfloat16
        family = _plugins.load("segmenter", config.network)
        net: nn.Module = family.build(config)
        family.initialise(net, torch.Generator().manual_seed(seed))
        self.net = net.to(device)
        if bfloat16:  # as in `train.trainer`
            self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.best: dict[str, Tensor] | None = None
        self.loss = torch.zeros((), device=device)
        self.optimizer = self._optimizer()
        self._known: tuple[str, Float] = "", np.zeros((0, 0), np.float32)
        self._ahead: Ahead[tuple[int, int], tuple[Tensor, Tensor]] = Ahead(
            0 if device.type == "cpu" else min(8, cores())
        )

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Take others' weights, or a part of them, to begin with."""
        for net in (self.net, self.mean):
            net.load_state_dict({**net.state_dict(), **weights})

    def step(self, samples: Samples, rows: Sequence[Rows], iteration: int, progress: float) -> Tensor:
        """Train on one batch of `rows`, which share it evenly; the loss, left on the device."""
        inputs, targets = self.batch(samples, rows, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(iteration, progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits: Tensor = self.net(inputs)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), targets)
        if self.plan.dice:
            loss = loss + self.plan.dice * dice(logits.float().sigmoid(), targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(iteration)
        loss = loss.detach()
        self.loss = torch.lerp(loss, self.loss, min(_LOSS_DECAY, iteration / (iteration + 1)))
        return loss

    def batch(self, samples: Samples, rows: Sequence[Rows], iteration: int) -> tuple[Tensor, Tensor]:
        """Inputs (B, 3, R, R) and labels (B, 1, R, R) of an iteration."""
        crops, over = self._drawn(samples, rows, iteration)
        coins = torch.Generator().manual_seed((self.seed * 1_000_003 + iteration) % 2**63)
        inputs, targets = augment.batch(
            crops.to(self.device),
            over.to(self.device),
            self.config.resolution,
            self.plan.augmentation,
            coins,
            share=SHARE,
        )
        if self.bfloat16:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs, targets

    def _drawn(self, samples: Samples, rows: Sequence[Rows], iteration: int) -> tuple[Tensor, Tensor]:
        """Crops and occluders of an iteration, on the CPU; while a GPU computes, the next ones are drawn aside."""

        def draw(key: tuple[int, int]) -> tuple[Tensor, Tensor]:
            number, seed = key
            picked = [
                group[indices(len(group), count, number, 2 * seed + place)]
                for place, (group, count) in enumerate(zip(rows, self._shares(len(rows)), strict=True))
            ]
            crops, rng = samples.crops.gather(np.concatenate(picked)), np.random.default_rng(key)
            amount, kind = self.plan.augmentation, self.config.face_type
            laid = occluders.batch(crops, amount, rng, face_type=kind, share=SHARE)
            if where is not None:
                paste.over(laid, samples.crops, donors, where, chance=self.plan.paste, rng=rng)
            return crops, laid

        donors = rows[0][[samples.rows[row].labelled for row in rows[0]]]
        where = self._ground(samples, donors) if self.plan.paste and len(donors) > 1 else None

        keys = [(iteration + later, self.seed) for later in range(1 + self._ahead.depth)]
        return self._ahead.take(draw, keys)

    @torch.inference_mode()
    def look(self, samples: Samples, rows: Rows) -> Iterator[tuple[Tensor, Tensor]]:
        """In groups of a few rows: what is there (n, 4, R, R), and the mean's matte of it (n, 1, R, R), on the CPU."""
        for start in range(0, len(rows), _LOOK):
            crops = samples.crops.gather(rows[start : start + _LOOK])
            seen = straight(crops.to(self.device), self.config.resolution, share=SHARE)
            yield seen.cpu(), self.mean(seen[:, :3]).float().sigmoid().cpu()

    def judge(self, samples: Samples, rows: Rows) -> list[float]:
        """Intersection over union of the mean's mattes with the labels, one for each row."""
        return [
            judge.iou(_array(matte), _array(truth[3]))
            for seen, found in self.look(samples, rows)
            for truth, matte in zip(seen, found, strict=True)
        ]

    def keep(self) -> None:
        """Make the mean of now the weights to keep."""
        self.best = {name: weight.clone() for name, weight in self.mean.state_dict().items()}

    def settle(self) -> None:
        """Have the weights to keep in `mean`: training has ended."""
        self.mean.load_state_dict(self.weights())

    def weights(self) -> dict[str, Tensor]:
        """What makes mattes."""
        return dict(self.best or self.mean.state_dict())

    def moments(self) -> dict[str, Tensor]:
        """What training goes on from: the net, its mean, what the optimiser remembers and the loss, by name."""
        return moments.gathered(self.net, self.mean, self.optimizer, self.loss)

    def restore(self, weights: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        """Go back to what `weights` and `moments` gave; where those are of another optimiser, it begins anew.

        `best` is `weights` then: who has nothing to judge by drops it.
        """
        self.net.load_state_dict(moments.of("net", kept) or weights)
        self.mean.load_state_dict(moments.of("mean", kept) or weights)
        self.best = {name: weight.to(self.device) for name, weight in weights.items()}
        if "loss" in kept:
            self.loss = kept["loss"].to(self.device, copy=True)
        self.optimizer = self._optimizer()
        kinds = moments.RMSPROP if self.plan.dropout else moments.ADAM
        moments.remind(self.optimizer, self.net, kept, kinds, self.device)

    def sound(self) -> bool:
        """Whether every weight is finite."""
        nets = (self.net, self.mean)
        return all(bool(torch.isfinite(w).all()) for net in nets for w in net.state_dict().values())

    def _ground(self, samples: Samples, donors: Rows) -> Float:
        """`paste.ground`, once for the samples and the faces."""
        key = f"{samples.digest}{donors.tolist()}"
        if self._known[0] != key:
            self._known = key, paste.ground(samples.crops, donors)
        return self._known[1]

    def _shares(self, groups: int) -> list[int]:
        """Samples of each group in a batch."""
        size = self.plan.batch_size
        return [(size + groups - 1 - place) // groups for place in range(groups)]

    def _optimizer(self) -> torch.optim.Optimizer:
        parameters, rate = self.net.parameters(), self.plan.learning_rate
        if self.plan.dropout:
            return torch.optim.RMSprop(parameters, lr=rate, alpha=0.9, eps=1e-6)
        return torch.optim.Adam(parameters, lr=rate, fused=self.device.type in ("cpu", "cuda"))

    def _update(self, iteration: int) -> None:
        """Move the weights along the gradient, and their mean after them."""
        weights = list(self.net.parameters())
        if self.plan.clip:
            torch.nn.utils.clip_grad_norm_(weights, self.plan.clip)
        before = [w.detach().clone() for w in weights] if self.plan.dropout else []
        self.optimizer.step()
        with torch.no_grad():
            if before:
                coins = torch.Generator().manual_seed((self.seed * 1_000_003 + iteration) % 2**63 ^ 1)
                for weight, old in zip(weights, before, strict=True):
                    stays = torch.rand(weight.shape, generator=coins) >= self.plan.dropout
                    weight.copy_(torch.where(stays.to(self.device), old, weight))
            share = 1 - self.plan.mean_decay(iteration)
            for mean, weight in zip(self.mean.parameters(), weights, strict=True):
                mean.lerp_(weight, share)
            for kept, found in zip(self.mean.buffers(), self.net.buffers(), strict=True):
                kept.copy_(found)


def dice(mattes_BCHW: Tensor, labels_BCHW: Tensor) -> Tensor:
    """One minus the overlap of soft mattes, mean over the batch, 0 to 1 (Milletari et al., "V-Net", 2016)."""
    both = (mattes_BCHW * labels_BCHW).sum((1, 2, 3))
    each = (mattes_BCHW.square() + labels_BCHW.square()).sum((1, 2, 3))
    return (1 - (2 * both + 1) / (each + 1)).mean()


def _array(matte: Tensor) -> Float:
    return matte.squeeze().numpy()
