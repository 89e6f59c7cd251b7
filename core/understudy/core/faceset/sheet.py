"""A contact sheet of a faceset: many faces at a glance, for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from understudy.core import drawing
from understudy.core.colour import ColourConfig
from understudy.core.drawing import Colour
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset import order
from understudy.core.faceset.keys import KEYS
from understudy.core.faceset.query import Query, find
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

UNSURE = 0.8
"""Confidence below which a face is marked."""

CELL = 128
"""Side of a face's picture in pixels, where nobody says."""

_CELLS, _PIXELS = (32, 512), 2**27  # sides of a cell, and the most that a sheet may have
_NARROWEST, _ACROSS = 512, 2400  # pixels: the head fits, and so does the sheet on a screen
_GAP, _CAPTION, _HEAD = 8, 40, 116
_SMALL, _SMALLEST = 9.5, 7.0  # height of a caption's capitals
_MARKS: dict[str, tuple[Colour, str]] = {
    "unsure": ((240, 180, 40), f"confidence below {UNSURE:g}"),
    "manual": ((90, 170, 255), "given by hand"),
    "broken": ((230, 70, 70), "cannot be read"),
}
_STEP = 16  # faces between two reports


@dataclass(frozen=True, kw_only=True)
class SheetSettings:
    """What to draw.

    Attributes:
        faceset: a folder or a pack.
        out: the PNG.
        query: which faces, in which order.
        count: at most so many, evenly spread over those that the query finds.
        cell: side of a face's picture in pixels, 32 to 512.
    """

    faceset: Path
    out: Path
    query: Query = field(default_factory=Query)
    count: int = 200
    cell: int = CELL

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise InvalidInput(f"out: {self.out} does not end in .png", field="out", value=self.out)
        check_cell(self.cell)
        most = _PIXELS // (self.cell + _GAP) // (self.cell + _CAPTION)
        if not 1 <= self.count <= most:
            raise InvalidInput(
                f"count: {self.count} is not 1 to {most}, which is what a sheet of cells of {self.cell} px holds",
                field="count",
                value=self.count,
            )


def check_cell(cell: int) -> None:
    """Raise InvalidInput of the field `cell`, pixels, where no face is drawn that small or large."""
    low, high = _CELLS
    if not low <= cell <= high:
        raise InvalidInput(f"cell: {cell} is not {low} to {high}", field="cell", value=cell)


