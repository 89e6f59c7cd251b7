# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot as image strips: frame by frame over the strip of the plate, and only where frames are on disk.

A strip has no holes: frames that have not landed would be magenta. So each run of frames is a strip, and between them
shows what lies below. When the last gap has closed there is one strip.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import bpy

from . import compat_comp as compat
from . import merged
from .merged import Refused, at_frame

MARK = "understudy"  # a strip's own property: it is ours, and where it belongs
RESULT, OVER, MATTE, FLAT = "RESULT", "OVER", "MATTE", "FLAT"
CHANNELS = 128  # Blender's own limit
_BLEND = {RESULT: "REPLACE", OVER: "ALPHA_OVER", MATTE: "REPLACE"}
_LIKE = ("use_multiview", "use_flip_x", "use_flip_y")  # of the plate's strip, and so of ours


class Place(NamedTuple):
    """Where frames go.

    Attributes:
        start: the scene's frame of the first number.
        numbers: of the files, one for each frame from there; they may jump, as in a strip of a sequence with gaps.
        left, right: the frames that show, the last one not among them.
    """

    start: int
    numbers: tuple[int, ...]
    left: int
    right: int

    def moved(self, by: int) -> Place:
        return self._replace(start=self.start + by, left=self.left + by, right=self.right + by)


def of_strip(strip: Any) -> Place:
    """Where the plate's strip has its frames.

    Raises:
        Refused: no strip of an image sequence, played backwards or retimed.
    """
    if strip.type != "IMAGE":
        raise Refused(
            f"{strip.name}: select the plate's image strip; this is a {strip.type.lower()} strip",
            field="plate",
        )
    if strip.use_reverse_frames:
        raise Refused(f"{strip.name}: played backwards; turn Reverse Frames off first", field="plate")
    if len(getattr(strip, "retiming_keys", ())) > 2:
        raise Refused(f"{strip.name}: retimed; swap first, and retime both", field="plate")
    if strip.use_multiview and strip.views_format != "MULTIVIEW":
        raise Refused(
            f"{strip.name}: its views are files of their own, or side by side; turn Multi-View off, swap each view",
            field="plate",
        )
    found = [re.search(r"(-?\d+)(?=\.\w+$)", e.filename) for e in strip.elements]
    if not all(found):
        raise Refused(
            f"{strip.name}: {strip.elements[found.index(None)].filename} has no frame number", field="plate"
        )
    left, right = compat.handles(strip)
    return Place(compat.start(strip), tuple(int(m[1]) for m in found if m), left, right)


def of_range(first: int, last: int, start: int) -> Place:
    """Frames one after the other."""
    return Place(start, tuple(range(first, last + 1)), start, start + last - first + 1)


