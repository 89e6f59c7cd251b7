"""Which frame of which plate a face is of, as far as the name of the picture that it was cut from tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from understudy.core.faceset.dfl.source import plain

_NUMBER = re.compile(r"(?<!\d)(\d{1,9})$")
_TOKENS = str.maketrans(dict.fromkeys("%#@", "_"))  # what would be a frame number in a template


@dataclass(frozen=True)
class Place:
    """Where a face belongs.

    Attributes:
        plate: template of the plate in `%04d` form, or the picture's own name where it has no number.
        frame: number.
        track: id of the person.
        name: of its image in the faceset, without extension.
        faces: how many faces the frame has.
    """

    plate: str
    frame: int
    track: int
    name: str
    faces: int


def places(pictures: Sequence[str], tracks: Sequence[int]) -> list[Place]:
    """A place for each face, in order; depends on all of them, and on nothing else.

    The number at the end of a picture's name is its frame: `shot_00123.png` is frame 123 of `shot_%05d.png`. Pictures
    without a number are stills, each a plate of its own; their frames count them by name, from 1. Faces of one person
    on one frame (a mirror, a stranger, a double find) are told apart by `_1`, `_2`, … after the track in the name of
    their image, in the order in which they come.

    Args:
        pictures: name of the picture that each face was cut from.
        tracks: who each face is.
    """
    parts = [_parted(picture) for picture in pictures]
    stills = {name: i for i, name in enumerate(sorted({p.whole for p in parts if p.number is None}), 1)}
    widths: dict[tuple[str, str], int] = {}
    for part in parts:
        if part.number is not None:
            key = (part.prefix, part.suffix)
            widths[key] = min(widths.get(key, 9), len(part.number))
    plates = [p.plate(widths.get((p.prefix, p.suffix), 1)) for p in parts]
    frames = [stills[p.whole] if p.number is None else int(p.number) for p in parts]
    crowd = Counter(zip(plates, frames, strict=True))
    used: Counter[tuple[str, int, int]] = Counter()
    found = []
    for part, plate, frame, track in zip(parts, plates, frames, tracks, strict=True):
        stem = part.prefix.strip("._- ") or "frame"
        again = used[stem, track, frame]
        used[stem, track, frame] += 1
        name = f"{stem}_t{track}{f'_{again}' if again else ''}.{frame:04d}"
        found.append(Place(plate, frame, track, name, crowd[plate, frame]))
    return found


def people(persons: Iterable[str]) -> dict[str, int]:
    """Person → track: in the order of their names, who has none first."""
    return {person: track for track, person in enumerate(sorted(set(persons)))}


@dataclass(frozen=True)
class _Parted:
    prefix: str
    number: str | None
    suffix: str

    @property
    def whole(self) -> str:
        return self.prefix + self.suffix

    def plate(self, width: int) -> str:
        if self.number is None:
            return self.whole
        return f"{self.prefix}{'%d' if width == 1 else f'%0{width}d'}{self.suffix}"


def _parted(picture: str) -> _Parted:
    path = PurePosixPath(plain(picture).translate(_TOKENS))
    match = _NUMBER.search(path.stem)
    if match is None:
        return _Parted(path.stem, None, path.suffix)
    return _Parted(path.stem[: match.start()], match[1], path.suffix)
