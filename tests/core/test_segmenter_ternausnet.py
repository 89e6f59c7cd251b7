"""TernausNet: its authors' layers, and weights in the two published layouts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench import parity_segment
from understudy.core.errors import WeightsCorrupt
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segmenter import ternausnet

TINY = SegmenterConfig(network="ternausnet", resolution=64, channels=4)

NICKNAMES = {
    "conv1": 0,
    "conv2": 3,
    "conv3s": 6,
    "conv3": 8,
    "conv4s": 11,
    "conv4": 13,
    "conv5s": 16,
    "conv5": 18,
}
"""Second names that the package's UNet11 has for layers of its encoder."""


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    net = ternausnet.build(TINY)
    ternausnet.initialise(net, torch.Generator().manual_seed(0))
    return dict(net.state_dict())


def test_it_computes_what_the_package_computed():
    ((*_, difference, limit),) = parity_segment.ternausnet_()
    assert difference <= limit


@pytest.mark.parametrize("parallel", ["", "module."])
def test_the_packages_weights_load(state, tmp_path, parallel):
    second = {f"{n}.{k}": state[f"encoder.{i}.{k}"] for n, i in NICKNAMES.items() for k in ("weight", "bias")}
    torch.save({parallel + n: v for n, v in {**state, **second}.items()}, tmp_path / "w.pt")
    found = ternausnet.published(tmp_path / "w.pt", TINY)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_vgg11_gives_the_encoder(state, tmp_path):
    vgg = {f"features.{n.removeprefix('encoder.')}": v for n, v in state.items() if n.startswith("encoder.")}
    torch.save({**vgg, "classifier.0.weight": torch.zeros(8, 8)}, tmp_path / "vgg11.pth")
    found = ternausnet.published(tmp_path / "vgg11.pth", TINY)
    assert len(found) == 16
    net = ternausnet.build(TINY)
    assert not net.load_state_dict(found, strict=False).unexpected_keys
    assert all(torch.equal(net.state_dict()[name], state[name]) for name in found)


def test_weights_that_are_no_numbers_are_refused(state, tmp_path):
    broken = {**state, "encoder.0.weight": state["encoder.0.weight"] * float("nan")}
    torch.save(broken, tmp_path / "w.pt")
    with pytest.raises(WeightsCorrupt, match=r"encoder\.0\.weight is not finite"):
        ternausnet.published(tmp_path / "w.pt", TINY)


def test_other_widths_are_refused(state, tmp_path):
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightsCorrupt, match=r"encoder\.0\.weight is \(4, 3, 3, 3\), not \(8, 3, 3, 3\)"):
        ternausnet.published(tmp_path / "w.pt", replace(TINY, channels=8))


def test_vgg16_is_another_network(state, tmp_path):
    """It has layers of VGG-11's names at some places, and of other shapes or none at others."""
    torch.save({"features.0.weight": state["encoder.0.weight"]}, tmp_path / "w.pt")
    with pytest.raises(WeightsCorrupt, match=r"neither TernausNet nor VGG-11: it lacks encoder\.0\.bias"):
        ternausnet.published(tmp_path / "w.pt", TINY)


def test_grey_of_imagenet_is_nothing_to_the_encoder(state):
    """The crop is brought to the mean and spread that the published encoder was trained with."""
    net = ternausnet.build(TINY)
    net.load_state_dict(state)
    seen = []
    net.encoder["0"].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    mean = torch.tensor((0.485, 0.456, 0.406))[None, :, None, None]
    deviation = torch.tensor((0.229, 0.224, 0.225))[None, :, None, None]
    with torch.inference_mode():
        net((mean + deviation).expand(1, 3, 64, 64))
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 64, 64))
