"""What the tests of masks do all the time: lay labels and mattes beside faces, merge with a mask, look at a layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.core import shots
from tests.core.merging import made
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.merge.recipe import Curve

FIRST = shots.FIRST
SIDE = 96  # of a face of shots.write_faceset
LEFT = np.repeat((np.arange(SIDE) < 48)[None], SIDE, axis=0).astype(np.float32)
ALL = np.ones((SIDE, SIDE), np.float32)


def face_of(folder: Path, number: int) -> tuple[Faceset, FaceRecord]:
    opened = Faceset.open(folder)
    return opened, next(r for r in opened.records if r.face.frame == number)


def give(scene: shots.Shot, matte: np.ndarray, *numbers: int) -> None:
    """Lay a segmenter's matte (S, S) beside the faces of some frames."""
    for number in numbers:
        opened, record = face_of(scene.faceset, number)
        beside = Matte(matte=matte, confidence=0.9, segmenter="s", made_of="m", alignment=record.alignment)
        Mattes(opened).write(record, beside)


def label(scene: shots.Shot, number: int, **kind) -> None:
    opened, record = face_of(scene.faceset, number)
    which = "matte" if "matte" in kind else "polygons"
    Labels(opened).write(record, Label(kind=which, alignment=record.alignment, origin="test", **kind))


def masked(scene, model, mask, *, out="out/comp.####.exr", **changes):
    """A merge with another mask, without what would blur the look at it, and without a colour match."""
    given: dict[str, Any] = {name: changes.pop(name) for name in ("mask_smooth", "match") if name in changes}
    plain: dict[str, Any] = {"match": "none", "feather": Curve.constant(0.0)}
    look = replace(shots.FAST, mask=mask, **{**plain, **given})
    return scene.settings(model, out=out, recipe=look, **changes)


def layer(settings, name, number=FIRST):
    return made(settings, number).planes[f"{name}.A"].astype(np.float32)
