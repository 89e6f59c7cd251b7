"""Timecode and frame rate, in the header's own terms (SMPTE ST 12-1, as OpenEXR packs it into two words)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from understudy.core.errors import InvalidInput
from understudy.core.plate.metadata import Typed

TIMECODE_KEY = "timeCode"
RATE_KEY = "framesPerSecond"
KEYCODE_KEY = "keyCode"
KEYCODE_KEY = "keyCode"

_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d)")
_NTSC = Fraction(1000, 1001)


HIGHEST_TIMECODE_RATE = Fraction(30)
"""Above it ST 12-1 counts pairs of frames, since the header's two bits for tens of frames end at 39."""

# where the tens of hours, minutes, seconds and frames stand in the word (OpenEXR's TV60 packing), and their
# masks; the units are the four bits below
_DIGITS = ((28, 3), (20, 7), (12, 7), (4, 3))
_DROP = 1 << 6
_DIGIT_BITS = sum(mask << shift | 15 << shift - 4 for shift, mask in _DIGITS)


@dataclass(frozen=True)
class Timecode:
    """An hour, minute, second and frame of the day, with the bits that hosts tend to lose.

    Attributes:
        drop_frame: numbers 00 and 01 are left out each minute but every tenth (29.97 only).
        flags: the bits of the first word that are not digits: colour frame, field phase, binary group flags.
        user: the second word: eight groups of four bits.
    """

    hours: int
    minutes: int
    seconds: int
    frames: int
    drop_frame: bool = False
    flags: int = 0
    user: int = 0

    def __post_init__(self) -> None:
        limits = ((self.hours, 23), (self.minutes, 59), (self.seconds, 59), (self.frames, 39))
        if not all(0 <= part <= highest for part, highest in limits):
            raise InvalidInput(
                f"timecode: {self} is not a time of the day", field="timecode", value=str(self)
            )

    def __str__(self) -> str:
        separator = ";" if self.drop_frame else ":"
        return f"{self.hours:02d}:{self.minutes:02d}:{self.seconds:02d}{separator}{self.frames:02d}"

    @classmethod
    def parse(cls, text: str) -> Timecode:
        """Read `01:02:03:04`; a `;`, `.` or `,` before the frames says drop-frame.

        Raises:
            InvalidInput: it is not of that form, or no time of the day.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InvalidInput(f"timecode: {text!r} is not HH:MM:SS:FF", field="timecode", value=text)
        return cls(int(match[1]), int(match[2]), int(match[3]), int(match[5]), match[4] != ":")

    @classmethod
    def from_count(cls, count: int, rate: Fraction, *, drop_frame: bool = False) -> Timecode:
        """The timecode `count` frames after 00:00:00:00, at `rate` frames a second; days wrap.

        Raises:
            InvalidInput: no timecode counts at this rate.
        """
        base = cls(0, 0, 0, 0, drop_frame)._base(rate)
        if drop_frame:  # put the numbers left out back in: 18 in ten minutes, 2 in each minute but the first
            tens, rest = divmod(count, base * 600 - 18)
            count += 18 * tens + 2 * max(0, (rest - 2) // (base * 60 - 2))
        seconds, frames = divmod(count, base)
        return cls(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, frames, drop_frame)

    def count(self, rate: Fraction) -> int:
        """Frames since 00:00:00:00: the inverse of `from_count`."""
        base = self._base(rate)
        minutes = self.hours * 60 + self.minutes
        skipped = 2 * (minutes - minutes // 10) if self.drop_frame else 0
        return (minutes * 60 + self.seconds) * base + self.frames - skipped

    def fits(self, rate: Fraction) -> bool:
        """Can this timecode be one at so many frames a second?"""
        whole = round(rate) >= 1 and rate <= HIGHEST_TIMECODE_RATE and self.frames < round(rate)
        return whole and (not self.drop_frame or rate == 30 * _NTSC)

    def _base(self, rate: Fraction) -> int:
        if not self.fits(rate):
            raise InvalidInput(
                f"timecode: {self} does not go with {rate} frames a second (at most 30; drop-frame: 30000/1001)",
                field="timecode",
                value=str(self),
            )
        return round(rate)

    def plus(self, frames: int, rate: Fraction) -> Timecode:
        """The timecode so many frames later; flags and user bits stay."""
        later = self.from_count(self.count(rate) + frames, rate, drop_frame=self.drop_frame)
        return replace(later, flags=self.flags, user=self.user)

    @classmethod
    def from_header(cls, metadata: Mapping[str, Any]) -> Timecode | None:
        """A frame's timecode; None if it has none or one whose digits are no time."""
        entry = metadata.get(TIMECODE_KEY)
        if not isinstance(entry, Typed) or entry.type != "timecode" or isinstance(entry.value, bytes):
            return None
        time, user = (int(word) & 0xFFFFFFFF for word in entry.value)
        h, m, s, f = (10 * (time >> at & tens) + (time >> at - 4 & 15) for at, tens in _DIGITS)
        try:
            return cls(h, m, s, f, bool(time & _DROP), time & ~_DIGIT_BITS & ~_DROP & 0xFFFFFFFF, user)
        except InvalidInput:
            return None

    @property
    def entry(self) -> Typed:
        """What goes into `Frame.metadata` under `TIMECODE_KEY`."""
        word = self.flags | (_DROP if self.drop_frame else 0)
        for (shift, _), number in zip(
            _DIGITS, (self.hours, self.minutes, self.seconds, self.frames), strict=True
        ):
            word |= number // 10 << shift | number % 10 << shift - 4
        return Typed("timecode", (word, self.user))


def rate(metadata: Mapping[str, Any]) -> Fraction | None:
    """Frames a second: exact from OpenEXR; from DPX, which has a float, the nearest usual rate."""
    entry = metadata.get(RATE_KEY)
    if isinstance(entry, Typed) and entry.type == "rational" and not isinstance(entry.value, bytes):
        frames, seconds = map(int, entry.value)
        return Fraction(frames, seconds) if frames > 0 and seconds > 0 else None
    for key in ("dpx:FrameRate", "dpx:TemporalFrameRate", "dpx/FrameRate", "dpx/TemporalFrameRate", RATE_KEY):
        value = metadata.get(key)
        if isinstance(value, float) and 0.01 <= value < 1000:  # beyond lies what was never set
            return _usual(value)
    return None


def rate_entry(value: Fraction) -> Typed:
    """What goes into `Frame.metadata` under `RATE_KEY`."""
    return Typed("rational", (value.numerator, value.denominator))


def _usual(value: float) -> Fraction:
    """23.976 is 24000/1001: the whole or NTSC rate within 0.002 of a float, or else the float itself."""
    usual = (Fraction(round(value)), round(value / float(_NTSC)) * _NTSC)
    nearest = min(usual, key=lambda known: abs(known - Fraction(value)))
    return (
        nearest
        if abs(nearest - Fraction(value)) < Fraction(1, 500)
        else Fraction(value).limit_denominator(1001)
    )
