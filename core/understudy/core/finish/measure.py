"""The grain of a plate, measured where there is nothing else to see: in its flat patches, and in what changes from one
frame to the next.

Both kinds of patches can only show too much: a wall has a texture, a face that moves does not fit itself. So those
with soft structure are left out first, then of those of like luminance all that vary more than the least do, and of
the two kinds that which shows less is believed. A luminance at which patches do not vary alike tells nothing, nor one
that most others contradict. What the high-pass takes of the grain itself is put back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.face import Matrix
from understudy.core.finish import _stops
from understudy.core.finish.grain import Grain, Numbers
from understudy.core.frames import Array, Float
from understudy.core.image import luminance

_SIDE = 16  # pixels of a patch
_HALF = _SIDE // 2
_SMOOTH = 10.0  # pixels of standard deviation: what is softer is no grain
_REACH = 6  # pixels of autocorrelation
_FFT = 32  # at least _SIDE + _REACH, so that nothing wraps round
_FAR = 7  # pixels, from where two have no grain in common
_FEW = 24  # patches for one level of luminance
_SPAN = 0.25  # stops of luminance that one level covers at least
_QUIET = 0.3  # of patches, those that vary least for their light, whose median says …
_STRUCTURE = 3.0  # … times which is the most of the variance that is soft: chi-squared, 4 to 12 free
_LOW = 0.1  # quantile of variance that is taken for that of grain alone: …
_SPREAD = 2.2  # … coarse grain has more than so many times it in one patch of a hundred
_ALIKE = 0.45  # of patches: if fewer vary so, what most show is no grain
_ROUNDING, _DARK = 1e-6, 1e-3  # of the light, and light that has as much: a deviation that is no grain
_TOE = 0.01  # scene-linear: the less light there is below it, the less it says of grain
_INEXACT = 1.3  # times: as far as what is found may be off
_UNSEEN = 5e-4  # of the light: less is no grain, but what a half float rounds
_AT_MOST = 4000  # patches for the autocorrelation

# (K, K): what is said of a channel without grain, a drawing's or one that was denoised altogether
_WHITE = np.pad(np.ones((1, 1)), _REACH)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Patches:
    """Pieces of what is left of frames without all that is soft.

    Attributes:
        rest: (N, 16, 16, 3) scene-linear, of one frame's deviation.
        level: (N,) luminance.
        between: (N,) whether it is a difference of two frames.
    """

    rest: Float
    level: Float
    between: Bools

    def __len__(self) -> int:
        return len(self.level)

    def at(self, index: npt.NDArray[np.intp]) -> _Patches:
        return _Patches(**{each.name: getattr(self, each.name)[index] for each in fields(self)})


def measure(
    frames: Sequence[Float],
    *,
    mattes: Sequence[Float] | None = None,
    moves: Sequence[Matrix] | None = None,
) -> Grain | None:
    """The grain of frames (H, W, 3) that follow one another, or of a single one; None where too little is flat.

    Fitted for a shot from some of its frames, or from a face alone to see what grain it has already.

    Args:
        frames: scene-linear in the working space, before anything has filtered them; patches with a pixel that is not
            finite are left out.
        mattes: per frame (H, W): patches where it is not 1 throughout are left out. Default: none is.
        moves: per step (2, 3), array px of a frame → of the next (`motion.Motion.at(1)`, for arrays that lie at the
            plate's origin), to see grain on what moves. Default: all stands still.
    """
    patches = _fine(_joined(list(_found(frames, mattes, moves))))
    if len(patches) < _FEW:
        return None
    levels, variances, kept = [], [], []
    for group in _groups(patches.level):
        if not len(chosen := _clean(patches, group)):
            continue
        rest = patches.rest[chosen].astype(np.float64)
        levels.append(float(np.median(patches.level[chosen])))
        variance = np.median((rest**2).mean((1, 2)), axis=0)
        variances.append(np.where(variance > _nothing(np.array(levels[-1:], np.float32)), variance, 0.0))
        kept.append((rest / np.sqrt(np.maximum(variances[-1], 1e-30))).astype(np.float32))
    if not levels:
        return None
    believed = np.flatnonzero(_believed(np.array(levels), np.array(variances), np.array([*map(len, kept)])))
    return _grain(np.array(levels)[believed], np.array(variances)[believed], [kept[i] for i in believed])


def _believed(levels: Numbers, variances: Numbers, counts: npt.NDArray[np.intp]) -> Bools:
    """(B,) of levels: those with at least as many patches as speak against them at other levels.

    Grain never gets less with more light, nor grows faster than that, but for what is found inexactly. Where there is
    none at all (a window that is blown out, a black bar) nothing is said of other levels.
    """
    light, deviations = np.maximum(levels, 0.0) + _TOE, np.sqrt(variances.mean(axis=1))
    # of each row's level, if each column's is right
    most = _INEXACT * deviations * np.maximum(light[:, None] / light, 1.0)
    against = deviations[:, None] > most
    says = counts * (deviations > _UNSEEN * light)
    return np.asarray((against * says).sum(axis=1) <= counts)


def _grain(levels: Numbers, variances: Numbers, kept: list[Float]) -> Grain:
    """Of levels (B,), the variances (B, 3) of what is left there, and its patches in units of their deviation."""
    units = np.concatenate([part for part, each in zip(kept, variances, strict=True) if each.all()] or kept)
    units = units[:: max(1, len(units) // _AT_MOST)]
    found = np.stack([_of_grain(each) for each in _autocovariance(units)])
    gains = found[:, _REACH, _REACH]
    return Grain(
        levels=levels,
        deviations=np.sqrt(variances * gains),
        correlation=found / gains[:, None, None],
        channels=_channels(units),
    )


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What is left of a frame (H, W, 3) without all that is soft, its luminance, and what of it counts."""

    rest: Float
    level: Float
    usable: Bools


def _found(
    frames: Sequence[Float], mattes: Sequence[Float] | None, moves: Sequence[Matrix] | None
) -> Iterator[_Patches]:
    last: _Frame | None = None
    for i, picture in enumerate(frames):
        frame = _frame(picture, None if mattes is None else mattes[i])
        corners = _corners(frame.usable)
        yield _Patches(
            rest=_cut(frame.rest, corners),
            level=_cut(frame.level, corners).mean((1, 2)),
            between=np.zeros(len(corners), bool),
        )
        if last is not None:
            yield _between(last, frame, np.eye(2, 3) if moves is None else moves[i - 1])
        last = frame


def _frame(picture: Float, matte: Float | None) -> _Frame:
    bad = np.asarray(~np.isfinite(picture).all(axis=-1))
    clean: Float = np.where(bad[..., None], np.float32(0.0), picture)
    blurred = cv2.GaussianBlur(clean, (0, 0), _SMOOTH, borderType=cv2.BORDER_REPLICATE)
    soft = blurred.astype(np.float32, copy=False)
    usable = np.ones(bad.shape, bool) if matte is None else np.asarray(matte >= 1.0)
    if bad.any():  # the blur brought what stands in for it everywhere around
        usable &= cv2.blur(bad.astype(np.float32), (_SIDE * 4 + 1,) * 2) <= 0.0
    return _Frame(rest=clean - soft, level=luminance(clean), usable=usable)


def _between(one: _Frame, other: _Frame, move: Matrix) -> _Patches:
    """Patches of the difference of two frames, each by a whole number of pixels where the movement carries it."""
    corners = _corners(one.usable)
    middle = corners[:, ::-1] + _SIDE / 2.0
    shift = np.rint(middle @ move[:, :2].T + move[:, 2] - middle)[:, ::-1].astype(np.intp)
    there = corners + shift
    inside = ((there >= 0) & (there <= np.array(other.usable.shape) - _SIDE)).all(axis=1)
    corners, there = corners[inside], there[inside]
    rest = (_cut(one.rest, corners) - _cut(other.rest, there)) * np.float32(math.sqrt(0.5))
    level = _cut(one.level, corners).mean((1, 2))
    held = (rest == 0.0).all((1, 2, 3))  # a frame shown twice, a block that a codec copied
    counts = np.flatnonzero(~held & _cut(other.usable, there).all((1, 2)))
    return _Patches(
        rest=rest.astype(np.float32, copy=False), level=level, between=np.ones(len(rest), bool)
    ).at(counts)


def _joined(parts: list[_Patches]) -> _Patches:
    none = _Patches(
        rest=np.zeros((0, _SIDE, _SIDE, 3), np.float32),
        level=np.zeros(0, np.float32),
        between=np.zeros(0, bool),
    )
    each = [none, *parts]
    return _Patches(
        **{f.name: np.concatenate([getattr(part, f.name) for part in each]) for f in fields(none)}
    )


def _corners(usable: Bools) -> npt.NDArray[np.intp]:
    """(N, 2) row and column of the first pixel of all patches, side by side, that are usable throughout."""
    rows, columns = (side // _SIDE for side in usable.shape)
    cells = usable[: rows * _SIDE, : columns * _SIDE].reshape(rows, _SIDE, columns, _SIDE)
    return np.argwhere(cells.all((1, 3))) * _SIDE


def _cut(image: Array, corners: npt.NDArray[np.intp]) -> Array:
    """(N, 16, 16[, C]): the patches at these corners."""
    away = np.arange(_SIDE)
    cut: Array = image[corners[:, 0, None, None] + away[:, None], corners[:, 1, None, None] + away]
    return cut


def _groups(level: Float) -> list[npt.NDArray[np.intp]]:
    """Patches of like luminance, ascending: as many as one level needs, over a quarter of a stop at least."""
    order = np.argsort(level, kind="stable")
    stops = _stops.encode(level[order])
    cuts = [0]
    for i in range(len(order)):
        if i - cuts[-1] >= _FEW and stops[i] - stops[cuts[-1]] > _SPAN and len(order) - i >= _FEW:
            cuts.append(i)
    return np.split(order, cuts[1:])


def _clean(patches: _Patches, group: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Those of a group that show grain alone, of that kind which shows less; none where that can not be told."""
    between = patches.between[group]
    found = [_plain(patches, kind) for kind in (group[~between], group[between])]
    told = [kind for kind in found if len(kind)] or [group[:0]]
    return min(told, key=lambda kind: float((patches.rest[kind] ** 2).mean()) if len(kind) else 0.0)


def _plain(patches: _Patches, group: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Those that vary alike, and least. Of grain alone that is nearly all; textures are each of another strength."""
    if len(group) < _FEW // 2:
        return group[:0]
    variance = (patches.rest[group] ** 2).mean((1, 2, 3))
    alike = group[variance <= _SPREAD * np.quantile(variance, _LOW)]
    return alike if len(alike) >= _ALIKE * len(group) else group[:0]


def _fine(patches: _Patches) -> _Patches:
    """Those with no more of their variance in what is soft than grain has: how coarse grain is, is the same at all
    levels, and the patches that vary least for their light tell how coarse.
    """
    cells = patches.rest.reshape(-1, 2, _HALF, 2, _HALF, 3).mean((2, 4))
    variance = (patches.rest**2).mean((1, 2, 3))
    bare = variance <= _nothing(patches.level)
    if bare.all():
        return patches
    share = np.where(bare, 0.0, (cells**2).mean((1, 2, 3)) / np.maximum(variance, 1e-30))
    strength = variance / (np.maximum(patches.level, 0.0) + _TOE) ** 2
    quiet = ~bare & (strength <= np.quantile(strength[~bare], _QUIET))
    return patches.at(np.flatnonzero(share <= _STRUCTURE * np.median(share[quiet])))


def _nothing(level: Float) -> Float:
    """(N,) variance that is only what a float rounds, of a picture without grain of this luminance (N,)."""
    variance: Float = (np.float32(_ROUNDING) * (np.abs(level) + np.float32(_DARK))) ** 2
    return variance


def _autocovariance(units: Float) -> Numbers:
    """(3, K, K) of patches (N, 16, 16, 3): the mean product of pixels so far from one another."""
    power = np.zeros((3, _FFT, _FFT // 2 + 1))
    for some in np.array_split(units, max(1, len(units) // 256)):
        power += (np.abs(np.fft.rfft2(some, (_FFT, _FFT), axes=(1, 2))) ** 2).sum(0).transpose(2, 0, 1)
    sums = np.fft.fftshift(np.fft.irfft2(power, (_FFT, _FFT)), axes=(1, 2))
    near = slice(_FFT // 2 - _REACH, _FFT // 2 + _REACH + 1)
    pairs = _SIDE - np.abs(np.arange(-_REACH, _REACH + 1))
    covariance: Numbers = sums[:, near, near] / (len(units) * np.outer(pairs, pairs))
    return covariance


def _of_grain(covariance: Numbers) -> Numbers:
    """The autocovariance (K, K) of the grain alone, about 0 at the far lags, where it is taken to have none.

    What is left of soft shading adds the same to all lags that are short beside it; the high-pass takes the same from
    all, to within a half per cent.
    """
    away = np.arange(-_REACH, _REACH + 1) ** 2
    found: Numbers = covariance - covariance[away[:, None] + away >= _FAR**2].mean()
    return found if found[_REACH, _REACH] > 0.0 else _WHITE


def _channels(units: Float) -> Numbers:
    """(3, 3) correlation between channels."""
    flat = units.reshape(-1, 3).astype(np.float64)
    products = flat.T @ flat
    scale = np.sqrt(np.maximum(np.diag(products), 1e-30))
    return np.asarray(products / np.outer(scale, scale)) * (1.0 - np.eye(3)) + np.eye(3)
