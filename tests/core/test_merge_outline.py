"""Shaping the face's outline and leaving alone what lies before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.merge import expression, outline

Y, X = np.mgrid[0:120, 0:140].astype(np.float32) + 0.5
FACE = np.clip(40.5 - np.hypot(X - 70, Y - 60), 0, 1).astype(np.float32)
HAIR = np.ones_like(FACE)
HAIR[:, 64] = 0.0  # one pixel wide, from above the face to below it
HAIR[20:100, 80] = 0.4  # and one that half covers
SEEN = FACE * HAIR


def radius(matte, level=0.5):
    """Of the disc with as many pixels above the level."""
    return float(np.sqrt((matte > level).sum() / np.pi))


def square(side=96):
    """Named mattes, (S, S): a round face, hair over it, and what a segmenter sees, which ends where the face does."""
    y, x = np.mgrid[:side, :side] + 0.5
    face = np.clip(30.5 - np.hypot(x - side / 2, y - side / 2), 0, 1).astype(np.float32)
    hair = np.ones_like(face)
    hair[:, side // 2] = 0.0
    return {"face": face, "hull": np.ceil(face), "occ": face * hair, "full": np.ones_like(face)}


def unoccluded(text, named):
    return outline.unoccluded(expression.parse(text), named)


class TestUnoccluded:
    @pytest.mark.parametrize(
        "text",
        ["face*occ", "min(face, occ)", "face*hull*occ", "full*face*occ", "0.5*face*occ", "occ", "full*occ"],
    )
    def test_hair_is_gone(self, text):
        """And nothing is there that was not: an `occ` of all 1 would have no outline, where it stands alone."""
        named = square()
        clean = expression.parse(text).of({**named, "occ": named["face"]})
        np.testing.assert_allclose(unoccluded(text, named)[:, 10:-10], clean[:, 10:-10], atol=0.04)

    @pytest.mark.parametrize("text", ["face - occ", "face*(1 - occ)", "face*(1 - 0.5*occ)"])
    def test_what_takes_the_face_away_counts_as_before_it_too(self, text):
        named = square()
        np.testing.assert_array_equal(unoccluded(text, named), named["face"])

    def test_a_hand_is_gone_where_other_mattes_know_the_face(self):
        named = square()
        named["occ"] = named["face"].copy()
        named["occ"][40:60, :66] = 0.0  # in from beyond the outline
        clean = expression.parse("face*occ").of({**named, "occ": named["face"]})
        np.testing.assert_allclose(unoccluded("face*occ", named), clean, atol=0.35)
        np.testing.assert_allclose(unoccluded("face*occ", named)[30:66, 30:66], 1.0)

    def test_so_is_a_veil(self):
        named = square()
        named["occ"] = named["face"].copy()
        named["occ"][38:58, 30:66] *= 0.4
        np.testing.assert_allclose(unoccluded("face*occ", named)[34:62, 34:62], 1.0)

    def test_an_occ_that_ends_before_the_face_does_is_its_outline(self):
        """Two networks never see the same outline. If the tighter counted as something before the face, no feather
        would reach it.
        """
        named = square()
        named["occ"] = np.roll(named["face"], 2, axis=0) * np.roll(named["face"], -2, axis=0)
        mask = named["face"] * named["occ"]
        found = unoccluded("face*occ", named)
        np.testing.assert_allclose(found, mask, atol=1e-6)
        np.testing.assert_array_equal(
            outline.shape(mask, found, 1.0, 6.0), outline.shape(mask, mask, 1.0, 6.0)
        )

    def test_a_deep_dent_in_occ_stays(self):
        """A profile's, between nose and chin: closed, its edge would stay hard."""
        named = square()
        named["occ"] = named["face"].copy()
        named["occ"][40:56, :40] = 0.0
        assert unoccluded("occ", named)[48, 24] == 0.0

    def test_without_occ_it_is_the_mask(self):
        named = square()
        np.testing.assert_array_equal(unoccluded("face*hull", named), named["face"])

    @given(st.integers(0, 2**32 - 1), st.sampled_from(["face*occ", "occ", "face + occ", "face - occ*hull"]))
    @settings(max_examples=40, deadline=None)
    def test_never_less_than_the_mask(self, seed, text):
        draw = np.random.default_rng(seed)
        named = {name: draw.random((24, 24)).astype(np.float32) for name in ("face", "hull", "occ")}
        own = expression.parse(text).of(named)
        found = unoccluded(text, named)
        assert (found >= own).all()
        assert found.max() <= 1.0


