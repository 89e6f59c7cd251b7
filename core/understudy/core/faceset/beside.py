"""Files beside the faces, by the faces' names: listed, read and written in a folder, read out of a pack.

What lies in `labels/` and `mattes/` says in which alignment its picture is, so that a face that was cut anew since
still finds its own.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import plate, warp
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput
from understudy.core.face import Alignment
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import failed, replacing
from understudy.core.frames import Float, Frame, Window
from understudy.core.half import widened
from understudy.core.image import to_half
from understudy.core.plate import exr
from understudy.core.plate.metadata import decode

LABELS, MATTES = "labels", "mattes"
LARGEST = 8192  # pixels a side

_PREFIX = "understudy/"
_ALPHA = "A"


def stems(faceset: Faceset, folder: str, suffixes: tuple[str, ...]) -> dict[str, list[str]]:
    """Stem → suffixes of the files of these suffixes in a folder of a faceset, whether or not it has such a face."""
    if faceset.pack is not None:
        parts = (name.partition("/") for name in faceset.pack.files)
        files = [file for home, _, file in parts if home == folder]
    else:
        home = faceset.path / folder
        files = [file.name for file in home.glob("[!.]*")] if home.is_dir() else []
    found: dict[str, list[str]] = {}
    for file in sorted(files):
        for suffix in suffixes:
            if file.endswith(suffix):
                found.setdefault(file.removesuffix(suffix), []).append(suffix)
    return found


def faces_of(faceset: Faceset, folder: str, suffixes: tuple[str, ...]) -> frozenset[str]:
    """Names of the faces of a faceset, with `.exr`, that have a file in that folder."""
    there = stems(faceset, folder, suffixes)
    return frozenset(name for name in faceset.columns.name.tolist() if Path(name).stem in there)


def refuse_pack(faceset: Faceset) -> None:
    """Raises InvalidInput: nothing is written into a pack."""
    if faceset.packed:
        raise InvalidInput(
            f"{faceset.path}: is a pack, which is never changed: unpack it, and pack the folder again",
            path=faceset.path,
            field="faceset",
            value=faceset.path,
        )


def remove(files: Iterable[Path]) -> int:
    """Delete files that may not be there; how many were.

    Raises:
        WriteFailed: naming the file; those before it are gone.
    """
    return sum(map(_unlinked, files))


def _unlinked(file: Path) -> bool:
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failed(file, error) from error
    return True


def carry(faceset: Faceset, stem: str, folder: Path, to: str) -> None:
    """Copy the label and the matte of a face into another faceset's folder, under its stem there.

    What a face there has already stays: a label is a person's work.

    Raises:
        FrameUnreadable, WriteFailed, DiskFull: naming the file.
    """
    for home, suffixes in ((LABELS, (".json", ".exr")), (MATTES, (".exr",))):
        if any((folder / home / f"{to}{suffix}").exists() for suffix in suffixes):
            continue
        for suffix in suffixes:
            if (content := faceset.beside(f"{home}/{stem}{suffix}")) is not None:
                with replacing(folder / home / f"{to}{suffix}") as beside:
                    beside.write_bytes(content)


def digest(content: bytes | None) -> str | None:
    """SHA-256 of a file, 64 hex digits."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def scaled(alignment: Alignment, size: int) -> Alignment:
    """The same crop at another size in pixels."""
    if size == alignment.size:
        return alignment
    matrix = alignment.matrix * (size / alignment.size)
    return Alignment(matrix=matrix, size=size, face_type=alignment.face_type)


def moved(matte: Float, stored: Alignment, wanted: Alignment) -> Float:
    """(S, S) a matte in one alignment → (T, T) in another of the same face; 0 where the first does not reach."""
    across = warp.between(stored, wanted)
    if stored.size == wanted.size and np.allclose(across.matrix, np.eye(2, 3), atol=1e-9):
        return matte
    within = Window(0, 0, stored.size, stored.size)
    if warp.footprint(across, within).empty:
        return np.zeros((wanted.size, wanted.size), np.float32)
    return warp.to_aligned(matte, within, across, border="zero")


