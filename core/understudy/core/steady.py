"""Points that do not tremble: what noise there is on a series of them, and how it is taken out without a lag.

Series are over frames that follow one another: (T, N, D) is T frames of N points in D dimensions. Nothing here knows
of people, gaps or cuts; see `track.smooth`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from understudy.core.errors import InvalidInput

Series = npt.NDArray[np.float64]

VERSION = 2  # of what `steadied` makes of the same series

_FEW = 8  # frames, below which noise can not be told from movement

# An outlier frame is off its neighbours' middle by more than …
_GLITCH = 8.0  # … this many times the noise,
_GLITCH_SPEED = 2.0  # … and the movement per frame around it,
_GLITCH_TURN = 3.0  # … and what the frames beside it are off theirs: else it is a movement that turns

# Rest: on how many frames to each side a point may have stayed where it is; how near that is, in units of the noise of
# a difference, on the first and on the second pass; how many points of the mark-up, which run along lips and lids,
# tell it together; and how much speaks against a slow drift, lest noise at the ends of a run be taken for one.
_REST = 24
_NEAR = (3.5, 2.5)
_TOGETHER = 9
_STILL = 0.03

_LAGS = 8


def jitter(points: npt.NDArray[np.floating], *, still: bool = False) -> float:
    """How much points (T, N, 2) tremble: RMS length in px of what noise displaces them by.

    Args:
        points: of frames that follow one another, finite.
        still: they are known to stand still: then it is all that they move about their mean, slow wandering too. Else
            it is the noise that third differences show (`noise`), which a movement with steady acceleration has none
            of. Of smoothed points that is only what still trembles from frame to frame.

    Raises:
        InvalidInput: of another shape, or fewer than 4 frames.
    """
    if points.ndim != 3 or len(points) < 4:
        raise InvalidInput(
            f"jitter: expected 4 frames or more of points (T, N, D), got {points.shape}", field="points"
        )
    if still:
        return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=-1).mean()))
    return float(np.sqrt((noise(points.astype(np.float64)) ** 2).mean()))


def noise(points: Series) -> Series:
    """(N,) RMS length of the white noise on each point of a series of 4 frames or more.

    Third differences of independent noise have 20 times its variance; their median lets bursts of movement pass.
    """
    third = np.abs(np.diff(points, 3, axis=0))
    deviation = np.median(third, axis=0) / (0.6745 * np.sqrt(20.0))
    return np.asarray(np.sqrt((deviation**2).sum(axis=-1)))


def lag(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """By how many frames the movement of points b (T, N, D) comes after that of a, in fractions; 0 if nothing moves.

    Where the correlation of their velocities is highest, within 8 frames or a third of the series. A movement that
    only ever speeds up looks alike at all lags, and tells nothing.
    """
    va, vb = (np.diff(np.asarray(p, np.float64), axis=0) for p in (a, b))
    most = min(_LAGS, len(va) // 3)
    shifts = range(-most, most + 1)
    found = np.array([_correlation(va, vb, shift) for shift in shifts])
    if most < 1 or not found.any():
        return 0.0
    best = int(np.clip(found.argmax(), 1, len(found) - 2))
    before, peak, after = found[best - 1 : best + 2]
    bend = before - 2.0 * peak + after
    part = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return shifts[best] + float(np.clip(part, -1.0, 1.0))


def _correlation(a: Series, b: Series, shift: int) -> float:
    a, b = a[max(0, -shift) : len(a) - max(0, shift)], b[max(0, shift) : len(b) - max(0, -shift)]
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0.0 else 0.0


def outliers(points: Series) -> npt.NDArray[np.bool_]:
    """(T,) the frames of a series on which all the points stand elsewhere than just before and just after."""
    found = np.zeros(len(points), bool)
    if len(points) < _FEW:
        return found
    off = np.linalg.norm(points[1:-1] - (points[:-2] + points[2:]) / 2.0, axis=-1)
    moved = np.linalg.norm(points[2:] - points[:-2], axis=-1) / 2.0
    off, moved = np.median(off, axis=1), np.median(moved, axis=1)  # a blink moves some of the points only
    around = np.zeros_like(off)
    around[:-2], around[2:] = off[2:], np.maximum(around[2:], off[:-2])
    # beside an outlier frames are off too, but not those two away
    found[1:-1] = (
        (off > _GLITCH * float(np.median(noise(points))))
        & (off > _GLITCH_SPEED * moved)
        & (off > _GLITCH_TURN * around)
        & (off > 1e-6)
    )
    return found


def steadied(points: Series, window: int, weights: Series | None = None) -> Series:
    """The series without its noise, as far as that can be told from movement. Zero phase.

    First a parabola is fitted to `window` frames around each one and read in its middle (Savitzky and Golay 1964; at
    the ends of the run the window is cut off): true to any movement with constant acceleration, and too short to take
    out all the noise of a face at rest. Then each point is fitted a line through all frames within a second before
    and after on which it lay where it lies now, as far as the noise lets that be seen (a bilateral filter, Tomasi and
    Manduchi 1998, on time): of a point that moves those are none, or few, and it stays as it was.

    Args:
        points: (T, N, D), finite.
        window: odd number of frames; 1 changes nothing.
        weights: (T, N) or (T, 1), 0 to 1, how far each is to be believed; None is 1. A frame of weight 0 is read from
            those around it.
    """
    if window == 1:
        return points.copy()
    result = _parabola(points, window, weights)
    if len(points) >= _FEW:
        spread = (
            noise(points) * _gain(window) * np.sqrt(2.0)
        )  # of what the parabola leaves, between two frames
        for near in _NEAR:
            result = _at_rest(result, near * spread)
    return result


def _parabola(points: Series, window: int, weights: Series | None) -> Series:
    count, reach = len(points), window // 2
    w = np.ones((count, 1)) if weights is None else np.maximum(weights, 1e-6)
    moments = np.zeros((5, *w.shape))
    values = np.zeros((3, *points.shape))
    for step in range(-min(reach, count - 1), min(reach, count - 1) + 1):
        here, there = slice(max(0, -step), count - max(0, step)), slice(max(0, step), count - max(0, -step))
        powers = (step / reach) ** np.arange(5)
        moments[:, here] += powers[:, None, None] * w[there]
        shift = w[there][..., None] * (points[there] - points[here])
        for power, total in zip(powers, values, strict=False):
            total[here] += power * shift
    normal = np.stack([moments[i : i + 3] for i in range(3)]).transpose(2, 3, 0, 1)
    # a hint of flatness decides where there are fewer frames than a parabola needs
    normal = normal + moments[0][..., None, None] * np.diag([0.0, 1e-9, 1e-9])
    middle = np.linalg.solve(normal, np.array([1.0, 0.0, 0.0])[:, None])[..., 0]
    added: Series = np.einsum("tni,itnd->tnd", np.broadcast_to(middle, (*points.shape[:2], 3)), values)
    return points + added


def _gain(window: int) -> float:
    """What a parabola over so many frames leaves of white noise in its middle."""
    offsets = np.arange(-(window // 2), window // 2 + 1.0)
    return float(np.linalg.norm(np.linalg.pinv(np.vander(offsets, 3))[-1]))


def _at_rest(points: Series, near: Series) -> Series:
    """A line at each point through those frames on which it is nearer than `near` (N,) to where it is on this one."""
    moments = np.zeros((3, *points.shape[:2]))
    moments[0] = 1.0
    values = np.zeros((2, *points.shape))
    scale = 1.0 / np.maximum(near, 1e-9) ** 2
    for step in range(1, min(_REST, len(points) - 1) + 1):
        shift = points[step:] - points[:-step]
        apart = np.minimum((shift**2).sum(axis=-1) * scale, 2.0 * _TOGETHER)
        likeness = np.clip(1.0 - uniform_filter1d(apart, _TOGETHER, axis=1), 0.0, None) ** 2
        time, pull = step / _REST, likeness[..., None] * shift
        for sign, rows, way in ((1.0, slice(None, -step), pull), (-1.0, slice(step, None), -pull)):
            moments[0, rows] += likeness
            moments[1, rows] += sign * time * likeness
            moments[2, rows] += time**2 * likeness
            values[0, rows] += way
            values[1, rows] += sign * time * way
    bend = moments[2] + _STILL * moments[0]
    middle = bend[..., None] * values[0] - moments[1][..., None] * values[1]
    moved: Series = middle / (moments[0] * bend - moments[1] ** 2)[..., None]
    return points + moved
