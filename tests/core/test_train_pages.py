"""What a training frees is kept for its next iteration, unless it has a limit of memory."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import pytest
import torch

from tests.core.training import asked, make_facesets, one_thread, quick
from understudy.core.train import loop, pages

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's allocator that is told")
BLOCK = 64 << 20  # bytes
SYSTEM_PAGE = resource.getpagesize()


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def held() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * SYSTEM_PAGE


def fill() -> None:
    torch.ones(BLOCK // 4)


@glibc
def test_a_block_that_is_asked_for_again_has_its_pages():
    with pages.kept():
        for _ in range(3):
            fill()  # first where it finds a place, then where it stays
        before = faults()
        fill()
        assert faults() - before < BLOCK / SYSTEM_PAGE / 8


@glibc
def test_what_is_free_is_given_back_at_the_end():
    with pages.kept():
        fill()
        before = held()
    assert before - held() > BLOCK / 2


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
