"""What the swap space costs and keeps, beside the curves it could have been (docs/decisions/0005-swap-space.md).

Every value is scene-linear light, exposed so that a face's middle is 0.18. Each figure has the same of our curve
beside it, as a ratio: ×2.0 is twice ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import nn

from bench import clips, common
from understudy.core.colour import ColourConfig, SwapCurve, exposure_gain
from understudy.core.frames import Float
from understudy.core.train.losses import structure

LIGHT = (0.02, 0.18, 1.0, 4.0, 16.0, 60.0)
SKIN = (0.05, 0.6)
NOISE = (0.004, 0.01)  # of a network's output: a trained one, a poor one
STEP = 1 / 255
BANDS = ((0.02, 0.05), (0.05, 0.2), (0.2, 0.6), (0.6, 1.5), (1.5, 6.0))  # of light, for `limited`
_FRAMES, _COMPONENTS, _STEPS = 160, 64, 300
_A, _B, _C, _D = 10.5402377416545, 0.0729055341958355, 17.52, 9.72  # ACES S-2016-001
_PQ = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # SMPTE ST 2084: m1, m2, c1, c2, c3
_ACESCCT_JOIN, _MAXIMUM = 0.0078125, 64.0


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Light → code and back, both (…) float32; codes outside of `low` to 1 can not be said by a network."""

    encode: Callable[[Float], Float]
    decode: Callable[[Float], Float]
    low: float = -1.0


def _odd(function: Callable[[Float], Float]) -> Callable[[Float], Float]:
    return lambda x: np.copysign(function(np.abs(x)), x).astype(np.float32, copy=False)


def ours(knee: float = 0.8, maximum: float = _MAXIMUM) -> Curve:
    curve = SwapCurve(1.0, knee=knee, maximum=maximum)
    return Curve(encode=curve.encode, decode=curve.decode)


def acescct() -> Curve:
    def encode(x: Float) -> Float:
        log = (np.log2(np.maximum(x, _ACESCCT_JOIN)) + _D) / _C
        return np.where(x <= _ACESCCT_JOIN, _A * x + _B, log).astype(np.float32)

    def decode(y: Float) -> Float:
        join = _A * _ACESCCT_JOIN + _B
        return np.where(y <= join, (y - _B) / _A, np.exp2(y * _C - _D)).astype(np.float32)

    return Curve(encode=encode, decode=decode)


def acescc() -> Curve:
    def encode(x: Float) -> Float:
        dark = np.log2(2.0**-16 + np.maximum(x, 0) / 2)
        return ((np.where(x < 2.0**-15, dark, np.log2(np.maximum(x, 2.0**-15))) + _D) / _C).astype(np.float32)

    def decode(y: Float) -> Float:
        x = np.exp2(y * _C - _D)
        return np.asarray(np.where(y <= (_D - 15) / _C, (x - 2.0**-16) * 2, x), np.float32)

    return Curve(encode=encode, decode=decode)


def log2(offset: float) -> Curve:
    """log2(1 + x / offset), 64 at code 1, odd."""
    top = float(np.log2(1 + _MAXIMUM / offset))

    def encode(x: Float) -> Float:
        return np.asarray(np.log2(1 + x / offset) / top, np.float32)

    def decode(y: Float) -> Float:
        return np.asarray(offset * (np.exp2(y * top) - 1), np.float32)

    return Curve(encode=_odd(encode), decode=_odd(decode))


def pq() -> Curve:
    """ST 2084 with 64 at code 1 (there 10,000 cd/m²), odd."""
    m1, m2, c1, c2, c3 = _PQ

    def encode(x: Float) -> Float:
        p = (x / _MAXIMUM) ** m1
        return np.asarray(((c1 + c2 * p) / (1 + c3 * p)) ** m2, np.float32)

    def decode(y: Float) -> Float:
        p = y ** (1 / m2)
        return np.asarray(_MAXIMUM * (np.maximum(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1), np.float32)

    return Curve(encode=_odd(encode), decode=_odd(decode))


def srgb() -> Curve:
    """IEC 61966-2-1 held to [0, 1]: what face-swap tools do."""

    def encode(x: Float) -> Float:
        x = np.clip(x, 0, 1)
        return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)

    def decode(y: Float) -> Float:
        y = np.clip(y, 0, 1)
        return np.where(y <= 0.04045, y / 12.92, ((y + 0.055) / 1.055) ** 2.4).astype(np.float32)

    return Curve(encode=encode, decode=decode, low=0.0)


