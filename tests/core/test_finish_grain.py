"""Grain: measured where its truth is known, made again, and taken off."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from understudy.core.errors import InvalidInput
from understudy.core.finish import grain, measure
from understudy.core.finish.denoise import denoise
from understudy.core.image import luminance

H, W = 224, 256
Y, X = np.mgrid[:H, :W].astype(np.float32)
SHARES = np.array([1.0, 0.8, 1.5], np.float32)  # blue is noisiest
COLOUR = np.array([1.1, 1.0, 0.8], np.float32)
SMOOTH = (0.18 * np.exp(0.8 * np.sin(X / 90) + 0.5 * np.cos(Y / 70)))[..., None] * COLOUR


def unit(size, seed, shape=(H, W, 3)):
    """Grain of deviation 1, as coarse as a Gaussian blur of so many pixels makes it."""
    white = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    if size == 0.0:
        return white
    gain = np.sqrt((spread(size) ** 2).sum())
    return cv2.GaussianBlur(white, (0, 0), size).reshape(shape) / gain


def spread(size):
    """What such a blur makes of one pixel, (41, 41)."""
    impulse = np.zeros((41, 41), np.float32)
    impulse[20, 20] = 1.0
    return impulse if size == 0.0 else cv2.GaussianBlur(impulse, (0, 0), size)


def side(size):
    """`Grain.size` of such grain, by its definition."""
    power = np.abs(np.fft.fft2(spread(size), (64, 64))) ** 2
    correlation = np.fft.ifft2(power).real
    return np.sqrt((correlation**2).sum()) / correlation[0, 0]


def deviation(picture):
    """Of the known grain: some that is always there, some that grows with the light."""
    return (0.01 + 0.03 * luminance(picture))[..., None] * SHARES


def grained(picture, size, seed):
    return (picture + unit(size, seed, picture.shape) * deviation(picture)).astype(np.float32)


def measured(*frames, **others):
    found = measure.measure(frames, **others)
    assert found is not None
    return found


def known(level):
    return (0.01 + 0.03 * level) * SHARES


class TestMeasure:
    @pytest.mark.parametrize("size", [0.0, 0.6, 1.1])
    def test_known_grain_is_found_within_a_tenth(self, size):
        found = measured(grained(SMOOTH, size, 1))
        for level in (0.18, 0.3, 0.45):
            at = found.deviation(np.array([level], np.float32))[0]
            np.testing.assert_allclose(at, known(level), rtol=0.1)
        np.testing.assert_allclose(found.size, side(size), rtol=0.08)

    def test_as_bright_as_it_may_be(self):
        """Exposure is a factor: all numbers go with it, up to values far above 1."""
        found = measured(200.0 * grained(SMOOTH, 0.6, 1))
        at = found.deviation(np.array([36.0], np.float32))[0]
        np.testing.assert_allclose(at, 200.0 * known(0.18), rtol=0.1)

    def test_texture_and_edges_are_not_taken_for_grain(self):
        busy = SMOOTH.copy()
        stripes = 1.0 + 0.5 * np.sign(np.sin(X * 0.9) * np.sin(Y * 0.7))
        busy[: H // 3] *= stripes[: H // 3, :, None]
        busy[:, 60:63] *= 4.0
        found = measured(grained(busy, 0.6, 2))
        at = found.deviation(np.array([0.2], np.float32))[0]
        np.testing.assert_allclose(at, known(0.2), rtol=0.1)

    def test_levels_at_which_nothing_is_flat_are_not_believed(self):
        """Leaves in the dark half of a picture, a wall in the bright one."""
        busy = np.full((H, W, 3), 0.1, np.float32)
        busy *= np.exp(0.5 * unit(2.0, 5, (H, W, 1)))
        busy[:, W // 2 :] = 0.5
        found = measured(grained(busy, 0.6, 2))
        at = found.deviation(np.array([0.1, 0.5], np.float32))
        np.testing.assert_allclose(at[1], known(0.5), rtol=0.1)
        assert (at[0] < 2.0 * known(0.5)).all()  # what is known nearest to it, and not the leaves' 0.05
        assert busy[:, : W // 2].std() > 0.04

    def test_a_window_blown_out_and_a_black_bar_say_nothing_of_the_rest(self):
        frame = grained(SMOOTH, 0.6, 2)
        frame[: H // 2] = 1.0
        frame[-32:] = 0.0
        found = measured(frame)
        assert found.deviation(np.array([1.0], np.float32)).max() == 0.0
        at = found.deviation(np.array([0.2], np.float32))[0]
        np.testing.assert_allclose(at, known(0.2), rtol=0.1)

    def test_two_frames_tell_what_one_can_not(self):
        """Fine texture all over, and nothing flat: of one frame it is grain."""
        texture = 1.0 + 0.2 * unit(0.6, 77, (H, W, 1))
        busy = (SMOOTH * texture).astype(np.float32)
        one, two = (grained(busy, 0.6, seed) for seed in (3, 4))
        alone = measured(one).deviation(np.array([0.2], np.float32))[0]
        assert alone[1] > 1.5 * known(0.2)[1]
        both = measured(one, two).deviation(np.array([0.2], np.float32))[0]
        np.testing.assert_allclose(both, known(0.2), rtol=0.1)

    def test_along_a_movement(self):
        texture = 1.0 + 0.2 * unit(0.6, 77, (H, W, 1))
        busy = (0.2 * texture * COLOUR).astype(np.float32)
        one, two = grained(busy, 0.6, 3), grained(np.roll(busy, (4, -7), (0, 1)), 0.6, 4)
        move = np.array([[1.0, 0.0, -7.0], [0.0, 1.0, 4.0]])
        still = measured(one, two).deviation(np.array([0.2], np.float32))[0]
        along = measured(one, two, moves=[move]).deviation(np.array([0.2], np.float32))[0]
        assert still[1] > 1.5 * known(0.2)[1]
        np.testing.assert_allclose(along, known(0.2), rtol=0.1)

    def test_a_frame_that_is_held_shows_no_difference_and_is_not_believed(self):
        one = grained(SMOOTH, 0.6, 5)
        np.testing.assert_array_equal(measured(one, one).deviations[:, 1] > 0.005, True)

    def test_only_under_the_matte(self):
        frame = grained(SMOOTH, 0.6, 6)
        frame[:, : W // 2] = SMOOTH[:, : W // 2]  # a corner of the picture that has none
        matte = np.ones((H, W), np.float32)
        matte[:, : W // 2] = 0.0
        at = measured(frame, mattes=[matte]).deviation(np.array([0.2], np.float32))[0]
        np.testing.assert_allclose(at, known(0.2), rtol=0.1)

    def test_no_grain_is_none(self):
        found = measured(np.full((96, 96, 3), 0.18, np.float32))
        assert found.deviations.max() == 0.0
        assert not grain.layer(found, SMOOTH, [1]).any()

    @pytest.mark.parametrize("shape", [(8, 8, 3), (16, 200, 3)])
    def test_too_little_to_say(self, shape):
        assert measure.measure([np.full(shape, 0.2, np.float32)]) is None
        assert measure.measure([]) is None

    def test_pixels_that_are_no_numbers_and_a_lamp(self):
        frame = grained(SMOOTH, 0.6, 8)
        frame[30, 40] = np.nan
        frame[100, 200, 1] = np.inf
        frame[150:156, 60:66] = 900.0
        frame[20:24] *= -1.0
        at = measured(frame).deviation(np.array([0.2], np.float32))[0]
        np.testing.assert_allclose(at, known(0.2), rtol=0.1)

    def test_correlation_between_channels(self):
        noise = unit(0.6, 9)
        noise[..., 1] = 0.8 * noise[..., 0] + 0.6 * noise[..., 1]
        found = measured((0.2 + 0.01 * noise).astype(np.float32))
        assert found.channels[0, 1] == pytest.approx(0.8, abs=0.05)
        assert found.channels[0, 2] == pytest.approx(0.0, abs=0.05)
        made = grain.layer(found, np.full((H, W, 3), 0.2, np.float32), [3]).reshape(-1, 3)
        np.testing.assert_allclose(np.corrcoef(made.T), found.channels, atol=0.05)


class TestMeasurePhotograph:
    """A portrait before a wall, in linear light, with grain laid over it: hair, cloth and skin beside what is flat."""

    @staticmethod
    def shares(count):
        """What is found, over what is there, at the levels that are believed."""
        astronaut = pytest.importorskip("skimage.data").astronaut()
        picture = (astronaut / 255.0).astype(np.float32) ** 2.2
        frames = [
            (picture + unit(0.7, seed, picture.shape) * (0.005 + 0.06 * picture)).astype(np.float32)
            for seed in range(count)
        ]
        found = measured(*frames)
        return found.levels, found.deviations[:, 1] / (0.005 + 0.06 * found.levels)

    def test_of_one_frame_what_can_not_be_told_is_not(self):
        levels, share = self.shares(1)
        assert levels.max() > 0.4
        np.testing.assert_allclose(share[levels > 0.05], 1.0, atol=0.15)

    def test_of_two_all_levels_are_found(self):
        levels, share = self.shares(2)
        assert len(levels) >= 10
        assert levels.min() < 0.02
        assert np.median(np.abs(share - 1.0)) < 0.1
        np.testing.assert_allclose(share, 1.0, atol=0.4)


class TestLayer:
    @pytest.mark.parametrize("size", [0.0, 0.6, 1.1])
    def test_what_is_made_measures_the_same(self, size):
        plate = measured(grained(SMOOTH, size, 1))
        face = np.ascontiguousarray(SMOOTH[::-1])
        made = grain.layer(plate, face, [1001])
        np.testing.assert_allclose((made / deviation(face)).std((0, 1)), 1.0, rtol=0.1)
        again = measured(face + made)
        for level in (0.18, 0.3, 0.45):
            at = np.array([level], np.float32)
            np.testing.assert_allclose(again.deviation(at), plate.deviation(at), rtol=0.1)
        np.testing.assert_allclose(again.size, plate.size, rtol=0.08)

    def test_grain_that_is_longer_one_way(self):
        white = np.random.default_rng(2).standard_normal((H, W, 3)).astype(np.float32)
        long = cv2.GaussianBlur(white, (0, 0), 1.5, sigmaY=0.4)
        plate = measured((0.2 + 0.02 * long).astype(np.float32))
        made = grain.layer(plate, np.full((H, W, 3), 0.2, np.float32), [7])
        across = (made[:, 1:] * made[:, :-1]).mean() / (made**2).mean()
        down = (made[1:] * made[:-1]).mean() / (made**2).mean()
        assert across > 0.7
        assert down < 0.3

    def test_seeds(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        made = {seed: grain.layer(plate, SMOOTH, seed) for seed in [(1001,), (1002,), (1001, 1), (-1,)]}
        np.testing.assert_array_equal(made[(1001,)], grain.layer(plate, SMOOTH, [1001]))
        seeds = list(made)
        for i, one in enumerate(seeds):
            for other in seeds[i + 1 :]:
                likeness = (made[one] * made[other]).mean() / (made[one].std() * made[other].std())
                assert abs(likeness) < 0.03

    def test_off_is_off(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        assert not grain.layer(plate, SMOOTH, [1], amount=0.0).any()
        with pytest.raises(InvalidInput, match=r"grain\.amount"):
            grain.layer(plate, SMOOTH, [1], amount=-1.0)

    def test_light_stays(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        assert abs(grain.layer(plate, SMOOTH, [1]).mean()) < 2e-4

    def test_a_face_with_anything_in_it(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        face = SMOOTH.copy()
        face[3, 4], face[9, 9], face[50:60, 50:60], face[80:90] = np.nan, np.inf, 5000.0, -0.3
        made = grain.layer(plate, face, [1])
        assert np.isfinite(made).all()
        assert np.abs(made).max() < 1.0  # held beyond what was measured

    def test_a_feathered_mix_has_no_smooth_rim(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        under = unit(0.6, 40) * deviation(SMOOTH)
        made = grain.layer(plate, SMOOTH, [1])
        for share in (0.3, 0.5, 0.8):
            matte = np.full((H, W), share, np.float32)
            plain = under * (1 - share) + made * share
            mended = under * (1 - share) + grain.through(made, matte) * share
            assert plain.std() < 0.87 * under.std()
            assert mended.std() == pytest.approx(under.std(), rel=0.08)
        np.testing.assert_array_equal(grain.through(made, np.ones((H, W), np.float32)), made)
        assert np.isfinite(grain.through(made, np.zeros((H, W), np.float32))).all()

    def test_no_ring_around_a_faint_edge(self):
        """Along a feather the layer swells and goes back to what it is beyond; the mix lacks a twelfth at most."""
        share = np.linspace(1.0, 0.0, 2001, dtype=np.float32)[None]
        gain = grain.through(np.ones((1, 2001, 3), np.float32), share)[0, :, 0]
        assert np.abs(np.diff(gain)).max() < 0.012
        assert gain[-1] == pytest.approx(1.0, abs=0.02)
        assert gain.max() == pytest.approx(3.0, abs=0.02)
        left = np.hypot(1.0 - share[0], share[0] * gain)
        assert left.min() > 1.0 - 1.0 / 12.0
        assert left[share[0] > 0.2].min() > 0.999


class TestMissing:
    def test_a_face_with_half_the_grain_gets_the_rest(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        face = SMOOTH + 0.6 * unit(0.6, 11) * deviation(SMOOTH)
        added = grain.missing(plate, measured(face))
        at = np.array([0.2], np.float32)
        np.testing.assert_allclose(added.deviation(at)[0], 0.8 * known(0.2), rtol=0.12)
        made = face + grain.layer(added, SMOOTH, [1])
        np.testing.assert_allclose(measured(made).deviation(at)[0], known(0.2), rtol=0.1)

    def test_slow_mottle_does_not_stand_in_for_fine_grain(self):
        plate = measured(grained(SMOOTH, 0.0, 1))
        face = SMOOTH + 1.0 * unit(1.6, 12) * deviation(SMOOTH)
        added = grain.missing(plate, measured(face))
        assert added.deviation(np.array([0.2], np.float32))[0, 1] > 0.85 * known(0.2)[1]

    def test_a_face_with_more_gets_none(self):
        plate, face = measured(grained(SMOOTH, 0.6, 1)), SMOOTH + 3.0 * unit(0.6, 12) * deviation(SMOOTH)
        added = grain.missing(plate, measured(face))
        assert added.deviations.max() < 0.1 * plate.deviations.max()

    def test_of_a_clean_face_all_is_missing(self):
        plate = measured(grained(SMOOTH, 0.6, 1))
        added = grain.missing(plate, measured(np.full((96, 96, 3), 0.18, np.float32)))
        np.testing.assert_allclose(added.deviations, plate.deviations, rtol=1e-6)


class TestNumbers:
    def test_there_and_back_as_json(self):
        found = measured(grained(SMOOTH, 0.6, 1))
        again = grain.Grain.from_dict(json.loads(json.dumps(found.to_dict())))
        np.testing.assert_array_equal(grain.layer(found, SMOOTH, [1]), grain.layer(again, SMOOTH, [1]))

    @pytest.mark.parametrize("lacking", ["levels", "deviations", "correlation", "channels"])
    def test_what_is_wrong_is_named(self, lacking):
        form = measured(grained(SMOOTH, 0.6, 1)).to_dict()
        with pytest.raises(InvalidInput, match=lacking):
            grain.Grain.from_dict({**form, lacking: [[0.0], [np.nan]]})
        del form[lacking]
        with pytest.raises(InvalidInput, match=lacking):
            grain.Grain.from_dict(form)


class TestDenoise:
    def test_noise_goes_and_edges_stay(self):
        clean = SMOOTH.copy()
        clean[:, 128:] *= 3.0
        noisy = grained(clean, 0.6, 20)
        made = denoise(noisy, measured(noisy), 1.5)
        flat = (np.abs(X - 128) > 12)[..., None] & (Y > 8)[..., None] & (Y < H - 8)[..., None]
        flat = np.broadcast_to(flat, clean.shape)
        assert np.std((made - clean)[flat]) < 0.5 * np.std((noisy - clean)[flat])
        step = (made[:, 130] - made[:, 125]).mean() / (clean[:, 130] - clean[:, 125]).mean()
        assert step == pytest.approx(1.0, abs=0.05)

    def test_a_lamp_stays_and_light_too(self):
        noisy = grained(SMOOTH, 0.6, 20)
        noisy[100:103, 100:103] = 2000.0
        noisy[50, 50] = -0.4
        made = denoise(noisy, measured(noisy))
        np.testing.assert_allclose(made[101, 101], 2000.0, rtol=1e-3)
        assert made[50, 50, 1] < -0.2
        assert made.mean() == pytest.approx(float(noisy.mean()), rel=2e-3)

    def test_none_and_no_numbers(self):
        noisy = grained(SMOOTH, 0.6, 20)
        found = measured(noisy)
        assert denoise(noisy, found, 0.0) is noisy
        noisy[10, 10] = np.nan
        assert np.isfinite(denoise(noisy, found)).all()
