"""Hair: locks of many thin strands, and single strands that the wind has blown over the face."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.segment.occluders.paint import Canvas, Layer, finished, fixed, noise, step
from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene

_FINER = 2  # strands are drawn this much larger: most are thinner than a pixel
_BEADS = 14  # points of a strand
_UNIT = 60.0  # pixels of the mean face's unit, for which strands are counted below
_COLOURS = np.array(
    [
        (0.10, 0.08, 0.07), (0.19, 0.13, 0.10), (0.32, 0.21, 0.14), (0.46, 0.32, 0.20),
        (0.66, 0.50, 0.32), (0.80, 0.68, 0.48), (0.52, 0.25, 0.13), (0.62, 0.60, 0.58),
    ]
)  # fmt: skip
"""Codes: black, dark to light brown, blonde, red, grey."""


def draw(rng: Rng, scene: Scene) -> Layer:
    """A fringe from above, locks down the sides, or strands across."""
    base = _COLOURS[rng.integers(len(_COLOURS))] * rng.uniform(0.85, 1.15)
    size = scene.size * _FINER
    shade, alpha = np.full((size, size), 128, np.uint8), np.zeros((size, size), np.float32)
    way, middle = np.zeros(2), np.zeros(2)
    for axis, width, count, opacity in _locks(rng):
        path = scene.pixels(axis) * _FINER
        way, middle = path[-1] - path[0], path.mean(axis=0)
        many = max(1, round(count * (scene.unit / _UNIT) ** 0.6)) if count > 6 else count
        covered = _lock(rng, shade, path, width * scene.unit * _FINER, many)
        alpha += (1 - alpha) * (covered * np.float32(opacity / 255))
    full = (scene.size, scene.size)
    bright = cv2.resize(shade, full, interpolation=cv2.INTER_AREA).astype(np.float32) / 128
    shine = _shine(rng, scene, way / max(float(np.hypot(*way)), 1e-6), middle / _FINER)
    colours = np.asarray(base, np.float32) * bright[..., None] * np.float32(scene.level)
    colours = (
        colours + (1 - colours) * np.array([0.5, 0.46, 0.4], np.float32) * (shine * bright * 0.5)[..., None]
    )
    whole = cv2.resize(alpha, full, interpolation=cv2.INTER_AREA)
    return finished(rng, (np.clip(colours, 0, 1), whole), scene, motion=0.15, defocus=0.2)


def _locks(rng: Rng) -> list[tuple[Points, float, int, float]]:
    """Middle lines (4, 2) in units of the mean face, half-widths, how many strands, how solid each is."""
    kind = rng.choice(["fringe", "sides", "strands", "lock"], p=[0.3, 0.25, 0.25, 0.2])
    made = list[tuple[Points, float, int, float]]()
    if kind == "fringe":
        lean, low = rng.normal(0, 0.25), rng.uniform(-0.15, 0.35)
        for x in np.arange(-0.25, 1.3, rng.uniform(0.1, 0.16)):
            end = (x + lean + rng.normal(0, 0.08), low + 0.5 * (x - 0.5) ** 2 + rng.normal(0, 0.08))
            made.append((_arc(rng, (x + rng.normal(0, 0.05), -0.95), end), rng.uniform(0.06, 0.13), 50, 0.9))
    elif kind == "sides":
        for side in (-1, 1) if rng.random() < 0.5 else (int(rng.choice([-1, 1])),):
            for _ in range(int(rng.integers(3, 7))):
                x = 0.5 + side * rng.uniform(0.45, 0.85)
                end = (0.5 + side * rng.uniform(0.2, 0.75), rng.uniform(0.7, 1.9))
                made.append((_arc(rng, (x, rng.uniform(-1.1, -0.7)), end), rng.uniform(0.05, 0.15), 60, 0.9))
    elif kind == "lock":
        start = (rng.uniform(0, 1), rng.uniform(-1.0, -0.7))
        end = (rng.uniform(-0.1, 1.1), rng.uniform(0.3, 1.2))
        made.append((_arc(rng, start, end), rng.uniform(0.03, 0.12), 60, 0.85))
    if kind == "strands" or rng.random() < 0.5:
        for _ in range(int(rng.integers(2, 9))):
            start = (rng.uniform(-0.5, 1.5), rng.uniform(-0.9, 0.0))
            end = (rng.uniform(-0.4, 1.4), rng.uniform(0.2, 1.5))
            made.append((_arc(rng, start, end), rng.uniform(0.01, 0.06), int(rng.integers(1, 7)), 0.7))
    return made


def _arc(rng: Rng, start: tuple[float, float], end: tuple[float, float]) -> Points:
    """(4, 2): from one to the other, bent to a side and hanging down."""
    a, b = np.array(start), np.array(end)
    across = np.array([a[1] - b[1], b[0] - a[0]]) * rng.normal(0, 0.16)
    return np.array(
        [a, a * 0.67 + b * 0.33 + across, a * 0.33 + b * 0.67 + across * rng.uniform(0.2, 1.2), b]
    )


def _lock(rng: Rng, shade: Canvas, path: Points, width: float, count: int) -> Canvas:
    """What strands along the path cover: side by side at the root, gathered in tufts, thin at the tip.

    How bright they are is drawn into `shade`, 128 as usual.
    """
    t = np.linspace(0, 1, _BEADS)
    curve = _bezier(path, t)
    across = np.gradient(curve, axis=0)[:, ::-1] * (-1, 1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    tufts = rng.normal(0, 0.6, max(1, count // 8))
    place = rng.choice(tufts, count) * 0.7 + rng.normal(0, 0.5, count)
    taper = width * (0.35 + 0.65 * np.sin(np.pi * np.clip(0.25 + 0.75 * t, 0, 1)) ** 0.7)
    wave = np.cumsum(rng.normal(0, 0.035, (count, _BEADS)), axis=1)
    offset = (place[:, None] * (1 - 0.5 * t) + wave) * taper
    strands = curve + offset[..., None] * across
    starts, ends = rng.integers(0, 4, count), rng.integers(_BEADS * 2 // 3, _BEADS + 1, count)
    ranges = zip(fixed(strands), starts.tolist(), ends.tolist(), strict=True)
    lines = [strand[start:end] for strand, start, end in ranges]
    covered = np.zeros_like(shade)
    if count > 20:  # what lies below the strands that are seen one by one
        body = np.concatenate(
            [curve + across * taper[:, None] * 0.6, (curve - across * taper[:, None] * 0.6)[::-1]]
        )
        cv2.fillPoly(covered, [fixed(body[2:-2])], 150, cv2.LINE_AA, 4)
        cv2.fillPoly(shade, [fixed(body)], 88, cv2.LINE_8, 4)
    for points, value in zip(
        lines, rng.normal(128, 26, count).clip(60, 220).astype(int).tolist(), strict=True
    ):
        cv2.polylines(shade, [points], False, value, 2, cv2.LINE_8, 4)
        cv2.polylines(covered, [points], False, 255, 1, cv2.LINE_AA, 4)
    return covered


def _bezier(path: Points, t: Points) -> Points:
    """(N, 2) of a cubic with four control points."""
    s = 1 - t
    weights = np.stack([s**3, 3 * s * s * t, 3 * s * t * t, t**3], axis=1)
    return np.asarray(weights @ path)


def _shine(rng: Rng, scene: Scene, way: Points, middle: Points) -> Image:
    """(S, S): the band across the strands in which they send the light to the camera."""
    x = np.arange(scene.size, dtype=np.float32) + 0.5
    (mx, my), (wx, wy) = middle.tolist(), way.tolist()
    along = np.add.outer((x - my) * wy, (x - mx) * wx) / scene.unit
    along += (noise(rng, scene.size, 8, 2) - 0.5) * 0.25
    band = np.abs(along - rng.uniform(-0.5, 0.2))
    return step(rng.uniform(0.1, 0.35), 0.0, band)
