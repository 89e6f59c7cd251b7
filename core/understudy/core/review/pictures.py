"""Frames as a person sees them: through a display's view, un-squeezed, in the cells of the movie's picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from understudy.core.colour import ColourConfig
from understudy.core.frames import Float, Frame
from understudy.core.image import fill_nonfinite
from understudy.core.plate import Header, Template, Timecode, rate, read
from understudy.core.plate.views import MONO, select
from understudy.core.review.settings import Layout, ReviewSettings

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """How the movie's picture is laid out; the same for all of its frames.

    Attributes:
        cell: size of one picture.
        size: of the whole, even in both ways as codecs want it.
    """

    layout: Layout
    wipe: float
    cell: Size
    size: Size

    @classmethod
    def of(cls, settings: ReviewSettings, header: Header) -> Sheet:
        """By a frame's format: its display window with square pixels, smaller where the movie would be too wide."""
        columns = 2 if settings.layout == "side_by_side" else 1
        width, height = header.display.width * header.pixel_aspect, float(header.display.height)
        scale = min(1.0, settings.width / (columns * width))
        cell = max(1, round(width * scale)), max(1, round(height * scale))
        size = -(-cell[0] * columns // 2) * 2, -(-cell[1] // 2) * 2
        return cls(layout=settings.layout, wipe=settings.wipe, cell=cell, size=size)

    def lay(self, made: Float, plate: Float | None, white: float) -> Float:
        """The movie's picture: (H, W, 3) of one or two cells; `white` is the code of the line between them."""
        picture = np.zeros((self.size[1], self.size[0], 3), np.float32)
        (_, edge), (_, end) = self.parts
        width, height = self.cell
        picture[:height, end - width : end] = made
        if plate is not None:
            picture[:height, :edge] = plate[:, :edge]
        if self.layout == "wipe" and 0 < edge < end:
            picture[:height, edge - 1 : edge + 1] = white
        return picture

    @property
    def parts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Between which columns the plate is seen, and the frame."""
        width = self.cell[0]
        edge = {"single": 0, "side_by_side": width, "wipe": round(self.wipe * width)}[self.layout]
        return (0, edge), (edge, 2 * width if self.layout == "side_by_side" else width)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a frame's file gave: its picture in a cell, and what its header says of time."""

    picture: Float
    timecode: Timecode | None


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """What turns a file into the codes of a display."""

    colour: ColourConfig
    display: str
    display_view: str
    gain: float

    def take(self, template: Template, number: int, *, view: str, space: str, cell: Size) -> Taken:
        """One frame off the disk, as a person sees it; `space` and `cell` as for `shown`.

        Raises:
            FrameMissing, FrameUnreadable: as `plate.read`.
            InvalidInput: it has no R, G and B, or no such view.
        """
        frame = select(read(template.of_view(view), number), MONO if template.has_view else view)
        picture = self.shown(frame, space, cell)
        return Taken(picture=picture, timecode=Timecode.from_header(frame.metadata))

    def shown(self, frame: Frame, space: str, cell: Size) -> Float:
        """(h, w, 3) codes in [0, 1]: the frame's format, black beyond its pixels, in the middle of a cell.

        NaN and Inf are painted over from around them.

        Args:
            frame: one view, of a picture in colour space `space`.
            cell: width and height that it is fitted into; its pixels stay as they are where it fits as it is.
        """
        there = frame.display.intersect(frame.data)
        format_ = np.zeros((frame.display.height, frame.display.width, 3), np.float32)
        if not there.empty:
            finite, _ = fill_nonfinite(frame.rgb(there))
            linear = self.colour.to_working(finite, space) * np.float32(self.gain)
            codes = self.colour.viewed(linear, self.display, self.display_view)
            format_[there.slices(frame.display)] = np.clip(codes, 0.0, 1.0)
        return _fitted(format_, frame.pixel_aspect, cell)


def first_timecode(header: Header, at: Fraction) -> Timecode | None:
    """The timecode of a frame, if it can count pictures at this rate: which is its own, or its header names none."""
    found = Timecode.from_header(header.metadata)
    return found if found and rate(header.metadata) in (None, at) and found.fits(at) else None


def _fitted(picture: Float, pixel_aspect: float, cell: Size) -> Float:
    """A picture in the middle of a black cell, as large as it goes in."""
    height, width = picture.shape[:2]
    if (width, height) == cell and pixel_aspect == 1.0:
        return picture
    scale = min(cell[0] / (width * pixel_aspect), cell[1] / height)
    size = max(1, round(width * pixel_aspect * scale)), max(1, round(height * scale))
    kernel = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    x, y = (cell[0] - size[0]) // 2, (cell[1] - size[1]) // 2
    whole = np.zeros((cell[1], cell[0], 3), np.float32)
    whole[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size, interpolation=kernel)
    return whole
