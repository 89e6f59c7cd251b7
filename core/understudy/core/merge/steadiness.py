"""How much a face flickers that was put on a moving head, and how sharp it is beside that: what smears flickers less.

A frame and the next one are carried to the time halfway between them, both by half of the movement that the landmarks
show, so that interpolation softens both alike; what then differs moved on its own: the warping error of Lai et al.,
"Learning Blind Video Temporal Consistency", ECCV 2018, along landmarks instead of optical flow. A performance and the
grain differ too: measure the plate the same way, and look at the two side by side.

All in stops, as an eye compares light: a flicker is as strong in the shadow of a face as on its bright side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.face import Matrix
from understudy.core.finish import _stops
from understudy.core.finish.motion import motion
from understudy.core.frames import Array, Float, Window
from understudy.core.image import fill_nonfinite

_SEEN = 1 / 256  # of a matte: below it nobody sees what a face does


@dataclass(frozen=True, kw_only=True)
class Look:
    """A face on one frame.

    Attributes:
        number: of the frame.
        rgb: (h, w, 3) scene-linear, of the plate pixels in `window`; what is not finite is filled.
        matte: (h, w) in [0, 1], where it is looked at.
        window: plate px.
        points: (N, 2) landmarks, plate px: of the plate, as steady as they can be had, and the same ones for all
            merges that are compared. Those by which a face was put on tremble with it, and would show nothing.
        pixel_aspect: width of a pixel over its height.
    """

    number: int
    rgb: Float
    matte: Float
    window: Window
    points: npt.NDArray[np.floating]
    pixel_aspect: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """What was measured of a face over some frames.

    Attributes:
        pairs: of frames that follow one another.
        warp: stops, RMS: by how much a frame differs from the next one, along the movement.
        edge: likewise of the matte, in its own unit, where either frame has any.
        level: stops, RMS: by how much the mean of the face jumps from frame to frame, as deviation of white noise. A
            light that changes smoothly counts nothing. NaN where no three frames follow one another.
        sharpness: stops per plate px, RMS of the gradient under the matte.
    """

    pairs: int
    warp: float
    edge: float
    level: float
    sharpness: float


def measured(looks: Iterable[Look]) -> Steadiness:
    """What can be said of a face in order of frames; across a gap nothing is compared.

    Holds two looks at a time.

    Raises:
        InvalidInput: no two frames follow one another, or nothing is under the mattes; or as `motion`.
    """
    warp, edge, level, sharpness = _Mean(), _Mean(), _Mean(), _Mean()
    pairs, last, means = 0, None, list[Float]()
    for look in looks:
        coded = _coded(look)
        if last is None or look.number != last.number + 1:
            means.clear()
        else:
            pairs += 1
            _compare(last, coded, warp, edge)
        sharpness.add(*_gradient(coded))
        if (coded.matte > _SEEN).any():
            means.append(np.average(coded.rgb.reshape(-1, 3), axis=0, weights=coded.matte.ravel()))
        else:
            means.clear()
        if len(means) >= 3:
            # Second differences of white noise have six times its variance
            level.add(np.square(means[-3] - 2.0 * means[-2] + means[-1]) / 6.0, np.ones(3))
        last = coded
    if not pairs or not warp.weight:
        what = "nothing under the mattes" if pairs else "no two frames that follow one another"
        raise InvalidInput(f"steadiness: {what}", field="looks", value=pairs)
    return Steadiness(
        pairs=pairs, warp=warp.root(), edge=edge.root(), level=level.root(), sharpness=sharpness.root()
    )


@dataclass
class _Mean:
    """The root of a weighted mean of squares."""

    total: float = field(default=0.0)
    weight: float = field(default=0.0)

    def add(self, squares: Array, weights: Array) -> None:
        self.total += float((squares * weights).sum(dtype=np.float64))
        self.weight += float(weights.sum(dtype=np.float64))

    def root(self) -> float:
        return math.sqrt(self.total / self.weight) if self.weight else math.nan


def _coded(look: Look) -> Look:
    """The same, its light in stops."""
    stops = _stops.encode(fill_nonfinite(look.rgb)[0])
    return replace(look, rgb=stops, matte=np.where(look.matte > _SEEN, look.matte, np.float32(0.0)))


def _compare(one: Look, other: Look, warp: _Mean, edge: _Mean) -> None:
    """Add what two frames differ by, halfway between them, on the window of the first."""
    moves = motion(one.points, None, other.points, pixel_aspect=one.pixel_aspect)
    pictures = [_carried(look, moves.at(time), one.window) for look, time in ((one, 0.5), (other, -0.5))]
    (rgb, matte), (rgb_other, matte_other) = pictures
    both = np.minimum(matte, matte_other)
    warp.add(np.square(rgb - rgb_other).mean(axis=-1), both)
    edge.add(np.square(matte - matte_other), (np.maximum(matte, matte_other) > _SEEN).astype(np.float32))


def _carried(look: Look, there: Matrix, window: Window) -> tuple[Float, Float]:
    """Picture and matte of a look, moved by a map (2, 3) of plate px, on a window; beyond its own the matte is 0."""
    source, target = (np.array([w.x + 0.5, w.y + 0.5]) for w in (look.window, window))
    linear = np.linalg.inv(there[:, :2])
    pull = np.column_stack([linear, linear @ (target - there[:, 2]) - source])
    size, flags = (window.width, window.height), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    rgb = cv2.warpAffine(look.rgb, pull, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(look.matte, pull, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return rgb.astype(np.float32, copy=False), np.clip(matte, 0.0, 1.0)


def _gradient(look: Look) -> tuple[Array, Array]:
    """Squares of the gradient's length, mean of the channels, and what each counts."""
    across, down = (np.diff(look.rgb, axis=axis) for axis in (1, 0))
    squares = (np.square(across[1:]) + np.square(down[:, 1:])).mean(axis=-1)
    return squares, look.matte[1:, 1:]
