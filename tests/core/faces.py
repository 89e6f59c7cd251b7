"""Faces to fill folders with: small ones of noise, by the real writer, and what the tests of facesets ask of them."""

from __future__ import annotations

import os
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from tests.core.heads import face as head
from understudy.core import align, faceset, plate
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.columns import Columns
from understudy.core.frames import Frame

PLATE = "/plates/shot.%04d.exr"
KEPT = (
    "path",
    "plate",
    "plate_size",
    "gain",
    "colour",
    "config",
    "release",
    "pixel_aspect",
    "digest",
    "faces",
    "view",
)
"""What a header keeps of a record to the bit, but for its face and alignment."""


def record(folder: Path, frame: int = 1001, track: int = 0, half: float = 100.0, **changes) -> FaceRecord:
    points = head(20.0, 5.0, 3.0).astype(np.float32)
    made = FaceRecord(
        path=folder / f"shot_t{track}.{frame}.exr",
        face=Face(
            frame=frame,
            box=(960 - half, 540 - half, 960 + half, 540 + half),
            landmarks=Landmarks(scheme="68", points=points),
            score=0.875,
            pitch=5.0,
            yaw=20.0,
            roll=3.0,
            track=track,
        ),
        alignment=align.fit(points, "whole", 64, pixel_aspect=2.0),
        plate=PLATE,
        plate_size="2048x1716",
        gain=1.0 / 3.0,
        colour="ACEScg",
        config="id:1",
        release="r" * 32,
        pixel_aspect=2.0,
        digest="d" * 64,
    )
    return replace(made, **changes)


def pixels(seed: int = 0, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.lognormal(-1.7, 1.0, (side, side, 3)), np.float32)


def fill(folder: Path, *faces: tuple[int, int, float]) -> Faceset:
    for frame, track, half in faces:
        faceset.write(record(folder, frame, track, half), pixels(frame))
    return Faceset.open(folder)


def several(folder: Path, count: int = 3, **changes) -> Faceset:
    """Frames 1001, 1002, … of one person."""
    for number in range(1001, 1001 + count):
        faceset.write(record(folder, number, **changes), pixels(number))
    return Faceset.open(folder)


def age(folder: Path, seconds: float = 60.0) -> None:
    """Make the files look written before the index could have been: what it says of younger ones is not trusted."""
    then = time.time() - seconds
    for file in folder.glob("*.exr"):
        if not file.is_symlink():
            os.utime(file, (then, then))


def same_columns(one: Columns, two: Columns) -> bool:
    """Whether two facesets say the same, but for the times of their files."""
    for field in fields(Columns):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name == "texts":
            if any(list(a[name]) != list(b[name]) for name in a):
                return False
        elif field.name != "mtime_ns" and (
            (a is None) != (b is None)
            or not np.array_equal(a, b, equal_nan=a is not None and a.dtype.kind == "f")
        ):
            return False
    return True


def same_image(one: Frame, two: Frame) -> bool:
    """Whether two images are the same to the bit, parts, planes, windows and header entries."""
    parts = [(one, *one.others), (two, *two.others)]
    if len(parts[0]) != len(parts[1]):
        return False
    return all(
        (a.metadata, a.display, a.data, a.pixel_aspect, a.name, list(a.planes))
        == (b.metadata, b.display, b.data, b.pixel_aspect, b.name, list(b.planes))
        and all(a.planes[n].dtype == b.planes[n].dtype for n in a.planes)
        and all(a.planes[n].tobytes() == b.planes[n].tobytes() for n in a.planes)
        for a, b in zip(*parts, strict=True)
    )


def listing(folder: Path) -> list[str]:
    """All that lies in a folder and its sub-folders, but the index."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.startswith(".index/"))


def odd_faces(folder: Path) -> None:
    """Faces as other programs leave them: more channels, other types and sizes, entries of their own, two parts."""
    faceset.write(record(folder, 1001), pixels(1))
    first = plate.read_file(folder / "shot_t0.1001.exr", 1001)
    own = {
        "owner": "a studio",
        "framesPerSecond": plate.Typed("rational", (24000, 1001)),
        "acme/odd": plate.Typed("acmeType", b"\0\xff\x01"),
        "acme/bytes": "caf\udce9",  # bytes that are not UTF-8
    }
    dice = np.random.default_rng(2)
    alpha = dice.random((64, 64)).astype(np.float32)
    ids = dice.integers(0, 2**32, (64, 64), np.uint32)
    nans = first.planes["R"].copy()
    nans[0, :3] = np.array([0x7E01, 0xFE00, 0x7C00], np.uint16).view(
        np.float16
    )  # a NaN with a payload among them
    rich = replace(
        first,
        number=1002,
        planes={**first.planes, "R": nans, "A": alpha, "id": ids},
        metadata={**first.metadata, **own, "understudy/frame": 1002, "compression": "piz"},
    )
    plate.write(rich, folder / "shot_t0.1002.exr")
    faceset.write(record(folder, 1003, alignment=align.fit(head(0.0), "head", 33)), pixels(3, 33))
    extra = replace(first, planes={"Z": alpha}, metadata={}, name="depth")
    parts = replace(first, number=1004, name="face", others=(extra,))
    parts = replace(parts, metadata={**first.metadata, "understudy/frame": 1004})
    plate.write(parts, folder / "shot_t0.1004.exr")
