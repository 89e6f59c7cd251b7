"""Weights of DeepFaceLab make our networks compute what DeepFaceLab computed (golden vectors, shared/golden/dfl)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.errors import ModelInvalid
from understudy.core.model import dfl
from understudy.core.model.liae import LIAE
from understudy.core.model.networks import Network, build
from understudy.core.model.presets import ModelConfig

# What the golden set suggests for networks. x·cos(x) is steep where x is large and multiplies rounding layer by
# layer: exact arithmetic is 3e-4 away from DeepFaceLab's own float32 there.
TOLERANCE = {"": 1e-4, "ud": 1e-4, "t": 1e-4, "udt": 1e-4, "udc": 5e-4}


def load(shared: Path, name: str):
    with np.load(shared / "golden" / "dfl" / f"{name}.npz") as file:
        return dict(file)


def network(golden, arch: str, options: str) -> tuple[Network, dict[str, np.ndarray]]:
    resolution, e, d, d_mask, ae = (int(v) for v in golden["cfg/resolution_e_d_dmask_ae"])
    config = ModelConfig(
        arch=arch, options=options, resolution=resolution, e_dims=e, d_dims=d, d_mask_dims=d_mask, ae_dims=ae
    )
    weights = {name.removeprefix("w/"): array for name, array in golden.items() if name.startswith("w/")}
    net = build(config)
    net.load_state_dict(dfl.state_dict(weights, config))
    return net.eval().double(), weights


def rgb_BCHW(bgr_u8: np.ndarray) -> torch.Tensor:
    rgb = bgr_u8[..., ::-1].astype(np.float32) / np.float32(255)
    return torch.from_numpy(rgb.astype(np.float64)).permute(0, 3, 1, 2)


def bhwc(x_BCHW: torch.Tensor) -> np.ndarray:
    return x_BCHW.permute(0, 2, 3, 1).numpy()


def bgr_BHWC(face_BCHW: torch.Tensor) -> np.ndarray:
    return bhwc(face_BCHW)[..., ::-1]


@pytest.mark.parametrize(
    ("arch", "options"),
    [("df", ""), ("df", "ud"), ("df", "t"), ("df", "udc"), ("liae", "ud"), ("liae", "udt")],
)
def test_network_agrees_with_deepfacelab(shared, arch, options):
    golden = load(shared, f"{arch}_{options}".rstrip("_"))
    net, _ = network(golden, arch, options)
    with torch.inference_mode():
        src, dst = rgb_BCHW(golden["in/src_u8"]), rgb_BCHW(golden["in/dst_u8"])
        features = net.encoder(dst)
        both = net.reconstruct(src, dst)
        code_src, code_dst = both.codes.chunk(2)
        pairs = {
            "out/enc_src": net.encoder(src).numpy(),
            "out/enc_dst": features.numpy(),
            "out/code_src": bhwc(code_src),
            "out/code_dst": bhwc(code_dst),
        }
        if isinstance(net, LIAE):
            pairs["out/inter_AB_src"] = bhwc(net.inter_AB(net.encoder(src)))
            pairs["out/inter_AB_dst"] = bhwc(net.inter_AB(features))
            pairs["out/inter_B_dst"] = bhwc(net.inter_B(features))
        src_src, dst_dst = torch.sigmoid(both.faces).chunk(2)
        matte_src, matte_dst = torch.sigmoid(both.mattes).chunk(2)
        pairs["out/src_src"] = bgr_BHWC(src_src)
        pairs["out/src_src_mask_sub3"] = bhwc(matte_src)[:, ::3, ::3]
        pairs["out/dst_dst_sub3"] = bgr_BHWC(dst_dst)[:, ::3, ::3]
        pairs["out/dst_dst_mask_sub3"] = bhwc(matte_dst)[:, ::3, ::3]
        face, matte = net.swap(dst)
        pairs["out/src_dst"] = bgr_BHWC(face)
        pairs["out/src_dst_mask_sub3"] = bhwc(matte)[:, ::3, ::3]
    assert set(pairs) == {name for name in golden if name.startswith("out/")}
    worst = {key: float(np.abs(ours - golden[key]).max()) for key, ours in pairs.items()}
    assert max(worst.values()) < TOLERANCE[options], worst


def test_missing_weight_is_named(shared):
    golden = load(shared, "df")
    net, weights = network(golden, "df", "")
    del weights["inter/dense2/bias:0"]
    with pytest.raises(ModelInvalid, match="inter/dense2/bias:0 is missing"):
        dfl.state_dict(weights, net.config)


def test_weights_of_another_size_are_refused():
    config = ModelConfig(options="", resolution=64, e_dims=4, d_dims=4, d_mask_dims=4, ae_dims=8)
    weights = {"encoder/down1/downs_0/conv1/weight:0": np.zeros((5, 5, 3, 6), np.float32)}
    with pytest.raises(ModelInvalid, match=r"downs_0/conv1/weight:0 becomes \(6, 3, 5, 5\).*\(4, 3, 5, 5\)"):
        dfl.state_dict(weights, config)


@pytest.mark.parametrize("shape", [(3, 3, 8, 10), (3, 3, 12), (0,)])
def test_weights_of_odd_shapes_are_refused(shared, shape):
    golden = load(shared, "liae_ud")
    net, weights = network(golden, "liae", "ud")
    weights["decoder/upscale0/conv1/weight:0"] = np.zeros(shape, np.float32)
    with pytest.raises(ModelInvalid, match="decoder/upscale0/conv1/weight:0 becomes"):
        dfl.state_dict(weights, net.config)


class InWords:
    """The HD kin as DeepFaceLab of spring 2020 has them, by its names, layouts and BGR; makes weights when asked."""

    def __init__(self) -> None:
        self.weights: dict[str, np.ndarray] = {}
        self.dice = np.random.default_rng(11)

    def weight(self, name: str, *shape: int) -> torch.Tensor:
        if name not in self.weights:
            spread = 0.05 if len(shape) == 1 else np.sqrt(2 / np.prod(shape[:-1]))
            self.weights[name] = self.dice.normal(0, spread, shape).astype(np.float32)
        return torch.from_numpy(self.weights[name]).double()

    def conv(self, name: str, x: torch.Tensor, out: int, kernel: int = 3, dilation: int = 1) -> torch.Tensor:
        hwio = self.weight(f"{name}/weight:0", kernel, kernel, x.shape[1], out)
        bias = self.weight(f"{name}/bias:0", out)
        pad = ((kernel - 1) * dilation + 1) // 2
        return torch.nn.functional.conv2d(x, hwio.permute(3, 2, 0, 1), bias, padding=pad, dilation=dilation)

    def dense(self, name: str, x: torch.Tensor, out: int) -> torch.Tensor:
        return x @ self.weight(f"{name}/weight:0", x.shape[1], out) + self.weight(f"{name}/bias:0", out)

    def down(self, name: str, x: torch.Tensor, out: int, kernel: int, dilation: int) -> torch.Tensor:
        x = self.conv(f"{name}/conv1", x, out // 4, kernel, dilation)
        return torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)

    def up(self, name: str, x: torch.Tensor, out: int) -> torch.Tensor:
        x = act(self.conv(f"{name}/conv1", x, 4 * out), 0.1)
        large = x.new_empty(x.shape[0], out, 2 * x.shape[2], 2 * x.shape[3])
        for q, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            large[:, :, i::2, j::2] = x[:, q * out : (q + 1) * out]
        return large

    def encoder(self, x: torch.Tensor, e: int) -> torch.Tensor:
        found = []
        for number, (kernel, dilation, width) in enumerate(
            [(3, 1, 2 * e), (5, 1, 2 * e), (5, 2, e // 2), (7, 2, e // 2)], 1
        ):
            y = x
            for i in range(4):
                y = act(self.down(f"encoder/down{number}/downs_{i}", y, width * 2**i, kernel, dilation), 0.1)
            found.append(y.flatten(1))
        return torch.cat(found, dim=1)

    def inter(self, part: str, x: torch.Tensor, ae: int, out: int) -> torch.Tensor:
        x = self.dense(f"{part}/dense2", self.dense(f"{part}/dense1", x, ae), 4 * 4 * out)
        return self.up(f"{part}/upscale1", x.view(-1, out, 4, 4), out)

    def bump(self, name: str, x: torch.Tensor, inner: int) -> tuple[torch.Tensor, torch.Tensor]:
        high = self.up(f"{name}/up", x, inner)
        y = self.conv(f"{name}/res/conv2", act(self.conv(f"{name}/res/conv1", high, inner), 0.2), inner)
        high = act(high + y, 0.2)
        return act(x + self.down(f"{name}/down", high, x.shape[1], 3, 1), 0.2), high

    def decoder(
        self, part: str, code: torch.Tensor, d: int, d_mask: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x, high = self.bump(f"{part}/res0", code, 8 * d)
        for i, width in enumerate((8 * d, 4 * d, 2 * d)):
            x = act(self.up(f"{part}/upscale{i}", x, width) + high, 0.2)
            x, high = self.bump(f"{part}/res{i + 1}", x, width // 2)
        m = code
        for i, width in enumerate((8 * d_mask, 4 * d_mask, 2 * d_mask)):
            m = self.up(f"{part}/upscalem{i}", m, width)
        face, matte = self.conv(f"{part}/out_conv", x, 3, 1), self.conv(f"{part}/out_convm", m, 1, 1)
        return torch.sigmoid(face).flip(1), torch.sigmoid(matte)


def act(x: torch.Tensor, slope: float) -> torch.Tensor:
    return torch.maximum(x, slope * x)


@pytest.mark.parametrize("arch", ["dfhd", "liaehd"])
def test_hd_weights_mean_what_they_meant(arch):
    """There are no golden vectors of the HD kin: against a second writing, from their description in `hd`."""
    config = ModelConfig(arch=arch, options="", resolution=64, e_dims=8, d_dims=4, d_mask_dims=3, ae_dims=12)
    theirs, dice = InWords(), torch.Generator().manual_seed(2)
    src, dst = (torch.rand(2, 3, 64, 64, generator=dice, dtype=torch.float64) for _ in range(2))
    x_src, x_dst = theirs.encoder(src.flip(1), 8), theirs.encoder(dst.flip(1), 8)
    if arch == "dfhd":
        code = theirs.inter("inter", x_dst, 12, 12)
        expected = [theirs.decoder("decoder_src", code, 4, 3), theirs.decoder("decoder_dst", code, 4, 3)]
    else:
        both, own = theirs.inter("inter_AB", x_dst, 12, 24), theirs.inter("inter_B", x_dst, 12, 24)
        codes = torch.cat([both, both], 1), torch.cat([own, both], 1)
        expected = [theirs.decoder("decoder", code, 4, 3) for code in codes]
    net = build(config)
    net.load_state_dict(dfl.state_dict(theirs.weights, config))
    net.double()
    with torch.inference_mode():
        swap, rebuilt = net.swap(dst), net.reconstruct(src, dst)
        torch.testing.assert_close(net.encoder(src), x_src, atol=1e-9, rtol=0)
    for ours, wanted in zip(swap, expected[0], strict=True):
        torch.testing.assert_close(ours, wanted.float(), atol=1e-6, rtol=0)
        assert float(wanted.std()) > 0.01
    for ours, wanted in zip((rebuilt.faces, rebuilt.mattes), expected[1], strict=True):
        torch.testing.assert_close(torch.sigmoid(ours[2:]), wanted, atol=1e-9, rtol=0)
