"""Histogram match, multiband and the raw modes."""

import numpy as np
import pytest

from tests.core import blending
from understudy.core import _plugins
from understudy.core import blend as family
from understudy.core.blend import _light, hist_match, multiband, seamless

FACE, PLATE = blending.picture(1, exposure=0.05), blending.picture(2)
OVAL = blending.shape("oval").astype(np.float32)


def code(light):
    return np.arcsinh(light.astype(np.float64) / (2.0 * _light.TOE))


def seam(made, free):
    """The mean step in code from the matte's outermost pixels to the plate's next to them."""
    steps = []
    for dy, dx in blending.STEPS:
        beyond = np.roll(free, (-dy, -dx), (0, 1))
        step = np.abs(np.roll(code(PLATE), (-dy, -dx), (0, 1)) - code(made))
        steps.append(step[free & ~beyond])
    return float(np.concatenate(steps).mean())


class TestHistMatch:
    def test_under_the_matte_each_channels_distribution_is_the_plates(self):
        made = hist_match.finish(PLATE, FACE, OVAL)
        for part in np.linspace(0.02, 0.98, 25):
            np.testing.assert_allclose(
                np.quantile(made[OVAL > 0], part, axis=0),
                np.quantile(PLATE[OVAL > 0], part, axis=0),
                rtol=0.03,
            )

    def test_what_lies_outside_and_under_the_soft_edge_does_not_count(self):
        matte = np.where(OVAL > 0, 0.8, 0.3).astype(np.float32)
        stray_plate, stray_face = PLATE.copy(), FACE.copy()
        stray_plate[OVAL == 0], stray_face[OVAL == 0] = 1000.0, -5.0
        made, stray = hist_match.finish(PLATE, FACE, matte), hist_match.finish(stray_plate, stray_face, matte)
        np.testing.assert_array_equal(made[OVAL > 0], stray[OVAL > 0])

    def test_order_stays(self):
        made = hist_match.finish(PLATE, FACE, OVAL)
        for channel in range(3):
            order = np.argsort(FACE[..., channel], axis=None)
            assert (np.diff(made[..., channel].ravel()[order]) >= -1e-5).all()

    def test_highlights_beyond_the_distribution_keep_their_ratio(self):
        face = FACE.copy()
        face[0, 0], face[0, 1] = 200.0, 400.0
        made = hist_match.finish(PLATE, face, OVAL)
        np.testing.assert_allclose(made[0, 1] / made[0, 0], 2.0, rtol=1e-3)
        assert made[0, 0].min() > 200.0  # the plate is brighter than the face

    @pytest.mark.parametrize("whose", ["face", "plate"])
    def test_a_glint_of_one_picture_is_no_part_of_the_distribution(self, whose):
        """One pixel in thirty: such a face's glint was the plate's brightest skin, and all beyond it was too."""
        shining = {"face": FACE.copy(), "plate": PLATE.copy()}
        shining[whose][60:72, 40:52] = 150.0
        shining["face"][0, :3] = np.array([[1.5], [15.0], [150.0]])
        made, plain = (
            hist_match.finish(shining["plate"], shining["face"], OVAL),
            hist_match.finish(PLATE, FACE, OVAL),
        )
        skin = (OVAL > 0) & (shining["face"] == FACE).all(axis=-1)
        np.testing.assert_allclose(np.median(made[skin], axis=0), np.median(plain[skin], axis=0), rtol=0.1)
        np.testing.assert_allclose(made[0, 1:3] / made[0, :2], 10.0, rtol=0.01)
        assert made[0, 2].min() > 100.0  # the plate is brighter than the face

    def test_no_line_is_flat(self):
        """Before a plate of one colour the face keeps a quarter of its contrast, and its order."""
        made = hist_match.finish(np.full_like(PLATE, 0.3), FACE, OVAL)
        wide, narrow = (
            np.ptp(np.quantile(code(p)[OVAL > 0], (0.05, 0.95), axis=0), axis=0) for p in (FACE, made)
        )
        np.testing.assert_allclose(narrow / wide, 0.25, rtol=0.02)
        order = np.argsort(FACE[..., 0], axis=None)
        assert (np.diff(made[..., 0].ravel()[order]) >= 0.0).mean() > 0.999

    def test_below_zero_goes_on_below(self):
        face = FACE.copy()
        face[0, 0], face[0, 1] = -1.0, -2.0
        made = hist_match.finish(PLATE, face, OVAL)
        assert (made[0, 1] < made[0, 0]).all()
        assert (made[0, 0] < 0.0).all()

    def test_a_face_of_one_colour_becomes_the_mean_of_the_plates_codes(self):
        made = hist_match.finish(PLATE, np.full_like(FACE, 0.3), OVAL)
        assert np.ptp(made, axis=(0, 1)).max() == 0.0
        np.testing.assert_allclose(code(made)[0, 0], code(PLATE)[OVAL > 0].mean(axis=0), atol=0.02)

    def test_what_is_nearly_flat_becomes_no_noise(self):
        """A face of 0.2 with noise of 0.0002, a plate of all exposures: a difference becomes four times itself."""
        face = (0.2 + 2e-4 * np.random.default_rng(0).standard_normal(FACE.shape)).astype(np.float32)
        made = hist_match.finish(PLATE, face, OVAL)
        grown = code(made)[OVAL > 0].std(axis=0) / code(face)[OVAL > 0].std(axis=0)
        assert ((grown > 3.0) & (grown < 4.01)).all()
        np.testing.assert_allclose(np.median(made[OVAL > 0], 0), np.median(PLATE[OVAL > 0], 0), rtol=0.02)

    @pytest.mark.parametrize("kind", ["none", "pixel"])
    def test_too_small_a_matte_leaves_the_face(self, kind):
        matte = blending.shape("pixel") & (kind == "pixel")
        assert hist_match.finish(PLATE, FACE, matte.astype(np.float32)) is FACE

    def test_a_plate_that_is_not_finite_does_not_count(self):
        ill = PLATE.copy()
        ill[30:40, 40:50] = np.nan
        without = OVAL.copy()
        without[30:40, 40:50] = 0.0
        np.testing.assert_array_equal(
            hist_match.finish(ill, FACE, OVAL), hist_match.finish(PLATE, FACE, without)
        )
        assert hist_match.finish(np.full_like(PLATE, np.inf), FACE, OVAL) is FACE


