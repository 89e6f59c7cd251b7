"""What a network costs, counted on shapes alone: parameters, memory and arithmetic of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from understudy.core.model.networks import Network, build
from understudy.core.model.presets import ModelConfig

_STATE = 16  # bytes of a parameter in training: weight, gradient and Adam's two moments in float32
_CAST = 2  # more, where autocast keeps a bfloat16 copy for the backward pass


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The network alone, without losses and samples.

    Attributes:
        config: what was counted.
        batch_size: faces of each person in a step.
        bfloat16: whether a step computes in it.
        parameters: how many each part has.
        state_bytes: of weights, gradients and Adam's moments.
        activation_bytes: what the forward pass of a step keeps for the backward pass.
        step_flops: of a step, forward and backward, in convolutions and dense layers; a multiplication and an addition
            are two.
        swap_flops: of one swapped face.
    """

    config: ModelConfig
    batch_size: int
    bfloat16: bool
    parameters: Mapping[str, int]
    state_bytes: int
    activation_bytes: int
    step_flops: int
    swap_flops: int

    def __str__(self) -> str:
        """A table of a few lines."""
        c = self.config
        name = f"{c.arch}-{c.options}" if c.options else c.arch
        total = sum(self.parameters.values())
        precision = "bfloat16" if self.bfloat16 else "float32"
        step = f"a step of {self.batch_size} + {self.batch_size} faces in {precision}"
        return "\n".join(
            [
                f"{name}, {c.resolution} px, dims e {c.e_dims}, d {c.d_dims}, mask {c.d_mask_dims}, ae {c.ae_dims}",
                *(f"  {part:<12}{count:>14,} parameters" for part, count in self.parameters.items()),
                f"  {'all':<12}{total:>14,} parameters, {4 * total / 2**20:,.0f} MiB",
                f"  {step}: {self.step_flops / 1e9:,.1f} GFLOP",
                f"    {self.activation_bytes / 2**20:,.0f} MiB of activations",
                f"    {self.state_bytes / 2**20:,.0f} MiB of weights, gradients and Adam's moments",
                f"  a swapped face: {self.swap_flops / 1e9:,.2f} GFLOP",
            ]
        )


def summarise(config: ModelConfig, *, batch_size: int = 4, bfloat16: bool = False) -> Summary:
    """Count what a network of this configuration costs; nothing is computed and no memory taken."""
    with torch.device("meta"):
        net = build(config).to(torch.bfloat16 if bfloat16 else torch.float32)
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in net.parts.items()}
    with FlopCounterMode(display=False) as swap, torch.no_grad():
        net.swap(_faces(net, 1))
    with FlopCounterMode(display=False) as step:
        activations = _step(net, batch_size)
    return Summary(
        config=config,
        batch_size=batch_size,
        bfloat16=bfloat16,
        parameters=parameters,
        state_bytes=sum(parameters.values()) * (_STATE + _CAST * bfloat16),
        activation_bytes=activations,
        step_flops=step.get_total_flops(),
        swap_flops=swap.get_total_flops(),
    )


def _step(net: Network, batch_size: int) -> int:
    """Go forward and back; the bytes of all that is kept in between, but the weights."""
    seen = {_storage(weight) for weight in net.parameters()}
    kept: list[Tensor] = []  # held, so that no storage takes another's place

    def keep(tensor: Tensor) -> Tensor:
        if (storage := _storage(tensor)) not in seen:
            seen.add(storage)
            kept.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        both = net.reconstruct(_faces(net, batch_size), _faces(net, batch_size))
    (both.faces.sum() + both.mattes.sum()).backward()  # type: ignore[no-untyped-call]
    return sum(tensor.untyped_storage().nbytes() for tensor in kept)


def _storage(tensor: Tensor) -> int:
    """What tells one piece of memory from another, also where there is none."""
    return int(StorageWeakRef(tensor.untyped_storage()).cdata)  # type: ignore[no-untyped-call]


def _faces(net: Network, count: int) -> Tensor:
    side, weight = net.config.resolution, next(net.parameters())
    return torch.empty(count, 3, side, side, device=weight.device, dtype=weight.dtype)