def runs(place: Place, there: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """Neighbours that are on disk and show: where each run begins, from the start, and its numbers."""
    have, found, begin = set(there), [], None
    for i, number in enumerate((*place.numbers, None)):
        shows = number in have and place.left <= place.start + i < place.right
        if shows and begin is None:
            begin = i
        elif not shows and begin is not None:
            found.append((begin, place.numbers[begin:i]))
            begin = None
    return found


def pattern_of(output: str, kind: str) -> str:
    """Where a kind's frames are: the merge's own, or in a folder beside them that Write makes."""
    if kind == RESULT:
        return output
    folder, name = os.path.split(output)
    token = re.search(r"%0?\d*d|#+|@+", name)
    if token is None:
        raise Refused(f"{output}: no frame token such as #### in it", field="output")
    word = kind.lower()
    return f"{folder}/{word}/{name[: token.start()].rstrip('._-')}_{word}.####.exr"


def shown_pattern(output: str, kind: str) -> str:
    """What a strip of this kind reads: the sequencer of 4.2 has flat copies of the result, for it reads no layers."""
    return pattern_of(output, FLAT if kind == RESULT and not compat.SEQUENCER_READS_LAYERS else kind)


def free_channel(owner: Any, above: int, left: int, right: int) -> int:
    """The lowest one above that has room.

    Raises:
        Refused: there is none.
    """
    taken = {
        s.channel
        for s in compat.strips(owner)
        if compat.handles(s)[0] < right and compat.handles(s)[1] > left
    }
    for channel in range(above + 1, CHANNELS + 1):
        if channel not in taken:
            return channel
    raise Refused(f"no free channel above {above}", field="channel")


def lay(
    owner: Any, place: Place, output: str, kind: str, *, colour: str, channel: int, original: Any = None
) -> list[Any]:
    """New strips.

    Args:
        owner: the editing, or the meta strip that is open.
        output: the merge's pattern.
        colour: Blender's name of the files' space.
        original: the plate's strip, whose transform and crop they take on.

    Raises:
        Refused: none of the frames is there, or none shows.
    """
    mark = {"kind": kind, "shot": f"{kind} {place.start} {channel}", "place": place, "output": output}
    laid = _lay(owner, mark, colour, channel, [])
    if not laid:
        raise Refused(
            f"{shown_pattern(output, kind)}: none of the plate's frames is there yet", field="output"
        )
    for strip in laid if original is not None else ():
        _take_on(strip, original)
    return laid


def update(scene: bpy.types.Scene, old: str, output: str, colour: str) -> tuple[int, list[str]]:
    """Have the strips of a shot show another version, or frames that have landed since.

    Strips that have the same frames as before are only told the new files; all else about them stays.

    Returns:
        How many shots of a kind were updated, and what of them has no frames in this version.
    """
    sets: dict[tuple[Any, str], list[Any]] = {}
    for owner, strip in ours(scene):
        mark = json.loads(strip[MARK])
        if plain(mark["output"]) == plain(old):
            sets.setdefault((owner, mark["shot"]), []).append(strip)
    without = []
    for (owner, _), strips in sets.items():
        strips.sort(key=compat.start)
        mark = json.loads(strips[0][MARK])
        laid_at = mark["place"][0] + mark.pop("at")
        place = Place(*mark["place"])._replace(numbers=tuple(mark["place"][1]))
        mark["place"], mark["output"] = place.moved(compat.start(strips[0]) - laid_at), output
        if not merged.numbers(shown_pattern(output, mark["kind"])):
            without.append(f"{mark['kind'].lower()} {os.path.basename(output)}")
            continue
        _lay(owner, mark, "Non-Color" if mark["kind"] == MATTE else colour, strips[0].channel, strips)
    return len(sets) - len(without), without


def ours(scene: bpy.types.Scene) -> Iterator[tuple[Any, Any]]:
    """Our strips with what they lie in, within meta strips too."""
    owners = [scene.sequence_editor] if scene.sequence_editor else []
    for owner in owners:
        for strip in compat.strips(owner):
            if strip.type == "META":
                owners.append(strip)
            elif strip.get(MARK):
                yield owner, strip


def marks(scene: bpy.types.Scene) -> set[tuple[str, str]]:
    """Kind and pattern of the merge, of all our strips."""
    said = [json.loads(strip[MARK]) for _, strip in ours(scene)]
    return {(each["kind"], each["output"]) for each in said}


def plain(pattern: str) -> str:
    """The same for all versions and paddings of a shot."""
    versionless = re.sub(r"(?<=[/._])v\d+(?=[/._])", "v", pattern.replace("\\", "/"))
    return re.sub(r"%0?\d*d|#+|@+", "#", versionless)


def _lay(owner: Any, mark: dict[str, Any], colour: str, channel: int, strips: list[Any]) -> list[Any]:
    """Strips for what is there, by changing these as far as they go."""
    place, kind = mark["place"], mark["kind"]
    pattern = shown_pattern(mark["output"], kind)
    wanted = runs(place, merged.numbers(pattern))
    same = [tuple(json.loads(s[MARK])["numbers"]) for s in strips] == [numbers for _, numbers in wanted]
    for strip in strips[len(wanted) :] if wanted else ():
        compat.strips(owner).remove(strip)
    laid = list(strips[: len(wanted)])
    for i, (begin, numbers) in enumerate(wanted):
        paths = [at_frame(pattern, n) for n in numbers]
        if i == len(laid):
            name = f"{os.path.basename(pattern).split('.')[0]}"
            strip = compat.strips(owner).new_image(name, paths[0], channel, place.start + begin)
            strip.blend_type, strip.mute = _BLEND[kind], kind == MATTE
            if i:
                _take_on(strip, laid[0])
            laid.append(strip)
        _fill(laid[i], paths)
        laid[i].colorspace_settings.name = colour
        laid[i][MARK] = json.dumps({**mark, "at": begin, "numbers": numbers})
        if not same:
            compat.move(laid[i], place.start + begin)
            compat.set_handles(laid[i], place.start + begin, place.start + begin + len(numbers))
    return laid


def _fill(strip: Any, paths: Sequence[str]) -> None:
    """Its files, in place of those that it has."""
    strip.directory = os.path.dirname(paths[0]) + "/"
    names = [os.path.basename(p) for p in paths]
    while len(strip.elements) > len(names):
        strip.elements.pop(len(strip.elements) - 1)
    for element, name in zip(strip.elements, names):  # noqa: B905 - the rest is appended
        element.filename = name
    for name in names[len(strip.elements) :]:
        strip.elements.append(name)


def _take_on(strip: Any, other: Any) -> None:
    """Lie exactly where the other one lies."""
    for name in ("offset_x", "offset_y", "scale_x", "scale_y", "rotation", "origin", "filter"):
        setattr(strip.transform, name, getattr(other.transform, name))
    for name in ("min_x", "max_x", "min_y", "max_y"):
        setattr(strip.crop, name, getattr(other.crop, name))
    for name in _LIKE:
        setattr(strip, name, getattr(other, name))
