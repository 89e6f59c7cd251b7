"""A hand: bones in the hand's own plane and height, a relief of round limbs around them, lit as skin.

Proportions are those of an adult's hand whose length, from wrist to the middle finger's tip, is 1: 18.5 cm, which is
1.5 between the outer ends of the brows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core.segment.occluders.paint import (
    Layer,
    blurred,
    finished,
    grid,
    line,
    lit,
    noise,
    pattern,
    step,
    turned,
)
from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene, tone

_LENGTH = 1.5  # of a hand
_FINEST = 176  # pixels a side in which the relief is made
_KNUCKLES = np.array([(-0.155, 0.52), (-0.045, 0.55), (0.06, 0.535), (0.155, 0.485)])  # index … little finger
_FINGERS = np.array([0.39, 0.44, 0.40, 0.32])
_PHALANGES = np.array([0.46, 0.30, 0.24])
_THICK = np.array([0.052, 0.054, 0.05, 0.043])  # radius at the knuckle
_FAN = np.array([0.16, 0.04, -0.08, -0.22])  # radians to the thumb's side, spread as a hand at rest
_ARM = 2.2  # how far down the arm goes: out of the picture
_OUTSIDE = 6.0  # pixels: distances beyond are not worked out

# how much the fingers bend at their knuckles, and how far they fan: index, middle, ring, little; then thumb
_POSES: dict[str, tuple[tuple[float, float, float, float], float]] = {
    "open": ((0.05, 0.05, 0.05, 0.1), 1.4),
    "together": ((0.1, 0.08, 0.1, 0.15), 0.25),
    "relaxed": ((0.25, 0.4, 0.5, 0.55), 0.8),
    "pointing": ((0.05, 1.25, 1.35, 1.4), 0.5),
    "two": ((0.1, 0.1, 1.3, 1.4), 0.6),
    "pinching": ((0.7, 0.75, 0.4, 0.3), 0.9),
    "fist": ((1.35, 1.4, 1.4, 1.45), 0.3),
}


@dataclass(frozen=True)
class _Limb:
    """A tapered rod with round ends. `ends` (2, 3): x, y and height; `radii` (2,); `bulge`: how round it is."""

    ends: Points
    radii: tuple[float, float]
    bulge: float = 1.0
    sleeve: bool = False


@dataclass(frozen=True)
class _Hand:
    """Limbs, where fingers bend and where they end: joints (N, 3) of x, y, radius with directions (N, 2)."""

    limbs: list[_Limb]
    joints: list[tuple[Points, Points]]
    tips: list[tuple[Points, Points]]


def draw(rng: Rng, scene: Scene) -> Layer:
    """A hand with its forearm, mostly from below, before some part of the face."""
    pose = str(rng.choice(list(_POSES)))
    return hand(rng, scene, pose, scene.pixels((rng.normal(0.5, 0.45), rng.normal(0.6, 0.4))))


def hand(rng: Rng, scene: Scene, pose: str, at: Points) -> Layer:
    """One whose fingers or palm are at `at` (2,) in pixels."""
    own = rng.random() < 0.75
    skin = scene.skin * (rng.uniform(0.85, 1.08) / scene.level) if own else tone(rng)
    back = rng.random() < 0.65  # its back is to the camera, as when one touches one's own face
    small = min(scene.size, _FINEST)
    placed = _placed(rng, _bones(rng, pose, back), scene, at, small / scene.size)
    height, distance, sleeve = _relief(placed, small)
    colours = _skin(rng, np.asarray(skin, np.float32), placed, height, back)
    if sleeve.any():
        cloth = pattern(rng, scene, small)
        height = height + sleeve * noise(rng, small, 14, 3) * np.float32(small * 0.012)
        colours = colours + (cloth - colours) * blurred(sleeve, 0.7)[..., None]
    rough = (noise(rng, small, small / 5, 2) - 0.5) * np.float32(small * 0.003)
    shaded = lit(colours, blurred(height, 1.0) + rough, scene, gloss=0.04)
    shaded = shaded * _hollows(height, distance)[..., None]
    full = (scene.size, scene.size)
    alpha = 0.5 - cv2.resize(distance, full, interpolation=cv2.INTER_CUBIC) * np.float32(scene.size / small)
    painted = cv2.resize(shaded, full, interpolation=cv2.INTER_CUBIC)
    return finished(rng, (painted, np.clip(alpha, 0, 1)), scene)


def _bones(rng: Rng, pose: str, back: bool) -> _Hand:
    """In the hand's own measures, fingers upwards (y is up here), thumb to the left."""
    bends, fan = _POSES[pose]
    side = -1.0 if back else 1.0  # fingers bend away from the camera, or to it
    hand = _Hand([], [], [])
    fan = fan * rng.uniform(0.7, 1.3)
    for finger, knuckle in enumerate(_KNUCKLES):
        angle = _FAN[finger] * fan + rng.normal(0, 0.03)
        bend = max(0.0, bends[finger] + rng.normal(0, 0.12))
        chain = zip((bend, bend * 1.1, bend * 0.7), _FINGERS[finger] * _PHALANGES, strict=True)
        _finger(hand, (*knuckle, 0.0), (angle, side), float(_THICK[finger]), list(chain))
        root = (*(knuckle * (0.35, 0.12)), 0.0)
        hand.limbs.append(_Limb(np.array([root, (*knuckle, 0.0)]), (0.085, 0.062), 0.5))
    thumb = (-0.2, 0.24, 0.0)
    hand.limbs.append(_Limb(np.array([(-0.06, 0.06, 0.0), thumb]), (0.1, 0.075), 0.6))
    out = rng.uniform(0.35, 0.9) * min(1.0, fan + 0.3)
    _finger(hand, thumb, (out, side), 0.062, [(0.1, 0.17), (0.25, 0.13)])
    _arm(rng, hand)
    return hand


