"""A faceset becomes one of DeepFaceLab: JPEGs with its metadata.

Pixels are encoded anew from the faceset's own, through the shot's exposure and sRGB: what is above display white is
held there, since a JPEG has no more. That holds for an imported face too, whose pixels come back within what one more
JPEG of the chosen quality costs; its metadata comes back to the bit. Labels of polygons become DeepFaceLab's polygons,
mattes its XSeg masks, labels that are mattes too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput, NoFace, UnderstudyError, WriteFailed
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.dfl import conversion, drawn, jpeg, metadata, sidecar
from understudy.core.faceset.dfl.metadata import Metadata
from understudy.core.faceset.dfl.source import plain
from understudy.core.files import replacing, write_text
from understudy.core.frames import Float
from understudy.core.image import fill_nonfinite
from understudy.core.pipeline import overlapped
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

_MARK = ".understudy-export"  # in the folder: what is there is an export's, and may be written again


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What to write where.

    Attributes:
        faceset: a faceset, folder or pack.
        out: a folder that is new, empty, or an earlier export's.
        quality: of the JPEGs, 1 to 100.
    """

    faceset: Path
    out: Path
    quality: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InvalidInput(
                f"quality: {self.quality} is not from 1 to 100", field="quality", value=self.quality
            )
        if self.out.exists() and not self.out.is_dir():
            raise InvalidInput(f"out: {self.out} is a file", path=self.out, field="out", value=self.out)
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / _MARK).is_file():
            raise InvalidInput(
                f"out: {self.out} is not empty; name a new folder", path=self.out, field="out", value=self.out
            )


def export(settings: ExportSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Write every face. Yields `Started`, `Advanced` after each, `Warned` for what is left out, the `Artifact`.

    Files are called as DeepFaceLab called them, or by the frame they are of and `_0`, `_1`, … within it.

    Raises:
        NotFound: there is no such faceset.
        InvalidInput: it is in another working space than the config's.
        NoFace: there is no face in it, or none could be read.
        WriteFailed, DiskFull: what was written before is good.
    """
    faces = Faceset.open(settings.faceset)
    work = _Export(settings, colour, faces)
    write_text(settings.out / _MARK, f"Made by Understudy from {settings.faceset.name}.\n")
    yield Started(total=len(faces.records), unit="face")
    yield from (Warned(reason="FRAME_UNREADABLE", message=sentence) for sentence in faces.broken)
    if (faces.columns.pixel_aspect != 1.0).any():
        yield Warned(
            reason="ANAMORPHIC",
            message=f"{faces.path}: faces of a squeezed plate. Crops are un-squeezed and matrices right, but "
            "DeepFaceLab takes the plate's pixels for square where it aligns a face anew or merges",
        )
    made = 0
    with closing(overlapped(work.jobs(), work.read, work.convert, work.write)) as results:
        for done, warning in enumerate(results, 1):
            made += warning is None
            if warning is not None:
                yield warning
            yield Advanced(done=done)
    if not made:
        raise NoFace(f"{faces.path}: no face in it that can be read", path=faces.path, field="faceset")
    yield Artifact(kind="faceset", path=settings.out)


@dataclass(frozen=True)
class _Named:
    """A face and the file it goes to; or why it does not."""

    record: FaceRecord
    metadata: Metadata | None
    file: Path
    beside: sidecar.Sidecar | None = None
    warning: Warned | None = None


@dataclass(frozen=True)
class _Job:
    """A face between the stages: pixels in the working space, then as a JPEG holds them."""

    named: _Named
    pixels: Float | npt.NDArray[np.uint8]


class _Export:
    """One run. `read` and `write` run in threads and change none of it."""

    def __init__(self, settings: ExportSettings, colour: ColourConfig, faces: Faceset) -> None:
        self._settings, self._colour, self._faces = settings, colour, faces
        if spaces := sorted(set(faces.columns.texts["colour"].used()) - {colour.working}):
            raise InvalidInput(
                f"{faces.path}: faces in {spaces[0]}, and the config's working space is {colour.working}; give the "
                "config that they were extracted with",
                path=faces.path,
                field="colour_config",
                value=spaces[0],
            )

    def jobs(self) -> Iterator[_Named]:
        """The faces, each with a name that no other has."""
        used: set[Path] = set()
        counts: Counter[str] = Counter()
        for record in self._faces.records:
            try:
                beside = sidecar.read(self._faces, record)
                said = conversion.metadata_of(record, beside)
            except UnderstudyError as error:
                yield _Named(record, None, Path(), warning=_left_out(error))
                continue
            file = Path()
            if beside is not None:
                file = Path(plain(beside.person)) / f"{Path(plain(beside.file)).stem}.jpg"
            stem = Path(said.source_filename or record.path.name).stem
            while file == Path() or file in used:
                file = Path(f"{plain(stem) or 'face'}_{counts[stem]}.jpg")
                counts[stem] += 1
            used.add(file)
            yield _Named(record, said, self._settings.out / file, beside)

    def read(self, named: _Named) -> _Job | Warned:
        """First stage: the pixels, and what was drawn."""
        if named.warning is not None:
            return named.warning
        assert named.metadata is not None
        try:
            said = drawn.put(named.metadata, self._faces, named.record, named.beside)
            return _Job(replace(named, metadata=said), self._faces.load(named.record))
        except UnderstudyError as error:
            return _left_out(error)

    def convert(self, job: _Job | Warned) -> _Job | Warned:
        """Second stage: as they are looked at."""
        if isinstance(job, Warned):
            return job
        pixels = fill_nonfinite(job.pixels.astype(np.float32, copy=False))[0]
        shown = self._colour.proxy(pixels, job.named.record.gain)
        return _Job(job.named, np.round(shown * 255).astype(np.uint8))

    def write(self, job: _Job | Warned) -> Warned | None:
        """Last stage."""
        if isinstance(job, Warned):
            return job
        named = job.named
        assert named.metadata is not None
        try:
            picture = jpeg.encode(job.pixels.astype(np.uint8, copy=False), self._settings.quality)
            data = jpeg.with_metadata(picture, metadata.write(named.metadata), named.record.path)
            with replacing(named.file) as beside:
                beside.write_bytes(data)
        except WriteFailed:
            raise
        except UnderstudyError as error:
            return _left_out(error)
        return None


def _left_out(error: UnderstudyError) -> Warned:
    return Warned(reason=error.reason, message=f"{error.message}; left out")