class TestMultiband:
    @pytest.mark.parametrize("kind", ["oval", "hole", "edge", "apart", "ragged"])
    def test_the_seam_is_gone(self, kind):
        free = blending.shape(kind)
        made = multiband.finish(PLATE, FACE, free.astype(np.float32))
        np.testing.assert_array_equal(made[~free], PLATE[~free])
        assert seam(made, free) < seam(PLATE, free) + 0.3 * (seam(FACE, free) - seam(PLATE, free))

    def test_deep_inside_a_large_matte_it_is_the_face(self):
        side = 256
        plate, face = blending.picture(2, side), blending.picture(1, side, exposure=0.05)
        made = multiband.finish(plate, face, blending.shape("oval", side).astype(np.float32))
        centre = np.abs(code(made) - code(face))[118:138, 118:138]
        assert centre.max() < 0.05 * np.abs(code(plate) - code(face))[118:138, 118:138].mean()

    def test_detail_goes_over_nearer_to_the_edge_than_shading(self):
        side = 256
        y, x = np.mgrid[0:side, 0:side]
        matte = ((x > 16) & (x < 240) & (y > 16) & (y < 240)).astype(np.float32)
        plate = np.full((side, side, 3), 0.2, np.float32)
        checker = np.where((x + y) % 2 > 0, 1.2, 1.0)[..., None].astype(np.float32)
        made = code(multiband.finish(plate, plate * 2.0 * checker, matte))
        at = 30  # 13 pixels inside
        detail = np.abs(np.diff(made[128, at : at + 4, 0])).mean() / np.log(1.2)
        shading = (made[128, at : at + 4, 0].mean() - code(plate)[0, 0, 0]) / np.log(2.2)
        assert detail > 0.9
        assert shading < 0.5

    def test_empty_full_and_tiny_mattes(self):
        none, full = np.zeros((96, 96), np.float32), np.ones((96, 96), np.float32)
        np.testing.assert_array_equal(multiband.finish(PLATE, FACE, none), PLATE)
        assert multiband.finish(PLATE, FACE, full) is FACE
        pixel = blending.shape("pixel")
        made = multiband.finish(PLATE, FACE, pixel.astype(np.float32))
        np.testing.assert_array_equal(made[~pixel], PLATE[~pixel])
        assert np.isfinite(made).all()

    def test_a_plate_that_is_not_finite_spreads_nowhere(self):
        ill = PLATE.copy()
        ill[40:50, 10:20], ill[:, 95] = np.nan, np.inf
        assert np.isfinite(multiband.finish(ill, FACE, OVAL)).all()


