"""A plate with things before the face, of which it is known to the pixel where they are: what mattes are judged on.

Drawn here and not by `core.segment.occluders`, from which segmenters learn: nobody is to be asked what he was told.
Four things come one after the other and together: a hand of the performer's own skin, a microphone, hair blown
across, a puff of smoke. Everything moves, is blurred by its movement as by a shutter of 180 degrees, and is lit in
scene-linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from bench.stills import Float

SHUTTER = 0.5  # of a frame
_LOOKS = 9  # at the moving thing while the shutter is open
_LOCKS = 5
_FINE = 2  # drawn this much larger, for soft edges
_Drawn = tuple[Float, Float]  # colour (H, W, 3), scene-linear, and alpha (H, W)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What stands before a face.

    Attributes:
        width, height: of the plate, pixels.
        middle: of the face, where it mostly is.
        side: of the face, in pixels: the things are as large as it makes them.
        skin: the performer's, scene-linear.
        frames: how many.
    """

    width: int
    height: int
    middle: tuple[float, float]
    side: float
    skin: tuple[float, float, float]
    frames: int = 60
    seed: int = 5

    def over(self, plate: Float, index: int) -> tuple[Float, Float]:
        """The plate (H, W, 3) of frame `index` with all of them before it, and how much of it they hide (H, W)."""
        rgb, hidden = plate.copy(), np.zeros(plate.shape[:2], np.float32)
        for thing, first, last in _THINGS:
            begin, end = first * self.frames, last * self.frames
            if begin <= index < end:
                colour, alpha = self._exposed(thing, index, begin, end)
                rgb = rgb * (1 - alpha[..., None]) + colour * alpha[..., None]
                hidden = 1 - (1 - hidden) * (1 - alpha)
        return rgb.astype(np.float32), hidden.astype(np.float32)

    def _exposed(self, thing: _Thing, index: int, begin: float, end: float) -> _Drawn:
        """The mean of what the shutter sees; colour weighted by alpha."""
        times = (index + SHUTTER * (np.arange(_LOOKS) + 0.5) / _LOOKS - begin) / (end - begin)
        looks = [thing(self, float(time)) for time in times]
        alpha = np.mean([look for _, look in looks], axis=0)
        premultiplied = np.mean([colour * look[..., None] for colour, look in looks], axis=0)
        return (
            (premultiplied / np.maximum(alpha, 1e-6)[..., None]).astype(np.float32),
            alpha.astype(np.float32),
        )

    def canvas(self) -> Float:
        return np.zeros((self.height * _FINE, self.width * _FINE), np.float32)

    def at(self, x: float, y: float) -> tuple[int, int]:
        """A point in units of the face's side from its middle, as pixels of the canvas."""
        return (
            round((self.middle[0] + x * self.side) * _FINE),
            round((self.middle[1] + y * self.side) * _FINE),
        )

    def px(self, length: float) -> int:
        return max(1, round(length * self.side * _FINE))

    def small(self, image: Float) -> Float:
        size = (self.width, self.height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)

    def noise(self, stream: int, pixels: float, shift: tuple[float, float] = (0.0, 0.0)) -> Float:
        """(H, W) smooth noise of mean 0 and spread 1, with lumps of about so many pixels, moved by `shift`."""
        rng = np.random.default_rng((self.seed, stream))
        wide = rng.standard_normal((self.height * 2, self.width * 2)).astype(np.float32)
        wide = np.asarray(cv2.GaussianBlur(wide, (0, 0), pixels), np.float32)
        wide /= wide.std()
        move = np.array([(1.0, 0.0, -self.width / 2 + shift[0]), (0.0, 1.0, -self.height / 2 + shift[1])])
        size = (self.width, self.height)
        return np.asarray(cv2.warpAffine(wide, move, size, borderMode=cv2.BORDER_REFLECT), np.float32)


_Thing = Callable[[Scene, float], _Drawn]


