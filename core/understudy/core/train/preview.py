"""Pictures of where a training stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.files import replacing
from understudy.core.frames import Float

COLUMNS = 8


def choose(count: int) -> npt.NDArray[np.int64]:
    """Indices of the faces to show: the same each time, spread over the faceset."""
    return np.linspace(0, count - 1, COLUMNS).round().astype(np.int64)


def sheet(rows: Sequence[Tensor], curve: SwapCurve, colour: ColourConfig, *, mattes: int = 1) -> Float:
    """(H, W, 3) float32, viewing proxy in [0, 1]: one row below the other, the last ones mattes.

    Args:
        rows: each (N, 3, S, S) in swap space.
        curve: its gain is left out: the faces show as exposed for the network.
        mattes: how many rows are mattes.
    """
    lines = [np.concatenate(list(row.float().cpu().permute(0, 2, 3, 1).numpy()), axis=1) for row in rows]
    faces = np.concatenate(lines[:-mattes])
    linear = SwapCurve(gain=1.0, knee=curve.knee, maximum=curve.maximum).decode(faces)
    return np.concatenate([colour.proxy(linear, 1.0), *lines[-mattes:]])


def write(
    path: Path, rows: Sequence[Tensor], curve: SwapCurve, colour: ColourConfig, *, mattes: int = 1
) -> None:
    """Write the sheet as PNG, atomically, small faces enlarged to be seen."""
    picture = sheet(rows, curve, colour, mattes=mattes)
    enlarge = max(1, round(128 / rows[0].shape[-1]))
    codes = (picture.repeat(enlarge, 0).repeat(enlarge, 1) * 255 + 0.5).astype(np.uint8)
    encoded = cv2.imencode(".png", codes[..., ::-1])[1]
    with replacing(path) as beside:
        beside.write_bytes(encoded.tobytes())
