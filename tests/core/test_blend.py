"""Blends and the published mix rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy.core.blend import over
from understudy.core.image import half_ulp
from understudy.core.merge import layers

halves = arrays(np.float16, (4, 5), elements=st.floats(-65504, 65504, width=16))
mattes = arrays(np.float16, (4, 5), elements=st.floats(0, 1, width=16))


def test_over_is_the_face():
    plate, face, matte = (
        np.zeros((4, 4, 3), np.float32),
        np.ones((4, 4, 3), np.float32),
        np.ones((4, 4), np.float32),
    )
    assert over.finish(plate, face, matte) is face


@given(halves, halves, mattes)
def test_a_compositor_gets_the_same_within_half_a_unit(plate, face, matte):
    """Mixed in double precision from what the file holds, rounded to half: at most one unit apart, mostly equal."""
    ours = layers.mix(plate, face, matte).astype(np.float64)
    m = matte.astype(np.float64)
    exact = plate.astype(np.float64) * (1.0 - m) + face.astype(np.float64) * m
    # where the two nearly cancel, float32's own rounding of the larger one is what is left
    cancelled = np.maximum(np.abs(plate.astype(np.float64)), np.abs(face.astype(np.float64))) * 2.0**-23
    assert (np.abs(ours - exact) <= half_ulp(exact.astype(np.float32)) + cancelled).all()


@given(halves, halves)
def test_a_full_matte_is_exactly_the_face_and_none_the_plate(plate, face):
    one, nothing = np.ones(plate.shape, np.float16), np.zeros(plate.shape, np.float16)
    assert (layers.mix(plate, face, one) == face).all()
    assert (layers.mix(plate, face, nothing).view(np.uint16) == plate.view(np.uint16)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_plates_bits_stay_outside_whatever_they_are(dtype):
    plate = np.array([[np.nan, np.inf, -np.inf, -0.0, 6e-8, 1.0]], dtype)
    kind = np.uint16 if dtype is np.float16 else np.uint32
    plate.view(kind)[0, 0] |= 5  # a NaN with a payload
    face = np.full(plate.shape, 0.5, np.float16)
    outside = layers.mix(plate, face, np.zeros(plate.shape, np.float16))
    assert outside.dtype == dtype
    assert (outside.view(kind) == plate.view(kind)).all()
    inside = layers.mix(plate, face, np.full(plate.shape, 0.25, np.float16))
    assert np.isfinite(inside).all()
    assert (inside[0, :3] == 0.5).all()  # the face alone
