"""Sharpening, and its opposite: the picture plus some of what a blur would take out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core.finish import _stops
from understudy.core.frames import Array, Float
from understudy.core.image import fill_nonfinite, luminance
from understudy.core.parameters import check, choice, number
from understudy.core.threads import spread

_BAND = 2**15  # pixels at a time, so that what becomes of them stays in a CPU's cache
_REACH = 4.0  # radii: OpenCV's Gaussian kernels in float end there


@dataclass(frozen=True, kw_only=True)
class Sharpen:
    """How a picture is sharpened.

    In stops an edge gets the same ratio of light on both sides, wherever it is on the scale; in scene-linear a
    highlight of 60 would dig a black ditch into the skin beside it.

    Attributes:
        amount: at −1 it is the blur itself, which is how a face gets as soft as its plate.
        kind: `box` and `gaussian` name the blur and sharpen each channel; `unsharp` is a Gaussian that sharpens the
            luminance alone and gives it to all channels alike, so that no edge changes its hue (in stops, but for deep
            shadows).
        radius: px: standard deviation of the Gaussian; the box has a side of 2·radius + 1.
        threshold: of `unsharp`, in units of the space: less detail than this is left as it is, and of more only what
            is above it grows, so that grain can stay out of it.
        halo: 0 lets none be: edges only get steeper.
    """

    amount: float = number(0.0, -1.0, 10.0, "How much of the detail is added; below 0 it is taken away.")
    kind: str = choice("gaussian", ("box", "gaussian", "unsharp"), "What detail is.")
    radius: float = number(1.0, 0.1, 100.0, "How coarse the detail is, in pixels.")
    threshold: float = number(0.0, 0.0, 10.0, "Of unsharp: detail that is left alone.")
    halo: float = number(
        1.0, 0.0, 10.0, "How far pixels may go beyond those around them, in shares of their range."
    )
    space: str = choice("stops", ("stops", "linear"), "What edges are compared in: stops or light.")

    def __post_init__(self) -> None:
        check(self, "sharpen")


def sharpen(rgb: Float, how: Sharpen) -> Float:
    """The picture (H, W, 3), scene-linear in the working space, plus `amount` of what a blur takes out of it."""
    if how.amount == 0.0:
        return rgb
    picture = fill_nonfinite(rgb)[0]
    made = np.empty_like(picture)
    reach = math.ceil(_REACH * how.radius) + 1
    rows = max(_BAND // max(picture.shape[1], 1), 8 * reach)

    def fill(start: int) -> None:
        first = max(0, start - reach)
        band = _sharpened(picture[first : start + rows + reach], how)
        made[start : start + rows] = band[start - first :][:rows]

    spread(fill, range(0, len(picture), rows))
    return made


def _sharpened(picture: Float, how: Sharpen) -> Float:
    """`sharpen` of a picture that is finite."""
    coded = how.space == "stops"
    code = _stops.encode(picture) if coded else picture
    base = code
    if how.kind == "unsharp":
        light = luminance(picture)[..., None]
        base = _stops.encode(light) if coded else light
    detail = base - (_box if how.kind == "box" else _gaussian)(base, how.radius)
    if how.kind == "unsharp":
        detail -= np.clip(detail, -np.float32(how.threshold), np.float32(how.threshold))
    detail *= np.float32(how.amount)
    detail += base
    made = _held(base, detail, how.radius, how.halo)
    if base is not code:
        made = code + (made - base)
    return _stops.decode(made) if coded else made


def _gaussian(base: Float, radius: float) -> Float:
    return _shaped(cv2.GaussianBlur(base, (0, 0), radius, borderType=cv2.BORDER_REPLICATE), base)


def _box(base: Float, radius: float) -> Float:
    """A side between two odd numbers is between their blurs, so that a keyed radius does not step."""
    whole = math.floor(radius)
    small, large = (
        _shaped(cv2.blur(base, (2 * side + 1,) * 2, borderType=cv2.BORDER_REPLICATE), base)
        for side in (whole, whole + 1)
    )
    return small + np.float32(radius - whole) * (large - small)


def _held(base: Float, made: Float, radius: float, halo: float) -> Float:
    """Values of `made`, written into, within the range that `base` has around each pixel, and `halo` of that range
    beyond.
    """
    around = np.ones((2 * math.ceil(radius) + 1,) * 2, np.uint8)
    least, most = (
        _shaped(morph(base, around, borderType=cv2.BORDER_REPLICATE), base)
        for morph in (cv2.erode, cv2.dilate)
    )
    beyond = most - least
    beyond *= np.float32(halo)
    least -= beyond
    most += beyond
    np.maximum(made, least, out=made)
    return np.minimum(made, most, out=made)


def _shaped(image: Array, like: Float) -> Float:
    """OpenCV drops a last axis of one."""
    return image.reshape(like.shape)
