"""Labels out of mattes in plate space: roto that a host has rendered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.core import warp
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.frames import Float, Window
from understudy.core.plate import Plate, read_header
from understudy.core.plate.mattes import Roto, read_matte, refuse_nonfinite, refuse_picture
from understudy.core.plate.views import header_of
from understudy.core.reports import Warned
from understudy.core.segment.fitting import Given, Target, face_hull
from understudy.core.segment.sources import (
    clipped,
    display_of,
    file_digest,
    is_full,
    origin_of,
)


class Rotos:
    """A sequence of mattes in plate space, of one person."""

    def __init__(self, faces: Faceset, whole: Faceset, roto: Plate, channel: str, *, invert: bool) -> None:
        """
        Args:
            faces: of that person.
            whole: all of the faceset, for who else is in the picture.
            roto: the mattes.
            channel: as `read_matte`.
            invert: they are 1 outside.

        Raises:
            InvalidInput: they could be of several plates, or of several views.
        """
        self._roto, self._channel, self._invert = roto, channel, invert
        self._faces = self._chosen(faces)
        plates = {record.plate for record in self._faces}
        if len(plates) > 1:
            raise InvalidInput(
                f"{faces.path}: has faces of several plates on these frames, {', '.join(sorted(plates))}; the roto is "
                "of one: label each plate's faceset and join them then",
                path=faces.path,
                field="roto",
                value=roto.template.hashes,
            )
        self._others = _by_picture(whole.records if len(whole.columns) > len(faces.columns) else ())
        self._displays, self.warnings = self._find_displays()

    def _chosen(self, faces: Faceset) -> list[FaceRecord]:
        """The faces on frames that the roto has, of the views that it is of."""
        present = set(self._roto.present)
        found = [record for record in faces.records if record.face.frame in present]
        views = sorted({record.view for record in found})
        wanted = self._roto.views
        if not self._roto.template.has_view and not wanted and len(views) > 1 and not self._says_views(views):
            raise InvalidInput(
                f"{self._roto.template}: has no views, and the faceset has {', '.join(views)}; name the view that the "
                "roto is of, or a template with %V",
                field="roto.views",
                value=",".join(views),
            )
        return [record for record in found if not wanted or record.view in wanted]

    def _says_views(self, views: list[str]) -> bool:
        """Whether the files have these views in them."""
        said = (_has_views(self._roto.template.path(number), views) for number in self._roto.present)
        return next((answer for answer in said if answer is not None), True)

    def _find_displays(self) -> tuple[dict[str, Window], tuple[Warned, ...]]:
        """View → display window of the plate, where a frame of it can be opened; and what to say where none can."""
        found: dict[str, Window] = {}
        lacking: dict[str, str] = {}
        for record in self._faces:
            if record.view in found:
                continue
            display = display_of(record)
            if display is None:
                lacking.setdefault(record.view, record.plate)
            else:
                found[record.view] = display
        told = [
            f"{plate}: cannot be opened, so that its size is not known; the roto is taken to be of the same"
            for view, plate in lacking.items()
            if view not in found
        ]
        return found, tuple(Warned(reason="PLATE_MISSING", message=text) for text in dict.fromkeys(told))

    def targets(self) -> list[Target]:
        found: dict[int, list[FaceRecord]] = {number: [] for number in self._roto.present}
        for record in self._faces:
            found[record.face.frame].append(record)
        made = {number: Target(frame=number, faces=tuple(faces)) for number, faces in found.items()}
        made |= {number: Target(frame=number, missing=True) for number in self._roto.missing}
        return [made[number] for number in sorted(made)]

    def digest(self, record: FaceRecord) -> str:
        """Of the file, with the plate's window where that is another one: while it is not known, it is taken for the
        same, and a plate that is back may tell otherwise.
        """
        file = self._file(record)
        said, display = file_digest(file), self._displays.get(record.view)
        return said if display in (None, read_header(file).display) else f"{said} {display}"

    def give(self, record: FaceRecord, made_of: str) -> Given:
        roto = read_matte(
            self._roto.template,
            record.face.frame,
            view=record.view,
            channel=self._channel,
            invert=self._invert,
            strict=True,
        )
        refuse_picture(roto)
        display = self._displays.get(record.view)
        across, down = (1.0, 1.0) if display is None else roto.scale(display, field="roto")
        where = _rescaled(record.alignment, across, down)
        matte = _cut(roto, where)
        return Given(
            what=str(roto.path),
            alignment=record.alignment,
            matte=matte,
            full=is_full(roto),
            others=roto.others,
            origin=origin_of(roto),
            made_of=made_of,
            warnings=(*clipped(roto), *self._neighbours(record, matte)),
        )

    def _file(self, record: FaceRecord) -> Path:
        return self._roto.template.of_view(record.view).path(record.face.frame)

    def _neighbours(self, record: FaceRecord, matte: Float) -> list[str]:
        """Who else the matte marks in this crop: a roto of several people teaches that all of them are this face."""
        told = []
        own = face_hull(record)
        for other in self._others.get((record.plate, record.view, record.face.frame), ()):
            if other.face.track == record.face.track:
                continue
            theirs = face_hull(replace(other, alignment=record.alignment)) * (1.0 - own)
            if theirs.mean() > 0.01 and float((theirs * matte).sum()) > 0.5 * float(theirs.sum()):
                told.append(
                    f"{record.path.name}: the matte marks track {other.face.track} too, who reaches into this crop"
                )
        return told


def _has_views(path: Path, views: list[str]) -> bool | None:
    """Whether a file has all of these views; None if it cannot be opened, which its own report will say."""
    try:
        header = read_header(path)
        for view in views:
            header_of(header, view)
    except InvalidInput:
        return False
    except (FrameMissing, FrameUnreadable):
        return None
    return True


def _by_picture(records: Iterable[FaceRecord]) -> dict[tuple[str, str, int], list[FaceRecord]]:
    found: dict[tuple[str, str, int], list[FaceRecord]] = defaultdict(list)
    for record in records:
        found[record.plate, record.view, record.face.frame].append(record)
    return found


def _rescaled(alignment: Alignment, across: float, down: float) -> Alignment:
    """From a picture of the plate that has `across` × `down` pixels for each of the plate's."""
    matrix = np.column_stack([alignment.matrix[:, :2] / (across, down), alignment.matrix[:, 2]])
    return Alignment(matrix=matrix, size=alignment.size, face_type=alignment.face_type)


def _cut(roto: Roto, alignment: Alignment) -> Float:
    """(S, S) float32 in [0, 1]: the matte in a crop; what its data window does not hold is 0 in the file."""
    window = warp.footprint(alignment, roto.data)
    if window.empty:
        matte = np.zeros((alignment.size, alignment.size), np.float32)
    else:
        refuse_nonfinite(roto, window)
        matte = warp.to_aligned(roto.values, roto.data, alignment, border="zero")
    return np.subtract(1.0, matte) if roto.invert else matte
