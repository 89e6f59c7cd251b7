"""The seamless blend: its solver beside OpenCV's clone and SciPy's sparse solve, and its space beside others.

One thread each. The matte is a disc so many pixels wide. OpenCV's `seamlessClone` takes and gives 8 bits; SciPy's
`spsolve` takes the equation in double precision, all three channels by one elimination, and is what we must equal.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from bench import common
from understudy.core import _plugins
from understudy.core.blend import _light, _poisson
from understudy.core.colour import SwapCurve
from understudy.core.frames import Float

SIZES = (256, 512, 1100)
_ROUNDS = 3
_MARGIN = 24

Map = Callable[[Any], Any]


def main() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        common.show(
            "poisson: a disc of so many pixels across; × how many times as long as ours",
            ("across", "ours s", "cv2.seamlessClone s", "×", "spsolve s", "×", "largest difference to it"),
            [_race(size) for size in SIZES],
        )
        names = _plugins.names("blend")
        columns = [_modes(size, names) for size in SIZES]
        rows = [(name, *(f"{1000 * column[name]:.1f}" for column in columns)) for name in names]
        common.show("blend: each mode, ms", ("mode", *(f"{size}" for size in SIZES)), rows)
        _spaces()
    finally:
        cv2.setNumThreads(threads)


def scene(size: int) -> tuple[Float, Float, Float]:
    """Plate and face (h, w, 3) and the matte (h, w) of a disc: shading, grain, and two stops of exposure between."""
    side = size + 2 * _MARGIN
    rng = np.random.default_rng(size)

    def shaded(exposure: float) -> Float:
        coarse = rng.normal(0.0, 0.5, (8, 8, 3)).astype(np.float32)
        shading = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        return (exposure * np.exp(shading) + rng.normal(0.0, 0.003, (side, side, 3))).astype(np.float32)

    y, x = np.mgrid[0:side, 0:side] + 0.5 - side / 2
    matte = np.clip(size / 2 - np.hypot(x, y), 0.0, 12.0) / 12.0
    return shaded(0.2), shaded(0.05), matte.astype(np.float32)


def best(call: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Seconds of the fastest of some rounds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _race(size: int) -> tuple[str, ...]:
    plate, face, matte = scene(size)
    free = matte > 0.0
    difference = _light.encode(plate) - _light.encode(face)
    ours = best(lambda: _poisson.solve(free, difference))
    codes = [
        np.clip(255.0 * np.sqrt(np.maximum(each, 0.0)), 0.0, 255.0).astype(np.uint8) for each in (plate, face)
    ]
    centre = (plate.shape[1] // 2, plate.shape[0] // 2)
    mask = (255 * free).astype(np.uint8)
    clone = best(lambda: cv2.seamlessClone(codes[1], codes[0], mask, centre, cv2.NORMAL_CLONE))
    began = time.perf_counter()
    exact = _by_elimination(free, difference)
    elimination = time.perf_counter() - began
    error = np.abs(_poisson.solve(free, difference) - exact)[free].max() / np.abs(exact[free]).max()
    return (
        f"{size}",
        f"{ours:.3f}",
        f"{clone:.3f}",
        f"×{clone / ours:.1f}",
        f"{elimination:.2f}",
        f"×{elimination / ours:.0f}",
        f"{error:.0e}",
    )


def _by_elimination(free: npt.NDArray[np.bool_], fixed: Float) -> npt.NDArray[np.float64]:
    """As `_poisson.solve` for a shape that does not touch the picture's edge."""
    number = np.cumsum(free).reshape(free.shape) - 1
    own = number[free]
    right = np.zeros((own.size, fixed.shape[-1]))
    entries = [sparse.identity(own.size, format="csc") * 4.0]
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        tied = np.roll(free, shift, (0, 1))[free]
        right[~tied] += np.roll(fixed, shift, (0, 1))[free][~tied]
        there = (own[tied], np.roll(number, shift, (0, 1))[free][tied])
        entries.append(sparse.csc_matrix((-np.ones(len(there[0])), there), shape=(own.size,) * 2))
    found = fixed.astype(np.float64)
    found[free] = spsolve(sum(entries[1:], entries[0]), right)
    return found


def _modes(size: int, names: tuple[str, ...]) -> dict[str, float]:
    plate, face, matte = scene(size)
    modules = {name: importlib.import_module(f"understudy.core.blend.{name}") for name in names}
    return {n: best(partial(module.finish, plate, face, matte)) for n, module in modules.items()}


def _spaces() -> None:
    """What is left of a known difference, in stops rms, when the correction is found in one space or another."""
    side = 160
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    free = (x / 0.4) ** 2 + (y / 0.45) ** 2 < 1.0
    deep = (x / 0.3) ** 2 + (y / 0.34) ** 2 < 1.0
    rng = np.random.default_rng(3)
    shading = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 5.0)
    truth = 0.18 * np.exp(0.6 * shading / shading.std())[..., None] * np.array([1.0, 0.75, 0.6])
    truth[np.hypot(np.abs(x) - 0.12, y + 0.1) < 0.045] *= 0.1  # eyes
    light = (
        0.6 * (1.0 + 0.6 * x)[..., None]
    )  # what a colour match may leave: half a stop to one, left to right
    lamp, black = truth.copy(), truth.copy()
    lamp[70:80, int(side * 0.88) :] = 1000.0
    black[40:120, int(side * 0.85) :] = 0.002
    cases = {  # plate, face, what should come of it, where
        "darker, unevenly": (truth, truth * light, truth, free),
        "the same, at night": (truth * 0.1, truth * light * 0.1, truth * 0.1, free),
        "veil of 0.05": (truth + 0.05, truth, truth + 0.05, free),
        "lamp in the outline": (lamp, truth, truth, deep),
        "black in the outline": (black, truth, truth, deep),
        "black in the face's": (truth, black, truth, deep),
    }
    spaces = _maps()
    rows = []
    for name, (plate, face, wanted, where) in cases.items():
        row = [name]
        for there, back in spaces.values():
            correction = _poisson.solve(free, (there(plate) - there(face)).astype(np.float32))
            made = np.maximum(back(there(face) + correction), 1e-4)[where]
            row.append(f"{np.sqrt(np.square(np.log2(made / np.maximum(wanted[where], 1e-4))).mean()):.2f}")
        rows.append(row)
    common.show(
        "seamless: stops rms left of a difference, by the space of the correction", ("", *spaces), rows
    )


def _maps() -> dict[str, tuple[Map, Map]]:
    curve = SwapCurve(1.0)
    spaces: dict[str, tuple[Map, Map]] = {"linear": (np.asarray, np.asarray)}
    spaces["swap curve"] = (lambda v: curve.encode(v.astype(np.float32)), curve.decode)
    for toe in sorted({0.09, 0.02, 0.005, _light.TOE}, reverse=True):
        name = f"asinh, toe {toe:g}" + (" (ours)" if toe == _light.TOE else "")
        spaces[name] = (partial(_there, toe), partial(_back, toe))
    return spaces


def _there(toe: float, light: Any) -> Any:
    return np.arcsinh(light / (2.0 * toe))


def _back(toe: float, code: Any) -> Any:
    return 2.0 * toe * np.sinh(code)
