"""The worker's end of the pipe: what it hears between two reports."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from understudy.core.reports import Started, TrainReport
from understudy.core.train.control import BackUp, Change, Save, Show
from understudy.daemon import worker
from understudy.daemon.worker import Done, FromWorker, Reported, Stop, Stopping, Told

CHANGE = Change(options={"gan": "0.1"})


def report(**losses: float) -> TrainReport:
    return TrainReport(iteration=1, seconds=1.0, losses=losses, rate=1.0)


@pytest.fixture
def ends() -> Iterator[tuple[Connection, worker._Pipe]]:
    """The daemon's end, and the worker's."""
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, worker._Pipe(theirs)


def said(ours: Connection) -> list[FromWorker]:
    """What has come to the daemon."""
    messages: list[FromWorker] = []
    while ours.poll():
        messages.append(ours.recv())
    return messages


def test_all_that_waits_is_heard_in_order(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = worker._Orders()
    ours.send(Told(1, (CHANGE, Show())))
    ours.send(Told(2, (Save(),)))
    ours.send(Told(3, (BackUp(),)))
    assert worker._told(theirs, Started(total=1), orders)
    assert orders.take() == [CHANGE, Show(), Save(), BackUp()]
    assert orders.take() == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stop_wins_wherever_it_stands(ends: tuple[Connection, worker._Pipe], place: int):
    ours, theirs = ends
    messages: list[Told | Stop] = [Told(1, (Save(),)), Told(2, (Show(),))]
    messages.insert(place, Stop())
    for message in messages:
        ours.send(message)
    assert not worker._told(theirs, Started(total=1), worker._Orders())
    assert said(ours) == [Reported(Started(total=1)), Stopping()]


def test_an_order_is_done_when_an_iteration_follows_it(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = worker._Orders()
    ours.send(Told(1, (CHANGE,)))
    ours.send(Told(2, (Show(),)))
    assert worker._told(theirs, report(src=0.5), orders)
    assert said(ours) == [Reported(report(src=0.5))]  # heard, but not given out
    assert orders.take() == [CHANGE, Show()]
    assert worker._told(theirs, report(), orders)  # between two orders
    assert said(ours) == [Reported(report())]
    assert worker._told(theirs, report(src=0.4), orders)
    assert said(ours) == [Done(1), Done(2), Reported(report(src=0.4))]
    assert orders.take() == []
    assert worker._told(theirs, report(src=0.3), orders)
    assert said(ours) == [Reported(report(src=0.3))]  # only once


def test_who_is_alone_stops(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    ours.close()
    assert not worker._told(theirs, report(src=0.5), worker._Orders())
