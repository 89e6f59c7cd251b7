"""The mask on its way to a matte beside DeepFaceLab's own numbers (its merger's erode and blur).

DeepFaceLab's form is ours without what we add, on a mask of four times the network's pixels: its disc is OpenCV's
ellipse, all of it at once and `erode` pixels wide; its blur lies across the edge and not inside of it, and ends at the
crop's border.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.frames import Array, Float
from understudy.core.merge import outline
from understudy.core.merge.mattes import sized

NEAR = 2 / 255  # what the record's README allows merges
CASES = range(8)  # of erode and blur


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "dfl" / "merge.npz") as file:
        return {name: file[name] for name in file.files if name.startswith("mask_")}


def ellipse(matte: Array, side: int, morph: Callable[..., Array]) -> Array:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (max(side, 1),) * 2)
    return morph(matte, kernel, borderType=cv2.BORDER_CONSTANT)


def in_its_form(mask: Float, erode: int, blur: int) -> Float:
    """(4 N, 4 N) of a mask (N, N) of the network's; its frame of N pixels is what the blur may reach beyond."""
    rim = len(mask)
    eroded = outline._moved(np.pad(sized(mask, 4 * rim), rim), float(erode))
    end = rim + blur // 2
    inside = np.zeros_like(eroded)
    inside[end:-end, end:-end] = eroded[end:-end, end:-end]
    side = blur + 1 - blur % 2
    soft = cv2.GaussianBlur(inside, (side, side), 0) if blur else inside
    return np.clip(soft[rim:-rim, rim:-rim], 0.0, 1.0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("which", [0, 1])
def test_erode_and_blur_are_deepfacelabs(golden, monkeypatch, which, case):
    monkeypatch.setattr(outline, "_DISC", 1 << 16)
    monkeypatch.setattr(outline, "_by_disc", ellipse)
    erode, blur = golden["mask_erode_blur"][case].tolist()
    made = in_its_form(golden["mask_in"][which], erode, blur)
    np.testing.assert_allclose(made[::8], golden["mask_out_rows_step8_u16"][which, case] / 65535, atol=NEAR)


@pytest.mark.parametrize("case", [case for case in CASES if case != 1])
@pytest.mark.parametrize("which", [0, 1])
def test_our_discs_stay_near(golden, which, case):
    """Ours are round, theirs are not quite, and lie off the centre where their side is even."""
    erode, blur = golden["mask_erode_blur"][case].tolist()
    made = in_its_form(golden["mask_in"][which], erode / 2, blur)
    apart = np.abs(made[::8] - golden["mask_out_rows_step8_u16"][which, case] / 65535)
    assert apart.max() <= 0.06
    assert apart.mean() <= 0.006
