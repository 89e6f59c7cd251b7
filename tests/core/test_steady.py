"""Jitter, lag and steadying of series of points."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core import steady
from understudy.core.errors import InvalidInput


def noisy(count: int, sigma: float, seed: int = 0) -> np.ndarray:
    """(T, 68, 2) points at rest with white noise, sigma for each coordinate."""
    rest = np.random.default_rng(99).uniform(0, 500, (68, 2))
    return rest + np.random.default_rng(seed).normal(0.0, sigma, (count, 68, 2))


def path(count: int) -> np.ndarray:
    """(T, 1, 2) a head that swings, stops and swings on: 3 px a frame at most."""
    t = np.arange(count, dtype=float)
    still = (t > count * 0.4) & (t < count * 0.6)
    speed = np.where(still, 0.0, 3.0 * np.sin(t / 12.0))
    speed = np.convolve(np.pad(speed, 4, mode="edge"), np.hanning(9) / np.hanning(9).sum(), "valid")
    return np.stack([np.cumsum(speed), np.cumsum(0.5 * speed)], axis=-1)[:, None]


@given(st.floats(0.05, 3.0), st.integers(0, 1000))
def test_jitter_is_the_noise_whatever_the_movement(sigma: float, seed: int):
    points = noisy(120, sigma, seed)
    expected = pytest.approx(sigma * np.sqrt(2.0), rel=0.07)  # the worst of the thousand seeds is 5.9 % off
    assert steady.jitter(points, still=True) == expected
    assert steady.jitter(points) == expected
    t = np.arange(120.0)[:, None, None]
    assert steady.jitter(points + 0.3 * t**2 - 7.0 * t) == expected


def test_jitter_of_what_does_not_move_is_none():
    assert steady.jitter(np.ones((9, 68, 2))) == steady.jitter(np.ones((9, 68, 2)), still=True) == 0.0


@pytest.mark.parametrize("shape", [(3, 68, 2), (0, 68, 2), (9, 2)])
def test_jitter_needs_four_frames_of_points(shape: tuple[int, ...]):
    with pytest.raises(InvalidInput) as caught:
        steady.jitter(np.zeros(shape))
    assert caught.value.field == "points"


@pytest.mark.parametrize("shift", [-3, -1, 0, 2, 5])
def test_lag_is_by_how_much_the_second_comes_later(shift: int):
    points = path(200)
    a, b = points[20:160], points[20 - shift : 160 - shift]
    assert steady.lag(a, b) == pytest.approx(shift, abs=0.05)
    half = (points[20:160] + points[21:161]) / 2.0  # half a frame ahead
    assert steady.lag(a, half) == pytest.approx(-0.5, abs=0.05)
    assert steady.lag(np.zeros((9, 1, 2)), np.zeros((9, 1, 2))) == 0.0


@pytest.mark.parametrize("window", [3, 5, 9, 15])
@pytest.mark.parametrize("sigma", [0.2, 0.42])
def test_a_face_at_rest_trembles_a_tenth_of_a_pixel_at_most(window: int, sigma: float):
    """0.42 is what the default networks have on a close-up of 720 pixels with grain (bench/steady.py)."""
    points = noisy(60, sigma)
    found = steady.steadied(points, window)
    assert steady.jitter(found, still=True) < 0.1
    assert steady.jitter(points, still=True) > 2.5 * steady.jitter(found, still=True)


@pytest.mark.parametrize("window", [3, 5, 7])
def test_movement_neither_lags_nor_is_lost(window: int):
    true = path(160) + noisy(1, 0.0)
    found = steady.steadied(true + noisy(160, 0.4) - noisy(1, 0.0), window)
    assert abs(steady.lag(true, found)) < 0.05
    error = np.sqrt(((found - true) ** 2).sum(axis=-1).mean())
    assert error < 0.4 * np.sqrt(2.0)  # better than what was given
    resting = slice(70, 90)
    assert np.sqrt(((found - true)[resting] ** 2).sum(axis=-1).mean()) < 0.3


def test_an_accelerating_point_is_followed_to_the_first_and_last_frame():
    t = np.arange(40.0)[:, None, None]
    true = 0.4 * t**2 + noisy(1, 0.0)
    np.testing.assert_allclose(steady.steadied(true, 9), true, atol=1e-5)
    found = steady.steadied(true + noisy(40, 0.3) - noisy(1, 0.0), 9)
    assert np.abs((found - true).mean(axis=(1, 2))).max() < 0.25  # of 68 points together
    assert abs(steady.lag(true, found)) < 0.02


def test_a_slow_drift_is_followed():
    """A head that breathes: 0.05 px a frame under noise of 0.4."""
    true = 0.05 * np.arange(80.0)[:, None, None] + noisy(1, 0.0)
    found = steady.steadied(true + noisy(80, 0.4) - noisy(1, 0.0), 5)
    assert np.abs((found - true).mean(axis=(1, 2)))[10:70].max() < 0.15


def test_a_sudden_movement_after_rest_stays_sudden():
    true = np.where(np.arange(60) < 30, 0.0, 20.0)[:, None, None] + noisy(1, 0.0)
    found = steady.steadied(true + noisy(60, 0.3) - noisy(1, 0.0), 5)
    off = np.abs((found - true).mean(axis=(1, 2)))
    assert np.delete(off, range(28, 32)).max() < 0.3  # a step bends a parabola for two frames to each side
    assert not steady.outliers(true + noisy(60, 0.3) - noisy(1, 0.0)).any()


def test_one_frame_elsewhere_is_an_outlier_and_a_turn_is_none():
    points = noisy(40, 0.3)
    points[17] += (9.0, -4.0)
    assert np.flatnonzero(steady.outliers(points)).tolist() == [17]
    bounce = np.abs(np.arange(40) - 20.0)[:, None, None] ** 2 * 0.5 + noisy(1, 0.0)
    assert not steady.outliers(bounce).any()
    blink = noisy(40, 0.1)
    blink[17, 36:48] += 6.0
    assert not steady.outliers(blink).any()
    assert not steady.outliers(points[15:20]).any()  # too short to tell


def test_frames_without_weight_are_read_from_those_around_them():
    t = np.arange(30.0)[:, None, None]
    true = t**2 + noisy(1, 0.0)
    broken, weights = true.copy(), np.ones((30, 1))
    broken[11], weights[11] = 1e5, 0.0
    assert np.abs(steady.steadied(broken, 5, weights) - true).max() < 1.0


@given(st.integers(1, 12), st.sampled_from([1, 3, 5, 51]))
def test_short_series_stay_finite(count: int, window: int):
    points = noisy(count, 1.0)
    found = steady.steadied(points, window)
    assert found.shape == points.shape
    assert np.abs(found - points).max() < 8.0


def test_thousands_of_frames_take_no_time_worth_mentioning():
    """Not a benchmark: that nothing is quadratic in the length of a shot."""
    points = noisy(2000, 0.5)
    seconds = [np.inf, np.inf]
    for _ in range(3):
        for i, part in enumerate((points[:250], points)):
            began = time.thread_time()
            steady.steadied(part, 9)
            seconds[i] = min(seconds[i], time.thread_time() - began)
    assert seconds[1] < 24.0 * seconds[0]  # eight times the frames; squared it would be 64
