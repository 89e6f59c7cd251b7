"""Another faceset out of one, of another crop size or face type; no plate is needed.

Of the same type the picture stays what it was and only its pixels change: averaged where it shrinks, by an enhancer
(`enhance`) where it grows. Another type is cut anew around the landmarks, out of the stored crop. What lies outside
of that was never stored, so a type can only become a smaller one; for a larger one the plate must be looked at again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.core import _plugins, align, enhance, warp
from understudy.core.enhance import TRAINED, Enhancer
from understudy.core.errors import InvalidInput, NoFace, UnderstudyError
from understudy.core.face import Alignment
from understudy.core.faceset import store as faceset
from understudy.core.faceset.beside import carry
from understudy.core.faceset.dfl import sidecar
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import replacing
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.pipeline import overlapped
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned
from understudy.core.weights import WeightStore

VERSION = 1  # of what this module makes of the same face

_SLACK = 0.01  # of a crop's side that may lie outside the stored one unsaid: whole reaches 0.3 % below head


@dataclass(frozen=True, kw_only=True)
class ResizeSettings:
    """What to make of which faceset.

    Attributes:
        faceset: a faceset, folder or pack.
        out: folder of the new one; what an earlier run left there is gone on with.
        size: side of a crop in pixels, 32 to 2048; 0 keeps each face's.
        face_type: of `align.FACE_TYPES`; empty keeps each face's.
        enhance: member of `enhance`: how pixels are made where faces grow.
        enhancer: folder of one, for the member `trained`.
        device: where the enhancer works, as its `create` takes it.
    """

    faceset: Path
    out: Path
    size: int = 0
    face_type: str = ""
    enhance: str = "lanczos"
    enhancer: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.size and not 32 <= self.size <= 2048:
            raise InvalidInput(
                f"size: {self.size} is neither 0 nor from 32 to 2048", field="size", value=self.size
            )
        choices = {"face_type": ("", *align.FACE_TYPES), "enhance": _plugins.names("enhance")}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise InvalidInput(
                    f"{name}: no {value!r}; there are {', '.join(filter(None, known))}",
                    field=name,
                    value=value,
                )
        if self.enhance == TRAINED and self.enhancer is None:
            raise InvalidInput(
                "enhancer: `trained` is a network of yours; name its folder", field="enhancer", value=""
            )
        if not self.size and not self.face_type:
            raise InvalidInput("size: neither a size nor a face type is asked for", field="size", value=0)
        if self.out.exists() and not self.out.is_dir():
            raise InvalidInput(f"out: {self.out} is a file", path=self.out, field="out", value=self.out)
        if self.out.resolve() == self.faceset.resolve():
            raise InvalidInput(
                f"out: {self.out} is the faceset itself; name another folder", field="out", value=self.out
            )


def run(settings: ResizeSettings, *, store: WeightStore) -> Iterator[Report]:
    """Make every face anew. Yields `Started`, `Advanced` after each, `Warned`, and the `Artifact`.

    Names stay, so does what lies beside the faces: the release, labels, mattes, and what DeepFaceLab knew of them. A
    face that is there by the same settings out of the same face is left as it is; a label or matte that it has too.

    Raises:
        NotFound: there is no such faceset.
        NoFace: there is no face in it, or none could be read.
        InvalidInput: the face type is larger than a face's own; or `out` holds a face of another making by one's name.
        WeightsMissing, WeightsCorrupt: of the enhancer.
        WriteFailed, DiskFull: what was written before is good.
    """
    faces = Faceset.open(settings.faceset)
    work = _Resize(settings, faces, store)
    if (granted := faces.release()) is not None:
        faceset.attach_release(settings.out, granted)
    yield Started(total=len(faces.records), unit="face")
    yield from (Warned(reason="FRAME_UNREADABLE", message=sentence) for sentence in faces.broken)
    made = 0
    with closing(overlapped(iter(faces.records), work.read, work.make, work.write)) as results:
        for done, warning in enumerate(results, 1):
            made += warning is None
            if warning is not None:
                yield warning
            yield Advanced(done=done)
    if not made:
        raise NoFace(f"{faces.path}: no face in it that can be read", path=faces.path, field="faceset")
    if work.outside:
        yield Warned(
            reason="OUTSIDE_CROP",
            message=f"{faces.path}: {len(work.outside)} of {made} faces reach beyond their stored picture, by up to "
            f"{max(work.outside):.0%} of a side; its last pixels go on there. Extract again for the whole",
        )
    yield Artifact(kind="faceset", path=settings.out)


@dataclass(frozen=True)
class _Job:
    """A face between the stages: as it was, then as it is to be."""

    record: FaceRecord
    pixels: Float


class _Resize:
    """One run. `read` and `write` run in threads and change none of it.

    Attributes:
        outside: for each face that needs more than is stored, how much of a side.
    """

    def __init__(self, settings: ResizeSettings, faces: Faceset, store: WeightStore) -> None:
        self._settings, self._faces = settings, faces
        self.outside: list[float] = []
        for face_type in faces.columns.texts["face_type"].used():
            _check_type(faces.path, face_type, settings.face_type)
        self._enhancer = enhance.opened(
            settings.enhance, store, device=settings.device, folder=settings.enhancer
        )
        weights = filter(None, [self._enhancer.digest])
        self._recipe = [VERSION, settings.size, settings.face_type, settings.enhance, *weights]
        self._done: dict[str, str] = {}
        if settings.out.is_dir():
            there = Faceset.open(settings.out)
            self._done = {record.path.name: record.digest for record in there.records}
        for record in faces.records if self._done else ():
            if self._done.get(record.path.name, digest := self._digest(record)) != digest:
                raise InvalidInput(
                    f"out: {settings.out} has another {record.path.name}; name another folder",
                    path=settings.out / record.path.name,
                    field="out",
                    value=settings.out,
                )

    def _digest(self, record: FaceRecord) -> str:
        made_of = [*self._recipe, record.digest, record.alignment.matrix.tolist(), record.alignment.size]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()

    def read(self, record: FaceRecord) -> _Job | Warned | None:
        """First stage: the pixels; nothing, where there is nothing to do."""
        digest = self._digest(record)
        try:
            if record.path.name in self._done:
                self._carry(record)
                return None
            return _Job(replace(record, digest=digest), self._faces.load(record))
        except UnderstudyError as error:
            return Warned(reason=error.reason, message=f"{error.message}; left out")

    def make(self, job: _Job | Warned | None) -> _Job | Warned | None:
        """Second stage: the new pixels and where they lie."""
        if not isinstance(job, _Job):
            return job
        record = job.record
        wanted = self._wanted(record)
        pixels = resized(fill_nonfinite(job.pixels)[0], record.alignment, wanted, self._enhancer)
        path = self._settings.out / record.path.name
        return _Job(replace(record, alignment=wanted, path=path), pixels)

    def _wanted(self, record: FaceRecord) -> Alignment:
        stored, settings = record.alignment, self._settings
        size = settings.size or stored.size
        if settings.face_type in ("", stored.face_type):
            return replace(stored, matrix=stored.matrix * (size / stored.size), size=size)
        points = record.face.landmarks.points
        wanted = align.fit(points, settings.face_type, size, record.pixel_aspect)
        if (reach := _reach(stored, wanted)) > _SLACK:
            self.outside.append(reach)
        return wanted

    def _carry(self, record: FaceRecord) -> None:
        """Label and matte go along as they are: they say in which crop they were drawn."""
        carry(self._faces, record.path.stem, self._settings.out, record.path.stem)

    def write(self, job: _Job | Warned | None) -> Warned | None:
        """Last stage. The image comes last: what it says is done has its side file."""
        if not isinstance(job, _Job):
            return job
        there = self._settings.out / job.record.path.name
        source = replace(job.record, path=self._faces.path / job.record.path.name)
        self._carry(source)
        if (beside := sidecar.content(self._faces, source)) is not None:
            with replacing(sidecar.path_of(there)) as file:
                file.write_bytes(beside)
        faceset.write(job.record, job.pixels)
        return None


def resized(rgb: Float, stored: Alignment, wanted: Alignment, enhancer: Enhancer) -> Float:
    """(S, S, 3) finite pixels of one crop → (T, T, 3) of another crop of the same face, as far as they reach."""
    side, across = rgb.shape[0], warp.between(stored, wanted)
    growth = math.sqrt(abs(np.linalg.det(across.matrix[:, :2])))
    if growth > 1.0:  # first the detail, in the crop's own grid; then only its place changes
        finer = round(side * growth)
        rgb, side = enhancer.enlarge(rgb, finer, stored.face_type), finer
        stored = replace(stored, matrix=stored.matrix * (finer / stored.size), size=finer)
        across = warp.between(stored, wanted)
    if np.allclose(across.matrix, np.eye(2, 3), atol=1e-9):
        return rgb
    return warp.to_aligned(rgb, Window(0, 0, side, side), across)


def _check_type(path: Path, stored: str, wanted: str) -> None:
    kinds = align.FACE_TYPES
    if not wanted or wanted == stored or stored not in kinds:
        return
    if kinds[wanted].side >= kinds[stored].side:
        raise InvalidInput(
            f"face_type: {path} has {stored} faces, and what more {wanted} shows was never stored; extract the plate "
            f"again as {wanted}",
            path=path,
            field="face_type",
            value=wanted,
        )


def _reach(stored: Alignment, wanted: Alignment) -> float:
    """How far the wanted crop reaches beyond the stored one, in the stored one's sides; 0 where it lies inside."""
    size = float(wanted.size)
    corners = np.array([(0.0, 0.0), (size, 0.0), (size, size), (0.0, size)])
    back = warp.between(wanted, stored).apply(corners) / stored.size
    return max(0.0, float(-back.min()), float(back.max() - 1.0))
