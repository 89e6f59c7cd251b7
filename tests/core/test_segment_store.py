"""A segmenter's folder; what it shares with a model's is in test_model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch

from understudy.core.errors import InvalidInput, ModelInvalid, NotFound
from understudy.core.segment import store
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segmenter import xseg

SMALL = SegmenterConfig(resolution=64, channels=2)
STATE = store.State(
    iteration=40,
    seconds=7.5,
    preset="xseg-light",
    iou=0.91,
    mark=0.9,
    beaten=25,
    trained=("faces/a.exr", "faces/b.exr"),
    held_out=("faces/c.exr",),
    samples="5" * 64,
    facesets={"/shots/faces": "6" * 64},
    self_labelled=3,
    curve={"knee": 0.5, "maximum": 8.0},
    working_space="ACEScg",
    colour="studio",
    versions={"torch": "2"},
)


def segmenter(folder):
    net = xseg.build(SMALL)
    xseg.initialise(net, torch.Generator().manual_seed(0))
    store.create(folder, SMALL)
    return store.save(folder, STATE, net.state_dict(), {"loss": torch.ones(())})


def test_what_is_saved_is_loaded(tmp_path):
    saved = segmenter(tmp_path / "s")
    assert saved == replace(STATE, digest=saved.digest, optimizer=saved.optimizer)
    assert store.read_config(tmp_path / "s") == SMALL
    state, weights = store.load(tmp_path / "s")
    assert state == saved == store.read_state(tmp_path / "s")
    assert state.labels == 2
    xseg.build(SMALL).load_state_dict(weights)
    assert store.load_optimizer(tmp_path / "s")["loss"] == 1
    assert len(saved.digest) == 64


def test_what_is_not_there_or_not_ours_says_so(tmp_path):
    with pytest.raises(NotFound, match="no trained segmenter here") as missing:
        store.read_state(tmp_path)
    assert missing.value.field == "segmenter"
    with pytest.raises(NotFound, match="no segmenter here"):
        store.read_config(tmp_path)
    path = tmp_path / "s"
    segmenter(path)
    with pytest.raises(InvalidInput, match="this segmenter's channels is 2, but 4 is asked for"):
        store.create(path, replace(SMALL, channels=4))
    state = store.current(path) / store.STATE
    state.write_text(json.dumps({**json.loads(state.read_text()), "format": 9}))
    with pytest.raises(ModelInvalid, match="not of format 1"):
        store.read_state(path)
    (path / store.CONFIG).write_text('{"format": 1, "arch": "df"}')
    with pytest.raises(ModelInvalid, match="not a segmenter configuration"):
        store.read_config(path)


def test_a_state_of_a_later_version_is_read_as_far_as_it_is_known(tmp_path):
    saved = segmenter(tmp_path / "s")
    state = store.current(tmp_path / "s") / store.STATE
    values = {**json.loads(state.read_text()), "mood": "good"}
    del values["self_labelled"]
    state.write_text(json.dumps(values))
    assert store.read_state(tmp_path / "s") == replace(saved, self_labelled=0)


def test_altered_weights_are_refused(tmp_path):
    segmenter(tmp_path / "s")
    weights = store.current(tmp_path / "s") / store.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelInvalid, match="its content was altered"):
        store.load(tmp_path / "s")


def test_a_kill_while_saving_leaves_a_segmenter(tmp_path):
    path = tmp_path / "s"
    segmenter(path)
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from understudy.core.segment import store
        path = Path(sys.argv[1])
        state, weights = store.load(path)
        print("ready", flush=True)
        for i in range(state.iteration + 1, 10**6):
            store.save(path, store.State(iteration=i), weights, weights)
            print(i, flush=True)
    """)
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with child:
        assert child.stdout is not None
        for _ in range(4):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    assert store.load(path)[0].iteration >= 43
    store.load_optimizer(path)


def test_the_folder_is_read_without_torch():
    code = (
        "import sys; import understudy.core.segment.settings, understudy.core.segment.store, "
        "understudy.core.segment.plan; assert 'torch' not in sys.modules"
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})
