"""The spaces in which colours are matched, and the way there and back for a picture.

A member matches colours in one of the spaces below, which have names in every comp. Both are for light up to 1, and
what a network calls a face hardly exceeds that. Brighter light is taken down its ray to black until its brightest
channel is 1, matched, and taken up again by the same factor: however bright, a highlight keeps its hue's match and its
ratio to the face, and more light in is more light out. So is it in the statistics (`_statistics`), where one glint
would otherwise outweigh a cheek. Light below 0 has codes below 0; nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.colour import SRGB_OFFSET, SRGB_POWER, SRGB_TOE, SRGB_TOE_SLOPE
from understudy.core.frames import Float
from understudy.core.threads import spread

Codes = npt.NDArray[np.float32]
"""(h, w, 3) in a space."""

LIMIT = 1.0
"""Scene-linear: the brightest channel of what is matched as it is; what is brighter is matched along its ray."""

# AP1 (ACES S-2014-004) to the primaries of ITU-R BT.709 under D65, by Bradford's adaptation
_REC709 = np.array(
    [
        [1.70505095, -0.62179214, -0.08325887],
        [-0.13025641, 1.14080477, -0.01054832],
        [-0.02400336, -0.12896897, 1.15297234],
    ]
)
_AP1 = np.linalg.inv(_REC709)
# light of those primaries to XYZ in units of its white, D65 (IEC 61966-2-1)
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_XYZ /= _XYZ.sum(axis=1, keepdims=True)
# L*, a* and b* of the three roots, and the offset of the first (CIE 15:2004)
_LAB = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_BLACK = np.array([-16.0, 0.0, 0.0])
_ROOTS = np.linalg.inv(_LAB)
_DARK = (6.0 / 29.0) ** 3  # below it the root is a line
_BAND = 2**15  # pixels at a time, so that what becomes of them stays in a CPU's cache


@dataclass(frozen=True, kw_only=True)
class Space:
    """A space of colour and the way there, from light of Rec.709's primaries (h, w, 3) float32 and back.

    Attributes:
        name: as reports call it.
        axes: what its three numbers are called.
    """

    name: str
    axes: tuple[str, str, str]
    encode: Callable[[Float], Codes]
    decode: Callable[[Codes], Float]

    def matched(self, face: Float, change: Callable[[Codes], Codes], amount: float) -> Float:
        """The face (h, w, 3), working space, with `amount` of a change of its codes.

        Args:
            change: (h, w, 3) → the same, pixel by pixel.
            amount: 0 to 1; 0 gives the very values.
        """

        def matched(rows: Float) -> Float:
            light, scale = held(rows)
            codes = self.encode(light)
            after = change(codes)
            if amount != 1.0:
                after = codes + np.float32(amount) * (after - codes)
            return mixed(self.decode(after) * scale, _AP1)

        return in_bands(face, matched) if amount else face.copy()

    def sampled(self, picture: Float) -> Codes:
        """Codes of a picture (h, w, 3), working space, as `matched` meets them."""
        return self.encode(held(picture)[0])


def held(picture: Float) -> tuple[Float, Float]:
    """Working space (h, w, 3) → light of Rec.709's primaries (h, w, 3), no channel above `LIMIT`; and by what it was
    divided for that, at least 1: (h, w, 1), or (1, 1, 1) where it is 1 for all.
    """
    light = mixed(picture, _REC709)
    red, green, blue = cv2.split(light)
    peak = cv2.max(cv2.max(red, green), blue).reshape(*picture.shape[:2], 1)
    if not (peak > LIMIT).any():
        return light, np.ones((1, 1, 1), np.float32)
    scale = np.fmax(peak * np.float32(1.0 / LIMIT), np.float32(1.0))
    return light / scale, scale


def _power(picture: Float, exponent: float) -> Float:
    """(h, w, 3) of a picture likewise, above 0."""
    return np.asarray(cv2.pow(picture, exponent), np.float32).reshape(picture.shape)


def mixed(picture: Float, matrix: npt.NDArray[np.float64]) -> Float:
    """Each pixel of a picture (h, w, D) through a matrix (D, D), or (D, D + 1) whose last column is added."""
    return np.asarray(cv2.transform(picture, matrix), np.float32).reshape(picture.shape)


def in_bands(picture: Float, change: Callable[[Float], Float]) -> Float:
    """A picture (h, w, 3) changed, pixel by pixel, by so many rows at a time as a CPU's cache holds."""
    made = np.empty_like(picture)
    rows = max(1, _BAND // max(picture.shape[1], 1))

    def fill(start: int) -> None:
        made[start : start + rows] = change(picture[start : start + rows])

    spread(fill, range(0, len(picture), rows))
    return made


def _srgb(light: Float) -> Codes:
    """sRGB's curve, odd: a power of what is above its knee and a line of what is below, which needs no choosing."""
    size = np.abs(light)
    high = _power(np.maximum(size, np.float32(SRGB_TOE)), 1.0 / SRGB_POWER)
    low = np.minimum(size, np.float32(SRGB_TOE))
    at_knee = (1.0 + SRGB_OFFSET) * SRGB_TOE ** (1.0 / SRGB_POWER)
    code = high * np.float32(1.0 + SRGB_OFFSET) + (low * np.float32(SRGB_TOE_SLOPE) - np.float32(at_knee))
    return np.copysign(code, light)


def _srgb_light(codes: Codes) -> Float:
    """The inverse of `_srgb`, which goes on above 1."""
    knee = SRGB_TOE * SRGB_TOE_SLOPE
    size = np.abs(codes)
    base = (np.maximum(size, np.float32(knee)) + np.float32(SRGB_OFFSET)) * np.float32(
        1.0 / (1.0 + SRGB_OFFSET)
    )
    low = np.minimum(size, np.float32(knee)) * np.float32(1.0 / SRGB_TOE_SLOPE)
    light = _power(base, SRGB_POWER) + (low - np.float32(SRGB_TOE))
    return np.copysign(light, codes)


def _lab(light: Float) -> Codes:
    """CIE L*a*b*; below black the roots' lines go on."""
    xyz, dark = mixed(light, _XYZ), np.float32(_DARK)
    root = np.cbrt(np.maximum(xyz, dark))
    root += (np.minimum(xyz, dark) - dark) * np.float32(_DARK ** (-2 / 3) / 3)
    return mixed(root, np.column_stack([_LAB, _BLACK]))


def _lab_light(lab: Codes) -> Float:
    """The inverse of `_lab`."""
    root = mixed(lab, np.column_stack([_ROOTS, -_ROOTS @ _BLACK]))
    knee = np.float32(_DARK ** (1 / 3))
    high = np.maximum(root, knee)
    xyz = high * high * high + (np.minimum(root, knee) - knee) * np.float32(3.0 * _DARK ** (2 / 3))
    return mixed(xyz, np.linalg.inv(_XYZ))


SRGB = Space(name="sRGB Encoded Rec.709 (sRGB)", axes=("R", "G", "B"), encode=_srgb, decode=_srgb_light)
"""Codes of sRGB's curve and primaries; 0.18 is at 0.461, 1 at 1. OCIO's own configurations call it so."""
LAB = Space(name="CIE L*a*b* (D65)", axes=("L", "a", "b"), encode=_lab, decode=_lab_light)
"""Lightness 0 to 100 for light from 0 to 1, and two axes of opponent colours, about −100 to 100."""
