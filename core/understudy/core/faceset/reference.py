"""The reference face of a faceset: who its faces are compared with, and how far each is from that face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core import _plugins, drawing, plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset.measured import UNREADABLE, Table, folder_of
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import replacing
from understudy.core.frames import Float
from understudy.core.identity import Describer, IdentityLook
from understudy.core.landmark import Look
from understudy.core.weights import WeightStore

COLUMN = "descriptor"

_FILE = "reference.npz"
_DETECTOR, _LANDMARKER = "blazeface", "facemesh"  # those whose weights come with us


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A face to compare with.

    Attributes:
        source: the picture that it was taken from.
        family: the identity that described it, and that must describe the others.
        descriptor: (D,) float32.
    """

    source: str
    family: str
    descriptor: Float


def group(family: str) -> str:
    """The table that a family's descriptors are kept in."""
    return f"identity.{family}"


def create(family: str, store: WeightStore) -> Describer:
    """Raises InvalidInput, WeightsMissing as the family does."""
    describer: Describer = _plugins.load("identity", family, field="identity").create(store)
    return describer


def distances(faceset: Faceset) -> npt.NDArray[np.float64] | None:
    """(N,) how far each face is from the reference, NaN where it is not described; None without a reference."""
    stored = kept(faceset.path)
    if stored is None:
        return None
    rows = Table(faceset, group(stored.family)).column(COLUMN)
    if rows is None or rows.shape[1:] != stored.descriptor.shape:
        return np.full(len(faceset.columns.name), np.nan)
    return np.asarray(np.linalg.norm(rows - stored.descriptor, axis=1), np.float64)


def keep(faceset: Path, source: Path, family: str, seen: IdentityLook, describer: Describer) -> None:
    """Describe the face in a picture and keep it with the faceset's measures; raises WriteFailed, DiskFull."""
    descriptor = np.asarray(describer.describe([seen])[0], np.float32)
    said = {"source": np.array(str(source)), "family": np.array(family)}
    with replacing(folder_of(faceset) / _FILE) as beside, beside.open("wb") as out:
        np.savez(out, allow_pickle=False, **said, descriptor=descriptor)


def kept(faceset: Path) -> Reference | None:
    """The reference that was kept last; None where there is none that can be read."""
    try:
        with np.load(folder_of(faceset) / _FILE, allow_pickle=False) as stored:
            return Reference(
                source=str(stored["source"]), family=str(stored["family"]), descriptor=stored["descriptor"]
            )
    except UNREADABLE:
        return None


def look(source: Path, store: WeightStore, colour: ColourConfig) -> IdentityLook:
    """The one face in a picture: an image of a faceset, or a picture that OpenCV reads (PNG, JPEG, TIFF; sRGB).

    Raises:
        NotFound, FrameUnreadable: the file is not there or no picture.
        InvalidInput: it shows no face, or several.
    """
    if not source.is_file():
        raise NotFound(f"reference: there is no file {source}", path=source, field="reference", value=source)
    if source.suffix.lower() == ".exr":
        return _of_faceset(source, colour)
    read = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if read is None:
        raise FrameUnreadable(
            f"reference: {source} is no picture that can be read", path=source, field="reference"
        )
    proxy = np.ascontiguousarray(read[..., ::-1]).astype(np.float32) / 255.0
    detector = _plugins.load("detect", _DETECTOR).create(store)
    landmarker = _plugins.load("landmark", _LANDMARKER).create(store)
    found = detector.detect([proxy])[0]
    if len(found) != 1:
        shows = f"{len(found)} faces; cut it to one" if found else "no face"
        raise InvalidInput(f"reference: {source} shows {shows}", path=source, field="reference", value=source)
    (points,) = landmarker.landmarks([Look(proxy=proxy, detection=found[0])])
    return IdentityLook(proxy=proxy, points=landmarker.to_68(points.landmarks).points)


def _of_faceset(source: Path, colour: ColourConfig) -> IdentityLook:
    header = plate.read_header(source)
    try:
        record = FaceRecord.from_header(source, header.metadata, header.data.width)
    except FrameUnreadable as error:
        raise FrameUnreadable(
            f"reference: {error}; give a face of a faceset, or a PNG, JPEG or TIFF with one face in it",
            path=source,
            field="reference",
        ) from error
    rgb = plate.read_file(source, record.face.frame).rgb()
    points = record.alignment.apply(record.face.landmarks.points).astype(np.float32)
    proxy = drawing.shown(rgb, record.gain, colour).astype(np.float32) / 255.0
    return IdentityLook(proxy=proxy, points=points)
