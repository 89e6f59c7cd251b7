"""Frames as a person writes them, and as the daemon takes them."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Set, Tuple

from .daemon import refused

_PART = re.compile(r"(-?\d+)(?:-(-?\d+))?")


def parsed(text: str, knob: str) -> List[int]:
    """`1004, 1017, 1030-1032`: the frames, in order, each once.

    Raises:
        Refused: it cannot be read, or there is none.
    """
    frames: Set[int] = set()
    for part in text.replace(",", " ").split():
        match = _PART.fullmatch(part)
        first = int(match.group(1)) if match else 0
        last = int(match.group(2) or first) if match else -1
        if last < first:
            raise refused(knob, "{!r} are no frames; write 1004, 1017, 1030-1032".format(part))
        frames.update(range(first, last + 1))
    if not frames:
        raise refused(knob, "say which frames, such as 1004, 1017, 1030-1032")
    return sorted(frames)


def said(frames: Iterable[int]) -> str:
    """The opposite of `parsed`."""
    parts = ("{}-{}".format(*run) if run[0] != run[1] else str(run[0]) for run in runs(frames))
    return ", ".join(parts)


def runs(frames: Iterable[int]) -> List[Tuple[int, int]]:
    """First and last of frames that follow each other, in order."""
    found: List[Tuple[int, int]] = []
    for frame in sorted(frames):
        if found and found[-1][1] == frame - 1:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found


def segments(frames: Iterable[int]) -> List[Dict[str, int]]:
    """As `understudy.v1.FrameSegment`."""
    return [{"first": first, "last": last} for first, last in runs(frames)]
