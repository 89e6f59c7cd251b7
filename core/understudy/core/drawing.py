"""What pictures for people are drawn with: pixels as a person sees them, cells, lines of text. PNG, sRGB."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from understudy.core.colour import ColourConfig
from understudy.core.errors import WriteFailed
from understudy.core.files import replacing
from understudy.core.frames import Array, Float
from understudy.core.image import fill_nonfinite

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

PAPER: Colour = (28, 28, 28)
INK: Colour = (225, 225, 225)
FAINT: Colour = (128, 128, 128)

_PLAIN, _BOLD = cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX
_CAPITAL = 22.0  # pixels that the font's capitals are high at scale 1


def paper(width: int, height: int) -> Array:
    """(height, width, 3) uint8, an empty sheet."""
    return np.full((height, width, 3), PAPER, np.uint8)


def eight_bits(values: Float) -> Array:
    """[0, 1] to 0…255, what is beyond held there. uint8."""
    levels: Array = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels


def shown(rgb: Float, gain: float, colour: ColourConfig) -> Array:
    """(H, W, 3) of the working space, which may hold NaN → uint8, the viewing proxy at this exposure."""
    filled, _ = fill_nonfinite(rgb)
    return eight_bits(colour.proxy(filled, gain))


def fit(picture: Array, side: int) -> Array:
    """(side, side, 3) uint8: the whole picture in the middle of a square of paper."""
    scale = side / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    kernel = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    square = paper(side, side)
    x, y = (side - size[0]) // 2, (side - size[1]) // 2
    square[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size, interpolation=kernel)
    return square


def extent(text: str, height: float, *, bold: bool = False) -> int:
    """How many pixels wide a line of text is whose capitals are so many pixels high."""
    size, _ = cv2.getTextSize(text, _BOLD if bold else _PLAIN, height / _CAPITAL, 1)
    return int(size[0])


def write_text(
    sheet: Array,
    text: str,
    at: tuple[float, float],
    *,
    height: float = 13.5,
    ink: Colour = INK,
    align: float = 0.0,
    bold: bool = False,
) -> None:
    """Draw a line of text into `sheet`.

    Args:
        text: in the font that OpenCV 5 has built in, which knows Latin letters and °, ×, –.
        at: x and y in pixels, y of the line that letters stand on.
        height: of capitals, in pixels.
        align: 0 begins at x, 0.5 has its middle there, 1 ends there.
    """
    place = round(at[0] - align * extent(text, height, bold=bold)), round(at[1])
    cv2.putText(sheet, text, place, _BOLD if bold else _PLAIN, height / _CAPITAL, ink, 1, cv2.LINE_AA)


def png(sheet: Array) -> bytes:
    """(H, W, 3) uint8 as the bytes of a PNG.

    Raises:
        WriteFailed: it cannot be one.
    """
    good, data = cv2.imencode(".png", sheet[..., ::-1])
    if not good:
        raise WriteFailed("the picture could not be encoded")
    return data.tobytes()


def save(sheet: Array, path: Path) -> None:
    """Write (H, W, 3) uint8 as a PNG, atomically.

    Raises:
        WriteFailed, DiskFull: naming the file.
    """
    try:
        data = png(sheet)
    except WriteFailed as error:
        raise WriteFailed(f"{path}: {error.message}", path=path) from error
    with replacing(path) as beside:
        beside.write_bytes(data)
