"""Pictures of where a training stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from understudy.core import drawing, plate
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import to_half

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
    faces, shown = _grid(rows, curve, mattes)
    return np.concatenate([colour.proxy(faces, 1.0), shown])


def picture(rows: Sequence[Tensor], curve: SwapCurve, colour: ColourConfig, *, mattes: int = 1) -> Array:
    """(H, W, 3) uint8, sRGB: the sheet, small faces enlarged to be seen."""
    small = drawing.eight_bits(sheet(rows, curve, colour, mattes=mattes))
    enlarge = max(1, round(128 / rows[0].shape[-1]))
    return small.repeat(enlarge, 0).repeat(enlarge, 1)


def write(
    path: Path, rows: Sequence[Tensor], curve: SwapCurve, colour: ColourConfig, *, mattes: int = 1
) -> None:
    """Write the picture as PNG, atomically.

    Raises:
        WriteFailed, DiskFull: naming the file.
    """
    drawing.save(picture(rows, curve, colour, mattes=mattes), path)


def write_exr(path: Path, rows: Sequence[Tensor], curve: SwapCurve, *, mattes: int = 1) -> None:
    """Write the rows of `sheet` as an OpenEXR of half floats, atomically, for a compositor.

    R, G and B are scene-linear in the working space, exposed as for the network, highlights whole; a matte is in all
    three, in [0, 1].

    Raises:
        WriteFailed, DiskFull: naming the file.
    """
    picture = to_half(np.concatenate(_grid(rows, curve, mattes)))
    window = Window(0, 0, picture.shape[1], picture.shape[0])
    planes = {name: picture[..., i] for i, name in enumerate("RGB")}
    frame = Frame(number=0, planes=planes, display=window, data=window)
    plate.write(frame, path, compression="zip")


def _grid(rows: Sequence[Tensor], curve: SwapCurve, mattes: int) -> tuple[Float, Float]:
    """The rows one below the other, scene-linear (H, W, 3), and those that are mattes (h, W, 3)."""
    lines = [np.concatenate(list(row.float().cpu().permute(0, 2, 3, 1).numpy()), axis=1) for row in rows]
    picture = np.concatenate(lines)
    edge = len(picture) - mattes * rows[0].shape[-1]
    even = SwapCurve(gain=1.0, knee=curve.knee, maximum=curve.maximum)
    return even.decode(picture[:edge]), picture[edge:]
