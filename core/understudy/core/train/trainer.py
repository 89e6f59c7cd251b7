"""One model being trained: its network, its optimiser and what one iteration does. Knows no disk."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from understudy.core.model.networks import build
from understudy.core.model.presets import ModelConfig
from understudy.core.train import augment, losses
from understudy.core.train.data import SHARE, Crops, indices
from understudy.core.train.plan import Plan

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Trainer:
    """Steps through iterations; each is a function of the weights, the seed and the iteration's number."""

    def __init__(
        self, config: ModelConfig, plan: Plan, device: torch.device, *, seed: int, bfloat16: bool
    ) -> None:
        self.config, self.plan, self.device = config, plan, device
        self.seed, self.bfloat16 = seed, bfloat16
        net = build(config)
        net.initialise(torch.Generator().manual_seed(seed))
        self.net = net.to(device)
        if bfloat16:  # kernels for bfloat16 want channels last; in float32 it gains nothing on CPUs
            self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=plan.learning_rate, fused=fused)

    def step(self, src: Crops, dst: Crops, iteration: int, progress: float) -> dict[str, Tensor]:
        """Train on one batch of both people; the losses by name, left on the device."""
        inputs, targets = self.samples(src, dst, iteration, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(iteration, progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            both = self.net.reconstruct(*inputs.chunk(2))
        faces, mattes = torch.sigmoid(both.faces.float()), torch.sigmoid(both.mattes.float())
        parts = losses.reconstruction(targets[:, :3], targets[:, 3:], faces, mattes, beyond=self.plan.beyond)
        total_B = torch.stack(list(parts.values())).sum(0)
        self.optimizer.zero_grad()
        total_B.mean().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        src_B, dst_B = total_B.detach().chunk(2)
        return {"src": src_B.mean(), "dst": dst_B.mean()} | {n: p.detach().mean() for n, p in parts.items()}

    def samples(self, src: Crops, dst: Crops, iteration: int, progress: float) -> tuple[Tensor, Tensor]:
        """Inputs (2B, 3, S, S) and targets (2B, 4, S, S) of an iteration, src first."""
        batch = self.plan.batch_size
        picks = [
            crops.gather(indices(len(crops), batch, iteration, 2 * self.seed + i))
            for i, crops in enumerate((src, dst))
        ]
        dice = torch.Generator().manual_seed((self.seed * 1_000_003 + iteration) % 2**63)
        inputs, targets = augment.batch(
            torch.cat(picks).to(self.device),
            self.config.resolution,
            self.plan.augment(progress),
            dice,
            share=SHARE,
        )
        if self.bfloat16:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs, targets

    @torch.inference_mode()
    def look(self, src: Tensor, dst: Tensor) -> list[Tensor]:
        """Rows of a preview, each (N, 3, S, S) in swap space, for crops (N, 4, M, M) of both people.

        src, src → src, dst, dst → dst, the swap, its matte.
        """
        side = self.config.resolution
        src, dst = (augment.straight(c.to(self.device), side, share=SHARE)[:, :3] for c in (src, dst))
        rebuilt_src, rebuilt_dst = torch.sigmoid(self.net.reconstruct(src, dst).faces.float()).chunk(2)
        swap, matte = self.net.swap(dst)
        return [src, rebuilt_src, dst, rebuilt_dst, swap, matte.expand(-1, 3, -1, -1)]

    def weights(self) -> dict[str, Tensor]:
        """What swaps."""
        return dict(self.net.state_dict())

    def moments(self) -> dict[str, Tensor]:
        """What the optimiser remembers, by the weights' names."""
        found: dict[str, Tensor] = {}
        for name, weight in self.net.named_parameters():
            memory = self.optimizer.state.get(weight, {})
            found |= {f"{kind}/{name}": memory[kind] for kind in (*_MOMENTS, "step") if kind in memory}
        return found

    def restore(self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> None:
        """Go back to what `weights` and `moments` gave."""
        self.net.load_state_dict(weights)
        self.optimizer.state.clear()
        for name, weight in self.net.named_parameters():
            if f"step/{name}" not in moments:
                continue  # saved before the first step
            memory = {kind: torch.empty_like(weight).copy_(moments[f"{kind}/{name}"]) for kind in _MOMENTS}
            step = moments[f"step/{name}"].to(self.device, copy=True)
            self.optimizer.state[weight] = {"step": step, **memory}

    def sound(self) -> bool:
        """Whether every weight is finite."""
        return all(bool(torch.isfinite(w).all()) for w in self.net.parameters())
