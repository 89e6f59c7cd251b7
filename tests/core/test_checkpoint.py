"""Checkpoints: every published kind gives the same tensors, and no file gets to run anything."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from understudy.core import _checkpoint
from understudy.core.errors import WeightsCorrupt


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)
        self.sizes = [1, 2]

    def forward(self, x):
        return self.head(self.body(x).mean(dim=(2, 3)))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(3)
    return Net()


def torchscript(net: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(net), path)


WRITERS = {
    "zip.pth": lambda net, path: torch.save(net.state_dict(), path),
    "legacy.pth": lambda net, path: torch.save(net.state_dict(), path, _use_new_zipfile_serialization=False),
    "nested.pth.tar": lambda net, path: torch.save({"epoch": 3, "state_dict": net.state_dict()}, path),
    "parallel.pt": lambda net, path: torch.save(
        OrderedDict((f"module.{k}", v) for k, v in net.state_dict().items()), path
    ),
    "net.safetensors": lambda net, path: save_file(net.state_dict(), path),
    "script.zip": torchscript,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_gives_the_same_tensors(net: Net, tmp_path: Path, kind: str):
    WRITERS[kind](net, tmp_path / kind)
    state = _checkpoint.load(tmp_path / kind)
    expected = net.state_dict()
    assert set(state) == set(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)


def test_a_real_checkpoint_of_2020_written_on_a_gpu(shared: Path):
    state = _checkpoint.load(shared / "weights" / "retinaface_mobilenet0.25.pth")
    assert state["body.stage1.0.0.weight"].shape == (8, 3, 3, 3)
    assert all(value.device.type == "cpu" for value in state.values())


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("ran-this"),)


def test_nothing_in_a_file_is_run(net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(2), "other": Evil()}, "zip.pth")
    torch.save({"weight": Evil()}, "legacy.pth", _use_new_zipfile_serialization=False)
    Path("bare.pt").write_bytes(pickle.dumps({"weight": Evil()}, protocol=2))
    torchscript(net, Path("plain.zip"))
    with zipfile.ZipFile("plain.zip") as plain, zipfile.ZipFile("script.zip", "w") as z:
        for entry in plain.namelist():
            z.writestr(entry, pickle.dumps(Evil()) if entry.endswith("/data.pkl") else plain.read(entry))
    for name in ("zip.pth", "legacy.pth", "bare.pt", "script.zip"):
        with pytest.raises(WeightsCorrupt, match=name) as caught:
            _checkpoint.load(Path(name))
        assert caught.value.path == name
    assert not Path("ran-this").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", pickle.dumps({"a": 1}, 2), pickle.dumps([1, 2], 2)], ids=range(4)
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=name):
        _checkpoint.load(tmp_path / name)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for kind, write in WRITERS.items():
        write(Net(), folder / kind)
    return folder


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(WRITERS)), seed=st.integers(0, 2**32 - 1))
def test_altered_bytes_are_refused_or_weights(files: Path, kind: str, seed: int):
    rng = np.random.default_rng(seed)
    data = bytearray((files / kind).read_bytes())
    for _ in range(4):
        data[rng.integers(len(data))] = rng.integers(256)
    path = files / f"altered-{kind}"
    path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has something to say about odd dtypes
        with suppress(WeightsCorrupt):  # anything else fails
            state = _checkpoint.load(path)
            assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_a_network_is_filled_and_ready(net: Net, tmp_path: Path):
    torch.save(net.state_dict(), tmp_path / "a.pth")
    filled = _checkpoint.fill(Net(), _checkpoint.load(tmp_path / "a.pth"), tmp_path / "a.pth")
    assert not filled.training
    assert not any(p.requires_grad for p in filled.parameters())
    picture = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(filled(picture), net.eval()(picture))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("head.weight"), "lacks head.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "has besides extra"),
        (lambda s: s.update({"head.bias": torch.zeros(3)}), r"head.bias is \(3,\), not \(2,\)"),
    ],
)
def test_other_weights_than_the_networks_own_are_named(net: Net, change, words: str):
    state = dict(net.state_dict())
    change(state)
    with pytest.raises(WeightsCorrupt, match=rf"nets/a\.pth: not the weights of Net: .*{words}"):
        _checkpoint.fill(Net(), state, Path("nets/a.pth"))


def test_batch_counters_may_be_lacking(net: Net):
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    _checkpoint.fill(Net(), state, Path("a.pth"))
