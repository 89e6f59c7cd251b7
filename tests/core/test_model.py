"""Configurations, the network, the model folder and the swap."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.shots import make_release, tiny_model
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, ReleaseInvalid, WriteFailed
from understudy.core.model import store, swap
from understudy.core.model.device import pick
from understudy.core.model.df import DF
from understudy.core.model.presets import PRESETS, ModelConfig, preset

TINY = ModelConfig(options="ud", resolution=64, e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8)


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in DF(config).parameters())


@pytest.mark.parametrize(
    ("config", "count"),  # of DeepFaceLab's own networks
    [
        (PRESETS["quick96"], 38_294_330),
        (PRESETS["df-ud128"], 54_470_998),
        (ModelConfig(options=""), 57_538_432),
        (ModelConfig(options="udt"), 87_716_182),
        (PRESETS["df-ud256"], 82_794_838),
        (PRESETS["df-udt256"], 97_165_654),
        (ModelConfig(resolution=512), 196_090_198),
        (ModelConfig(resolution=512, options="udt"), 134_963_542),
    ],
)
def test_networks_have_deepfacelabs_sizes(config, count):
    assert parameters(config) == count


@given(options=st.sets(st.sampled_from("udtc")).map("".join), thirty_seconds=st.sampled_from([64, 96, 160]))
@settings(max_examples=24, deadline=None)
def test_every_option_paints_at_the_resolution(options, thirty_seconds):
    config = replace(TINY, options=options, resolution=thirty_seconds)
    with torch.device("meta"):
        face, matte = DF(config).swap(torch.empty(2, 3, config.resolution, config.resolution))
    assert face.shape == (2, 3, config.resolution, config.resolution)
    assert matte.shape == (2, 1, config.resolution, config.resolution)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("resolution", 72, "multiple of 16"),
        ("resolution", 48, "64 to 640"),
        ("resolution", 1024, "64 to 640"),
        ("options", "x", "udtc"),
        ("options", "uu", "different letters"),
        ("e_dims", 1, "2 to 256"),
        ("ae_dims", 4096, "8 to 1024"),
        ("face_type", "hat", "whole"),
        ("arch", "liae", "none of df"),
    ],
)
def test_a_wrong_configuration_names_field_and_value(field, value, says):
    with pytest.raises(InvalidInput, match=says) as refused:
        replace(ModelConfig(options=""), **{field: value})
    assert refused.value.field == field
    assert str(value) in refused.value.message


def test_half_resolution_needs_a_multiple_of_32():
    assert ModelConfig(options="", resolution=80).resolution == 80
    for options in ("d", "t"):
        with pytest.raises(InvalidInput, match=f"80 must be .* multiple of 32 with options '{options}'"):
            ModelConfig(options=options, resolution=80)


def test_options_have_one_order():
    assert ModelConfig(options="du") == ModelConfig(options="ud")


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(InvalidInput, match="quick64, quick96"):
        preset("quick1")


def test_configurations_come_back():
    assert all(ModelConfig.from_dict(json.loads(json.dumps(c.to_dict()))) == c for c in PRESETS.values())
    with pytest.raises(InvalidInput, match="depth 3 is not a field"):
        ModelConfig.from_dict({**TINY.to_dict(), "depth": 3})


def test_fresh_weights_are_a_function_of_the_seed():
    nets = [DF(TINY) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        net.initialise(torch.Generator().manual_seed(seed))
    first, same, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_fresh_network_keeps_its_signal_alive():
    """Neither faint nor saturated: what training starts from."""
    config = replace(TINY, e_dims=32, d_dims=32, ae_dims=64)
    net = DF(config)
    net.initialise(torch.Generator().manual_seed(0))
    face, _ = net.swap(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    assert 0.02 < float(face.detach().std()) < 0.3
    assert abs(float(face.detach().mean()) - 0.5) < 0.1


def test_saved_models_come_back(tmp_path):
    path = tiny_model(tmp_path / "m")
    model = swap.load(path, "cpu")
    assert (model.iteration, model.config.resolution) == (7, 64)
    assert model.releases == (make_release(),)
    assert model.digest == store.read_state(path).digest
    assert len(model.digest) == 64


def test_swaps_are_the_same_alone_or_among_others(tmp_path):
    model = swap.load(tiny_model(tmp_path / "m"), "cpu")
    crops = np.random.default_rng(0).random((5, 64, 64, 3), np.float32)
    faces, mattes = model.swap(crops)
    alone = [model.swap(crop[None]) for crop in crops]
    np.testing.assert_allclose(faces, np.concatenate([f for f, _ in alone]), atol=1e-5)
    np.testing.assert_allclose(mattes, np.concatenate([m for _, m in alone]), atol=1e-5)
    np.testing.assert_array_equal(faces, model.swap(crops)[0])
    in_threes, _ = model.swap(crops, batch_size=3)
    np.testing.assert_allclose(faces, in_threes, atol=1e-5)
    assert faces.shape == (5, 64, 64, 3)
    assert mattes.shape == (5, 64, 64)
    assert 0 <= faces.min() < faces.max() <= 1


def test_dst_has_a_matte_of_its_own(tmp_path):
    """The same faces as `swap`; dst's matte is what its own decoder says of the code, not src's."""
    model = swap.load(tiny_model(tmp_path / "m"), "cpu")
    crops = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    faces, mattes = model.swap(crops)
    again, same, own = model.swap_and_dst(crops)
    np.testing.assert_array_equal(faces, again)
    np.testing.assert_array_equal(mattes, same)
    assert own.shape == mattes.shape
    assert 0 <= own.min() < own.max() <= 1
    assert np.abs(own - mattes).max() > 0.05
    with torch.inference_mode():
        code = model._net.code(torch.from_numpy(crops).permute(0, 3, 1, 2))
        _, theirs = model._net.decoder_dst(code)
    np.testing.assert_allclose(own, torch.sigmoid(theirs)[:, 0].numpy(), atol=1e-5)
    assert [each.shape for each in model.swap_and_dst(crops[:0])] == [
        (0, 64, 64, 3),
        (0, 64, 64),
        (0, 64, 64),
    ]


def test_crops_of_another_size_are_refused(tmp_path):
    model = swap.load(tiny_model(tmp_path / "m"), "cpu")
    with pytest.raises(InvalidInput, match=r"\(1, 96, 96, 3\) is not \(N, 64, 64, 3\)"):
        model.swap(np.zeros((1, 96, 96, 3), np.float32))


def test_no_model_and_no_device(tmp_path):
    with pytest.raises(NotFound, match="no model here"):
        swap.load(tmp_path)
    with pytest.raises(InvalidInput, match="there are auto, cpu"):
        pick("tpu")


def test_altered_weights_are_refused(tmp_path):
    path = tiny_model(tmp_path / "m")
    weights = store.current(path) / store.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"weights.safetensors: its content was altered"):
        swap.load(path)


def test_an_altered_release_is_refused(tmp_path):
    path = tiny_model(tmp_path / "m")
    state = store.current(path) / store.STATE
    state.write_text(state.read_text().replace("performer-a", "performer-b"))
    with pytest.raises(ReleaseInvalid, match=r"state.json: the record was altered"):
        store.read_state(path)


@pytest.mark.parametrize("name", [store.CONFIG, store.POINTER])
def test_a_broken_file_is_named(tmp_path, name):
    path = tiny_model(tmp_path / "m")
    (path / name).write_text("{")
    with pytest.raises(ModelInvalid, match=name):
        swap.load(path)


def test_another_configuration_is_refused(tmp_path):
    path = tiny_model(tmp_path / "m")
    config = store.read_config(path)
    store.create(path, config)  # the same: nothing happens
    with pytest.raises(InvalidInput, match="e_dims is 4, but 8 is asked for") as refused:
        store.create(path, replace(config, e_dims=8))
    assert (refused.value.field, refused.value.value) == ("e_dims", 8)


def test_a_checkpoint_that_can_not_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    path = tiny_model(tmp_path / "m")
    before = store.read_state(path)

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match="No space left"):
        store.save(path, store.State(iteration=8), store.load(path)[1], {})
    monkeypatch.undo()
    assert store.read_state(path) == before
    assert len(list((path / "checkpoints").iterdir())) == 1
    swap.load(path)


def test_two_checkpoints_remain_and_backups_are_kept(tmp_path):
    path = tiny_model(tmp_path / "m")
    weights = store.load(path)[1]
    kept = []
    for iteration in (8, 9, 10):
        store.save(path, store.State(iteration=iteration), weights, {})
        kept.append(store.back_up(path, keep=2))
    assert len(list((path / "checkpoints").iterdir())) == 2  # the one before stays for who is reading it
    assert sorted(f.name for f in (path / "backups").iterdir()) == sorted(f.name for f in kept[1:])
    assert store.read_state(path).iteration == 10
    assert store.restore(path, kept[1].name).iteration == 9
    assert swap.load(path).iteration == 9
    assert kept[1].is_dir()  # it may be wanted again
    with pytest.raises(NotFound, match=f"no backup 'x'; there are {kept[1].name}"):
        store.restore(path, "x")


def test_a_kill_at_any_instant_leaves_a_model(tmp_path):
    """A process that does nothing but save is killed again and again; the model always loads."""
    path = tiny_model(tmp_path / "m")
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from understudy.core.model import store
        path = Path(sys.argv[1])
        weights = store.load(path)[1]
        state = store.read_state(path)
        print("ready", flush=True)
        for i in range(state.iteration + 1, 10**6):
            store.save(path, store.State(iteration=i), weights, weights)
    """)
    paths = os.pathsep.join(p for p in sys.path if p)
    reached = 7
    for attempt in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.05 + 0.037 * attempt)
            child.send_signal(signal.SIGKILL)
        now = swap.load(path).iteration
        store.load_optimizer(path)
        assert now >= reached
        reached = now
    assert reached > 7
    store.save(path, store.State(iteration=reached + 1), store.load(path)[1], {})
    assert len(list((path / "checkpoints").iterdir())) == 2  # what the kills left is gone
