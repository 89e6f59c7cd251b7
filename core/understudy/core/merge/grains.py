"""The grain of a shot, measured once: the plate's, and what grain the new face has of its own.

Measured on a few frames that follow one another in the middle of the shot, chosen from the faceset alone, so that
every chunk and worker sees the same numbers (chunk independence); stored beside the output in `track/`, and read from
there while what they were measured on is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import plate, warp
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.face import Matrix
from understudy.core.faceset import Faceset
from understudy.core.faceset.beside import scaled
from understudy.core.files import write_text
from understudy.core.finish.grain import Grain
from understudy.core.finish.measure import measure
from understudy.core.finish.motion import motion
from understudy.core.frames import Float, Frame, Window
from understudy.core.match import Match
from understudy.core.merge import headers
from understudy.core.merge.analysis import Placed
from understudy.core.merge.face_swap import Made, Swapper
from understudy.core.merge.mattes import sized
from understudy.core.merge.recipe import Recipe
from understudy.core.plate import Template
from understudy.core.plate.views import MONO, select

FORMAT = "understudy.grain/1"
_FRAMES = 4
_SIDE = (
    512,
    1280,
)  # plate px of the window that is looked at: at least, so that something is flat, and at most
_INSIDE = np.float32(0.999)  # of a warped mask: what counts as full

Pixels = Callable[[Frame, Window], Float]
"""The plate's pixels of a window, (h, w, 3) scene-linear in the working space."""


