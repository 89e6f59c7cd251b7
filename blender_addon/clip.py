# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate that a movie clip shows: files, numbers, colour space; and where a point of the clip lies on the plate.

Three numberings meet here. A *file* has the number in its name, which is the plate's frame and the daemon's. A *scene*
frame is what the timeline shows. A *marker* of a track counts from the clip's first frame, which is 1. With N the
number in the clip's own path, as Blender's manual and its properties have it and the tests find it:

    marker = scene - clip.frame_start + 1        file = N + marker - 1 + clip.frame_offset
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import bpy

from . import paths
from .runner import Json, Refused

# Blender's names of spaces where the daemon's config (OpenColorIO's CG config) has another one: the names of the Color
# Interop Forum, which both know. What is not here is called alike, as ACEScg is.
_SPACES = {
    "Linear Rec.709": "lin_rec709_scene",
    "Linear Rec.2020": "lin_rec2020_scene",
    "Linear DCI-P3 D65": "lin_p3d65_scene",
    "Linear Adobe RGB": "lin_adobergb_scene",
    "sRGB": "srgb_rec709_scene",
    "Display P3": "srgb_p3d65_scene",
    "Rec.1886": "g24_rec709",
}
_ALSO = {  # what headers may say, for the same
    "lin_ap1_scene": "ACEScg",
    "lin_ap0_scene": "ACES2065-1",
    "Linear Rec.709 (sRGB)": "lin_rec709_scene",
    "sRGB Encoded Rec.709 (sRGB)": "srgb_rec709_scene",
}
_DIGITS = re.compile(r"^(.*?)(-?\d+)(\D*)$")  # the last number of a name is the frame's, as Blender reads it


@dataclass(frozen=True)
class ClipPlate:
    """A clip as a plate.

    Attributes:
        pattern: of the files on this machine, with `####`.
        frames: numbers of the files, ascending; all are on disk.
        colour_space: as the daemon's config calls it.
        first: number in the clip's own path.
        start, offset: the clip's `frame_start` and `frame_offset`.
        notes: what a person should know: gaps, files beyond them.
    """

    pattern: str
    frames: tuple[int, ...]
    colour_space: str
    first: int
    start: int
    offset: int
    notes: tuple[str, ...] = ()

    def ref(self) -> Json:
        """The daemon's `PlateRef`."""
        return {
            "pattern": paths.there(self.pattern),
            "frames": segments(self.frames),
            "colourSpace": self.colour_space,
        }

    def marker(self, file: int) -> int:
        return file - self.first - self.offset + 1

    def file(self, marker: int) -> int:
        return marker + self.first + self.offset - 1

    def scene(self, file: int) -> int:
        return self.start + file - self.first - self.offset


@dataclass(frozen=True)
class Windows:
    """Pixel windows of a plate, from the format's corner, y down: (x, y, width, height). A clip shows `data`.

    Attributes:
        view: of a stereo plate the one that a clip shows, its first; else empty.
    """

    data: tuple[int, int, int, int]
    display: tuple[int, int, int, int]
    view: str = ""

    def to_clip(self, x: float, y: float) -> tuple[float, float]:
        """A point of the plate in pixels, y down, as Blender's markers have it: 0 to 1, y up."""
        left, top, width, height = self.data
        return (x - left) / width, 1.0 - (y - top) / height

    def to_plate(self, u: float, v: float) -> tuple[float, float]:
        left, top, width, height = self.data
        return left + u * width, top + (1.0 - v) * height

    def to_mask(self, x: float, y: float) -> tuple[float, float]:
        """As a mask's points have it: the clip lies centred in a square of its longer side."""
        left, top, width, height = self.data
        side = max(width, height)
        return 0.5 + (x - left - width / 2) / side, 0.5 - (y - top - height / 2) / side


def active(context: bpy.types.Context) -> bpy.types.MovieClip:
    """The scene's own choice, else what the editor shows, else the scene's active clip.

    Raises:
        Refused: there is none.
    """
    scene = context.scene
    shown = getattr(context.space_data, "clip", None) if context.space_data else None
    clip = scene.understudy.clip or shown or scene.active_clip
    if clip is None:
        raise Refused("open the plate in the Movie Clip Editor first", field="clip")
    return clip