@dataclass(frozen=True)
class _Grid:
    """Where cells are."""

    cell: int
    columns: int
    rows: int

    @classmethod
    def of(cls, count: int, cell: int) -> _Grid:
        across = max(1, (_ACROSS - _GAP) // (cell + _GAP))
        columns = min(count, across, max(4, math.ceil(math.sqrt(count * 1.6))))
        return cls(cell, columns, math.ceil(count / columns))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = _GAP + self.columns * (self.cell + _GAP)
        return max(width, _NARROWEST), _HEAD + self.rows * (self.cell + _CAPTION) + _GAP

    def corner(self, place: int) -> tuple[int, int]:
        row, column = divmod(place, self.columns)
        return _GAP + column * (self.cell + _GAP), _HEAD + row * (self.cell + _CAPTION)


def run(settings: SheetSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Draw the faces; only the sheet itself is held in memory.

    Raises:
        NotFound: there is no such faceset, or the query finds no face of it.
        InvalidInput, NotMeasured: as `query.find`.
        WriteFailed, DiskFull.
    """
    faceset = Faceset.open(settings.faceset)
    found = find(faceset, settings.query)
    if not len(found):
        raise NotFound(f"query: it finds no face of {settings.faceset}", path=settings.faceset, field="query")
    keyed = _keys(faceset, settings.query, len(found))
    picks = np.unique(np.linspace(0, len(found) - 1, min(settings.count, len(found))).round().astype(int))
    yield Started(total=len(picks), unit="face")
    grid = _Grid.of(len(picks), settings.cell)
    sheet = drawing.paper(*grid.size)
    _head(sheet, settings, len(picks), len(found))
    chosen = found[picks]
    see = partial(seen, faceset, colour, settings.cell)
    for place, (picture, trouble) in enumerate(
        overlapped(map(int, chosen), see, _same, _same, ahead=cores())
    ):
        if trouble:
            yield Warned(reason="FRAME_UNREADABLE", message=trouble)
        value = "" if keyed is None else _value(settings.query.order, keyed[picks[place]])
        _place(sheet, grid, place, picture, _caption(faceset, int(chosen[place]), value, bool(trouble)))
        if (place + 1) % _STEP == 0 or place + 1 == len(picks):
            yield Advanced(done=place + 1)
    drawing.save(sheet, settings.out)
    yield Artifact(kind="faceset_sheet", path=settings.out)


def _keys(faceset: Faceset, query: Query, count: int) -> Array | None:
    """(M,) what the sheet is sorted by; ranks are places in it, and likeness to others is within all that fit."""
    if not query.order:
        return None
    if KEYS[query.order].unit == "rank":
        return np.arange(count)
    fitting = find(faceset, replace(query, limit=0))
    return order.values(faceset.subset(fitting), query.order)[:count]


@dataclass(frozen=True)
class _Caption:
    lines: tuple[
        tuple[str, ...], tuple[str, ...]
    ]  # of each what is written, or where it does not fit, what instead
    mark: str  # of _MARKS, or empty


def seen(faceset: Faceset, colour: ColourConfig, cell: int, index: int) -> tuple[Array, str]:
    """(cell, cell, 3) uint8 of a face, the viewing proxy, or an empty cell and why it cannot be read."""
    record = faceset.records[index]
    try:
        rgb = faceset.load(record)
    except (FrameMissing, FrameUnreadable) as error:
        return drawing.paper(cell, cell), error.message
    return drawing.fit(drawing.shown(rgb, record.gain, colour), cell), ""


def _same(item: tuple[Array, str]) -> tuple[Array, str]:
    return item


def _caption(faceset: Faceset, index: int, value: str, broken: bool) -> _Caption:
    columns = faceset.columns
    origin = str(columns.origin[index])
    mark = "unsure" if columns.score[index] < UNSURE else ""
    mark = "manual" if origin in ("manual", "interpolated") else mark
    view = f" {columns.view[index]}" if columns.view[index] else ""
    said = value or f"{columns.score[index]:.2f}"
    track = f"track {columns.track[index]}{view}"
    return _Caption(((str(columns.frame[index]),), (f"{track}, {said}", said)), "broken" if broken else mark)


def _value(key: str, value: float) -> str:
    if not math.isfinite(value):
        return "-"
    unit = KEYS[key].unit
    if unit == "rank":
        return f"{round(value) + 1}."
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.2e}"
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}".strip()


def _head(sheet: Array, settings: SheetSettings, shown: int, found: int) -> None:
    name, key = settings.faceset.stem, settings.query.order
    drawing.write_text(sheet, name, (_GAP, 36), height=17, bold=True)
    said = f"{found} faces" if found != 1 else "1 face"
    said += f", {shown} of them shown" if shown < found else ""
    if key:
        said += f", by {key}" + (", reversed" if settings.query.reverse else "")
    drawing.write_text(sheet, said, (_GAP, 66), height=11, ink=drawing.FAINT)
    x = _GAP
    for ink, text in _MARKS.values():
        cv2.rectangle(sheet, (x, 83), (x + 11, 94), ink, -1)
        drawing.write_text(sheet, text, (x + 18, 94), height=11, ink=drawing.FAINT)
        x += 18 + drawing.extent(text, 11) + 26


def _place(sheet: Array, grid: _Grid, place: int, picture: Array, caption: _Caption) -> None:
    x, y = grid.corner(place)
    sheet[y : y + grid.cell, x : x + grid.cell] = picture
    if caption.mark:
        ink, _ = _MARKS[caption.mark]
        cv2.rectangle(sheet, (x, y), (x + grid.cell - 1, y + grid.cell - 1), ink, 3)
    for line, texts in enumerate(caption.lines):
        text, height = _fitting(texts, grid.cell)
        ink = drawing.FAINT if line else drawing.INK
        drawing.write_text(sheet, text, (x, y + grid.cell + 14 + 15 * line), height=height, ink=ink)


def _fitting(texts: tuple[str, ...], width: int) -> tuple[str, float]:
    """The first of the texts that can be read in so many pixels, and the height for it; nothing where none can."""
    for text in texts:
        if text and drawing.extent(text, _SMALLEST) <= width:
            return text, min(_SMALL, _SMALL * (width - 1) / drawing.extent(text, _SMALL))
    return "", _SMALL
