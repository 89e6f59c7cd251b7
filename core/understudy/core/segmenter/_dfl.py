"""Weights in DeepFaceLab's layout, read without running anything.

Its own files are Python pickles of a dictionary from variable names to arrays; `faceset.dfl.pickles` takes such apart.
Kernels are (kh, kw, in, out), of transposed convolutions (kh, kw, out, in), dense weights (in, out); pictures are BGR.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from understudy.core.errors import FrameUnreadable, NotFound, WeightsCorrupt
from understudy.core.faceset.dfl import pickles

_LARGEST = 2 << 30
"""Bytes of a file, and of what comes out of it; DeepFaceLab's has 0.07e9."""

_BROKEN = (
    EOFError,
    KeyError,
    OSError,
    SafetensorError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What readers raise on a file that was cut or altered."""


def state_dict(
    path: Path, wanted: Mapping[str, Tensor], names: Mapping[str, str], *, reversed_input: str
) -> dict[str, Tensor]:
    """A state dict with the names and shapes of `wanted`.

    Args:
        path: DeepFaceLab's file, or `.npz` or `.safetensors` of its names, with or without `XSeg/` before them.
        wanted: our state dict; shapes are enough.
        names: ours to DeepFaceLab's.
        reversed_input: ours of the convolution that sees the picture.

    Raises:
        NotFound, WeightsCorrupt: as the family says.
    """
    arrays = {name.removeprefix("XSeg/"): array for name, array in read(path).items()}
    missing = [theirs for theirs in names.values() if theirs not in arrays]
    if missing:
        more = f" and {len(missing) - 3} more" * (len(missing) > 3)
        raise WeightsCorrupt(
            f"{path}: not weights of XSeg: it lacks {', '.join(missing[:3])}{more}", path=path
        )
    found: dict[str, Tensor] = {}
    for ours, theirs in names.items():
        array = converted(arrays[theirs])
        if ours == reversed_input:
            array = array[:, ::-1]
        if array.shape != wanted[ours].shape:
            raise WeightsCorrupt(
                f"{path}: {theirs} becomes {array.shape}, but {ours} is {tuple(wanted[ours].shape)}: are resolution "
                f"and channels those that it was trained with? (DeepFaceLab's own are 256 and 32)",
                path=path,
            )
        found[ours] = torch.from_numpy(np.array(array, np.float32, order="C"))
    return found


def read(path: Path) -> dict[str, Any]:
    """The arrays of a file by name."""
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file of weights", path=path)
    if path.stat().st_size > _LARGEST:
        raise WeightsCorrupt(f"{path}: larger than {_LARGEST >> 30} GiB: no weights of XSeg", path=path)
    try:
        found = _read(path)
    except FrameUnreadable as error:
        raise WeightsCorrupt(error.message, path=path) from error
    except _BROKEN as error:
        raise WeightsCorrupt(
            f"{path}: not weights that can be read safely: {error or type(error).__name__}", path=path
        ) from error
    if not isinstance(found, dict) or not all(isinstance(k, str) for k in found):
        raise WeightsCorrupt(f"{path}: it does not hold arrays by name", path=path)
    for name, array in found.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise WeightsCorrupt(f"{path}: {name} is no array of finite numbers", path=path)
    return found


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
                raise ValueError(f"it unpacks to more than {_LARGEST >> 30} GiB")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    return pickles.load(path.read_bytes(), path, "content")


def converted(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One array from their axes to ours: of both kinds of convolution the last axis comes first."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
