"""Is every frame of a plate whole? Each is decoded to its last pixel, and compared with its neighbours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from understudy.core.errors import FrameMissing, UnderstudyError
from understudy.core.frames import Array, Frame
from understudy.core.located import Located, Mask
from understudy.core.pipeline import overlapped
from understudy.core.plate.facts import Facts, differences, facts, files, follows, opened, printable
from understudy.core.plate.find import Plate
from understudy.core.plate.header import Header
from understudy.core.plate.read import read_file
from understudy.core.plate.sequences import names
from understudy.core.plate.template import Template
from understudy.core.plate.timing import Timecode, rate
from understudy.core.plate.views import MONO
from understudy.core.reports import FrameReport, FrameStatus, Report, Started, Warned

LOSSY_PLATE, LEFTOVERS, TWO_PADDINGS = "LOSSY_PLATE", "LEFTOVERS", "TWO_PADDINGS"
_NAMED = 5  # of many files in one message
_AHEAD = 2  # frames decoded at once; each takes its size in memory

# A plain frame's name is followed by this where a writer, a copy or an editor was interrupted.
_BEHIND = r"(?:~|\.(?:tmp|temp|part|partial|filepart|bak|lock)\w*)"


def run(plate: Plate) -> Generator[Report, None, None]:
    """Read every frame wholly; a report per frame, in order: DONE, MISSING, or FAILED with what is wrong.

    Warnings of a frame: values that are not finite; a header unlike the first frame's; a timecode that is not the one
    after the frame before; the picture of the frame before once more. Of the plate: a codec that lost something,
    what writers left behind, one name with two paddings. Memory holds two decoded frames, however many there are.
    """
    yield Started(total=len(plate.frames))
    yield from _beside(plate)
    comparison = _Comparison()
    seen = overlapped(plate.frames, partial(_looked_at, plate), comparison.reports, tuple, ahead=_AHEAD)
    with closing(seen):
        yield from chain.from_iterable(seen)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What was found out about a frame on its own.

    Attributes:
        error: why it cannot be used; nothing else is known then.
        digest: of all pixels of all parts.
        faults: what is odd about its pixels, in words.
        lossy: the codec, if it loses something.
    """

    number: int
    error: UnderstudyError | None = None
    digest: bytes = b""
    faults: tuple[str, ...] = ()
    facts: Facts = field(default_factory=dict)
    timecode: Timecode | None = None
    rate: Fraction | None = None
    lossy: str = ""


def _looked_at(plate: Plate, number: int) -> _Seen:
    """Decode one frame, in all its files and parts, and keep what is to be said of it."""
    paths = files(plate, number)
    if number not in plate.present:
        path = next((p for p in paths.values() if not p.exists()), plate.template.path(number))
        return _Seen(
            number=number, error=FrameMissing(f"{path}: frame {number} is not on disk", frame=number)
        )
    digest = hashlib.blake2b(digest_size=16)
    faults: list[str] = []
    headers: dict[str, Header] = {}
    try:
        for view, path in paths.items():
            headers[view] = opened(path, number)
            frame = read_file(path, number)
            for part in (frame, *frame.others):
                for pixels in _pixels(part):
                    digest.update(pixels)
                where = (view, f"part {printable(part.name)}" if frame.others else "")
                faults += _not_finite(part, " ".join(filter(None, where)))
    except UnderstudyError as error:
        return _Seen(number=number, error=error)
    metadata = next(iter(headers.values())).metadata
    return _Seen(
        number=number,
        digest=digest.digest(),
        faults=tuple(faults),
        facts=facts(headers),
        timecode=Timecode.from_header(metadata),
        rate=rate(metadata),
        lossy=next((part.compression for h in headers.values() for part in (h, *h.others) if part.lossy), ""),
    )


def _pixels(part: Frame) -> Iterator[bytes | memoryview]:
    """All that makes a picture, for a digest."""
    for name, plane in part.planes.items():
        yield f"{name!r} {plane.dtype} {plane.shape}".encode()
        yield np.ascontiguousarray(plane).data


