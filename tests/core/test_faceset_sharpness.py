"""Sharpness: DeepFaceLab's numbers, and what one expects of such a number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.looks import portrait
from understudy.core.errors import InvalidInput
from understudy.core.faceset.sharpness import BLOCK, cpbd, laplacian_variance


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden/dfl/sort.npz")


def grey(seed: int, blur: float = 0.0, side: int = 256) -> np.ndarray:
    picture = np.clip(portrait(seed, level=0.5)[..., 0] * 255, 0, 255).astype(np.uint8)
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)
    return cv2.GaussianBlur(large, (0, 0), blur) if blur else large


def widths_by_hand(row: list[int]) -> float:
    """The score of a picture whose rows are all like this one."""
    return cpbd(np.tile(np.array(row, np.uint8), (BLOCK, 1)))


@pytest.mark.parametrize("masked", [True, False])
def test_sharpness_is_deepfacelabs(golden, masked):
    for i, image in enumerate(golden["images_u8"]):
        seen = image * golden["hull_u8"][..., None] if masked else image
        name = "masked" if masked else "unmasked"
        ours = cpbd(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY))
        assert ours == pytest.approx(golden[f"sharpness_{name}"][i], abs=1e-12)
        assert laplacian_variance(seen) == pytest.approx(golden[f"laplacian_var_{name}"][i], rel=1e-9)


def ramp(width: int, low: int, high: int) -> list[int]:
    """A row that rises from low to high within so many pixels, in the middle of a block."""
    steps = np.round(np.linspace(low, high, width + 1)).astype(int).tolist()
    before = (BLOCK - len(steps)) // 2
    return [low] * before + steps + [high] * (BLOCK - len(steps) - before)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("width", "high", "sharp"),
    [(2, 250, 1.0), (3, 250, 1.0), (4, 250, 0.0), (5, 49, 1.0), (6, 49, 0.0)],
)
def test_an_edge_is_sharp_up_to_the_width_at_which_it_just_looks_blurred(width, high, sharp, turned):
    """Three pixels at high contrast, five at low. Falling edges as rising ones."""
    steep = np.array(ramp(width, 0, high))
    steep[BLOCK // 2 :] = np.where(steep[BLOCK // 2 :] < high, steep[BLOCK // 2 :], high)
    row = steep[::-1] if turned else steep
    assert widths_by_hand([int(v) for v in row]) == sharp


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


def test_what_fills_no_block_is_not_looked_at():
    picture = grey(2, 3.0, 160)
    noisy = picture.copy()
    noisy[:, 128:] = picture.mean()
    noisy[128:, :] = picture.mean()
    same = cpbd(np.pad(noisy[:128, :128], ((0, 32), (0, 32)), constant_values=int(picture.mean())))
    assert cpbd(noisy) == pytest.approx(same, abs=0.05)


@pytest.mark.parametrize("wrong", [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.float32)])
def test_only_one_channel_in_eight_bits(wrong):
    with pytest.raises(InvalidInput, match="uint8"):
        cpbd(wrong)
