"""How near our segmenters come to others: the rows of `bench.parity`, and what the recorded numbers were made of.

XSeg is held against what DeepFaceLab gave (`xseg.npz` of the golden set, in `$UNDERSTUDY_SHARED/golden/dfl`),
TernausNet against what its authors' package gave of the same weights (`tests/golden/ternausnet.npz`, recorded by
`tests/core/golden/make_ternausnet.py`).

DeepFaceLab's FRN adds up the squares of a picture one after the other in float32, and so loses digits: of 65536 pixels
some 1e-4. Its logits are 8e-4 away from exact arithmetic, ours 1e-5. With its order of adding ours agree with its.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from bench.parity_detect import Difference, weights_of
from understudy.core.segment.config import PRESETS, SegmenterConfig
from understudy.core.segmenter import _dfl, _frn, ternausnet, xseg

FILE = Path(__file__).parents[1] / "tests/golden/ternausnet.npz"

_DFL = "DeepFaceLab's XSeg, recorded"
_NAMES = {"weight": "frn/weight:0", "bias": "frn/bias:0", "eps": "frn/eps:0", "tau": "tlu/tau:0"}


def xseg_(golden: Mapping[str, Any]) -> Iterator[Difference]:
    """Layers, and the whole network, of `xseg.npz`."""
    yield "XSeg", _DFL, "layers: convolution, FRN, TLU, doubling, blurs", _layers(golden), 1e-5
    net = network(golden)
    picture = golden["in/image_u8"][..., ::-1].astype(np.float32) / np.float32(255)
    crop = torch.from_numpy(picture).permute(0, 3, 1, 2)
    with torch.inference_mode():
        as_it_is = net(crop)
        with mock.patch.object(_frn, "frn_tlu", added_in_order):
            in_order, bare = net(crop), net(crop, skips=False)
    yield "XSeg", _DFL, "logits", _apart(as_it_is, golden), 2e-3
    yield "XSeg", _DFL, "logits, squares added in its order", _apart(in_order, golden), 1e-4
    wanted = golden["out/sigmoid_pretrain_zero_skips_sub4"][0, ..., 0]
    difference = np.abs(torch.sigmoid(bare)[0, 0, ::4, ::4].numpy() - wanted).max()
    yield "XSeg", _DFL, "matte without skips (pretraining), same order", float(difference), 1e-4


def network(golden: Mapping[str, Any]) -> xseg.XSeg:
    """XSeg of two channels with the golden weights, through the reader of DeepFaceLab's names."""
    config = SegmenterConfig(network="xseg", channels=2)
    arrays = {name.removeprefix("w/"): golden[name] for name in golden if name.startswith("w/XSeg/")}
    net = xseg.build(config)
    with mock.patch.object(_dfl, "read", return_value=arrays):
        net.load_state_dict(xseg.published(Path("xseg.npz"), config))
    return net.eval()


def added_in_order(x: Tensor, weight: Tensor, bias: Tensor, eps: Tensor, tau: Tensor) -> Tensor:
    """FRN and TLU whose squares are added up one after the other in float32, which nothing but this check wants."""
    squares = x.square().flatten(2).numpy()
    total = np.add.accumulate(squares, axis=2, dtype=np.float32)[..., -1]
    energy = torch.from_numpy(total / np.float32(squares.shape[2]))[..., None, None]
    scale = weight[:, None, None] * torch.rsqrt(energy + eps.abs())
    return torch.maximum(x * scale + bias[:, None, None], tau[:, None, None])


def _apart(logits: Tensor, golden: Mapping[str, Any]) -> float:
    found = logits[0, 0].numpy()
    wide = np.abs(found[::2, ::2] - golden["out/logits_sub2"][0, ..., 0]).max()
    near = np.abs(found[96:160, 96:160] - golden["out/logits_crop64_rows96_cols96"][0, ..., 0]).max()
    return float(max(wide, near))


def _layers(golden: Mapping[str, Any]) -> float:
    """The largest difference of single layers."""
    x = torch.from_numpy(golden["prim/in"]).permute(0, 3, 1, 2)
    block, double = xseg.Block(4, 6), xseg.Block(4, 6, doubles=True)
    own = {name: golden[f"w/prim/{theirs}"] for name, theirs in _NAMES.items()}
    block.load_state_dict(_tensors({**own, **_convolution(golden, "conv")}))
    double.load_state_dict(_tensors({**own, **_convolution(golden, "convt2")}))
    with torch.inference_mode():
        made = {
            "conv": block.conv(x),
            "tlu": block(x),
            "convt_k3s2": xseg.doubled(x, double.conv.weight, double.conv.bias),
            **{f"bp{taps}": xseg.Halve(taps)(x) for taps in (2, 3, 4)},
        }
    return max(
        float(np.abs(value.permute(0, 2, 3, 1).numpy() - golden[f"prim/{name}"]).max())
        for name, value in made.items()
    )


def _convolution(golden: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {f"conv.{kind}": _dfl.converted(golden[f"w/prim/{name}/{kind}:0"]) for kind in ("weight", "bias")}


def _tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def ternausnet_() -> Iterator[Difference]:
    """TernausNet with made-up weights, as the published ones are not to be had."""
    net = ternausnet.build(PRESETS["ternausnet"])
    net.load_state_dict(louder(net))
    with torch.inference_mode(), np.load(FILE) as golden:
        logits = net.eval()(torch.from_numpy(picture())).numpy()
        difference = np.abs(logits[:, 0, ::2, ::2] - golden["logits"]).max() / np.abs(golden["logits"]).max()
    by = "ternausnet 0.0.1, recorded, same random weights"
    yield "TernausNet", by, "logits, of the largest", float(difference), 1e-5


def louder(net: nn.Module) -> dict[str, Tensor]:
    """Made-up weights for a network whose layers halve what they get by ReLU."""
    made = weights_of({name: value for name, value in net.state_dict().items() if value.numel()})
    return {name: value * (2.0**0.5 if value.ndim == 4 else 1.0) for name, value in made.items()}


def picture() -> np.ndarray:
    """(1, 3, 64, 64) float32 RGB in [0, 1]: noise, which leaves no unit of a network idle."""
    return np.random.default_rng(5).random((1, 3, 64, 64), np.float32)
