"""What an image of a faceset says of itself: `FaceRecord`, and its form as header entries of an OpenEXR."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import FrameUnreadable
from understudy.core.face import Alignment, Face, Landmarks
from understudy.core.frames import Float
from understudy.core.plate.views import MONO

FORMAT = 1  # of the header; entries that came later may lack

FOUND = "found"
"""`Face.origin` of what the networks found, which headers do not name."""

_PREFIX = "understudy/"
_TEXTS = ("view", "colour", "config", "release", "digest")  # entries that may be empty, and are then left out


@dataclass(frozen=True, kw_only=True)
class FaceRecord:
    """One face of a faceset, without its pixels.

    Attributes:
        path: its file.
        face: in the coordinates of the plate it was found on.
        alignment: plate px → this image's px.
        plate: template of that plate, in `%04d` form, with `%V` where each view has files of its own.
        plate_size: of its display window, as `4096x2160`; empty where that was not kept.
        view: of that plate, such as `left`; empty for a plate without views.
        gain: exposure of the shot: working space × gain has the face near 0.18.
        colour: name of the working space the pixels are in.
        config: id of the colour config in which that name means something.
        release: id of the release that came with it, or empty.
        pixel_aspect: of the plate.
        digest: what settings and which file of the plate it was made of.
        faces: how many faces its frame had, in this view.
    """

    path: Path
    face: Face
    alignment: Alignment
    plate: str
    gain: float
    colour: str
    config: str = ""
    release: str = ""
    pixel_aspect: float = 1.0
    digest: str = ""
    faces: int = 1
    view: str = MONO
    plate_size: str = ""

    def header(self) -> dict[str, Any]:
        """As header entries: strings and numbers, names of at most 31 characters, which all hosts carry."""
        face = self.face
        entries = {
            "faceset": FORMAT,
            "version": version("understudy"),
            "frame": face.frame,
            "plate": self.plate,
            "plateSize": self.plate_size,
            "view": self.view,
            "track": face.track,
            "score": float(face.score),
            "box": json.dumps([round(v, 4) for v in face.box]),
            "landmarks": json.dumps(face.landmarks.points.astype(float).round(4).tolist()),
            "pose": json.dumps([round(v, 4) for v in (face.pitch, face.yaw, face.roll)]),
            "faceType": self.alignment.face_type,
            "alignment": json.dumps(self.alignment.matrix.tolist()),
            "pixelAspect": json.dumps(self.pixel_aspect),
            "gain": json.dumps(self.gain),
            "colour": self.colour,
            "config": self.config,
            "release": self.release,
            "digest": self.digest,
            "faces": self.faces,
            "confidence": _confidences(face.landmarks.confidence),
            "cut": "1" if face.cut else "",
            "origin": "" if face.origin == FOUND else face.origin,
        }
        return {
            _PREFIX + name: value for name, value in entries.items() if value != ""
        }  # OpenEXR drops empty ones

    @classmethod
    def from_header(cls, path: Path, metadata: Mapping[str, Any], size: int) -> FaceRecord:
        """Read what `header` wrote; raises FrameUnreadable if an entry is missing or malformed."""
        entries = {k.removeprefix(_PREFIX): v for k, v in metadata.items() if k.startswith(_PREFIX)}
        if entries.get("faceset") != FORMAT:
            raise _foreign(path, f"its {_PREFIX}faceset is {entries.get('faceset')!r}, not {FORMAT}")
        try:
            matrix = np.array(json.loads(entries["alignment"]), np.float64)
            points = np.array(json.loads(entries["landmarks"]), np.float32)
            x0, y0, x1, y1 = map(float, json.loads(entries["box"]))
            pitch, yaw, roll = map(float, json.loads(entries["pose"]))
            sure = (
                np.array(json.loads(entries["confidence"]), np.float32) if "confidence" in entries else None
            )
            shapes = (matrix.shape, points.shape, (68,) if sure is None else sure.shape)
            if shapes != ((2, 3), (68, 2), (68,)):
                raise _foreign(path, f"alignment, landmarks or confidence have the wrong shape: {shapes}")
            return cls(
                path=path,
                face=Face(
                    frame=int(entries["frame"]),
                    box=(x0, y0, x1, y1),
                    landmarks=Landmarks(scheme="68", points=points, confidence=sure),
                    score=float(entries["score"]),
                    pitch=pitch,
                    yaw=yaw,
                    roll=roll,
                    track=int(entries["track"]),
                    cut=bool(entries.get("cut")),
                    origin=str(entries.get("origin", FOUND)),
                ),
                alignment=Alignment(matrix=matrix, size=size, face_type=str(entries["faceType"])),
                plate=str(entries["plate"]),
                gain=float(json.loads(entries["gain"])),
                pixel_aspect=float(json.loads(entries["pixelAspect"])),
                faces=int(entries["faces"]),
                plate_size=str(entries.get("plateSize", "")),
                **{name: str(entries.get(name, "")) for name in _TEXTS},
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise _foreign(path, f"a header entry is missing or malformed: {error!r}") from error


def _confidences(values: Float | None) -> str:
    """Of each point, to three digits; empty where the landmarker does not say."""
    return "" if values is None else json.dumps(values.astype(float).round(3).tolist())


def _foreign(path: Path, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: not an image of a faceset: {why}", path=path)
