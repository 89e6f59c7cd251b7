"""Faces with their labels and mattes, for a person: three pictures of each, and in words how sure and how right.

    the face, with the edges of label and matte     what a merge would take away, veiled     the matte

Where a face has both, the matte is coloured where it differs from the label. Imports torch only to look at faces with
a segmenter: the server reads the settings to refuse at submit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core import drawing
from understudy.core.colour import ColourConfig
from understudy.core.drawing import Colour
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset, beside
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.faceset.query import Query, find
from understudy.core.frames import Array, Float
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned
from understudy.core.segment import judge

if TYPE_CHECKING:
    from understudy.core.segment.network import Segmenter

Float64 = npt.NDArray[np.float64]

UNSURE = 0.9
"""Confidence below which a face is marked."""

_CELLS, _PIXELS = (64, 512), 2**27  # sides of a cell, and the most that a sheet may have
_ACROSS = 2400  # pixels: the sheet on a screen
_NARROWEST = 720  # the head fits
_GAP, _BETWEEN, _CAPTION, _HEAD = 14, 2, 44, 120
_SHOWN = 3  # pictures of a face
_FINER, _SHIFT = 4, 4  # times that a matte is enlarged for its edge; bits of a pixel's fraction
_STEP = 8  # faces between two reports

_LABEL: Colour = (70, 230, 110)
_MATTE: Colour = (255, 150, 40)
_MORE: Colour = (255, 80, 80)
_LESS: Colour = (80, 150, 255)
_VEIL: Colour = (150, 20, 30)
_MARK: Colour = (240, 180, 40)
_BEHIND = 0.4  # of the picture's light that is left behind the veil
_LEGEND: tuple[tuple[Colour, str], ...] = (
    (_LABEL, "label"),
    (_MATTE, "matte"),
    (_VEIL, "not face"),
    (_MORE, "matte beyond the label"),
    (_LESS, "matte short of it"),
    (_MARK, f"confidence below {UNSURE:.0%}"),
)


@dataclass(frozen=True, kw_only=True)
class PreviewSettings:
    """What to draw.

    Attributes:
        faceset: a folder or a pack.
        out: the PNG.
        segmenter: folder of a segmenter, whose mattes are drawn instead of those that are there; they are not written.
        query: which faces, in which order.
        count: at most so many, evenly spread over those that the query finds.
        cell: side of a picture in pixels, 64 to 512; a face has three.
        device: where the segmenter works: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InvalidInput: names the field and the value.
    """

    faceset: Path
    out: Path
    segmenter: Path | None = None
    query: Query = field(default_factory=Query)
    count: int = 24
    cell: int = 192
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise InvalidInput(f"out: {self.out} does not end in .png", field="out", value=self.out)
        low, high = _CELLS
        if not low <= self.cell <= high:
            raise InvalidInput(f"cell: {self.cell} is not {low} to {high}", field="cell", value=self.cell)
        most = _PIXELS // (_width(self.cell) + _GAP) // (self.cell + _CAPTION)
        if not 1 <= self.count <= most:
            raise InvalidInput(
                f"count: {self.count} is not 1 to {most}, which is what a sheet of cells of {self.cell} px holds",
                field="count",
                value=self.count,
            )


def run(settings: PreviewSettings, *, colour: ColourConfig) -> Generator[Report, None, None]:
    """Draw the faces; only the sheet itself is held in memory.

    A face, label or matte that cannot be read is warned of, and left out of the picture.

    Raises:
        NotFound: there is no such faceset, or the query finds no face of it; or as `network.load`.
        InvalidInput, NotMeasured: as `query.find`.
        ModelInvalid, InvalidInput: as `network.load`.
        WriteFailed, DiskFull.
    """
    faces = Faceset.open(settings.faceset)
    found = find(faces, settings.query)
    if not len(found):
        raise NotFound(f"query: it finds no face of {settings.faceset}", path=settings.faceset, field="query")
    picks = np.unique(np.linspace(0, len(found) - 1, min(settings.count, len(found))).round().astype(int))
    yield Started(total=len(picks), unit="face")
    grid = _Grid.of(len(picks), settings.cell)
    sheet = drawing.paper(*grid.size)
    _head(sheet, settings, len(picks), len(found))
    look = _Look(settings, faces, colour)
    with look.computing() as compute:
        chosen = map(int, found[picks])
        tiles = overlapped(chosen, look.read, compute, look.draw, ahead=max(2, cores() // 2))
        with closing(tiles):
            for place, (tile, troubles) in enumerate(tiles):
                yield from (Warned(reason="FRAME_UNREADABLE", message=trouble) for trouble in troubles)
                grid.paste(sheet, place, tile)
                if (place + 1) % _STEP == 0 or place + 1 == len(picks):
                    yield Advanced(done=place + 1)
    drawing.save(sheet, settings.out)
    yield Artifact(kind="segmentation", path=settings.out)


def _width(cell: int) -> int:
    return _SHOWN * cell + (_SHOWN - 1) * _BETWEEN


@dataclass(frozen=True)
class _Grid:
    """Where the tiles of faces are, each three cells and a caption."""

    cell: int
    columns: int
    rows: int

    @classmethod
    def of(cls, count: int, cell: int) -> _Grid:
        across = max(1, (_ACROSS - _GAP) // (_width(cell) + _GAP))
        columns = min(count, across, math.ceil(math.sqrt(count)))
        return cls(cell, columns, math.ceil(count / columns))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = _GAP + self.columns * (_width(self.cell) + _GAP)
        return max(width, _NARROWEST), _HEAD + self.rows * (self.cell + _CAPTION) + _GAP

    def corner(self, place: int) -> tuple[int, int]:
        row, column = divmod(place, self.columns)
        return _GAP + column * (_width(self.cell) + _GAP), _HEAD + row * (self.cell + _CAPTION)

    def paste(self, sheet: Array, place: int, tile: Array) -> None:
        x, y = self.corner(place)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A face between the stages; everything at the size of a cell.

    Attributes:
        picture: (C, C, 3) uint8 sRGB; None where it cannot be read.
        label, matte: (C, C) float32; None where there is none.
        confidence: in the matte.
        crop: (R, R, 3) what the segmenter is to see.
        troubles: sentences for a person.
    """

    record: FaceRecord
    picture: Array | None = None
    label: Float | None = None
    matte: Float | None = None
    confidence: float | None = None
    crop: Float | None = None
    troubles: tuple[str, ...] = ()


