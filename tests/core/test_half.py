"""Conversions by OpenCV give the bits that numpy gives."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.core.half import narrowed, widened
from understudy.core.image import to_half

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)  # all there are
FINITE = EVERY[np.abs(EVERY) < 65504]


def test_every_half_is_widened_exactly():
    found, expected = widened(EVERY), EVERY.astype(np.float32)
    numbers = ~np.isnan(EVERY)
    assert (found[numbers].view(np.uint32) == expected[numbers].view(np.uint32)).all()
    assert np.isnan(found[~numbers]).all()


def test_rounding_is_numpys_to_the_bit():
    exact = FINITE.astype(np.float32)
    ties = exact + 0.5 * np.spacing(FINITE).astype(np.float32)
    ties = ties[np.abs(ties) <= 65504]
    noise = np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32)
    tiny = noise * np.float32(1e-7)  # half's denormals, and what becomes ±0
    for values in (exact, ties, np.nextafter(ties, np.float32(0)), noise, noise * 1000, tiny):
        x = values[np.abs(values) <= 65504].astype(np.float32)
        assert (narrowed(x).view(np.uint16) == x.astype(np.float16).view(np.uint16)).all()


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 0, 3), (4, 6), (4, 6, 3), (2, 3, 4, 5)])
def test_any_shape(shape):
    x = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    for same in (x, x[..., ::-1] if shape else x):
        assert np.array_equal(narrowed(same), same.astype(np.float16))
        assert narrowed(same).shape == widened(narrowed(same)).shape == shape


def test_to_half_holds_what_is_beyond_and_keeps_what_is_no_number():
    x = np.array([1e6, -1e6, 65504, 65519, 1.0, -0.0, np.nan, np.inf, -np.inf], np.float32)
    found = to_half(x)
    assert found[:5].tolist() == [65504, -65504, 65504, 65504, 1]
    assert found[5:6].view(np.uint16)[0] == 0x8000
    assert np.isnan(found[6])
    assert found[7:].tolist() == [np.inf, -np.inf]
    assert to_half(x[4:6]).view(np.uint16).tolist() == [0x3C00, 0x8000]
