"""What all occluders are painted with: noise, light on a relief, colours, edges.

Arrays are float32; colours are codes in [0, 1], light is reckoned on their squares.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.segment.occluders.scene import Image, Points, Rng, Scene

Layer = tuple[Image, Image]
"""Colours (S, S, 3) and alpha (S, S); where alpha is 0 colours are anything."""

Canvas = npt.NDArray[np.uint8]

_BITS = 4  # of a pixel that cv2 draws by


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Image, Image]:
    """x and y (size, size) of pixels, centres at +0.5."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
    for made in (x, y):
        made.setflags(write=False)
    return x, y


def noise(
    rng: Rng, size: int, cells: float, octaves: int = 4, *, gain: float = 0.5, stretch: float = 1.0
) -> Image:
    """(size, size) in [0, 1]: smooth noise with `cells` bumps along a side, and finer ones over them.

    Args:
        gain: of each octave in the one before.
        stretch: how many times longer than high bumps are.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        rows = cells * 2**octave
        shape = (min(size, 2 + int(rows)), min(size, 2 + int(rows / stretch)))
        bumps = rng.standard_normal(shape, np.float32) * np.float32(gain**octave)
        total += cv2.resize(bumps, (size, size), interpolation=cv2.INTER_CUBIC)
        if rows > size / 2:
            break
    spread = 2.2 * float(total.std()) + 1e-6
    return np.asarray(np.clip((total - total.mean()) / (2 * spread) + 0.5, 0, 1), np.float32)


def step(low: float, high: float, x: Image) -> Image:
    """0 up to `low`, 1 from `high` on, smooth between; backwards where `high` is less."""
    t = np.clip((x - low) / (high - low), 0, 1)
    smooth: Image = t * t * (3 - 2 * t)
    return smooth


def blurred(image: Image, sigma: float) -> Image:
    """By a Gaussian; what lies beyond the edge is as the edge."""
    if sigma < 0.2:
        return image
    if sigma > 8:  # as good, and many times faster
        side = max(8, round(image.shape[0] * 4 / sigma))
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        small = blurred(small, sigma * side / image.shape[0])
        return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def moved(image: Image, length: float, angle: float) -> Image:
    """As a shutter sees it while it moves `length` pixels at `angle`, radians clockwise from the right."""
    side = 2 * int(np.ceil(length / 2)) + 3
    kernel = np.zeros((side, side), np.uint8)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = (side - 1) / 2
    line(kernel, np.array([middle - half + 0.5, middle + half + 0.5]), 255, 1.0)
    weights = kernel.astype(np.float32) / kernel.sum()
    return np.asarray(cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REPLICATE))


def fixed(points: Points) -> npt.NDArray[np.int32]:
    """Points (…, 2), pixel centres at +0.5, in cv2's fixed point."""
    return np.asarray(np.round((points - 0.5) * 2**_BITS), np.int32)


def line(image: Canvas, points: Points, value: int, width: float) -> None:
    """A polyline into (S, S) uint8, anti-aliased."""
    thickness = max(1, round(width))
    cv2.polylines(image, [fixed(points)], False, value, thickness, cv2.LINE_AA, _BITS)


def filled(size: int, points: Points) -> Image:
    """(size, size): the area inside a closed line (N, 2), anti-aliased."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [fixed(points)], 255, cv2.LINE_AA, _BITS)
    return mask.astype(np.float32) / 255


def turned(points: Points, angle: float) -> Points:
    """(…, 2) about (0, 0), radians, clockwise in the picture."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]), np.float64)


def normals(height: Image) -> tuple[Image, Image, Image]:
    """x, y, z (S, S) of unit normals on a relief whose heights are in pixels."""
    dx, dy = (cv2.Scharr(height, cv2.CV_32F, *axes, scale=1 / 32) for axes in ((1, 0), (0, 1)))
    z = 1 / np.sqrt(1 + dx * dx + dy * dy)
    return -dx * z, -dy * z, z


def lit(colours: Image, height: Image, scene: Scene, *, gloss: float = 0.1, wrap: float = 0.3) -> Image:
    """Colours (S, S, 3) or (3,) on a relief (S, S), in the scene's light: (S, S, 3).

    Args:
        gloss: how bright its highlights are.
        wrap: how far light reaches around an edge; a little farther for red, as in skin.
    """
    nx, ny, nz = normals(height)
    lx, ly, lz = scene.light.tolist()
    facing = nx * lx + ny * ly + nz * lz
    hx, hy, hz = (np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])).tolist()
    shine = np.clip(nx * hx + ny * hy + nz * hz, 0, 1) ** 2
    shine = shine**2  # and so on: a power of 16, without reckoning logarithms
    shine = (shine**2) ** 2
    level = scene.level**2
    base = colours**2 * np.float32(level)
    light = np.empty((*height.shape, 3), np.float32)
    for channel, around in enumerate((1.3 * wrap, wrap, 0.9 * wrap)):
        share = 0.7 / (0.3 + 0.7 * (lz + around) / (1 + around))  # what faces the camera has its own colour
        diffuse = np.maximum(facing + around, 0) * (share / (1 + around)) + (share * 0.3 / 0.7)
        np.add(base[..., channel] * diffuse, (gloss * level) * shine, out=light[..., channel])
    return np.asarray(np.sqrt(np.clip(light, 0, 1, out=light), out=light))


