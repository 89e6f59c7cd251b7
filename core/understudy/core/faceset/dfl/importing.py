"""A faceset of DeepFaceLab becomes one of ours, with every field that it has."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core import faceset
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace, UnderstudyError
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.dfl import drawn, jpeg, metadata, naming, sidecar, source
from understudy.core.faceset.dfl.conversion import record_of
from understudy.core.faceset.dfl.metadata import Metadata
from understudy.core.faceset.dfl.naming import Place
from understudy.core.faceset.dfl.sidecar import Sidecar
from understudy.core.faceset.dfl.source import Source
from understudy.core.faceset.labels import Label
from understudy.core.faceset.mattes import Matte
from understudy.core.frames import Float
from understudy.core.pipeline import overlapped
from understudy.core.release import Release
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

VERSION = 2  # of what this module makes of the same file

_PNG = b"\x89PNG"


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What to take from where.

    Attributes:
        source: a folder of DeepFaceLab's JPEGs, or a `faceset.pak`; people may have sub-folders.
        out: folder of the faceset to make; what an earlier import left there is gone on with.
        release: the release record of the person, kept in the faceset.
    """

    source: Path
    out: Path
    release: Release | None = None

    def __post_init__(self) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise InvalidInput(f"out: {self.out} is a file", path=self.out, field="out", value=self.out)
        if self.out.resolve() == self.source.resolve():
            raise InvalidInput(
                f"out: {self.out} is the folder that is read; name another", field="out", value=self.out
            )


