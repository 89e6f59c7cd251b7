"""Frame ranges: every dialect's meaning, and every refusal with its reason."""

from __future__ import annotations

import pytest
from fileseq.frameset import FrameSet
from hypothesis import given
from hypothesis import strategies as st

from understudy.client import frames
from understudy.client.errors import Refused

_ranges = st.tuples(st.integers(-200, 200), st.integers(0, 40), st.integers(1, 7), st.sampled_from("xy"))


@given(_ranges)
def test_fileseq_agrees(parts):
    first, length, step, mark = parts
    text = f"{first}-{first + length}{mark}{step}"
    expected = sorted(FrameSet(text)) if mark == "x" or step > 1 else []
    assert frames.expand(frames.parse(text)) == expected


@given(st.sets(st.integers(-300, 300), min_size=1, max_size=60), st.sampled_from(frames.DIALECTS))
def test_any_set_of_frames_survives_every_dialect(numbers, dialect):
    text = frames.text(frames.segments_of(numbers), dialect)
    assert frames.expand(frames.parse(text, dialect)) == sorted(numbers)
    if dialect == "fileseq":
        assert sorted(FrameSet(text)) == sorted(numbers)


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("1001", "fileseq", [1001]),
        ("1001-1004", "fileseq", [1001, 1002, 1003, 1004]),
        ("1001-1006x2, 1010", "fileseq", [1001, 1003, 1005, 1010]),
        ("1-6y3", "fileseq", [2, 3, 5, 6]),
        ("-5--3", "fileseq", [-5, -4, -3]),
        ("9998-10001", "fileseq", [9998, 9999, 10000, 10001]),
        ("1-5x2 8,10", "nuke", [1, 3, 5, 8, 10]),
        ("1001-1007:2", "openjd", [1001, 1003, 1005, 1007]),
        ("32-32", "openjd", [32]),
        ("-5--3", "openjd", [-5, -4, -3]),
        ("1010,1001-1003", "openjd", [1001, 1002, 1003, 1010]),
    ],
)
def test_what_a_text_means(text, dialect, expected):
    assert frames.expand(frames.parse(text, dialect)) == expected


def test_the_last_frame_of_a_segment_is_one_of_its_frames():
    (segment,) = frames.parse("1001-1010x4")
    assert (segment.first, segment.last, segment.step) == (1001, 1009, 4)


@pytest.mark.parametrize(
    ("text", "dialect", "why"),
    [
        ("1001-1010:2", "fileseq", "stagger"),
        ("1001-1010x2", "openjd", "write `:`"),
        ("1001-1010y2", "openjd", "no `y`"),
        ("1001-1010:2", "nuke", "write `x`"),
        ("1001-1010y2", "nuke", "no `y`"),
        ("1010-1001", "fileseq", "runs backwards; write 1001-1010"),
        ("1001-1010x0", "fileseq", "step of 0"),
        ("1001-1010x-1", "fileseq", "step of -1"),
        ("1001-1010,1005", "fileseq", "names frame 1005 twice"),
        ("1001-1010x2,1003-1011x4", "fileseq", "names frame 1003 twice"),
        ("1001.5", "fileseq", "subframe"),
        ("1-2x0.5", "fileseq", "subframe"),
        ("####", "fileseq", "frame token"),
        ("1001-####", "fileseq", "frame token"),
        ("1001,,1003", "fileseq", "empty"),
        ("", "fileseq", "empty"),
        ("all", "fileseq", "not a frame or range"),
        ("1-2000000", "fileseq", "more than 1000000"),
        ("1-900000,1000001-1200000", "fileseq", "more than 1000000"),
        ("1-3", "deadline", "no dialect"),
    ],
)
def test_refusals_name_field_value_and_reason(text, dialect, why):
    with pytest.raises(Refused, match=why) as caught:
        frames.parse(text, dialect, field="src_frames")
    assert caught.value.reason == "INVALID_INPUT"
    assert caught.value.field in ("src_frames", "frames_dialect")
    assert caught.value.value in (text, dialect)
