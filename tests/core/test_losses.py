"""Losses, against DeepFaceLab's own numbers and against what they should mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.model import dfl
from understudy.core.model.df import DF
from understudy.core.model.presets import ModelConfig
from understudy.core.train import losses


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


def test_first_training_step_has_deepfacelabs_losses(shared):
    with np.load(shared / "golden" / "dfl" / "train.npz") as file:
        golden = dict(file)
    config = ModelConfig(options="ud", resolution=64, e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8)
    net = DF(config)
    start = {n.removeprefix("w_df_ud/"): w for n, w in golden.items() if n.startswith("w_df_ud/")}
    net.load_state_dict(dfl.state_dict(start, config))
    for index, side in enumerate(("src", "dst")):
        warped, target = (
            picture(golden[f"batch/{kind}_{side}_u8"][..., ::-1].copy()) for kind in ("warped", "target")
        )
        matte = plain(golden[f"batch/target_{side}m_u8"])
        eyes_mouth = picture(golden[f"batch/target_{side}m_em_u8"])
        with torch.inference_mode():
            decoder = net.decoder_src if side == "src" else net.decoder_dst
            face, face_matte = (torch.sigmoid(x) for x in decoder(net.code(warped)))
            masked = sum(losses.reconstruction(target, matte, face, face_matte).values())
            eyes = 300 * ((target - face) * eyes_mouth).abs().mean(dim=(1, 2, 3))
            unmasked = (
                losses.structure(target, face)
                + 10 * (target - face).square().mean(dim=(1, 2, 3))
                + 10 * (matte - face_matte).square().mean(dim=(1, 2, 3))
            )
        theirs = golden["df_base/losses_step_srcdst_sample"][0, index]  # masked, eyes and mouth first
        np.testing.assert_allclose((masked + eyes).numpy(), theirs, rtol=1e-5)
        theirs = golden["df_rms_clip_nomask/losses_step_srcdst_sample"][0, index]
        np.testing.assert_allclose(unmasked.numpy(), theirs, rtol=1e-5)


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