class TestShape:
    def test_hair_keeps_its_width_where_the_plain_way_widens_it(self):
        for erode, feather in ((6.0, 0.0), (0.0, 16.0), (3.5, 9.0)):
            kept = outline.shape(SEEN, FACE, erode, feather)
            np.testing.assert_array_equal(kept[60, 55:86], SEEN[60, 55:86])
            assert (kept[60, 55:86] < 0.95).sum() == 2
            plain = outline.shape(SEEN, SEEN, erode, feather)
            assert (plain[60, 55:86] < 0.95).sum() >= 2 + 2 * int(erode + feather / 2)

    def test_the_outline_is_shaped_as_if_there_were_no_hair(self):
        kept = outline.shape(SEEN, FACE, 5.0, 10.0)
        alone = outline.shape(FACE, FACE, 5.0, 10.0)
        np.testing.assert_allclose(kept, alone * HAIR, atol=1e-6)
        assert radius(outline.shape(FACE, FACE, 5.0, 0.0)) == pytest.approx(35, abs=0.6)

    def test_nothing_asked_nothing_changed(self):
        np.testing.assert_array_equal(outline.shape(SEEN, FACE, 0.0, 0.0), SEEN)

    @pytest.mark.parametrize(("erode", "feather"), [(0.0, 7.0), (2.3, 0.0), (4.0, 30.0), (11.7, 3.0)])
    def test_nothing_stays_nothing_and_all_stays_all(self, erode, feather):
        made = outline.shape(SEEN, FACE, erode, feather)
        assert (made <= SEEN).all()
        deep = np.hypot(X - 70, Y - 60) < 38 - erode - 1.5 * feather
        assert (made[deep & (SEEN == 1.0)] == 1.0).all()

    @pytest.mark.parametrize("feather", [0.5, 2.0, 9.5, 24.0])
    def test_the_feather_lies_inside_the_eroded_outline(self, feather):
        hard = (FACE > 0.5).astype(np.float32)
        eroded, soft = (outline.shape(hard, hard, 4.0, width) for width in (0.0, feather))
        assert (soft[eroded == 0.0] == 0.0).all()
        profile = soft[60, 70:112]
        assert ((profile > 0.01) & (profile < 0.99)).sum() <= feather + 2

    def test_fractions_count_evenly_and_only_one_way(self):
        """No step where another disc takes over, at 2, 3 and 4 pixels."""
        amounts = np.arange(-6.0, 9.01, 0.125)
        made = [outline.shape(FACE, FACE, float(amount), 0.0) for amount in amounts]
        for more, less in zip(made[1:], made, strict=False):
            assert (more <= less).all()
        radii = np.sqrt([float(each.sum()) / np.pi for each in made])
        np.testing.assert_allclose(np.diff(radii), -0.125, atol=0.04)

    def test_feather_changes_without_a_step(self):
        sums = [float(outline.shape(FACE, FACE, 1.0, f).sum()) for f in np.arange(0.0, 12.0, 0.25)]
        assert (np.diff(sums) < 0.0).all()
        assert np.abs(np.diff(sums)).max() < 0.25 * 2 * np.pi * 40  # half the feather's step, and room

    def test_a_grown_outline_takes_the_hair_with_it(self):
        grown = outline.shape(SEEN, FACE, -8.0, 0.0)
        assert radius(outline.shape(FACE, FACE, -8.0, 0.0)) == pytest.approx(48, abs=0.7)
        assert grown[60, 117] > 0.99  # 47 pixels from the middle
        assert grown[14, 64] == 0.0  # the hair, beyond the face
        assert grown[14, 70] == 1.0

    @pytest.mark.parametrize("pixel_aspect", [2.0, 0.5, 1.25])
    def test_pixels_that_are_not_square(self, pixel_aspect):
        """An ellipse of pixels that is round on the screen stays round."""
        away = np.hypot((X - 70) * pixel_aspect, Y - 60)
        hard = (away < 32).astype(np.float32)
        made = outline.shape(hard, hard, 10.0, 0.0, pixel_aspect=pixel_aspect)
        across = float(made[59:61].sum(axis=1).mean()) / 2.0 * pixel_aspect
        down = float(made[:, 69:71].sum(axis=0).mean()) / 2.0
        assert across == pytest.approx(22, abs=1.2)
        assert down == pytest.approx(22, abs=1.2)
        assert (made[hard == 0.0] == 0.0).all()
        assert made[60, 70] == 1.0

    def test_cut_by_the_picture_it_keeps_its_edge_there(self):
        whole = np.ones((50, 50), np.float32)
        assert (outline.shape(whole, whole, 5.0, 8.0) == 1.0).all()

    def test_what_is_no_number_is_nothing(self):
        broken = SEEN.copy()
        broken[60, 40] = np.nan
        made = outline.shape(broken, FACE, 2.0, 4.0)
        assert np.isfinite(made).all()
        assert made[60, 40] == 0.0
        assert made[60, 42] == 1.0

    @given(st.integers(0, 2**32 - 1), st.floats(-5, 9), st.floats(0, 12))
    @settings(max_examples=40, deadline=None)
    def test_a_matte_whatever_comes(self, seed, erode, feather):
        draw = np.random.default_rng(seed)
        matte, other = draw.random((2, 20, 20)).astype(np.float32).round(1)
        made = outline.shape(matte, other, erode, feather)
        assert made.dtype == np.float32
        assert made.min() >= 0.0
        assert made.max() <= 1.0
        if erode >= 0.0:
            assert (made <= matte).all()