def _not_finite(part: Frame, where: str) -> Iterator[str]:
    """One sentence for the channels with NaN or Inf: how many, and the first in plate coordinates."""
    found = []
    for name, plane in part.planes.items():
        bad = _bad(plane)
        if bad is not None and (at := Located.of(bad, part.data)):
            found.append(f"{printable(name)} ({at.count} of {bad.size} values, {at})")
    if found:
        yield f"{where}{': ' if where else ''}NaN or Inf in {_some(found)}"


def _bad(plane: Array) -> Mask | None:
    """Where a plane is NaN or Inf: where all bits of the exponent are set (IEEE 754); None for whole numbers."""
    bits = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}.get(plane.dtype.name)
    if bits is None:
        return None
    kind, exponent = bits
    return np.asarray(plane.view(kind) & kind(exponent) == exponent)


class _Comparison:
    """Each frame against the first and against the one before; called in the order of frames."""

    def __init__(self) -> None:
        self._first: _Seen | None = None
        self._before: _Seen | None = None
        self._timed: _Seen | None = None
        self._lossy = False

    def reports(self, seen: _Seen) -> tuple[Report, ...]:
        if seen.error is not None:
            gone = isinstance(seen.error, FrameMissing)
            status = FrameStatus.MISSING if gone else FrameStatus.FAILED
            reason, message = seen.error.reason, seen.error.message
            return (FrameReport(frame=seen.number, status=status, reason=reason, message=message),)
        warnings = (*seen.faults, *self._against_first(seen), *self._against_before(seen))
        report = FrameReport(frame=seen.number, status=FrameStatus.DONE, warnings=warnings)
        if seen.lossy and not self._lossy:
            self._lossy = True
            return self._lossy_plate(seen), report
        return (report,)

    def _against_first(self, seen: _Seen) -> Iterator[str]:
        if self._first is None:
            self._first = seen
        yield from map(str, differences(self._first.facts, seen.facts))

    def _against_before(self, seen: _Seen) -> Iterator[str]:
        before, self._before = self._before, seen
        if before is not None and before.digest == seen.digest:
            yield f"the picture is that of frame {before.number}, bit for bit"
        if seen.timecode is None:
            return
        timed, self._timed = self._timed, seen
        if timed is None or timed.timecode is None:
            return
        if not follows(timed.timecode, seen.timecode, seen.number - timed.number, seen.rate):
            yield f"timecode {seen.timecode} does not follow {timed.timecode} of frame {timed.number}"

    @staticmethod
    def _lossy_plate(seen: _Seen) -> Warned:
        return Warned(
            reason=LOSSY_PLATE,
            message=f"frame {seen.number} is compressed with {seen.lossy}, which has altered its pixels; what is made "
            "from it is written lossless. Ask for the original if there is one",
        )


def _beside(plate: Plate) -> Iterator[Warned]:
    """What lies in the plate's folders and belongs to no frame."""
    views = plate.views if plate.template.has_view else (MONO,)
    for template in map(plate.template.of_view, views):
        listed = [name for name in names(template.directory) if template.number(name) is None]
        if others := [name for name in listed if template.padding(name) is not None]:
            yield Warned(
                reason=TWO_PADDINGS,
                message=f"{template}: the same name is there with another padding: {_some(others)}; move one away",
            )
        pattern = _leftover(template)
        if left := [name for name in listed if pattern.fullmatch(name)]:
            yield Warned(
                reason=LEFTOVERS,
                message=f"{template.directory}: an interrupted writer or copy left {_some(left)}; delete them "
                "unless one is at work",
            )


def _leftover(template: Template) -> re.Pattern[str]:
    """Names that frames of the sequence have while they are written or copied."""
    stem, extension = Path(template.suffix).stem, Path(template.suffix).suffix
    if not extension:  # the suffix is `.exr` alone
        stem, extension = "", template.suffix
    frame = rf"{re.escape(template.prefix)}-?[0-9]+{re.escape(stem)}"
    end = re.escape(extension)
    ours = rf"\.{frame}\.[0-9a-f]{{6,}}{end}"
    copied = rf"\.{frame}{end}\.\w{{6,}}"
    behind = rf"\.?{frame}{end}{_BEHIND}"
    return re.compile(rf"{ours}|{copied}|{behind}")


def _some(found: list[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
