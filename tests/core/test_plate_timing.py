"""Timecode and rate, against the numbers that editors know by heart."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.plate import Timecode, Typed, rate, rate_entry

NTSC = Fraction(30000, 1001)
rates = st.sampled_from([Fraction(24), Fraction(24000, 1001), Fraction(25), NTSC, Fraction(30), Fraction(12)])


@given(rates, st.integers(0, 24 * 3600 * 24 // 2 - 1))
def test_counting_there_and_back(per_second, count):
    assert Timecode.from_count(count, per_second).count(per_second) == count


@given(st.integers(0, 2_589_407))
def test_drop_frame_there_and_back(count):
    timecode = Timecode.from_count(count, NTSC, drop_frame=True)
    assert timecode.count(NTSC) == count
    assert timecode.frames >= 2 or timecode.seconds or timecode.minutes % 10 == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),
        (107892, "01:00:00;00"),
        (2589407, "23:59:59;29"),
    ],
)
def test_drop_frame_skips_two_numbers_a_minute_but_the_tenth(count, text):
    assert str(Timecode.from_count(count, NTSC, drop_frame=True)) == text
    assert Timecode.parse(text).count(NTSC) == count


def test_midnight_wraps():
    last = Timecode.parse("23:59:59:23")
    assert str(last.plus(1, Fraction(24))) == "00:00:00:00"


def test_later_keeps_flags_and_user_bits():
    later = Timecode(1, 2, 3, 23, flags=1 << 7, user=0xDEADBEEF).plus(1, Fraction(24))
    assert later == Timecode(1, 2, 4, 0, flags=1 << 7, user=0xDEADBEEF)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_header_words_survive_whatever_their_flags(word, user):
    read = Timecode.from_header({"timeCode": Typed("timecode", (word, user))})
    digits_are_a_time = all(word >> shift & 15 <= 9 for shift in (0, 8, 16, 24))
    if read is None:
        return
    if digits_are_a_time:
        assert read.entry == Typed("timecode", (word, user))


def test_known_words():
    """01:02:03:04 as OpenEXR packs it: binary coded decimals, frames lowest."""
    assert Timecode(1, 2, 3, 4, user=7).entry == Typed("timecode", (0x01020304, 7))
    assert Timecode(23, 59, 58, 29, drop_frame=True).entry.value[0] == 0x23595869
    assert str(Timecode.from_header({"timeCode": Typed("timecode", (0x01020344, 0))})) == "01:02:03;04"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "01:00:00:00",
        Typed("v2i", (1, 2)),
        Typed("timecode", (0x00007000, 0)),
        Typed("timecode", b"cut"),
    ],
)
def test_no_timecode(entry):
    assert Timecode.from_header({"timeCode": entry}) is None
    assert Timecode.from_header({}) is None


@pytest.mark.parametrize("text", ["1:2:3:4", "25:00:00:00", "00:60:00:00", "00:00:00:40", "noon"])
def test_what_is_no_timecode_is_refused(text):
    with pytest.raises(InvalidInput, match="timecode"):
        Timecode.parse(text)


@pytest.mark.parametrize(
    ("timecode", "per_second"),
    [
        ("00:00:00:25", Fraction(25)),
        ("00:00:00;02", Fraction(24)),
        ("00:00:00:00", Fraction(60)),
        ("00:00:00:00", Fraction(1, 3)),
    ],
)
def test_a_timecode_that_the_rate_cannot_have(timecode, per_second):
    with pytest.raises(InvalidInput, match="does not go with"):
        Timecode.parse(timecode).count(per_second)


@given(rates)
def test_a_rate_is_a_fraction_in_openexr(per_second):
    assert rate({"framesPerSecond": rate_entry(per_second)}) == per_second


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(2398, 100)),
        (24.0, Fraction(24)),
        (29.97, NTSC),
        (59.94, NTSC * 2),
        (12.5, Fraction(25, 2)),
    ],
)
def test_a_float_rate_is_the_usual_one_nearby(stored, meant):
    assert rate({"dpx:FrameRate": stored}) == meant


def test_no_rate():
    assert rate({}) is None
    for value in ((24, 0), (-24, 1), (0, 1), b"cut off"):
        assert rate({"framesPerSecond": Typed("rational", value)}) is None
    assert rate({"dpx:FrameRate": 0.0}) is None
