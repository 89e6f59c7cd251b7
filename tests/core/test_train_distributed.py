"""Several processes train as one does: the same samples, the same losses, the same weights but for rounding."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from tests.core.shots import make_release, write_faceset
from understudy.core import release
from understudy.core.errors import InvalidInput
from understudy.core.model import presets, store
from understudy.core.model.presets import ModelConfig
from understudy.core.reports import TrainReport
from understudy.core.train import clockwork, distributed, loop
from understudy.core.train.distributed import Team
from understudy.core.train.plan import Phase
from understudy.core.train.settings import TrainSettings

TINY = ModelConfig(resolution=64, e_dims=8, d_dims=8, d_mask_dims=2, ae_dims=16, face_type="full")
STEADY = {"batch_size": "4", "learning_rate": "1e-3", "warmup": "0", "floor": "1", "calm": "1"}
ALL = {"gan": "0.1", "true_face": "0.01", "average": "0.9", "accumulate": "2", "clip": "1", "keep": "0.5"}


@pytest.fixture(scope="module")
def facesets(tmp_path_factory) -> Path:
    """Two facesets, the src with a release. Read only."""
    folder: Path = tmp_path_factory.mktemp("facesets")
    for name in ("src", "dst"):
        write_faceset(folder / name, range(1001, 1007), f"{name}.%04d.exr")
    release.write(make_release(), folder / "src" / "release.json")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """One thread here and in the processes that are started, a report of each iteration, a tiny preset."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    monkeypatch.setitem(presets.PRESETS, "tiny", TINY)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started from here on."""
    found: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*given, **words):
        found.append(popen(*given, **words))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    return found


def asked(facesets: Path, model: Path, **changes) -> TrainSettings:
    settings = TrainSettings(
        model=model,
        src=facesets / "src",
        dst=facesets / "dst",
        preset="tiny",
        options=STEADY,
        precision="float32",
        device="cpu",
        target_iterations=5,
    )
    return replace(settings, **changes)


def trained(settings: TrainSettings, colour) -> torch.Tensor:
    """Train; all losses of all iterations, in order."""
    reports = [r for r in loop.run(settings, colour=colour) if isinstance(r, TrainReport) and r.losses]
    return torch.tensor([list(report.losses.values()) for report in reports])


def weights(model: Path) -> torch.Tensor:
    return torch.cat([w.flatten() for w in store.load(model)[1].values()])


@pytest.mark.parametrize(
    "more", [{}, ALL, {"accumulate": "4"}], ids=["plain", "all", "more parts than samples"]
)
def test_two_processes_train_as_one_with_the_whole_batch(facesets, colour, tmp_path, more):
    alone = asked(facesets, tmp_path / "alone", options={**STEADY, **more})
    curve = trained(alone, colour)
    shared = trained(replace(alone, model=tmp_path / "shared", device="cpu,cpu"), colour)
    assert curve.shape[0] == 5
    torch.testing.assert_close(shared, curve, rtol=1e-3, atol=1e-5)
    assert (curve[0] - curve[-1]).abs().max() > 0.01  # and it has learnt something, or all would be equal
    # Adam's first steps are as long for rounding as for a gradient, and each kind of CPU rounds in its own way:
    # measured against the way that a weight can go, few are apart, and those where there is hardly a gradient
    way = 5 * float(STEADY["learning_rate"])
    apart = (weights(tmp_path / "shared") - weights(tmp_path / "alone")).abs() / way
    assert apart.median() < 0.01
    assert (apart > 0.1).float().mean() < 0.01


def test_two_processes_go_on_with_what_one_began(facesets, colour, tmp_path):
    whole, halves = (asked(facesets, tmp_path / name) for name in ("whole", "halves"))
    curve = trained(whole, colour)
    trained(replace(halves, target_iterations=2), colour)
    rest = trained(replace(halves, device="cpu,cpu"), colour)
    torch.testing.assert_close(rest, curve[2:], rtol=1e-3, atol=1e-5)


def test_a_batch_that_can_not_be_shared_is_refused(facesets, colour, tmp_path):
    settings = asked(facesets, tmp_path / "m", options={"batch_size": "3"}, device="cpu,cpu")
    with pytest.raises(InvalidInput, match="batch_size 3 can not be shared by 2 devices") as refused:
        trained(settings, colour)
    assert refused.value.field == "batch_size"


def test_closing_sends_the_others_home(facesets, colour, tmp_path, monkeypatch, started):
    monkeypatch.setattr(distributed, "_ENDING_SECONDS", 300.0)  # a busy machine: they end by themselves
    training = loop.run(
        asked(facesets, tmp_path / "m", device="cpu,cpu", target_iterations=None), colour=colour
    )
    assert any(isinstance(report, TrainReport) and report.iteration >= 2 for report in training)
    training.close()
    assert [child.returncode for child in started] == [0]
    assert store.read_state(tmp_path / "m").iteration >= 2


def test_a_process_that_ends_as_it_begins_ends_the_training(facesets, colour, tmp_path, monkeypatch, started):
    """As where another program has the GPU for itself: who leads would wait for it."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$RANK" = 2 ] && exit 3\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(InvalidInput, match="device cpu ended with 3 as it began") as refused:
        trained(asked(facesets, tmp_path / "m", device="cpu,cpu,cpu"), colour)
    assert refused.value.field == "device"
    assert [child.returncode for child in started] == [-signal.SIGKILL, 3]


def test_each_takes_its_part():
    team = object.__new__(Team)
    team.rank, team.size = 1, 2
    assert team.part(8) == slice(4, 8)
    with pytest.raises(InvalidInput, match="batch_size 3"):
        team.part(3)


def test_torchrun(facesets, tmp_path):
    said = {
        "model": str(tmp_path / "m"), "src": str(facesets / "src"), "dst": str(facesets / "dst"),
        "preset": "quick64", "precision": "float32", "target_iterations": 2, "options": {"batch_size": "2"},
    }  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(said))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *command, "-m", "understudy.core.train.distributed", tmp_path / "settings.json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["report"] == "Started"  # one process alone reports
    assert [line["report"] for line in lines].count("Started") == 1
    assert lines[-1] == {
        "report": "Artifact", "kind": "model", "path": str(tmp_path / "m"), "frame": None, "layers": [],
    }  # fmt: skip
    assert store.read_state(tmp_path / "m").iteration == 2


def test_settings_of_a_file(tmp_path):
    wanted = TrainSettings(
        model=tmp_path / "m",
        src=tmp_path / "src",
        dst=tmp_path / "dst",
        release=make_release(),
        target_iterations=100,
        options={"gan": "0.1"},
        phases=(Phase(share=0.5, options={"warp": "0"}),),
        until=datetime(2026, 11, 22, tzinfo=timezone.utc),
    )
    said = {
        "model": str(wanted.model), "src": str(wanted.src), "dst": str(wanted.dst),
        "release": json.loads(make_release().to_json()), "target_iterations": 100, "options": {"gan": "0.1"},
        "phases": [{"share": 0.5, "options": {"warp": "0"}}], "until": "2026-11-22T00:00:00+00:00",
    }  # fmt: skip
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(said))
    assert distributed.read_settings(file) == wanted


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "m"}', '{"models": "m"}', '{"until": 3}'])
def test_a_file_without_settings_is_refused(tmp_path, text):
    file = tmp_path / "settings.json"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"settings\.json: not the settings of a training"):
        distributed.read_settings(file)
