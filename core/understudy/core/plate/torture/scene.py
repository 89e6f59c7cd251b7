"""What the plates of the torture set show: grain, a chart, a strip of values, and a drawn head.

Nobody's portrait: the head is a handful of shaded ellipses, put where its 68 landmarks are, so that where a face is
on every frame and in every view is known to the fraction of a pixel.

Everything is laid out in *square* space, 256 × 192, in which a circle is round; a plate with a pixel aspect other
than 1 samples it more coarsely across.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float, Window

Double = npt.NDArray[np.float64]

SIZE = (256, 192)
"""Width and height of the format in square space."""

VALUES = (-0.5, -0.0, 0.0, 6e-8, 0.18, 1.0, 16.0, 6e4, 65504.0)
"""What the strip in the lower left corner holds, a patch each: also a half's least subnormal and its largest."""

_SKIN = (0.42, 0.27, 0.19)
_LIGHT = (-0.45, -0.6, 0.66)  # from the upper left and the camera; unit length to three digits
_WIDTH = 62.0  # of the face, in square space


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where everything is; all in square space.

    Attributes:
        centre: the middle of the face on frame 1001.
        aspect: the plate's pixel aspect.
        origin: of the format in plate pixels.
        parallax: how far to the right this view sees the face.
    """

    centre: tuple[float, float] = (118.0, 92.0)
    aspect: float = 1.0
    origin: tuple[int, int] = (0, 0)
    parallax: float = 0.0

    def landmarks(self, frame: int) -> Float:
        """(68, 2) float32 in plate pixels, iBUG 300-W order; the head drifts to the right and leans."""
        points = _placed(_features(), *self.pose(frame))
        return (points / (self.aspect, 1.0) + self.origin).astype(np.float32)

    def picture(self, frame: int, data: Window) -> Float:
        """(H, W, 3) float32 scene-linear over `data`: from -0.5 to 65504, finite; read-only."""
        return _picture(self, frame, data)

    def pose(self, frame: int) -> tuple[tuple[float, float], float]:
        """The face's middle and its lean in radians."""
        step = frame % 4
        return (self.centre[0] + 2.0 * step + self.parallax, self.centre[1] + 0.7 * step), 0.03 * step


@lru_cache(maxsize=8)  # most plates of the set show the same frames
def _picture(scene: Scene, frame: int, data: Window) -> Float:
    columns = (np.arange(data.x, data.x1) - scene.origin[0] + 0.5) * scene.aspect
    x, y = np.meshgrid(columns, np.arange(data.y, data.y1) - scene.origin[1] + 0.5)
    rgb = _background(x, y)
    _chart(rgb, x, y, scene.aspect)
    _head(rgb, *_into_face(x, y, *scene.pose(frame)), scene.aspect)
    rgb += _grain(x, y, frame)[..., None] * (0.02 * np.abs(rgb) + 0.001)
    _strip(rgb, x, y)
    made = rgb.astype(np.float32)
    made.setflags(write=False)
    return made


def _placed(points: Double, centre: tuple[float, float], roll: float) -> Double:
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.asarray(points * _WIDTH @ turn.T + centre)


def _into_face(x: Double, y: Double, centre: tuple[float, float], roll: float) -> tuple[Double, Double]:
    """Square space → the face's own: its width is 1, its middle between the eyes and the mouth is 0."""
    dx, dy = (x - centre[0]) / _WIDTH, (y - centre[1]) / _WIDTH
    return np.cos(roll) * dx + np.sin(roll) * dy, np.cos(roll) * dy - np.sin(roll) * dx


