"""Alignment and pose: what must hold whatever the numbers; DeepFaceLab's own are in test_dfl_align."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.heads import face
from understudy.core import align
from understudy.core.errors import InvalidInput


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 40), (-35, 10, -15)])
def test_pose_has_the_signs_of_face(angles: tuple[float, float, float]):
    yaw, pitch, roll = angles
    assert align.pose(face(yaw, pitch, roll), 10000.0) == pytest.approx((pitch, yaw, roll), abs=0.2)


def test_a_face_that_looks_right_has_its_nose_right():
    """The convention itself, without the formula: nose tip against the ears."""
    points = face(yaw=30.0)
    assert points[30, 0] > points[[0, 16], 0].mean() + 10
    points = face(pitch=20.0)
    assert points[30, 1] < face()[30, 1] - 10


def test_pose_sees_through_pixel_aspect():
    squeezed = face(25.0, 5.0, 10.0) / (2.0, 1.0)
    assert align.pose(squeezed, 10000.0, pixel_aspect=2.0) == pytest.approx((5.0, 25.0, 10.0), abs=0.2)


@given(
    st.floats(-3, 3), st.floats(0.05, 20), st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(0.5, 2.0)
)
def test_the_crop_follows_the_face(turn: float, scale: float, x: float, y: float, aspect: float):
    """Whatever similarity moves the face, its points land in the same place of the crop, anamorphic or not."""
    upright = face(10.0)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    moved = (upright @ np.array([(c, s), (-s, c)]) + (x, y)) / (aspect, 1.0)
    crop = align.fit(moved, "whole", 256, pixel_aspect=aspect)
    np.testing.assert_allclose(crop.apply(moved), align.fit(upright, "whole", 256).apply(upright), atol=1e-6)


@given(st.floats(-180, 180), st.sampled_from(["full_no_align", "head_no_align"]), st.floats(0.5, 2.0))
def test_a_crop_that_does_not_turn_is_as_large_and_stays_upright(roll: float, face_type: str, aspect: float):
    points = face(10.0, 0.0, roll) / (aspect, 1.0)
    crop = align.fit(points, face_type, 256, pixel_aspect=aspect)
    square = crop.matrix[:, :2] / (aspect, 1.0)
    np.testing.assert_allclose(square, np.eye(2) * square[0, 0], atol=1e-12)
    turned = align.fit(points, face_type.removesuffix("_no_align"), 256, pixel_aspect=aspect)
    assert np.linalg.det(crop.matrix[:, :2]) == pytest.approx(np.linalg.det(turned.matrix[:, :2]))


def test_a_box_from_landmarks_is_the_square_around_the_face():
    points = face(roll=30.0)
    x0, y0, x1, y1 = align.rect_from_landmarks(points)
    assert (points[17:] > (x0, y0)).all()
    assert (points[17:] < (x1, y1)).all()
    assert x1 - x0 == pytest.approx(y1 - y0)
    narrow = align.rect_from_landmarks(points / (2.0, 1.0), pixel_aspect=2.0)
    assert narrow == pytest.approx((x0 / 2.0, y0, x1 / 2.0, y1))


@pytest.mark.parametrize("face_type", align.FACE_TYPES)
def test_the_crop_is_a_square_of_the_unsqueezed_picture(face_type: str):
    crop = align.fit(face(20.0) / (1.33, 1.0), face_type, 300, pixel_aspect=1.33)
    square = crop.matrix[:, :2] / (1.33, 1.0)
    np.testing.assert_allclose(square @ square.T, np.eye(2) * np.linalg.det(square), atol=1e-9)


def test_the_inverse_leads_back():
    crop = align.fit(face(10.0, 5.0, 80.0), "head", 512)
    inverse = crop.inverse
    back = crop.apply(face()) @ inverse[:, :2].T + inverse[:, 2]
    np.testing.assert_allclose(back, face(), atol=1e-8)


ANGLES = st.tuples(st.floats(-80, 80), st.floats(-50, 50), st.floats(-180, 180))


@given(ANGLES)
def test_pose_is_right_at_any_roll(angles: tuple[float, float, float]):
    """Upside-down heads too: no mirrored solution, no jump of pitch or yaw."""
    yaw, pitch, roll = angles
    found = np.subtract(align.pose(face(yaw, pitch, roll), 10000.0), (pitch, yaw, roll))
    np.testing.assert_allclose((found + 180.0) % 360.0 - 180.0, 0.0, atol=0.2)


@given(ANGLES, st.integers(0, 2**32 - 1))
def test_pose_bears_the_noise_of_a_landmarker(angles: tuple[float, float, float], seed: int):
    """A pixel on a face of 300; nearer to its profile a face is told less well, but never as another."""
    yaw, pitch, roll = angles
    points = face(yaw, pitch, roll) + np.random.default_rng(seed).normal(0.0, 1.0, (68, 2))
    found = np.subtract(align.pose(points, 10000.0), (pitch, yaw, roll))
    assert np.abs((found + 180.0) % 360.0 - 180.0).max() < 2.0 / math.cos(math.radians(yaw))


@given(ANGLES, st.floats(-180, 180), st.floats(0.1, 10), st.floats(0.5, 2.0))
def test_pose_of_a_turned_and_enlarged_picture(
    angles: tuple[float, float, float], roll: float, zoom: float, aspect: float
):
    """Turned about the principal point only the roll changes; enlarged with the lens, or squeezed, nothing does."""
    points = face(*angles, shift=(0.0, 0.0))
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    turned = (points @ np.array([(c, s), (-s, c)])) * zoom / (aspect, 1.0)
    pitch, yaw, lean = align.pose(points, 10000.0, (0.0, 0.0))
    found = align.pose(turned, 10000.0 * zoom, (0.0, 0.0), pixel_aspect=aspect)
    assert found[:2] == pytest.approx((pitch, yaw), abs=0.01)
    assert (found[2] - lean - roll + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("yaw", [95.0, 110.0, -100.0])
def test_a_head_turned_beyond_its_profile_has_a_yaw_beyond_90(yaw: float):
    assert align.pose(face(yaw, 10.0, -30.0), 10000.0) == pytest.approx((10.0, yaw, -30.0), abs=0.5)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e4), st.floats(1.0, 1e5))
def test_pose_is_finite_whatever_the_points(seed: int, spread: float, focal: float):
    """A landmarker that looks at a wall, or at half a face, says something too."""
    points = np.random.default_rng(seed).normal((-3000.0, 900.0), spread, (68, 2))
    pitch, yaw, roll = align.pose(points, focal)
    assert abs(pitch) <= 90.0
    assert max(abs(yaw), abs(roll)) <= 180.0
    assert np.abs(align.dfl_pose(points, 256)).max() <= math.pi / 2.0


def test_pose_of_a_face_cut_by_the_edge_is_that_of_the_whole():
    points = face(20.0, shift=(-30.0, 500.0))  # half of it left of the picture
    assert align.pose(points, 10000.0) == pytest.approx((0.0, 20.0, 0.0), abs=0.2)


def test_models_learn_upright_faces_only():
    assert align.MODEL_TYPES == ("half", "mid_full", "full", "whole", "head")


def test_umeyama_never_mirrors():
    points = face()
    matrix = align.umeyama(points, points * (-1.0, 1.0))
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("landmarks", "face_type", "size", "field"),
    [
        (face(), "nose", 256, "face_type"),
        (face(), "whole", 0, "size"),
        (face()[:5], "whole", 256, "landmarks"),
        (np.full((68, 2), 7.0), "whole", 256, "landmarks"),
        (np.full((68, 2), np.nan), "whole", 256, "landmarks"),
    ],
)
def test_refusals_name_the_field(landmarks: np.ndarray, face_type: str, size: int, field: str):
    with pytest.raises(InvalidInput) as caught:
        align.fit(landmarks, face_type, size)
    assert caught.value.field == field


@pytest.mark.parametrize("focal", [0.0, -5.0, float("nan")])
def test_pose_refuses_a_lens_that_is_none(focal: float):
    with pytest.raises(InvalidInput) as caught:
        align.pose(face(), focal)
    assert caught.value.field == "focal"
