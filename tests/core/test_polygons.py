"""Polygons as mattes: coverage to the fraction of a pixel, DeepFaceLab's rule of order, and lines that are refused."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.faceset.dfl import geometry, jpeg, metadata
from understudy.core.faceset.polygons import MOST_POINTS, Polygon, check, crossing, draw

BOWTIE = [(2.0, 2.0), (8.0, 8.0), (8.0, 2.0), (2.0, 8.0)]


def polygon(*points: tuple[float, float], include: bool = True) -> Polygon:
    return Polygon(include=include, points=np.array(points, np.float64))


def box(x0: float, y0: float, x1: float, y1: float, *, include: bool = True) -> Polygon:
    return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1), include=include)


def circle(x: float, y: float, radius: float, count: int = 200, *, include: bool = True) -> Polygon:
    t = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    points = np.stack([x + radius * np.cos(t), y + radius * np.sin(t)], axis=1)
    return Polygon(include=include, points=points)


class TestDraw:
    def test_a_pixel_is_as_full_as_it_is_covered(self):
        matte = draw([box(2.5, 3.25, 7.75, 8.0)], (10, 12))
        assert matte.dtype == np.float32
        assert matte.shape == (10, 12)
        np.testing.assert_allclose(matte[5, 1:9], [0, 0.5, 1, 1, 1, 1, 0.75, 0], atol=1e-6)
        np.testing.assert_allclose(matte[3, 3:7], 0.75)
        assert matte[:3].max() == matte[8:].max() == 0.0

    def test_pixel_centres_are_at_one_half(self):
        """A box around one pixel's corners fills that one and no other."""
        matte = draw([box(4.0, 6.0, 5.0, 7.0)], (10, 10))
        assert matte[6, 4] == 1.0
        assert matte.sum() == 1.0

    @given(
        x0=st.floats(-5, 15),
        y0=st.floats(-5, 15),
        width=st.floats(0.5, 30),
        height=st.floats(0.5, 30),
    )
    def test_the_sum_is_the_area_that_lies_in_the_picture(self, x0, y0, width, height):
        matte = draw([box(x0, y0, x0 + width, y0 + height)], (16, 20))
        seen_x = max(0.0, min(x0 + width, 20.0) - max(x0, 0.0))
        seen_y = max(0.0, min(y0 + height, 16.0) - max(y0, 0.0))
        assert matte.sum() == pytest.approx(seen_x * seen_y, abs=seen_x / 16 + 1e-3)
        assert 0.0 <= matte.min() <= matte.max() <= 1.0

    def test_a_circle_has_its_area_and_its_middle(self):
        matte = draw([circle(31.3, 27.8, 20.0)], (64, 64))
        y, x = np.mgrid[:64, :64] + 0.5
        assert matte.sum() == pytest.approx(math.pi * 400, rel=1e-3)
        assert (matte * x).sum() / matte.sum() == pytest.approx(31.3, abs=0.01)
        assert (matte * y).sum() / matte.sum() == pytest.approx(27.8, abs=0.01)

    @pytest.mark.parametrize("turned", [False, True])
    def test_which_way_round_a_line_was_drawn_is_no_matter(self, turned: bool):
        line = circle(10, 10, 6)
        other = Polygon(include=True, points=line.points[::-1] if turned else np.roll(line.points, 7, axis=0))
        np.testing.assert_allclose(draw([line], (20, 20)), draw([other], (20, 20)), atol=1e-6)

    def test_two_includes_that_share_a_side_leave_no_seam(self):
        matte = draw([box(0, 0, 5.3, 10), box(5.3, 0, 12, 10)], (10, 12))
        np.testing.assert_allclose(matte, 1.0, atol=1e-6)

    def test_overlapping_includes_count_once(self):
        one, two = box(1.5, 1, 6, 9), box(1.5, 1, 6, 9)
        np.testing.assert_allclose(draw([one, two], (10, 10)), draw([one], (10, 10)), atol=1e-6)

    def test_excludes_come_last_in_whatever_order_they_were_drawn(self):
        """DeepFaceLab's rule: an include over an exclude does not fill it again."""
        hole, around = box(4, 4, 6, 6, include=False), box(2, 2, 8, 8)
        matte = draw([hole, around], (10, 10))
        assert matte[4:6, 4:6].max() == 0.0
        assert matte.sum() == pytest.approx(32.0)
        np.testing.assert_array_equal(matte, draw([around, hole], (10, 10)))

    def test_excludes_alone_are_nothing(self):
        assert draw([box(2, 2, 8, 8, include=False)], (10, 10)).max() == 0.0
        assert draw([], (10, 10)).max() == 0.0

    def test_scale_is_pixels_for_each_aligned_pixel(self):
        twice = draw([circle(10, 8, 5)], (40, 40), scale=2.0)
        averaged = cv2.resize(twice, (20, 20), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(averaged, draw([circle(10, 8, 5)], (20, 20)), atol=0.04)

    def test_a_line_that_crosses_itself_is_filled_as_an_editor_shows_it(self):
        """By the even-odd rule: both wings of a bow tie are inside."""
        matte = draw([polygon(*BOWTIE)], (10, 10))
        assert matte.sum() == pytest.approx(18.0, abs=0.1)
        assert matte[3, 5] == 0.0  # above the knot
        assert matte[5, 3] == matte[5, 6] == 1.0  # in either wing

    @pytest.mark.parametrize("height", [1, 63, 64, 65, 130])
    def test_strips_do_not_show(self, height: int):
        matte = draw([box(1.25, -10, 3.5, 500)], (height, 6))
        np.testing.assert_allclose(matte, np.tile([0, 0.75, 1, 0.5, 0, 0], (height, 1)), atol=1e-6)


@pytest.mark.parametrize("name", ["00001_0", "00003_2"])
def test_deepfacelabs_polygons_fill_what_it_fills(shared: Path, name: str):
    """Its own drawing truncates points to whole pixels and draws the line too: half a pixel to one and a half."""
    file = shared / "golden" / "dfl" / "dflimg" / f"{name}.jpg"
    said = metadata.read(jpeg.metadata(file.read_bytes(), file) or b"", file)
    theirs = np.load(file.with_suffix(".npz"))["poly_overlay_u8"]
    polygons = [Polygon(include=p.kind == 1, points=geometry.ours(p.points)) for p in said.seg_ie_polys]
    assert {p.include for p in polygons} == {True, False}
    ours = draw(polygons, theirs.shape)
    near = cv2.dilate(theirs, np.ones((5, 5))) != cv2.erode(theirs, np.ones((5, 5)))
    np.testing.assert_allclose(ours[~near], theirs[~near], atol=1e-6)
    assert near.mean() < 0.3
    assert np.minimum(ours > 0.5, theirs).sum() / np.maximum(ours > 0.5, theirs).sum() > 0.92


class TestRefused:
    @pytest.mark.parametrize(
        ("points", "says"),
        [
            ([(1, 1), (2, 2)], "2 points"),
            ([], "not pairs"),
            ([(1, 1, 1)] * 3, "not pairs"),
            ([(1, 1), (2, math.nan), (3, 3)], "not finite"),
            ([(1, 1), (2, math.inf), (3, 3)], "not finite"),
            ([(1, 1), (2, 1e8), (3, 3)], "10 million"),
            ([(i, i * i) for i in range(MOST_POINTS + 1)], "4097 points"),
        ],
    )
    def test_points_that_make_no_polygon(self, points, says):
        with pytest.raises(InvalidInput, match=says):
            Polygon(include=True, points=np.array(points, np.float64))

    @pytest.mark.parametrize(
        ("polygons", "says"),
        [
            ([], "none; one must include"),
            ([box(1, 1, 4, 4, include=False)], "only exclude; one must include"),
            ([box(1, 1, 9, 9), polygon((1, 1), (5, 5), (9, 9))], "number 2 is empty"),
            ([polygon((3, 3), (3, 3), (3, 3))], "number 1 is empty"),
            ([polygon(*BOWTIE)], r"number 1 crosses itself near \(5.0, 5.0\)"),
        ],
    )
    def test_labels_that_nobody_meant(self, polygons, says):
        with pytest.raises(InvalidInput, match=says):
            check(polygons)

    def test_good_ones_are_not(self):
        check([circle(10, 10, 8), box(8, 8, 12, 12, include=False)])
        check([polygon((0, 0), (10, 0), (10, 10), (5, 4), (0, 10))])  # not convex

    @given(st.integers(3, 40), st.integers(0, 2**32 - 1))
    def test_a_star_shaped_line_does_not_cross_itself(self, count, seed):
        dice = np.random.default_rng(seed)
        t = np.linspace(0, 2 * math.pi, count, endpoint=False)
        radius = dice.uniform(5, 50, count)
        assert crossing(np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)) is None

    @given(st.integers(6, 40), st.integers(0, 2**32 - 1))
    def test_two_points_that_changed_places_make_it_cross(self, count, seed):
        dice = np.random.default_rng(seed)
        t = np.linspace(0, 2 * math.pi, count, endpoint=False)
        points = np.stack([30 * np.cos(t), 30 * np.sin(t)], axis=1)
        i = int(dice.integers(0, count))
        j = (i + int(dice.integers(2, count - 2))) % count
        points[[i, j]] = points[[j, i]]
        if abs(i - j) not in (0, 1, count - 1):
            assert crossing(points) is not None
