"""Frame ranges: every dialect's meaning, held against the tools themselves, and every refusal with its reason."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from fileseq.exceptions import FileSeqException
from fileseq.frameset import FrameSet
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.client import frames
from understudy.client.errors import Refused

BY_INTENTION = re.compile(
    "stagger|subframe|twice|runs backwards|names no frame|blank between|is empty|frame token|step of -|more than"
)
"""Reasons for which we refuse what fileseq takes."""

_number = st.integers(-120, 1200).map(str) | st.integers(-9, 9).map(str)
_pieces = st.one_of(
    _number, st.sampled_from(["-", "--", "x", "y", ":", ",", " ", "x2", "y3", ":2", ".5", "#"])
)
_anything = (
    st.lists(_pieces, max_size=9)
    .map("".join)
    # fileseq, which leaves out blanks and tokens, would list a trillion frames; we refuse more than a million
    .filter(lambda text: not re.search(r"\d{6}", re.sub("[ #]", "", text)))
)
_ranges = st.builds(
    lambda first, length, mark, step: f"{first}-{first + length}{mark}{step}" if mark else f"{first}",
    st.integers(-200, 200),
    st.integers(0, 40),
    st.sampled_from(["", "x", "y"]),
    st.integers(1, 7),
)
_typed = st.lists(_ranges, min_size=1, max_size=4).map(", ".join)
_sets = st.sets(st.integers(-300, 300), min_size=1, max_size=60)
_dialects = st.sampled_from(frames.DIALECTS)


def read(text: str, dialect: str = "fileseq") -> list[int]:
    return frames.expand(frames.parse(text, dialect))


class TestFileseq:
    @given(_typed | _anything)
    @example("- 0")
    @example("1- - 5")
    @settings(max_examples=300, deadline=None)
    def test_what_we_read_fileseq_reads_alike(self, text):
        """And what we refuse it refuses too, or reads as one of the few things that we refuse by intention."""
        try:
            ours = read(text)
        except Refused as refused:
            try:
                theirs = list(FrameSet(text))
            except (FileSeqException, ValueError):
                return
            why = refused.message.removeprefix(f"frames: {text!r}: ")
            subframes = any(number != int(number) for number in theirs)
            assert BY_INTENTION.search(why) or subframes or not theirs, (
                f"{text!r} is {theirs} in fileseq; refused: {why}"
            )
        else:
            assert ours == sorted(FrameSet(text))

    @given(_sets)
    def test_it_reads_what_we_write(self, numbers):
        assert sorted(FrameSet(frames.text(frames.segments_of(numbers)))) == sorted(numbers)

    def test_a_blank_between_numbers_joins_them_there(self):
        """The trap behind the refusal: Nuke's list means quite another thing to fileseq."""
        assert list(FrameSet("1-5 7")) == list(range(1, 58))
        with pytest.raises(Refused, match="blank between two numbers"):
            frames.parse("1-5 7")


def openjd(text: str) -> list[int]:
    """OpenJD's `<IntRangeExpr>` by the letter of its 2023-09 specification, 3.4.1.1.1.

    Raises:
        ValueError: not of the grammar, or two ranges overlap.
    """
    sets = []
    for element in text.split(","):
        match = re.fullmatch(r"[ \t]*(-?\d+)(?:[ \t]*-[ \t]*(-?\d+)(?::(-?\d+))?)?[ \t]*", element)
        if match is None:
            raise ValueError(element)
        first, last, skip = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        sets.append(sorted({first, *range(first, last + (1 if skip > 0 else -1), skip)}))
    sets.sort()
    if any(a[-1] >= b[0] for a, b in pairwise(sets)):
        raise ValueError("ranges overlap")
    return [number for each in sets for number in each]


class TestOpenjd:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1 - 5", [1, 2, 3, 4, 5]),
            ("-1 - 1", [-1, 0, 1]),
            ("1-5:2", [1, 3, 5]),
            ("10-15:2,1-5", [1, 2, 3, 4, 5, 10, 12, 14]),
            ("1-10:4", [1, 5, 9]),
            ("10-1:-4", [2, 6, 10]),
            ("1 , 3\t", [1, 3]),
        ],
    )
    def test_the_specifications_own_examples(self, text, expected):
        assert openjd(text) == read(text, "openjd") == expected

    @given(_sets)
    def test_it_reads_what_we_write(self, numbers):
        """Ranges that interleave are refused there, even where they share no frame."""
        assert openjd(frames.text(frames.segments_of(numbers), "openjd")) == sorted(numbers)

    def test_interleaved_ranges_are_written_apart(self):
        with pytest.raises(ValueError, match="overlap"):
            openjd("1-9:2,2-12:4")
        written = frames.text(frames.parse("1-9x2,2-12x4"), "openjd")
        assert openjd(written) == [1, 2, 3, 5, 6, 7, 9, 10]

    def test_a_backward_range_without_a_step_is_nobodys(self):
        """The specification makes it its first frame alone, its library an error; we say so instead."""
        with pytest.raises(Refused, match="runs backwards"):
            frames.parse("5-1", "openjd")