@dataclass(frozen=True, kw_only=True)
class Grains:
    """What grain there is; None where it is not known, because too little is flat.

    Attributes:
        plate: of the plate, in its pixels.
        face: of the new face on the plate, after colour match, in the plate's pixels.
        crop: of the same in the crop's pixels.
    """

    plate: Grain | None = None
    face: Grain | None = None
    crop: Grain | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: grain and grain.to_dict() for name, grain in found.items()}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Grains:
        """Read `to_dict`'s form. Raises InvalidInput or KeyError: it is none."""
        return cls(**{e.name: form[e.name] and Grain.from_dict(form[e.name]) for e in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Measures the grain of one shot. Not for several threads at once.

    Attributes:
        source: the plate's files.
        pixels: of a frame of it.
        spaces: what `pixels` goes by, as JSON can hold it.
    """

    source: Template
    pixels: Pixels
    spaces: tuple[str, ...]
    faceset: Faceset
    swapper: Swapper
    match: Match
    recipe: Recipe

    def over(self, shot: Mapping[str, Mapping[int, Placed]], stored: Path) -> Grains:
        """Of the shot's faces, view → frame number → the face there; written to `stored` unless it holds the same.

        Raises:
            WriteFailed: `stored` could not be written.
        """
        view, chosen = next(((view, _run(faces)) for view, faces in shot.items() if faces), (MONO, []))
        files = {placed.face.frame: self._file(view, placed.face.frame) for placed in chosen}
        key = headers.digest(
            FORMAT,
            headers.VERSION,
            self.spaces,
            self.swapper.digest,
            (self.recipe.match, self.recipe.mask),
            [(self.recipe.at(p.face.frame).match_amount.at(p.face.frame), p.identity()) for p in chosen],
            [headers.file_digest(path) if path.is_file() else "" for path in files.values()],
        )
        found = _read(stored, key)
        if found is None:
            found = self._measured(view, chosen)
            document = {"format": FORMAT, "digest": key, "frames": list(files), **found.to_dict()}
            write_text(stored, json.dumps(document, indent=1, allow_nan=False) + "\n")
        return found

    def _measured(self, view: str, chosen: list[Placed]) -> Grains:
        if not chosen:
            return Grains()
        window, plates = self._plates(view, chosen)
        seen = list(self._swapped(chosen))
        if not plates or not seen:
            return Grains(plate=measure(plates) if plates else None)
        crops = [face for *_, face in seen]
        masks = [sized(made.mask, len(face)) for _, made, face in seen]
        there = [scaled(placed.alignment, len(face)) for placed, _, face in seen]
        return Grains(
            plate=measure(plates),
            face=measure(
                [warp.to_plate(f, a, window, border="replicate") for f, a in zip(crops, there, strict=True)],
                mattes=[_full(warp.to_plate(m, a, window)) for m, a in zip(masks, there, strict=True)],
                moves=_moves([placed for placed, *_ in seen], window),
            ),
            crop=measure(crops, mattes=[_full(mask) for mask in masks]),
        )

    def _plates(self, view: str, chosen: list[Placed]) -> tuple[Window, list[Float]]:
        """A window around the face, and the pixels (h, w, 3) of the frames that have all of it."""
        window, pictures = _window(chosen), list[Float]()
        for placed in chosen:
            with suppress(FrameMissing, FrameUnreadable, InvalidInput):  # its own report will say so
                frame = self._frame(view, placed.face.frame)
                if not pictures:
                    window = window.intersect(frame.data)
                if not window.empty and window.intersect(frame.data) == window:
                    pictures.append(self.pixels(frame, window))
        return window, pictures

    def _swapped(self, chosen: list[Placed]) -> Iterator[tuple[Placed, Made, Float]]:
        """The new faces (S, S, 3) after colour match; those that can not be made are left out."""
        for placed in chosen:
            with suppress(NotFound, FrameMissing, FrameUnreadable, InvalidInput):  # its frame will say so
                record, number = placed.record, placed.face.frame
                crop = self.swapper.crop_of(self.faceset.load(record), record.alignment, placed.alignment)
                made = self.swapper.swap(crop, placed)
                face = made.face
                if placed.numbers is not None:
                    gain, amount = np.float32(placed.gain), self.recipe.at(number).match_amount.at(number)
                    face = self.match.apply(made.face * gain, placed.numbers, amount) / gain
                yield placed, made, face

    def _file(self, view: str, number: int) -> Path:
        return self.source.of_view(view if self.source.has_view else MONO).path(number)

    def _frame(self, view: str, number: int) -> Frame:
        template = self.source.of_view(view if self.source.has_view else MONO)
        return select(plate.read(template, number), MONO if self.source.has_view else view)


def _run(faces: Mapping[int, Placed]) -> list[Placed]:
    """Those in the middle of the longest stretch of frames without a gap or a cut."""
    runs: list[list[Placed]] = []
    for number in sorted(faces):
        if number - 1 in faces and not faces[number].face.cut:
            runs[-1].append(faces[number])
        else:
            runs.append([faces[number]])
    longest = max(runs, key=len)
    first = max(0, (len(longest) - _FRAMES) // 2)
    return longest[first : first + _FRAMES]


def _window(chosen: list[Placed]) -> Window:
    """Around the face, with as much beside it as it is large; plate px, not yet held to a data window."""
    alignment = chosen[0].alignment
    middle = alignment.inverse @ (alignment.size / 2.0, alignment.size / 2.0, 1.0)
    across = alignment.size * float(np.linalg.norm(alignment.inverse[:, 1]))
    side = round(min(max(2.0 * across, _SIDE[0]), _SIDE[1]))
    return Window(round(middle[0]) - side // 2, round(middle[1]) - side // 2, side, side)


def _moves(placed: list[Placed], window: Window) -> list[Matrix]:
    """(2, 3) from each face to the next one, in pixels of arrays that cover the window."""
    moves: list[Matrix] = []
    origin = np.array([window.x, window.y], np.float64)
    for here, there in pairwise(placed):
        points = (here.face.landmarks.points, None, there.face.landmarks.points)
        move = motion(*points, pixel_aspect=here.record.pixel_aspect).at(1.0)
        offset = move[:, :2] @ origin + move[:, 2] - origin
        moves.append(np.column_stack([move[:, :2], offset]))
    return moves


def _full(mask: Float) -> Float:
    return (mask >= _INSIDE * max(float(mask.max(initial=0.0)), 1e-3)).astype(np.float32)


def _read(stored: Path, key: str) -> Grains | None:
    """What an earlier run measured on the same, or None: there is nothing, or it was on something else."""
    try:
        document = json.loads(stored.read_text(encoding="utf-8"))
        return Grains.from_dict(document) if document["digest"] == key else None
    except (OSError, ValueError, KeyError, TypeError, InvalidInput):
        return None  # derived data: what can not be read is measured again
