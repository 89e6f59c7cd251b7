"""How much memory there is, and how much of it is free: the machine's, as far as it is ours to use, and of GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pynvml

MACHINE = "cpu"
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    total: int
    free: int


def found() -> dict[str, Memory]:
    """`cpu`, and `cuda:N` of each GPU that can be asked."""
    return {MACHINE: machine(), **gpus(os.environ)}


def machine(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Memory:
    """Of the CPU: the machine's, or that of the tightest control group which this process is in.

    As proc(5) and the kernel's cgroup-v1/memory and cgroup-v2 have it; pages of files that were not used lately are
    free.
    """
    lines = (line.split() for line in (proc / "meminfo").read_text(encoding="ascii").splitlines())
    said = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
    total, free = said["MemTotal"], said["MemAvailable"]
    for limit, used, idle in _groups(proc, cgroups):
        total = min(total, limit)
        free = min(free, max(0, limit - max(0, used - idle)))
    return Memory(total, min(free, total))


def _groups(proc: Path, cgroups: Path) -> Iterator[tuple[int, int, int]]:
    """Limit, use, and of that pages that can be dropped: of each control group above this process that has a limit."""
    try:
        entries = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text("utf-8").splitlines()]
    except OSError:
        return  # no Linux, or no control groups
    for _, controllers, path in entries:
        if not controllers:  # version 2
            roots, names = [cgroups, cgroups / "unified"], ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            roots = [cgroups / "memory"]
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = Path(path.lstrip("/"))
        for root in roots:
            for folder in (inside, *inside.parents):  # a container sees its own group as the root
                if (group := _group(root / folder, *names)) is not None:
                    yield group


def _group(folder: Path, limit: str, used: str, idle: str) -> tuple[int, int, int] | None:
    try:
        most = (folder / limit).read_text("ascii").strip()
        if most == "max":
            return None
        stat = (line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        dropped = next((int(value) for name, value in stat if name == idle), 0)
        return int(most), int((folder / used).read_text("ascii")), dropped
    except (OSError, ValueError):  # not mounted here, or no such files in the root group
        return None


def gpus(environment: Mapping[str, str]) -> dict[str, Memory]:
    """`cuda:N` → its memory, counted as programs with this environment count them; none without NVIDIA's driver.

    The N-th is the driver's N-th where CUDA_DEVICE_ORDER is PCI_BUS_ID, as the daemon has it (`__main__`). What
    CUDA_VISIBLE_DEVICES names and the driver does not know is left out.
    """
    there: dict[str, Memory] = {}
    try:
        pynvml.nvmlInit()
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        shown = range(pynvml.nvmlDeviceGetCount()) if visible is None else visible.split(",")
    except pynvml.NVMLError:  # no driver
        return there
    for number, name in enumerate(map(str, shown)):
        try:
            asked = name.strip()
            handle = (
                pynvml.nvmlDeviceGetHandleByIndex(int(asked))
                if asked.isdecimal()
                else pynvml.nvmlDeviceGetHandleByUUID(asked)
            )
            said = pynvml.nvmlDeviceGetMemoryInfo(handle)
        except pynvml.NVMLError:  # it has fallen off the bus, or is none
            continue
        there[f"cuda:{number}"] = Memory(int(said.total), int(said.free))
    return there


def resident(pid: int) -> int:
    """Bytes that a process and those that it started have in memory; 0 where it has just gone."""
    own = 0
    try:
        pages = int((_PROC / str(pid) / "statm").read_text("ascii").split()[1])
        own = pages * os.sysconf("SC_PAGE_SIZE")
        lists = (file.read_text("ascii") for file in (_PROC / str(pid) / "task").glob("*/children"))
        return own + sum(resident(int(child)) for children in lists for child in children.split())
    except (OSError, IndexError, ValueError):
        return own


def text(size: float) -> str:
    """`8,192 MiB`."""
    return f"{size / _MIB:,.0f} MiB"