_OURS = "ours: knee 0.8, to 64"
CURVES: dict[str, Curve] = {
    _OURS: ours(),
    **{f"  knee {knee}": ours(knee=knee) for knee in (0.6, 0.7, 0.9)},
    **{f"  to {maximum:g}": ours(maximum=maximum) for maximum in (16.0, 256.0)},
    "ACEScct": acescct(),
    "ACEScc": acescc(),
    "log2, offset 0.01": log2(0.01),
    "log2, offset 0.05": log2(0.05),
    "ST 2084 to 64": pq(),
    "sRGB, clamped": srgb(),
}
_TRAINED = (_OURS, "  knee 0.7", "ACEScct", "log2, offset 0.05", "sRGB, clamped")  # half a minute each


def said(curve: Curve, code: Float) -> Float:
    """Light of a code that a network says, which has a sigmoid or tanh at its end."""
    return curve.decode(np.clip(code, curve.low, 1.0).astype(np.float32))


def noise_error(curve: Curve, light: float, sigma: float) -> float:
    """Root mean square of the relative error in light where the code has Gaussian noise."""
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    code = curve.encode(np.full(1, light, np.float32))
    return float(np.sqrt(np.mean((said(curve, code + np.float32(sigma) * noise) / light - 1.0) ** 2)))


def step_error(curve: Curve, light: float) -> float:
    """Relative distance in light of the nearest 8-bit codes around a value; 1 where it is clipped away."""
    code = float(curve.encode(np.full(1, light, np.float32))[0])
    below, above = said(curve, np.array([code - STEP / 2, code + STEP / 2], np.float32))
    return float((above - below) / light) if above > light * 0.99 else 1.0 - float(above) / light


def round_trip(curve: Curve) -> tuple[float, float]:
    """Largest relative error over 1e-4 … 60, and over −0.5 … −1e-3, of the codes that a network can say."""
    up, down = (
        np.geomspace(1e-4, 60, 4000).astype(np.float32),
        -np.geomspace(1e-3, 0.5, 400).astype(np.float32),
    )
    errors = (np.abs(said(curve, curve.encode(x)) / x - 1).max() for x in (up, down))
    first, second = map(float, errors)
    return first, second


def skin_steps(curve: Curve) -> list[float]:
    """8-bit steps in each of the stops from 0.0375 to 0.6."""
    edges = 0.6 * np.exp2(np.arange(-4.0, 0.5)).astype(np.float32)
    steps: list[float] = (np.diff(curve.encode(edges)) / STEP).tolist()
    return steps


def share(curve: Curve) -> float:
    """Of the codes 0 to 1, how much lies between the ends of skin."""
    dark, bright = curve.encode(np.array(SKIN, np.float32))
    return float(bright - dark)


def faces() -> Float:
    """(2, N, 64, 64, 3) light of the two performers' faces in the demo's plates, middle frame exposed to 0.18."""
    shots = []
    for name in ("hopper", "astronaut"):
        clip = clips.Clip(name=name, frames=_FRAMES, width=240, height=180)
        crops = [clips.render(clip, i)[27:153, 72:168] for i in range(_FRAMES)]
        small = np.stack([cv2.resize(c, (64, 64), interpolation=cv2.INTER_AREA) for c in crops])
        middle = [float(np.log(np.maximum(face, 1e-3)).mean()) for face in small[:, 21:43, 21:43]]
        shots.append(small * np.float32(exposure_gain(middle)))
    return np.asarray(shots, np.float32)


