"""Weights of XSeg in DeepFaceLab's layout, read without running anything (`faceset.dfl.arrays`).

Kernels are (kh, kw, in, out), of transposed convolutions (kh, kw, out, in), dense weights (in, out); pictures are BGR.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from understudy.core.errors import WeightsCorrupt
from understudy.core.faceset.dfl import arrays

_LARGEST = 2 << 30
"""Bytes of a file, and of what comes out of it; DeepFaceLab's has 0.07e9."""


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
    given = {name.removeprefix("XSeg/"): array for name, array in read(path).items()}
    missing = [theirs for theirs in names.values() if theirs not in given]
    if missing:
        more = f" and {len(missing) - 3} more" * (len(missing) > 3)
        raise WeightsCorrupt(
            f"{path}: not weights of XSeg: it lacks {', '.join(missing[:3])}{more}", path=path
        )
    found: dict[str, Tensor] = {}
    for ours, theirs in names.items():
        array = converted(given[theirs])
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
    return arrays.read(path, "XSeg", _LARGEST)


def converted(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One array from their axes to ours: of both kinds of convolution the last axis comes first."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
