"""What is freed is kept for the next frame or iteration, unless memory has a limit."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.core.training import asked, make_facesets, one_thread, quick
from understudy.core import pages
from understudy.core.train import loop

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's allocator that is told")
BLOCK = 64 << 20  # bytes
SYSTEM_PAGE = resource.getpagesize()


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def held() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * SYSTEM_PAGE


def fill(size: int = BLOCK) -> None:
    torch.ones(size // 4)


@glibc
def test_a_block_that_is_asked_for_again_has_its_pages():
    with pages.kept():
        fill(2 * BLOCK)  # twice: to be laid evenly in memory a block needs some bytes more than itself
        before = faults()
        fill()
        assert faults() - before < BLOCK / SYSTEM_PAGE / 8


@glibc
def test_what_is_free_is_given_back_at_the_end():
    with pages.kept():
        fill()
        before = held()
    assert before - held() > BLOCK / 2


@glibc
def test_memory_that_is_kept_is_not_faulted_in_again():
    # in a process of its own: what it says is for all of a process
    program = """
import resource, sys
import numpy as np
from understudy.core import pages

if sys.argv[1] == "kept":
    pages.keep()
for again in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(2**20, np.float32) for _ in range(16)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = [
        int(subprocess.run([sys.executable, "-c", program, how], check=True, capture_output=True).stdout)
        for how in ("returned", "kept")
    ]
    assert faults[1] < faults[0] / 4


@pytest.mark.parametrize(("memory", "wanted"), [(None, True), (2 << 30, False)])
def test_a_training_keeps_it_but_within_a_limit(monkeypatch, tmp_path, colour, memory, wanted):
    quick(monkeypatch)
    said: list[bool] = []
    kept = pages.kept

    def noted(wanted: bool):
        said.append(wanted)
        return kept(wanted)

    monkeypatch.setattr(pages, "kept", noted)
    settings = asked(
        make_facesets(tmp_path), tmp_path / "m", preset="tinier", target_iterations=1, memory=memory
    )
    with one_thread():
        list(loop.run(settings, colour=colour))
    assert said == [wanted]