def _features() -> Double:
    """(68, 2) iBUG landmarks in the face's own space, drawn with a ruler after the proportions of a mean face."""
    s = np.linspace(0.0, np.pi, 17)
    jaw = np.stack([-0.5 * np.cos(s), 0.745 * np.sin(s) ** 0.9 - 0.2], axis=1)
    brow = np.array([(-0.42, -0.34), (-0.355, -0.405), (-0.265, -0.425), (-0.17, -0.42), (-0.083, -0.39)])
    bridge = np.array([(0.0, -0.284), (0.0, -0.2), (0.0, -0.115), (0.0, -0.05)])
    base = np.array([(-0.105, 0.025), (-0.054, 0.04), (0.0, 0.052), (0.054, 0.04), (0.105, 0.025)])
    eye = np.array(
        [
            (-0.305, -0.268),
            (-0.25, -0.304),
            (-0.186, -0.304),
            (-0.128, -0.26),
            (-0.19, -0.25),
            (-0.255, -0.25),
        ]
    )
    mirror = np.array([-1.0, 1.0])
    around = np.linspace(-np.pi, np.pi, 12, endpoint=False)
    lips = np.stack([0.19 * np.cos(around), 0.2 + 0.075 * np.sin(around)], axis=1)
    between = np.linspace(-np.pi, np.pi, 8, endpoint=False)
    opening = np.stack([0.145 * np.cos(between), 0.2 + 0.02 * np.sin(between)], axis=1)
    right_eye = (eye * mirror)[[3, 2, 1, 0, 5, 4]]
    return np.concatenate([jaw, brow, (brow * mirror)[::-1], bridge, base, eye, right_eye, lips, opening])


def _background(x: Double, y: Double) -> Double:
    """Slow colours from 0.02 to 0.6, negative in a band of saturated blue, with a lamp of 40 at the top."""
    phases = (0.0, 1.3, 2.1)
    rgb = np.stack(
        [0.28 + 0.26 * np.sin(x / 47.0 + y / (61.0 + 7 * i) + p) for i, p in enumerate(phases)], -1
    )
    rgb[..., 0] -= 0.35 * np.exp(-(((y - 166.0) / 6.0) ** 2))
    lamp = 40.0 * np.exp(-(((x - 30.0) ** 2 + (y - 24.0) ** 2) / 60.0))
    return np.asarray(rgb + lamp[..., None] * (1.0, 0.9, 0.7))


def _chart(rgb: Double, x: Double, y: Double, aspect: float) -> None:
    """A ring, round in square space, around a star of 24 rays, in the upper right corner."""
    radius, angle = np.hypot(x - 222.0, y - 34.0), np.arctan2(y - 34.0, x - 222.0)
    _paint(rgb, _soft(radius - 26.0, aspect), (0.8, 0.8, 0.8))
    _paint(rgb, _soft(np.abs(radius - 22.5) - 2.0, aspect), (0.02, 0.02, 0.02))
    _paint(rgb, _soft(radius - 19.0, aspect) * (np.sin(24.0 * angle) > 0.0), (0.05, 0.05, 0.05))


def _strip(rgb: Double, x: Double, y: Double) -> None:
    """Nine patches of 10 × 8 of exact values in the lower left corner."""
    for i, value in enumerate(VALUES):
        rgb[(np.abs(x - 15.0 - 10 * i) < 5.0) & (np.abs(y - 180.0) < 4.0)] = value


def _head(rgb: Double, u: Double, v: Double, aspect: float) -> None:
    """Back to front; (u, v) is the face's own space."""

    def ellipse(cu: float, cv: float, ru: float, rv: float) -> Double:
        distance = np.hypot((u - cu) / ru, (v - cv) / rv) - 1.0
        return _soft(distance * min(ru, rv) * _WIDTH, aspect)

    def lit(cu: float, cv: float, ru: float, rv: float) -> Double:
        """Lambert's law on an ellipsoid, with a little light from everywhere."""
        nx, ny = (u - cu) / ru, (v - cv) / rv
        nz = np.sqrt(np.maximum(1.0 - nx**2 - ny**2, 0.0))
        facing = nx * _LIGHT[0] + ny * _LIGHT[1] + nz * _LIGHT[2]
        return np.asarray(0.25 + 0.9 * np.maximum(facing, 0.0))[..., None]

    skin, hair = np.array(_SKIN), np.array((0.045, 0.028, 0.02))
    _paint(rgb, ellipse(0.0, 1.42, 1.0, 0.62), np.array((0.05, 0.09, 0.16)) * lit(0.0, 1.5, 1.1, 0.9))
    _paint(rgb, ellipse(0.0, -0.2, 0.6, 0.63), hair * lit(0.0, -0.2, 0.7, 0.7))
    _paint(rgb, ellipse(0.0, 0.66, 0.27, 0.36), skin * 0.45 * lit(0.0, 0.6, 0.4, 0.8))
    for side in (-1.0, 1.0):
        _paint(rgb, ellipse(0.53 * side, -0.13, 0.07, 0.13), skin * 0.8 * lit(0.53 * side, -0.13, 0.12, 0.2))
    face = ellipse(0.0, -0.08, 0.515, 0.63)
    _paint(rgb, face, skin * lit(0.0, -0.08, 0.62, 0.75))
    fringe = _soft((v + 0.56 - 0.35 * u**2) * _WIDTH, aspect)
    _paint(rgb, ellipse(0.0, -0.08, 0.535, 0.65) * fringe, hair * lit(0.0, -0.2, 0.7, 0.7))
    _features_drawn(rgb, u, v, aspect, ellipse)
    shine = 240.0 * np.exp(-(((u + 0.22) ** 2 + (v + 0.06) ** 2) / 0.0012))
    rgb += (face * shine)[..., None] * (1.0, 0.97, 0.9)


