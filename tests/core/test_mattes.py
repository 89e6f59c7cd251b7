"""Mattes, the colours under their edge, and the pipeline: the pieces a merge is made of."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from understudy.core import warp
from understudy.core.face import Alignment
from understudy.core.finish.extend import extend
from understudy.core.frames import Window
from understudy.core.matte import soft
from understudy.core.matte.hull import hull
from understudy.core.merge import mattes
from understudy.core.pipeline import overlapped


def test_settled_is_half_exact_and_zero_where_it_would_do_nothing():
    raw = np.array([[-0.1, 1e-7, 2.0**-13, 2.0**-11, 0.3, 1.0, 1.2]], np.float32)
    settled = mattes.settle(raw)
    assert (settled == settled.astype(np.float16)).all()
    assert settled[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert settled[0, 3] > 0
    assert settled[0, 5:].tolist() == [1.0, 1.0]


def test_valid_falls_to_nothing_at_the_crops_border():
    crop = Alignment(matrix=np.eye(2, 3), size=64, face_type="full")
    valid = mattes.valid(crop, Window(-3, -3, 70, 70))
    assert valid[35, 35] == 1.0
    assert valid[3].max() < 0.2
    assert (valid == valid.T).all()
    assert not valid[:3].any()
    assert not valid[67:].any()
    assert (mattes.valid(crop, Window(10, 20, 30, 40)) == 1.0).all()
    np.testing.assert_array_equal(mattes.valid(crop, Window(1, 2, 50, 60)), valid[5:65, 4:54])


def test_valid_is_where_uv_is_inside():
    turned = Alignment(matrix=np.array([[0.4, 0.3, -20.0], [-0.3, 0.4, 30.0]]), size=64, face_type="full")
    window = Window(0, 0, 200, 150)
    valid, uv = mattes.valid(turned, window), warp.uv(turned, window)
    inside = np.minimum(uv, 1.0 - uv).min(axis=-1)
    assert (valid[inside < -1e-5] == 0.0).all()
    assert (valid[inside > 0.0301] == 1.0).all()
    assert ((valid > 0.0) & (valid < 1.0)).any()


@pytest.mark.parametrize("size", [1, 2, 3, 17, 64])
def test_no_support_at_all_is_finite(size):
    rgb = np.ones((size, size, 3), np.float32)
    filled = extend(rgb, np.zeros((size, size), np.float32))
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


def _pipeline_threads() -> set[threading.Thread]:
    """Other tests may have left some, in a generator that nobody has closed yet."""
    return {t for t in threading.enumerate() if t.name.startswith(("read", "write"))}


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
        meeting = threading.Barrier(3, timeout=60.0)  # passes when three are there at once

        def step(met):
            def work(item):
                if item == met:
                    meeting.wait()
                return item

            return work

        assert list(overlapped(range(6), step(3), step(1), step(0))) == list(range(6))

    @pytest.mark.parametrize("stage", [0, 1, 2])
    def test_an_exception_comes_out_and_the_threads_end(self, stage):
        def step(place):
            def work(item):
                if place == stage and item == 5:
                    raise KeyError(item)
                return item

            return work

        others = _pipeline_threads()
        with pytest.raises(KeyError):
            list(overlapped(range(20), step(0), step(1), step(2)))
        assert not _pipeline_threads() - others

    def test_closing_ends_it(self):
        touched: list[int] = []

        def same(item: int) -> int:
            return item

        others = _pipeline_threads()
        work = overlapped(range(1000), same, same, touched.append)
        next(work)
        work.close()
        assert not _pipeline_threads() - others
        count = len(touched)
        time.sleep(0.02)
        assert len(touched) == count < 20
