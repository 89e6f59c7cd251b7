"""Frame ranges as people write them ↔ segments as the wire carries them.

The same characters mean different frames in different tools, so the text is read here, once, its dialect
named:

    fileseq   1001-1100x2,1150     `x` every 2nd, `y` all but every 2nd; `:` (stagger) is refused
    nuke      1001-1100x2 1150     `x` every 2nd; blanks separate as commas do
    openjd    1001-1100:2,1150     `:` every 2nd; a negative step counts down; `x` is refused

Refused in all of them, with the reason: ranges that run backwards, a step of 0, frames named twice, subframes,
frame tokens (`#`). Sources: fileseq 3.4; Nuke's "Defining Frame Ranges"; OpenJD's 2023-09 template schemas,
3.4.1.1.1 `<IntRangeExpr>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from understudy.client.errors import Refused
from understudy.v1.common_pb2 import FrameSegment

DIALECTS = ("fileseq", "nuke", "openjd")
LIMIT = 1_000_000  # frames: 11 hours of film. A range beyond it is a typing error, not a shot

_INT = "-?0{0,99}[0-9]{1,9}"
_ITEM = re.compile(
    rf"(?P<first>{_INT})(?:\s*-\s*(?P<last>{_INT})(?:\s*(?P<mark>[xy:])\s*(?P<step>{_INT}))?)?"
)
_MARKS = {"fileseq": "xy", "nuke": "x", "openjd": ":"}
_WHY_NOT = {
    (
        "fileseq",
        ":",
    ): "in fileseq `:` is a stagger (all frames, interleaved), elsewhere a step: write `x` for a "
    "step, or name the dialect openjd",
    ("nuke", ":"): "Nuke has no `:`; write `x` for a step, or name the dialect openjd",
    ("nuke", "y"): "Nuke has no `y`; name the dialect fileseq",
    ("openjd", "x"): "OpenJD has no `x`; write `:` for a step, or name the dialect nuke or fileseq",
    ("openjd", "y"): "OpenJD has no `y`; name the dialect fileseq",
}
_TYPESET = str.maketrans("×X–—−", "xx---")  # what word processors and web pages make of x and -


def parse(text: str, dialect: str = "fileseq", *, field: str = "frames") -> list[FrameSegment]:
    """Read a frame range.

    Args:
        text: the range, e.g. `1001-1100x2,1150`. Frames may be negative: `-5--1`.
        dialect: one of `DIALECTS`.
        field: what to call it in errors.

    Returns:
        Segments in the order written, at least one, none empty, that share no frame.

    Raises:
        Refused: with the item that is wrong and why.
    """
    if dialect not in DIALECTS:
        raise Refused.invalid(
            "frames_dialect", dialect, f"there is no dialect {dialect!r}; there are {', '.join(DIALECTS)}"
        )
    items = re.split(r"\s*,\s*|\s+" if dialect == "nuke" else r"\s*,\s*", text.strip())
    segments = [segment for item in items for segment in _item(item, text, dialect, field)]
    seen: set[int] = set()
    for segment in segments:
        numbers = range(segment.first, segment.last + 1, segment.step)
        if len(seen) + len(numbers) > LIMIT:
            raise _refuse(field, text, f"names more than {LIMIT} frames")
        if not seen.isdisjoint(numbers):
            twice = min(seen.intersection(numbers))
            raise _refuse(field, text, f"names frame {twice} twice")
        seen.update(numbers)
    return segments


def _item(item: str, text: str, dialect: str, field: str) -> Iterator[FrameSegment]:
    """The segments of one item between commas."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _refuse(field, text, _explain(item, dialect))
    first, mark = int(match["first"]), match["mark"]
    last, step = int(match["last"] or first), int(match["step"] or 1)
    if mark and mark not in _MARKS[dialect]:
        raise _refuse(field, text, f"{item!r}: {_WHY_NOT[dialect, mark]}")
    if dialect == "openjd" and step < 0 and last <= first:  # a set, in increasing order, by its specification
        first, last, step = last + (first - last) % -step, first, -step
    if step < 1:
        raise _refuse(field, text, f"{item!r} has a step of {step}; at least 1")
    if last < first:
        raise _refuse(
            field, text, f"{item!r} runs backwards; write {last}-{first}: frames have no order here"
        )
    if (last - first) // (1 if mark == "y" else step) >= LIMIT:
        raise _refuse(field, text, f"{item!r} names more than {LIMIT} frames")
    if mark != "y":
        yield FrameSegment(first=first, last=last - (last - first) % step, step=step)
    elif step == 1 or last == first:
        raise _refuse(
            field,
            text,
            f"{item!r} names no frame: `y` leaves out the first and every frame a step of {step} away from it",
        )
    else:
        yield from segments_of(n for n in range(first, last + 1) if (n - first) % step)