def _hand(scene: Scene, time: float) -> _Drawn:
    """Wipes across the mouth and the cheek and goes; its fingers spread and close."""
    x = -0.85 + 0.68 * np.sin(np.pi * time)
    y = 0.7 - 0.4 * np.sin(np.pi * time) + 0.02 * np.sin(9 * time)
    spread, lean = 0.16 + 0.08 * np.sin(5 * time), -0.25 + 0.5 * time
    mask, edges = scene.canvas(), scene.canvas()
    cv2.ellipse(mask, scene.at(x, y), (scene.px(0.17), scene.px(0.21)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    for finger, length in enumerate((0.34, 0.42, 0.44, 0.38)):
        angle = lean + (finger - 1.5) * spread
        root = np.array((x + (finger - 1.5) * 0.085, y - 0.13))
        tip = root + length * np.array((np.sin(angle), -np.cos(angle)))
        for canvas, width in ((mask, 0.082), (edges, 0.05)):
            cv2.line(canvas, scene.at(*root), scene.at(*tip), 1.0, scene.px(width), cv2.LINE_AA)
    thumb = (x + 0.15, y + 0.02), (x + 0.36, y - 0.1 - 0.1 * spread)
    cv2.line(mask, scene.at(*thumb[0]), scene.at(*thumb[1]), 1.0, scene.px(0.085), cv2.LINE_AA)
    depth = np.asarray(cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    round_ = np.clip(depth / scene.px(0.05), 0, 1)  # lit from the front, dark where it turns away
    light = scene.small(0.55 + 0.4 * round_ + 0.08 * edges) + 0.03 * scene.noise(1, 1.5) * 0.5
    shade = (light * (1 + 0.08 * scene.noise(2, 14.0)))[..., None]
    return np.array(scene.skin, np.float32) * shade, scene.small(mask)


def _microphone(scene: Scene, time: float) -> _Drawn:
    """Comes from below, tilts before chin and mouth, goes."""
    x, y = 0.25 - 0.35 * np.sin(2.2 * time), 0.85 - 0.6 * np.sin(np.pi * time)
    mask, shine = scene.canvas(), scene.canvas()
    foot = (x + 0.25 + 0.1 * time, y + 1.4)
    cv2.line(mask, scene.at(x, y), scene.at(*foot), 1.0, scene.px(0.075), cv2.LINE_AA)
    cv2.line(
        shine, scene.at(x - 0.012, y), scene.at(foot[0] - 0.012, foot[1]), 1.0, scene.px(0.015), cv2.LINE_AA
    )
    head = scene.at(x, y - 0.03)
    cv2.ellipse(mask, head, (scene.px(0.095), scene.px(0.12)), 8, 0, 360, 1.0, -1, cv2.LINE_AA)
    mesh = 0.03 + 0.03 * (scene.noise(3, 0.7) > 0.3).astype(np.float32)
    dark = mesh + 0.5 * scene.small(np.asarray(cv2.GaussianBlur(shine, (0, 0), 2.0), np.float32))
    return dark[..., None] * np.array((0.95, 1.0, 1.1), np.float32), scene.small(mask)


def _hair(scene: Scene, time: float) -> _Drawn:
    """Locks from the crown, blown across forehead and eyes; each of some strands that run together at their tips."""
    rng = np.random.default_rng((scene.seed, 77))
    alpha, tone = scene.canvas(), scene.canvas()
    t = np.linspace(0, 1, 32)
    for _ in range(_LOCKS):
        root, reach = np.array((-0.42 + 0.6 * rng.random(), -0.98)), 0.7 + 0.6 * rng.random()
        sway = 0.3 * rng.standard_normal() + 0.13 * np.sin(5 * time + 6 * rng.random())
        wide, phase = 0.035 + 0.03 * rng.random(), 6 * rng.random()
        for strand in np.linspace(-0.5, 0.5, 9):
            across = wide * strand * (1 - 0.8 * t**2) + 0.02 * np.sin(5 * t + 4 * time + phase)
            xs, ys = root[0] + sway * t**1.6 + across, root[1] + reach * t
            line = np.array([scene.at(float(x), float(y)) for x, y in zip(xs, ys, strict=True)], np.int32)
            for part in range(0, len(t) - 2, 2):  # thinner towards the tip
                thick = max(1, round(scene.px(0.010) * (1 - 0.75 * t[part])))
                cv2.polylines(alpha, [line[part : part + 3]], False, 1.0, thick, cv2.LINE_AA)
                cv2.polylines(
                    tone, [line[part : part + 3]], False, 0.6 + rng.random(), max(1, thick // 2), cv2.LINE_AA
                )
    brown = np.array((0.035, 0.02, 0.012), np.float32)
    return brown * (0.6 + 1.4 * scene.small(tone))[..., None], scene.small(alpha)


def _smoke(scene: Scene, time: float) -> _Drawn:
    """A puff that rises before the face and thins."""
    shift = (30.0 * time, -0.9 * scene.side * time)
    lumps = scene.noise(4, 26.0, shift) + 0.3 * scene.noise(5, 9.0, (shift[0] * 1.3, shift[1] * 1.2))
    y, x = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    away = np.hypot(
        (x - scene.middle[0] - 0.12 * scene.side) / 0.75,
        (y - scene.middle[1] - scene.side * (0.45 - 0.7 * time)) / 0.9,
    )
    body = np.clip(1.3 - away / (0.34 * scene.side), 0, 1) * np.sin(np.pi * time)
    alpha = np.clip(body * (0.95 + 0.2 * lumps), 0, 0.92).astype(np.float32)
    grey = np.full((scene.height, scene.width, 3), 0.45, np.float32)
    return (grey * (1 + 0.08 * lumps[..., None])).astype(np.float32), alpha


_THINGS: tuple[tuple[_Thing, float, float], ...] = (  # and when each is there, in shares of the shot
    (_hair, 0.0, 0.75),
    (_smoke, 0.7, 1.0),
    (_microphone, 0.4, 0.95),
    (_hand, 0.05, 0.7),
)
