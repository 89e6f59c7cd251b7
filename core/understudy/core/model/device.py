"""Which device computes."""

from __future__ import annotations

import torch

from understudy.core.errors import InvalidInput


def pick(name: str) -> torch.device:
    """`auto` is the first GPU there is, else the CPU; otherwise torch's name of a device.

    Raises:
        InvalidInput: no such device on this machine; the message lists those there are.
    """
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise InvalidInput(
            f"device: there is no {name!r} on this machine; there are auto, {', '.join(there)}",
            field="device",
            value=name,
        )
    return torch.device(wanted)