def _arm(rng: Rng, hand: _Hand) -> None:
    """Down from the wrist, bare or in a sleeve."""
    cuff = rng.uniform(0.05, 0.6) if rng.random() < 0.6 else _ARM
    bare = np.array([(0, 0.1, 0), (0, -min(cuff + 0.1, _ARM), 0)])
    hand.limbs.append(_Limb(bare, (0.14, 0.15 + 0.03 * cuff), 0.7))
    if cuff < _ARM:
        wide = rng.uniform(0.19, 0.26)
        ends = np.array([(0, -cuff - 0.1, 0.02), (0, -_ARM, 0.02)])
        hand.limbs.append(_Limb(ends, (wide, wide * 1.3), 0.8, True))


def _finger(
    hand: _Hand,
    start: tuple[float, float, float],
    way: tuple[float, float],
    radius: float,
    phalanges: Sequence[tuple[float, float]],
) -> None:
    """From its knuckle on: what bends goes shorter in the picture, and nearer or farther.

    Args:
        way: radians from upwards, to the left; and whether it bends to the camera (1) or from it (-1).
        phalanges: by how much each bends against the one before it, radians, and its length.
    """
    angle, side = way
    flat = np.array([-np.sin(angle), np.cos(angle)])
    at, total = np.array(start), 0.0
    for number, (bend, length) in enumerate(phalanges):
        total += bend
        reach = np.array([*(flat * np.cos(total)), side * np.sin(total)]) * length
        radii = radius * (0.93 - 0.1 * number), radius * (0.86 - 0.1 * number)
        if number:
            hand.joints.append((np.array([at[0], at[1], radius]), flat))
        hand.limbs.append(_Limb(np.array([at, at + reach]), radii))
        at = at + reach
    if total < 1.0:
        hand.tips.append((np.array([at[0], at[1], radii[1]]), flat))


def _placed(rng: Rng, hand: _Hand, scene: Scene, at: Points, scale: float) -> _Hand:
    """In pixels times `scale`, the arm out of the picture."""
    unit = scene.unit * scale
    length = _LENGTH * unit * rng.uniform(0.85, 1.25)
    target = at * scale
    arm = np.clip(rng.normal(0, 0.9), -2.4, 2.4)  # radians from straight down
    mirror = np.array([rng.choice([-1.0, 1.0]), -1.0])  # y turns over: down in pictures
    grip = np.array([0.0, rng.uniform(0.35, 0.9)])

    def place(points: Points) -> Points:
        return turned((points[..., :2] - grip) * mirror * length, -arm) + target

    limbs = [
        _Limb(
            np.column_stack([place(limb.ends), limb.ends[:, 2] * length]),
            (limb.radii[0] * length, limb.radii[1] * length),
            limb.bulge,
            limb.sleeve,
        )
        for limb in hand.limbs
    ]

    def marks(found: list[tuple[Points, Points]]) -> list[tuple[Points, Points]]:
        return [(np.array([*place(at), at[2] * length]), turned(way * mirror, -arm)) for at, way in found]

    return _Hand(limbs, marks(hand.joints), marks(hand.tips))


