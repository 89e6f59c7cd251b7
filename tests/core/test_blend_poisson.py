"""The Poisson solver: against elimination, and against what the equation says."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.core import blending
from understudy.core.blend import _poisson


def values(side: int, seed: int = 0):
    """(side, side, 3): a slope and a third as much noise."""
    y, x = np.mgrid[0:side, 0:side] / side
    noise = np.random.default_rng(seed).normal(0.0, 0.3, (side, side, 3))
    return (np.stack([x, y, x * y], axis=-1) + noise).astype(np.float32)


def spread(fixed, free):
    """What 1e-4 is relative to: how far the values around are from their mean."""
    around = fixed[blending.rim(free)]
    return max(float(np.abs(around - around.mean(axis=0)).max()), 1e-3)


@pytest.mark.parametrize(("side", "together"), [(96, 2**18), (131, 2**18), (131, 0)])
@pytest.mark.parametrize("kind", blending.KINDS)
def test_as_a_sparse_solve(kind, side, together, monkeypatch):
    """Whether channels go together or one by one."""
    monkeypatch.setattr(_poisson, "_TOGETHER", together)
    free, fixed = blending.shape(kind, side), values(side)
    found = _poisson.solve(free, fixed)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[~free], fixed[~free])
    assert np.abs(found - blending.reference(free, fixed)).max() <= 1e-4 * spread(fixed, free)


@pytest.mark.parametrize("kind", ["oval", "pinholes", "edge", "apart"])
def test_as_a_sparse_solve_with_a_divergence(kind):
    free, fixed = blending.shape(kind), values(96)
    divergence = blending.laplacian(values(96, seed=1)).astype(np.float32)
    wanted = blending.reference(free, fixed, divergence)
    error = np.abs(_poisson.solve(free, fixed, divergence) - wanted)
    assert error.max() <= 1e-4 * np.abs(wanted).max()


@settings(deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 11), st.integers(1, 11))), st.integers(0, 9))
def test_any_shape_in_any_frame(free, seed):
    fixed = np.random.default_rng(seed).normal(0.0, 3.0, (*free.shape, 3)).astype(np.float32)
    found = _poisson.solve(free, fixed)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~free], fixed[~free])
    if free.any() and not free.all():
        error = np.abs(found - blending.reference(free, fixed))
        assert error.max() <= 1e-4 * spread(fixed, free)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(blending.KINDS), st.floats(-40.0, 40.0, width=32, allow_subnormal=False))
def test_one_value_all_around_is_that_value(kind, value):
    free = blending.shape(kind, 48 if kind != "pixel" else 96)
    fixed = np.full((*free.shape, 3), value, np.float32)
    np.testing.assert_allclose(_poisson.solve(free, fixed), value, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("kind", blending.KINDS)
def test_inside_it_has_no_laplacian_and_stays_between_the_values_around(kind):
    free, fixed = blending.shape(kind), values(96)
    found = _poisson.solve(free, fixed)
    around, reach = fixed[blending.rim(free)], spread(fixed, free)
    assert np.abs(blending.laplacian(found)[free]).max() <= 3e-4 * reach
    assert (found[free] <= around.max(axis=0) + 1e-4 * reach).all()
    assert (found[free] >= around.min(axis=0) - 1e-4 * reach).all()


def test_with_nothing_fixed_the_mean_is_zero():
    picture = values(64)
    everywhere = np.ones((64, 64), bool)
    found = _poisson.solve(everywhere, np.zeros_like(picture), blending.laplacian(picture).astype(np.float32))
    np.testing.assert_allclose(found, picture - picture.mean(axis=(0, 1)), atol=2e-3)
    assert not _poisson.solve(everywhere, np.zeros_like(picture)).any()


def test_fixed_values_away_from_the_shape_do_not_count():
    free, fixed = blending.shape("oval"), values(96)
    stray = fixed.copy()
    stray[~free & ~blending.rim(free)] = np.nan
    np.testing.assert_array_equal(_poisson.solve(free, stray)[free], _poisson.solve(free, fixed)[free])


def test_the_same_bytes_again_and_with_any_number_of_threads():
    free, fixed = blending.shape("ragged", 200), values(200)
    once = _poisson.solve(free, fixed)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if threads > 1 else 4)
        assert _poisson.solve(free, fixed).tobytes() == once.tobytes()
    finally:
        cv2.setNumThreads(threads)
