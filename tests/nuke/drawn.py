"""Two people drawn with a ruler, on a plate and in facesets: what a panel shows in tests and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tests.core import shots
from understudy.core import align, faceset, plate, release, warp
from understudy.core.frames import Frame, Window

SIZE = Window(0, 0, 480, 270)
WIDTH = 110.0  # of a face, pixels
LOOKS = {"src": ((0.55, 0.30, 0.20), (0.10, 0.05, 0.03)), "dst": ((0.75, 0.55, 0.42), (0.45, 0.25, 0.08))}


def points(number: int) -> np.ndarray:
    """(68, 2) of the face on a frame: it drifts and leans."""
    step = number - shots.FIRST
    centre = (230.0 + 40.0 * np.sin(step / 3.0), 125.0 + 6.0 * np.cos(step / 2.0))
    return np.asarray(shots.landmarks(centre, WIDTH, 12.0 * np.sin(step / 4.0)))


def picture(number: int, who: str) -> np.ndarray:
    """(270, 480, 3) float32 scene-linear: a face with hair before a wall, mouth and eyes moving."""
    y, x = np.mgrid[: SIZE.height, : SIZE.width].astype(np.float32)
    rgb = np.stack([0.10 + 0.0002 * x, 0.14 + 0.0003 * y, 0.20 + 0.0002 * (x + y)], axis=-1)
    skin, hair = LOOKS[who]
    p = points(number)
    middle, top = p.mean(axis=0), p[27]
    crown = tuple(int(v) for v in middle + 1.1 * (top - p[8]) * 0.28)
    cv2.circle(rgb, crown, int(0.66 * WIDTH), hair, -1, cv2.LINE_AA)
    brow = p[[26, 24, 19, 17]] + 0.55 * (top - p[30])
    _fill(rgb, np.concatenate([p[:17], brow]), skin)
    for eye in (p[36:42], p[42:48]):
        _fill(rgb, eye.mean(axis=0) + 1.5 * (eye - eye.mean(axis=0)), (0.9, 0.9, 0.9))
        cv2.circle(rgb, tuple(int(v) for v in eye.mean(axis=0)), 5, (0.02, 0.03, 0.05), -1, cv2.LINE_AA)
    for line in (p[17:22], p[22:27], p[27:31], p[31:36]):
        cv2.polylines(rgb, [np.rint(line).astype(np.int32)], False, hair, 3, cv2.LINE_AA)
    mouth = p[48:60].mean(axis=0) + (p[48:60] - p[48:60].mean(axis=0)) * [1.0, 1.0 + 0.5 * np.sin(number)]
    _fill(rgb, mouth, (0.5, 0.08, 0.08))
    noise = np.random.default_rng(number).normal(0.0, 0.004, rgb.shape)
    return (cv2.GaussianBlur(rgb, (0, 0), 0.7) + noise).astype(np.float32)


def _fill(rgb: np.ndarray, outline: np.ndarray, colour: tuple[float, ...]) -> None:
    cv2.fillPoly(rgb, [np.rint(outline).astype(np.int32)], colour, cv2.LINE_AA)


def write_plate(folder: Path, numbers: range) -> str:
    """Its pattern."""
    for number in numbers:
        rgb = picture(number, "dst").astype(np.float16)
        planes = {c: rgb[..., i].copy() for i, c in enumerate("RGB")}
        made = Frame(number=number, planes=planes, display=SIZE, data=SIZE)
        plate.write(made, folder / f"plate.{number:04d}.exr")
    return str(folder / "plate.%04d.exr")


def write_faceset(folder: Path, numbers: range, who: str, pattern: str, size: int = 128) -> Path:
    """As extraction would make it; `src` has a release."""
    folder.mkdir(parents=True)
    for number in numbers:
        p = points(number)
        alignment = align.fit(p, "whole", size)
        face = shots.face_at(number)
        face = replace(face, landmarks=replace(face.landmarks, points=p))
        face = replace(face, box=tuple(np.ravel([p.min(axis=0), p.max(axis=0)]).tolist()))
        record = faceset.FaceRecord(
            path=folder / f"{who}_t0.{number:04d}.exr",
            face=face,
            alignment=alignment,
            plate=pattern,
            gain=1.0,
            colour="ACEScg",
        )
        faceset.write(record, warp.to_aligned(picture(number, who), SIZE, alignment))
    if who == "src":
        release.write(shots.make_release(), folder / "release.json")
    return folder
