"""Motion blur: along the way that landmarks go, as long as the shutter is open, and no light lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.finish import motion
from understudy.core.frames import Window

POINTS = np.random.default_rng(3).uniform(40, 120, (68, 2))
WINDOW = Window(1000, -200, 160, 160)
MIDDLE = np.array([1080.0, -120.0])
FACE = POINTS + np.array([1000.0, -200.0])


def turned(points, degrees=0.0, scale=1.0, shift=(0.0, 0.0), about=MIDDLE):
    turn = math.radians(degrees)
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return (points - about) @ linear.T + about + shift


def going(x, y):
    return motion.motion(FACE, FACE - np.array([x, y]), FACE + np.array([x, y]))


def dot(value=1.0):
    matte = np.zeros((160, 160), np.float32)
    matte[80, 80] = 1.0
    return np.full((160, 160, 3), value, np.float32), matte


def blurred(face_and_matte, moves, shutter):
    face, matte = face_and_matte
    return motion.blur(face, matte, moves, WINDOW, shutter=shutter)


def moments(matte):
    """Sum, centre (x, y) in pixels of the array, and covariance."""
    y, x = np.mgrid[: len(matte), : matte.shape[1]] + 0.5
    total = matte.sum(dtype=np.float64)
    centre = np.array([(x * matte).sum(), (y * matte).sum()]) / total
    away = np.stack([x - centre[0], y - centre[1]])
    return total, centre, np.einsum("ihw,jhw,hw->ij", away, away, matte) / total


class TestMotion:
    @given(st.floats(-20, 20), st.floats(0.9, 1.1), st.floats(-30, 30), st.floats(-20, 20))
    @settings(max_examples=30, deadline=None)
    def test_it_meets_the_landmarks_of_both_neighbours(self, degrees, scale, x, y):
        before, after = turned(FACE, degrees, scale, (x, y)), turned(FACE, 3.0, 1.01, (y, 1.0))
        moves = motion.motion(FACE, before, after)
        for time, there in ((-1.0, before), (0.0, FACE), (1.0, after)):
            found = moves.at(time)
            np.testing.assert_allclose(FACE @ found[:, :2].T + found[:, 2], there, atol=1e-6)

    def test_a_turn_goes_round_and_not_across(self):
        moves = motion.motion(FACE, turned(FACE, -60.0), turned(FACE, 60.0))
        half = moves.at(0.5)
        np.testing.assert_allclose(FACE @ half[:, :2].T + half[:, 2], turned(FACE, 30.0), atol=1e-6)

    def test_on_a_steady_way_a_neighbour_that_is_not_there_changes_nothing(self):
        both, step = going(6.0, -3.0), np.array([6.0, -3.0])
        for alone in (motion.motion(FACE, None, FACE + step), motion.motion(FACE, FACE - step, None)):
            np.testing.assert_allclose(alone.at(0.4), both.at(0.4), atol=1e-9)
        np.testing.assert_allclose(motion.motion(FACE, None, None).at(0.7), np.eye(2, 3), atol=1e-12)

    def test_affine_squashes_where_a_similarity_can_not(self):
        squashed = MIDDLE + (FACE - MIDDLE) * (0.8, 1.0)
        affine = motion.motion(FACE, None, squashed, kind="affine").at(1.0)
        np.testing.assert_allclose(FACE @ affine[:, :2].T + affine[:, 2], squashed, atol=1e-6)
        similar = motion.motion(FACE, None, squashed).at(1.0)
        assert similar[0, 0] == pytest.approx(similar[1, 1])

    def test_a_turn_among_pixels_that_are_not_square(self):
        """What turns on the screen is no similarity of the plate's pixels."""

        def on_plate(points):
            return points / (2.0, 1.0)

        moves = motion.motion(on_plate(FACE), None, on_plate(turned(FACE, 20.0)), pixel_aspect=2.0)
        found = moves.at(0.5)
        there = on_plate(FACE) @ found[:, :2].T + found[:, 2]
        np.testing.assert_allclose(there, on_plate(turned(FACE, 10.0)), atol=1e-6)

    def test_what_is_wrong_is_named(self):
        with pytest.raises(InvalidInput, match="did you mean 'affine'"):
            motion.motion(FACE, None, FACE, kind="afine")
        with pytest.raises(InvalidInput, match="landmarks"):
            motion.motion(FACE, None, FACE * np.nan)
        with pytest.raises(InvalidInput, match="landmarks"):
            motion.motion(FACE * (1.0, 0.0), None, FACE, kind="affine")
        with pytest.raises(InvalidInput, match=r"motion\.shutter"):
            blurred(dot(), going(1, 1), -0.5)


