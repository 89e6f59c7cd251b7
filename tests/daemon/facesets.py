"""Small real facesets: people of several tracks on several plates, no portrait in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.core import shots
from understudy.core import align, faceset, warp
from understudy.core.faceset import FaceRecord

PLATE = "/p/plate.%04d.exr"
PLACES = {0: shots.CENTRE, 1: (110.0, 60.0)}  # of the people on the first frame
NUMBERS = tuple(range(1001, 1007))


def make(
    folder: Path,
    numbers: Sequence[int] = NUMBERS,
    tracks: Sequence[int] = (0,),
    *,
    plate: str = PLATE,
    size: int = 64,
    seed: int = 0,
    origin: str = "found",
    score: float = 0.9,
) -> Path:
    """Write faces as extraction would; another `seed` is another picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        for track in tracks:
            step = (number - shots.FIRST) % 20  # who drifts on leaves the picture
            face = shots.face_at(shots.FIRST + step, track=track, centre=PLACES[track])
            face = replace(face, frame=number, origin=origin, score=score)
            alignment = align.fit(face.landmarks.points, "whole", size)
            name = f"{Path(plate).name.split('.')[0]}_t{track}.{number}.exr"
            record = FaceRecord(
                path=folder / name, face=face, alignment=alignment, plate=plate, gain=0.7, colour="ACEScg"
            )
            picture = np.roll(shots.picture(number), 7 * seed, axis=1)
            faceset.write(record, warp.to_aligned(picture, shots.DATA, alignment))
    return folder


def names(folder: Path) -> list[str]:
    """Of its faces."""
    return sorted(path.name for path in folder.glob("*.exr"))
