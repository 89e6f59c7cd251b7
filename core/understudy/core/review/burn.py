"""What is written into a review's pictures: which sequence, version and frame one looks at."""

from __future__ import annotations

import numpy as np

from understudy.core import drawing
from understudy.core.frames import Float
from understudy.core.review.pictures import Size

_SHARE = 50  # of the picture's height that capitals are
_SMALLEST, _LARGEST = 6.0, 40.0  # pixels
_SHADE = 0.35  # of the picture is left behind text
_GREY = 0.1  # of white, where there is no picture


def height_of(rows: int) -> float:
    """How high capitals are, in pixels, in a picture of so many rows."""
    return min(max(rows / _SHARE, _SMALLEST), _LARGEST)


def stamp(
    picture: Float, text: str, at: tuple[float, float], *, height: float, white: float, align: float = 0.0
) -> None:
    """Write a line of text on a shaded ground into a picture.

    Args:
        picture: (H, W, 3) codes of a display; changed.
        at: x of the text as `align` has it (0 begins there, 0.5 has its middle, 1 ends there), and y of the ground's
            top; what would stand outside of the picture is cut off.
        height: of capitals, in pixels.
        white: the code of the letters.
    """
    if not text:
        return
    pad = round(0.6 * height)
    width, tall = drawing.extent(text, height) + 2 * pad, round(2.4 * height)
    ink = np.zeros((tall, width, 3), np.uint8)
    drawing.write_text(ink, text, (pad, round(1.7 * height)), height=height, ink=(255, 255, 255))
    x, y = round(at[0] - align * width), round(at[1])
    left, top = max(0, -x), max(0, -y)
    ground = picture[y + top : y + tall, x + left : x + width]
    share = ink[top : top + ground.shape[0], left : left + ground.shape[1], :1].astype(np.float32) / 255.0
    ground *= _SHADE * (1.0 - share)
    ground += np.float32(white) * share


def absent(size: Size, white: float) -> Float:
    """(h, w, 3): what stands in for a picture that is not there; `middle` writes into it what is wrong."""
    return np.full((size[1], size[0], 3), _GREY * white, np.float32)


def middle(picture: Float, text: str, part: tuple[int, int], *, bottom: int, white: float) -> None:
    """Write into the middle of what is seen between two columns, if anything is.

    Args:
        picture: changed.
        part: first column, and the one after the last.
        bottom: the row below the last of the cells.
    """
    height = height_of(bottom)
    seen = picture[:bottom, part[0] : part[1]]
    if seen.size:
        at = (0.5 * seen.shape[1], 0.5 * (bottom - 2.4 * height))
        stamp(seen, text, at, height=height, white=white, align=0.5)


def foot(picture: Float, left: str, right: str, *, bottom: int, end: float, white: float) -> None:
    """Write into the lower corners: smaller where the two would meet.

    Args:
        picture: changed.
        bottom: the row below the last of the cells.
        end: the column where the right one ends.
    """
    height = height_of(bottom)
    need = sum(drawing.extent(text, height) + 3.0 * height for text in (left, right))
    height *= min(1.0, end / need)
    y = bottom - 2.4 * height
    stamp(picture, left, (0.0, y), height=height, white=white)
    stamp(picture, right, (end, y), height=height, white=white, align=1.0)
