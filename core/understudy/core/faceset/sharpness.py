"""How sharp a face is, without another picture to compare it with.

Two measures that DeepFaceLab sorts by (core/imagelib/estimate_sharpness.py, mainscripts/Sorter.py), number for number
where they are given what it gives them: a picture that is black outside of the face's hull, all of which counts. The
edge of that black is the sharpest in the picture, and the blurrier the face the more of its score it is; so our sorts
leave the picture as it is, and only count what is inside.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array

BLOCK = 64
"""Side in pixels of the blocks whose contrast is looked at; rows and columns that fill no block are not."""

_SHARE = 0.002  # of a block's pixels that are Canny edges: from there on the block counts
_CONTRAST = 50  # up to this range of code values in a block
_WIDTHS = (5, 3)  # an edge just looks blurred when it is this many pixels wide, at low and at high contrast
_LONGEST = max(_WIDTHS) - 1  # steps that an edge is followed to each side: wider is wide
_CANNY = (0.1, 0.2)  # thresholds of the gradient, in code values
_FINE = 16  # of the gradients given to Canny: whole numbers, so that they hold sixteenths


def cpbd(grey: Array, inside: Array) -> float:
    """The share of edge pixels, 0 to 1, at which nobody would notice blur.

    Cumulative probability of blur detection: Narvekar and Karam, "A no-reference image blur metric based on the
    cumulative probability of blur detection", IEEE TIP 20 (2011). The chance that blur is seen on an edge of width w
    is 1 − exp(−(w / w_jnb)^3.6), and what counts are edges where it is at most 63 %; widths are whole pixels and 63 %
    is the chance at w = w_jnb, so those are the edges no wider than w_jnb. Widths are Marziliano's (ICIP 2002), of
    upright edges: how far brightness goes on rising or falling along the row.

    Args:
        grey: (H, W) uint8. Below 64 pixels there is no whole block, and the answer is 0.
        inside: (H, W) bool, which pixels count.

    Raises:
        InvalidInput: not a picture of one channel in 8 bits.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise InvalidInput(
            f"sharpness: wants (H, W) uint8, got {grey.shape} {grey.dtype}", field="grey", value=grey.shape
        )
    rows, columns = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
    if not rows or not columns or not inside.any():
        return 0.0
    brightest = _blocks(np.where(inside, grey, 0), rows, columns).max(axis=(1, 3)).astype(np.int16)
    darkest = _blocks(np.where(inside, grey, 255), rows, columns).min(axis=(1, 3))
    narrow = np.where(brightest - darkest <= _CONTRAST, *_WIDTHS)
    counts = _blocks(_canny(grey) & inside, rows, columns).sum(axis=(1, 3)) > _SHARE * BLOCK**2
    widths = _blocks(_edge_widths(grey, inside), rows, columns)
    edges = (widths > 0) & counts[:, None, :, None]
    sharp = edges & (widths <= narrow[:, None, :, None])
    return float(sharp.sum()) / max(1.0, float(edges.sum()))


def laplacian_variance(bgr: Array, inside: Array) -> float:
    """Variance of the Laplacian of aperture 11 over all channels of the pixels inside; motion blur lowers it.

    `bgr` (H, W, 3) uint8, `inside` (H, W) bool. A number without a unit, 1e11 to 1e13 for faces; its scale is that of
    OpenCV's unnormalised kernel. 0 where nothing is inside.
    """
    if not inside.any():
        return 0.0
    values = cv2.Laplacian(bgr, cv2.CV_64F, ksize=11)[inside]
    return float(values.var())


def _blocks(plane: Array, rows: int, columns: int) -> Array:
    """(rows, 64, columns, 64): a view of the whole blocks."""
    return plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)


def _canny(grey: npt.NDArray[np.uint8]) -> Array:
    """(H, W) bool, Canny's edges at sigma 1."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (9, 9), 1.0, borderType=cv2.BORDER_REFLECT)
    across, down = (
        np.rint(_FINE * cv2.Sobel(smooth, cv2.CV_32F, *way)).astype(np.int16) for way in ((1, 0), (0, 1))
    )
    low, high = (_FINE * threshold for threshold in _CANNY)
    edges: Array = cv2.Canny(across, down, low, high, L2gradient=True) > 0
    return edges


def _edge_widths(grey: npt.NDArray[np.uint8], inside: Array) -> Array:
    """(H, W) uint8: width in pixels of the upright edge at each of its pixels, 0 where there is none.

    Widths above `max(_WIDTHS)` are only known to be that.
    """
    edges = _edges(grey, inside)
    edges[[0, -1]] = edges[:, [0, -1]] = False
    values = cv2.copyMakeBorder(grey, 0, 0, 2, 2, cv2.BORDER_REPLICATE).astype(np.int16)  # no change outside
    flat, stride = values.ravel(), values.shape[1]
    found = np.flatnonzero(edges)
    place = found + found // grey.shape[1] * 4 + 2
    across, down = flat[place + 1] - flat[place - 1], flat[place + stride] - flat[place - stride]
    upright = (np.abs(down) < np.tan(np.pi / 8) * np.abs(across)) | (across == 0)
    place, rising = place[upright], np.where(across[upright] >= 0, np.int16(1), np.int16(-1))
    widths = np.zeros(grey.size, np.uint8)
    widths[found[upright]] = 2 + _run(flat, place - 1, -rising, -1) + _run(flat, place + 1, rising, 1)
    return widths.reshape(grey.shape)


def _run(flat: npt.NDArray[np.int16], place: Array, sign: Array, way: int) -> Array:
    """(K,): how many steps brightness goes on changing in the direction `sign`, from each place towards `way`.

    At most `_LONGEST`. Few pixels are edges, so they are followed step by step.
    """
    steps = np.zeros(len(place), np.uint8)
    going = np.arange(len(place))
    for _ in range(_LONGEST):
        ahead = sign * (flat[place + way] - flat[place]) > 0
        going, place, sign = going[ahead], place[ahead] + way, sign[ahead]
        if not len(going):
            break
        steps[going] += 1
    return steps


def _edges(grey: npt.NDArray[np.uint8], inside: Array) -> Array:
    """(H, W) bool: Sobel's upright edges above twice the root of their mean square, thinned to ridges."""
    strength = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125, borderType=cv2.BORDER_REFLECT) ** 2
    mean = float(strength[inside].mean(dtype=np.float64))
    strength[strength <= 2.0 * np.sqrt(mean)] = 0.0
    around = np.pad(strength, 1)
    x = (strength > around[1:-1, :-2]) & (strength > around[1:-1, 2:])
    y = (strength > around[:-2, 1:-1]) & (strength > around[2:, 1:-1])
    return np.asarray((x | y) & inside)
