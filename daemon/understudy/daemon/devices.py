"""Which devices the worker's torch can compute on, found out without torch.

CUDA must never be initialised in the server process, so a short-lived process asks the driver (`cuda.h`: cuInit,
cuDeviceGetName, cuDeviceTotalMem; device order and CUDA_VISIBLE_DEVICES as torch sees them).
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import logging
import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

from understudy.v1 import system_pb2

SECONDS = 20.0
log = logging.getLogger(__name__)


@functools.cache
def found() -> tuple[system_pb2.Device, ...]:
    """The CPU, then GPUs in order. Asked once: devices do not come and go."""
    cpu = system_pb2.Device(
        name="cpu",
        description=f"{platform.machine()}, {os.cpu_count()} cores",
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )
    if not _torch_has_cuda():
        return (cpu,)
    probe = [sys.executable, "-c", "from understudy.daemon import devices; devices.main()"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=SECONDS, check=True)
        gpus = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        log.warning("devices: the driver could not be asked: %s", error)
        gpus = []
    return (cpu, *(system_pb2.Device(**gpu) for gpu in gpus))


def main() -> None:
    """Print the GPUs as JSON."""
    print(json.dumps(_cuda_devices()))


def _torch_has_cuda() -> bool:
    """Whether the installed torch was built with CUDA: a CPU build sees no GPU, whatever the machine has."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return False
    version = Path(spec.submodule_search_locations[0]) / "version.py"
    return version.exists() and bool(runpy.run_path(str(version)).get("cuda"))


def _cuda_devices() -> list[dict[str, str | int]]:
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:  # no driver on this machine
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    devices: list[dict[str, str | int]] = []
    for index in range(count.value):
        device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        cuda.cuDeviceGet(ctypes.byref(device), index)
        cuda.cuDeviceGetName(name, len(name), device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        text = name.value.decode(errors="replace")
        devices.append({"name": f"cuda:{index}", "description": text, "memory_bytes": memory.value})
    return devices
