"""Reinhard's colour match: what it must do to colours, and what it must leave alone."""

import numpy as np
import pytest

from understudy.core.match import none, reinhard

S = 64
Y, X = np.mgrid[0:S, 0:S].astype(np.float32) / S
MATTE = ((X - 0.5) ** 2 + (Y - 0.5) ** 2 < 0.16).astype(np.float32)


def picture(seed: int, exposure: float, tint: tuple[float, float, float], contrast: float = 1.0):
    """(S, S, 3) skin-like: log-normal luminance and a little colour under one tint."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 0.4 * contrast, (S, S, 1)) + rng.normal(0.0, 0.05 * contrast, (S, S, 3))
    return (exposure * np.exp(noise) * np.array(tint)).astype(np.float32)


def test_means_and_deviations_become_the_plates():
    face, plate = picture(1, 0.3, (1.0, 0.8, 0.6)), picture(2, 0.12, (0.7, 0.8, 1.0), contrast=1.3)
    matched = reinhard.apply(face, reinhard.measure(face, plate, MATTE), 1.0)
    again = reinhard.measure(matched, plate, MATTE)
    np.testing.assert_allclose(again[:3], again[6:9], atol=0.01)
    np.testing.assert_allclose(again[3:6], again[9:12], rtol=0.06)


def test_what_lies_outside_the_matte_does_not_count():
    face, plate = picture(1, 0.3, (1.0, 0.8, 0.6)), picture(2, 0.1, (0.7, 0.8, 1.0))
    stray = plate.copy()
    stray[MATTE == 0] = 1000.0
    np.testing.assert_array_equal(reinhard.measure(face, plate, MATTE), reinhard.measure(face, stray, MATTE))


def test_no_difference_no_change():
    face = picture(1, 0.3, (1.0, 0.8, 0.6))
    numbers = reinhard.measure(face, face, MATTE)
    np.testing.assert_allclose(reinhard.apply(face, numbers, 1.0), face, rtol=5e-6)


def test_amount_goes_from_nothing_to_all():
    face, plate = picture(1, 0.3, (1.0, 0.8, 0.6)), picture(2, 0.1, (0.7, 0.8, 1.0))
    numbers = reinhard.measure(face, plate, MATTE)
    np.testing.assert_allclose(reinhard.apply(face, numbers, 0.0), face, rtol=5e-6)
    means = [float(reinhard.apply(face, numbers, amount).mean()) for amount in (0.0, 0.5, 1.0)]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("contrast", [0.3, 3.0])
def test_highlights_keep_their_ratio_to_the_face(contrast):
    """However contrast changes, one more stop in a highlight stays one stop."""
    face, plate = picture(1, 0.18, (1.0, 0.8, 0.6)), picture(2, 0.18, (1.0, 0.8, 0.6), contrast=contrast)
    numbers = reinhard.measure(face, plate, MATTE)
    bright = np.array([[[16.0, 12.8, 9.6], [32.0, 25.6, 19.2]]], np.float32)
    matched = reinhard.apply(bright, numbers, 1.0)
    np.testing.assert_allclose(matched[0, 1] / matched[0, 0], 2.0, rtol=1e-3)


def test_negative_values_and_order_survive():
    face, plate = picture(1, 0.3, (1.0, 0.8, 0.6)), picture(2, 0.1, (1.0, 0.8, 0.6))
    numbers = reinhard.measure(face, plate, MATTE)
    ramp = np.linspace(-0.05, 4.0, 200, dtype=np.float32)[None, :, None] * np.ones(3, np.float32)
    matched = reinhard.apply(ramp, numbers, 1.0)
    assert (np.diff(matched.sum(axis=-1)) > 0.0).all()
    assert matched[0, 0].sum() < 0.0


def test_too_little_matte_says_so():
    face = picture(1, 0.3, (1.0, 0.8, 0.6))
    assert np.isnan(reinhard.measure(face, face, MATTE * 0.01)).all()


def test_none_returns_the_very_face():
    face = picture(1, 0.3, (1.0, 0.8, 0.6))
    assert none.apply(face, none.measure(face, face, MATTE), 1.0) is face
