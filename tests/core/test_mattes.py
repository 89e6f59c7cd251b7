"""Mattes, the colours under their edge, and the pipeline: the pieces a merge is made of."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.merge import mattes
from understudy.core.pipeline import overlapped

Y, X = np.mgrid[0:120, 0:140].astype(np.float32) + 0.5
DISC = (np.hypot(X - 70, Y - 60) < 40).astype(np.float32)


def radius(matte, level=0.5):
    """Of the disc with as many pixels above the level."""
    return float(np.sqrt((matte > level).sum() / np.pi))


class TestShape:
    @pytest.mark.parametrize("pixels", [1.0, 3.0, 7.0, 15.0])
    def test_erode_is_in_pixels(self, pixels):
        assert radius(mattes.shape(DISC, pixels, 0.0)) == pytest.approx(40 - pixels, abs=0.05 * pixels + 0.6)

    def test_negative_erode_grows(self):
        assert radius(mattes.shape(DISC, -6.0, 0.0)) == pytest.approx(46, abs=0.9)

    def test_fractions_count(self):
        sums = [float(mattes.shape(DISC, pixels, 0.0).sum()) for pixels in np.arange(0.0, 3.01, 0.25)]
        assert (np.diff(sums) < 0).all()

    @pytest.mark.parametrize("feather", [2.0, 9.5, 24.0])
    def test_the_soft_edge_lies_inside(self, feather):
        soft = mattes.shape(DISC, 0.0, feather)
        assert (soft[DISC == 0] == 0).all()
        assert soft[60, 70] == pytest.approx(1.0, abs=1e-6)
        profile = soft[60, 70:112]
        width = ((profile > 0.01) & (profile < 0.99)).sum()
        assert 0.4 * feather <= width <= feather + 2

    def test_nothing_asked_nothing_changed(self):
        assert (mattes.shape(DISC, 0.0, 0.0) == DISC).all()

    def test_a_matte_cut_by_the_picture_keeps_its_edge_there(self):
        assert mattes.shape(np.ones((50, 50), np.float32), 5.0, 8.0).min() > 0.999


def test_settled_is_half_exact_and_zero_where_it_would_do_nothing():
    raw = np.array([[-0.1, 1e-7, 2.0**-13, 2.0**-11, 0.3, 1.0, 1.2]], np.float32)
    settled = mattes.settle(raw)
    assert (settled == settled.astype(np.float16)).all()
    assert settled[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert settled[0, 3] > 0
    assert settled[0, 5:].tolist() == [1.0, 1.0]


def test_valid_falls_to_nothing_at_the_crops_border():
    valid = mattes.valid(64)
    assert valid[32, 32] == 1.0
    assert valid[0].max() < 0.2
    assert (valid == valid.T).all()


class TestExtend:
    def test_inside_stays_and_outside_flows_on(self):
        rng = np.random.default_rng(1)
        rgb = np.broadcast_to(np.array([0.4, 0.2, 6.0], np.float32), (96, 96, 3)).copy()
        support = (np.hypot(*(np.mgrid[0:96, 0:96] - 47.5)) < 30).astype(np.float32)
        rgb[support == 0] = rng.normal(0, 100, (int((support == 0).sum()), 3))
        filled = mattes.extend(rgb, support)
        assert (filled[support == 1] == rgb[support == 1]).all()
        np.testing.assert_allclose(
            filled[support == 0], [[0.4, 0.2, 6.0]] * int((support == 0).sum()), rtol=0.02
        )

    @pytest.mark.parametrize("size", [1, 2, 3, 17, 64])
    def test_no_support_at_all_is_finite(self, size):
        rgb = np.ones((size, size, 3), np.float32)
        filled = mattes.extend(rgb, np.zeros((size, size), np.float32))
        assert filled.shape == rgb.shape
        assert filled.dtype == np.float32
        assert np.isfinite(filled).all()


def test_the_hull_moves_by_less_than_a_pixel():
    """A quarter of a pixel's move shows as a quarter of a pixel: no steps, no jitter."""
    from tests.core.shots import landmarks

    centres = []
    for shift in (0.0, 0.25, 0.5, 0.75, 1.0):
        matte = soft(hull, landmarks((32.0 + shift, 30.0), 34.0).astype(np.float64), (64, 64), times=16)
        centres.append(float((matte * (np.arange(64) + 0.5)).sum() / matte.sum()))
    np.testing.assert_allclose(np.diff(centres), 0.25, atol=0.06)


class TestPipeline:
    def test_order_is_kept_whatever_takes_long(self):
        def slow(item):
            time.sleep(0.02 if item % 3 == 0 else 0.0)
            return item

        assert list(overlapped(range(12), slow, lambda i: i * 10, slow)) == [i * 10 for i in range(12)]

    def test_few_are_in_flight(self):
        flying, most = 0, 0
        lock = threading.Lock()

        def read(item):
            nonlocal flying, most
            with lock:
                flying += 1
                most = max(most, flying)
            return item

        def write(item):
            nonlocal flying
            time.sleep(0.002)
            with lock:
                flying -= 1
            return item

        assert len(list(overlapped(range(60), read, lambda i: i, write))) == 60
        assert most <= 8

    def test_steps_overlap(self):
        def step(item):
            time.sleep(0.01)
            return item

        started = time.perf_counter()
        list(overlapped(range(20), step, step, step))
        assert time.perf_counter() - started < 0.45  # one after the other: 0.6

    @pytest.mark.parametrize("stage", [0, 1, 2])
    def test_an_exception_comes_out_and_the_threads_end(self, stage):
        def step(place):
            def work(item):
                if place == stage and item == 5:
                    raise KeyError(item)
                return item

            return work

        with pytest.raises(KeyError):
            list(overlapped(range(20), step(0), step(1), step(2)))
        assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]

    def test_closing_ends_it(self):
        touched: list[int] = []

        def same(item: int) -> int:
            return item

        work = overlapped(range(1000), same, same, touched.append)
        next(work)
        work.close()
        assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]
        count = len(touched)
        time.sleep(0.02)
        assert len(touched) == count < 20