def _features_drawn(
    rgb: Double, u: Double, v: Double, aspect: float, ellipse: Callable[[float, float, float, float], Double]
) -> None:
    """Eyes, brows, nose and mouth, each where its landmarks are."""
    points = _features()
    for eye in (points[36:42], points[42:48]):
        cu, cv = eye.mean(axis=0)
        ru, rv = np.ptp(eye, axis=0) / 2
        white = ellipse(cu, cv, ru, rv)
        _paint(rgb, ellipse(cu, cv - 0.012, ru * 1.15, rv * 1.5), (0.12, 0.07, 0.05))
        _paint(rgb, white, (0.55, 0.53, 0.5))
        _paint(rgb, white * ellipse(cu, cv, 0.03, 0.03), (-0.01, 0.09, 0.16))  # bluer than the gamut
        _paint(rgb, white * ellipse(cu, cv, 0.014, 0.014), (0.005, 0.005, 0.005))
        _paint(rgb, ellipse(cu - 0.015, cv - 0.012, 0.01, 0.01), (6.0, 6.0, 6.0))
    for brow in (points[17:22], points[22:27]):
        distance = np.min([_to_line(u, v, a, b) for a, b in pairwise(brow)], axis=0)
        _paint(rgb, _soft((distance - 0.018) * _WIDTH, aspect), (0.04, 0.025, 0.02))
    _paint(rgb, 0.45 * ellipse(0.0, -0.12, 0.035, 0.19), (0.75, 0.5, 0.36))
    for side in (-1.0, 1.0):
        _paint(rgb, 0.8 * ellipse(0.055 * side, 0.035, 0.03, 0.014), (0.06, 0.03, 0.02))
        _paint(rgb, 0.25 * ellipse(0.28 * side, 0.03, 0.11, 0.09), (0.6, 0.22, 0.18))
    _paint(rgb, ellipse(0.0, 0.2, 0.19, 0.075), (0.38, 0.1, 0.09))
    _paint(rgb, ellipse(0.0, 0.2, 0.145, 0.018), (0.05, 0.012, 0.012))


def _to_line(u: Double, v: Double, a: Double, b: Double) -> Double:
    """How far each (u, v) is from the straight line between two points."""
    du, dv = b - a
    along = np.clip(((u - a[0]) * du + (v - a[1]) * dv) / (du**2 + dv**2), 0.0, 1.0)
    return np.asarray(np.hypot(u - a[0] - along * du, v - a[1] - along * dv))


def _soft(distance: Double, aspect: float) -> Double:
    """How much of a pixel an edge covers, by the signed distance of its centre in square space."""
    return np.asarray(np.clip(0.5 - distance / aspect, 0.0, 1.0))


def _paint(rgb: Double, cover: Double, colour: npt.ArrayLike) -> None:
    rgb += cover[..., None] * (np.asarray(colour) - rgb)


def _grain(x: Double, y: Double, frame: int) -> Double:
    """Noise in [-1, 1], triangular, from a hash of place and frame: the same on every machine."""
    seed = np.uint32((frame * 2654435761) % 2**32)
    word = (
        np.floor(x * 16).astype(np.int64) * 73856093 ^ np.floor(y * 16).astype(np.int64) * 19349663
    ).astype(np.uint32) ^ seed
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        word = (word ^ (word >> np.uint32(shift))) * np.uint32(factor)
    return np.asarray(((word & np.uint32(0xFFFF)) + (word >> np.uint32(16))) / 65535.0 - 1.0)