def resolve(context: bpy.types.Context) -> ClipPlate:
    """The active clip as a plate; looks at the folder, not into the files.

    Raises:
        Refused: no clip, a movie, a still, files that are not there, frames outside, a colour space that is none.
    """
    clip, settings = active(context), context.scene.understudy
    if clip.source != "SEQUENCE":
        raise Refused(
            f"{clip.name}: a movie is no plate; Movie to Plate (or `understudy ingest`) writes it out as EXR first",
            field="clip",
        )
    path = paths.local(clip.filepath, "clip")
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    found = _DIGITS.match(stem)
    if found is None:
        raise Refused(f"{name}: a still has no frame number in its name", field="clip")
    head, digits, tail = found.groups()
    if digits.startswith("-") and head[-1:].isalnum():  # plate-1001 has a dash, not a negative number
        head, digits = head + "-", digits[1:]
    pattern = f"{folder}/{head}{'#' * len(digits.lstrip('-'))}{tail}{extension}"
    there = _on_disk(folder, head, tail + extension)
    first = int(digits) + clip.frame_offset
    frames, notes = _range(pattern, there, first, settings.first, settings.last)
    return ClipPlate(
        pattern, frames, colour_space(clip, settings), int(digits), clip.frame_start, clip.frame_offset, notes
    )


def colour_space(clip: bpy.types.MovieClip, settings: bpy.types.PropertyGroup) -> str:
    """By name, as the daemon's config has it: the scene's own choice, else the clip's.

    Raises:
        Refused: the clip's pixels are said to be no colours.
    """
    name = settings.colour_space.strip() or clip.colorspace_settings.name
    if name in ("Non-Color", "Raw", ""):
        raise Refused(
            f"{clip.name}: its colour space is {name or 'not set'}; set that of the plate",
            field="colour_space",
        )
    return _SPACES.get(name, name)


def of_frames(plate: ClipPlate, frames: tuple[int, ...]) -> ClipPlate:
    """The same plate, of these frames alone."""
    return replace(plate, frames=frames)


def same_space(one: str, other: str) -> bool:
    """Whether two names are known to mean one space."""
    return _ALSO.get(one, one) == _ALSO.get(other, other)


def windows(reply: Json) -> Windows:
    """Of a reply of `PlateService.GetPlate`.

    Raises:
        Refused: no header can be read, or frames have other windows than the first: a clip has one size.
    """
    plate = reply["plate"]
    if not plate.get("parts"):
        raise Refused("{}: no header can be read".format(plate.get("pattern", "the plate")), field="clip")
    for difference in plate.get("differences", []):
        if difference["what"].endswith("window"):
            raise Refused(
                "{}: the {} changes, from {} to {}; Blender shows each frame by its own. Write the plate out with one "
                "first".format(
                    plate["pattern"], difference["what"], difference["expected"], difference["found"]
                ),
                field="clip",
            )
    data, display = (plate["parts"][0][name] for name in ("data", "display"))
    views = plate.get("views", [])
    sides = (tuple(int(w.get(k, 0)) for k in ("x", "y", "width", "height")) for w in (data, display))
    return Windows(*sides, view=views[0] if views else "")


def segments(frames: Sequence[int]) -> list[Json]:
    """Runs of neighbours as the contract has them."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return [{"first": a, "last": b} for a, b in runs]


def _on_disk(folder: str, head: str, tail: str) -> list[int]:
    if not os.path.isdir(folder):
        raise Refused(f"{folder} is not there", field="clip")
    name = re.compile(re.escape(head) + r"(-?\d+)" + re.escape(tail) + "$")
    return sorted({int(m.group(1)) for m in map(name.match, os.listdir(folder)) if m})


def _range(
    pattern: str, there: Iterable[int], begin: int, first: int, last: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which frames, and what is to be said of them: as named, else from the clip's first on up to the first gap, where
    Blender's clip ends too."""
    present = set(there)
    if first or last:
        if first > last:
            raise Refused(f"frames {first}-{last}: the first is behind the last", field="first")
        frames = tuple(n for n in range(first, last + 1) if n in present)
        missing = [n for n in range(first, last + 1) if n not in present]
        if not frames:
            raise Refused(f"{pattern}: none of the frames {first}-{last} is on disk", field="first")
    else:
        if begin not in present:
            raise Refused(f"{paths.at_frame(pattern, begin)} is not on disk", field="clip")
        end = begin
        while end + 1 in present:
            end += 1
        frames, missing = tuple(range(begin, end + 1)), []
        beyond = sorted(n for n in present if n > end)
        if beyond:
            return frames, (
                f"{paths.at_frame(pattern, end + 1)} is missing, and the clip ends there; {len(beyond)} more frames "
                f"up to {beyond[-1]} are on disk: name first and last to take them",
            )
    note = f"{pattern}: {len(missing)} frames are missing, the first {missing[0]}" if missing else ""
    return frames, (note,) if note else ()
