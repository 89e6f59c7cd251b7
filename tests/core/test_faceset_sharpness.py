"""Sharpness: DeepFaceLab's numbers, and what one expects of such a number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.looks import portrait
from understudy.core.errors import InvalidInput
from understudy.core.faceset import sharpness
from understudy.core.faceset.sharpness import BLOCK


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden/dfl/sort.npz")


def cpbd(grey: np.ndarray) -> float:
    return sharpness.cpbd(grey, np.ones(grey.shape[:2], bool))


def laplacian_variance(bgr: np.ndarray) -> float:
    return sharpness.laplacian_variance(bgr, np.ones(bgr.shape[:2], bool))


def grey(seed: int, blur: float = 0.0, side: int = 256) -> np.ndarray:
    picture = np.clip(portrait(seed, level=0.5)[..., 0] * 255, 0, 255).astype(np.uint8)
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), blur) if blur else large)


@pytest.mark.parametrize("masked", [True, False])
def test_sharpness_is_deepfacelabs(golden, masked):
    for i, image in enumerate(golden["images_u8"]):
        seen = image * golden["hull_u8"][..., None] if masked else image
        name = "masked" if masked else "unmasked"
        ours = cpbd(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY))
        assert ours == pytest.approx(golden[f"sharpness_{name}"][i], abs=1e-12)
        assert laplacian_variance(seen) == pytest.approx(golden[f"laplacian_var_{name}"][i], rel=1e-9)


def edge(width: int, high: int) -> np.ndarray:
    """(64, 64) rows that rise from 0 to high in so many steps, one of them the steepest."""
    steps = np.array([1, 4, 2, 1, 1, 1][:width])
    rise = np.round(np.cumsum(steps) / steps.sum() * high)
    row = np.concatenate([np.zeros(BLOCK // 2), rise, np.full(BLOCK // 2 - width, high)])
    return np.tile(row.astype(np.uint8), (BLOCK, 1))


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(
    ("width", "high", "sharp"),
    [(2, 250, 1.0), (3, 250, 1.0), (4, 250, 0.0), (4, 50, 1.0), (5, 50, 1.0), (6, 50, 0.0), (5, 51, 0.0)],
)
def test_an_edge_is_sharp_up_to_the_width_at_which_it_just_looks_blurred(width, high, sharp, falling):
    """Three pixels at high contrast, five at low."""
    picture = edge(width, high)
    assert cpbd(np.ascontiguousarray(picture[:, ::-1]) if falling else picture) == sharp


def test_sharper_scores_higher():
    for seed in range(3):
        scores = [cpbd(grey(seed, blur)) for blur in (0.0, 0.8, 1.5, 4.0)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > 0.5 > 0.05 > scores[-1]


def test_motion_blur_lowers_the_variance():
    picture = np.repeat(grey(1)[..., None], 3, axis=2)
    smeared = cv2.blur(picture, (9, 1))
    assert laplacian_variance(smeared) < 0.8 * laplacian_variance(picture)


@given(st.integers(0, 2**16), st.integers(1, 200), st.integers(1, 200))
def test_it_is_a_share_whatever_the_picture(seed, height, width):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    assert 0.0 <= cpbd(noise) <= 1.0
    if min(height, width) < BLOCK:
        assert cpbd(noise) == 0.0


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_picture_has_no_edge(value):
    assert cpbd(np.full((256, 256), value, np.uint8)) == 0.0


def test_what_is_outside_does_not_count():
    """Another background, sharp or blurred, flat or not, changes nothing."""
    inside = np.zeros((256, 256), bool)
    inside[64:192, 64:192] = True
    near = cv2.dilate(inside.astype(np.uint8), np.ones((15, 15))) > 0
    faces = []
    for blur in (0.0, 4.0):
        face = np.where(near, grey(1, blur), 0)
        scores = [
            (sharpness.cpbd(picture, inside), sharpness.laplacian_variance(picture, inside))
            for background in (grey(2), grey(3, 6.0), np.full_like(face, 90))
            for picture in [np.where(near, face, background).astype(np.uint8)]
        ]
        assert len(set(scores)) == 1
        faces.append(scores[0])
    assert faces[0][0] > 0.5 > 0.1 > faces[1][0]
    assert faces[0][1] > 10 * faces[1][1]


def test_nothing_inside():
    nothing = np.zeros((256, 256), bool)
    assert sharpness.cpbd(grey(1), nothing) == 0.0
    assert sharpness.laplacian_variance(np.repeat(grey(1)[..., None], 3, axis=2), nothing) == 0.0


@pytest.mark.parametrize("wrong", [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.float32)])
def test_only_one_channel_in_eight_bits(wrong):
    with pytest.raises(InvalidInput, match="uint8"):
        cpbd(wrong)
