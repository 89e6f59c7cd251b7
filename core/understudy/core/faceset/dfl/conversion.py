"""Between DeepFaceLab's metadata and our records, in both directions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core import align, warp
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment, Face, Landmarks
from understudy.core.faceset.dfl import geometry
from understudy.core.faceset.dfl.metadata import Metadata, Polygon, decode_mask, encode_mask
from understudy.core.faceset.dfl.naming import Place
from understudy.core.faceset.dfl.sidecar import Sidecar
from understudy.core.faceset.record import FaceRecord
from understudy.core.frames import Window
from understudy.core.plate.template import Template

_SAME = 0.01  # plate px: landmarks closer than this are the same, stored as float32
_NAMES = {name: theirs for theirs, name in geometry.FACE_TYPES.items()}


def record_of(metadata: Metadata, size: int, place: Place, path: Path, colour: ColourConfig) -> FaceRecord:
    """A face's record, its digest empty.

    DeepFaceLab keeps no score: it is 1, and the exposure gain too, since its pictures are made to be looked at. The
    pose is solved from the landmarks as DeepFaceLab does it, by a camera whose focal length is the crop's side,
    but in the plate, so that roll is the head's own.
    """
    alignment = alignment_of(metadata, size)
    points = geometry.ours(metadata.source_landmarks)
    scale = math.sqrt(abs(np.linalg.det(alignment.matrix[:, :2])))
    pitch, yaw, roll = align.pose(points, focal=size / scale)
    face = Face(
        frame=place.frame,
        box=_box(metadata),
        landmarks=Landmarks(scheme="68", points=points.astype(np.float32)),
        score=1.0,
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        track=place.track,
    )
    return FaceRecord(
        path=path,
        face=face,
        alignment=alignment,
        plate=place.plate,
        gain=1.0,
        colour=colour.working,
        config=colour.cache_id,
        faces=place.faces,
    )


def alignment_of(metadata: Metadata, size: int) -> Alignment:
    """Where a crop of `size` pixels lies in its picture; where that was not kept, as the landmarks in both say."""
    matrix = metadata.image_to_face_mat
    if matrix is None:
        matrix = align.umeyama(metadata.source_landmarks, metadata.landmarks)
    return Alignment(
        matrix=geometry.matrix_ours(matrix), size=size, face_type=geometry.FACE_TYPES[metadata.face_type]
    )


def metadata_of(record: FaceRecord, sidecar: Sidecar | None) -> Metadata:
    """What DeepFaceLab is to know of a face.

    What a sidecar holds is taken as it is, wherever the record still says the same; what has changed since is the
    record's, and polygons and mask are carried into the crop as it is now.

    Raises:
        InvalidInput: DeepFaceLab has no such face type.
        FrameUnreadable: the sidecar's mask is damaged.
    """
    if record.alignment.face_type not in _NAMES:
        raise InvalidInput(
            f"{record.path}: DeepFaceLab has no face type {record.alignment.face_type!r}",
            path=record.path,
            field="face_type",
            value=record.alignment.face_type,
        )
    computed = _computed(record)
    if sidecar is None:
        return computed
    kept, was = sidecar.metadata, alignment_of(sidecar.metadata, sidecar.size)
    points = geometry.ours(kept.source_landmarks)
    same_face = bool(np.abs(points - record.face.landmarks.points).max() < _SAME)
    same_box = bool(np.abs(np.subtract(_box(kept), record.face.box)).max() < _SAME)
    now = record.alignment
    same_crop = was.size == now.size and was.face_type == now.face_type and (was.matrix == now.matrix).all()
    if not same_crop:
        kept = _carried(kept, was, now, f"{record.path}: its sidecar")
    return replace(
        kept,
        face_type=computed.face_type,
        source_landmarks=kept.source_landmarks if same_face else computed.source_landmarks,
        source_rect=kept.source_rect if same_box else computed.source_rect,
        landmarks=kept.landmarks if same_face else computed.landmarks,
    )


def source_name(record: FaceRecord) -> str:
    """The file that a record's frame is in, without its folder."""
    try:
        return Template.parse(record.plate).of_view(record.view).path(record.face.frame).name
    except InvalidInput:
        return Path(record.plate).name  # a still


def _computed(record: FaceRecord) -> Metadata:
    """Of a face that DeepFaceLab has never seen."""
    box = geometry.theirs(np.array(record.face.box).reshape(2, 2)).ravel()
    points = record.face.landmarks.points
    return Metadata(
        face_type=_NAMES[record.alignment.face_type],
        landmarks=geometry.theirs(record.alignment.apply(points)),
        source_filename=source_name(record),
        source_rect=tuple(round(v) for v in box.tolist()),
        source_landmarks=geometry.theirs(points),
        image_to_face_mat=geometry.matrix_theirs(record.alignment.matrix),
        eyebrows_expand_mod=1.0,
    )


def _box(metadata: Metadata) -> tuple[float, float, float, float]:
    """What the detector found, in plate pixels; the landmarks' own bounds where that was not kept."""
    points = metadata.source_landmarks
    rect = np.array(metadata.source_rect or (*points.min(axis=0), *points.max(axis=0)), np.float64)
    x0, y0, x1, y1 = geometry.ours(rect.reshape(2, 2)).ravel().tolist()
    return x0, y0, x1, y1


def _carried(kept: Metadata, was: Alignment, now: Alignment, path: str) -> Metadata:
    """What lies in the crop's own pixels, in another crop of the same face."""
    across = warp.between(was, now)

    def moved(points: geometry.Points) -> geometry.Points:
        return geometry.theirs(across.apply(geometry.ours(points)))

    mask = kept.xseg_mask
    if mask is not None:
        mask = encode_mask(_moved_mask(decode_mask(mask, path), was, now))
    return replace(
        kept,
        landmarks=moved(kept.landmarks),
        image_to_face_mat=geometry.matrix_theirs(now.matrix),
        seg_ie_polys=tuple(Polygon(kind=p.kind, points=moved(p.points)) for p in kept.seg_ie_polys),
        xseg_mask=mask,
    )


def _moved_mask(mask: npt.NDArray[np.uint8], was: Alignment, now: Alignment) -> npt.NDArray[np.uint8]:
    """`mask` (H, W) covers all of the crop as it was, in whatever resolution."""
    height, width = mask.shape
    finer = np.diag([width / was.size, height / was.size]) @ was.matrix
    across = warp.between(replace(was, matrix=finer), now)
    picture = mask.astype(np.float32) / np.float32(255)
    found = warp.to_aligned(picture, Window(0, 0, width, height), across, border="zero")
    return np.round(found * 255).astype(np.uint8)