class TestFamily:
    def test_every_mode_of_the_field_is_there(self):
        wanted = {"over", "hist_match", "seamless", "seamless_mixed", "seamless_hist_match", "multiband"}
        assert wanted | {"raw_rgb", "raw_rgb_mask", "raw_predict"} <= set(_plugins.names("blend"))

    @pytest.mark.parametrize(
        ("name", "matte"), [("raw_rgb", "crop"), ("raw_rgb_mask", "recipe"), ("raw_predict", "network")]
    )
    def test_raw_modes_ask_for_the_raw_face_and_leave_it(self, name, matte):
        member = _plugins.load("blend", name)
        assert family.wants(member) == family.Wants(raw=True, matte=matte, pointwise=True)
        assert member.finish(PLATE, FACE, OVAL) is FACE

    @pytest.mark.parametrize("name", ["seamless", "seamless_mixed", "multiband"])
    def test_those_that_go_by_the_outline_ask_for_all_of_it(self, name):
        assert family.wants(_plugins.load("blend", name)) == family.Wants(whole=True)

    def test_one_goes_by_the_outline_and_by_what_is_seen(self):
        """A lock of hair before the face is neither an outline nor a colour of the face."""
        seen = OVAL.copy()
        seen[:, 40:52] = 0.0
        dark = np.where((OVAL > 0) & (seen == 0), 0.01, 1.0)[..., None].astype(np.float32)
        hairy = PLATE * dark
        member = _plugins.load("blend", "seamless_hist_match")
        assert family.wants(member) == family.Wants(whole=True, seen=True)
        made = family.finished(member, hairy, FACE, seen, lambda: OVAL)
        matched = hist_match.finish(hairy, FACE, seen)
        np.testing.assert_array_equal(made, seamless.finish(hairy, matched, OVAL))
        assert np.median(np.abs(code(made) - code(PLATE))[seen > 0]) < 0.5
        unlike = member.finish(hairy, FACE, OVAL)
        assert np.abs(code(unlike) - code(made))[seen > 0].max() > 0.05

    @pytest.mark.parametrize("name", _plugins.names("blend"))
    def test_each_gets_the_mattes_that_it_asks_for(self, name):
        member, seen = (
            _plugins.load("blend", name),
            np.where(np.arange(96) < 40, 0.0, OVAL).astype(np.float32),
        )
        asked = family.wants(member)
        found = family.finished(member, PLATE, FACE, seen, lambda: OVAL)
        more = {"seen": seen} if asked.seen else {}
        np.testing.assert_array_equal(
            found, member.finish(PLATE, FACE, OVAL if asked.whole else seen, **more)
        )

    @pytest.mark.parametrize("name", ["over", "hist_match"])
    def test_others_ask_for_the_finished_face_and_the_recipes_matte(self, name):
        assert family.wants(_plugins.load("blend", name)) == family.Wants(pointwise=name == "over")

    @pytest.mark.parametrize("name", _plugins.names("blend"))
    def test_the_same_bytes_for_the_same_input(self, name):
        member = _plugins.load("blend", name)
        found = {member.finish(PLATE.copy(), FACE.copy(), OVAL.copy()).tobytes() for _ in range(12)}
        assert len(found) == 1

    def test_a_shift_of_nothing_is_exact_and_shifts_add_up(self):
        light = np.array([-65504.0, -0.02, 0.0, 1e-6, 0.18, 65504.0], np.float32)
        np.testing.assert_array_equal(_light.shifted(light, 0.0), light)
        np.testing.assert_allclose(
            _light.shifted(_light.shifted(light, 0.7), -0.7), light, rtol=1e-5, atol=1e-8
        )
        np.testing.assert_allclose(code(_light.shifted(light, 0.7)), code(light) + 0.7, atol=1e-5)
