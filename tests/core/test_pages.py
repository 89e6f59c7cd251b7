"""What is freed is kept for the next frame or iteration, unless memory has a limit."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import textwrap

import pytest

from tests.core.training import asked, make_facesets, one_thread, quick
from understudy.core import pages
from understudy.core.train import loop

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's allocator that is told")
BLOCK = 64 << 20  # bytes


def printed(program: str, *arguments: str) -> int:
    """What a process of its own prints: one that has lived already has holes in its memory, which blocks fall into."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


@glibc
def test_a_block_that_is_asked_for_again_has_its_pages():
    program = """
        import resource, sys
        import torch
        from understudy.core import pages

        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        elements = int(sys.argv[1]) // 4
        with pages.kept():
            torch.ones(2 * elements)  # twice: to be laid evenly in memory a block needs some bytes more than itself
            before = faults()
            torch.ones(elements)
            print(faults() - before)
    """
    assert printed(program, str(BLOCK)) < BLOCK / resource.getpagesize() / 8


@glibc
def test_what_is_free_is_given_back_at_the_end():
    program = """
        import sys
        import torch
        from understudy.core import pages

        held = lambda: int(open("/proc/self/statm").read().split()[1])  # pages of this process that lie in memory
        with pages.kept():
            torch.ones(int(sys.argv[1]) // 4)
            before = held()
        print(before - held())
    """
    assert printed(program, str(BLOCK)) > BLOCK / resource.getpagesize() / 2


@glibc
def test_memory_that_is_kept_is_not_faulted_in_again():
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
    assert printed(program, "kept") < printed(program, "returned") / 4


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
