"""Labels out of a JSON file of polygons."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.beside import LARGEST, scaled
from understudy.core.faceset.labels import polygons_of
from understudy.core.faceset.polygons import Polygon
from understudy.core.frames import Window
from understudy.core.segment.fitting import Given, Target
from understudy.core.segment.sources import display_of, targets_of, unknown

FORMAT = "understudy.polygons/1"
_SPACES = ("crop", "plate")
_LARGEST = 256 << 20  # bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    """A face's polygons as a file has them."""

    said: Mapping[str, Any]
    number: int


class Polygons:
    """A JSON file of polygons:

        {"format": "understudy.polygons/1", "space": "crop", "size": 512,
         "faces": [{"face": "shot_t0.1001.exr",
                    "polygons": [{"type": "include", "points": [[120.5, 80], …]}, {"type": "exclude", "points": …}]}]}

    `face` is the file of a face; `frame`, with `view` and `track` where they are needed, does as well. Points are x
    and y in pixels, y down, the middle of the first pixel at (0.5, 0.5): of the face's crop, or of the plate, with
    `"space": "plate"`. `size` is the side of the crop that they were drawn in, or `[width, height]` of the plate;
    without it they are in the face's own crop, and the plate as it is. `type` is `include` where it is not said.
    """

    def __init__(self, faces: Faceset, path: Path) -> None:
        """
        Raises:
            NotFound: there is no such file.
            InvalidInput: it is not of this form.
        """
        self._path = path
        said, content = _json(path)
        self._digest = hashlib.sha256(content).hexdigest()
        self._space = said.get("space", _SPACES[0])
        self._size = _size(said.get("size"), self._space, path)
        listed = said.get("faces")
        if said.get("format") != FORMAT or self._space not in _SPACES or not isinstance(listed, list):
            raise _malformed(
                path, f'it needs "format": "{FORMAT}", "faces" and a "space" of {", ".join(_SPACES)}'
            )
        self._entries: dict[str, list[_Entry]] = defaultdict(list)
        self._problems: dict[int, list[str]] = defaultdict(list)
        self._records: dict[str, FaceRecord] = {}
        self._find(faces, [_Entry(said=each, number=i) for i, each in enumerate(listed, 1)])

    def _find(self, faces: Faceset, entries: list[_Entry]) -> None:
        """Which entry is of which face."""
        by_frame, by_name = defaultdict(list), {}
        for record in faces.records:
            by_frame[record.face.frame].append(record)
            by_name[record.path.stem] = record
        lost = []
        for entry in entries:
            found = _meant(entry, by_name, by_frame, self._path)
            frame = entry.said.get("frame")
            if len(found) == 1:
                self._records[found[0].path.stem] = found[0]
                self._entries[found[0].path.stem].append(entry)
            elif found:
                self._problems[found[0].face.frame].append(
                    f"{self._path}: entry {entry.number}: frame {frame} has {len(found)} such faces "
                    f"({', '.join(r.path.stem for r in found)}); name the face, the view or the track"
                )
            else:
                lost.append(_who(entry.said))
        self.warnings = unknown(self._path, lost)

    def targets(self) -> list[Target]:
        return targets_of(self._records.values(), self._problems)

    def digest(self, record: FaceRecord) -> str:
        entries = self._entries[record.path.stem]
        drawn = [entry.said.get("polygons") for entry in entries]
        made_of = [self._space, self._size, self._scale(record), drawn]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()

    def give(self, record: FaceRecord, made_of: str) -> Given:
        first, *others = self._entries[record.path.stem]
        what = f"{self._path}: entry {first.number}"
        if others:
            raise InvalidInput(
                f"{what}: {record.path.stem} is there again as entry {others[0].number}; leave one of them",
                path=self._path,
                frame=record.face.frame,
                field="polygons",
                value=record.path.stem,
            )
        try:
            polygons = polygons_of(first.said.get("polygons"))
        except InvalidInput as error:
            raise InvalidInput(
                f"{what} ({record.path.stem}): {error.message}",
                path=self._path,
                frame=record.face.frame,
                field="polygons",
                value=record.path.stem,
            ) from error
        alignment, polygons = self._placed(record, polygons)
        return Given(
            what=f"{what} ({record.path.stem})",
            alignment=alignment,
            polygons=polygons,
            origin=self._path.name,
            made_of=made_of,
        )

    def _placed(
        self, record: FaceRecord, polygons: tuple[Polygon, ...]
    ) -> tuple[Alignment, tuple[Polygon, ...]]:
        """The crop whose pixels they are in, and the polygons in these."""
        own = record.alignment
        if self._space == "crop":
            return scaled(own, int(self._size[0]) if self._size else own.size), polygons
        scale = self._scale(record)
        return own, tuple(Polygon(include=p.include, points=own.apply(p.points / scale)) for p in polygons)

    def _scale(self, record: FaceRecord) -> tuple[float, float]:
        """Of a plate in whose pixels they are: theirs for each of its own, across and down; 1 if not known."""
        if self._space != "plate" or not self._size or (display := display_of(record)) is None:
            return 1.0, 1.0
        return _plate_scale(self._size, display, self._path)


