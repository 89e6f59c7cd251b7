"""A faceset made ready for training: crops of the model's kind, in swap space, in one file.

Crops are cut once, with a margin around what the network sees, so that a turned or moved sample still shows picture
and not a smeared border. The file is float16 on disk and read where it is needed: memory does not grow with the
faceset, and what becomes of the faceset meanwhile is nothing to a training that has begun. It is named by what it
was made of, labels and mattes included, and disposable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.core import align, warp
from understudy.core.align import Points
from understudy.core.colour import SwapCurve
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset, mattes
from understudy.core.files import Places, replacing
from understudy.core.frames import Float, Window
from understudy.core.half import narrowed
from understudy.core.image import fill_nonfinite
from understudy.core.matte import eyes, mouth, soft
from understudy.core.matte.hull import hull
from understudy.core.model.presets import ModelConfig
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Warned
from understudy.core.train.sampling import Poses

SHARE = 0.8  # of a cached crop's side that the network sees; the rest is margin
_VERSION = 2  # of how crops are cut
_LOST = 0.1  # of the faces: if more cannot be read, it is the disk or the folder and not a face
_NAMED = 10  # of the faces that were left out
_FEW = 5  # faces of src: fewer are learnt by heart, and the swap has no look but theirs
_WHOLE = 0.95  # of what the network sees: a face whose own image holds less is smeared at its border
_SOFT = 256  # pixels a side that eyes and mouth are drawn in at most
_TICKS = (np.arange(16) + 0.5) / 16 - 0.5  # over what the network sees, its side 1

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Crops:
    """One person's crops.

    Attributes:
        array: (N, M, M, C) float16, mapped from `source`: colours through the swap curve, held to [0, 1], and the
            matte; of `prepare` also eyes and mouth, as far as they are seen.
        digest: of the faceset.
        source: the file that `array` is mapped from, and where in it the crops begin; None where they are in memory.
        pose: (N, 2) float32, pitch and yaw in radians, signs as in `face.Face`; None where nobody goes by it.
    """

    array: npt.NDArray[np.float16]
    digest: str
    source: tuple[Places, int] | None = None
    pose: Float | None = None

    @classmethod
    def open(cls, file: Path, digest: str) -> Crops:
        """The crops of a file, which may be deleted from then on."""
        array: np.memmap[Any, np.dtype[np.float16]] = np.load(file, mmap_mode="r")
        return cls(array=array, digest=digest, source=(Places(file), int(array.offset)))

    def __len__(self) -> int:
        return len(self.array)

    @cached_property
    def poses(self) -> Poses:
        """`pose`, made ready to draw by."""
        assert self.pose is not None, "these crops have no poses"
        return Poses(self.pose)

    def gather(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """(B, C, M, M) float32; raises as `read`."""
        return self.read(indices).float()

    def read(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """(B, C, M, M) float16, channels innermost in memory.

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
        return torch.from_numpy(taken).permute(0, 3, 1, 2)


