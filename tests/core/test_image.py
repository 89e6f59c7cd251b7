"""Small pixel arithmetic: NaN never spreads, rounding is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy.core.errors import InvalidInput
from understudy.core.image import HALF_MAXIMUM, fill_nonfinite, half_ulp, log_mean, luminance, to_half

halves = np.arange(65536, dtype=np.uint16).view(np.float16)
anything = arrays(np.float32, (5, 6, 3), elements=st.floats(width=32))


@given(anything)
def test_filling_leaves_finite_pixels_and_gives_only_finite_ones(rgb):
    before = rgb.copy()
    filled, count = fill_nonfinite(rgb)
    good = np.isfinite(before).all(axis=-1)
    assert np.isfinite(filled).all()
    assert count == (~good).sum()
    assert (filled[good] == before[good]).all()
    assert rgb.tobytes() == before.tobytes()  # the plate's own bits are not touched


def test_filling_takes_the_nearest_pixel_whole():
    rgb = np.arange(5 * 6 * 3, dtype=np.float32).reshape(5, 6, 3)
    rgb[2, 3, 1] = np.nan
    rgb[2, 4] = np.inf
    filled, count = fill_nonfinite(rgb)
    assert count == 2
    assert filled[2, 4].tolist() in [rgb[1, 4].tolist(), rgb[3, 4].tolist(), rgb[2, 5].tolist()]
    assert filled[2, 3].tolist() in [rgb[1, 3].tolist(), rgb[3, 3].tolist(), rgb[2, 2].tolist()]


def test_a_finite_picture_is_not_copied():
    rgb = np.zeros((4, 4, 3), np.float32)
    assert fill_nonfinite(rgb)[0] is rgb


def test_nothing_finite_gives_black():
    filled, count = fill_nonfinite(np.full((2, 2, 3), np.nan, np.float32))
    assert count == 4
    assert not filled.any()


def test_luminance_weighs_white_as_one_and_green_most():
    assert luminance(np.ones((1, 3), np.float32)) == pytest.approx(1.0, abs=1e-6)
    r, g, b = luminance(np.eye(3, dtype=np.float32))
    assert g > r > b > 0
    assert luminance(np.full((1, 3), -0.5, np.float32)) < 0


def test_half_ulp_is_the_distance_to_the_next_half():
    finite = halves[(halves >= 0) & (halves < HALF_MAXIMUM)]
    following = np.nextafter(finite, np.float16(np.inf)).astype(np.float64)
    assert (half_ulp(finite) == following - finite.astype(np.float64)).all()
    assert (half_ulp(-finite) == half_ulp(finite)).all()


def test_half_ulp_at_the_end_of_the_range():
    assert half_ulp(HALF_MAXIMUM) == 32.0
    assert half_ulp(1e9) == 32.0


def test_to_half_keeps_every_half_and_never_makes_an_infinity():
    assert (to_half(halves.astype(np.float32)).view(np.uint16) == halves.view(np.uint16)).all()
    loud = to_half(np.array([7e4, -1e9, np.inf, -np.inf, 65519.0], np.float32))
    assert loud.tolist() == [HALF_MAXIMUM, -HALF_MAXIMUM, np.inf, -np.inf, HALF_MAXIMUM]


def test_log_mean_is_of_what_the_matte_covers():
    rgb = np.full((4, 4, 3), 0.18, np.float32)
    rgb[2:] = 1.0
    matte = np.zeros((4, 4), np.float32)
    matte[:2] = 0.5
    assert np.exp(log_mean(rgb, matte)) == pytest.approx(0.18, rel=1e-5)
    assert np.exp(log_mean(rgb)) == pytest.approx(np.sqrt(0.18), rel=1e-5)
    assert np.isfinite(log_mean(rgb - 5))  # black and below count as nearly black
    with pytest.raises(InvalidInput, match="empty"):
        log_mean(rgb, np.zeros((4, 4), np.float32))
