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

VERSION = 2

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
_FLAT = 1e-6  # of reach: what is flat has none, and may not be divided by it
_ONE, _MINUS_ONE = np.float32(1.0), np.float32(-1.0)


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
    if not amount:
        return face.copy()
    mean_f, deviation, mean_p, _ = np.split(numbers, 4)
    reach = np.maximum(_REACH * deviation, _FLAT)
    # colours as offsets from the face's mean, 1 is as far as contrast changes: of that part some more is added
    offset = np.column_stack([_AXES / reach[:, None], -mean_f / reach])
    back = _AXES.T * reach
    more = np.column_stack(
        [back * (amount * (_ratio(numbers) - 1.0)), _AXES.T @ (mean_f + amount * (mean_p - mean_f))]
    )

    def matched(rows: Float) -> Float:
        offsets = mixed(_code(rows), offset)
        codes = mixed(offsets, back)
        codes += mixed(np.clip(offsets, _MINUS_ONE, _ONE, out=offsets), more)
        return _light(codes)

    return in_bands(face, matched)


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
    return mixed(_code(rgb), _AXES)


def _code(rgb: Float) -> Float:
    """(h, w, 3) working space → asinh of the cones, at a quarter of NumPy's price."""
    cones = mixed(rgb, _CONES / (2.0 * _TOE))
    code = cones * cones
    code += _ONE
    np.sqrt(code, out=code)
    is_signed = bool(cones.min(initial=0.0) < 0.0)
    code += np.abs(cones) if is_signed else cones
    cv2.log(code, dst=code)
    return np.copysign(code, cones, out=code) if is_signed else code


def _light(code: Float) -> Float:
    """The inverse of `_code`; written into."""
    cv2.exp(code, dst=code)
    code -= _ONE / code
    return mixed(code, _TOE * np.linalg.inv(_CONES))
