"""The map of a faceset's poses, as a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core import drawing
from understudy.core.drawing import Colour
from understudy.core.frames import Array

_SIDE = 58  # pixels of a cell
_LEFT, _RIGHT, _TOP = 150, 60, 132
_AXIS = 92  # below the cells: degrees and words
_LINE = 24  # between lines of text
_LISTED = 5  # gaps that are written out

_EMPTY: Colour = (38, 39, 42)
_GRID: Colour = (56, 57, 61)
_ZERO: Colour = (110, 112, 118)
_OUTLINE: Colour = (255, 255, 255)
_GAP: Colour = (122, 32, 40)
_STRIPES: Colour = (164, 52, 58)
_GAP_INK: Colour = (255, 138, 128)
_DARK: Colour = (16, 18, 20)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn; cells are as in `coverage.Coverage`.

    Attributes:
        counts, needed, lacking: (rows, columns), the first row lowest.
        cell: degrees.
        name, faces: of the faceset, and how many it has.
        against, frames: of the performance; empty and 0 without one.
        gaps: in words, the most needed first.
    """

    counts: Array
    needed: Array
    lacking: Array
    cell: int
    name: str
    faces: int
    against: str
    frames: int
    gaps: tuple[str, ...]


def draw(chart: Chart) -> Array:
    """(H, W, 3) uint8 sRGB."""
    rows, columns = chart.counts.shape
    lines = min(len(chart.gaps), _LISTED) + (len(chart.gaps) > _LISTED) or 1
    width = _LEFT + columns * _SIDE + _RIGHT
    height = _TOP + rows * _SIDE + _AXIS + 66 + lines * _LINE + 40
    sheet = drawing.paper(width, height)
    _head(sheet, chart)
    _cells(sheet, chart)
    _axes(sheet, chart)
    _outline(sheet, chart)
    below = _TOP + rows * _SIDE + _AXIS
    _legend(sheet, chart, below)
    _words(sheet, chart, below + 66)
    return sheet


def _head(sheet: Array, chart: Chart) -> None:
    drawing.write_text(sheet, f"Poses of {chart.name}", (_LEFT, 50), height=19, bold=True)
    said = f"{chart.faces} face{'s' if chart.faces != 1 else ''}"
    if chart.against:
        lacking = int(chart.lacking.sum())
        without = (
            f"{lacking} of them without a face in like pose" if lacking else "each with a face in like pose"
        )
        frames = f"{chart.frames} frame{'s' if chart.frames != 1 else ''}"
        said += f", against {chart.against}: {frames}, {without}"
    drawing.write_text(sheet, said, (_LEFT, 82), height=12, ink=drawing.FAINT)


def _cells(sheet: Array, chart: Chart) -> None:
    most = max(1, int(chart.counts.max()))
    for row, column in np.ndindex(*chart.counts.shape):
        x, y = _corner(chart, row, column)
        count, lacking = int(chart.counts[row, column]), int(chart.lacking[row, column])
        paint = _shade(count, most) if count else _GAP if lacking else _EMPTY
        cv2.rectangle(sheet, (x, y), (x + _SIDE - 1, y + _SIDE - 1), paint, -1)
        if lacking:
            _hatch(sheet[y : y + _SIDE, x : x + _SIDE], _GAP_INK if count else _STRIPES)
        cv2.rectangle(sheet, (x, y), (x + _SIDE, y + _SIDE), _GRID, 1)
        middle = x + _SIDE / 2
        if count:
            ink = _DARK if sum(paint) > 330 else drawing.INK
            drawing.write_text(
                sheet, str(count), (middle, y + _SIDE / 2 + 5), height=10.5, ink=ink, align=0.5
            )
        elif lacking and chart.against:
            drawing.write_text(
                sheet, str(lacking), (middle, y + _SIDE / 2 + 5), height=10.5, align=0.5, bold=True
            )


def _hatch(cell: Array, ink: Colour) -> None:
    """Stripes, so that a gap is seen without its colour."""
    for start in range(-_SIDE, _SIDE, 9):
        cv2.line(cell, (start, _SIDE), (start + _SIDE, 0), ink, 1, cv2.LINE_AA)


def _outline(sheet: Array, chart: Chart) -> None:
    """A line around the cells that are needed."""
    needed = np.pad(chart.needed > 0, 1)
    for row, column in np.argwhere(needed[1:-1, 1:-1]):
        x, y = _corner(chart, row, column)
        right, bottom = x + _SIDE, y + _SIDE
        sides = {
            (0, -1): ((x, y), (x, bottom)),
            (0, 1): ((right, y), (right, bottom)),
            (1, 0): ((x, y), (right, y)),
            (-1, 0): ((x, bottom), (right, bottom)),
        }
        for (up, across), (start, end) in sides.items():
            if not needed[row + 1 + up, column + 1 + across]:
                cv2.line(sheet, start, end, _OUTLINE, 2, cv2.LINE_AA)