class _Look:
    """The stages of a face; `read` and `draw` run in threads."""

    def __init__(self, settings: PreviewSettings, faces: Faceset, colour: ColourConfig) -> None:
        self._faces, self._colour, self._cell = faces, colour, settings.cell
        self._labels, self._mattes = Labels(faces), Mattes(faces)
        self._segmenter: Segmenter | None = None
        if settings.segmenter is not None:
            from understudy.core.segment import network

            self._segmenter = network.load(settings.segmenter, settings.device)
            network.check_colour(self._segmenter, settings.segmenter, faces)

    @contextmanager
    def computing(self) -> Iterator[Callable[[_Seen], _Seen]]:
        """The stage between the two."""
        if self._segmenter is None:
            yield _same
            return
        from understudy.core.segment import network

        with network.computing(self._segmenter) as mattes:
            yield partial(self._compute, mattes)

    def read(self, index: int) -> _Seen:
        """First stage: a face, and what is known of it."""
        record = self._faces.records[index]
        try:
            rgb = self._faces.load(record)
        except (FrameMissing, FrameUnreadable) as error:
            return _Seen(record=record, troubles=(error.message,))
        seen = _Seen(
            record=record,
            picture=drawing.fit(drawing.shown(rgb, record.gain, self._colour), self._cell),
            crop=self._segmenter.crop(rgb, record) if self._segmenter else None,
        )
        try:
            seen = replace(seen, label=self._labels.matte(record, self._cell))
        except (FrameUnreadable, InvalidInput) as error:  # InvalidInput: a face with two labels
            seen = replace(seen, troubles=(error.message,))
        return seen if self._segmenter else self._with_matte(seen)

    def _with_matte(self, seen: _Seen) -> _Seen:
        """With the matte that lies beside the face."""
        try:
            found = self._mattes.read(seen.record)
        except FrameUnreadable as error:
            return replace(seen, troubles=(*seen.troubles, error.message))
        if found is None:
            return seen
        matte = beside.moved(found.matte, found.alignment, self._alignment(seen.record))
        return replace(seen, matte=matte, confidence=found.confidence)

    def _compute(self, mattes: Callable[[Float], tuple[Float, Float64]], seen: _Seen) -> _Seen:
        """With what the segmenter makes of it."""
        if self._segmenter is None or seen.crop is None:
            return seen
        found, sure = mattes(seen.crop[None])
        theirs = self._segmenter.alignment(seen.record)
        matte = beside.moved(found[0], theirs, self._alignment(seen.record))
        return replace(seen, matte=matte, confidence=float(sure[0]), crop=None)

    def _alignment(self, record: FaceRecord) -> Alignment:
        """The face's own crop, as large as a cell."""
        return beside.scaled(record.alignment, self._cell)

    def draw(self, seen: _Seen) -> tuple[Array, tuple[str, ...]]:
        """Last stage: the tile, and what went wrong."""
        return _tile(seen, self._cell), seen.troubles