def import_(settings: ImportSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Import every face. Yields `Started`, `Advanced` after each, `Warned` for what is left out, the `Artifact`.

    Pictures are sRGB, as DeepFaceLab takes them, and become scene-linear in the working space. Polygons become labels,
    XSeg masks become mattes; a label or a matte of another origin that is there already stays. A face that was
    imported before from the same bytes is left as it is, so a run that was stopped goes on.

    Raises:
        NotFound: there is nothing to read.
        FrameUnreadable: the pak's own table or names can not be read.
        NoFace: none of the files is a face of DeepFaceLab.
        InvalidInput: the folder holds faces of another origin by these names, or another person's release.
        WriteFailed, DiskFull: what was written before is good.
    """
    sources = source.find(settings.source)
    if settings.release is not None:
        faceset.attach_release(settings.out, settings.release)
    yield Started(total=len(sources), unit="face")
    known: dict[Source, str] = {}
    for each in sources:
        found = _picture(each)
        if isinstance(found, Warned):
            yield found
        else:
            known[each] = found
    tracks = naming.people(each.person for each in known)
    yield from _several(tracks, settings.source)
    places = naming.places(list(known.values()), [tracks[each.person] for each in known])
    work = _Import(settings, colour, places)
    made, done = 0, len(sources) - len(known)
    with closing(overlapped(zip(known, places, strict=True), work.read, work.convert, work.write)) as results:
        for result in results:
            made, done = made + result.made, done + 1
            yield from result.warnings
            yield Advanced(done=done)
    if not made:
        raise NoFace(
            f"{settings.source}: not one of its {len(sources)} pictures is a face of DeepFaceLab that can be read",
            path=settings.source,
            field="source",
        )
    yield Artifact(kind="faceset", path=settings.out)


def _several(tracks: Mapping[str, int], folder: Path) -> Iterator[Warned]:
    if len(tracks) > 1:
        who = ", ".join(f"{track} is {person or 'who has no folder'}" for person, track in tracks.items())
        yield Warned(reason="SEVERAL_PEOPLE", message=f"{folder}: several people: track {who}")


@dataclass(frozen=True)
class _Result:
    """What became of one face."""

    made: bool
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True)
class _Job:
    """A face between the stages: pixels as stored, then in the working space."""

    record: FaceRecord
    sidecar: Sidecar
    picture: npt.NDArray[np.uint8] | Float
    label: Label | None
    matte: Matte | None
    warnings: tuple[Warned, ...]


class _Import:
    """One run. `read` and `write` run in threads and change none of it."""

    def __init__(self, settings: ImportSettings, colour: ColourConfig, places: list[Place]) -> None:
        self._out, self._colour = settings.out, colour
        self._there = Faceset(path=self._out)
        release = settings.release.id if settings.release else ""
        self._release, self._recipe = release, [VERSION, colour.cache_id, release]
        self._done: dict[str, str] = {}
        if self._out.is_dir():
            there = Faceset.open(self._out)
            self._done = {record.path.stem: record.digest for record in there.records}
        for place in places:
            image = self._image(place)
            if place.name in self._done and not sidecar.path_of(image).is_file():
                raise InvalidInput(
                    f"out: {image} is there, and was not imported from DeepFaceLab; name another folder",
                    path=image,
                    field="out",
                    value=self._out,
                )

    def _earlier(self, record: FaceRecord) -> Sidecar | None:
        """What an earlier import knew of a face; one that can not be read knew nothing."""
        try:
            return sidecar.read(self._there, record)
        except FrameUnreadable:
            return None

    def _image(self, place: Place) -> Path:
        return self._out / f"{place.name}.exr"

    def read(self, item: tuple[Source, Place]) -> _Job | _Result:
        """First stage: pixels and metadata; or what there is to say, if it is done or can not be."""
        face, place = item
        try:
            data = _bytes(face, face.read)
            sha256 = hashlib.sha256(data).hexdigest()
            made_of = [*self._recipe, sha256, place.plate, place.frame, place.track, place.faces, face.file]
            digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
            if self._done.get(place.name) == digest:
                return _Result(made=True)
            said, picture = metadata.read(_payload(data, face), face.where), _square(data, face)
            size = len(picture)
            record = record_of(said, size, place, self._image(place), self._colour)
        except InvalidInput as error:  # of its landmarks, which `align` knows no file of
            return _Result(made=False, warnings=(_left_out(_unreadable(face, error.message)),))
        except UnderstudyError as error:
            return _Result(made=False, warnings=(_left_out(error),))
        label, matte, warned = _drawn(face, said, record.alignment)
        return _Job(
            record=replace(record, digest=digest, release=self._release),
            sidecar=Sidecar(file=face.file, person=face.person, size=size, sha256=sha256, metadata=said),
            picture=picture,
            label=label,
            matte=matte,
            warnings=(*_lost(face, said.lost), *warned),
        )

    def convert(self, job: _Job | _Result) -> _Job | _Result:
        """Second stage: the pixels in the working space."""
        if isinstance(job, _Result):
            return job
        codes = job.picture.astype(np.float32) / np.float32(255)
        return replace(job, picture=self._colour.from_srgb(codes))

    def write(self, job: _Job | _Result) -> _Result:
        """Last stage. The image comes last: what it says is done has its side file."""
        if isinstance(job, _Result):
            return job
        label, matte = drawn.keep(self._there, job.record, job.label, job.matte, self._earlier(job.record))
        sidecar.write(replace(job.sidecar, label=label, matte=matte), job.record.path)
        faceset.write(job.record, job.picture.astype(np.float32, copy=False))
        return _Result(made=True, warnings=job.warnings)


def _drawn(
    face: Source, said: Metadata, alignment: Alignment
) -> tuple[Label | None, Matte | None, tuple[Warned, ...]]:
    """What was drawn and made for a face, and what of it can not be used, which the side file keeps all the same."""
    label, matte, told = drawn.label_of(said, alignment), None, []
    if said.seg_ie_polys and label is None:
        told.append(
            Warned(
                reason="LABEL_REFUSED",
                message=f"{face.where}: its polygons include nothing; it gets no label",
            )
        )
    try:
        matte = drawn.matte_of(said, alignment, face.where)
    except FrameUnreadable as error:
        told.append(Warned(reason=error.reason, message=f"{error.message}; it gets no matte"))
    return label, matte, tuple(told)


def _picture(face: Source) -> str | Warned:
    """Name of the picture that a face was cut from, or why it is not known."""
    try:
        return _named(face, face.head)
    except UnderstudyError:  # its metadata may lie further on
        try:
            return _named(face, face.read)
        except UnderstudyError as error:
            return _left_out(error)


def _named(face: Source, read: Callable[[], bytes]) -> str:
    """As its metadata say; where they do not, the name of the face itself without its `_0`."""
    named = metadata.read(_payload(_bytes(face, read), face), face.where).source_filename
    return named or re.sub(r"_\d+(\.\w+)$", r"\1", face.file)


def _payload(data: bytes, face: Source) -> bytes:
    found = None if data.startswith(_PNG) else jpeg.metadata(data, face.where)
    if found is None:
        raise _NoMetadata(f"{face.where}: no DFL metadata in it", path=face.where)
    return found


def _square(data: bytes, face: Source) -> npt.NDArray[np.uint8]:
    picture = jpeg.decode(data, face.where)
    height, width = picture.shape[:2]
    if width != height:
        raise _unreadable(face, f"{width}×{height} pixels; a face of DeepFaceLab is square")
    return picture


def _bytes(face: Source, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except OSError as error:
        raise _unreadable(face, f"can not be read: {error.strerror or error}") from error


def _unreadable(face: Source, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{face.where}: {why}", path=face.where)


def _left_out(error: UnderstudyError) -> Warned:
    reason = "NO_DFL_METADATA" if isinstance(error, _NoMetadata) else error.reason
    return Warned(reason=reason, message=f"{error.message}; left out")


def _lost(face: Source, names: tuple[str, ...]) -> tuple[Warned, ...]:
    if not names:
        return ()
    return (Warned(reason="DFL_FIELD_DROPPED", message=f"{face.where}: can not keep its {', '.join(names)}"),)


class _NoMetadata(FrameUnreadable):
    """A picture, and not one of DeepFaceLab."""