def _relief(hand: _Hand, size: int) -> tuple[Image, Image, Image]:
    """Height, distance to the outline (below 0 inside) and where a sleeve is: (size, size) each, in pixels."""
    x, y = grid(size)
    height = np.full((size, size), -1e3, np.float32)
    distance = np.full((size, size), _OUTSIDE, np.float32)
    sleeve = np.zeros((size, size), np.float32)
    for limb in hand.limbs:
        (ax, ay, az), (bx, by, bz) = limb.ends.tolist()
        ra, rb = limb.radii
        reach = max(ra, rb) + _OUTSIDE
        left, right = (int(np.clip(v, 0, size)) for v in (min(ax, bx) - reach, max(ax, bx) + reach))
        top, bottom = (int(np.clip(v, 0, size)) for v in (min(ay, by) - reach, max(ay, by) + reach))
        if left >= right or top >= bottom:
            continue
        box = np.s_[top:bottom, left:right]
        px, py = x[box] - ax, y[box] - ay
        dx, dy = bx - ax, by - ay
        t = np.clip((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        away = np.hypot(px - t * dx, py - t * dy)
        radius = ra + (rb - ra) * t
        here = az + (bz - az) * t + limb.bulge * np.sqrt(np.maximum(radius * radius - away * away, 0))
        inside = away < radius
        higher = inside & (here > height[box])
        sleeve[box] = np.where(higher, np.float32(limb.sleeve), sleeve[box])
        height[box] = np.where(higher, here, height[box])
        distance[box] = np.minimum(distance[box], away - radius)
    height[height < -1e2] = height[height > -1e2].min(initial=0.0)
    return height, distance, sleeve


def _skin(rng: Rng, skin: Image, hand: _Hand, height: Image, back: bool) -> Image:
    """(S, S, 3): redder at joints and tips, mottled, with creases where fingers bend, and nails."""
    size = height.shape[0]
    red, creases = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
    for (px, py, radius), way in hand.joints:
        middle, across = np.array([px, py]), np.array([-way[1], way[0]]) * radius * 0.8
        cv2.circle(red, (int(px), int(py)), max(1, int(radius * 0.9)), 160, -1)
        for off in (-0.25, 0.0, 0.25) if back else (0.0, 0.15):
            at = middle + way * radius * off
            line(creases, np.array([at - across, at + way * radius * 0.1, at + across]), 150, 1.0)
    for (px, py, radius), _ in hand.tips:
        cv2.circle(red, (int(px), int(py)), max(1, int(radius)), 200, -1)
    warm = blurred(red.astype(np.float32) / 255, size * 0.012) + 0.6 * noise(rng, size, 6, 3) - 0.2
    shade = np.array([0.02, -0.09, -0.08], np.float32) * warm[..., None]
    dark = blurred(creases.astype(np.float32) / 255, 0.6)[..., None] * rng.uniform(0.1, 0.3)
    painted = skin * (1 + shade) * (1 - dark * np.array([0.7, 1.0, 1.0], np.float32))
    return _nails(rng, painted, skin, hand) if back else np.clip(painted, 0, 1)


def _nails(rng: Rng, painted: Image, skin: Image, hand: _Hand) -> Image:
    """Nails on the fingers that end in the picture; now and then with varnish."""
    size = painted.shape[0]
    nails = np.zeros((size, size), np.uint8)
    for (px, py, radius), way in hand.tips:
        at = np.array([px, py]) + way * radius * 0.25
        axes = (max(1, round(radius * 0.8 * 16)), max(1, round(radius * 0.58 * 16)))
        centre = np.round((at - 0.5) * 16).astype(int).tolist()
        angle = float(np.degrees(np.arctan2(way[1], way[0])))
        cv2.ellipse(nails, centre, axes, angle, 0, 360, 255, -1, cv2.LINE_AA, 4)
    varnish = rng.random() < 0.15
    plain = skin + (1 - skin) * np.array([0.3, 0.2, 0.2], np.float32)
    tint = rng.uniform(0.05, 0.8, 3).astype(np.float32) if varnish else plain
    mask = nails.astype(np.float32)[..., None] / 255
    rim = np.clip(blurred(mask[..., 0], 0.8)[..., None] - mask, 0, 1) * 0.5
    return np.clip(painted * (1 - rim) + (tint - painted) * mask * (0.95 if varnish else 0.6), 0, 1)


def _hollows(height: Image, distance: Image) -> Image:
    """(S, S) in (0, 1]: less light where limbs touch and where one lies over another."""
    inside = distance < 0
    level = np.where(inside, height, np.float32(np.median(height[inside]) if inside.any() else 0.0))
    size = height.shape[0]
    deep = np.clip(blurred(level, size * 0.02) - level, 0, None) / np.float32(size * 0.02)
    return np.asarray(1 - 0.25 * step(0.05, 1.8, deep), np.float32)
