"""What DeepFaceLab says of a face: the fields of its metadata as plain values, in its own coordinates and names.

Source: DeepFaceLab's DFLIMG/DFLJPG.py and core/imagelib/SegIEPolys.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameUnreadable
from understudy.core.face import Matrix
from understudy.core.faceset.dfl import jpeg, pickles, pickling
from understudy.core.faceset.dfl.geometry import FACE_TYPES, Points

_DEFAULT_TYPE = "full_face"  # of files older than the field
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_POLYGONS = 1000
_FARTHEST = 1e7  # pixels
_MASK_BYTES = 50_000  # DeepFaceLab's own limit, which leaves room in the segment for the rest
_KNOWN = (
    "face_type",
    "landmarks",
    "source_filename",
    "source_rect",
    "source_landmarks",
    "image_to_face_mat",
    "eyebrows_expand_mod",
    "seg_ie_polys",
    "xseg_mask",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Polygon:
    """A polygon that a person drew for XSeg.

    Attributes:
        kind: 1 includes what is inside, 0 excludes it.
        points: (N, 2) float64, the crop's pixels.
    """

    kind: int
    points: Points


@dataclass(frozen=True, kw_only=True, eq=False)
class Metadata:
    """One face. Coordinates are DeepFaceLab's: the centre of the first sample is at (0, 0) (`geometry`).

    Attributes:
        face_type: a name of `geometry.FACE_TYPES`.
        landmarks: (68, 2) float64 in the crop's pixels.
        source_filename: the picture that it was cut from; may be empty.
        source_rect: left, top, right, bottom of what the detector found, in that picture; None where not kept.
        source_landmarks: (68, 2) float64 in that picture's pixels.
        image_to_face_mat: (2, 3) float64, that picture → the crop; None where not kept.
        eyebrows_expand_mod: how far the hull reaches above the brows; None where not kept.
        seg_ie_polys: in the order in which they were drawn.
        xseg_mask: as an encoded PNG or JPEG of one channel; None where there is none.
        others: what else the file says, as values that JSON holds.
        lost: names of what else it says that JSON does not hold.
    """

    face_type: str
    landmarks: Points
    source_filename: str
    source_rect: tuple[float, ...] | None
    source_landmarks: Points
    image_to_face_mat: Matrix | None
    eyebrows_expand_mod: float | None = None
    seg_ie_polys: tuple[Polygon, ...] = ()
    xseg_mask: bytes | None = None
    others: Mapping[str, Any] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def read(payload: bytes, path: Path | str) -> Metadata:
    """From the pickle in a JPEG.

    Raises:
        FrameUnreadable: naming the file and the field.
    """
    fields = pickles.load(payload, path)
    if not isinstance(fields, dict):
        raise _wrong(path, "it", fields)
    known = {name: fields[name] for name in _KNOWN if fields.get(name) is not None}
    others = {str(name): _plain(value) for name, value in fields.items() if name not in _KNOWN}
    return Metadata(
        face_type=_face_type(known.get("face_type", _DEFAULT_TYPE), path),
        landmarks=_points(known, "landmarks", path, 68),
        source_filename=_text(known, "source_filename", path),
        source_rect=_rect(known, path),
        source_landmarks=_points(known, "source_landmarks", path, 68),
        image_to_face_mat=_matrix(known, path),
        eyebrows_expand_mod=_number(known, "eyebrows_expand_mod", path),
        seg_ie_polys=_polygons(known.get("seg_ie_polys", ()), path),
        xseg_mask=_mask(known, path),
        others={name: value for name, value in others.items() if value is not _LOST},
        lost=tuple(name for name, value in others.items() if value is _LOST),
    )


def write(metadata: Metadata) -> bytes:
    """The pickle that DeepFaceLab reads; what is None or empty is left out, as it does."""
    polygons = [
        {"type": polygon.kind, "pts": polygon.points.astype(np.float32)} for polygon in metadata.seg_ie_polys
    ]
    mask = None if metadata.xseg_mask is None else np.frombuffer(metadata.xseg_mask, np.uint8)[:, None]
    rect, matrix = metadata.source_rect, metadata.image_to_face_mat
    fields = {
        "face_type": metadata.face_type,
        "landmarks": metadata.landmarks.tolist(),
        "source_filename": metadata.source_filename or None,
        "source_rect": None if rect is None else list(rect),
        "source_landmarks": metadata.source_landmarks.tolist(),
        "image_to_face_mat": None if matrix is None else np.ascontiguousarray(matrix, np.float64),
        "eyebrows_expand_mod": metadata.eyebrows_expand_mod,
        "seg_ie_polys": {"polys": polygons} if polygons else None,
        "xseg_mask": mask,
        **metadata.others,
    }
    return pickling.dumps({name: value for name, value in fields.items() if value is not None})


def decode_mask(data: bytes, path: Path | str) -> npt.NDArray[np.uint8]:
    """(H, W) uint8, 255 is face: an XSeg mask from its PNG or JPEG.

    Raises:
        FrameUnreadable: it is neither, damaged, or larger than 8192 pixels a side.
    """
    if data.startswith(_PNG):
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    else:
        width, height = jpeg.size(data, f"{path}: xseg_mask")
    if not 0 < max(width, height) <= jpeg.LARGEST:
        raise _wrong(path, "xseg_mask", f"{width}×{height} pixels")
    mask = jpeg.decoded(data, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise _wrong(path, "xseg_mask", data)
    return mask


def encode_mask(mask: npt.NDArray[np.uint8]) -> bytes:
    """(H, W) uint8 as DeepFaceLab keeps it: PNG up to 50,000 bytes, else JPEG of the best quality that fits."""
    data: npt.NDArray[np.uint8] = cv2.imencode(".png", mask)[1]
    for quality in range(100, 0, -5):
        if data.size <= _MASK_BYTES:
            break
        data = cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return data.tobytes()


def _face_type(value: Any, path: Path | str) -> str:
    if value == "mark_only":
        raise FrameUnreadable(f"{path}: of face type mark_only: it has landmarks, and no crop", path=path)
    if not isinstance(value, str) or value not in FACE_TYPES:
        raise _wrong(path, "face_type", value)
    return value


def _points(fields: Mapping[str, Any], name: str, path: Path | str, count: int | None) -> Points:
    if name not in fields:
        raise FrameUnreadable(f"{path}: its DFL metadata has no {name}", path=path, field=name)
    points = _numbers(fields[name], name, path)
    if points.ndim != 2 or points.shape[1] != 2 or (count is not None and len(points) != count):
        raise _wrong(path, name, f"shape {points.shape}")
    return points


def _numbers(value: Any, name: str, path: Path | str) -> Points:
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(path, name, value) from error
    if not (np.abs(numbers) <= _FARTHEST).all():
        raise _wrong(path, name, f"a value that is not finite, or beyond {_FARTHEST:g}")
    return numbers


def _text(fields: Mapping[str, Any], name: str, path: Path | str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise _wrong(path, name, value)
    return value


def _number(fields: Mapping[str, Any], name: str, path: Path | str) -> float | None:
    if name not in fields:
        return None
    value = _numbers(fields[name], name, path)
    if value.shape != ():
        raise _wrong(path, name, fields[name])
    return float(value)


def _rect(fields: Mapping[str, Any], path: Path | str) -> tuple[float, ...] | None:
    """Whole numbers stay whole: DeepFaceLab keeps them so."""
    if "source_rect" not in fields:
        return None
    rect = _numbers(fields["source_rect"], "source_rect", path)
    if rect.shape != (4,):
        raise _wrong(path, "source_rect", fields["source_rect"])
    return tuple(int(v) if v == math.floor(v) else v for v in rect.tolist())


def _matrix(fields: Mapping[str, Any], path: Path | str) -> Matrix | None:
    if "image_to_face_mat" not in fields:
        return None
    matrix = _numbers(fields["image_to_face_mat"], "image_to_face_mat", path)
    if matrix.shape != (2, 3) or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
        raise _wrong(path, "image_to_face_mat", fields["image_to_face_mat"])
    return matrix


def _polygons(value: Any, path: Path | str) -> tuple[Polygon, ...]:
    """From `{"polys": [{"type": 1, "pts": array}, …]}`, or the bare list."""
    listed = value.get("polys", ()) if isinstance(value, dict) else value
    if not isinstance(listed, (list, tuple)) or len(listed) > _MOST_POLYGONS:
        raise _wrong(path, "seg_ie_polys", value)
    polygons = []
    for each in listed:
        if not isinstance(each, dict) or each.get("type") not in (0, 1):
            raise _wrong(path, "seg_ie_polys", each)
        points = _points(each, "pts", f"{path}: seg_ie_polys", None)
        polygons.append(Polygon(kind=int(each["type"]), points=points))
    return tuple(polygons)


def _mask(fields: Mapping[str, Any], path: Path | str) -> bytes | None:
    value = fields.get("xseg_mask")
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        value = value.tobytes()
    if value is not None and not isinstance(value, bytes):
        raise _wrong(path, "xseg_mask", value)
    return value


_LOST = object()


def _plain(value: Any) -> Any:
    """As JSON holds it: arrays and tuples become lists. `_LOST` for bytes and what has keys that are no text."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        parts = [_plain(v) for v in value]
        return _LOST if any(p is _LOST for p in parts) else parts
    if isinstance(value, dict):
        named = {k: _plain(v) for k, v in value.items()}
        whole = all(isinstance(k, str) and v is not _LOST for k, v in named.items())
        return named if whole else _LOST
    return _LOST if isinstance(value, bytes) else value


def _wrong(path: Path | str, name: str, value: Any) -> FrameUnreadable:
    shown = value if isinstance(value, str) else repr(value)
    return FrameUnreadable(
        f"{path}: its DFL metadata is malformed: {name} is {shown[:80]}",
        path=path,
        field=name,
        value=shown[:80],
    )
