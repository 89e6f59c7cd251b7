"""The hull matte against DeepFaceLab's, and at its edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.heads import face
from understudy.core import _plugins
from understudy.core.errors import InvalidInput
from understudy.core.matte import eyes, mouth
from understudy.core.matte.hull import hull, lift_brows


@pytest.fixture(scope="module")
def golden(shared: Path):
    return np.load(shared / "golden/dfl/hull.npz")


def test_hull_is_deepfacelabs_to_the_pixel(golden):
    for i, landmarks in enumerate(golden["landmarks_256"]):
        for j, brows in enumerate(golden["eyebrows_expand_mod"]):
            np.testing.assert_array_equal(
                lift_brows(landmarks, brows), golden["expanded_landmarks_i32"][i, j]
            )
            np.testing.assert_array_equal(hull(landmarks, (256, 256), brows=brows), golden["hull_u8"][i, j])


def test_hull_of_a_frame_that_is_not_square(golden):
    ours = hull(golden["frame_landmarks_240x320"], (240, 320))
    np.testing.assert_array_equal(ours, golden["frame_hull_u8"])


@pytest.mark.parametrize(("part", "name"), [(eyes, "eye_mask"), (mouth, "mouth_mask")])
def test_eyes_and_mouth_are_deepfacelabs(golden, part, name):
    for landmarks, theirs in zip(golden["landmarks_256"], golden[name], strict=True):
        np.testing.assert_allclose(part.draw(landmarks, (256, 256)), theirs, atol=1e-6)
    frame = part.draw(golden["frame_landmarks_240x320"], (240, 320))
    np.testing.assert_allclose(frame, golden[f"frame_{name}"], atol=1e-6)


@pytest.mark.parametrize(("part", "point"), [("eyes", 36), ("eyes", 45), ("mouth", 62)])
def test_eyes_and_mouth_are_where_they_are(part, point):
    points = face(shift=(300.0, 300.0))
    matte = _plugins.load("matte", part).create(None).matte(np.zeros((600, 600, 3), np.float32), points)
    assert matte.dtype == np.float32
    assert 0.0 <= matte.min() < matte.max() <= 1.0
    x, y = points[point].astype(int)
    assert matte[y, x] > 0.4
    assert matte[tuple(points[8].astype(int)[::-1])] == 0.0  # the chin
    assert part != "eyes" or matte[tuple(points[57].astype(int)[::-1])] == 0.0


@pytest.mark.parametrize("name", _plugins.names("matte"))
def test_every_matte_that_is_drawn_is_the_same_as_a_picture_and_small_enough(name):
    """A face in a picture of a few pixels, or beside it, is no error; drawing is what `matte` does."""
    module = _plugins.load("matte", name)
    for shape in ((8, 8), (64, 48)):
        for points in (face(shift=(-900.0, -900.0)), face(shift=(20.0, 20.0)) * 0.2):
            found = module.create(None).matte(np.zeros((*shape, 3), np.float32), points)
            assert found.shape == shape
            assert 0.0 <= found.min() <= found.max() <= 1.0
            np.testing.assert_array_equal(found, module.draw(points, shape))


def test_the_matte_covers_the_face_and_nothing_far_from_it():
    points = face(shift=(300.0, 300.0))
    matte = _plugins.load("matte", "hull").create(None).matte(np.zeros((600, 600, 3), np.float32), points)
    assert matte.dtype == np.float32
    assert set(np.unique(matte)) == {0.0, 1.0}
    x, y = points[30].astype(int)
    assert matte[y, x] == 1.0
    low, high = points.min(axis=0) - 60, points.max(axis=0) + 60
    outside = np.ones((600, 600), bool)
    outside[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = False
    assert not matte[outside].any()


def test_a_face_outside_the_picture_gives_an_empty_matte():
    assert not hull(face(shift=(-900.0, -900.0)), (64, 64)).any()


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((68, 2), np.inf)])
def test_refuses_what_is_no_face(points: np.ndarray):
    with pytest.raises(InvalidInput, match="68 finite points"):
        hull(points, (64, 64))
