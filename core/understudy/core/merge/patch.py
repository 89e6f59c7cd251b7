"""The plate's pixels around a face, worked out as far as somebody asks.

Most merges ask for a crop alone, which is a sixth as wide: where a matrix is all that lies between the plate's colour
space and the working space, the crop is cut in the former and only the crop is carried over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from understudy.core import warp
from understudy.core._primaries import transformed
from understudy.core.colour import ColourConfig
from understudy.core.face import Alignment
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.located import Located
from understudy.core.merge import layers

_MOST = 1e14  # from here on filters could overflow: `layers.working` sees to it


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Part of a frame. `of` makes it.

    Attributes:
        area: what of the plate may be looked at.
        window: what of that the face may come to cover.
        space: the plate's colour space.
        most: no value of the working space's R, G and B is above; inf: nobody knows.
        nonfinite: by channel, where the area is not finite, and was filled.
    """

    frame: Frame
    area: Window
    window: Window
    space: str
    colour: ColourConfig
    most: float = np.inf
    nonfinite: Mapping[str, Located] = field(default_factory=dict)
    _filled: Float | None = None

    @classmethod
    def of(cls, frame: Frame, area: Window, window: Window, space: str, colour: ColourConfig) -> Patch:
        """The part `window` of a frame, and what is around it.

        Raises:
            InvalidInput: the frame has no R, G and B, or they are UINT, which is no picture.
        """
        frame.rgb(Window(frame.data.x, frame.data.y, 0, 0))  # refuses what is no picture, at no cost
        matrix = colour.matrix(space, colour.working) if frame.maximum == 1.0 else None
        most, found, filled = np.inf, dict[str, Located](), None
        if matrix is not None:
            most = _peak(_planes(frame, area)) * float(np.abs(matrix).sum(axis=1).max())
        if not most < _MOST:
            filled, found = layers.working(frame, area, space, colour)
        return cls(
            frame=frame,
            area=area,
            window=window,
            space=space,
            colour=colour,
            most=most,
            nonfinite=found,
            _filled=filled,
        )

    def crop(self, alignment: Alignment) -> Float:
        """(S, S, 3), scene-linear in the working space, finite.

        Raises:
            InvalidInput: the crop lies outside the area.
        """
        if self._filled is not None:
            return warp.to_aligned(self._filled, self.area, alignment)
        matrix = self.colour.matrix(self.space, self.colour.working)
        assert matrix is not None
        return transformed(warp.to_aligned(_planes(self.frame, self.area), self.area, alignment), matrix)

    @cached_property
    def working(self) -> Float:
        """(h, w, 3) on the window, scene-linear in the working space, finite."""
        if self._filled is not None:
            return self._filled[self.window.slices(self.area)]
        return self.colour.to_working(self.frame.rgb(self.window), self.space)


def _planes(frame: Frame, area: Window) -> list[Array]:
    return [frame.planes[channel][area.slices(frame.data)] for channel in layers.COLOUR]


def _peak(planes: Sequence[Array]) -> float:
    """The largest magnitude of planes half or float; inf where one is not finite."""
    most = max(_half_peak(each) if each.dtype == np.float16 else _single_peak(each) for each in planes)
    return min(np.inf, most)


def _half_peak(plane: Array) -> float:
    """By its bits, as whole numbers: numpy compares halves in software. Those of one sign are in order."""
    positive = max(0, int(plane.view(np.int16).max(initial=0)))
    negative = int(plane.view(np.uint16).max(initial=0)) & 0x7FFF
    largest = max(positive, negative)
    return float(np.array(largest, np.uint16).view(np.float16)) if largest < 0x7C00 else np.inf


def _single_peak(plane: Array) -> float:
    largest = max(float(plane.max(initial=0.0)), -float(plane.min(initial=0.0)))
    return min(np.inf, largest)  # what is no number is not less
