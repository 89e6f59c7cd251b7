"""Mattes are compared by their area and by their edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from understudy.core.segment.judge import boundary_f, iou

mattes = arrays.arrays(np.float32, (9, 11), elements=st.sampled_from([0.0, 0.4, 0.6, 1.0]))


def square(size: int, left: int, top: int, side: int):
    matte = np.zeros((size, size), np.float32)
    matte[top : top + side, left : left + side] = 1
    return matte


def test_iou_counts_pixels():
    a, b = square(20, 2, 2, 10), square(20, 7, 2, 10)
    assert iou(a, b) == pytest.approx(50 / 150)
    assert iou(a, a) == 1
    assert iou(a, np.zeros_like(a)) == 0
    assert iou(np.zeros_like(a), np.zeros_like(a)) == 1
    assert iou(a * 0.4, a) == 0
    assert iou(a * 0.4, a * 0.9, threshold=0.3) == 1


@given(a=mattes, b=mattes)
@settings(max_examples=60, deadline=None)
def test_both_are_symmetric_and_know_what_is_the_same(a, b):
    for measure in (iou, boundary_f):
        assert 0 <= measure(a, b) <= 1
        assert measure(a, b) == pytest.approx(measure(b, a))
        assert measure(a, a) == 1
    if ((a > 0.5) != (b > 0.5)).any():
        assert iou(a, b) < 1


@given(a=mattes, b=mattes, less=st.floats(0, 3), more=st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_more_tolerance_never_finds_less_of_the_edge(a, b, less, more):
    assert boundary_f(a, b, less) <= boundary_f(a, b, less + more) + 1e-12


def test_an_edge_counts_up_to_the_tolerance():
    a = square(100, 20, 20, 50)
    moved = square(100, 23, 20, 50)
    assert boundary_f(a, moved, 3.0) == 1
    assert boundary_f(a, moved, 2.0) == pytest.approx(
        0.5, abs=0.05
    )  # the two edges that moved along themselves
    assert boundary_f(a, moved) < 1  # DAVIS: 2 pixels of a diagonal of 141
    assert boundary_f(np.kron(a, np.ones((2, 2))), np.kron(moved, np.ones((2, 2))), 6.0) == 1


def test_a_hole_costs_the_edge_more_than_the_area():
    truth = square(100, 10, 10, 80)
    found = truth.copy()
    found[40:60, 40:60] = 0
    assert iou(found, truth) > 0.93
    assert boundary_f(found, truth) < 0.91


def test_pictures_without_an_edge():
    empty, full = np.zeros((30, 30), np.float32), np.ones((30, 30), np.float32)
    assert boundary_f(empty, empty) == boundary_f(full, full) == 1
    assert boundary_f(empty, full) == boundary_f(full, empty) == 0
    assert boundary_f(square(30, 5, 5, 10), full) == 0
    half = square(30, 0, 0, 15)  # lies at the picture's border, which is no edge
    assert boundary_f(half, half, 0.0) == 1


def test_against_the_definition():
    """With skeletal edges dilated by a disc, as the paper's own programs do it."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        a, b = (ndimage.gaussian_filter(rng.normal(size=(60, 80)), 4) > 0 for _ in range(2))
        y, x = np.mgrid[-3:4, -3:4]
        disc = x * x + y * y <= 9
        edges = [np.zeros_like(a), np.zeros_like(a)]
        for mask, edge in zip((a, b), edges, strict=True):
            for i, j in np.ndindex(mask.shape):
                around = mask[i : i + 2, j : j + 2]
                edge[i, j] = around.any() != around.all()
        precision = (edges[0] & ndimage.binary_dilation(edges[1], disc)).sum() / edges[0].sum()
        recall = (edges[1] & ndimage.binary_dilation(edges[0], disc)).sum() / edges[1].sum()
        wanted = 2 * precision * recall / (precision + recall)
        assert boundary_f(a.astype(np.float32), b.astype(np.float32), 3.0) == pytest.approx(wanted)
