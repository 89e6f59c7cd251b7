"""A contact sheet: a merge at a glance, for a person. PNG, sRGB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import drawing
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset
from understudy.core.frames import Array, Float, Frame, FrameRange, Window
from understudy.core.image import fill_nonfinite
from understudy.core.merge import headers
from understudy.core.merge.outputs import layered, track_of
from understudy.core.plate import Template, find, read
from understudy.core.plate.views import MONO, select

COLUMNS = ("source", "plate", "swap", "matte", "face")
_CELL = 300  # pixels: two inches at 150 dpi
_GAP = 6
_BAND = 34  # height of a line of text
_ROOM = 1.25  # side of what is shown, in sides of the crop


def sheet(
    out: Template,
    path: Path,
    *,
    colour: ColourConfig,
    plate: Template | None = None,
    frames: Sequence[int] = (),
    src: Path | None = None,
    person: str = "",
    rows: int = 5,
    title: str = "",
) -> Path:
    """Write a sheet with a row per frame: a source face in like pose, plate, swap, matte and face layer.

    The cells show the square around the crop; a frame with no face is shown whole. Of a stereo merge the sheet shows
    the first view.

    Args:
        out: finished frames, with layers in them or beside them.
        path: the PNG.
        plate: what they were made from; default: what their headers say.
        frames: which; default: `rows` of those on disk, evenly spread.
        src: faceset of the identity put on; without it there is no column for it.
        person: name of the one that is shown, where the first of several is not meant.
        title: first line; default: the sequence's name.

    Raises:
        NotFound: no frame of `out` is on disk.
        InvalidInput: the frames have no layers.
        FrameMissing, FrameUnreadable: of a frame that was named, or its plate.
        WriteFailed, DiskFull: the PNG could not be written.
    """
    found = find(out.text)
    view = found.views[0] if out.has_view else MONO
    chosen = frames or _spread(found.present, rows)
    faces = Faceset.open(src) if src else None
    poses = _poses(out, person)
    columns = COLUMNS if faces and faces.records else COLUMNS[1:]
    picture = [_line(columns, len(columns))]
    for number in chosen:
        cells = _cells(out.of_view(view), plate, view, number, colour=colour, person=person)
        if faces and faces.records:
            cells.insert(0, _source(faces, poses.get(number), number, colour))
        picture += [_line([f"frame {number}"], len(columns)), _row(cells)]
    heading = _line([title or Path(out.hashes).name], len(columns))
    whole = np.vstack([heading, *picture, drawing.paper(heading.shape[1], _GAP)])
    drawing.save(whole, path)
    return path


def _spread(present: FrameRange, rows: int) -> list[int]:
    numbers = list(present)
    picks = np.unique(np.linspace(0, len(numbers) - 1, min(rows, len(numbers))).round().astype(int))
    return [numbers[i] for i in picks]


def _cells(
    out: Template, plate: Template | None, view: str, number: int, *, colour: ColourConfig, person: str
) -> list[Array]:
    """Plate, swap, matte and face layer of one frame, (H, W, 3) uint8 sRGB each; `view` is that of its file."""
    prefix = f"{person}_" if person else ""
    file = read(out, number)
    said, worked_on = file.metadata, str(file.metadata.get(headers.VIEWS, MONO)).split(",")[0]
    made = select(file, MONO if view else worked_on)
    holder = layered(out, file)
    beside = made if holder is file else holder
    if f"{prefix}mask_blend.A" not in beside.planes:
        raise InvalidInput(
            f"{out.path(number)}: frame {number} has no layers; merge with layers for a contact sheet",
            frame=number,
            field="layers",
            value=out.text,
        )
    said = said if beside is made else beside.metadata
    source = read((plate or Template.parse(str(said[headers.PLATE]))).of_view(view), number)
    original = select(source, MONO if view else worked_on)
    index = headers.people(said).index(person) if person else 0
    gain = float(said.get(headers.of_person(index, headers.GAIN), 1.0))
    space, plate_space = str(said[headers.COLOUR]), str(said[headers.PLATE_COLOUR])
    shown = _square(beside, prefix)
    matte = beside.planes[f"{prefix}mask_blend.A"][shown.slices(beside.data)].astype(np.float32)
    face = np.stack([beside.planes[f"{prefix}face.{c}"][shown.slices(beside.data)] for c in "RGB"], axis=-1)
    solid = beside.planes[f"{prefix}face.A"][shown.slices(beside.data)].astype(np.float32)[..., None]
    viewed = _view(face.astype(np.float32), space, gain, colour)
    return [
        _view(original.rgb(shown), plate_space, gain, colour),
        _view(made.rgb(shown), plate_space if made.maximum != 1.0 else space, gain, colour),
        np.repeat(drawing.eight_bits(matte)[..., None], 3, axis=-1),
        (viewed * solid + np.array(drawing.PAPER) * (1.0 - solid)).astype(np.uint8),
    ]


def _square(beside: Frame, prefix: str) -> Window:
    """What to show: the square around the crop with some room, within the data window; all of it if there is none."""
    rows, columns = (np.flatnonzero((beside.planes[f"{prefix}face.A"] > 0).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return beside.data
    centre_x, centre_y = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    side = int(_ROOM * max(columns[-1] - columns[0], rows[-1] - rows[0]))
    x, y = int(centre_x - side / 2) + beside.data.x, int(centre_y - side / 2) + beside.data.y
    return Window(x, y, side, side).intersect(beside.data)


def _source(faces: Faceset, pose: tuple[float, float] | None, number: int, colour: ColourConfig) -> Array:
    """The source face whose pose is nearest to the frame's, and of those the one whose frame is."""
    columns = faces.columns
    near = np.abs(columns.frame - number)
    if pose is None:
        place = int(np.argmin(near))
    else:
        apart = np.square(columns.pose[:, :2] - pose).sum(axis=1)
        place = int(np.lexsort((near, apart))[0])
    record = faces.records[place]
    return _view(faces.load(record), colour.working, record.gain, colour)


def _poses(out: Template, person: str) -> dict[int, tuple[float, float]]:
    """Frame → pitch and yaw, as the merge wrote them down; empty where it did not."""
    track = track_of(out, person=person)
    if not track.is_file():
        return {}
    frames: dict[str, Any] = json.loads(track.read_text(encoding="utf-8"))["frames"]
    return {int(n): (float(f["pose"]["pitch"]), float(f["pose"]["yaw"])) for n, f in frames.items()}


def _view(rgb: Float, space: str, gain: float, colour: ColourConfig) -> Array:
    """(H, W, 3) uint8 sRGB of pixels in any space."""
    filled, _ = fill_nonfinite(rgb)
    return drawing.shown(colour.to_working(filled, space), gain, colour)


def _row(cells: Sequence[Array]) -> Array:
    """Cells side by side, each fitted into its square."""
    row = drawing.paper(_GAP + len(cells) * (_CELL + _GAP), _CELL)
    for i, cell in enumerate(cells):
        x = _GAP + i * (_CELL + _GAP)
        row[:, x : x + _CELL] = drawing.fit(cell, _CELL)
    return row


def _line(texts: Sequence[str], columns: int) -> Array:
    """A line of text, each piece over its column."""
    line = drawing.paper(_GAP + columns * (_CELL + _GAP), _BAND)
    for i, text in enumerate(texts):
        drawing.write_text(line, text, (_GAP + 2 + i * (_CELL + _GAP), _BAND - 11))
    return line
