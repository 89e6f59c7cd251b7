"""Run as a program: prints how many times faster bfloat16 is than float32 on this CPU, for a decoder's layers.

On its own because it may die: where a virtual machine shows a CPU's matrix unit (AMX) but does not let programs use
it, the first bfloat16 product is an illegal instruction.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import nn


def step(dtype: torch.dtype) -> Callable[[], float]:
    """What takes a training step of two layers, and gives its seconds."""
    dense, conv = nn.Linear(2048, 256).to(dtype), nn.Conv2d(128, 128, 3, padding=1).to(dtype)
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    flat = torch.ones(16, 2048, dtype=dtype)
    image = torch.ones(8, 128, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def take() -> float:
        start = time.perf_counter()
        (dense(flat).float().sum() + conv(image).float().sum()).backward()
        return time.perf_counter() - start

    return take


if __name__ == "__main__":
    wide, narrow = step(torch.float32), step(torch.bfloat16)
    times = [(wide(), narrow()) for _ in range(6)]  # in turns, so that what else runs falls on both
    sys.stdout.write(f"{min(a for a, _ in times) / min(b for _, b in times):.3f}\n")
