"""One enhancer being trained: its network, its optimiser and what one iteration does. Knows no disk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from understudy.core.enhancer import network, spoil
from understudy.core.enhancer.config import FACTOR, EnhancerConfig
from understudy.core.enhancer.samples import Samples
from understudy.core.train import moments
from understudy.core.train.averaging import Average
from understudy.core.train.precision import autocast
from understudy.core.train.sampling import indices

Rows = npt.NDArray[np.int64]

PATCH = 96
"""Pixels a side of the large patches, or the crop's where that is less."""

_EACH = 4  # patches that are taken of a face at a time: reading it costs more than they do
_RATE, _WARMUP, _FLOOR = 1e-3, 50, 0.02  # learning rate at its height; iterations up to it; share at the end
_DECAY = 0.999  # of the running mean of the weights
_LOSS_DECAY = 0.98
_CLIP = 1.0  # norm that the gradient is cut to
_INNER = 0.9  # of a crop's side, in its middle, that patches are taken from: beyond is little face


class Trainer:
    """Steps through iterations; each is a function of the weights, the seed and the iteration's number.

    The loss is the mean absolute error of codes (Lim et al., "Enhanced Deep Residual Networks for Single Image
    Super-Resolution", CVPRW 2017): no adversary, so nothing is painted that the small picture does not speak for.

    Attributes:
        net: the network as the last iteration left it.
        mean: the running mean of its weights: what is judged, shown and kept.
        loss: running mean over the iterations; a device's scalar.
    """

    def __init__(
        self, config: EnhancerConfig, device: torch.device, *, batch_size: int, seed: int, bfloat16: bool
    ) -> None:
        self.config, self.device, self.batch_size = config, device, batch_size
        self.seed, self.bfloat16 = seed, bfloat16
        net = network.Compact(config)
        network.initialise(net, torch.Generator().manual_seed(seed))
        self.net = net.to(device)
        self.mean = Average(self.net, _DECAY)
        self.loss = torch.zeros((), device=device)
        self.optimizer = self._optimizer()

    def step(self, samples: Samples, iteration: int, progress: float) -> Tensor:
        """Train on one batch; the loss, left on the device."""
        small, large = self.batch(samples, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(iteration, progress)
        with autocast(self.device, self.bfloat16):
            made: Tensor = self.net(small)
        loss = functional.l1_loss(made.float(), large)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), _CLIP)
        self.optimizer.step()
        self.mean.update(self.net, iteration)
        loss = loss.detach()
        self.loss = torch.lerp(loss, self.loss, min(_LOSS_DECAY, iteration / (iteration + 1)))
        return loss

    def batch(self, samples: Samples, iteration: int) -> tuple[Tensor, Tensor]:
        """Small patches (B, 3, P/2, P/2) and the large ones (B, 3, P, P) that they were made of, codes in [0, 1]."""
        faces = -(-self.batch_size // _EACH)
        rows = samples.learnt[indices(len(samples.learnt), faces, iteration, self.seed)]
        crops = samples.crops.gather(rows)
        rng = np.random.default_rng((self.seed, iteration))
        side = min(PATCH, samples.resolution // FACTOR * FACTOR)
        margin = min(round(samples.resolution * (1 - _INNER) / 2), samples.resolution - side)
        ends = max(margin + 1, samples.resolution - side - margin + 1)
        places = rng.integers(margin, ends, (self.batch_size, 2)).tolist()
        patches = [
            crops[place // _EACH, :, y : y + side, x : x + side] for place, (y, x) in enumerate(places)
        ]
        coins = torch.Generator().manual_seed((self.seed * 1_000_003 + iteration) % 2**63)
        large = spoil.lit(torch.stack(patches).contiguous().to(self.device), coins)
        return spoil.spoilt(large, coins), large

    @torch.inference_mode()
    def look(self, samples: Samples, rows: Rows) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One by one: cubic enlargement of the small face, the mean's, and the face, each (1, 3, M, M) on the CPU."""
        for row in rows:
            side = samples.resolution // FACTOR * FACTOR
            large = samples.crops.gather(np.array([row]))[..., :side, :side].contiguous().to(self.device)
            small = spoil.fixed(large)
            made = self.mean.net(small).float().clamp(0, 1)
            yield network.plain(small).clamp(0, 1).cpu(), made.cpu(), large.cpu()

    def judge(self, samples: Samples) -> tuple[float, float]:
        """PSNR in dB, of codes, of the mean and of cubic enlargement on the faces held out, their mean."""
        found = [
            (psnr(made, large), psnr(plain, large)) for plain, made, large in self.look(samples, samples.held)
        ]
        ours, plains = np.mean(found, axis=0)
        return float(ours), float(plains)

    def weights(self) -> dict[str, Tensor]:
        """What enlarges."""
        return dict(self.mean.net.state_dict())

    def moments(self) -> dict[str, Tensor]:
        """What training goes on from, by name."""
        return moments.gathered(self.net, self.mean.net, self.optimizer, self.loss)

    def restore(self, weights: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        """Go back to what `weights` and `moments` gave."""
        self.net.load_state_dict(moments.of("net", kept) or weights)
        self.mean.net.load_state_dict(weights)
        if "loss" in kept:
            self.loss = kept["loss"].to(self.device, copy=True)
        self.optimizer = self._optimizer()
        moments.remind(self.optimizer, self.net, kept, moments.ADAM, self.device)

    def sound(self) -> bool:
        """Whether every weight is finite."""
        nets = (self.net, self.mean.net)
        return all(bool(torch.isfinite(w).all()) for net in nets for w in net.state_dict().values())

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.net.parameters(), lr=_RATE, fused=self.device.type in ("cpu", "cuda"))


def rate(iteration: int, progress: float) -> float:
    """The learning rate. `progress` is the share of the target that is done, 0 where there is no target."""
    fade = _FLOOR + (1 - _FLOOR) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))
    return _RATE * min(1.0, (iteration + 1) / _WARMUP) * fade


def psnr(made: Tensor, truth: Tensor) -> float:
    """Peak signal to noise in dB, of codes from 0 to 1."""
    error = float((made - truth).square().mean())
    return 10 * math.log10(1 / max(error, 1e-12))
