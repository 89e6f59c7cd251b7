"""Colour match by means and deviations, after Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between
Images", IEEE CG&A 2001: an affine map per axis of lαβ, a decorrelated logarithmic cone space (Ruderman 1998).

Differences to the paper, all for film plates. The logarithm is asinh, which is one for bright values,
linear around zero and odd: negative values survive and zero has no pole. Deviations count only under the
matte. The ratio of deviations is held within bounds, and beyond `_REACH` deviations from the mean the
slope is 1: a highlight keeps its ratio to the face's mean however much contrast the face gains or loses.
"""

from __future__ import annotations

import numpy as np

from understudy.core.frames import Float
from understudy.core.match import Numbers

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
    return np.concatenate([*_statistics(_encode(face), weight), *_statistics(_encode(plate), weight)])


def apply(face: Float, numbers: Numbers, amount: float) -> Float:
    """Move the face's means and deviations to the plate's, by `amount` in lαβ."""
    mean_f, deviation_f, mean_p, deviation_p = np.split(numbers, 4)
    ratio = np.clip(
        np.maximum(deviation_p, _LEAST_DEVIATION) / np.maximum(deviation_f, _LEAST_DEVIATION), *_RATIO
    )
    lab = _encode(face)
    offset = lab - mean_f
    near = np.clip(offset, -_REACH * deviation_f, _REACH * deviation_f)
    matched = mean_p + ratio * near + (offset - near)
    return _decode(lab + amount * (matched - lab))


def _statistics(lab: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    mean = np.einsum("hwc,hw->c", lab, weight) / weight.sum()
    variance = np.einsum("hwc,hw->c", (lab - mean) ** 2, weight) / weight.sum()
    return mean, np.sqrt(variance)


def _encode(rgb: Float) -> Numbers:
    lab: Numbers = np.arcsinh(rgb.astype(np.float64) @ _CONES.T / (2.0 * _TOE)) @ _AXES.T
    return lab


def _decode(lab: Numbers) -> Float:
    return (np.sinh(lab @ _AXES) * (2.0 * _TOE) @ np.linalg.inv(_CONES).T).astype(np.float32)
