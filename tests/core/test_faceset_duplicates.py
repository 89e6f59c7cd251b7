"""Duplicates: the same picture but for grain and codec, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.looks import add, measured, portrait
from understudy.core.errors import InvalidInput, NotMeasured
from understudy.core.faceset import Faceset, duplicates


def grain(picture: np.ndarray, seed: int) -> np.ndarray:
    return np.asarray(picture * np.random.default_rng(seed).normal(1.0, 0.05, picture.shape), np.float32)


@pytest.fixture(scope="module")
def faces(tmp_path_factory, colour):
    """1001 with grain, blurred and brighter; another face twice; and one that differs in the mouth alone."""
    folder = tmp_path_factory.mktemp("faces")
    one, other = cv2.GaussianBlur(portrait(1), (0, 0), 1.0), cv2.GaussianBlur(portrait(2), (0, 0), 1.0)
    mouth = one.copy()
    mouth[80:92, 52:76] = 0.3 * one[80:92, 52:76]
    pictures = [
        one,
        grain(one, 1),
        cv2.GaussianBlur(one, (0, 0), 1.2),
        1.1 * one,
        other,
        grain(other, 2),
        mouth,
    ]
    for i, picture in enumerate(pictures):
        add(folder, 1001 + i, picture)
    return measured(folder, colour)


def test_grain_blur_and_exposure_make_no_other_face(faces):
    first, second = duplicates.groups(faces)
    assert sorted(first) == [0, 1, 2, 3]
    assert sorted(second) == [4, 5]


def test_the_sharpest_is_first(faces):
    first, _ = duplicates.groups(faces)
    assert first[-1] == 2  # the one that was blurred


def test_the_threshold_is_how_different_they_may_be(faces):
    assert duplicates.groups(faces, threshold=0.0) == []
    (everybody,) = duplicates.groups(faces, threshold=1.0)
    assert sorted(everybody) == list(range(7))


def test_of_a_subset_indices_are_of_the_subset(faces):
    (group,) = duplicates.groups(faces.subset(np.array([6, 5, 4])))
    assert sorted(group) == [1, 2]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_none(faces, threshold):
    with pytest.raises(InvalidInput, match="threshold") as caught:
        duplicates.groups(faces, threshold=threshold)
    assert caught.value.field == "threshold"


def test_faces_must_have_been_measured(tmp_path):
    add(tmp_path, 1001)
    with pytest.raises(NotMeasured):
        duplicates.groups(Faceset.open(tmp_path))


def test_nobody(tmp_path):
    assert duplicates.groups(Faceset.open(tmp_path)) == []


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 700), st.floats(0.0, 0.2))
def test_groups_are_those_that_comparing_all_would_give(seed, count, threshold):
    """The tree leaves nobody out: against the sum of all pairs, written plainly."""
    rng = np.random.default_rng(seed)
    looks = (
        cv2.resize(rng.integers(0, 256, (8, 64)).astype(np.uint8), (32 * 8, 32))
        .reshape(32, 8, 32)
        .swapaxes(0, 1)
    )
    faces = np.clip(looks[rng.integers(0, 8, count)] + rng.normal(0, 6, (count, 32, 32)), 0, 255).astype(
        np.uint8
    )
    free, expected = np.ones(count, bool), []
    for i in range(count):
        if not free[i]:
            continue
        apart = (
            np.abs(faces[i:].astype(int) - faces[i])
            .reshape(-1, 8, 4, 8, 4)
            .mean(axis=(2, 4))
            .max(axis=(1, 2))
        )
        group = i + np.flatnonzero((apart <= 255 * threshold) & free[i:])
        if len(group) > 1:
            free[group] = False
            expected.append(group.tolist())
    assert duplicates._grouped(faces, 255 * threshold) == expected
