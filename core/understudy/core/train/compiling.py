"""The network compiled, on NVIDIA's GPUs as CUDA graphs; what does not hold on a machine is given up, with a word why.

A graph is the forward or the backward pass, recorded once and started as one: hundreds of small kernels then cost one
launch. It asks for one shape of samples and one place in memory for each weight, which a phase of a training has.
What differs by chance or by option stays outside of it: samples, losses, discriminators, and the optimiser's step,
which is one fused kernel already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from understudy.core.model.networks import Network, Reconstruction

GRAPHS, COMPILED = "CUDA graphs", "compiled"
_TRIES = 3  # torch warms up, records, and replays


def ways(device: torch.device, *, limited: bool) -> tuple[tuple[str, ...], str]:
    """How to compile for a device, the fastest first; and why graphs are left out on a GPU, where they are.

    Args:
        limited: whether the device's memory has a limit, as graphs keep a pool of their own that no plan counts.
    """
    if device.type != "cuda":
        return (COMPILED,), ""
    if limited:
        return (
            COMPILED,
        ), "the network is compiled without CUDA graphs: they keep memory, which has a limit here"
    return (GRAPHS, COMPILED), ""


class Compiled:
    """A network's `reconstruct` by the first of some ways that works; by none of them, as it is.

    Before samples of a shape are first computed, the way is tried on empty ones, forward and back. So what fails does
    so before any gradient has been taken, and the iteration goes on by the next way.

    Args:
        ways: as `ways` gives them.
        warnings: where a sentence for a person goes for each way that fails.
    """

    def __init__(self, net: Network, ways: Sequence[str], warnings: list[str]) -> None:
        self._net, self._ways, self._warnings = net, list(ways), warnings
        self._tried: set[tuple[object, ...]] = set()
        self._call: Any = self._made()

    def begin(self) -> None:
        """An iteration begins: what graphs gave in the one before is not looked at any more."""
        if self._ways[:1] == [GRAPHS]:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    def __call__(self, src: Tensor, dst: Tensor) -> Reconstruction:
        """As `Network.reconstruct`. Raises torch.OutOfMemoryError."""
        kind = src.shape, src.dtype, torch.is_grad_enabled()
        while self._ways and kind not in self._tried:
            if self._works(torch.zeros_like(src), torch.zeros_like(dst)):
                self._tried.add(kind)
        found: Reconstruction = self._call(src, dst)
        return found

    def _made(self) -> Any:
        if not self._ways:
            return self._net.reconstruct
        if self._ways[0] == GRAPHS:  # a graph is of one shape: another one has its own
            return torch.compile(self._net, mode="reduce-overhead", dynamic=False)
        return torch.compile(self._net)

    def _works(self, src: Tensor, dst: Tensor) -> bool:
        """Whether the way that is next does; if not, it is given up."""
        try:
            self._try(src, dst)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # of all that compilers can say
            self._give_up(error)
            return False
        return True

    def _try(self, src: Tensor, dst: Tensor) -> None:
        """Forward, and where gradients are taken back; they are dropped."""
        for _ in range(_TRIES if self._ways[0] == GRAPHS else 1):
            self.begin()
            made = self._call(src, dst)
            if torch.is_grad_enabled():
                total = torch.stack([each.float().sum() for each in made]).sum()
                weights = [weight for weight in self._net.parameters() if weight.requires_grad]
                torch.autograd.grad(total, weights, allow_unused=True)

    def _give_up(self, error: RuntimeError) -> None:
        way, *self._ways = self._ways
        said = str(error).strip().partition("\n")[0]
        what = (
            "trains without CUDA graphs" if way == GRAPHS else "can not be compiled here, and trains as it is"
        )
        self._warnings.append(f"the network {what}: {said}")
        self._tried.clear()
        self._call = self._made()
