"""Weights of DeepFaceLab make our DF compute what DeepFaceLab computed (golden vectors, shared/golden/dfl)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.errors import ModelInvalid
from understudy.core.model import dfl
from understudy.core.model.df import DF
from understudy.core.model.presets import ModelConfig

# What the golden set suggests for networks. x·cos(x) is steep where x is large and multiplies rounding layer by
# layer: exact arithmetic is 3e-4 away from DeepFaceLab's own float32 there.
TOLERANCE = {"": 1e-4, "ud": 1e-4, "t": 1e-4, "udc": 5e-4}


def load(shared: Path, name: str):
    with np.load(shared / "golden" / "dfl" / f"{name}.npz") as file:
        return dict(file)


def network(golden, options: str) -> tuple[DF, dict[str, np.ndarray]]:
    resolution, e, d, d_mask, ae = (int(v) for v in golden["cfg/resolution_e_d_dmask_ae"])
    config = ModelConfig(
        options=options, resolution=resolution, e_dims=e, d_dims=d, d_mask_dims=d_mask, ae_dims=ae
    )
    weights = {name.removeprefix("w/"): array for name, array in golden.items() if name.startswith("w/")}
    net = DF(config)
    net.load_state_dict(dfl.state_dict(weights, config))
    return net.eval().double(), weights


def rgb_BCHW(bgr_u8: np.ndarray) -> torch.Tensor:
    rgb = bgr_u8[..., ::-1].astype(np.float32) / np.float32(255)
    return torch.from_numpy(rgb.astype(np.float64)).permute(0, 3, 1, 2)


def bgr_BHWC(face_BCHW: torch.Tensor) -> np.ndarray:
    return face_BCHW.permute(0, 2, 3, 1).numpy()[..., ::-1]


@pytest.mark.parametrize(("name", "options"), [("df", ""), ("df_ud", "ud"), ("df_t", "t"), ("df_udc", "udc")])
def test_network_agrees_with_deepfacelab(shared, name, options):
    golden = load(shared, name)
    net, _ = network(golden, options)
    with torch.inference_mode():
        src, dst = rgb_BCHW(golden["in/src_u8"]), rgb_BCHW(golden["in/dst_u8"])
        code_src, code_dst = net.code(src), net.code(dst)
        pairs = {
            "out/enc_src": net.encoder(src).numpy(),
            "out/enc_dst": net.encoder(dst).numpy(),
            "out/code_src": code_src.permute(0, 2, 3, 1).numpy(),
            "out/code_dst": code_dst.permute(0, 2, 3, 1).numpy(),
        }
        face, matte = (torch.sigmoid(x) for x in net.decoder_src(code_src))
        pairs["out/src_src"] = bgr_BHWC(face)
        pairs["out/src_src_mask_sub3"] = bgr_BHWC(matte)[:, ::3, ::3]
        face, matte = (torch.sigmoid(x) for x in net.decoder_dst(code_dst))
        pairs["out/dst_dst_sub3"] = bgr_BHWC(face)[:, ::3, ::3]
        pairs["out/dst_dst_mask_sub3"] = bgr_BHWC(matte)[:, ::3, ::3]
        face, matte = net.swap(dst)
        pairs["out/src_dst"] = bgr_BHWC(face)
        pairs["out/src_dst_mask_sub3"] = bgr_BHWC(matte)[:, ::3, ::3]
    worst = {key: float(np.abs(ours - golden[key]).max()) for key, ours in pairs.items()}
    assert max(worst.values()) < TOLERANCE[options], worst


def test_missing_weight_is_named(shared):
    golden = load(shared, "df")
    net, weights = network(golden, "")
    del weights["inter/dense2/bias:0"]
    with pytest.raises(ModelInvalid, match="inter/dense2/bias:0 is missing"):
        dfl.state_dict(weights, net.config)


def test_weights_of_another_size_are_refused():
    config = ModelConfig(options="", resolution=64, e_dims=4, d_dims=4, d_mask_dims=4, ae_dims=8)
    weights = {"encoder/down1/downs_0/conv1/weight:0": np.zeros((5, 5, 3, 6), np.float32)}
    with pytest.raises(ModelInvalid, match=r"downs_0/conv1/weight:0 becomes \(6, 3, 5, 5\).*\(4, 3, 5, 5\)"):
        dfl.state_dict(weights, config)