def _plate_scale(size: tuple[float, ...], display: Window, path: Path) -> tuple[float, float]:
    across, down = size[0] / display.width, size[1] / display.height
    if abs(across * display.height - size[1]) >= 1.0:
        raise InvalidInput(
            f"{path}: size is {size[0]:g}×{size[1]:g}, the plate {display.width}×{display.height}",
            path=path,
            field="size",
            value=f"{size[0]:g}x{size[1]:g}",
        )
    return across, down


def _meant(
    entry: _Entry,
    by_name: Mapping[str, FaceRecord],
    by_frame: Mapping[int, list[FaceRecord]],
    path: Path,
) -> list[FaceRecord]:
    """The faces that an entry may be of."""
    said = entry.said
    if not isinstance(said, Mapping) or ("face" in said) == ("frame" in said):
        raise _malformed(path, f'entry {entry.number} needs a "face" or a "frame"')
    if "face" in said:
        name = str(said["face"])
        record = by_name.get(name.removesuffix(".exr"))
        return [record] if record else []
    for key in ("frame", "track"):
        if type(said.get(key, 0)) is not int:
            raise _malformed(path, f"entry {entry.number}: its {key} is {said[key]!r}, no whole number")
    return [
        record
        for record in by_frame.get(said["frame"], ())
        if said.get("view", record.view) == record.view
        and said.get("track", record.face.track) == record.face.track
    ]


def _who(said: Mapping[str, Any]) -> str:
    """What an entry calls its face."""
    if "face" in said:
        return str(said["face"])
    return " ".join(f"{key} {said[key]}" for key in ("frame", "view", "track") if key in said)


def _json(path: Path) -> tuple[Mapping[str, Any], bytes]:
    try:
        if path.stat().st_size > _LARGEST:
            raise _malformed(path, "it is larger than 256 MiB")
        content = path.read_bytes()
        said = json.loads(content)
    except FileNotFoundError as error:
        raise NotFound(f"{path}: there is no such file", path=path, field="polygons", value=path) from error
    except OSError as error:
        raise FrameUnreadable(f"{path}: cannot be read: {error.strerror}", path=path) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(path, str(error)) from error
    if not isinstance(said, Mapping):
        raise _malformed(path, "it is no object")
    return said, content


def _size(said: Any, space: Any, path: Path) -> tuple[float, ...]:
    if said is None:
        return ()
    sides = said if isinstance(said, list) else [said]
    count, most = (2, 2**20) if space == "plate" else (1, LARGEST)
    if len(sides) != count or not all(type(side) in (int, float) and 1 <= side <= most for side in sides):
        raise _malformed(
            path, f"its size is {said!r}; a crop has a side, up to {LARGEST}, a plate width and height"
        )
    return tuple(float(side) for side in sides)


def _malformed(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{path}: not a file of polygons: {why}", path=path, field="polygons", value=path)
