"""Scene-linear to code, as the camera makers publish it; the torture set needs no colour library for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from understudy.core.frames import Array, Float


def logc3(linear: Array) -> Array:
    """ARRI, "ALEXA Log C Curve", 2017: EI 800, linear below the cut."""
    log = 0.247190 * np.log10(np.maximum(5.555556 * linear + 0.052272, 1e-9)) + 0.385537
    return np.where(linear > 0.010591, log, 5.367655 * linear + 0.092809)


def logc4(linear: Array) -> Array:
    """ARRI, "LogC4 Logarithmic Color Space Specification", 2022."""
    a, b, c = (2.0**18 - 16.0) / 117.45, (1023.0 - 95.0) / 1023.0, 95.0 / 1023.0
    slope = 7.0 * np.log(2.0) * 2.0 ** (7.0 - 14.0 * c / b) / (a * b)
    toe = (2.0 ** (14.0 * -c / b + 6.0) - 64.0) / a
    log = (np.log2(np.maximum(a * linear + 64.0, 1e-9)) - 6.0) / 14.0 * b + c
    return np.where(linear >= toe, log, (linear - toe) / slope)


def slog3(linear: Array) -> Array:
    """Sony, "Technical Summary for S-Gamut3.Cine/S-Log3 and S-Gamut3/S-Log3"."""
    log = (420.0 + np.log10(np.maximum(linear + 0.01, 1e-9) / 0.19) * 261.5) / 1023.0
    return np.where(linear >= 0.01125, log, (linear * 76.2102946929 / 0.01125 + 95.0) / 1023.0)


def rec709(linear: Array) -> Array:
    """ITU-R BT.709-6, item 1.2; negative values mirrored."""
    curve = np.where(np.abs(linear) < 0.018, 4.5 * np.abs(linear), 1.099 * np.abs(linear) ** 0.45 - 0.099)
    return np.sign(linear) * curve


def same(linear: Array) -> Array:
    return linear


SPACES: Mapping[str, Callable[[Array], Array]] = {
    "ACEScg": same,
    "ACES2065-1": same,
    "Linear Rec.709 (sRGB)": same,
    "ARRI LogC3 (EI800)": logc3,
    "ARRI LogC4": logc4,
    "S-Log3 S-Gamut3": slog3,
    "Camera Rec.709": rec709,
}
"""Names in the pinned colour config; gamuts are taken as they come, since the picture is of nothing real."""


def encode(linear: Float, space: str) -> Float:
    """(H, W, 3) as the plate stores it."""
    return np.asarray(SPACES[space](linear.astype(np.float64)), np.float32)
