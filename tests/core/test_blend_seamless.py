"""Seamless blends: no seam, the face's own detail, and film's values."""

import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import blending
from understudy.core.blend import _light, hist_match, seamless, seamless_hist_match, seamless_mixed

FACE, PLATE = blending.picture(1, exposure=0.09), blending.picture(2)


def code(light):
    return np.arcsinh(light.astype(np.float64) / (2.0 * _light.TOE))


def soft(free):
    """A matte whose edge is soft: from 0.01 to 1."""
    return np.where(free, np.random.default_rng(3).uniform(0.01, 1.0, free.shape), 0.0).astype(np.float32)


@pytest.mark.parametrize("kind", blending.KINDS)
def test_the_correction_is_that_of_a_sparse_solve(kind):
    free = blending.shape(kind)
    wanted = blending.reference(free, code(PLATE) - code(FACE))
    made = code(seamless.finish(PLATE, FACE, soft(free))) - code(FACE)
    around = wanted[blending.rim(free)]
    assert np.abs(made - wanted)[free].max() <= 1e-4 * max(np.abs(around).max(), 0.1)


@pytest.mark.parametrize("kind", blending.KINDS)
def test_beyond_the_matte_it_is_the_plate(kind):
    free = blending.shape(kind)
    np.testing.assert_array_equal(seamless.finish(PLATE, FACE, soft(free))[~free], PLATE[~free])


@pytest.mark.parametrize("blend", [seamless, seamless_mixed])
@pytest.mark.parametrize("kind", ["oval", "hole", "edge", "apart"])
def test_inside_it_has_the_guidances_laplacian(blend, kind):
    """A pixel's sum of steps to its neighbours is the face's; if mixed, that of face's or plate's, whichever has the
    stronger ones around; where no bound bends it.
    """
    free = blending.shape(kind)
    wanted = blending.laplacian(code(FACE))
    if blend is seamless_mixed:
        wanted = np.zeros_like(wanted)
        rows, columns = (np.flatnonzero(free.any(axis=axis)) for axis in (1, 0))
        box = tuple(slice(max(0, each[0] - 1), each[-1] + 2) for each in (rows, columns))
        steps = [[_step(each, *way) for way in blending.STEPS] for each in (FACE, PLATE)]
        inner = ([_step(each[box], *way) for way in blending.STEPS] for each in (FACE, PLATE))
        energies = (sum((step**2).sum(-1) for step in each) for each in inner)
        lead = np.zeros(free.shape)
        lead[box] = np.subtract(*(cv2.GaussianBlur(each, (0, 0), 2.0) for each in energies))
        for own, theirs, (dy, dx) in zip(*steps, blending.STEPS, strict=True):
            plates = lead + np.roll(lead, (-dy, -dx), (0, 1)) < 0.0
            wanted += np.where(plates[..., None], theirs, own)
    made = code(blend.finish(PLATE, FACE, soft(free)))
    plain, half = code(seamless.finish(PLATE, FACE, soft(free))), 0.5 * np.log(2.0)
    apart = np.maximum(made - np.maximum(plain, code(PLATE)), np.minimum(plain, code(PLATE)) - made)
    held = cv2.dilate((apart > half).any(axis=-1).astype(np.uint8), np.ones((3, 3))) > 0
    assert held.sum() < 0.02 * free.sum()
    assert (
        np.abs(blending.laplacian(made) - wanted)[free & ~held].max() <= 2e-3
    )  # of codes up to 10 in float32


def _step(picture, dy, dx):
    """From each pixel to its neighbour that way, in code; 0 where there is none."""
    step = np.roll(code(picture), (-dy, -dx), (0, 1)) - code(picture)
    np.moveaxis(step, 0 if dy else 1, 0)[-1 if dy + dx > 0 else 0] = 0.0
    return step


@settings(max_examples=40, deadline=None)
@given(st.floats(-8.0, 8.0), st.sampled_from(blending.KINDS))
def test_a_face_that_differs_by_a_constant_becomes_the_plate(shift, kind):
    """In codes; far from 0 that is an exposure."""
    free = blending.shape(kind)
    face = _light.shifted(PLATE, shift)
    made = seamless.finish(PLATE, face, free.astype(np.float32))
    np.testing.assert_allclose(code(made), code(PLATE), atol=2e-5)