def prepare(
    faceset: Faceset, folder: Path, side: str, config: ModelConfig, curve: SwapCurve
) -> Generator[Crops | Warned | None, None, None]:
    """Cut the crops into `folder`, unless they are there; yields None as it goes, after each face, and the crops last.

    The matte of a crop is what is seen of the face, as a merge has it (`mattes.occ`): its label's, else that of the
    segmenter, either in place of the hull as DeepFaceLab takes an XSeg mask (samplelib/SampleProcessor.py); without
    both the hull of its landmarks. A face that is gone or broken when its turn comes, or whose matte is, is left out
    with a warning: the others are good. Where that was in the session that cut the crops, the warning says how many
    were left out.

    Args:
        side: `src` or `dst`: the file's name begins with it, and what it replaces goes.
        curve: its gain is not used: each shot has its own.

    Raises:
        NoFace: the faceset is empty.
        InvalidInput: its pixels are of several working spaces; a face has two labels.
        FrameUnreadable: more than a tenth of the faces cannot be read; names the first.
        WriteFailed, DiskFull: the file could not be written.
    """
    _check(faceset, side)
    total, known = len(faceset.columns), mattes.known(faceset)
    if side == "src" and total < _FEW:
        yield Warned(reason="FEW_FACES", message=_few(faceset))
    key = yield from _key(faceset, known, config, curve)
    file = folder / f"{side}-{key}.npy"
    try:
        crops, shares = _opened(file, faceset.digest())
    except (OSError, ValueError, EOFError):  # it is not there, or torn
        remove(folder, side)
        with replacing(file) as beside, beside.open("wb") as opened:
            yield from _cut(opened, faceset, known, config, curve)
        crops, shares = _opened(file, faceset.digest())
    else:
        if lost := total - len(crops):
            yield left_out(lost, str(faceset.path), file)
    if narrow := int((shares < _WHOLE).sum()):
        yield Warned(reason="CROPS_NARROW", message=_narrow(faceset, narrow, config.face_type))
    yield crops


def _cut(
    file: BinaryIO, faceset: Faceset, known: frozenset[str], config: ModelConfig, curve: SwapCurve
) -> Generator[Warned | None, None, None]:
    """Write the crops, and behind them a second array, (N, 3) float32: pitch, yaw, and what `held` gives."""
    records, columns = faceset.records, faceset.columns
    shares = np.zeros(len(records), np.float32)

    def cut(row: int) -> Float:
        record = records[row]
        try:
            wanted = alignment(record, config.face_type, config.resolution)
            shares[row] = held(record, wanted)
            occ = mattes.occ(faceset, record, wanted) if record.path.name in known else None
            return crop(faceset.load(record), record, config, curve, occ)
        except InvalidInput as error:  # landmarks or an alignment that are none
            raise FrameUnreadable(f"{record.path}: {error.message}", path=record.path) from error

    side = side_of(config.resolution)
    kept = yield from write(file, range(len(records)), cut, side, str(faceset.path), channels=5)
    pose = np.nan_to_num(np.radians(columns.pose[kept, :2]))  # a header may say anything
    file.seek(0, 2)
    np.save(file, np.column_stack([pose, shares[kept]]).astype(np.float32))


def _opened(file: Path, digest: str) -> tuple[Crops, Float]:
    """The crops with their poses, and what `held` gave of each, (N,); raises OSError, ValueError or EOFError."""
    crops = Crops.open(file, digest)
    assert crops.source is not None
    with file.open("rb") as opened:
        opened.seek(crops.source[1] + crops.array.nbytes)
        notes: Float = np.load(opened)
    return replace(crops, pose=np.ascontiguousarray(notes[:, :2])), notes[:, 2]


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


def _few(faceset: Faceset) -> str:
    count = len(faceset.columns)
    return (
        f"{faceset.path}: src has {count} face{'s' * (count > 1)}, and the swap will look like "
        f"{'these' if count > 1 else 'that'} only; a likeness wants hundreds, of many poses and expressions"
    )


