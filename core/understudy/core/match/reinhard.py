"""Colour match by means and deviations, after Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between
Images", IEEE CG&A 2001: an affine map per axis of lαβ, a decorrelated logarithmic cone space (Ruderman 1998).

Differences to the paper, all for film plates. The logarithm is asinh, which is one for bright values,
linear around zero and odd: negative values survive and zero has no pole. Deviations count only under the
matte. The ratio of deviations is held within bounds, and beyond `_REACH` deviations from the mean the
slope is 1: a highlight keeps its ratio to the face's mean however much contrast the face gains or loses.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers
from understudy.core.match._space import in_bands, mixed
from understudy.core.match._statistics import deviations, rounded

VERSION = 1

# AP1 (ACES S-2014-004) to XYZ, then to the paper's cones (its equation 2, Hunt-Pointer-Estevez for equal
# energy).
_XYZ = np.array(
    [
        [0.6624541811, 0.1340042065, 0.1561876870],
        [0.2722287168, 0.6740817658, 0.0536895174],
        [-0.0055746495, 0.0040607335, 1.0103391003],
    ]
)
_CONES = np.array([[0.3897, 0.6890, -0.0787], [-0.2298, 1.1834, 0.0464], [0.0, 0.0, 1.0]]) @ _XYZ
# The paper's equation 6: orthonormal, so that its inverse is its transpose.
_AXES = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3.0], [6.0], [2.0]])
_TOE = 0.005  # linear below, logarithmic above: about five stops under mid grey
_LEAST_WEIGHT = 32.0  # aligned pixels under the matte below which statistics mean nothing
_LEAST_DEVIATION = 1e-3
_RATIO = (0.6, 1.6)  # how far contrast may change
_REACH = 2.5  # deviations from the mean up to which it does


def measure(face: Float, plate: Float, matte: Float) -> Numbers:
    """Mean and deviation under the matte in lαβ: of the face (3 + 3), then of the plate (3 + 3); (12,)."""
    weight = matte.astype(np.float64)
    if weight.sum() < _LEAST_WEIGHT:
        return np.full(12, np.nan)
    inside = weight > 0.0
    shares = weight[inside] / weight.sum()
    codes = (_encode(picture)[inside].astype(np.float64) for picture in (face, plate))
    return np.concatenate([each for picture in codes for each in deviations(picture, shares)])


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """Move the face's means and deviations to the plate's, by `amount` in lαβ."""
    before, spread, after, _ = np.split(numbers, 4)
    mean_f, reach, mean_p, ratio = (
        each.astype(np.float32) for each in (before, _REACH * spread, after, _ratio(numbers))
    )

    def matched(rows: Float) -> Float:
        lab = _encode(rows)
        offset = lab - mean_f
        near = np.clip(offset, -reach, reach)
        change = mean_p + ratio * near + (offset - near) - lab
        return _decode(lab + np.float32(amount) * change)

    return in_bands(face, matched) if amount else face.copy()


def report(numbers: Numbers) -> dict[str, Any]:
    """The whole match as `slope` and `offset` of l, α and β, valid from `low` to `high`; beyond, the slope is 1. To
    these axes lead `to_cones` (ACEScg to cones), c → asinh(c / (2 · `toe`)), and `to_axes`.
    """
    mean_f, deviation_f, mean_p, _ = np.split(numbers, 4)
    ratio = _ratio(numbers)
    return {
        "space": "lαβ of asinh cones",
        "axes": ["l", "α", "β"],
        "to_cones": rounded(_CONES),
        "toe": _TOE,
        "to_axes": rounded(_AXES),
        "slope": rounded(ratio),
        "offset": rounded(mean_p - ratio * mean_f),
        "low": rounded(mean_f - _REACH * deviation_f),
        "high": rounded(mean_f + _REACH * deviation_f),
    }


def _ratio(numbers: Numbers) -> Numbers:
    """(3,): how far contrast changes along each axis."""
    _, face, _, plate = np.split(numbers, 4)
    return np.asarray(
        np.clip(np.maximum(plate, _LEAST_DEVIATION) / np.maximum(face, _LEAST_DEVIATION), *_RATIO)
    )


def _encode(rgb: Float) -> Float:
    """(h, w, 3) working space → lαβ; float32, whose error is below a hundredth of half's."""
    cones = mixed(rgb, _CONES / (2.0 * _TOE))
    size = np.abs(cones)
    code = cv2.log(size + np.sqrt(cones * cones + np.float32(1.0)))  # asinh, at a quarter of NumPy's price
    return mixed(np.copysign(np.asarray(code, np.float32).reshape(cones.shape), cones), _AXES)


def _decode(lab: Float) -> Float:
    """The inverse of `_encode`."""
    code = mixed(lab, _AXES.T)
    power = np.asarray(cv2.exp(code), np.float32).reshape(code.shape)
    return mixed(power - np.float32(1.0) / power, _TOE * np.linalg.inv(_CONES))
