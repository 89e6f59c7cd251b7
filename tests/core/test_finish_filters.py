"""Placing, sharpening, degrading and relighting a face."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core import _plugins, parameters, warp
from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment
from understudy.core.finish import degrade, place
from understudy.core.finish.extend import extend
from understudy.core.finish.relight import FAMILY, Relight, low_frequency
from understudy.core.finish.sharpen import Sharpen
from understudy.core.finish.sharpen import sharpen as sharpened
from understudy.core.frames import Window
from understudy.core.image import luminance

KINDS, SPACES = ({p.name: p.choices for p in parameters.of(Sharpen())}[n] for n in ("kind", "space"))
S = 96
Y, X = np.mgrid[:S, :S].astype(np.float32) + 0.5


def grey(plane):
    return np.repeat(np.asarray(plane, np.float32)[..., None], 3, axis=2)


def sharpen(rgb, amount, **others):
    return sharpened(rgb, Sharpen(amount=amount, **others))


def picture(seed=7):
    """Smooth, with the values that film has: below 0, above 1, far above."""
    rng = np.random.default_rng(seed)
    waves = [np.sin(rng.uniform(4, 9) * X / S + rng.uniform(4, 9) * Y / S + i) for i in range(3)]
    rgb = np.exp(np.dstack(waves) - 1.7).astype(np.float32)
    rgb[2:14, 2:14], rgb[20:24, 20:24] = -0.05, 900.0
    return rgb


EDGE = grey(np.where(X < S / 2, 0.1, 0.4))
WAYS = [
    pytest.param(
        lambda rgb, kind=kind, space=space: sharpen(rgb, 1.5, kind=kind, space=space), id=f"{kind}-{space}"
    )
    for kind in KINDS
    for space in SPACES
]
WAYS += [
    pytest.param(lambda rgb: degrade.soften(rgb, 0.4), id="soften"),
    pytest.param(lambda rgb: degrade.posterise(rgb, 4.0), id="posterise"),
    pytest.param(
        lambda rgb: low_frequency.relight(rgb, grey(X / S), np.ones((S, S), np.float32), 1.0, 0.1),
        id="low_frequency",
    ),
]


@pytest.mark.parametrize("way", WAYS)
class TestEveryFilter:
    def test_nothing_is_clipped_and_nothing_spreads(self, way):
        rgb = picture()
        rgb[50, 60], rgb[70, 10, 1] = np.nan, -np.inf
        kept = rgb.copy()
        made = way(rgb)
        assert made.shape == rgb.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert made[21:23, 21:23].min() > 200.0
        assert made[7:9, 7:9].max() < 0.0
        np.testing.assert_array_equal(rgb, kept)

    def test_exposed_higher_by_much_it_is_still_finite(self, way):
        assert np.isfinite(way(picture() * np.float32(1e4))).all()
        assert np.isfinite(way(np.zeros((S, S, 3), np.float32))).all()

    def test_same_in_same_out(self, way):
        np.testing.assert_array_equal(way(picture()), way(picture()))


class TestPlace:
    ALIGNMENT = Alignment(matrix=np.array([(0.6, 0.2, -50.0), (-0.2, 0.6, 31.0)]), size=128, face_type="full")

    @pytest.mark.parametrize("scale", [0.5, 0.93, 1.0, 1.2])
    @pytest.mark.parametrize("about", [None, (140.0, 60.0)])
    def test_distances_scale_about_a_point_that_stays(self, scale, about):
        there = place.resized(self.ALIGNMENT, scale, about=about).inverse
        here = self.ALIGNMENT.inverse
        fixed = np.array(about or here @ (64.0, 64.0, 1.0))
        for point in ((0.0, 0.0), (100.0, 20.0), (64.0, 64.0)):
            was, now = here @ (*point, 1.0), there @ (*point, 1.0)
            np.testing.assert_allclose(now - fixed, scale * (was - fixed), atol=1e-9)

    def test_a_disc_on_the_plate_grows_by_that_much(self):
        disc = np.clip(20.5 - np.hypot(*(np.mgrid[:64, :64] - 31.5)), 0, 1).astype(np.float32)
        alignment = Alignment(matrix=np.array([(0.5, 0.0, 0.0), (0.0, 0.5, 0.0)]), size=64, face_type="full")
        window = Window(0, 0, 128, 128)
        area = [
            float(warp.to_plate(disc, place.resized(alignment, scale), window).sum()) for scale in (1.0, 1.2)
        ]
        assert np.sqrt(area[1] / area[0]) == pytest.approx(1.2, rel=0.005)

    @pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
    def test_no_scale_at_all_is_refused(self, scale):
        with pytest.raises(InvalidInput, match="scale"):
            place.resized(self.ALIGNMENT, scale)


class TestExtend:
    SUPPORT = (np.hypot(X - 48, Y - 48) < 25).astype(np.float32)

    def test_inside_stays_bit_for_bit_and_outside_flows_on(self):
        rgb = np.broadcast_to(np.array([0.4, -0.02, 6.0], np.float32), (S, S, 3)).copy()
        rgb[self.SUPPORT == 0] = np.random.default_rng(1).normal(0, 100, (int((self.SUPPORT == 0).sum()), 3))
        rgb[40:44, 40:44], rgb[48, 48] = 800.0, -0.3
        made = extend(rgb, self.SUPPORT)
        np.testing.assert_array_equal(made[self.SUPPORT == 1], rgb[self.SUPPORT == 1])
        far = np.hypot(X - 48, Y - 48) > 30
        np.testing.assert_allclose(np.median(made[far], axis=0), [0.4, -0.02, 6.0], rtol=0.15)

    def test_a_glint_on_the_outline_does_not_bleed(self):
        rgb = np.full((S, S, 3), 0.3, np.float32)
        rgb[47:50, 70:73] = 60.0  # right at the edge
        made = extend(rgb, self.SUPPORT)
        assert made[48, 84, 1] < 2.0 * 0.3
        assert made[48, 10, 1] < 1.1 * 0.3

    def test_what_is_no_number_stays_out(self):
        rgb = np.full((S, S, 3), 0.3, np.float32)
        rgb[3, 3], rgb[48, 50, 1] = np.nan, np.inf
        np.testing.assert_allclose(extend(rgb, self.SUPPORT), 0.3, rtol=1e-4)

    def test_faintly_supported_or_not_at_all(self):
        for level in (0.0, 0.5):
            made = extend(picture(), np.full((S, S), level, np.float32))
            assert np.isfinite(made).all()
            assert made.dtype == np.float32


class TestSharpen:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("space", SPACES)
    def test_edges_get_steeper_and_softer(self, kind, space):
        soft = sharpen(EDGE, -1.0, radius=2.0)
        slope = [
            np.abs(np.diff(sharpen(soft, amount, kind=kind, space=space)[48, :, 1])).max()
            for amount in (-0.8, 0.0, 1.0, 2.0)
        ]
        assert (np.diff(slope) > 0.0).all()

    def test_by_the_formula(self):
        """Box of 3×3 in scene-linear on one bright pixel: 1 + a·(1 − 1/9), and −a/9 around it."""
        rgb = np.zeros((9, 9, 3), np.float32)
        rgb[4, 4] = 9.0
        made = sharpen(rgb, 0.5, kind="box", radius=1.0, space="linear", halo=10.0)
        assert made[4, 4, 0] == pytest.approx(9.0 + 0.5 * 8.0)
        assert made[3, 3, 0] == pytest.approx(-0.5)
        assert made[2, 4, 0] == 0.0

    def test_at_minus_one_it_is_the_blur(self):
        made = sharpen(EDGE, -1.0, kind="box", radius=1.0, space="linear")
        np.testing.assert_allclose(made[48, 46:50, 0], [0.1, 0.2, 0.3, 0.4], rtol=1e-5)

    def test_a_radius_between_two_is_between_them(self):
        small, middle, large = (
            sharpen(picture(), 1.0, kind="box", radius=r, space="linear", halo=10.0) for r in (1, 1.25, 2)
        )
        np.testing.assert_allclose(middle, small + 0.25 * (large - small), rtol=1e-3, atol=1e-3)

    def test_no_halo_beyond_what_is_there(self):
        soft = sharpen(EDGE, -1.0, radius=2.0)
        free, held, half = (sharpen(soft, 4.0, radius=2.0, halo=h) for h in (10.0, 0.0, 0.1))
        assert free.max() > 0.44
        assert free.min() < 0.092
        assert held.max() <= 0.4 + 1e-5
        assert held.min() >= 0.1 - 1e-5
        assert held.max() < half.max() < free.max()
        assert np.abs(np.diff(held[48, :, 0])).max() > np.abs(np.diff(soft[48, :, 0])).max()

    def test_in_stops_a_highlight_digs_no_ditch(self):
        rgb = np.full((40, 40, 3), 0.3, np.float32)
        rgb[:, 20:] = 60.0
        soft = sharpen(rgb, -1.0, radius=1.0, space="linear")
        assert sharpen(soft, 1.0, space="linear", radius=2.0, halo=10.0).min() < -3.0
        assert sharpen(soft, 1.0, space="stops", radius=2.0, halo=10.0).min() > 0.02

    def test_unsharp_keeps_hue(self):
        rgb = np.array([4.5, 2.5, 1.5], np.float32) * EDGE
        made = sharpen(sharpen(rgb, -1.0, kind="unsharp"), 1.0, kind="unsharp", radius=2.0)
        np.testing.assert_allclose(made[..., 0] / made[..., 2], 3.0, rtol=0.02)

    def test_below_the_threshold_nothing_happens(self):
        noise = np.random.default_rng(1).standard_normal((S, S, 1)).astype(np.float32)
        rgb = EDGE * (1.0 + 0.005 * noise)
        plain, held = (
            sharpen(rgb, 2.0, kind="unsharp", radius=2.0, threshold=t, halo=10.0) for t in (0.0, 0.05)
        )
        flat = slice(60, 90)
        np.testing.assert_allclose(held[:, flat], rgb[:, flat], rtol=1e-5)
        assert plain[:, flat].std() > 2.0 * rgb[:, flat].std()
        assert held.max() > 0.45

    def test_nothing_asked_nothing_changed(self):
        rgb = picture()
        assert sharpen(rgb, 0.0) is rgb

    @pytest.mark.parametrize("radius", [0.3, 0.94, 2.7])
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_strips_do_not_show(self, monkeypatch, kind, space, radius):
        rgb = np.random.default_rng(2).gamma(1.0, 0.3, (203, 301, 3)).astype(np.float32)
        how = Sharpen(amount=1.0, kind=kind, space=space, radius=radius)
        found = []
        for pixels in (301 * 50, 301 * 203):
            monkeypatch.setattr("understudy.core.finish.sharpen._BAND", pixels)
            found.append(sharpened(rgb, how))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-7)

    def test_what_is_wrong_is_named(self):
        with pytest.raises(InvalidInput, match="sharpen: kind gausian is none of box, gaussian, unsharp"):
            Sharpen(kind="gausian")
        with pytest.raises(InvalidInput, match="sharpen: amount nan"):
            Sharpen(amount=float("nan"))
        with pytest.raises(InvalidInput, match="sharpen: radius"):
            Sharpen(radius=0.0)


class TestDegrade:
    def test_fine_goes_and_coarse_stays(self):
        fine, coarse = grey(0.5 + 0.3 * np.sin(X * 2.6)), grey(0.5 + 0.3 * np.sin(X * 0.2))
        assert degrade.soften(fine, 0.3)[8:-8, 8:-8].std() < 0.05 * fine.std()
        np.testing.assert_allclose(degrade.soften(coarse, 0.5)[8:-8, 8:-8], coarse[8:-8, 8:-8], atol=0.02)

    @pytest.mark.parametrize("share", [0.13, 0.5, 0.77])
    def test_nothing_moves_and_nothing_rings(self, share):
        blob = grey(np.exp(-((X - 40.3) ** 2 + (Y - 51.7) ** 2) / 50))
        made = degrade.soften(blob, share)[..., 0]
        centre = np.array([(X * made).sum(), (Y * made).sum()]) / made.sum()
        np.testing.assert_allclose(centre, (40.3, 51.7), atol=max(0.06, 0.02 / share))  # 1/50 of its pixels
        hot = degrade.soften(picture(), share)
        assert hot.min() >= -0.05 - 1e-6
        assert hot.max() <= 900.0

    def test_a_keyed_share_does_not_step(self):
        made = [degrade.soften(EDGE, share) for share in np.arange(0.40, 0.45, 0.002)]
        steps = [np.abs(b - a).max() for a, b in pairwise(made)]
        assert max(steps) < 0.02  # half a pixel's is 0.15

    def test_all_of_it_is_the_picture(self):
        rgb = picture()
        assert degrade.soften(rgb, 1.0) is rgb
        assert degrade.posterise(rgb, 8.0, 0.0) is rgb

    def test_as_many_steps_as_asked_in_each_stop(self):
        ramp = grey(np.geomspace(0.1, 0.8, S * S).reshape(S, S))
        assert len(np.unique(degrade.posterise(ramp, 8.0)[..., 0])) == pytest.approx(24, abs=2)
        assert np.abs(degrade.posterise(ramp, 8.0) / ramp - 1.0).max() < 2 ** (1 / 16) - 1 + 0.01

    def test_amount_is_between(self):
        rgb = picture()
        none, half, whole = (degrade.posterise(rgb, 3.0, amount) for amount in (0.0, 0.5, 1.0))
        np.testing.assert_allclose(half, (none + whole) / 2, rtol=1e-4, atol=1e-5)


@pytest.fixture(params=_plugins.names(FAMILY))
def relighter(request) -> Relight:
    return _plugins.load(FAMILY, request.param)


class TestEveryRelighter:
    def test_shape_type_and_finite(self, relighter):
        face, plate = picture(1), picture(2)
        matte = np.clip(1.5 - np.hypot(X - 48, Y - 48) / 25, 0, 1).astype(np.float32)
        kept = [face.copy(), plate.copy(), matte.copy()]
        made = relighter.relight(face, plate, matte, 1.0, 0.2)
        assert made.shape == face.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        for before, after in zip(kept, (face, plate, matte), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_nothing_asked_or_nothing_seen(self, relighter):
        face, plate = picture(1), picture(2)
        assert relighter.relight(face, plate, np.ones((S, S), np.float32), 0.0, 0.2) is face
        assert relighter.relight(face, plate, np.zeros((S, S), np.float32), 1.0, 0.2) is face

    def test_the_plates_own_face_stays(self, relighter):
        rgb = picture(1)
        made = relighter.relight(rgb, rgb, np.ones((S, S), np.float32), 1.0, 0.2)
        np.testing.assert_allclose(made, rgb, rtol=1e-5)


class TestLowFrequency:
    MATTE = (np.hypot(X - 48, Y - 48) < 40).astype(np.float32)
    ALBEDO = (0.3 + 0.1 * np.sin(X * 1.5) * np.sin(Y * 1.3))[..., None] * np.array(
        [1.1, 0.9, 0.7], np.float32
    )

    def lit(self, side):
        """The same face by a light from one side."""
        return (self.ALBEDO * np.exp2(side * (X - 48) / 40)[..., None]).astype(np.float32)

    def test_light_from_the_other_side(self):
        made = low_frequency.relight(self.lit(-0.5), self.lit(0.5), self.MATTE, 1.0, 0.06)
        inside = np.hypot(X - 48, Y - 48) < 30
        off = np.abs(np.log2(made / self.lit(0.5)))[inside]
        was = np.abs(np.log2(self.lit(-0.5) / self.lit(0.5)))[inside]
        assert off.mean() < 0.2 * was.mean()

    def test_features_and_hue_stay(self):
        smooth = np.full_like(self.ALBEDO, 0.3)
        made = low_frequency.relight(self.lit(0.0), smooth, self.MATTE, 1.0, 0.3)
        np.testing.assert_allclose(made / made[..., :1], self.ALBEDO / self.ALBEDO[..., :1], rtol=1e-4)
        inside = self.MATTE > 0
        assert luminance(made)[inside].std() > 0.9 * luminance(self.lit(0.0))[inside].std()

    def test_what_lies_beside_the_matte_does_not_count(self):
        plate = self.lit(0.5)
        beside = plate.copy()
        beside[self.MATTE == 0] = 300.0
        one, other = (low_frequency.relight(self.lit(0.0), p, self.MATTE, 1.0, 0.1) for p in (plate, beside))
        np.testing.assert_allclose(one, other, rtol=1e-5)

    def test_a_lamp_in_the_plate_is_no_light_on_the_face(self):
        plate = self.lit(0.0)
        plate[46:50, 46:50] = 2000.0
        made = low_frequency.relight(self.lit(0.0), plate, self.MATTE, 1.0, 0.1)
        assert np.abs(np.log2(made / self.lit(0.0))).max() < 0.4

    @given(st.floats(0.0, 1.0))
    @settings(max_examples=10, deadline=None)
    def test_amount_is_in_stops(self, amount):
        whole, part = (
            low_frequency.relight(self.lit(-0.5), self.lit(0.5), self.MATTE, a, 0.1) for a in (1.0, amount)
        )
        np.testing.assert_allclose(
            np.log2(part / self.lit(-0.5)), amount * np.log2(whole / self.lit(-0.5)), atol=1e-4
        )

    def test_what_is_wrong_is_named(self):
        with pytest.raises(InvalidInput, match=r"relight\.softness"):
            low_frequency.relight(self.ALBEDO, self.ALBEDO, self.MATTE, 1.0, 0.0)
        with pytest.raises(InvalidInput, match="low_frequency"):
            _plugins.load(FAMILY, "low_freq")