def _explain(item: str, dialect: str) -> str:
    """Why an item is none: the first reason that holds."""
    plain, joined = item.translate(_TYPESET), re.sub(r"-\s+(?=[0-9-])", "-", item)
    reasons = (
        (not item, "an item between commas is empty"),
        (
            re.search(r"[#@%$]", item),
            f"{item!r} has a frame token; tokens belong into the path, here stand numbers, e.g. 1001-1100",
        ),
        (re.search("[0-9]{10}", item), f"{item!r} has a number of more than 9 digits"),
        (re.search(r"[0-9]\.[0-9]", item), f"{item!r} has a subframe; plates have whole frame numbers"),
        (
            dialect == "nuke" and item in ("-", "x"),
            f"{item!r} stands alone; in Nuke a blank ends an item: write 1001-1100x2",
        ),
        (
            re.search(r"[0-9]\s+[0-9]", item),
            f"{item!r} has a blank between two numbers; separate them by a comma, or name the dialect nuke"
            + " (fileseq itself drops blanks, and would read one long number)" * (dialect == "fileseq"),
        ),
        (_ITEM.fullmatch(joined), f"{item!r} has a blank between a minus and its number; write {joined}"),
        (plain != item and _ITEM.fullmatch(plain), f"{item!r} has typeset signs; write {plain}"),
    )
    otherwise = f"{item!r} is not a frame or range; write e.g. 1001-1100, 1001-1100x2 or 1001,1005-1010"
    return next((why for holds, why in reasons if holds), otherwise)


def _refuse(field: str, text: str, why: str) -> Refused:
    return Refused.invalid(field, text, f"{text!r}: {why}")


def segments_of(numbers: Iterable[int]) -> list[FrameSegment]:
    """The segments that hold exactly these frame numbers, given in any order; runs of one step become one."""
    todo, segments, start = sorted(set(numbers)), [], 0
    while start < len(todo):
        step = todo[start + 1] - todo[start] if start + 1 < len(todo) else 1
        end = start
        while end + 1 < len(todo) and todo[end + 1] - todo[end] == step:
            end += 1
        if end == start + 1 and step > 1:  # two frames far apart read better alone: 1001,1010
            step, end = 1, start
        segments.append(FrameSegment(first=todo[start], last=todo[end], step=step))
        start = end + 1
    return segments


def expand(segments: Iterable[FrameSegment]) -> list[int]:
    """All frame numbers, ascending."""
    return sorted(n for s in segments for n in range(s.first, s.last + 1, s.step or 1))


def canonical(segments: Iterable[FrameSegment]) -> list[FrameSegment]:
    """The same frames in the one form that we echo: ascending, and no segment reaches into another.

    OpenJD refuses ranges that interleave (`1-9:2,2-10:2`), even where they share no frame.
    """
    return segments_of(expand(segments))


def text(segments: Sequence[FrameSegment], dialect: str = "fileseq") -> str:
    """The canonical text of segments in a dialect; `parse` reads the same frames again."""
    mark, comma = (":" if dialect == "openjd" else "x"), (" " if dialect == "nuke" else ",")
    return comma.join(
        str(s.first)
        if s.first == s.last
        else f"{s.first}-{s.last}" + (f"{mark}{s.step}" if s.step > 1 else "")
        for s in canonical(segments)
    )