def limited(curve: Curve, shots: Float) -> list[float]:
    """What is left of light after a model of limited capacity, in stops rms for each of `BANDS`.

    The model is the best linear one: 64 principal components of every other frame's codes, tried on the frames
    between. It minimises the square in code, as networks do.
    """
    made, truth = [], []
    for light in shots:
        codes = curve.encode(light).reshape(len(light), -1).astype(np.float64)
        mean, seen, unseen = codes[::2].mean(axis=0), codes[::2], codes[1::2].reshape(len(light) // 2, -1)
        base = np.linalg.svd(seen - mean, full_matrices=False)[2][:_COMPONENTS]
        made.append(said(curve, ((unseen - mean) @ base.T @ base + mean).astype(np.float32)))
        truth.append(light[1::2].reshape(made[-1].shape))
    return stops(np.asarray(made), np.asarray(truth))


def trained(curve: Curve, shots: Float) -> list[float]:
    """As `limited`, of a small network on its first steps with the training's own loss: one encoder, one decoder."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(a, b, 5, 2, 2), nn.LeakyReLU(0.1))
            for a, b in pairwise((3, 24, 48, 64, 64))
        ),
        nn.Sequential(nn.Flatten(), nn.Linear(1024, 96), nn.Linear(96, 1024), nn.Unflatten(1, (64, 4, 4))),
        *(
            nn.Sequential(nn.Conv2d(a, 4 * b, 3, 1, 1), nn.LeakyReLU(0.1), nn.PixelShuffle(2))
            for a, b in pairwise((64, 64, 48, 32, 24))
        ),
        nn.Sequential(nn.Conv2d(24, 3, 1), nn.Sigmoid()),
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.999))
    codes = torch.from_numpy(np.clip(curve.encode(shots), 0, 1)).permute(0, 1, 4, 2, 3)
    seen, unseen = codes[:, ::2].flatten(0, 1), codes[:, 1::2].flatten(0, 1)
    for _ in range(_STEPS):
        batch = seen[torch.randint(len(seen), (16,))]
        face = net(batch)
        loss = (structure(batch, face) + 10 * (batch - face).square().mean((1, 2, 3))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        face = net(unseen).permute(0, 2, 3, 1).numpy()
    return stops(said(curve, face), shots[:, 1::2].reshape(face.shape))


def stops(made: Float, truth: Float) -> list[float]:
    """Root mean square of the difference in stops, for each of `BANDS` of the true light."""
    difference = np.log2(np.maximum(made, 1e-3) / np.maximum(truth, 1e-3))
    inside = ((truth >= low) & (truth < high) for low, high in BANDS)
    return [float(np.sqrt(np.mean(difference[band] ** 2))) for band in inside]


def _beside(value: float, reference: float) -> str:
    figure = f"{value:.1%}" if value < 1e3 else f"{value:.0e}"
    return f"{figure} ×{value / reference:.1f}"


def _errors(title: str, error: Callable[[Curve, float], float]) -> None:
    reference = [error(CURVES[_OURS], light) for light in LIGHT]
    common.show(
        title,
        ("curve", *(f"{light:g}" for light in LIGHT)),
        [
            (name, *(_beside(error(curve, light), ref) for light, ref in zip(LIGHT, reference, strict=True)))
            for name, curve in CURVES.items()
        ],
    )


def _shape() -> None:
    rows = []
    mine = share(CURVES[_OURS])
    for name, curve in CURVES.items():
        up, down = round_trip(curve)
        steps = skin_steps(curve)
        rows.append(
            (
                name,
                f"{up:.0e}" if up < 0.5 else "clips",
                f"{down:.0e}" if down < 0.5 else "clips",
                _beside(share(curve), mine),
                " ".join(f"{s:.0f}" for s in steps),
                f"{max(steps) / min(steps):.1f}",
            )
        )
    common.show(
        "swap space: what comes back, and how codes are spent on skin (0.0375 to 0.6, four stops)",
        ("curve", "error 1e-4…60", "−0.5…−1e-3", "share of skin", "8-bit steps a stop", "most / least"),
        rows,
    )


def _faces(title: str, model: Callable[[Curve, Float], list[float]], names: Iterable[str]) -> None:
    shots = faces()
    figures = {name: model(CURVES[name], shots) for name in names}
    mine = figures[_OURS]
    common.show(
        f"{title} on unseen frames of two faces: stops rms, by light",
        ("curve", *(f"{low:g}…{high:g}" for low, high in BANDS)),
        [
            (name, *(f"{e:.2f} ×{e / ref:.1f}" for e, ref in zip(errors, mine, strict=True)))
            for name, errors in figures.items()
        ],
    )


def _speed() -> None:
    rgb = np.random.default_rng(0).random((1024, 1024, 3), np.float32)
    config, curve = ColourConfig.open(), SwapCurve(1.0)

    def timed(work: Callable[[Float], Float]) -> float:
        best = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            work(rgb)
            best = min(best, time.perf_counter() - began)
        return 1000 * best

    peer = "working space → ACEScct (OpenColorIO)"
    ways: dict[str, Callable[[Float], Float]] = {
        "swap space, encode": curve.encode,
        "swap space, decode": curve.decode,
        peer: lambda rgb: config.from_working(rgb, "ACEScct"),
        "Linear Rec.709 → working space": lambda rgb: config.to_working(rgb, "Linear Rec.709 (sRGB)"),
        "ARRI LogC4 → working space": lambda rgb: config.to_working(rgb, "ARRI LogC4"),
        "viewing proxy": config.proxy,
    }
    figures = {name: timed(work) for name, work in ways.items()}
    common.show(
        "colour: one megapixel",
        ("way", "ms", "× ACEScct"),
        [(name, f"{ms:.1f}", f"{ms / figures[peer]:.1f}") for name, ms in figures.items()],
    )


def main() -> None:
    _shape()
    for sigma in NOISE:
        _errors(
            f"relative error in light, rms, under Gaussian noise of {sigma:g} in the code",
            partial(noise_error, sigma=sigma),
        )
    _errors("relative size of an 8-bit step in light", step_error)
    _faces(f"a linear model of {_COMPONENTS} components", limited, CURVES)
    _faces(f"a small network after {_STEPS} steps", trained, _TRAINED)
    _speed()


if __name__ == "__main__":
    main()
