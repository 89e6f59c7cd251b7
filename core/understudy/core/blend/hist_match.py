"""The face takes on the distribution of the plate's values under the matte, channel by channel.

Sorted values, no bins: the k-th part of the face's becomes the k-th part of the plate's, at `_PARTS` parts, with
straight lines between them, so that grain is not matched grain for grain. In the codes of `_light` no line is steeper
than `_STEEPEST`, or what is flat in the face would become noise, nor flatter than its inverse; the plate's middle is
met in any case.

A glint in one picture that is not in the other has no place in a distribution: values far out, by Tukey's outer fences
("Exploratory Data Analysis", 1977) in codes, count in neither. Beyond the outermost parts the change is that of the
last one: a highlight keeps its ratio to the face. Only pixels count whose matte is at least half of its highest value:
under a soft edge mostly the plate is seen.

It is fitted to each frame; a shot whose colours should not move with every cloud has `match`, which is fitted to all.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from understudy.core.blend import _light
from understudy.core.frames import Float

_PARTS = 64
_STEEPEST = 4.0
_APART = 1.5 * math.log(2.0)  # of code, one and a half stops
_FENCE = 3.0  # quartile distances beyond the quartiles: Tukey's outer fences
_NARROW = (
    0.2  # of code, below which no distance of quartiles counts: a flat face has shadows and highlights too
)
_LEAST = 64  # pixels below which a distribution means nothing


def finish(plate: Float, face: Float, matte: Float) -> Float:
    """The face, matched; itself where the matte is too small. A plate's pixels that are not finite do not count."""
    counted = (matte > 0.0) & (matte >= 0.5 * matte.max(initial=0.0)) & _light.known(plate)
    if np.count_nonzero(counted) < _LEAST:
        return face
    channels = [_matched(face[..., i], face[..., i][counted], plate[..., i][counted]) for i in range(3)]
    return np.stack(channels, axis=-1)


def _matched(values: Float, face: Float, plate: Float) -> Float:
    """`values` (h, w) by the map that carries one sample's distribution (n,) to another's of the same pixels."""
    usual = _usual(face) & _usual(plate)
    if np.count_nonzero(usual) >= _LEAST:
        face, plate = face[usual], plate[usual]
    knots, at, times = np.unique(_parts(face), return_inverse=True, return_counts=True)
    targets = np.bincount(at, _light.encode(_parts(plate))) / times  # one value goes to the mean of its parts
    codes = _light.encode(knots)
    rise = np.diff(codes)
    steps = np.clip(np.diff(targets), rise / _STEEPEST, rise * _STEEPEST)
    middle = at[_PARTS // 2]
    shift = targets[middle] - codes[middle] + np.clip(_from(steps - rise, middle), -_APART, _APART)
    lights = _light.shifted(knots, shift.astype(np.float32))
    held = np.interp(values, knots, lights).astype(np.float32)
    for beyond, end in ((values < knots[0], 0), (values > knots[-1], -1)):
        held[beyond] = _light.shifted(values[beyond], float(shift[end]))
    return held


def _usual(sample: Float) -> _light.Mask:
    """(n,): what of a sample (n,) is not far out."""
    codes = _light.encode(sample)
    low, high = np.quantile(codes, (0.25, 0.75))
    reach = _FENCE * max(high - low, _NARROW)
    return np.asarray((codes >= low - reach) & (codes <= high + reach))


def _from(steps: npt.NDArray[np.float64], middle: int) -> npt.NDArray[np.float64]:
    """(n + 1,): the sums of n steps, 0 at `middle`."""
    sums = np.append(0.0, np.cumsum(steps))
    return np.asarray(sums - sums[middle])


def _parts(sample: Float) -> Float:
    """The values in the middle of each of `_PARTS` equal parts of the sorted sample."""
    middles = (np.arange(_PARTS) + 0.5) / _PARTS * len(sample) - 0.5
    found: Float = np.interp(middles, np.arange(len(sample)), np.sort(sample)).astype(np.float32)
    return found
