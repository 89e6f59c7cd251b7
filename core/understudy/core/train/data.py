"""A faceset made ready for training: crops of the model's kind, in swap space, in one file.

Crops are cut once, with a margin around what the network sees, so that a turned or moved sample still shows picture
and not a smeared border. The file is float16 on disk and read where it is needed: memory does not grow with the
faceset, and what becomes of the faceset meanwhile is nothing to a training that has begun. It is named by what it
was made of, and disposable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.core import align, warp
from understudy.core.colour import SwapCurve
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.files import Places, replacing
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.model.presets import ModelConfig
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Warned

SHARE = 0.8  # of a cached crop's side that the network sees; the rest is margin
_VERSION = 1  # of how crops are cut
_LOST = 0.1  # of the faces: if more cannot be read, it is the disk or the folder and not a face
_NAMED = 10  # of the faces that were left out

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Crops:
    """One person's crops.

    Attributes:
        array: (N, M, M, 4) float16, mapped from `source`: colours through the swap curve, held to [0, 1], and the
            matte.
        digest: of the faceset.
        source: the file that `array` is mapped from, and where in it the crops begin; None where they are in memory.
    """

    array: npt.NDArray[np.float16]
    digest: str
    source: tuple[Places, int] | None = None

    @classmethod
    def open(cls, file: Path, digest: str) -> Crops:
        """The crops of a file, which may be deleted from then on."""
        array: np.memmap[Any, np.dtype[np.float16]] = np.load(file, mmap_mode="r")
        return cls(array=array, digest=digest, source=(Places(file), int(array.offset)))

    def __len__(self) -> int:
        return len(self.array)

    def gather(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """(B, 4, M, M) float32.

        Crops are read from the file, not through the map: pages of a map stay resident until memory is short.

        Raises:
            FrameUnreadable: the file was cut short.
        """
        if self.source is None:
            taken = self.array[indices]
        else:
            taken = np.empty((len(indices), *self.array.shape[1:]), np.float16)
            places, start = self.source
            for crop, index in zip(taken, indices.tolist(), strict=True):
                if places.read_into(memoryview(crop).cast("B"), start + index * crop.nbytes) != crop.nbytes:
                    raise FrameUnreadable(
                        f"the crops were cut short at sample {index}; train again to cut them anew"
                    )
        return torch.from_numpy(taken.astype(np.float32)).permute(0, 3, 1, 2)


def prepare(
    faceset: Faceset, folder: Path, side: str, config: ModelConfig, curve: SwapCurve
) -> Generator[Crops | Warned | None, None, None]:
    """Cut the crops into `folder`, unless they are there; yields None after each face and the crops at the end.

    A face that is gone or broken when its turn comes is left out with a warning: the others are good. Where that was
    in the session that cut the crops, the warning says how many were left out.

    Args:
        side: `src` or `dst`: the file's name begins with it, and what it replaces goes.
        curve: its gain is not used: each shot has its own.

    Raises:
        NoFace: the faceset is empty.
        InvalidInput: its pixels are of several working spaces.
        FrameUnreadable: more than a tenth of the faces cannot be read; names the first.
        WriteFailed, DiskFull: the file could not be written.
    """
    _check(faceset, side)
    file = folder / f"{side}-{_key(faceset, config, curve)}.npy"
    if not file.is_file():

        def cut(record: FaceRecord) -> Float:
            return crop(faceset.load(record), record, config, curve)

        remove(folder, side)
        with replacing(file) as beside, beside.open("wb") as opened:
            yield from write(opened, faceset.records, cut, side_of(config.resolution), str(faceset.path))
        yield Crops.open(file, faceset.digest())
        return
    crops = Crops.open(file, faceset.digest())
    if lost := len(faceset.columns) - len(crops):
        yield left_out(lost, str(faceset.path), file)
    yield crops


def remove(folder: Path, prefix: str) -> None:
    """Delete the crops under `folder` of that kind: what is cut now replaces them, and both may not fit the disk."""
    for old in folder.glob(f"{prefix}-*.npy"):
        old.unlink()


def left_out(lost: int, where: str, file: Path) -> Warned:
    """What is said of crops that an earlier session cut, where faces are missing among them."""
    return Warned(
        reason="FRAME_UNREADABLE",
        message=f"{where}: {lost} of its faces could not be read when its crops were cut, and are left "
        f"out; if they are whole now, delete {file}",
    )


def side_of(resolution: int) -> int:
    """Of a crop in the file, margin and all, of which a network sees `resolution` pixels."""
    return round(resolution / SHARE)


def _check(faceset: Faceset, side: str) -> None:
    """Refuse what cannot be trained on."""
    if not len(faceset.columns):
        broken = f"; {len(faceset.broken)} images in it can not be read" if faceset.broken else ""
        raise NoFace(
            f"{faceset.path}: {side} has no face to train on{broken}; extract it again, or take another faceset",
            path=faceset.path,
            field=side,
        )
    one_space(faceset, side)


def one_space(faceset: Faceset, field: str) -> None:
    """Refuse a faceset in several working spaces, as the setting `field`; raises InvalidInput."""
    if len(spaces := faceset.columns.texts["colour"].used()) > 1:
        raise InvalidInput(
            f"{faceset.path}: faces in several colour spaces: {', '.join(spaces)}; extract them with one config",
            path=faceset.path,
            field=field,
        )


def write(
    file: BinaryIO, items: Sequence[Item], cut: Callable[[Item], Float], size: int, where: str
) -> Generator[Warned | None, None, list[int]]:
    """Write the crop of each item, one after the other: mapped, what is written would stay resident.

    Args:
        cut: gives (size, size, 4), in any thread; where it raises FrameMissing or FrameUnreadable, there is no crop.
        where: what a message about all of them begins with.

    Returns:
        Which of the items are in the file, in order.

    Raises:
        FrameUnreadable: more than a tenth of them cannot be cut; names the first.
    """
    total, lost, kept = len(items), list[str](), list[int]()

    def tried(item: Item) -> npt.NDArray[np.float16] | str:
        try:
            return cut(item).astype(np.float16)
        except (FrameMissing, FrameUnreadable) as error:
            return error.message

    start = _head(file, (total, size, size, 4))
    with closing(overlapped(items, tried, _same, _same, ahead=cores())) as work:
        for place, made in enumerate(work):
            if isinstance(made, str):
                lost.append(made)
                yield _lost(lost, total, where)
            else:
                file.write(made.tobytes())
                kept.append(place)
            yield None
    if lost[_NAMED:]:
        more = f"{where}: left out {len(lost)} faces in all that cannot be read"
        yield Warned(reason="FRAME_UNREADABLE", message=more)
    file.seek(0)
    end = _head(file, (len(kept), size, size, 4))
    assert end == start, "numpy leaves room in a header for any count"
    return kept


def _lost(lost: Sequence[str], total: int, where: str) -> Warned | None:
    """What to say of the last face that was lost; raises FrameUnreadable where too many are."""
    if len(lost) > max(1.0, _LOST * total) or len(lost) == total:
        raise FrameUnreadable(
            f"{where}: {len(lost)} of {total} faces cannot be read; the first: {lost[0]}", path=where
        )
    return Warned(reason="FRAME_UNREADABLE", message=f"left out: {lost[-1]}") if len(lost) <= _NAMED else None


def _head(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Write what numpy's files begin with, and give where the array begins."""
    said = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, said)
    return file.tell()


