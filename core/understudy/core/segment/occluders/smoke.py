"""Smoke, breath and haze: soft, never solid, torn by what moves it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from understudy.core.segment.occluders.paint import Layer, blurred, grid, noise, step
from understudy.core.segment.occluders.scene import Rng, Scene


def draw(rng: Rng, scene: Scene) -> Layer:
    """A plume or a cloud before some part of the face."""
    size = scene.size
    x, y = grid(size)
    turn = scene.unit * rng.uniform(0.2, 0.9)
    fold = [(noise(rng, size, rng.uniform(1.5, 4), 3) - 0.5) * np.float32(turn) for _ in range(2)]
    wisps = noise(rng, size, rng.uniform(2, 5), 5, gain=0.6, stretch=rng.uniform(0.3, 1.0))
    wisps = cv2.remap(
        wisps, x - 0.5 + fold[0], y - 0.5 + fold[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    ax, ay = scene.pixels(rng.normal(0.5, 0.4, 2)).tolist()
    long, wide = scene.unit * rng.uniform(0.6, 2.0), scene.unit * rng.uniform(0.3, 1.0)
    angle = -np.pi / 2 + rng.normal(0, 0.8)
    c, s = math.cos(angle), math.sin(angle)
    u, v = (
        ((x - ax) * c + (y - ay) * s + fold[0]) / long,
        ((y - ay) * c - (x - ax) * s + fold[1]) / wide,
    )
    plume = np.exp(-(u * u + v * v))
    dense = step(rng.uniform(0.15, 0.45), rng.uniform(0.7, 1.0), wisps * (0.35 + 0.65 * plume))
    alpha = np.asarray(dense * plume * rng.uniform(0.3, 0.95), np.float32)
    grey = rng.uniform(0.5, 0.95) * np.array([1, rng.uniform(0.95, 1.02), rng.uniform(0.9, 1.1)])
    shade = 0.75 + 0.35 * blurred(wisps, scene.unit * 0.03)
    light = np.clip(grey * min(1.0, scene.level) * shade[..., None], 0, 1)
    return np.asarray(light, np.float32), np.where(alpha < 1 / 255, np.float32(0), alpha)