class TestNuke:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3", [3]),
            ("-3", [-3]),
            ("1 3 4 8", [1, 3, 4, 8]),
            ("-3-4", [-3, -2, -1, 0, 1, 2, 3, 4]),
            ("-8--5", [-8, -7, -6, -5]),
            ("1-10x3", [1, 4, 7, 10]),
            ("1-4x1 8-10x1  12-14x1", [1, 2, 3, 4, 8, 9, 10, 12, 13, 14]),
            ("1 -5", [-5, 1]),
            ("5-5 1,2", [1, 2, 5]),
        ],
    )
    def test_its_manuals_examples(self, text, expected):
        """ "Defining Frame Ranges"; commas, because its own panels take them."""
        assert read(text, "nuke") == expected

    def test_a_list_is_written_with_blanks(self):
        assert frames.text(frames.parse("1-9x2,20"), "nuke") == "1-9x2 20"


@given(_sets, _dialects, _dialects)
def test_no_conversion_changes_the_frames(numbers, one, other):
    first = frames.text(frames.segments_of(numbers), one)
    second = frames.text(frames.parse(first, one), other)
    assert read(second, other) == sorted(numbers)
    assert frames.text(frames.parse(second, other), one) == first


@given(_typed, _dialects)
def test_the_canonical_text_does_not_depend_on_how_it_was_written(text, dialect):
    try:
        segments = frames.parse(text)
    except Refused:
        return
    written = frames.text(segments, dialect)
    assert written == frames.text(frames.segments_of(frames.expand(segments)), dialect)
    assert frames.parse(written, dialect) == frames.canonical(segments)


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("1001", "fileseq", [1001]),
        ("1001-1004", "fileseq", [1001, 1002, 1003, 1004]),
        ("1001-1006x2, 1010", "fileseq", [1001, 1003, 1005, 1010]),
        ("1-6y3", "fileseq", [2, 3, 5, 6]),
        ("1 - 4", "fileseq", [1, 2, 3, 4]),
        ("0000000000001-0002", "fileseq", [1, 2]),
        ("-5--3", "fileseq", [-5, -4, -3]),
        ("-2-2x2", "fileseq", [-2, 0, 2]),
        ("9998-10001", "fileseq", [9998, 9999, 10000, 10001]),
        ("1-5x2 8,10", "nuke", [1, 3, 5, 8, 10]),
        ("1001-1007:2", "openjd", [1001, 1003, 1005, 1007]),
        ("32-32", "openjd", [32]),
        ("-5--3", "openjd", [-5, -4, -3]),
        ("1010,1001-1003", "openjd", [1001, 1002, 1003, 1010]),
    ],
)
def test_what_a_text_means(text, dialect, expected):
    assert read(text, dialect) == expected


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
        ("1 - 10", "nuke", "a blank ends an item"),
        ("1010-1001", "fileseq", "runs backwards; write 1001-1010"),
        ("1001-1010x0", "fileseq", "step of 0"),
        ("1001-1010x-1", "fileseq", "step of -1"),
        ("1001-1010:-1", "openjd", "step of -1"),
        ("1010-1001x-1", "fileseq", "step of -1"),
        ("1001-1010,1005", "fileseq", "names frame 1005 twice"),
        ("1001-1010x2,1003-1011x4", "fileseq", "names frame 1003 twice"),
        ("1001-1010y1", "fileseq", "names no frame"),
        ("7-7y2", "fileseq", "names no frame"),
        ("1001.5", "fileseq", "subframe"),
        ("1-2x0.5", "fileseq", "subframe"),
        ("####", "fileseq", "frame token"),
        ("1001-####", "fileseq", "frame token"),
        ("1001,,1003", "fileseq", "empty"),
        ("", "fileseq", "empty"),
        (" ", "nuke", "empty"),
        ("1–10×2", "nuke", "typeset signs; write 1-10x2"),
        ("١-٣", "fileseq", "not a frame or range"),
        ("all", "fileseq", "not a frame or range"),
        ("1-2000000", "fileseq", "more than 1000000"),
        ("1-900000000y450000000", "fileseq", "more than 1000000"),
        ("1-900000,1000001-1200000", "fileseq", "more than 1000000"),
        ("1" * 5000, "fileseq", "more than 9 digits"),
        ("0" * 5000, "fileseq", "more than 9 digits"),
        ("1-3", "deadline", "no dialect"),
    ],
)
def test_refusals_name_field_value_and_reason(text, dialect, why):
    with pytest.raises(Refused, match=why) as caught:
        frames.parse(text, dialect, field="src_frames")
    assert caught.value.reason == "INVALID_INPUT"
    assert caught.value.field in ("src_frames", "frames_dialect")
    assert caught.value.value in (text, dialect)
