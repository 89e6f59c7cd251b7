"""What DeepFaceLab knows of a face and our header has no word for, beside the face: `dfl/<name>.json`.

All of its metadata is kept as it was read, in its own coordinates and to the bit: JSON carries float64 exactly, and an
XSeg mask is the encoded file that it was, in base64. One file a face, so that a pack, a join or a person who moves
faces about loses no half of it. Who deletes the folder loses that, and no face.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import FrameUnreadable
from understudy.core.faceset.dfl.geometry import FACE_TYPES
from understudy.core.faceset.dfl.metadata import Metadata, Polygon
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import write_text

FOLDER = "dfl"
FORMAT = "understudy.dfl/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sidecar:
    """What is kept of one imported face.

    Attributes:
        file: name of its JPEG.
        person: the sub-folder that the JPEG was in; empty for none.
        size: side of the JPEG in pixels.
        sha256: of the JPEG file, 64 hex digits.
        label, matte: digests of the label and the matte that came of it (`drawn`), empty where none did; None in side
            files from before there were any.
    """

    file: str
    person: str
    size: int
    sha256: str
    metadata: Metadata
    label: str | None = None
    matte: str | None = None


def path_of(image: Path) -> Path:
    """The side file of a face's image."""
    return image.parent / FOLDER / f"{image.stem}.json"


def content(faceset: Faceset, record: FaceRecord) -> bytes | None:
    """The side file of a face, as it lies in the folder or the pack; None if it has none.

    Raises:
        FrameUnreadable: it can not be read.
    """
    file = path_of(record.path)
    if faceset.pack is not None:
        return faceset.pack.beside(f"{FOLDER}/{file.name}")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FrameUnreadable(f"{file}: can not be read: {error.strerror or error}", path=file) from error


def write(sidecar: Sidecar, image: Path) -> None:
    """Lay it beside a face's image, atomically.

    Raises:
        WriteFailed, DiskFull: it could not be written.
    """
    said = sidecar.metadata
    matrix, mask = said.image_to_face_mat, said.xseg_mask
    entries = {
        "format": FORMAT,
        "file": sidecar.file,
        "person": sidecar.person,
        "size": sidecar.size,
        "sha256": sidecar.sha256,
        "label": sidecar.label,
        "matte": sidecar.matte,
        "face_type": said.face_type,
        "landmarks": said.landmarks.tolist(),
        "source_filename": said.source_filename,
        "source_rect": said.source_rect,
        "source_landmarks": said.source_landmarks.tolist(),
        "image_to_face_mat": None if matrix is None else matrix.tolist(),
        "eyebrows_expand_mod": said.eyebrows_expand_mod,
        "seg_ie_polys": [{"type": p.kind, "pts": p.points.tolist()} for p in said.seg_ie_polys],
        "xseg_mask": None if mask is None else base64.b64encode(mask).decode(),
        "others": dict(said.others),
    }
    write_text(path_of(image), json.dumps(entries, indent=1) + "\n")


def read(faceset: Faceset, record: FaceRecord) -> Sidecar | None:
    """What lies beside a face; None if nothing does.

    Raises:
        FrameUnreadable: it is there and not what `write` made.
    """
    text = content(faceset, record)
    if text is None:
        return None
    try:
        return _parsed(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        file = path_of(record.path)
        raise FrameUnreadable(f"{file}: not a side file of an imported face: {error!r}", path=file) from error


def _parsed(entries: Mapping[str, Any]) -> Sidecar:
    if entries["format"] != FORMAT:
        raise ValueError(f"format {entries['format']!r}")
    rect, matrix, mask = entries["source_rect"], entries["image_to_face_mat"], entries["xseg_mask"]
    if entries["face_type"] not in FACE_TYPES:
        raise ValueError(f"face_type {entries['face_type']!r}")
    modifier = entries["eyebrows_expand_mod"]
    metadata = Metadata(
        face_type=entries["face_type"],
        landmarks=np.array(entries["landmarks"], np.float64).reshape(68, 2),
        source_filename=str(entries["source_filename"]),
        source_rect=None if rect is None else tuple(rect),
        source_landmarks=np.array(entries["source_landmarks"], np.float64).reshape(68, 2),
        image_to_face_mat=None if matrix is None else np.array(matrix, np.float64).reshape(2, 3),
        eyebrows_expand_mod=None if modifier is None else float(modifier),
        seg_ie_polys=tuple(
            Polygon(kind=int(p["type"]), points=np.array(p["pts"], np.float64).reshape(-1, 2))
            for p in entries["seg_ie_polys"]
        ),
        xseg_mask=None if mask is None else base64.b64decode(mask, validate=True),
        others=dict(entries["others"]),
    )
    return Sidecar(
        file=str(entries["file"]),
        person=str(entries["person"]),
        size=int(entries["size"]),
        sha256=str(entries["sha256"]),
        label=_digest(entries, "label"),
        matte=_digest(entries, "matte"),
        metadata=metadata,
    )


def _digest(entries: Mapping[str, Any], name: str) -> str | None:
    said = entries.get(name)
    return None if said is None else str(said)
