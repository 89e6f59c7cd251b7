"""A faceset made ready for training: crops of the model's kind, in swap space, in one memory-mapped file.

Crops are cut once, with a margin around what the network sees, so that a turned or moved sample still shows picture
and not a smeared border. The file is float16 on disk and read where it is needed: memory does not grow with the
faceset. It is named by what it was made of, and disposable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.core import align, warp
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput, NoFace
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.files import replacing
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.matte.hull import hull
from understudy.core.model.presets import ModelConfig

SHARE = 0.8  # of a cached crop's side that the network sees; the rest is margin
_VERSION = 1  # of how crops are cut
_FINER = 4  # the hull is drawn this much larger, for a soft edge


@dataclass(frozen=True, kw_only=True)
class Crops:
    """One person's crops.

    Attributes:
        array: (N, M, M, 4) float16, memory-mapped: colours through the swap curve, held to [0, 1], and the matte.
        digest: of the faceset.
    """

    array: npt.NDArray[np.float16]
    digest: str

    def __len__(self) -> int:
        return len(self.array)

    def gather(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """(B, 4, M, M) float32."""
        return torch.from_numpy(self.array[indices].astype(np.float32)).permute(0, 3, 1, 2)


def prepare(
    faceset: Faceset, folder: Path, side: str, config: ModelConfig, curve: SwapCurve
) -> Iterator[Crops | None]:
    """Cut the crops into `folder`, unless they are there; yields None after each face and the crops at the end.

    Args:
        side: `src` or `dst`: the file's name begins with it, and what it replaces goes.
        curve: its gain is not used: each shot has its own.

    Raises:
        NoFace: the faceset is empty.
        InvalidInput: its pixels are of several working spaces.
        WriteFailed, DiskFull: the file could not be written.
    """
    records = faceset.records
    if not records:
        broken = f"; {len(faceset.broken)} images in it can not be read" if faceset.broken else ""
        raise NoFace(
            f"{faceset.path}: {side} has no face to train on{broken}; extract it again, or take another faceset",
            path=faceset.path,
            field=side,
        )
    if len(spaces := sorted({r.colour for r in records})) > 1:
        raise InvalidInput(
            f"{faceset.path}: faces in several colour spaces: {', '.join(spaces)}; extract them with one config",
            path=faceset.path,
            field=side,
        )
    size = round(config.resolution / SHARE)
    file = folder / f"{side}-{_key(faceset, config, curve)}.npy"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{side}-*.npy"):
            old.unlink()
        with replacing(file) as beside:
            shape = (len(records), size, size, 4)
            array = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float16, shape=shape)
            for index, record in enumerate(records):
                array[index] = crop(faceset.load(record), record, config, curve)
                yield None
            array.flush()
    yield Crops(array=np.load(file, mmap_mode="r"), digest=faceset.digest())


def crop(rgb: Float, record: FaceRecord, config: ModelConfig, curve: SwapCurve) -> Float:
    """(M, M, 4) float32: one face, (S, S, 3) in the working space, cut and encoded as the network is to see it."""
    size = round(config.resolution / SHARE)
    points = record.face.landmarks.points
    wanted = align.fit(points, config.face_type, size, record.pixel_aspect, scale=SHARE)  # plate → crop
    between = warp.between(record.alignment, wanted)
    shot = SwapCurve(gain=record.gain, knee=curve.knee, maximum=curve.maximum)
    data = Window(0, 0, rgb.shape[1], rgb.shape[0])
    code = shot.encode(warp.to_aligned(fill_nonfinite(rgb)[0], data, between))
    fine = hull(wanted.apply(points) * _FINER, (size * _FINER, size * _FINER))
    matte = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    return np.concatenate([np.clip(code, 0, 1), matte[..., None]], axis=2)


def indices(count: int, batch: int, iteration: int, seed: int) -> npt.NDArray[np.int64]:
    """(batch,) which of `count` samples an iteration takes.

    Every epoch is a fresh shuffle in which each sample comes once. A function of its arguments alone, so that a
    resumed training goes on with the samples it would have taken.
    """
    places = np.arange(iteration * batch, (iteration + 1) * batch)
    orders = {e: np.random.default_rng((seed, e)).permutation(count) for e in set((places // count).tolist())}
    return np.array([orders[int(place // count)][place % count] for place in places], np.int64)


def _key(faceset: Faceset, config: ModelConfig, curve: SwapCurve) -> str:
    made_of: list[Any] = [_VERSION, faceset.digest(), config.resolution, config.face_type, SHARE]
    return hashlib.sha256(json.dumps([*made_of, curve.knee, curve.maximum]).encode()).hexdigest()[:16]
