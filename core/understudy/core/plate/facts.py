"""What a header tells of a frame: facts that should be the same along a plate, and a timecode that should not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from understudy.core.errors import FrameUnreadable
from understudy.core.frames import Window
from understudy.core.plate.find import Plate
from understudy.core.plate.header import Header
from understudy.core.plate.hints import guess_colour_space
from understudy.core.plate.metadata import Typed
from understudy.core.plate.read import read_header
from understudy.core.plate.timing import HIGHEST_TIMECODE_RATE, Timecode, rate
from understudy.core.plate.views import MONO

TYPES = MappingProxyType(
    {np.dtype(np.float16): "half", np.dtype(np.float32): "float", np.dtype(np.uint32): "uint"}
)
"""Channel types as OpenEXR calls them; the others are numpy's names."""

Facts: TypeAlias = Mapping[str, tuple[str, ...]]
_USUAL_RATES = (Fraction(24), Fraction(25), Fraction(30), Fraction(30000, 1001))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A fact of a frame that is not the first one's.

    Attributes:
        what: which fact.
        expected, found: what of it the first frame has and this one has not, and the other way round.
    """

    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.what} is {self.found}, the first frame's is {self.expected}"


def opened(path: Path, number: int) -> Header:
    """The header of a frame that a folder lists.

    Raises:
        FrameUnreadable: it cannot be opened or understood; is a folder, or a link to nothing.
    """
    require_file(path, number)
    try:
        return read_header(path, number)
    except OSError as error:
        raise _unreadable(path, number, f"cannot be read: {error.strerror or error}") from error


def require_file(path: Path, number: int) -> None:
    """Refuse what has a frame's name but is no file that this user may read.

    Raises:
        FrameUnreadable: says what it is.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        linked = path.is_symlink()
        why = f"is a link to {path.readlink()}, which is not there" if linked else "has gone"
    except OSError as error:
        why = f"cannot be opened: {error.strerror}"
    else:
        if stat.S_ISREG(kind) and os.access(path, os.R_OK):
            return
        why = (
            "is a folder" if stat.S_ISDIR(kind) else "is not a file that may be read: look at its permissions"
        )
    raise _unreadable(path, number, why)


def _unreadable(path: Path, number: int, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: frame {number} {why}", path=path, frame=number)


def printable(text: str) -> str:
    """Text of a header, or a file's name, as Unicode: what was not UTF-8 is taken for Latin-1."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def files(plate: Plate, number: int) -> dict[str, Path]:
    """The files of a frame: view → file where each view has its own, else one of `MONO`."""
    views = plate.views if plate.template.has_view else (MONO,)
    return {view: plate.template.of_view(view).path(number) for view in views}


def facts(headers: Mapping[str, Header]) -> Facts:
    """What should be the same on every frame, by what a person calls it, as words that are compared one by one.

    Args:
        headers: of a frame's files, as `files` has them.
    """
    found: dict[str, tuple[str, ...]] = {}
    for view, header in headers.items():
        of_file = f"{view}: " if len(headers) > 1 else ""
        parts = (header, *header.others)
        found[f"{of_file}format"] = (header.format,)
        if len(parts) > 1:
            found[f"{of_file}parts"] = tuple(part.name for part in parts)
        for number, part in enumerate(parts):
            found |= _of_part(part, of_file + (f"part {part.name or number}: " if len(parts) > 1 else ""))
        if header.format == "dpx":
            found[f"{of_file}coding"] = tuple(_coding(header))
        per_second, guess = rate(header.metadata), guess_colour_space(header)
        found[f"{of_file}rate"] = (str(per_second),) if per_second else ()
        found[f"{of_file}timecode"] = ("there",) if Timecode.from_header(header.metadata) else ()
        found[f"{of_file}colour space"] = (guess,) if guess else ()
    return found


def _coding(header: Header) -> Iterator[str]:
    """Of the code values of a DPX."""
    yield f"{int(header.maximum).bit_length()} bits"
    for name in ("Packing", "Endian", "Transfer"):
        if value := header.metadata.get(f"dpx:{name}"):
            yield f"{name.lower()} {value}"


def _of_part(part: Header, prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield f"{prefix}display window", (window_text(part.display),)
    yield f"{prefix}data window", (window_text(part.data),)
    yield f"{prefix}pixel aspect", (f"{part.pixel_aspect:g}",)
    yield f"{prefix}channels", tuple(f"{name} {type_name(kind)}" for name, kind in part.channels.items())
    yield f"{prefix}compression", (part.compression,)
    yield f"{prefix}tiles", ("×".join(map(str, part.tiles)),) if part.tiles else ()
    yield f"{prefix}views", _views(part)


def _views(part: Header) -> tuple[str, ...]:
    view, listed = part.metadata.get("view"), part.metadata.get("multiView")
    named = (view,) if isinstance(view, str) else ()
    return (*named, *map(str, listed.value)) if isinstance(listed, Typed) else named


def differences(first: Facts, other: Facts) -> list[Difference]:
    """In what a frame is not like the first one."""
    return [
        Difference(what=printable(what), expected=_less(a, b), found=_less(b, a))
        for what in {**first, **other}
        if (a := first.get(what, ())) != (b := other.get(what, ()))
    ]


def _less(these: tuple[str, ...], those: tuple[str, ...]) -> str:
    """What is only in the one, or all of it where but the order differs."""
    only = tuple(word for word in these if word not in those)
    return printable(", ".join(only or (these if sorted(these) == sorted(those) else ()))) or "none"


def window_text(window: Window) -> str:
    """`1920×1080`, with `at x, y` where it does not begin at 0, 0."""
    at = f" at {window.x}, {window.y}" if (window.x, window.y) != (0, 0) else ""
    return f"{window.width}×{window.height}{at}"


def type_name(kind: np.dtype[np.generic]) -> str:
    """`half`, `float`, `uint`; `uint8` and `uint16` for codes."""
    return TYPES.get(kind, str(kind))


def follows(before: Timecode, after: Timecode, steps: int, per_second: Fraction | None) -> bool:
    """Whether a timecode is the one so many frames after another.

    Above 30 frames a second timecode counts pairs of frames (SMPTE ST 12-1), or more. Where the rate is not known, or
    the timecode counts at another (drop-frame of 29.97 on a plate of 23.976), any usual one will do.
    """
    rates = [(per_second, max(1, -int(-per_second // HIGHEST_TIMECODE_RATE)))] if per_second else []
    counted = [(each / together, together) for each, together in rates if before.fits(each / together)]
    usual = [(each, 1) for each in _USUAL_RATES if before.fits(each)]
    return any(_follows(before, after, steps, *each) for each in counted or usual)


def _follows(before: Timecode, after: Timecode, steps: int, counted: Fraction, together: int) -> bool:
    """At a rate that timecode counts in, with so many frames to a count."""
    expected = {before.plus(gone, counted) for gone in (steps // together, -(-steps // together))}
    return any((e.hours, e.minutes, e.seconds, e.frames) == _digits(after) for e in expected)


def _digits(timecode: Timecode) -> tuple[int, int, int, int]:
    return timecode.hours, timecode.minutes, timecode.seconds, timecode.frames
