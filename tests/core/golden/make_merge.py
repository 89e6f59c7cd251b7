"""The golden frame of merge: made again on purpose with `python -m tests.core.golden.make_merge` (house rule 12).

A synthetic frame merged with a small network of fixed weights, cut to the middle of the face.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.core import shots
from understudy.core import plate
from understudy.core.frames import Array
from understudy.core.merge import shot

FILE = Path(__file__).with_name("merge.npz")
CHANNELS = (
    "R",
    "G",
    "B",
    "face.G",
    "face_raw.G",
    "mask_blend.A",
    "mask_hull.A",
    "mask_valid.A",
    "uv.u",
    "uv.v",
)
AREA = (slice(24, 100, 2), slice(40, 116, 2))


def merged(folder: Path) -> dict[str, Array]:
    """Channel → the golden area of frame 1001."""
    scene = shots.make(folder, numbers=[shots.FIRST], without_face=[])
    settings = scene.settings(shots.tiny_model(folder / "model"))
    for _ in shot.run(settings, colour=shots.colour()):
        pass
    planes = plate.read(settings.out, shots.FIRST).planes
    return {name: np.ascontiguousarray(planes[name][AREA]) for name in CHANNELS}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        planes: dict[str, Any] = merged(Path(folder))
        np.savez_compressed(FILE, **planes)


if __name__ == "__main__":
    main()