class TestBlur:
    @pytest.mark.parametrize(("x", "y"), [(24.0, 0.0), (0.0, -13.0), (15.0, 20.0), (1.3, 0.4)])
    @pytest.mark.parametrize("shutter", [0.5, 1.0])
    def test_a_dot_becomes_a_line_as_long_as_it_goes(self, x, y, shutter):
        _, matte = blurred(dot(), going(x, y), shutter)
        total, centre, spread = moments(matte)
        assert total == pytest.approx(1.0, rel=1e-5)
        np.testing.assert_allclose(centre, (80.5, 80.5), atol=0.02)
        length = math.hypot(x, y) * shutter
        way = np.array([x, y]) / math.hypot(x, y)
        along, across = way @ spread @ way, way[::-1] @ (spread * [[1, -1], [-1, 1]]) @ way[::-1]
        assert math.sqrt(12.0 * along) == pytest.approx(length, abs=0.12 * length + 0.9)
        assert across < 0.26  # what linear interpolation spreads at most

    def test_light_is_kept_too(self):
        """Premultiplied: a lamp on the matte's dot is as much light, drawn out."""
        face, matte = dot(300.0)
        made, covered = motion.blur(face, matte, going(20.0, 7.0), WINDOW, shutter=0.5)
        light = (made[..., 0].astype(np.float64) * covered).sum()
        assert light == pytest.approx(300.0, rel=1e-3)
        np.testing.assert_allclose(made, 300.0, rtol=1e-4)

    def test_colour_is_that_of_what_passed(self):
        """Left half red under the matte, right half blue outside it: no blue comes in."""
        face = np.zeros((160, 160, 3), np.float32)
        face[:, :80, 0], face[:, 80:, 2] = 1.0, 50.0
        matte = np.zeros((160, 160), np.float32)
        matte[40:120, 40:80] = 1.0
        made, covered = motion.blur(face, matte, going(16.0, 0.0), WINDOW, shutter=1.0)
        seen = covered > 0.02
        assert (made[seen][:, 2] * covered[seen]).max() < 0.02
        assert (made[seen][:, 0] > 0.2).all()
        assert covered[80, 84] == pytest.approx(0.25, abs=0.05)

    def test_a_turn_blurs_the_rim_and_not_the_middle(self):
        moves = motion.motion(FACE, turned(FACE, -12.0), turned(FACE, 12.0))
        matte = np.zeros((160, 160), np.float32)
        matte[79:81, 79:81] = 1.0
        middle = motion.blur(dot()[0], matte, moves, WINDOW, shutter=0.5)[1]
        assert middle[79:81, 79:81].min() > 0.95
        rim = motion.blur(dot()[0], np.roll(matte, 60, axis=1), moves, WINDOW, shutter=0.5)[1]
        _, _, spread = moments(rim)
        assert math.sqrt(12.0 * spread[1, 1]) == pytest.approx(60 * math.radians(12.0) * 0.5, rel=0.25)
        assert spread[0, 0] < 0.8

    def test_what_it_turns_about_stays(self):
        moves = motion.motion(FACE, turned(FACE, -90.0), turned(FACE, 90.0))
        matte = np.zeros((160, 160), np.float32)
        matte[76:84, 76:84] = 1.0
        _, centre, _ = moments(motion.blur(dot()[0], matte, moves, WINDOW, shutter=1.0)[1])
        np.testing.assert_allclose(centre, (80.0, 80.0), atol=0.01)

    def test_far_away_nothing_stays_nothing(self):
        face, matte = dot()
        _, covered = motion.blur(face, matte, going(20.0, 0.0), WINDOW, shutter=0.5)
        assert (covered[:79] == 0.0).all()
        assert (covered[:, :73] == 0.0).all()
        reach = going(20.0, 0.0).reach(WINDOW, 0.5)
        assert reach == 6
        assert (covered[:, : 80 - reach] == 0.0).all()

    def test_standing_still_is_bit_for_bit(self):
        face, matte = dot()
        for moves, shutter in ((going(0.0, 0.0), 0.5), (going(9.0, 9.0), 0.0)):
            made, covered = motion.blur(face, matte, moves, WINDOW, shutter=shutter)
            assert made is face
            assert covered is matte

    def test_values_stay_between_those_there_were(self):
        rng = np.random.default_rng(1)
        face = (rng.standard_normal((160, 160, 3)) * 100.0).astype(np.float32)
        matte = rng.random((160, 160)).astype(np.float32)
        face[50:53, 50:53], face[9, 9] = 4000.0, np.nan
        made, covered = motion.blur(face, matte, going(11.0, 5.0), WINDOW, shutter=0.7)
        assert np.isfinite(made).all()
        assert made.max() <= 4000.4
        assert made.min() >= np.nanmin(face) - 0.1
        assert covered.min() >= 0.0
        assert covered.max() <= 1.0

    def test_at_the_windows_edge_it_goes_on(self):
        face, matte = dot(2.0)
        made, covered = motion.blur(face, np.ones_like(matte), going(30.0, 0.0), WINDOW, shutter=0.5)
        np.testing.assert_allclose(covered, 1.0, rtol=1e-6)
        np.testing.assert_allclose(made, 2.0, rtol=1e-5)

    def test_an_empty_window(self):
        face, matte = np.zeros((0, 5, 3), np.float32), np.zeros((0, 5), np.float32)
        made, covered = motion.blur(face, matte, going(3, 3), Window(0, 0, 5, 0), shutter=0.5)
        assert made.shape == face.shape
        assert covered.shape == matte.shape
