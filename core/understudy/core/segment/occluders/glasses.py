"""Glasses: rims, bridge and temples; lenses clear, tinted or dark, with what they mirror."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from understudy.core.segment.occluders.paint import (
    Layer,
    blurred,
    colour,
    filled,
    finished,
    grid,
    lit,
    noise,
    step,
    turned,
)
from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene

_EYES = np.array([(0.206, 0.215), (0.775, 0.215)])  # of the mean face
_EARS = np.array([(-0.2, 0.2), (1.18, 0.2)])
_CORNERS = 72  # of a lens
_SHAPES = {
    "round": (0.2, 1.0, 2.0),
    "oval": (0.235, 0.7, 2.2),
    "square": (0.245, 0.72, 4.5),
    "drop": (0.255, 0.88, 2.6),
    "cat": (0.245, 0.68, 3.0),
}
"""Half the width of a lens, its height in units of that, and the power of the superellipse that it is."""


def draw(rng: Rng, scene: Scene) -> Layer:
    """Before the eyes, a little askew, low on the nose or pushed up now and then."""
    shape = str(rng.choice(list(_SHAPES)))
    lenses, temples, bridge = _outlines(rng, shape)
    place = _askew(rng)
    lenses, temples = (
        [scene.pixels(place(lens)) for lens in lenses],
        [scene.pixels(place(t)) for t in temples],
    )
    thick = scene.unit * (rng.uniform(0.012, 0.022) if rng.random() < 0.45 else rng.uniform(0.025, 0.058))
    rims = _rims(scene, lenses, temples, scene.pixels(place(bridge)), thick)
    inside = np.maximum(*(filled(scene.size, lens) for lens in lenses))
    frame = _material(rng, scene, thick)
    relief = blurred(rims, max(0.5, thick * 0.12)) * np.float32(thick * 0.3)  # flat, with round edges
    painted = lit(frame, relief, scene, gloss=rng.uniform(0.02, 0.25), wrap=0.15)
    glass, tint = _glass(rng, scene, inside, shape)
    alpha = rims + tint * (1 - rims)
    colours = (painted * rims[..., None] + glass * (tint * (1 - rims))[..., None]) / np.maximum(alpha, 1e-3)[
        ..., None
    ]
    return finished(rng, (colours, alpha), scene, motion=0.1, defocus=0.12)


def _outlines(rng: Rng, shape: str) -> tuple[list[Points], list[Points], Points]:
    """Lenses (N, 2), temples (3, 2) and the bridge (3, 2), in units of the mean face."""
    wide, flat, power = _SHAPES[shape]
    wide *= rng.uniform(0.9, 1.1)
    high = wide * flat * rng.uniform(0.9, 1.1)
    a = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    c, s = np.cos(a), np.sin(a)
    x, y = np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)
    if shape == "drop":
        x, y = x * (1 - 0.16 * y) - 0.12 * y, y * (1 + 0.12 * x)
    if shape == "cat":
        y = y - 0.22 * np.maximum(0, -x) ** 2 * (y < 0)  # its outer corner is drawn up; x < 0 is outside
    left = np.stack([x * wide, y * high + 0.02], axis=1) + _EYES[0]
    right = left * (-1, 1) + (_EYES[:, 0].sum(), 0)
    temples = []
    for lens, outer, ear in ((left, left[:, 0].argmin(), _EARS[0]), (right, right[:, 0].argmax(), _EARS[1])):
        hinge = lens[outer] - (0, high * 0.45)
        end = np.array([ear[0], ear[1] + rng.normal(0, 0.03)])
        temples.append(np.array([hinge, hinge * 0.6 + ear * 0.4, end]))
    lift = np.array([0, -high * rng.uniform(0.1, 0.5)])
    ends = left[left[:, 0].argmax()] + lift, right[right[:, 0].argmin()] + lift
    return [left, right], temples, np.array([ends[0], (ends[0] + ends[1]) / 2 + lift * 0.5, ends[1]])


def _askew(rng: Rng) -> Callable[[Points], Points]:
    """Moves points as glasses sit on a nose: seldom straight, now and then low or pushed up."""
    angle, zoom = rng.normal(0, 0.05), rng.uniform(0.92, 1.1)
    down = abs(rng.normal(0, 0.05)) if rng.random() < 0.85 else rng.uniform(-0.6, 0.4)
    middle = _EYES.mean(axis=0)
    to = middle + np.array([rng.normal(0, 0.03), down])
    return lambda points: turned((points - middle) * zoom, angle) + to


def _rims(scene: Scene, lenses: list[Points], temples: list[Points], bridge: Points, thick: float) -> Image:
    """(S, S) alpha of all that is not glass."""
    finer = 3 if scene.size <= 200 else 2
    mask = np.zeros((scene.size * finer,) * 2, np.uint8)

    def stroke(points: Points, closed: bool, width: float) -> None:
        pixels = np.round((points * finer - 0.5) * 16).astype(np.int32)
        cv2.polylines(mask, [pixels], closed, 255, max(1, round(width * finer)), cv2.LINE_AA, 4)

    for lens in lenses:
        stroke(lens, True, thick)
        upper = lens[lens[:, 1] < lens[:, 1].mean()]
        stroke(upper[np.argsort(upper[:, 0])], False, thick * 1.25)
    for temple in temples:
        stroke(temple, False, thick * 1.1)
    stroke(bridge, False, thick * 1.1)
    small = cv2.resize(mask, (scene.size, scene.size), interpolation=cv2.INTER_AREA)
    return np.asarray(small.astype(np.float32) / 255)


def _material(rng: Rng, scene: Scene, thick: float) -> Image:
    """(S, S, 3): black, coloured, metal or tortoiseshell."""
    size = scene.size
    kind = rng.choice(["black", "colour", "metal", "shell"], p=[0.35, 0.25, 0.2, 0.2])
    if kind == "shell":
        spots = step(0.4, 0.6, noise(rng, size, max(4.0, size / max(thick, 1.0) / 3), 2))[..., None]
        dark, amber = np.array([0.14, 0.08, 0.06], np.float32), np.array([0.55, 0.32, 0.15], np.float32)
        return np.asarray(dark + (amber - dark) * spots, np.float32)
    plain = {
        "black": np.full(3, rng.uniform(0.04, 0.16)),
        "metal": np.array([0.72, 0.68, 0.6])
        * rng.uniform(0.5, 1.15)
        * (1.0, rng.uniform(0.85, 1.02), rng.uniform(0.6, 1.05)),
    }.get(str(kind), colour(rng))
    return np.broadcast_to(np.asarray(plain, np.float32), (size, size, 3))


def _glass(rng: Rng, scene: Scene, inside: Image, shape: str) -> tuple[Image, Image]:
    """Colours (S, S, 3) and alpha (S, S) of the lenses: their tint, and before it what they mirror."""
    size = scene.size
    x, y = grid(size)
    kind = rng.choice(["clear", "tinted", "dark"], p=[0.5, 0.2, 0.3] if shape != "drop" else [0.2, 0.2, 0.6])
    strength = {"clear": 0.0, "tinted": rng.uniform(0.15, 0.5), "dark": rng.uniform(0.75, 0.98)}[str(kind)]
    fade = step(scene.origin[1] + 0.45 * scene.unit, scene.origin[1] - 0.1 * scene.unit, y)
    tint = strength * (1 if rng.random() < 0.5 else 0.5 + 0.5 * fade)
    base = np.asarray(rng.uniform(0.02, 0.2, 3) * (0.4 if kind == "dark" else 1.5), np.float32)
    angle, period = rng.uniform(0.3, 1.2), scene.unit * rng.uniform(0.5, 1.2)
    along = (x * math.cos(angle) + y * math.sin(angle)) / period + rng.uniform(0, 1)
    streak = step(rng.uniform(0.55, 0.9), 1.0, np.sin(along * (2 * math.pi))) * noise(rng, size, 3, 2)
    mirrored = streak * (rng.uniform(0, 0.6) if rng.random() < 0.6 else 0.0)
    alpha = (tint + (1 - tint) * mirrored) * inside
    bright = np.asarray(rng.uniform(0.75, 1.0, 3), np.float32) * np.float32(min(1.0, scene.level))
    share = (mirrored / np.maximum(tint + (1 - tint) * mirrored, 1e-3))[..., None]
    return base + (bright - base) * share, np.asarray(alpha, np.float32)
