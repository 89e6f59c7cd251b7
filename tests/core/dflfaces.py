"""Faces as DeepFaceLab writes them, made here: a JPEG, and a pickled dict in its APP15 segment; and their import."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.core.heads import face as head
from understudy.core import align
from understudy.core.colour import ColourConfig
from understudy.core.faceset import FaceRecord, Faceset, dfl
from understudy.core.faceset.dfl import sidecar
from understudy.core.reports import Report, Warned

TYPES = {"full_face": "full", "whole_face": "whole", "head": "head"}


def matrix(points: np.ndarray, face_type: str, size: int) -> np.ndarray:
    """(2, 3) as `get_transform_mat` gives it: corners at 0 and S of points whose samples are at whole numbers."""
    return np.asarray(align.fit(points, TYPES[face_type], size).matrix)


def fields(
    size: int = 64, face_type: str = "whole_face", source: str = "shot_00012.png", **more: Any
) -> dict[str, Any]:
    """All fields of a face; a value of None leaves one out."""
    points = head(15.0, 4.0, 8.0, shift=(600.3, 500.7))
    to_crop = matrix(points, face_type, size)
    made = {
        "face_type": face_type,
        "landmarks": (points @ to_crop[:, :2].T + to_crop[:, 2]).tolist(),
        "source_filename": source,
        "source_rect": [470, 360, 731, 655],
        "source_landmarks": points.tolist(),
        "image_to_face_mat": to_crop,
        "eyebrows_expand_mod": 1.25,
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def polygons() -> dict[str, Any]:
    return {
        "polys": [
            {"type": 1, "pts": np.array([(12.8, 9.6), (51.2, 12.8), (32.0, 60.8)], np.float32)},
            {"type": 0, "pts": np.array([(25.6, 25.6), (38.4, 25.6), (32.1, 35.2)], np.float32)},
        ]
    }


def mask(size: int = 64) -> np.ndarray:
    """(S, S) uint8, soft at its edge."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    soft: np.ndarray = np.clip((0.35 - np.hypot(x, y)) * 2000 + 128, 0, 255)
    return soft.astype(np.uint8)


def encoded(picture: np.ndarray, kind: str = ".png") -> np.ndarray:
    """(N, 1) uint8, as OpenCV 4 gave it and DeepFaceLab pickles it."""
    return np.asarray(cv2.imencode(kind, picture)[1]).reshape(-1, 1)


def picture(size: int = 64, seed: int = 0) -> np.ndarray:
    """(S, S, 3) uint8 B G R, smooth colours."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def jpeg(said: dict[str, Any] | bytes, bgr: np.ndarray | None = None, protocol: int = 4) -> bytes:
    """A face file: the dict, pickled by Python itself, or bytes that stand in for it, after APP0."""
    data = cv2.imencode(".jpg", picture() if bgr is None else bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[
        1
    ].tobytes()
    payload = said if isinstance(said, bytes) else pickle.dumps(said, protocol)
    at = 4 + struct.unpack_from(">H", data, 4)[0]
    assert data[3] == 0xE0
    return data[:at] + b"\xff\xef" + struct.pack(">H", len(payload) + 2) + payload + data[at:]


def pak(path: Path, faces: list[tuple[str, str | None, bytes]], **wrong: Any) -> Path:
    """A `faceset.pak` of (file name, person, JPEG), with the writer's slip in the last offset."""
    listed = [
        {"filename": name, "person_name": person, "landmarks": fields()["landmarks"], "shape": (64, 64, 3)}
        for name, person, _ in faces
    ]
    configs = wrong.get("configs") or pickle.dumps(listed, 4)
    head = struct.pack("<QQ", wrong.get("version", 1), wrong.get("length", len(configs))) + configs
    ends = np.cumsum([len(data) for *_, data in faces])
    whole = len(head) + 8 * (len(faces) + 1) + int(ends[-1])
    table = wrong.get("table") or np.array([0, *ends[:-1], whole], "<u8").tobytes()
    path.write_bytes(head + table + b"".join(data for *_, data in faces))
    return path


class Attack:
    """Runs a program where Python itself reads its pickle."""

    def __reduce__(self) -> Any:
        return os.system, ("true",)


def write(folder: Path, **files: bytes) -> Path:
    """Files by name; `__` is a folder's slash, and `.jpg` is added where there is no other."""
    for name, data in files.items():
        path = folder / name.replace("__", "/")
        path = path if path.suffix else path.with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def import_(source: Path, out: Path, colour: ColourConfig, **more: Any) -> list[Report]:
    return list(dfl.import_(dfl.ImportSettings(source=source, out=out, **more), colour=colour))


def records(path: Path) -> dict[str, FaceRecord]:
    return {record.path.name: record for record in Faceset.open(path).records}


def warned(reports: Sequence[Report]) -> list[tuple[str, str]]:
    return [(r.reason, r.message) for r in reports if isinstance(r, Warned)]


def beside(path: Path, record: FaceRecord) -> sidecar.Sidecar:
    found = sidecar.read(Faceset.open(path), record)
    assert found is not None
    return found