def _narrow(faceset: Faceset, count: int, face_type: str) -> str:
    return (
        f"{faceset.path}: {count} of {len(faceset.columns)} faces show less than face type {face_type} does: what "
        "is beyond their images is smeared; extract them again with more around the face, or train a model of a "
        "face type that shows less"
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
    one_space([faceset], side)


def one_space(facesets: Sequence[Faceset], field: str) -> None:
    """Refuse faces in several working spaces, as the setting `field`; raises InvalidInput."""
    spaces = {space: faceset.path for faceset in facesets for space in faceset.columns.texts["colour"].used()}
    if len(spaces) > 1:
        found = ", ".join(f"{path} in {space!r}" for space, path in spaces.items())
        raise InvalidInput(
            f"{field}: faces in several colour spaces: {found}; extract them with one config",
            path=facesets[0].path,
            field=field,
        )


def write(
    file: BinaryIO,
    items: Sequence[Item],
    cut: Callable[[Item], Float],
    size: int,
    where: str,
    *,
    channels: int = 4,
) -> Generator[Warned | None, None, list[int]]:
    """Write the crop of each item, one after the other: mapped, what is written would stay resident.

    Args:
        cut: gives (size, size, channels) in [0, 1], in any thread; where it raises FrameMissing or FrameUnreadable,
            there is no crop.
        where: what a message about all of them begins with.

    Returns:
        Which of the items are in the file, in order.

    Raises:
        FrameUnreadable: more than a tenth of them cannot be cut; names the first.
    """
    total, lost, kept = len(items), list[str](), list[int]()
    start = _head(file, (total, size, size, channels))
    with closing(overlapped(items, partial(_tried, cut), _same, _same, ahead=cores())) as work:
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
    end = _head(file, (len(kept), size, size, channels))
    assert end == start, "numpy leaves room in a header for any count"
    return kept


def _tried(cut: Callable[[Item], Float], item: Item) -> npt.NDArray[np.float16] | str:
    """A crop, or why there is none."""
    try:
        return narrowed(cut(item))
    except (FrameMissing, FrameUnreadable) as error:
        return error.message


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


def _same(made: Item) -> Item:
    return made


def crop(
    rgb: Float, record: FaceRecord, config: ModelConfig, curve: SwapCurve, occ: Float | None = None
) -> Float:
    """(M, M, 5) float32 in [0, 1]: one face, (S, S, 3) in the working space, cut and encoded as the network is to see
    it; its matte; eyes and mouth.

    Args:
        occ: (M, M) what is seen of the face, in the crop that `alignment` gives; None takes the hull.
    """
    wanted = alignment(record, config.face_type, config.resolution)
    points = wanted.apply(record.face.landmarks.points)
    matte = soft(hull, points, (wanted.size,) * 2) if occ is None else np.clip(occ, 0, 1)
    mattes = np.stack([matte, matte * _parts(points, wanted.size)], axis=2)
    return np.concatenate([colours(rgb, record, wanted, curve), mattes], axis=2)


def _parts(points: Points, size: int) -> Float:
    """(size, size) in [0, 1]: around eyes and mouth, so soft that it may be drawn small, in a tenth of the time."""
    side = min(size, _SOFT)
    small, shape = points * (side / size), (side, side)
    drawn = np.minimum(eyes.draw(small, shape) + mouth.draw(small, shape), 1)
    return np.asarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


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


def held(record: FaceRecord, wanted: Alignment) -> float:
    """Share of what a network sees of the crop `wanted` that the face's own image holds."""
    ticks = wanted.size * (0.5 + SHARE * _TICKS)
    seen = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    points = warp.between(wanted, record.alignment).apply(seen)
    return float(((points >= 0) & (points <= record.alignment.size)).all(axis=1).mean())


def _key(
    faceset: Faceset, known: frozenset[str], config: ModelConfig, curve: SwapCurve
) -> Generator[None, None, str]:
    """Names what the crops are made of; yields None after each label or matte that it has read."""
    made_of: list[Any] = [_VERSION, faceset.digest(), config.resolution, config.face_type, SHARE]
    key = hashlib.sha256(json.dumps([*made_of, curve.knee, curve.maximum]).encode())
    rows = [row for row, name in enumerate(faceset.columns.name.tolist()) if name in known]

    def one(record: FaceRecord) -> str:
        try:
            return f"{record.path.name} {mattes.occ_digest(faceset, record)}\n"
        except FrameUnreadable:  # the face is left out, with a word about it, when it is cut
            return f"{record.path.name} unread\n"

    with closing(
        overlapped(faceset.subset(np.array(rows, np.int64)).records, one, _same, _same, ahead=cores())
    ) as work:
        for line in work:
            key.update(line.encode())
            yield None
    return key.hexdigest()[:16]