def test_an_exposure_is_taken_out_in_all_that_is_bright():
    bright = np.clip(PLATE, 0.5, None)
    bright[40:42, 50:52] = 60.0
    free = blending.shape("oval")
    made = seamless.finish(bright, bright * np.float32(0.4), free.astype(np.float32))
    np.testing.assert_allclose(made, bright, rtol=0.02)


@pytest.mark.parametrize("blend", [seamless, seamless_mixed])
def test_where_nothing_differs_every_bit_stays(blend):
    for kind in blending.KINDS:
        made = blend.finish(PLATE, PLATE.copy(), soft(blending.shape(kind)))
        assert made.tobytes() == PLATE.tobytes()


def test_empty_and_full_mattes():
    none, full = np.zeros((96, 96), np.float32), np.ones((96, 96), np.float32)
    np.testing.assert_array_equal(seamless.finish(PLATE, FACE, none), PLATE)
    np.testing.assert_array_equal(seamless.finish(PLATE, FACE, full), FACE)
    made = seamless_mixed.finish(PLATE, FACE, full)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(code(made).mean(), code(FACE).mean(), atol=1e-3)


@pytest.mark.parametrize(("down", "right"), [(0, 1), (3, 0), (10, 21), (22, 22)])
def test_it_does_not_matter_where_in_the_picture_it_is(down, right):
    plate, face, matte = (np.zeros((120, 120, *more), np.float32) for more in ((3,), (3,), ()))
    y, x = slice(1 + down, 97 + down), slice(1 + right, 97 + right)
    plate[y, x], face[y, x] = PLATE, FACE
    matte[y, x] = blending.shape("oval")
    made = seamless.finish(plate, face, matte)[y, x]
    assert made.tobytes() == seamless.finish(PLATE, FACE, matte[y, x]).tobytes()


@pytest.mark.parametrize("blend", [seamless, seamless_mixed, seamless_hist_match])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_bind_nothing(blend, bad):
    free = blending.shape("oval")
    ill = PLATE.copy()
    rows, columns = np.nonzero(blending.rim(free))
    ill[rows[::3], columns[::3], 1] = bad
    ill[2:5, 3] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = blend.finish(ill, FACE, free.astype(np.float32))
        gone = blend.finish(np.full_like(PLATE, bad), FACE, free.astype(np.float32))
    assert np.isfinite(made).all()
    well = blend.finish(PLATE, FACE, free.astype(np.float32))
    assert np.median(np.abs(code(made) - code(well))[free]) < 0.05
    np.testing.assert_array_equal(gone, FACE)


def test_a_lamp_beside_the_matte_does_not_fill_the_face():
    """One pixel in fifty around the matte is four thousand times as bright: in linear light the face would be lit up
    by 10 and more.
    """
    free = blending.shape("oval")
    lit = np.full_like(PLATE, 0.18)
    rows, columns = np.nonzero(blending.rim(free))
    lit[rows[:4], columns[:4]] = 800.0
    made = seamless.finish(lit, np.full_like(PLATE, 0.18), free.astype(np.float32))
    assert made[48, 48].min() >= 0.18 - 1e-4
    assert made[48, 48].max() < 0.36
    assert made.max() == 800.0


def test_extreme_values_stay_finite_and_unclipped():
    plate, face = PLATE.copy(), FACE.copy()
    plate[:, :48], face[48:] = -65504.0, 65504.0
    made = seamless.finish(plate, face, blending.shape("oval").astype(np.float32))
    assert np.isfinite(made).all()
    assert np.abs(made[blending.shape("oval")]).max() > 65504.0


def test_mixed_keeps_the_plates_hair_over_a_smooth_face():
    free = blending.shape("oval")
    plate, face = np.full_like(PLATE, 0.3), np.full_like(PLATE, 0.2)
    plate[20:76, 40] = plate[20:76, 55] = 0.03
    kept = {blend: blend.finish(plate, face, free.astype(np.float32)) for blend in (seamless, seamless_mixed)}
    np.testing.assert_allclose(kept[seamless_mixed], plate, rtol=2e-3)
    assert np.ptp(kept[seamless][48, 30:60]) < 1e-3


