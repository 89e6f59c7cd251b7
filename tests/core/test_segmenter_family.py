"""What every segmenter must do, asked of each by name; and the configurations."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from understudy.core import _plugins
from understudy.core.errors import InvalidInput, NotFound, WeightsCorrupt
from understudy.core.model import presets as swaps
from understudy.core.segment.config import PRESETS, SegmenterConfig, preset
from understudy.core.segment.plan import plan

NAMES = _plugins.names("segmenter")


@pytest.fixture(params=NAMES)
def family(request) -> ModuleType:
    return _plugins.load("segmenter", request.param)


@pytest.fixture
def config(family) -> SegmenterConfig:
    return SegmenterConfig(network=family.__name__.rpartition(".")[2], resolution=64, channels=4)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are done sooner than two threads have met, where other tests run beside them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fresh(family: ModuleType, config: SegmenterConfig, seed: int = 0) -> nn.Module:
    net: nn.Module = family.build(config)
    family.initialise(net, torch.Generator().manual_seed(seed))
    return net


def crops(count: int, side: int = 64, seed: int = 1) -> torch.Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(seed))


def discs(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Reddish discs before noise, and where they are."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    centre = 20.0 + 24.0 * torch.rand((count, 2, 1, 1), generator=generator)
    radius = 10.0 + 8.0 * torch.rand((count, 1, 1), generator=generator)
    inside = ((x - centre[:, 0]).hypot(y - centre[:, 1]) < radius).float()[:, None]
    noise = torch.rand((count, 3, 64, 64), generator=generator)
    return inside * (0.3 * noise + torch.tensor((0.6, 0.2, 0.2))[:, None, None]) + (
        1 - inside
    ) * noise, inside


class TestNetwork:
    @pytest.mark.parametrize("side", [64, 128])
    def test_a_logit_for_every_pixel(self, family, config, side):
        net = fresh(family, replace(config, resolution=side))
        with torch.inference_mode():
            logits = net(crops(2, side))
        assert logits.shape == (2, 1, side, side)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()

    def test_fresh_weights_are_all_drawn_and_a_function_of_the_seed(self, family, config):
        states = []
        for seed, before in ((1, float("nan")), (1, 7.0), (2, 0.0)):
            net = family.build(config)
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.fill_(before)
            family.initialise(net, torch.Generator().manual_seed(seed))
            states.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        assert states[0].isfinite().all()
        assert torch.equal(states[0], states[1])
        assert not torch.equal(states[0], states[2])

    def test_a_fresh_network_is_unsure_and_not_blind(self, family, config):
        with torch.inference_mode():
            logits = fresh(family, replace(config, channels=16))(crops(4))
        assert logits.abs().mean() < 2.0
        assert logits.std() > 1e-3

    def test_each_of_a_batch_by_itself(self, family, config):
        net = fresh(family, config)
        with torch.inference_mode():
            together = net(crops(3))
            alone = torch.cat([net(crop[None]) for crop in crops(3)])
        torch.testing.assert_close(together, alone, rtol=0.0, atol=1e-5)

    def test_training_and_evaluation_compute_the_same(self, family, config):
        """What is judged during training is what will be applied."""
        net = fresh(family, config)
        with torch.inference_mode():
            torch.testing.assert_close(net.train()(crops(2)), net.eval()(crops(2)), rtol=0.0, atol=0.0)

    def test_memory_layout_changes_nothing(self, family, config):
        net = fresh(family, config)
        with torch.inference_mode():
            usual = net(crops(2))
            last = net.to(memory_format=torch.channels_last)(  # type: ignore[call-overload]
                crops(2).contiguous(memory_format=torch.channels_last)
            )
        torch.testing.assert_close(usual, last, rtol=0.0, atol=1e-4)

    def test_inputs_are_not_written_to(self, family, config):
        given = crops(2)
        with torch.inference_mode():
            fresh(family, config)(given)
        assert torch.equal(given, crops(2))

    def test_weights_come_back_from_a_file(self, family, config, tmp_path):
        net, other = fresh(family, config), fresh(family, config, seed=9)
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        other.load_state_dict(load_file(tmp_path / "w.safetensors"))
        with torch.inference_mode():
            assert torch.equal(net(crops(1)), other(crops(1)))

    def test_it_learns(self, family, config):
        """A few steps on discs: the network, its derivatives and its start serve their purpose."""
        net = fresh(family, replace(config, channels=8))
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        generator = torch.Generator().manual_seed(2)
        for _ in range(80):
            pictures, inside = discs(4, generator)
            loss = functional.binary_cross_entropy_with_logits(net(pictures), inside)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        pictures, inside = discs(8, generator)
        with torch.inference_mode():
            found = net(pictures) > 0
        both, either = (found & (inside > 0)).sum(), (found | (inside > 0)).sum()
        assert both / either > 0.75


class TestPublished:
    def test_a_file_that_is_not_there(self, family, config, tmp_path):
        with pytest.raises(NotFound, match=r"nowhere\.pth"):
            family.published(tmp_path / "nowhere.pth", config)

    @pytest.mark.parametrize("name", ["w.npy", "w.pth", "w.safetensors", "w.npz"])
    @pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04" + bytes(80), b"\x80\x02]."])
    def test_files_that_are_no_weights(self, family, config, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsCorrupt, match=name):
            family.published(tmp_path / name, config)

    @pytest.mark.parametrize("name", ["w.npy", "w.pth"])
    def test_code_in_a_file_is_not_run(self, family, config, tmp_path, name):
        ran = tmp_path / "ran"

        class Trap:
            def __reduce__(self):
                return Path.touch, (ran,)

        (tmp_path / name).write_bytes(pickle.dumps({"conv01/conv/weight:0": Trap()}, 2))
        with pytest.raises(WeightsCorrupt, match=name):
            family.published(tmp_path / name, config)
        assert not ran.exists()

    def test_weights_of_something_else(self, family, config, tmp_path):
        save_file({"layer.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
        with pytest.raises(WeightsCorrupt, match="lacks"):
            family.published(tmp_path / "w.safetensors", config)


class TestConfig:
    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("network", "unet", "none of ternausnet, xseg"),
            ("resolution", 96, "multiple of 64 for xseg"),
            ("resolution", 32, "64 to 512"),
            ("resolution", 576, "64 to 512"),
            ("channels", 0, "2 to 128"),
            ("channels", 7, "even"),
            ("channels", 256, "2 to 128"),
            ("face_type", "hat", "whole"),
            ("face_type", "full_no_align", "whole"),
        ],
    )
    def test_a_wrong_value_is_named(self, field, value, says):
        with pytest.raises(InvalidInput, match=says) as refused:
            replace(SegmenterConfig(), **{field: value})
        assert refused.value.field == field
        assert str(value) in refused.value.message

    def test_ternausnet_halves_once_less(self):
        assert SegmenterConfig(network="ternausnet", resolution=96).resolution == 96
        with pytest.raises(InvalidInput, match="multiple of 32 for ternausnet"):
            SegmenterConfig(network="ternausnet", resolution=80)

    def test_configurations_come_back(self):
        assert all(
            SegmenterConfig.from_dict(json.loads(json.dumps(c.to_dict()))) == c for c in PRESETS.values()
        )
        with pytest.raises(InvalidInput, match="depth 3 is not a field"):
            SegmenterConfig.from_dict({**SegmenterConfig().to_dict(), "depth": 3})

    def test_an_unknown_preset_lists_those_there_are(self):
        with pytest.raises(InvalidInput, match=r"xseg, .*ternausnet-light"):
            preset("sam")

    def test_the_light_ones_differ_by_what_they_see_alone(self):
        """And a CPU's swap presets see as much as the narrower one."""
        wide, narrow = preset("xseg-light"), preset("xseg-light-full")
        assert replace(wide, face_type=narrow.face_type) == narrow
        assert narrow.face_type == swaps.PRESETS["quick96"].face_type
        assert plan("xseg-light-full") == plan("xseg-light")

    @pytest.mark.parametrize(
        ("name", "count"),  # of DeepFaceLab's XSeg, and of the package's UNet11
        [("xseg", 17_569_317), ("ternausnet", 22_927_393)],
    )
    def test_networks_have_the_published_sizes(self, name, count):
        config = preset(name)
        with torch.device("meta"):
            net = _plugins.load("segmenter", config.network).build(config)
        assert sum(p.numel() for p in net.parameters()) == count
