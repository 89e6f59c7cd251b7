"""DeepFaceLab's weights: arrays by name, read without running anything.

Its own files end in `.npy` and are Python pickles of a dictionary from variable names to arrays; `pickles` takes such
apart. The same names in `.npz` and `.safetensors` are read too.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from understudy.core.errors import FrameUnreadable, NotFound, WeightsCorrupt
from understudy.core.faceset.dfl import pickles

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


def read(path: Path, what: str, largest: int) -> dict[str, Any]:
    """The arrays of a file by name, as stored: floats, finite.

    Args:
        what: network they are of, for errors.
        largest: bytes of a file, and of what comes out of it.

    Raises:
        NotFound: there is no such file.
        WeightsCorrupt: larger, cut, altered, or with something in it that is no array of finite numbers.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file of weights", path=path)
    if path.stat().st_size > largest:
        raise WeightsCorrupt(f"{path}: larger than {largest >> 30} GiB: no weights of {what}", path=path)
    try:
        found = _read(path, largest)
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


def _read(path: Path, largest: int) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError(f"it unpacks to more than {largest >> 30} GiB")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    return pickles.load(path.read_bytes(), path, "content")