def write_picture(
    path: Path, matte: Float, record: FaceRecord, alignment: Alignment, entries: Mapping[str, Any]
) -> None:
    """Write (S, S) in [0, 1] as an OpenEXR of one channel A, half float, that says what `alignment` it is in.

    Args:
        path: its file.
        matte: as large as `alignment` says.
        record: the face.
        alignment: of the matte.
        entries: what else it is to say, names without `understudy/`; an empty text is left out.

    Raises:
        InvalidInput: the matte is not square, of another size, not finite or outside 0 to 1; or the alignment is none
            that `read_picture` takes.
        WriteFailed, DiskFull: naming the file.
    """
    try:
        placed({**place(alignment), "size": alignment.size})
    except ValueError as error:
        raise InvalidInput(
            f"{path}: a matte that could not be read again: {error}", field="alignment", value=alignment.size
        ) from error
    if matte.shape != (alignment.size, alignment.size):
        raise InvalidInput(
            f"{path}: a matte of {matte.shape} in a crop of {alignment.size}",
            field="matte",
            value=matte.shape,
        )
    if not (matte >= 0.0).all() or not (matte <= 1.0).all():
        raise InvalidInput(
            f"{path}: a matte with values outside 0 to 1, or not finite", field="matte", value="nan"
        )
    window = Window(0, 0, alignment.size, alignment.size)
    said = {"frame": record.face.frame, **place(alignment), **entries}
    metadata = {f"{_PREFIX}{name}": value for name, value in said.items() if value != ""}
    planes = {_ALPHA: to_half(np.asarray(matte, np.float32))}
    frame = Frame(number=record.face.frame, planes=planes, display=window, data=window, metadata=metadata)
    plate.write(frame, path, compression="zip", threads=1)


def read_picture(faceset: Faceset, name: str, kind: str) -> tuple[Float, dict[str, Any], Alignment] | None:
    """What `write_picture` wrote: (S, S), its entries without `understudy/`, and its alignment; None if nothing is.

    Args:
        faceset: folder or pack.
        name: such as `mattes/shot_t0.1001.exr`.
        kind: an entry that it must have, with which version.

    Raises:
        FrameUnreadable: naming the file, if it is no such picture.
    """
    path = faceset.path / name
    frame = _frame(faceset, name, path)
    if frame is None:
        return None
    entries, alignment = _entries(frame.metadata, tuple(frame.planes), frame.data, path, kind)
    matte = frame.planes[_ALPHA]
    found = widened(matte) if matte.dtype == np.float16 else matte.astype(np.float32)
    if not np.isfinite(found).all():
        raise FrameUnreadable(f"{path}: not a matte of a face: it has values that are not finite", path=path)
    return np.clip(found, 0.0, 1.0), entries, alignment


def header(faceset: Faceset, name: str, kind: str) -> dict[str, Any] | None:
    """The entries alone of what `write_picture` wrote, without decoding it; arguments and errors as `read_picture`."""
    content = faceset.beside(name)
    if content is None:
        return None
    path = faceset.path / name
    try:
        part = exr.parse(BytesIO(content)).parts[0]
    except exr.Broken as error:
        raise FrameUnreadable(f"{path}: {error}", path=path) from error
    said = {name: decode(raw) for name, raw in part.attributes.items() if name.startswith(_PREFIX)}
    return _entries(said, tuple(part.channels), part.data, path, kind)[0]


def _entries(
    metadata: Mapping[str, Any], channels: tuple[str, ...], data: Window, path: Path, kind: str
) -> tuple[dict[str, Any], Alignment]:
    """What a picture says of itself, checked."""
    said = {k.removeprefix(_PREFIX): v for k, v in metadata.items() if k.startswith(_PREFIX)}
    try:
        if kind not in said or _ALPHA not in channels:
            raise ValueError(f"it has no {_PREFIX}{kind}, or no channel {_ALPHA}")
        if not data.width == data.height <= LARGEST:
            raise ValueError(f"it is {data.width}×{data.height}, not square or beyond {LARGEST}")
        return said, placed({**said, "size": data.width})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = str(error) if type(error) is ValueError else f"{error!r}"
        raise FrameUnreadable(f"{path}: not a matte of a face: {what}", path=path) from error


def place(alignment: Alignment) -> dict[str, Any]:
    """An alignment as texts, without its size."""
    return {"alignment": json.dumps(alignment.matrix.tolist()), "faceType": alignment.face_type}


def placed(said: Mapping[str, Any]) -> Alignment:
    """What `place` said, with `size`; raises KeyError, TypeError or ValueError."""
    matrix, size = np.array(json.loads(said["alignment"]), np.float64), int(said["size"])
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
        raise ValueError(f"its alignment is {matrix.tolist()}")
    if not 1 <= size <= LARGEST:
        raise ValueError(f"its size is {size}")
    return Alignment(matrix=matrix, size=size, face_type=str(said["faceType"]))


def _frame(faceset: Faceset, name: str, path: Path) -> Frame | None:
    """An image that lies beside the faces. Decoders take files only: what is in a pack becomes one for a moment."""
    if faceset.pack is None:
        try:
            return plate.read_file(path)
        except FrameMissing:
            return None
    content = faceset.beside(name)
    if content is None:
        return None
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        file = Path(folder) / "matte.exr"
        file.write_bytes(content)
        try:
            return plate.read_file(file)
        except FrameUnreadable as error:
            raise FrameUnreadable(error.message.replace(str(file), str(path)), path=path) from error
