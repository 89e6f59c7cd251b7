"""float32 or bfloat16: the faster that works."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

_WORTH = 1.3  # times faster; below that the finer numbers win


def bfloat16(asked: str, device: torch.device, before: str = "") -> bool:
    """Whether to compute in bfloat16.

    Args:
        asked: `float32`, `bfloat16` or `auto`.
        before: what `auto` came to last, `named`. On the same kind of device it stands where it works, so that a
            training that goes on does so to the bit, whatever else a machine does while it is measured.
    """
    if asked != "auto":
        return asked == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or before == named(device, False):
        return False
    return _has_unit() and _speedup() > (0.0 if before == named(device, True) else _WORTH)


def named(device: torch.device, bfloat16: bool) -> str:
    """What a checkpoint remembers: `cpu bfloat16`."""
    return f"{device.type} {'bfloat16' if bfloat16 else 'float32'}"


def autocast(device: torch.device, enabled: bool) -> AbstractContextManager[object]:
    """Within it networks on the device compute in bfloat16 where `enabled`; else as they are, on whatever device."""
    return torch.autocast(device.type, torch.bfloat16) if enabled else nullcontext()


def _has_unit() -> bool:
    """Without one bfloat16 loses to float32 on every CPU measured, so the probe's seconds are saved.

    Intel's is the matrix unit (AMX), AMD's (Zen 4 and later) the dot products of AVX-512.
    """
    # torch 2.13 has no public name for either
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@cache
def _speedup() -> float:
    """Of bfloat16 over float32 on this CPU; 0 where it does not work at all. Measured once by a process."""
    probe = Path(__file__).with_name("_probe.py")
    command = [sys.executable, "-I", str(probe)]
    folder = tempfile.gettempdir()  # where a core dump may fall
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return float(done.stdout) if done.returncode == 0 else 0.0
