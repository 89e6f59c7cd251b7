"""Alignment and pose: DeepFaceLab's own numbers, and what must hold whatever the numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.heads import face
from understudy.core import align
from understudy.core.errors import InvalidInput

DFL_NAMES = {"half": "half", "mid_full": "mid_full", "full": "full", "whole": "whole_face", "head": "head"}


@pytest.mark.parametrize("face_type", align.FACE_TYPES)
@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_fit_is_deepfacelabs(shared: Path, face_type: str, size: int, scale: float):
    golden = np.load(shared / "golden/dfl/align.npz")
    matrices = golden[f"mat_{DFL_NAMES[face_type]}_{size}_scale{str(scale).replace('.', 'p')}"]
    for landmarks, matrix in zip(golden["landmarks"], matrices, strict=True):
        ours = align.fit(landmarks, face_type, size, scale=scale).apply(landmarks)
        np.testing.assert_allclose(ours, landmarks @ matrix[:, :2].T + matrix[:, 2], atol=0.005)


@pytest.mark.parametrize(
    ("crop", "size"), [("full_256", 256), ("whole_face_256", 256), ("whole_face_512", 512)]
)
def test_pose_is_deepfacelabs(shared: Path, crop: str, size: int):
    golden = np.load(shared / "golden/dfl/pose.npz")
    ours = [align.pose(p, size, (size / 2, size / 2)) for p in golden[f"aligned_landmarks_{crop}"]]
    signs = (1, -1, 1)  # its yaw is positive to the left of the picture
    np.testing.assert_allclose(np.radians(ours) * signs, golden[f"pitch_yaw_roll_{crop}"], atol=2e-3)


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