def _same(made: npt.NDArray[np.float16] | str) -> npt.NDArray[np.float16] | str:
    return made


def crop(rgb: Float, record: FaceRecord, config: ModelConfig, curve: SwapCurve) -> Float:
    """(M, M, 4) float32: one face, (S, S, 3) in the working space, cut and encoded as the network is to see it."""
    wanted = alignment(record, config.face_type, config.resolution)
    matte = soft(hull, wanted.apply(record.face.landmarks.points), (wanted.size,) * 2)
    return np.concatenate([colours(rgb, record, wanted, curve), matte[..., None]], axis=2)


def alignment(record: FaceRecord, face_type: str, resolution: int) -> Alignment:
    """Plate → the crop with its margin, of which a network of this face type and resolution sees the middle."""
    points = record.face.landmarks.points
    return align.fit(points, face_type, side_of(resolution), record.pixel_aspect, scale=SHARE)


def colours(rgb: Float, record: FaceRecord, wanted: Alignment, curve: SwapCurve) -> Float:
    """(M, M, 3) codes in [0, 1] of a face's pixels (S, S, 3), cut anew as `wanted`; `curve`'s gain is the shot's."""
    between = warp.between(record.alignment, wanted)
    shot = SwapCurve(gain=record.gain, knee=curve.knee, maximum=curve.maximum)
    data = Window(0, 0, rgb.shape[1], rgb.shape[0])
    return np.clip(shot.encode(warp.to_aligned(fill_nonfinite(rgb)[0], data, between)), 0, 1)


def indices(count: int, batch: int, iteration: int, seed: int) -> npt.NDArray[np.int64]:
    """(batch,) which of `count` samples an iteration takes.

    Every epoch is a fresh shuffle in which each sample comes once. A function of its arguments alone, so that a
    resumed training goes on with the samples it would have taken.
    """
    places = np.arange(iteration * batch, (iteration + 1) * batch)
    return np.array([_order(count, seed, int(place // count))[place % count] for place in places], np.int64)


@lru_cache(
    maxsize=8
)  # two people, each at the border of two epochs; drawing one for 100,000 faces takes milliseconds
def _order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """(count,) in which order an epoch takes the samples."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def _key(faceset: Faceset, config: ModelConfig, curve: SwapCurve) -> str:
    made_of: list[Any] = [_VERSION, faceset.digest(), config.resolution, config.face_type, SHARE]
    return hashlib.sha256(json.dumps([*made_of, curve.knee, curve.maximum]).encode()).hexdigest()[:16]
