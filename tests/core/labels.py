"""Labels and mattes of made faces, for the tests of what lies beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.core.faces import several
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes, occ
from understudy.core.faceset.polygons import Polygon

BOX = np.array([(20.0, 18.0), (45.0, 18.0), (45.0, 50.0), (20.0, 50.0)])
HOLE = np.array([(28.0, 25.0), (36.0, 25.0), (36.0, 33.0), (28.0, 33.0)])


def polygons(of: FaceRecord, origin: str = "a test") -> Label:
    drawn = (Polygon(include=True, points=BOX), Polygon(include=False, points=HOLE))
    return Label(kind="polygons", polygons=drawn, alignment=of.alignment, origin=origin, made_of="m" * 64)


def soft(size: int = 64, radius: float = 0.3) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    disc: np.ndarray = np.clip((radius - np.hypot(x, y)) * 12 + 0.5, 0, 1)
    return disc.astype(np.float32)


def drawn(of: FaceRecord, matte: np.ndarray | None = None) -> Label:
    matte = soft() if matte is None else matte
    return Label(kind="matte", matte=matte, alignment=of.alignment, origin="roto.1001.exr A")


def made(of: FaceRecord, matte: np.ndarray | None = None, confidence: float = 0.8125) -> Matte:
    return Matte(
        matte=soft() if matte is None else matte,
        confidence=confidence,
        segmenter="s" * 64,
        made_of="f" * 64,
        alignment=of.alignment,
    )


def labelled(folder: Path, **changes) -> Faceset:
    """Three faces: the first with polygons and a matte, the second with a drawn matte, the third with nothing."""
    found = several(folder, **changes)
    one, two, _ = found.records
    Labels(found).write(one, polygons(one))
    Mattes(found).write(one, made(one))
    Labels(found).write(two, drawn(two))
    return found


def same(one: Faceset, two: Faceset, names: dict[str, str] | None = None) -> None:
    """Labels and mattes of `one` are those of `two`, whose faces may have other names."""
    there = {face.path.name: face for face in two.records}
    for face in one.records:
        other = there[(names or {}).get(face.path.name, face.path.name)]
        assert Labels(one).digest(face) == Labels(two).digest(other)
        assert Mattes(one).digest(face) == Mattes(two).digest(other)
        np.testing.assert_array_equal(occ(one, face, face.alignment), occ(two, other, other.alignment))