@pytest.mark.parametrize("radius", [1.5, 4.0, 12.0])
@pytest.mark.parametrize(
    ("blur", "way"), [(0.0, 0.0), (0.7, 0.0), (1.5, 0.0), (0.0, 1.5), (0.7, 3.0), (4.0, 6.0)]
)
def test_a_glint_that_both_have_is_not_taken_twice(radius, blur, way):
    """Softer, or some pixels away, in the face: two edges of 600 times each, of which a choice per pixel made 40,000
    times.
    """
    rows, columns = np.mgrid[:96, :96] - 47.5

    def glint(column, soft):
        made = np.full_like(PLATE, 0.25)
        made[np.hypot(rows, columns - column) < radius] = 150.0
        return cv2.GaussianBlur(made, (0, 0), soft) if soft else made

    free = blending.shape("oval")
    made = seamless_mixed.finish(glint(0.0, 0.0), glint(way, blur), free.astype(np.float32))
    assert 75.0 < made.max() < 2.0 * 150.01
    assert made.min() > 0.25 / 2.2  # a stop of code is a little more in the dark
    if blur < 1.0 and not way:
        assert made.max() < 1.001 * 150.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 3.0), st.sampled_from(("oval", "hole", "edge", "ragged")))
def test_mixed_is_never_a_stop_beyond_both(seed, contrast, kind):
    """Whatever the pictures: grain as strong as this has no gradients that add up."""
    rng = np.random.default_rng(seed)
    plate, face = (np.exp(contrast * rng.standard_normal((96, 96, 3))).astype(np.float32) for _ in range(2))
    free = blending.shape(kind)
    made, plain = (code(b.finish(plate, face, free.astype(np.float32))) for b in (seamless_mixed, seamless))
    room = np.log(2.0) + 1e-4
    assert (made <= np.maximum(plain, code(plate)) + room).all()
    assert (made >= np.minimum(plain, code(plate)) - room).all()


def test_mixed_takes_no_edge_from_a_hole_in_the_plate():
    """Where the plate is not known it has no gradients, nor have its neighbours towards there."""
    free = blending.shape("oval")
    plate, face = np.full_like(PLATE, 0.9), np.full_like(PLATE, 0.2)
    plate[40:50, 40:50] = np.nan
    made = seamless_mixed.finish(plate, face, free.astype(np.float32))
    np.testing.assert_allclose(made, 0.9, rtol=2e-3)


def test_with_hist_match_there_is_no_seam_and_the_contrast_is_the_plates():
    free = blending.shape("oval")
    flat = (0.1 + 0.2 * (FACE - 0.1)).astype(np.float32)  # a fifth of the contrast
    made = seamless_hist_match.finish(PLATE, flat, free.astype(np.float32))
    np.testing.assert_array_equal(made[~free], PLATE[~free])
    matched = hist_match.finish(PLATE, flat, free.astype(np.float32))
    wanted = seamless.finish(PLATE, matched, free.astype(np.float32))
    np.testing.assert_array_equal(made, wanted)
    deviations = [code(each)[free].std() for each in (flat, made, PLATE)]
    assert deviations[0] < 0.6 * deviations[2]
    assert deviations[1] == pytest.approx(deviations[2], rel=0.25)


def test_a_rim_that_clashes_does_not_lift_a_glint():
    """Three stops of lift are for skin; a lamp's glint of 150 that the plate has too would become 1200."""
    free = blending.shape("oval")
    plate, face = np.full_like(PLATE, 0.64), np.full_like(PLATE, 0.08)
    plate[40:44, 50:54] = face[40:44, 50:54] = 150.0
    for blend in (seamless, seamless_mixed):
        made = blend.finish(plate, face, free.astype(np.float32))
        assert 150.0 < made[40:44, 50:54].max() < 600.0
        np.testing.assert_allclose(made[48, 20:40], 0.64, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 3.0), st.sampled_from(("oval", "hole", "edge", "ragged")))
def test_nothing_runs_away_from_plate_face_and_rim(seed, contrast, kind):
    """Two stops at most, one of them the exposure's."""
    rng = np.random.default_rng(seed)
    plate, face = (np.exp(contrast * rng.standard_normal((96, 96, 3))).astype(np.float32) for _ in range(2))
    free, room = blending.shape(kind), 2.0 * np.log(2.0) + 1e-4
    around = code(plate)[blending.rim(free)]
    for blend in (seamless, seamless_mixed):
        made = code(blend.finish(plate, face, free.astype(np.float32)))
        assert (made <= np.maximum(np.maximum(code(face), code(plate)), around.max()) + room).all()
        assert (made >= np.minimum(np.minimum(code(face), code(plate)), around.min()) - room).all()
