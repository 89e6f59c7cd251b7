"""Parts of a picture at the same time: each once, errors told, none within another."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import pytest

from tests.core.forking import shares_in_a_forked_child
from understudy.core.threads import spread


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield request.param
    cv2.setNumThreads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_each_part_is_done_once(threads: int, count: int):
    done: list[int] = []
    spread(done.append, range(count))
    assert sorted(done) == list(range(count))


def test_parts_are_worked_on_together():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        meeting = threading.Barrier(3, timeout=60.0)  # passes when three are there at once
        spread(lambda _: meeting.wait(), range(3))
    finally:
        cv2.setNumThreads(before)


def test_parts_of_a_part_go_one_after_another(threads: int):
    seen: list[tuple[int, int, int]] = []

    def within(part: int) -> None:
        spread(lambda inner: seen.append((part, inner, threading.get_ident())), range(3))

    spread(within, range(4))
    assert sorted(each[:2] for each in seen) == [(part, inner) for part in range(4) for inner in range(3)]
    for part in range(4):
        assert len({thread for outer, _, thread in seen if outer == part}) == 1


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_raised_here_when_nobody_works_any_more(threads: int, bad: int):
    done: list[int] = []

    def work(part: int) -> None:
        if part == bad:
            raise ValueError(part)
        done.append(part)

    with pytest.raises(ValueError, match=str(bad)):
        spread(work, range(6))
    finished = list(done)
    spread(done.append, range(6))
    assert len(done) == len(finished) + 6


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12
def test_a_forked_child_has_threads_of_its_own(threads: int):
    shares_in_a_forked_child(spread)
