"""Facesets whose faces look as a test wants them to: poses, brightness, sharpness, by the real writer and measurer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tests.core.faces import record
from tests.core.heads import face as head
from understudy.core import align, faceset
from understudy.core.face import Landmarks
from understudy.core.faceset import Faceset, measures
from understudy.core.reports import Report
from understudy.core.weights import WeightStore

SIZE = 128


def portrait(seed: int = 0, *, level: float = 0.18, blur: float = 0.0, tint=(1.0, 1.0, 1.0)) -> np.ndarray:
    """(128, 128, 3) float32 scene-linear: soft shapes with crisp lines over them, the same for the same seed."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.random((SIZE, SIZE), np.float32), (0, 0), 12.0)
    soft = 0.5 + (soft - soft.min()) / np.ptp(soft)
    for _ in range(24):
        start, end = rng.integers(0, SIZE, (2, 2)).tolist()
        cv2.line(soft, start, end, float(rng.uniform(0.2, 2.0)), 2)
    if blur:
        soft = cv2.GaussianBlur(soft, (0, 0), blur)
    return np.asarray(level * soft[..., None] * np.array(tint), np.float32)


def add(folder: Path, frame: int, pixels: np.ndarray | None = None, **changes) -> None:
    """One face; `changes` are of its `Face`, but for `faces`, `view` and `plate` of its record."""
    changes = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **changes}
    own = {name: changes.pop(name) for name in ("faces", "view", "plate") if name in changes}
    shown = {name: float(np.clip(changes[name], -30, 30)) for name in ("yaw", "pitch", "roll")}
    points = head(**shown).astype(np.float32)
    made = record(folder, frame, changes.get("track", 0), gain=1.0, pixel_aspect=1.0, **own)
    its = replace(made.face, landmarks=Landmarks(scheme="68", points=points), **changes)
    made = replace(made, face=its, alignment=align.fit(points, "whole", SIZE))
    faceset.write(made, portrait(frame) if pixels is None else pixels)


def measuring(folder: Path, colour, **settings) -> Generator[Report, None, None]:
    work = measures.run(
        measures.MeasureSettings(faceset=folder, **settings), store=WeightStore(folder), colour=colour
    )
    assert isinstance(work, Generator)
    return work


def measured(folder: Path, colour, **settings) -> Faceset:
    assert list(measuring(folder, colour, **settings))
    return Faceset.open(folder)


def frames(faces: Faceset, order) -> list[int]:
    """The frame numbers in an order."""
    return [int(number) for number in faces.columns.frame[order]]
