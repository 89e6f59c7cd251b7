"""The worker's end of the pipe: what it hears between two reports."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array
from understudy.core.merge.preview import Previewer
from understudy.core.reports import Lent, Started, TrainReport
from understudy.core.train.control import BackUp, Change, Lend, Save, Show
from understudy.daemon import worker
from understudy.daemon.asks import Ask, Drop, Grid, Refused, Shown
from understudy.daemon.showing import Shows
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


def heard(theirs: worker._Pipe) -> worker._Orders:
    """What a job was told, of a worker that can show nothing."""

    def nothing() -> Previewer:
        raise InvalidInput("no frame is shown here", field="frame", value=1)

    return worker._Orders(theirs, Shows(nothing, worker._fault))


def ask(number: int, until: float = float("inf")) -> Ask:
    return Ask(number, Grid(Path("/no/model")), until)


def said(ours: Connection) -> list[FromWorker]:
    """What has come to the daemon."""
    messages: list[FromWorker] = []
    while ours.poll():
        messages.append(ours.recv())
    return messages


def test_all_that_waits_is_heard_in_order(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = heard(theirs)
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
    assert not worker._told(theirs, Started(total=1), heard(theirs))
    assert said(ours) == [Reported(Started(total=1)), Stopping()]


def test_what_comes_with_a_stop_is_not_begun(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = heard(theirs)
    ours.send(Told(1, (Save(),)))
    ours.send(Stop())
    assert orders.take() == []
    assert not worker._told(theirs, report(src=0.5), orders)
    assert said(ours) == [Reported(report(src=0.5)), Stopping()]


def test_an_order_is_done_when_an_iteration_follows_it(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = heard(theirs)
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
    assert not worker._told(theirs, report(src=0.5), heard(theirs))


def test_asks_are_heard_between_two_iterations(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = heard(theirs)
    assert orders.take() == []
    ours.send(ask(1))
    ours.send(Told(7, (Save(),)))
    ours.send(ask(2))
    ours.send(Drop(1))
    assert orders.take() == [Save(), Lend()]
    assert worker._told(theirs, report(), orders)  # a training that iterates shows nothing at a report
    assert said(ours) == [Reported(report())]
    drawn: list[int] = []

    def grid() -> Array:
        drawn.append(1)
        return np.zeros((2, 2, 3), np.uint8)

    model = cast("Any", SimpleNamespace(iteration=4))
    assert worker._told(theirs, Lent(folder=Path("/no/model"), model=model, grid=grid), orders)
    dropped, shown = said(ours)
    assert dropped == Shown(number=1)
    assert isinstance(shown, Shown)
    assert (shown.number, shown.iteration, shown.live, drawn) == (2, 4, True, [1])
    assert orders.take() == []


def test_other_jobs_show_between_two_reports(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    ours.send(ask(1))
    ours.send(ask(2, until=0.0))
    assert worker._told(theirs, Started(total=1), heard(theirs))
    answers = [each for each in said(ours) if isinstance(each, Refused)]
    assert [(type(each), each.number, each.reason) for each in answers] == [
        (Refused, 1, "JOB_STATE"),
        (Refused, 2, "LATE"),
    ]


def test_memory_that_a_preview_lacks_ends_the_preview_alone(ends: tuple[Connection, worker._Pipe]):
    ours, theirs = ends
    orders = heard(theirs)

    def grid() -> Array:
        raise MemoryError

    ours.send(ask(1))
    assert orders.take() == [Lend()]
    lent = Lent(folder=Path("/no/model"), model=cast("Any", SimpleNamespace(iteration=1)), grid=grid)
    assert worker._told(theirs, lent, orders)
    (answer,) = said(ours)
    assert isinstance(answer, Refused)
    assert answer.reason == "OUT_OF_MEMORY"
