"""Frames, windows and frame ranges: what every room of core agrees on.

**Plate coordinates** are the pixel coordinates of the file (EXR's): x to the right, y down, the origin where the
file puts it (usually the display window's top left corner), and the centre of pixel (i, j) at (i + 0.5, j + 0.5).
**Aligned coordinates** are the same inside a crop of S×S pixels: its corners are 0 and S.
Only `warp` knows that OpenCV puts pixel centres on whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.half import widened

Float = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels in plate coordinates; x and y may be negative (overscan)."""

    x: int
    y: int
    width: int
    height: int

    @property
    def x1(self) -> int:
        """One past the last column."""
        return self.x + self.width

    @property
    def y1(self) -> int:
        """One past the last row."""
        return self.y + self.height

    @property
    def size(self) -> str:
        """`4096x2160`."""
        return f"{self.width}x{self.height}"

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    def intersect(self, other: Window) -> Window:
        """The part that both cover; width and height are 0 where they do not meet."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Window(x, y, max(0, min(self.x1, other.x1) - x), max(0, min(self.y1, other.y1) - y))

    def slices(self, data: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that covers `data`, which must contain it."""
        assert data.intersect(self) == self, f"{self} is not inside {data}"
        return (
            slice(self.y - data.y, self.y1 - data.y),
            slice(self.x - data.x, self.x1 - data.x),
        )


@dataclass(frozen=True)
class Segment:
    """Frames first, first + step, … up to last, inclusive, as numbered on the slate."""

    first: int
    last: int
    step: int = 1

    def __post_init__(self) -> None:
        if self.step < 1:
            raise InvalidInput(f"frames: step {self.step} is below 1", field="frames.step", value=self.step)
        if self.last < self.first:
            raise InvalidInput(
                f"frames: {self.first}-{self.last} runs backwards",
                field="frames",
                value=f"{self.first}-{self.last}",
            )

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{self.last}" + (f"x{self.step}" if self.step != 1 else "")


@dataclass(frozen=True)
class FrameRange:
    """Segments in ascending order that share no frame. `str()` is fileseq's canonical grammar."""

    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        numbers = [n for s in self.segments for n in range(s.first, s.last + 1, s.step)]
        object.__setattr__(self, "_numbers", numbers)
        object.__setattr__(self, "_set", frozenset(numbers))
        if len(self._set) != len(numbers):  # type: ignore[attr-defined]
            raise InvalidInput(f"frames: {self} names a frame twice", field="frames", value=str(self))

    @classmethod
    def of(cls, first: int, last: int, step: int = 1) -> FrameRange:
        return cls((Segment(first, last, step),))

    @classmethod
    def from_frames(cls, numbers: Iterable[int]) -> FrameRange:
        """The fewest segments of even steps, built greedily, for any numbers in any order."""
        todo = sorted(set(numbers))
        segments: list[Segment] = []
        at = 0
        while at < len(todo):
            step = todo[at + 1] - todo[at] if at + 1 < len(todo) else 1
            last = at
            while last + 1 < len(todo) and todo[last + 1] - todo[last] == step:
                last += 1
            if last == at + 1 and step > 1:  # two frames far apart read better alone: 1001,1010
                last = at
            segments.append(Segment(todo[at], todo[last], step if last > at else 1))
            at = last + 1
        return cls(tuple(segments))

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._numbers))  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._numbers)  # type: ignore[attr-defined]

    def __contains__(self, number: object) -> bool:
        return number in self._set  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return ",".join(str(segment) for segment in self.segments)

    def gaps(self) -> FrameRange:
        """The whole numbers between first and last that are not in the range."""
        numbers = list(self)
        return FrameRange.from_frames(n for a, b in pairwise(numbers) for n in range(a + 1, b))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a plate as the file stores it.

    Attributes:
        number: the frame number on the slate.
        planes: channel name → (H, W) array over the data window, in the file's order and *stored* type
            (float16, float32, uint32; uint8 or uint16 code values for integer formats). Nothing is converted on
            read, so that what we do not touch goes out bit for bit.
        display: the display window (the format).
        data: the data window: what the arrays cover.
        pixel_aspect: width of a pixel over its height; 2.0 is anamorphic.
        metadata: everything else in the header, under the format's own names (`plate.metadata`).
        maximum: what the code value of 1.0 is for integer planes (1023 for 10 bits); 1.0 for float planes.
        name: of the part, in an OpenEXR of several.
        others: the other parts of the same file, in order; the frame itself is the first. Where the picture of a view
            is, in which part and under which names, only `plate.views` knows.
    """

    number: int
    planes: Mapping[str, Array]
    display: Window
    data: Window
    pixel_aspect: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    maximum: float = 1.0
    name: str = ""
    others: tuple[Frame, ...] = ()

    def rgb(self, window: Window | None = None) -> Float:
        """(H, W, 3) float32 in the plate's colour space, over `window` (default: all of the data window).

        Values may be negative, above 1 or non-finite, as stored.

        Raises:
            InvalidInput: the frame has no R, G and B channel, or one holds whole numbers that stand for themselves.
        """
        lacking = [c for c in "RGB" if c not in self.planes]
        if lacking:
            raise InvalidInput(
                f"frame {self.number}: no channel {lacking[0]}; it has {', '.join(self.planes)}",
                frame=self.number,
                field="channels",
                value=",".join(self.planes),
            )
        if whole := [c for c in "RGB" if self.planes[c].dtype == np.uint32]:
            raise InvalidInput(
                f"frame {self.number}: {', '.join(whole)} of type uint: IDs or counts, not light; "
                "name a plate whose R, G and B are half or float",
                frame=self.number,
                field="channels",
                value=",".join(whole),
            )
        rows, columns = (window or self.data).slices(self.data)
        stored = np.stack([self.planes[c][rows, columns] for c in "RGB"], axis=-1)
        rgb = widened(stored) if stored.dtype == np.float16 else stored.astype(np.float32)
        return rgb if self.maximum == 1.0 else rgb / np.float32(self.maximum)

    def with_planes(self, planes: Mapping[str, Array], **metadata: object) -> Frame:
        """The same frame with these planes, and these header entries added."""
        return replace(self, planes=planes, metadata={**self.metadata, **metadata})
