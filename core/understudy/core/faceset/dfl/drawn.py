"""What was drawn: DeepFaceLab's polygons are our labels, its XSeg masks our mattes, in both directions.

Of an imported face the side file keeps which label and which matte came of it. As long as these lie there, what
DeepFaceLab gave goes out again to the bit; what somebody has drawn, made or cleared since goes out in its place.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.core.face import Alignment
from understudy.core.faceset.beside import moved
from understudy.core.faceset.dfl import geometry, metadata
from understudy.core.faceset.dfl.metadata import Metadata
from understudy.core.faceset.dfl.sidecar import Sidecar
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.faceset.polygons import MOST_POINTS, Polygon
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Float

ORIGIN = "dfl"
"""Of labels and mattes that came from DeepFaceLab."""


def label_of(said: Metadata, alignment: Alignment) -> Label | None:
    """A face's polygons as its label; None where they include nothing. Lines of two points are left out."""
    polygons = tuple(
        Polygon(include=bool(each.kind), points=geometry.ours(each.points))
        for each in said.seg_ie_polys
        if 3 <= len(each.points) <= MOST_POINTS
    )
    if not any(polygon.include for polygon in polygons):
        return None
    return Label(kind="polygons", polygons=polygons, alignment=alignment, origin=ORIGIN)


def matte_of(said: Metadata, alignment: Alignment, where: Path | str) -> Matte | None:
    """A face's XSeg mask, which covers the crop in whatever resolution. How sure XSeg was nobody says: 1 is taken.

    Raises:
        FrameUnreadable: the mask is damaged; names `where`.
    """
    if said.xseg_mask is None:
        return None
    mask = metadata.decode_mask(said.xseg_mask, where).astype(np.float32) / np.float32(255)
    height, width = mask.shape
    finer = np.diag([width / alignment.size, height / alignment.size]) @ alignment.matrix
    stored = replace(alignment, matrix=finer, size=width)
    if height != width:
        mask, stored = _squared(mask, stored, alignment), alignment
    return Matte(
        matte=mask,
        confidence=1.0,
        segmenter=ORIGIN,
        made_of=hashlib.sha256(said.xseg_mask).hexdigest(),
        alignment=stored,
    )


def keep(
    faceset: Faceset, record: FaceRecord, label: Label | None, matte: Matte | None, earlier: Sidecar | None
) -> tuple[str, str]:
    """Write what was imported for a face, but not over what is somebody's own; digests of both as they lie there.

    Args:
        faceset: where it goes.
        record: the face.
        label, matte: what there is now.
        earlier: what was known of the face when it was imported before.

    Returns:
        Digests of the imported label and matte, empty where there is none.

    Raises:
        WriteFailed, DiskFull: naming the file.
    """
    name, labels, mattes = record.path.name, Labels(faceset), Mattes(faceset)
    kept = ["", ""]
    if labels.digest(record) in (None, earlier.label if earlier else None):
        labels.clear([name])
        if label is not None:
            labels.write(record, label)
            kept[0] = labels.digest(record) or ""
    if mattes.digest(record) in (None, earlier.matte if earlier else None):
        mattes.clear([name])
        if matte is not None:
            mattes.write(record, matte)
            kept[1] = mattes.digest(record) or ""
    return kept[0], kept[1]


def put(said: Metadata, faceset: Faceset, record: FaceRecord, beside: Sidecar | None) -> Metadata:
    """A face's metadata with the label and the matte that it has now; a label that is a matte goes out as the mask.

    Args:
        said: with what an import knew, carried into the face's crop.
        faceset: of the face.
        record: the face.
        beside: its side file.

    Raises:
        FrameUnreadable, InvalidInput: as `Labels.read`, `Mattes.read`.
    """
    labels, mattes = Labels(faceset), Mattes(faceset)
    polygons, mask = said.seg_ie_polys, said.xseg_mask
    if _changed(labels.digest(record), beside.label if beside else None):
        label = labels.read(record)
        polygons = _theirs(label, record) if label else ()
        drawn = labels.matte(record) if label and label.kind == "matte" else None
    else:
        drawn = None
    if drawn is not None:
        mask = _encoded(drawn)
    elif _changed(mattes.digest(record), beside.matte if beside else None):
        made = mattes.matte(record)
        mask = None if made is None else _encoded(made)
    return replace(said, seg_ie_polys=polygons, xseg_mask=mask)


def _changed(now: str | None, imported: str | None) -> bool:
    """Whether somebody has drawn or cleared it since; an import of before there were labels knows of none."""
    return now is not None if imported is None else (now or "") != imported


def _theirs(label: Label, record: FaceRecord) -> tuple[metadata.Polygon, ...]:
    return tuple(
        metadata.Polygon(kind=int(p.include), points=geometry.theirs(p.points))
        for p in label.carried(record.alignment)
    )


def _encoded(matte: Float) -> bytes:
    return metadata.encode_mask(np.round(matte * 255.0).astype(np.uint8))


def _squared(mask: Float, stored: Alignment, wanted: Alignment) -> Float:
    """A mask that is not square, in the crop's own pixels."""
    height, width = mask.shape
    side = max(height, width)
    whole = np.zeros((side, side), np.float32)
    whole[:height, :width] = mask
    return moved(whole, replace(stored, size=side), wanted)