def _tile(seen: _Seen, cell: int) -> Array:
    """(C + caption, 3 C + …, 3) uint8: the pictures of a face, and what is said of it."""
    tile = drawing.paper(_width(cell), cell + _CAPTION)
    pictures = _pictures(seen)
    for place, picture in enumerate(pictures):
        x = place * (cell + _BETWEEN)
        tile[:cell, x : x + cell] = picture
    doubtful = seen.confidence is not None and seen.confidence < UNSURE
    if doubtful or seen.picture is None:
        edge = _MARK if doubtful else _MORE
        cv2.rectangle(tile, (0, 0), (_width(cell) - 1, cell - 1), edge, 2)
    if len(pictures) == 1:
        middle = (cell + _BETWEEN + (2 * cell + _BETWEEN) / 2, cell / 2)
        drawing.write_text(tile, "no label, no matte", middle, height=9.5, ink=drawing.FAINT, align=0.5)
    _caption(tile, seen, cell)
    return tile


def _pictures(seen: _Seen) -> list[Array]:
    """The cells of a face, (C, C, 3) uint8 each: three, or fewer where less is known."""
    if seen.picture is None:
        return []
    edged = seen.picture.copy()
    for matte, ink in ((seen.matte, _MATTE), (seen.label, _LABEL)):  # what agrees is the label's colour
        if matte is not None:
            outline(edged, matte, ink)
    used = seen.label if seen.label is not None else seen.matte
    if used is None:
        return [edged]
    return [edged, veiled(seen.picture, used), compared(seen.matte, seen.label)]


def outline(picture: Array, matte: Float, ink: Colour) -> None:
    """Draw the edge of a matte (C, C), where it is half, into (C, C, 3) uint8; to an eighth of a pixel."""
    fine = cv2.resize(matte, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_CUBIC)
    edges, _ = cv2.findContours((fine > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    within = [((edge + 0.5) / _FINER - 0.5) * 2**_SHIFT for edge in edges]  # OpenCV's centres are whole
    lines = [np.rint(points).astype(np.int32) for points in within]
    cv2.polylines(picture, lines, True, ink, 1, cv2.LINE_AA, _SHIFT)


def veiled(picture: Array, matte: Float) -> Array:
    """(C, C, 3) uint8: what a matte takes away, behind a red veil."""
    behind = picture * np.float32(_BEHIND) + np.array(_VEIL, np.float32) * np.float32(1.0 - _BEHIND)
    mixed = behind + (picture - behind) * matte[..., None]
    return np.rint(mixed).astype(np.uint8)


def compared(matte: Float | None, label: Float | None) -> Array:
    """(C, C, 3) uint8: a matte in grey; red where it is more than the label, blue where it is less."""
    shown = matte if matte is not None else label
    assert shown is not None, "a face without either has no such picture"
    grey = np.repeat(shown[..., None] * np.float32(255.0), 3, axis=-1)
    if matte is not None and label is not None:
        for off, ink in ((matte - label, _MORE), (label - matte, _LESS)):
            share = np.clip(off, 0.0, 1.0)[..., None]
            grey += (np.array(ink, np.float32) - grey) * share
    return np.rint(grey).astype(np.uint8)


def _caption(tile: Array, seen: _Seen, cell: int) -> None:
    face, right = seen.record.face, _width(cell)
    view = f" {seen.record.view}" if seen.record.view else ""
    has = [name for name, matte in (("label", seen.label), ("matte", seen.matte)) if matte is not None]
    said = f"track {face.track}{view}, {' and '.join(has) or 'neither label nor matte'}"
    said = "cannot be read" if seen.picture is None else said
    drawing.write_text(tile, str(face.frame), (0, cell + 15), height=9.5)
    drawing.write_text(tile, said, (0, cell + 31), height=9.5, ink=drawing.FAINT)
    if seen.label is not None and seen.matte is not None:
        agreed = f"IoU {judge.iou(seen.matte, seen.label):.3f}"
        drawing.write_text(tile, agreed, (right, cell + 15), height=9.5, align=1.0)
    if seen.confidence is not None:
        sure = f"confidence {seen.confidence:.0%}"
        ink = _MARK if seen.confidence < UNSURE else drawing.FAINT
        drawing.write_text(tile, sure, (right, cell + 31), height=9.5, ink=ink, align=1.0)


def _head(sheet: Array, settings: PreviewSettings, shown: int, found: int) -> None:
    drawing.write_text(sheet, settings.faceset.stem, (_GAP, 36), height=17, bold=True)
    said = f"{found} faces" if found != 1 else "1 face"
    said += f", {shown} of them shown" if shown < found else ""
    said += f", mattes by {settings.segmenter.name}" if settings.segmenter else ""
    drawing.write_text(sheet, said, (_GAP, 66), height=11, ink=drawing.FAINT)
    x = _GAP
    for ink, text in _LEGEND:
        cv2.rectangle(sheet, (x, 87), (x + 11, 98), ink, -1)
        drawing.write_text(sheet, text, (x + 18, 98), height=10, ink=drawing.FAINT)
        x += 18 + drawing.extent(text, 10) + 20


def _same(seen: _Seen) -> _Seen:
    return seen
