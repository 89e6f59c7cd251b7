"""First weights, the model folder and the swap."""

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

from tests.core.shots import make_release, tiny_model
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, ReleaseInvalid, WriteFailed
from understudy.core.model import store, swap
from understudy.core.model.device import pick
from understudy.core.model.df import DF
from understudy.core.model.networks import build
from understudy.core.model.presets import ARCHS, ModelConfig

TINY = ModelConfig(options="ud", resolution=64, e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8)


@pytest.mark.parametrize("arch", ARCHS)
def test_fresh_weights_are_a_function_of_the_seed(arch):
    nets = [build(replace(TINY, arch=arch, e_dims=8)) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        net.initialise(torch.Generator().manual_seed(seed))
    first, same, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("options", ["", "ud", "u"])
@pytest.mark.parametrize("arch", ARCHS)
def test_a_fresh_network_keeps_its_signal_alive(arch, options):
    """Neither faint nor saturated: what training starts from."""
    config = replace(TINY, arch=arch, options=options, e_dims=32, d_dims=32, ae_dims=64)
    net = build(config)
    net.initialise(torch.Generator().manual_seed(0))
    face, _ = net.swap(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    assert 0.01 < float(face.detach().std()) < 0.3
    assert abs(float(face.detach().mean()) - 0.5) < 0.1


def test_saved_models_come_back(tmp_path):
    path = tiny_model(tmp_path / "m")
    model = swap.load(path, "cpu")
    assert (model.iteration, model.config.resolution) == (7, 64)
    assert model.releases == (make_release(),)
    assert model.digest == store.read_state(path).digest
    assert len(model.digest) == 64


def test_a_model_of_the_first_version_loads(tmp_path):
    """Its configuration and the names of its weights, as they were written when DF was all there was."""
    config = {"arch": "df", "options": "ud", "resolution": 64, "e_dims": 4, "d_dims": 4, "d_mask_dims": 2}
    config |= {"ae_dims": 8, "face_type": "whole"}
    decoder = ["face.{}.conv1", "face.{}.conv1", "face.{}.conv2"]
    names = [f"encoder.layers.{i}.conv1" for i in range(4)]
    names += ["inter.dense1", "inter.dense2", "inter.upscale1.conv1"]
    for side in ("src", "dst"):
        trunk = [name.format(2 * i + (n > 0)) for i in range(3) for n, name in enumerate(decoder)]
        layers = [
            *trunk,
            *(f"out.{i}" for i in range(4)),
            *(f"matte.{i}.conv1" for i in range(4)),
            "out_matte",
        ]
        names += [f"decoder_{side}.{layer}" for layer in layers]
    written = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    read = ModelConfig.from_dict(json.loads(json.dumps(config)))
    assert read == TINY
    assert read.to_dict() == config
    assert list(build(read).state_dict()) == written


@pytest.mark.parametrize("arch", ARCHS[1:])
def test_every_architecture_swaps_from_a_folder(tmp_path, arch):
    config = replace(TINY, arch=arch, e_dims=8)
    net = build(config)
    net.initialise(torch.Generator().manual_seed(3))
    store.create(tmp_path, config)
    store.save(tmp_path, store.State(iteration=1), net.state_dict(), {})
    model = swap.load(tmp_path, "cpu")
    crops = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    faces, mattes = model.swap(crops)
    with torch.inference_mode():
        face, matte = net.swap(torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous())
    np.testing.assert_allclose(faces, face.permute(0, 2, 3, 1).numpy(), atol=1e-5)
    np.testing.assert_allclose(mattes, matte[:, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(model.swap_and_dst(crops)[0], faces, atol=1e-5)
    back, _ = model.swap_back(crops)
    assert back.shape == faces.shape
    assert np.abs(back - faces).max() > 1e-3


def test_weights_of_another_architecture_are_refused(tmp_path):
    store.create(tmp_path, replace(TINY, arch="liae"))
    store.save(tmp_path, store.State(iteration=1), DF(TINY).state_dict(), {})
    with pytest.raises(ModelInvalid, match="the weights are not of this configuration"):
        swap.load(tmp_path)


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
    assert isinstance(model.net, DF)
    with torch.inference_mode():
        code = model.net.code(torch.from_numpy(crops).permute(0, 3, 1, 2))
        _, theirs = model.net.decoder_dst(code)
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
        first = store.read_state(path).iteration + 1
        for i in range(first, 10**6):
            store.save(path, store.State(iteration=i), weights, weights)
            if i == first:
                print("ready", flush=True)
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
        assert now > reached
        reached = now
    store.save(path, store.State(iteration=reached + 1), store.load(path)[1], {})
    assert len(list((path / "checkpoints").iterdir())) == 2  # what the kills left is gone
