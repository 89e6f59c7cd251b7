"""Parts of a layer at the same time: each once, with threads of its own, errors told, and after a fork too."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from tests.core.forking import shares_in_a_forked_child
from understudy.core.model.parallel import together


@pytest.fixture(autouse=True)
def six() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    yield
    torch.set_num_threads(before)


def test_parts_are_worked_on_together_without_gradients_and_share_the_threads():
    meeting, seen = threading.Barrier(3, timeout=60.0), []

    def work(part: int) -> None:
        meeting.wait()  # passes when three are there at once
        seen.append((part, torch.get_num_threads(), torch.is_grad_enabled(), threading.get_ident()))

    together(work, range(3))
    assert sorted(each[:3] for each in seen) == [(part, 2, False) for part in range(3)]
    assert len({each[3] for each in seen} - {threading.get_ident()}) == 3


def test_who_asks_and_who_begins_later_keep_their_number_of_threads():
    together(lambda _: torch.zeros(1 << 20).add_(1), range(5))
    assert torch.get_num_threads() == 6
    later: list[int] = []
    other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert later == [6]


def test_one_part_is_done_here():
    seen = []
    together(lambda part: seen.append((part, threading.get_ident(), torch.is_grad_enabled())), ["one"])
    assert seen == [("one", threading.get_ident(), False)]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_raised_here_when_nobody_works_any_more(bad: int):
    """And the next are done as ever."""
    failed, done = threading.Event(), []

    def work(part: int) -> None:
        if part == bad:
            failed.set()
            raise ValueError(part)
        assert failed.wait(60.0)
        done.append(part)

    with pytest.raises(ValueError, match=str(bad)):
        together(work, range(2))
    assert done == [1 - bad]
    together(done.append, range(2))
    assert sorted(done[1:]) == [0, 1]


def test_two_who_ask_at_once_both_get_all_done():
    done: list[tuple[int, int]] = []

    def asks(who: int) -> None:
        for _ in range(50):
            together(lambda part: done.append((who, part)), range(4))

    asking = [threading.Thread(target=asks, args=(who,)) for who in range(2)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert sorted(done) == [(who, part) for who in range(2) for part in range(4) for _ in range(50)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12
def test_a_forked_child_has_threads_of_its_own():
    shares_in_a_forked_child(together)