def _axes(sheet: Array, chart: Chart) -> None:
    rows, columns = chart.counts.shape
    right, bottom = _LEFT + columns * _SIDE, _TOP + rows * _SIDE
    middle_x, middle_y = (_LEFT + right) // 2, (_TOP + bottom) // 2
    cv2.line(sheet, (middle_x, _TOP), (middle_x, bottom), _ZERO, 1)
    cv2.line(sheet, (_LEFT, middle_y), (right, middle_y), _ZERO, 1)
    for i in range(columns + 1):
        degrees = abs(i - columns // 2) * chart.cell
        drawing.write_text(
            sheet,
            f"{degrees}°",
            (_LEFT + i * _SIDE + 2, bottom + 24),
            height=9.5,
            ink=drawing.FAINT,
            align=0.5,
        )
    for i in range(rows + 1):
        degrees = abs(i - rows // 2) * chart.cell
        drawing.write_text(
            sheet, f"{degrees}°", (_LEFT - 12, _TOP + i * _SIDE + 5), height=9.5, ink=drawing.FAINT, align=1.0
        )
    words = bottom + 54
    drawing.write_text(sheet, "looks left", (_LEFT + 26, words), height=12)
    drawing.write_text(sheet, "ahead", (middle_x, words), height=12, align=0.5)
    drawing.write_text(sheet, "looks right", (right - 26, words), height=12, align=1.0)
    _arrow(sheet, (_LEFT + 16, words - 6), (_LEFT, words - 6))
    _arrow(sheet, (right - 16, words - 6), (right, words - 6))
    drawing.write_text(sheet, "looks up", (30, _TOP + 34), height=12)
    drawing.write_text(sheet, "ahead", (30, middle_y + 5), height=12)
    drawing.write_text(sheet, "looks down", (30, bottom - 22), height=12)
    _arrow(sheet, (36, _TOP + 18), (36, _TOP + 2))
    _arrow(sheet, (36, bottom - 14), (36, bottom + 2))


def _arrow(sheet: Array, start: tuple[int, int], end: tuple[int, int]) -> None:
    cv2.arrowedLine(sheet, start, end, drawing.INK, 1, cv2.LINE_AA, tipLength=0.45)


def _legend(sheet: Array, chart: Chart, y: int) -> None:
    most, x = max(1, int(chart.counts.max())), _LEFT
    drawing.write_text(sheet, "faces", (x, y + 15), height=11)
    x += drawing.extent("faces", 11) + 14
    for i in range(180):
        count = most ** (i / 179)
        cv2.line(sheet, (x + i, y), (x + i, y + 18), _shade(count, most), 1)
    drawing.write_text(sheet, "1", (x, y + 36), height=9.5, ink=drawing.FAINT, align=0.5)
    drawing.write_text(sheet, str(most), (x + 180, y + 36), height=9.5, ink=drawing.FAINT, align=0.5)
    x += 180 + 44
    cv2.rectangle(sheet, (x, y), (x + 18, y + 18), _OUTLINE, 2, cv2.LINE_AA)
    text = "where the performance is" if chart.against else "where heads in films mostly are"
    drawing.write_text(sheet, text, (x + 30, y + 15), height=11)
    x += 30 + drawing.extent(text, 11) + 40
    swatch = sheet[y : y + 19, x : x + 19]
    swatch[:] = _GAP
    _hatch(swatch, _STRIPES)
    text = "gap, and the frames that need it" if chart.against else "gap"
    drawing.write_text(sheet, text, (x + 30, y + 15), height=11)


def _words(sheet: Array, chart: Chart, y: int) -> None:
    if not chart.gaps:
        drawing.write_text(sheet, "No gap.", (_LEFT, y + 15), height=12)
    for i, gap in enumerate(chart.gaps[:_LISTED]):
        text = gap[0].upper() + gap[1:] + "."
        drawing.write_text(sheet, text, (_LEFT, y + 15 + i * _LINE), height=12, ink=_GAP_INK)
    if len(chart.gaps) > _LISTED:
        more = f"And {len(chart.gaps) - _LISTED} more; all are in the JSON beside this picture."
        drawing.write_text(sheet, more, (_LEFT, y + 15 + _LISTED * _LINE), height=12, ink=drawing.FAINT)


def _corner(chart: Chart, row: int, column: int) -> tuple[int, int]:
    """Top left pixel of a cell."""
    return _LEFT + int(column) * _SIDE, _TOP + (chart.counts.shape[0] - 1 - int(row)) * _SIDE


def _shade(count: float, most: int) -> Colour:
    """Of a count, by its logarithm: from dark blue over green to yellow."""
    share = math.log1p(count) / math.log1p(most)
    level = np.array([[round(60 + 195 * share)]], np.uint8)
    blue, green, red = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)[0, 0].tolist()
    return red, green, blue
