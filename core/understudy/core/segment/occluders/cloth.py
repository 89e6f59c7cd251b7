"""Flat things: cloth that covers a part of the face, shapes of all kinds, and things held before it."""

from __future__ import annotations

import math

import numpy as np

from understudy.core.segment.occluders.hand import hand
from understudy.core.segment.occluders.paint import (
    Layer,
    blurred,
    colour,
    filled,
    finished,
    grid,
    lit,
    noise,
    over,
    pattern,
    step,
    turned,
)
from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene


def cover(rng: Rng, scene: Scene) -> Layer:
    """A scarf, a cap's brim, a shoulder: cloth in folds that comes in over a wavy edge from one side."""
    x, y = grid(scene.size)
    angle = rng.choice([0.5, -0.5, 0.0, 1.0], p=[0.5, 0.2, 0.15, 0.15]) * np.pi + rng.normal(0, 0.3)
    way = np.array([np.cos(angle), np.sin(angle)])
    edge = scene.pixels((0.5, 0.45) + way * rng.uniform(0.05, 0.7))
    (ex, ey), (wx, wy) = edge.tolist(), way.tolist()
    depth = (x - ex) * wx + (y - ey) * wy
    across = (y - ey) * wx - (x - ex) * wy
    bow = rng.normal(0, 0.25) * (across / scene.unit) ** 2 * scene.unit
    depth = (
        depth + bow + (noise(rng, scene.size, rng.uniform(1, 5), 2) - 0.5) * scene.unit * rng.uniform(0, 0.5)
    )
    hem = np.float32(scene.unit * 0.06)
    painted = lit(
        pattern(rng, scene, scene.size), _folds(rng, scene, depth), scene, gloss=rng.uniform(0, 0.1)
    )
    rim = 1 - 0.25 * np.exp(-((depth / hem - 0.8) ** 2) * 6) * float(rng.random() < 0.5)
    alpha = np.clip(depth + 0.5, 0, 1)
    return finished(rng, (painted * rim[..., None].astype(np.float32), np.asarray(alpha, np.float32)), scene)


def _folds(rng: Rng, scene: Scene, depth: Image) -> Image:
    """(S, S) pixels of height: long ridges, round at the hem."""
    size = scene.size
    x, y = grid(size)
    bend = (noise(rng, size, 2, 2) - 0.5) * rng.uniform(0, 1.5) * scene.unit
    angle, period = rng.uniform(0, np.pi), scene.unit * rng.uniform(0.12, 0.5)
    ridges = np.sin((x * math.cos(angle) + y * math.sin(angle) + bend) * (2 * math.pi / period))
    deep = period * rng.uniform(0.02, 0.16) * noise(rng, size, 2, 2)
    soft = ridges * deep + (noise(rng, size, 5, 3) - 0.5) * np.float32(scene.unit * 0.12)
    return np.asarray(soft + np.float32(scene.unit * 0.05) * step(0, scene.unit * 0.1, depth), np.float32)


def shape(rng: Rng, scene: Scene) -> Layer:
    """A blob or a polygon of some cloth or colour, flat or round."""
    at = scene.pixels(rng.normal(0.5, 0.35, 2))
    reach = scene.unit * rng.uniform(0.15, 0.7)
    if rng.random() < 0.6:
        outline = _blob(rng, int(rng.integers(2, 7)))
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.6, 1.2, (len(angles), 1))
    stretched = turned(outline * (1, rng.uniform(0.3, 1)), rng.uniform(0, np.pi)) * reach + at
    alpha = filled(scene.size, stretched)
    relief: Image = blurred(alpha, reach * rng.uniform(0.05, 0.4)) * np.float32(reach * rng.uniform(0, 1.2))
    relief = relief + _folds(rng, scene, relief) * np.float32(rng.uniform(0, 1))
    painted = lit(pattern(rng, scene, scene.size), relief, scene, gloss=rng.uniform(0, 0.3))
    return finished(rng, (painted, alpha), scene)


def _blob(rng: Rng, lobes: int) -> Points:
    """A closed line (96, 2) about (0, 0), with bumps."""
    a = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = np.ones_like(a)
    for k in range(1, lobes + 1):
        radius += rng.normal(0, 0.35 / k) * np.cos(k * a + rng.uniform(0, 6))
    return np.stack([np.cos(a), np.sin(a)], axis=1) * np.maximum(radius, 0.15)[:, None]


def thing(rng: Rng, scene: Scene) -> Layer:
    """A telephone, a book, a cup: a box or a round body, seen a little from the side."""
    at = scene.pixels((rng.normal(0.5, 0.4), rng.normal(0.7, 0.4)))
    long = scene.unit * rng.uniform(0.5, 1.4)
    wide = long * rng.uniform(0.4, 0.8)
    round_body = rng.random() < 0.4
    x, y = grid(scene.size)
    angle = rng.normal(0, 0.5)
    ax, ay = at.tolist()
    u, v = (((x - ax) * c + (y - ay) * s) / r for c, s, r in _axes(angle, wide / 2, long / 2))
    u = u * (1 + rng.normal(0, 0.12) * v)  # seen from above or below
    corner = 0.5 if round_body else rng.uniform(0.05, 0.3)
    out = np.hypot(np.maximum(np.abs(u) - (1 - corner), 0), np.maximum(np.abs(v) - (1 - corner), 0)) - corner
    inner = np.maximum(np.maximum(np.abs(u), np.abs(v)) - 1, out).astype(np.float32) * np.float32(wide / 2)
    if round_body:
        height = np.sqrt(np.maximum(1 - np.clip(u, -1, 1) ** 2, 0)).astype(np.float32) * np.float32(wide / 2)
        painted = lit(pattern(rng, scene, scene.size), height, scene, gloss=rng.uniform(0, 0.5))
    else:
        bevel = np.float32(wide * 0.03) * step(0.0, -wide * 0.05, inner)
        painted = lit(_face_of(rng, scene, u, v), bevel, scene, gloss=rng.uniform(0, 0.4))
    layer: Layer = (np.asarray(painted, np.float32), np.clip(0.5 - inner, 0, 1))
    if rng.random() < 0.6:
        grip = at + turned(np.array([rng.normal(0, 0.2) * wide, rng.uniform(0.1, 0.5) * long]), angle)
        layer = over(
            hand(rng, scene, str(rng.choice(["relaxed", "pinching", "together", "fist"])), grip), layer
        )
    return finished(rng, layer, scene)


def _axes(angle: float, wide: float, long: float) -> tuple[tuple[float, float, float], ...]:
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return (c, s, wide), (-s, c, long)


def _face_of(rng: Rng, scene: Scene, u: Image, v: Image) -> Image:
    """(S, S, 3): a cover in one colour or patterned, or dark glass with a sheen, maybe with a lens in its corner."""
    if rng.random() < 0.5:
        return pattern(rng, scene, scene.size)
    base = np.broadcast_to(colour(rng) * 0.5, (scene.size, scene.size, 3))
    sheen = step(0.0, 0.6, u * rng.uniform(-1, 1) + v * rng.uniform(-0.6, 0.6) + rng.uniform(-0.4, 0.2))
    glass = base + (0.9 - base) * (sheen * rng.uniform(0.05, 0.35))[..., None]
    for place in range(int(rng.integers(0, 4))):
        dot = np.hypot((u - 0.6) * 1.0, (v + 0.85 - 0.17 * place) * 1.8)
        dark = np.clip((0.16 - dot) * 25, 0, 1) * (0.65 + 0.35 * step(0.07, 0.1, dot))
        glass = glass * (1 - 0.85 * dark[..., None])
    return np.asarray(glass, np.float32)
