"""Windows and frame ranges: arithmetic that everything else leans on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, FrameRange, Segment, Window

numbers = st.lists(st.integers(-50, 20_000), max_size=40)
close = st.lists(st.integers(-20, 60), max_size=40)
windows = st.builds(Window, *[st.integers(-30, 30)] * 2, *[st.integers(0, 40)] * 2)


@given(numbers | close)
def test_a_range_holds_just_the_numbers_it_was_made_of(given_numbers):
    frames = FrameRange.from_frames(given_numbers)
    assert list(frames) == sorted(set(given_numbers))
    assert len(frames) == len(set(given_numbers))
    assert all(n in frames for n in given_numbers)
    assert all(n not in frames for n in range(-60, 70) if n not in given_numbers)


@given(close)
def test_segments_ascend_and_share_no_frame(given_numbers):
    segments = FrameRange.from_frames(given_numbers).segments
    assert all(a.last < b.first for a, b in pairwise(segments))
    assert all((s.last - s.first) % s.step == 0 for s in segments)


@given(close)
def test_gaps_fill_the_holes_and_nothing_else(given_numbers):
    frames = FrameRange.from_frames(given_numbers)
    assert not set(frames.gaps()) & set(frames)
    both = sorted({*frames, *frames.gaps()})
    assert both == (list(range(both[0], both[-1] + 1)) if both else [])


@pytest.mark.parametrize(
    ("given_numbers", "text"),
    [
        ([], ""),
        ([7], "7"),
        (range(1001, 1101), "1001-1100"),
        (range(1001, 1101, 2), "1001-1099x2"),
        ([1001, 1010], "1001,1010"),
        ([1001, 1002, 1003, 1010, 1012, 1014], "1001-1003,1010-1014x2"),
        (range(-5, 3), "-5-2"),
        (range(9998, 10002), "9998-10001"),
    ],
)
def test_text_is_fileseqs(given_numbers, text):
    assert str(FrameRange.from_frames(given_numbers)) == text


@given(numbers)
def test_fileseq_reads_our_text_as_the_same_frames(given_numbers):
    fileseq = pytest.importorskip("fileseq")
    frames = FrameRange.from_frames(given_numbers)
    if len(frames):
        assert sorted(fileseq.FrameSet(str(frames))) == list(frames)


@pytest.mark.parametrize(
    ("make", "field", "words"),
    [
        (lambda: Segment(1, 10, 0), "frames.step", "step 0"),
        (lambda: Segment(10, 1), "frames", "10-1 runs backwards"),
        (lambda: FrameRange((Segment(1, 5), Segment(5, 9))), "frames", "1-5,5-9 names a frame twice"),
    ],
)
def test_bad_ranges_are_refused_by_name(make, field, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        make()
    assert caught.value.field == field


def test_segments_out_of_order_iterate_in_order():
    assert list(FrameRange((Segment(10, 12), Segment(1, 2)))) == [1, 2, 10, 11, 12]


@given(windows, windows)
def test_intersection_is_what_both_cover(a, b):
    def pixels(w):
        return {(x, y) for x in range(w.x, w.x1) for y in range(w.y, w.y1)}

    both = a.intersect(b)
    assert pixels(both) == pixels(a) & pixels(b)
    assert both.empty == (not pixels(both))


@given(windows, windows)
def test_slices_cut_the_window_out_of_its_data(data, part):
    part = part.intersect(data)
    if part.empty:
        return
    rows, columns = np.mgrid[data.y : data.y1, data.x : data.x1]
    where = part.slices(data)
    assert rows[where].shape == (part.height, part.width)
    assert (rows[where][0, 0], columns[where][0, 0]) == (part.y, part.x)


def test_slices_outside_the_data_are_our_bug():
    with pytest.raises(AssertionError):
        Window(0, 0, 11, 5).slices(Window(0, 0, 10, 10))


def _frame(planes, **kw):
    window = Window(-2, 3, 4, 2)
    return Frame(number=1001, planes=planes, display=window, data=window, **kw)


def test_rgb_is_float_in_order_and_of_the_window():
    planes = {c: np.arange(8, dtype=np.float16).reshape(2, 4) + 10 * i for i, c in enumerate("BGR")}
    rgb = _frame(planes).rgb(Window(-1, 4, 2, 1))
    assert rgb.dtype == np.float32
    assert rgb.tolist() == [[[25, 15, 5], [26, 16, 6]]]


def test_codes_become_fractions_of_their_maximum():
    planes = {c: np.full((2, 4), 1023, np.uint16) for c in "RGB"}
    assert (_frame(planes, maximum=1023.0).rgb() == 1.0).all()


def test_a_frame_without_rgb_says_what_it_has():
    with pytest.raises(InvalidInput, match=r"frame 1001: no channel R; it has Y, Z"):
        _frame({"Y": np.zeros((2, 4), np.float16), "Z": np.zeros((2, 4), np.float32)}).rgb()


def test_with_planes_keeps_all_else():
    frame = _frame({"R": np.zeros((2, 4), np.float16)}, metadata={"reelName": "A001"}, pixel_aspect=2.0)
    more = frame.with_planes({**frame.planes, "mask.A": np.ones((2, 4), np.float16)}, owner="us")
    assert list(more.planes) == ["R", "mask.A"]
    assert more.metadata == {"reelName": "A001", "owner": "us"}
    assert (more.pixel_aspect, more.data, more.number) == (2.0, frame.data, 1001)
    assert frame.metadata == {"reelName": "A001"}
