"""Queries: which faces, in which order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.core.looks import add, frames, measured, portrait
from understudy.core.errors import InvalidInput, NotMeasured
from understudy.core.faceset import Faceset
from understudy.core.faceset.query import Query, Range, find
from understudy.core.frames import FrameRange


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Frames 1001 to 1006 of track 0, and 1003 and 1004 of track 1, turned from left to right; brighter each time."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(6):
        add(folder, 1001 + i, portrait(1, level=0.05 * (i + 1)), yaw=-25.0 + 10 * i, score=0.9 - 0.05 * i)
    for number in (1003, 1004):
        add(folder, number, track=1, yaw=60.0, view="left")
    return folder


@pytest.fixture(scope="module")
def faces(folder):
    return Faceset.open(folder)


def asked(faces: Faceset, **query) -> list[tuple[int, int]]:
    """(frame, track) of the faces that answer."""
    found = find(faces, Query(**query))
    assert found.dtype == np.int64
    return list(zip(frames(faces, found), faces.columns.track[found].tolist(), strict=True))


ALL = [(1001, 0), (1002, 0), (1003, 0), (1003, 1), (1004, 0), (1004, 1), (1005, 0), (1006, 0)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ALL),
        ({"reverse": True}, ALL[::-1]),
        ({"limit": 3}, ALL[:3]),
        ({"limit": 99}, ALL),
        ({"tracks": (1,)}, [(1003, 1), (1004, 1)]),
        ({"tracks": (0, 1)}, ALL),
        ({"views": ("left",)}, [(1003, 1), (1004, 1)]),
        ({"names": ("shot_t0.1002.exr", "shot_t1.1004.exr")}, [(1002, 0), (1004, 1)]),
        ({"frames": FrameRange.of(1003, 1004)}, ALL[2:6]),
        ({"frames": FrameRange()}, ALL),
        ({"frames": FrameRange.of(5000, 5001)}, []),
        ({"tracks": (0,), "frames": FrameRange.of(1004, 1099)}, [(1004, 0), (1005, 0), (1006, 0)]),
        ({"tracks": (0,), "invert": True}, [(1003, 1), (1004, 1)]),
        ({"invert": True}, []),
        ({"ranges": (Range(key="yaw", minimum=-5.0, maximum=5.0),)}, [(1003, 0), (1004, 0)]),
        ({"ranges": (Range(key="yaw", minimum=15.0),), "tracks": (0,)}, [(1005, 0), (1006, 0)]),
        (
            {"ranges": (Range(key="yaw", minimum=15.0), Range(key="confidence", maximum=0.68))},
            [(1006, 0)],
        ),
        ({"order": "yaw", "tracks": (0,), "limit": 2}, [(1006, 0), (1005, 0)]),
        ({"order": "yaw", "reverse": True, "limit": 2}, [(1001, 0), (1002, 0)]),
        (
            {"order": "confidence", "limit": 1, "invert": True, "frames": FrameRange.of(1001, 1003)},
            [(1003 + 1, 1)],
        ),
    ],
)
def test_conditions_hold_at_once(faces, query, expected):
    assert asked(faces, **query) == expected


def test_limits_are_inclusive(faces):
    yaw = float(faces.columns.pose[0, 1])
    assert asked(faces, ranges=(Range(key="yaw", minimum=yaw, maximum=yaw),)) == [(1001, 0)]


def test_orders_and_ranges_by_what_is_measured(folder, faces, colour):
    with pytest.raises(NotMeasured, match="brightness"):
        find(faces, Query(order="brightness"))
    with pytest.raises(NotMeasured, match="blur"):
        find(faces, Query(ranges=(Range(key="blur", minimum=0.1),)))
    now = measured(folder, colour)
    assert asked(now, order="brightness", tracks=(0,)) == [(1001 + i, 0) for i in reversed(range(6))]
    assert asked(now, ranges=(Range(key="brightness", maximum=0.0),)) == []
    chain = asked(now, order="absolute", tracks=(0,))
    assert chain == [(1001 + i, 0) for i in range(6)]  # each a little brighter than the one before
    assert len(asked(now, order="best", limit=3)) == 3


def test_what_the_faceset_does_not_have_is_named(faces):
    with pytest.raises(InvalidInput, match=r"names: .* does not have 'a.exr', 'b.exr'") as caught:
        find(faces, Query(names=("a.exr", "shot_t0.1001.exr", "b.exr")))
    assert (caught.value.field, caught.value.value) == ("names", "a.exr")
    with pytest.raises(InvalidInput, match="and 12 more"):
        find(faces, Query(names=tuple(f"{i}.exr" for i in range(20))))
    with pytest.raises(InvalidInput, match=r"tracks: .* 7") as caught:
        find(faces, Query(tracks=(0, 7)))
    assert caught.value.field == "tracks"
    with pytest.raises(InvalidInput, match=r"views: .* 'middle'"):
        find(faces, Query(views=("middle",)))


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (lambda: Query(order="charm"), "order"),
        (lambda: Query(limit=-1), "limit"),
        (lambda: Range(key="charm", minimum=1.0), "ranges.key"),
        (lambda: Range(key="yaw"), "ranges"),
        (lambda: Range(key="yaw", minimum=3.0, maximum=2.0), "ranges"),
        (lambda: Range(key="yaw", minimum=math.nan), "ranges.minimum"),
        (lambda: Range(key="yaw", maximum=math.nan), "ranges.maximum"),
    ],
)
def test_a_query_that_means_nothing_is_refused_at_once(made, field):
    with pytest.raises(InvalidInput) as caught:
        made()
    assert caught.value.field == field


def test_an_empty_query_says_so():
    assert Query().empty
    assert Query(order="yaw", reverse=True).empty
    assert not Query(limit=1).empty
    assert not Query(invert=True).empty
    assert not Query(frames=FrameRange.of(1, 2)).empty


def test_nothing_to_ask(tmp_path):
    nobody = Faceset.open(tmp_path)
    assert find(nobody, Query(order="blur")).tolist() == []
    assert find(nobody, Query(ranges=(Range(key="yaw", minimum=0.0),))).tolist() == []
