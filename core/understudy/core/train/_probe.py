"""Run as a program: prints how many times faster bfloat16 is than float32 on this CPU, for a decoder's layers.

On its own because it may die: where a virtual machine shows a CPU's matrix unit (AMX) but does not let programs use
it, the first bfloat16 product is an illegal instruction.
"""

from __future__ import annotations

import sys
import time

import torch
from torch import nn


def seconds(dtype: torch.dtype) -> float:
    """The best of four training steps of two layers."""
    dense, conv = nn.Linear(2048, 256).to(dtype), nn.Conv2d(128, 128, 3, padding=1).to(dtype)
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    flat = torch.ones(16, 2048, dtype=dtype)
    image = torch.ones(8, 128, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        (dense(flat).float().sum() + conv(image).float().sum()).backward()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    sys.stdout.write(f"{seconds(torch.float32) / seconds(torch.bfloat16):.3f}\n")