def colour(rng: Rng, saturation: float = 0.5) -> Image:
    """(3,) of something that people wear or hold: mostly muted, sometimes black, white or bright."""
    kind = rng.random()
    value = (
        rng.uniform(0.05, 0.2)
        if kind < 0.3
        else rng.uniform(0.75, 0.95)
        if kind < 0.45
        else rng.uniform(0.2, 0.8)
    )
    dull = rng.uniform(0, 0.15) if kind < 0.45 else saturation * rng.beta(1.3, 2.0)
    hue = rng.uniform(0, 6)
    wheel = np.clip(np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value * (1 - dull * (1 - wheel)), np.float32)


def pattern(rng: Rng, scene: Scene, size: int) -> Image:
    """(size, size, 3): cloth, plain, striped, checked, mottled or cut from a picture."""
    base = colour(rng)
    kind = rng.choice(["plain", "stripes", "checks", "mottled", "picture"], p=[0.3, 0.15, 0.15, 0.2, 0.2])
    flat = np.broadcast_to(base, (size, size, 3))
    if kind == "picture" and scene.cloth is not None:
        return _cut(rng, scene.cloth, size)
    if kind in ("stripes", "checks"):
        x, y = grid(size)
        angle, period = rng.uniform(0, np.pi), scene.unit * rng.uniform(0.05, 0.35)
        width = rng.uniform(-0.4, 0.6)
        u, v = (x * float(np.cos(a)) + y * float(np.sin(a)) for a in (angle, angle + np.pi / 2))
        bands = step(width - 0.2, width + 0.2, np.sin(u * (2 * np.pi / period)))
        if kind == "checks":
            bands = (bands + step(width - 0.2, width + 0.2, np.sin(v * (2 * np.pi / period)))) / 2
        return np.asarray(flat + (colour(rng) - flat) * bands[..., None], np.float32)
    if kind in ("mottled", "picture"):
        spots = noise(rng, size, rng.uniform(3, 20), 3)[..., None]
        return np.asarray(flat + (colour(rng) - flat) * spots, np.float32)
    return np.asarray(flat, np.float32)


def _cut(rng: Rng, picture: Image, size: int) -> Image:
    """A part of a picture, turned, enlarged and blurred so that it is no face any more."""
    side = picture.shape[0]
    part = max(8, int(side * rng.uniform(0.12, 0.4)))
    x, y = rng.integers(0, side - part, 2)
    patch = np.rot90(picture[y : y + part, x : x + part, :3], int(rng.integers(4)))
    enlarged = cv2.resize(np.ascontiguousarray(patch), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(enlarged, 0, 1)


def over(top: Layer, below: Layer) -> Layer:
    """One layer before another."""
    (colours, alpha), (back, behind) = top, below
    both = alpha + behind * (1 - alpha)
    mixed = colours * alpha[..., None] + back * (behind * (1 - alpha))[..., None]
    return mixed / np.maximum(both, 1e-3)[..., None], both


def finished(rng: Rng, layer: Layer, scene: Scene, motion: float = 0.25, defocus: float = 0.25) -> Layer:
    """As a camera sees it: always a little soft, now and then moved (`motion`: how often) or out of focus."""
    colours, alpha = layer
    solid = np.empty((*alpha.shape, 4), np.float32)
    np.multiply(colours, alpha[..., None], out=solid[..., :3])
    solid[..., 3] = alpha
    sigma = scene.unit * rng.uniform(0.003, 0.012)
    if rng.random() < defocus:
        sigma += scene.unit * rng.uniform(0, 0.02) + (
            scene.unit * rng.uniform(0, 0.06) if rng.random() < 0.3 else 0
        )
    solid = blurred(solid, max(sigma, 0.35))
    if rng.random() < motion:
        solid = moved(solid, scene.unit * rng.gamma(1.5, 0.06), rng.uniform(0, np.pi))
    alpha = np.clip(solid[..., 3], 0, 1)
    colours = solid[..., :3] * (1 / np.maximum(alpha, 1e-3))[..., None]
    return np.clip(colours, 0, 1, out=colours), np.where(alpha < 1 / 255, np.float32(0), alpha)
