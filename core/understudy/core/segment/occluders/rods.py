"""Round rods before the face: bars, pens, straws, cables, and microphones on their stands."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.core.segment.occluders.paint import (
    Layer,
    blurred,
    colour,
    finished,
    grid,
    lit,
    noise,
    over,
    step,
)
from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene

_BARE = ("plastic", "metal")
_KINDS = (*_BARE, *_BARE, "wood", "striped")
_MOUTH = (0.49, 0.8)


def bar(rng: Rng, scene: Scene) -> Layer:
    """One to three: right across the picture, or from its edge to somewhere on the face."""
    layer: Layer | None = None
    for _ in range(int(rng.choice([1, 2, 3], p=[0.75, 0.15, 0.1]))):
        thick = scene.unit * (rng.uniform(0.02, 0.07) if rng.random() < 0.5 else rng.uniform(0.07, 0.3))
        target = scene.pixels(rng.normal(0.5, 0.35, 2))
        angle = rng.uniform(0, 2 * np.pi)
        way = np.array([np.cos(angle), np.sin(angle)])
        far = target + way * scene.size * 1.6
        near = target - way * scene.size * 1.6 if rng.random() < 0.5 else target
        made = _rod(rng, scene, np.array([near, far]), (thick, thick * rng.uniform(0.8, 1.3)))
        layer = made if layer is None else over(made, layer)
    assert layer is not None
    return finished(rng, layer, scene)


def microphone(rng: Rng, scene: Scene) -> Layer:
    """A hand-held one or a boom's windscreen, at the mouth or beside it."""
    head = scene.pixels((_MOUTH[0] + rng.normal(0, 0.3), _MOUTH[1] + rng.uniform(0.0, 0.6)))
    angle = np.pi / 2 + np.clip(rng.normal(0, 0.7), -1.8, 1.8)
    way = np.array([np.cos(angle), np.sin(angle)])
    radius = scene.unit * rng.uniform(0.14, 0.3)
    long = rng.uniform(0.1, 1.6)
    x, y = grid(scene.size)
    end = head + way * radius * long
    away, radii = _from(x, y, np.array([head, end]), (radius, radius * rng.uniform(0.75, 1.0)))
    height = np.sqrt(np.maximum(radii**2 - away**2, 0))
    base = np.full(3, rng.uniform(0.08, 0.3), np.float32) if rng.random() < 0.7 else colour(rng, 0.9)
    if rng.random() < 0.5:  # foam or fur, else a grille
        height = height + (noise(rng, scene.size, scene.size / 4, 2) - 0.5) * np.float32(
            radius * rng.uniform(0.08, 0.3)
        )
        painted, ragged = lit(base, blurred(height, 0.6), scene, gloss=0.0), radius * rng.uniform(0.0, 0.12)
        away = away + (noise(rng, scene.size, scene.size / 5, 2) - 0.5) * np.float32(ragged)
    else:
        pitch = max(2.2, radius * rng.uniform(0.1, 0.18))
        mesh = 0.6 + 0.4 * np.cos(x * (2 * np.pi / pitch)) * np.cos(y * (2 * np.pi / pitch))
        metal = np.asarray(base * 0.4 + 0.45, np.float32)
        painted = lit(metal * mesh[..., None].astype(np.float32), height, scene, gloss=0.35)
    top: Layer = (painted, np.clip(radii - away + 0.5, 0, 1))
    grip = radius * rng.uniform(0.45, 0.75)
    stick = _rod(
        rng, scene, np.array([end, end + way * scene.size * 2]), (grip, grip * rng.uniform(0.5, 0.9)), _BARE
    )
    return finished(rng, over(top, stick), scene)


def _rod(
    rng: Rng, scene: Scene, ends: Points, radii: tuple[float, float], kinds: Sequence[str] = _KINDS
) -> Layer:
    """Of plastic, metal, paper or wood, round in the light."""
    x, y = grid(scene.size)
    away, radius = _from(x, y, ends, (radii[0] / 2, radii[1] / 2))
    height = np.sqrt(np.maximum(radius**2 - away**2, 0))
    kind = rng.choice(list(kinds))
    (ax, ay), (wx, wy) = (
        ends[0].tolist(),
        ((ends[1] - ends[0]) / max(float(np.hypot(*(ends[1] - ends[0]))), 1e-6)).tolist(),
    )
    base = np.broadcast_to(colour(rng, 0.9), (scene.size, scene.size, 3))
    if kind == "metal":
        across = (y - ay) * wx - (x - ax) * wy
        turn = np.arcsin(np.clip(across / np.maximum(radius, 1e-3), -1, 1))
        bands = 0.45 + 0.35 * np.sin(turn * rng.uniform(1.5, 3) + rng.uniform(0, 6))
        base = np.repeat(bands[..., None], 3, axis=2)
    elif kind == "wood":
        angle = np.degrees(np.arctan2(wy, wx))
        grain = noise(rng, scene.size, 30, 3, stretch=8)
        spin = cv2.getRotationMatrix2D((scene.size / 2, scene.size / 2), -float(angle), 1.4)
        grain = cv2.warpAffine(grain, spin, grain.shape[::-1], borderMode=cv2.BORDER_REFLECT)
        base = np.array([0.45, 0.3, 0.18], np.float32) * (0.7 + 0.8 * grain[..., None])
    elif kind == "striped":
        along = (x - ax) * wx + (y - ay) * wy
        bands = step(-0.2, 0.2, np.sin(along * np.float32(np.pi / max(2.0, radii[0] * rng.uniform(0.5, 2)))))
        base = base + (colour(rng, 0.9) - base) * bands[..., None]
    painted = lit(np.asarray(base, np.float32), height, scene, gloss=rng.uniform(0.0, 0.6), wrap=0.2)
    return painted, np.asarray(np.clip(radius - away + 0.5, 0, 1) * np.clip(2 * radius, 0, 1), np.float32)


def _from(x: Image, y: Image, ends: Points, radii: tuple[float, float]) -> tuple[Image, Image]:
    """Distance of each pixel from the line between two points, and the rod's radius there: (S, S) each."""
    (ax, ay), (dx, dy) = ends[0].tolist(), (ends[1] - ends[0]).tolist()
    px, py = x - ax, y - ay
    t = np.clip((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    return np.hypot(px - t * dx, py - t * dy), np.asarray(radii[0] + (radii[1] - radii[0]) * t, np.float32)
