"""Large faces made ready for an enhancer's training: crops in one file, as `train.data` has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.colour import SwapCurve
from understudy.core.enhancer.settings import LARGEST, SMALLEST
from understudy.core.errors import NoFace
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.beside import scaled
from understudy.core.files import replacing
from understudy.core.frames import Float
from understudy.core.reports import Warned
from understudy.core.train import data
from understudy.core.train.data import Crops

PREFIX = "faces"  # of the files' names
_VERSION = 1  # of how crops are cut
_MOST = 1000  # faces: more of them teach no more skin, and take gigabytes


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What an enhancer learns from.

    Attributes:
        crops: (N, M, M, 3): colours as codes of the swap curve, each of a face with no fewer pixels on its plate.
        held: rows that judge.
        learnt: rows that are learnt from; all of them where there are few.
    """

    crops: Crops
    held: npt.NDArray[np.int64]
    learnt: npt.NDArray[np.int64]

    @property
    def resolution(self) -> int:
        """Side of the crops, in pixels."""
        return int(self.crops.array.shape[1])


def prepare(
    facesets: Sequence[Faceset], folder: Path, resolution: int, curve: SwapCurve
) -> Generator[Samples | Warned | None, None, None]:
    """Cut the crops into `folder`, unless they are there; yields None after each face, and the samples at the end.

    Args:
        resolution: side of the crops; 0: such that three in four of the faces are large enough.
        curve: its gain is not used: each shot has its own.

    Raises:
        NoFace: there is no face, or none is large enough; the message says how large they are.
        InvalidInput: faces of several working spaces.
        FrameUnreadable: more than a tenth of the faces cannot be read; names the first.
        WriteFailed, DiskFull: the file could not be written.
    """
    where = ", ".join(str(faceset.path) for faceset in facesets)
    for faceset in facesets:
        if not len(faceset.columns):
            raise NoFace(f"{faceset.path}: has no face to learn from", path=faceset.path, field="facesets")
    data.one_space(facesets, "facesets")
    sizes = [native(faceset) for faceset in facesets]
    side = resolution or _usual(np.concatenate(sizes), where)
    rows = [(place, row) for place, own in enumerate(sizes) for row in np.flatnonzero(own >= side).tolist()]
    if not rows:
        largest = int(max(own.max(initial=0) for own in sizes))
        raise NoFace(
            f"{where}: no face has {side} pixels a side; the largest has {largest}: train with a resolution of that, "
            "or bring larger faces",
            path=facesets[0].path,
            field="resolution",
            value=side,
        )
    if small := sum(map(len, sizes)) - len(rows):
        yield Warned(
            reason="FACES_SMALL",
            message=f"{where}: {small} faces have fewer than {side} pixels a side, and are left out: they would teach "
            "blur",
        )
    spread = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(np.int64))
    chosen = [rows[place] for place in spread]
    key = _key(facesets, chosen, side, curve)
    file = folder / f"{PREFIX}-{key[:16]}.npy"
    if not file.is_file():
        jobs = [(facesets[place], facesets[place].records[row]) for place, row in chosen]
        yield from _write(file, jobs, side, curve, where)
        crops = Crops.open(file, key)
    else:
        crops = Crops.open(file, key)
        if lost := len(chosen) - len(crops):
            yield data.left_out(lost, where, file)
    yield _shared(crops)


def native(faceset: Faceset) -> npt.NDArray[np.int64]:
    """(N,) pixels a side that the plate has of each face's crop, of which the stored image can hold no more."""
    columns = faceset.columns
    linear = columns.matrix[:, :, :2]
    growth = np.sqrt(np.abs(np.linalg.det(linear))) if len(linear) else np.zeros(0)
    return np.minimum(columns.size, columns.size / np.maximum(growth, 1e-9)).astype(np.int64)


def _usual(sizes: npt.NDArray[np.int64], where: str) -> int:
    """The largest even side, within limits, that three in four of the faces have."""
    side = int(np.quantile(sizes, 0.25, method="lower")) // 2 * 2
    if side < SMALLEST:
        raise NoFace(
            f"{where}: a quarter of the faces has fewer than {SMALLEST} pixels a side: no detail can be learnt from "
            "them; bring larger faces",
            field="facesets",
            value=side,
        )
    return min(side, LARGEST)


def _write(
    file: Path, jobs: Sequence[tuple[Faceset, FaceRecord]], side: int, curve: SwapCurve, where: str
) -> Generator[Warned | None, None, None]:
    def cut(job: tuple[Faceset, FaceRecord]) -> Float:
        faceset, record = job
        return data.colours(faceset.load(record), record, scaled(record.alignment, side), curve)

    data.remove(file.parent, PREFIX)
    with replacing(file) as beside, beside.open("wb") as opened:
        yield from data.write(opened, jobs, cut, side, where, channels=3)


def _shared(crops: Crops) -> Samples:
    """One in eight judges, 16 at most, evenly spread; of fewer than eight none does."""
    count = len(crops)
    judges = min(16, count // 8)
    held = np.unique((np.arange(judges) + 0.5) * count // max(judges, 1)).astype(np.int64)
    return Samples(crops=crops, held=held, learnt=np.setdiff1d(np.arange(count), held))


def _key(facesets: Sequence[Faceset], chosen: Sequence[tuple[int, int]], side: int, curve: SwapCurve) -> str:
    made_of: list[Any] = [_VERSION, side, curve.knee, curve.maximum]
    made_of += [[faceset.digest() for faceset in facesets], chosen]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
