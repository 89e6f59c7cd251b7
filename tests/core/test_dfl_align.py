"""DeepFaceLab's own numbers: alignment of every type, boxes, yaw and pose; the hull's are in test_hull."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.core import align

NAMES = {name: name for name in align.FACE_TYPES} | {"whole": "whole_face"}


@pytest.fixture(scope="module")
def golden(shared: Path):
    return np.load(shared / "golden/dfl/align.npz")


@pytest.mark.parametrize("face_type", align.FACE_TYPES)
@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_fit(golden, face_type: str, size: int, scale: float):
    matrices = golden[f"mat_{NAMES[face_type]}_{size}_scale{str(scale).replace('.', 'p')}"]
    for landmarks, matrix in zip(golden["landmarks"], matrices, strict=True):
        ours = align.fit(landmarks, face_type, size, scale=scale).apply(landmarks)
        np.testing.assert_allclose(ours, landmarks @ matrix[:, :2].T + matrix[:, 2], atol=0.005)


def test_landmarks_in_a_crop(golden):
    ours = [align.fit(p, "full", 256).apply(p) for p in golden["landmarks"]]
    np.testing.assert_allclose(ours, golden["landmarks_in_full_256"], atol=0.005)


def test_similarity_to_the_mean_face_and_yaw_in_it(golden):
    for points, theirs, yaw in zip(
        golden["landmarks"],
        golden["umeyama_to_template"],
        golden["averaged_yaw_in_template"],
        strict=True,
    ):
        unit = align.umeyama(points[align._TEMPLATE_OF_68], align._TEMPLATE)
        np.testing.assert_allclose(unit, theirs, atol=1e-9)
        assert -align.averaged_yaw(points @ unit[:, :2].T) == pytest.approx(yaw, abs=1e-6)


def test_box_from_landmarks(golden):
    ours = [align.rect_from_landmarks(p) for p in golden["landmarks"]]
    np.testing.assert_allclose(ours, golden["rect_from_landmarks_ltrb"], atol=0.005)


@pytest.mark.parametrize(
    ("crop", "size"), [("full_256", 256), ("whole_face_256", 256), ("whole_face_512", 512)]
)
def test_pose(shared: Path, crop: str, size: int):
    golden = np.load(shared / "golden/dfl/pose.npz")
    ours = [align.dfl_pose(p, size) for p in golden[f"aligned_landmarks_{crop}"]]
    np.testing.assert_allclose(ours, golden[f"pitch_yaw_roll_{crop}"], atol=2e-3)


def test_pose_and_alignment_come_from_the_same_landmarks(shared: Path, golden):
    """What DeepFaceLab's own sort does with a face: align it, then tell its pose in the crop."""
    poses = np.load(shared / "golden/dfl/pose.npz")["pitch_yaw_roll_whole_face_256"]
    for points, theirs in zip(golden["landmarks"], poses, strict=True):
        aligned = align.fit(points, "whole", 256).apply(points)
        np.testing.assert_allclose(align.dfl_pose(aligned, 256), theirs, atol=2e-3)
