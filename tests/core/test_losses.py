"""Losses, against DeepFaceLab's own numbers and against what they should mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.train import losses, style


@pytest.fixture
def golden(shared: Path):
    with np.load(shared / "golden" / "dfl" / "loss.npz") as file:
        return dict(file)


def picture(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32) / np.float32(255)).permute(0, 3, 1, 2)


def plain(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("size", "window"), [(64, 5), (96, 8), (128, 11), (256, 22), (256, 11), (64, 44)])
def test_dssim_agrees_with_deepfacelab(golden, size, window):
    ours = losses.dssim(picture(golden[f"img1_{size}_u8"]), picture(golden[f"img2_{size}_u8"]), window)
    # relative to SSIM's own scale of 1: DSSIM is (1 - SSIM) / 2, and float32 keeps no more of that difference
    np.testing.assert_allclose(ours.numpy(), golden[f"dssim_{size}_win{window}"], rtol=0, atol=1e-5)


def test_dssim_pulls_the_same_way(golden):
    face = picture(golden["img2_64_u8"]).requires_grad_()
    losses.dssim(picture(golden["img1_64_u8"]), face, 5).mean(1).sum().backward()
    assert face.grad is not None
    theirs = golden["dssim_grad_img2_64_win5"]
    np.testing.assert_allclose(
        face.grad.permute(0, 2, 3, 1).numpy(), theirs, atol=1e-5 * abs(theirs).max() + 1e-7
    )


@pytest.mark.parametrize("sigma", [0.5, 0.75, 1, 2, 3, 4, 8])
def test_blur_agrees_with_deepfacelab(golden, sigma):
    matte = plain(golden["blur_mask_in_u8"])
    theirs = golden[f"blur_mask_sigma{str(sigma).replace('.', 'p')}"]
    np.testing.assert_allclose(losses.blur(matte, sigma).permute(0, 2, 3, 1).numpy(), theirs, atol=1e-5)


@pytest.mark.parametrize(("form", "key"), [("ours", "tv_64_nhwc"), ("dfl", "tv_64_fed_as_nchw")])
def test_total_variation_agrees_with_deepfacelab(golden, form, key):
    ours = losses.total_variation(picture(golden["img1_64_u8"]), form)
    np.testing.assert_allclose(ours.numpy(), golden[key], rtol=1e-5)


@pytest.mark.parametrize(("key", "sigma", "weight"), [("blur0_w1", 0, 1), ("blur8_w1000", 8, 1000)])
def test_style_agrees_with_deepfacelab(golden, key, sigma, weight):
    content, like = picture(golden["img1_64_u8"]), picture(golden["img2_64_u8"]).flip(0)
    ours = weight * style.style(content, like, sigma)
    np.testing.assert_allclose(ours.numpy(), golden[f"style_64_{key}"], rtol=1e-4)  # float64 is 5e-5 away too


@pytest.mark.parametrize(
    ("resolution", "sigmas"), [(64, (1.5,)), (128, (1.5,)), (256, (3.0, 1.5)), (512, (6.0, 3.0))]
)
def test_wider_windows_see_coarser_structure_and_deepfacelabs_do_not(resolution, sigmas):
    assert tuple(losses.spread(size) for size in losses.windows(resolution)) == pytest.approx(sigmas)
    assert {losses.spread(size, "dfl") for size in losses.windows(resolution)} == {1.5}


def test_two_scales_are_two_and_deepfacelabs_are_one_twice(golden):
    target, face = picture(golden["img1_256_u8"]), picture(golden["img2_256_u8"])
    coarse, fine = (
        float(losses.dssim(target, face, w, losses.spread(w)).mean()) for w in losses.windows(256)
    )
    assert abs(coarse / fine - 1) > 0.05
    coarse, fine = (float(losses.dssim(target, face, w).mean()) for w in losses.windows(256))
    assert abs(coarse / fine - 1) < 0.03
    ours, theirs = losses.structure(target, face), losses.structure(target, face, "dfl")
    expected = 5 * (golden["dssim_256_win22"] + golden["dssim_256_win11"]).mean(1)
    np.testing.assert_allclose(theirs.numpy(), expected, rtol=1e-3)  # 10 · the tolerance of DSSIM, of 0.23
    assert abs(float(ours) / float(theirs) - 1) > 0.02


def test_what_was_looked_up_under_inference_mode_trains_later():
    face = torch.rand(1, 3, 72, 72, requires_grad=True)
    with torch.inference_mode():
        losses.structure(face, face)
        losses.soften(face[:, :1])
    (losses.structure(face.detach().flip(3), face) + losses.soften(face[:, :1]).mean()).sum().backward()
    assert face.grad is not None


def test_blurred_out_keeps_the_face_and_loses_its_surroundings():
    dice = torch.Generator().manual_seed(2)
    target = torch.rand(1, 3, 256, 256, generator=dice)
    matte = torch.zeros(1, 1, 256, 256)
    matte[..., 64:192, 64:192] = 1
    target = target * 0.2 + 0.4 * (1 - matte)  # noise: a dark face, bright around
    found = losses.blurred_out(target, matte)
    assert torch.equal(found[..., 64:192, 64:192], target[..., 64:192, 64:192])
    outside = found[..., :60, :]
    assert float(outside.var()) < 0.1 * float(target[..., :60, :].var())
    beside = found[..., 63, 70:180]
    assert float(beside.mean()) == pytest.approx(0.5, abs=0.01)  # the dark face does not bleed out


def test_blurred_out_has_no_dark_rim_and_deepfacelabs_has():
    target, matte = torch.full((1, 3, 256, 256), 0.5), torch.zeros(1, 1, 256, 256)
    matte[..., 100:156, 100:156] = 1
    found = losses.blurred_out(target, matte)
    np.testing.assert_allclose(found.numpy(), 0.5, atol=1e-6)
    theirs = losses.blurred_out(target, matte, "dfl")
    assert float(theirs[..., 0, 0].max()) < 0.4
    np.testing.assert_allclose(theirs[..., 8:-8, 8:-8].numpy(), 0.5, atol=1e-6)


def test_eyes_and_mouth_are_extra_and_nothing_else_is():
    dice = torch.Generator().manual_seed(4)
    target = torch.rand(2, 3, 64, 64, generator=dice)
    whole, where = torch.ones(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    where[:, :, 20:24, 20:30] = 1
    face = target.clone()
    face[:1, :, 20:24, 20:30] -= 0.1
    face[1:, :, 40:50, 20:30] -= 0.1
    parts = losses.reconstruction(target, whole, face, whole, eyes_mouth_B1HW=where)
    np.testing.assert_allclose(parts["eyes_mouth"].numpy(), [300 * 0.1 * 40 / 64**2, 0], rtol=1e-5, atol=1e-7)
    assert "eyes_mouth" not in losses.reconstruction(target, whole, face, whole)


def test_without_mask_all_of_the_picture_counts():
    target, matte = torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 1, 64, 64)
    face = target.clone()
    face[..., :8] = 0
    masked = losses.reconstruction(target, matte, face, matte)
    unmasked = losses.reconstruction(target, matte, face, matte, masked=False)
    assert float(masked["pixel"]) == 0
    assert float(unmasked["pixel"]) == pytest.approx(10 * 0.25 / 8)


def test_face_style_moves_the_swap_towards_dst_and_nothing_else():
    dice = torch.Generator().manual_seed(6)
    swap, dst = (torch.rand(2, 3, 64, 64, generator=dice) for _ in range(2))
    mattes = [torch.ones(2, 1, 64, 64), torch.ones(2, 1, 64, 64)]
    for x in (swap, dst, *mattes):
        x.requires_grad_()
    far = style.face_style(swap * 0.5, mattes[0], dst, mattes[1], 1.0)
    assert far.shape == (2,)
    assert bool((far > 10 * style.face_style(swap, mattes[0], dst, mattes[1], 1.0)).all())
    far.sum().backward()
    assert swap.grad is not None
    assert float(swap.grad.mean()) < 0  # brighter, as dst is
    assert all(x.grad is None for x in (dst, *mattes))


def test_background_style_looks_where_both_predict_no_face_and_deepfacelabs_where_src_had_none():
    dst, left, right = torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    left[..., :32] = 1
    right[..., 32:] = 1
    swap = dst.clone()
    swap[..., 8:56, 8:20] = 0  # wrong on the left only, off the rim, where the softened matte fades

    def loss(swap_matte: torch.Tensor, form: losses.Form) -> float:
        mattes = {"swap_matte_B1HW": swap_matte, "dst_matte_B1HW": left, "src_matte_B1HW": right}
        return float(style.background_style(swap, dst, **mattes, power=2.0, form=form))

    assert loss(left, "ours") == pytest.approx(0, abs=1e-5)
    assert loss(left, "dfl") > 0.01
    assert loss(right, "ours") > 0.01  # no pixel is face by both: all surrounds


@pytest.mark.parametrize(
    ("size", "expected"), [(64, (5,)), (96, (8,)), (128, (11,)), (256, (22, 11)), (640, (55, 27))]
)
def test_windows(size, expected):
    assert losses.windows(size) == expected


def test_equal_pictures_have_no_loss_and_only_the_face_counts():
    target = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    matte = torch.zeros(2, 1, 64, 64)
    matte[:, :, 20:44, 20:44] = 1
    same = losses.reconstruction(target, matte, target, matte)
    assert all(float(part.abs().max()) < 1e-5 for part in same.values())
    beyond = target.clone()
    beyond[:, :, :8] = 0  # far from the face
    assert all(float(p.max()) < 1e-5 for p in losses.reconstruction(target, matte, beyond, matte).values())
    inside = target.clone()
    inside[:, :, 30:34, 30:34] = 0
    assert float(losses.reconstruction(target, matte, inside, matte)["dssim"].min()) > 0.01
