"""Where labels come from, and pictures of crops as one of the places. What they say is not judged here.

`rotos` reads mattes in plate space, `polygon_files` reads polygons.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.beside import moved, scaled
from understudy.core.frames import Window
from understudy.core.plate import Template, read_header
from understudy.core.plate.mattes import Roto, of_frame, read_still, refuse_nonfinite, refuse_picture
from understudy.core.plate.views import MONO, header_of
from understudy.core.reports import Warned
from understudy.core.segment.fitting import Given, Target

_PICTURES = (".exr", ".dpx", ".png", ".tif", ".tiff")
_TOLD = 5  # names in a message


class Source(Protocol):
    """Something that labels are made of.

    Attributes:
        warnings: what is worth saying once.
    """

    warnings: tuple[Warned, ...]

    def targets(self) -> list[Target]:
        """The frames that it is about, in order; each once."""

    def digest(self, record: FaceRecord) -> str:
        """Of what there is for a face. Raises FrameMissing, FrameUnreadable, InvalidInput."""

    def give(self, record: FaceRecord, made_of: str) -> Given:
        """What there is for a face; any thread may ask. Raises FrameMissing, FrameUnreadable, InvalidInput."""


class Crops:
    """A folder of mattes in the faces' own crops, by the faces' names."""

    def __init__(self, faces: Faceset, folder: Path, channel: str, *, invert: bool) -> None:
        """Raises NotFound: there is no such folder, or no picture in it."""
        self._faces, self._channel, self._invert = faces, channel, invert
        self._files: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(folder.glob("[!.]*")) if folder.is_dir() else ():
            if file.suffix.lower() in _PICTURES and file.is_file():
                self._files[file.stem].append(file)
        if not self._files:
            raise NotFound(
                f"{folder}: there is no such folder, or no picture in it",
                path=folder,
                field="crops",
                value=folder,
            )
        known = {Path(name).stem for name in faces.columns.name.tolist()}
        self.warnings = unknown(folder, [stem for stem in self._files if stem not in known])

    def targets(self) -> list[Target]:
        return targets_of(record for record in self._faces.records if record.path.stem in self._files)

    def digest(self, record: FaceRecord) -> str:
        return file_digest(self._file(record))

    def give(self, record: FaceRecord, made_of: str) -> Given:
        path = self._file(record)
        frame = read_still(path, record.face.frame)
        roto = of_frame(frame, path, channel=self._channel, invert=self._invert, strict=True)
        refuse_picture(roto)
        side = roto.display.width
        if roto.display.height != side:
            raise InvalidInput(
                f"{path}: is {side}×{roto.display.height} pixels; a face's crop is square",
                path=path,
                frame=record.face.frame,
                field="crops",
                value=f"{side}x{roto.display.height}",
            )
        refuse_nonfinite(roto, roto.display.intersect(roto.data))
        matte = moved(roto.over(roto.display), scaled(record.alignment, side), record.alignment)
        return Given(
            what=str(path),
            alignment=record.alignment,
            matte=matte,
            full=bool(roto.others) and is_full(roto),
            others=roto.others,
            origin=origin_of(roto),
            made_of=made_of,
            warnings=clipped(roto),
        )

    def _file(self, record: FaceRecord) -> Path:
        files = self._files[record.path.stem]
        if len(files) > 1:
            raise InvalidInput(
                f"{files[0]}: the face has another matte, {files[1].name}; leave one of them",
                path=files[0],
                frame=record.face.frame,
                field="crops",
                value=record.path.stem,
            )
        return files[0]


def targets_of(
    records: Iterable[FaceRecord], problems: Mapping[int, list[str]] | None = None
) -> list[Target]:
    found: dict[int, list[FaceRecord]] = defaultdict(list)
    for record in records:
        found[record.face.frame].append(record)
    said = problems or {}
    return [
        Target(frame=number, faces=tuple(found.get(number, ())), problems=tuple(said.get(number, ())))
        for number in sorted({*found, *said})
    ]


def unknown(where: Path, names: list[str]) -> tuple[Warned, ...]:
    """A warning, where something was given for faces that are not there."""
    if not names:
        return ()
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    told = f"{where}: the faceset has no face {', '.join(names[:_TOLD])}{more}"
    return (Warned(reason="NO_FACE", message=told),)


def display_of(record: FaceRecord) -> Window | None:
    """Of the plate that a face is of; None where that cannot be opened."""
    try:
        template = Template.parse(record.plate)
        header = read_header(template.of_view(record.view).path(record.face.frame), record.face.frame)
        return header_of(header, MONO if template.has_view else record.view).display
    except (FrameMissing, FrameUnreadable, InvalidInput):
        return None


def clipped(roto: Roto) -> tuple[str, ...]:
    if not roto.beyond:
        return ()
    return (f"{roto.path.name}: {roto.beyond} values of {roto.channel} outside 0 to 1 were held there",)


def is_full(roto: Roto) -> bool:
    return roto.display.intersect(roto.data) == roto.display and float(roto.values.min()) > 0.999


def origin_of(roto: Roto) -> str:
    return f"{roto.path.name} {roto.channel}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; raises FrameMissing, FrameUnreadable."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise FrameMissing(f"{path}: is not on disk", path=path) from error
    except OSError as error:
        raise FrameUnreadable(f"{path}: cannot be read: {error.strerror}", path=path) from error
