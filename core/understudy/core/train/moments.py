"""What a training goes on from, as tensors by name: network, running mean, the optimiser's memory, the loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

ADAM = ("exp_avg", "exp_avg_sq", "step")
RMSPROP = ("square_avg", "step")
"""What an optimiser of each kind remembers of a weight; how many steps it took comes last."""


def gathered(
    net: nn.Module, mean: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor
) -> dict[str, Tensor]:
    """All of it, by name."""
    found = {"loss": loss}
    found |= {f"net/{name}": weight for name, weight in net.state_dict().items()}
    found |= {f"mean/{name}": weight for name, weight in mean.state_dict().items()}
    for name, weight in net.named_parameters():
        memory = optimizer.state.get(weight, {})
        found |= {f"{kind}/{name}": value for kind, value in memory.items() if isinstance(value, Tensor)}
    return found


def of(part: str, moments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a part, `net` or `mean`, by their own names."""
    return {n.removeprefix(f"{part}/"): t for n, t in moments.items() if n.startswith(f"{part}/")}


def remind(
    optimizer: torch.optim.Optimizer,
    net: nn.Module,
    moments: Mapping[str, Tensor],
    kinds: tuple[str, ...],
    device: torch.device,
) -> None:
    """Give a fresh optimiser of `net` its memory back; of a weight of which `moments` lacks a kind it stays fresh."""
    for name, weight in net.named_parameters():
        if not all(f"{kind}/{name}" in moments for kind in kinds):
            continue  # saved before the first step, or by another optimiser
        memory = {kind: torch.empty_like(weight).copy_(moments[f"{kind}/{name}"]) for kind in kinds[:-1]}
        place = device if kinds == ADAM else "cpu"  # fused Adam counts on the device
        optimizer.state[weight] = {"step": moments[f"step/{name}"].to(place, copy=True), **memory}
