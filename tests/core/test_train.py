"""A training learns, goes on after a kill as if nothing had been, and refuses what it must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.core.shots import make_release, write_faceset
from tests.core.training import FRAMES, PLAN, TINY, asked, make_facesets, one_thread, weights
from understudy.core import release
from understudy.core.errors import (
    InvalidInput,
    ModelInvalid,
    NoFace,
    NotFound,
    ReleaseInvalid,
    ReleaseMissing,
    TrackAmbiguous,
)
from understudy.core.faceset import Faceset
from understudy.core.faceset import write as write_face
from understudy.core.model import presets, store, swap
from understudy.core.reports import Artifact, Started, TrainReport, Warned
from understudy.core.train import clockwork, loop, plan, precision
from understudy.core.train.plan import Phase
from understudy.core.train.settings import TrainSettings
from understudy.core.train.threads import Threads
from understudy.core.train.trainer import Trainer


@pytest.fixture(scope="module")
def facesets(tmp_path_factory) -> Path:
    """Two facesets, the src with a release. Read only."""
    return make_facesets(tmp_path_factory.mktemp("facesets"))


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "tiny", TINY)
    monkeypatch.setitem(plan._PLANS, "tiny", PLAN)


def test_a_training_reports_and_leaves_a_model(facesets, colour, tmp_path):
    reports = list(loop.run(asked(facesets, tmp_path / "m"), colour=colour))
    assert reports[0] == Started(total=4, unit="iteration")
    (said,) = (r.message for r in reports if isinstance(r, Warned) and r.reason == "NETWORK")
    assert f"{tmp_path / 'm'}: df-ud, 64 px" in said
    assert "a step of 2 + 2 faces in float32" in said
    last = [r for r in reports if isinstance(r, TrainReport)][-1]
    assert (last.iteration, last.checkpoint) == (4, True)
    assert set(last.losses) == {"src", "dst", "dssim", "pixel", "matte"}
    assert last.rate > 0
    preview, model = (r for r in reports if isinstance(r, Artifact))
    picture = cv2.imread(str(preview.path))
    assert picture is not None
    assert picture.shape == (9 * 128, 8 * 128, 3)
    assert picture.std() > 10
    assert model == Artifact(kind="model", path=tmp_path / "m")
    assert list((tmp_path / "m" / "history").glob("events.out.tfevents.*"))
    state = store.read_state(tmp_path / "m")
    assert state.iteration == 4
    assert state.releases == (make_release(),)
    assert (state.src, state.dst) == tuple(Faceset.open(facesets / n).digest() for n in ("src", "dst"))
    assert (state.working_space, set(state.curve)) == ("ACEScg", {"knee", "maximum"})
    assert set(state.versions) == {"understudy", "torch"}
    crop = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    assert swap.load(tmp_path / "m", "cpu").swap(crop)[0].shape == crop.shape


def test_a_training_learns(facesets, colour, tmp_path, monkeypatch):
    """Sixty iterations of a tiny network take most of what is easy in the loss away."""
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    settings = asked(facesets, tmp_path / "m", target_iterations=60)
    pixels = [
        r.losses["pixel"]
        for r in loop.run(settings, colour=colour)
        if isinstance(r, TrainReport) and r.losses
    ]
    assert np.mean(pixels[-5:]) < 0.5 * np.mean(pixels[:3])


def test_a_finished_model_is_left_alone(facesets, colour, tmp_path):
    settings = asked(facesets, tmp_path / "m", target_iterations=2)
    list(loop.run(settings, colour=colour))
    before = store.current(tmp_path / "m")
    again = list(loop.run(settings, colour=colour))
    assert again[0] == Started(total=2, unit="iteration", skipped=2)
    assert [type(r) for r in again] == [Started, TrainReport, Artifact]
    assert store.current(tmp_path / "m") == before
    by_time = replace(settings, target_iterations=None, target_seconds=1e-6)
    assert len(list(loop.run(by_time, colour=colour))) == 3


def test_closing_writes_a_checkpoint(facesets, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    training = loop.run(asked(facesets, tmp_path / "m", target_iterations=None), colour=colour)
    iteration = next(r.iteration for r in training if isinstance(r, TrainReport) and r.iteration >= 3)
    assert isinstance(training, Generator)
    training.close()
    assert store.read_state(tmp_path / "m").iteration == iteration


def test_a_killed_training_goes_on(facesets, colour, tmp_path):
    """SIGKILL in the middle: the last checkpoint holds and the next run goes on from it."""
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        from tests.core.training import asked, name_presets
        from understudy.core.colour import ColourConfig
        from understudy.core.train import clockwork, loop
        clockwork._REPORT_SECONDS = 0.0
        name_presets()
        settings = asked(Path(sys.argv[1]), Path(sys.argv[2]), target_iterations=10**6, save_seconds=1e-6)
        for report in loop.run(settings, colour=ColourConfig.open(None)):
            print(getattr(report, "iteration", 0), flush=True)
    """)
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(facesets), str(tmp_path / "m")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with child:
        assert child.stdout is not None
        assert any(int(line) >= 3 for line in child.stdout)
        child.send_signal(signal.SIGKILL)
    reached = store.read_state(tmp_path / "m").iteration
    assert reached >= 3
    goal = asked(facesets, tmp_path / "m", target_iterations=reached + 1)
    list(loop.run(goal, colour=colour))
    assert store.read_state(tmp_path / "m").iteration == reached + 1


def test_a_loss_that_is_no_number_is_taken_back(facesets, colour, tmp_path, monkeypatch):
    step = Trainer.step
    broken: list[int] = []

    def breaks_once(self, src, dst, iteration, progress):
        losses = step(self, src, dst, iteration, progress)
        if iteration == 2 and not broken:
            broken.append(iteration)
            next(self.net.parameters()).data.fill_(float("nan"))
            return {name: value * float("nan") for name, value in losses.items()}
        return losses

    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(Trainer, "step", breaks_once)
    reports = list(loop.run(asked(facesets, tmp_path / "m", target_iterations=5), colour=colour))
    warned = [r for r in reports if isinstance(r, Warned)]
    assert [w.reason for w in warned] == ["NETWORK", "DIVERGED"]
    assert "went 3 iterations back to 0" in warned[1].message
    assert store.read_state(tmp_path / "m").iteration == 5
    assert bool(torch.isfinite(weights(tmp_path / "m")).all())


def test_a_loss_that_never_is_a_number_ends_the_training(facesets, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    nothing = {"src": torch.tensor(float("nan"))}
    monkeypatch.setattr(Trainer, "step", lambda *_: nothing)
    with pytest.raises(ModelInvalid, match="ran off to infinity 4 times") as given_up:
        list(loop.run(asked(facesets, tmp_path / "m"), colour=colour))
    assert given_up.value.field == "precision"
    assert store.read_state(tmp_path / "m").iteration == 0


def test_no_face(facesets, colour, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.exr").write_bytes(b"")
    settings = asked(facesets, tmp_path / "m", dst=tmp_path / "empty")
    with pytest.raises(NoFace, match="empty: dst has no face to train on; 1 images in it can not be read"):
        list(loop.run(settings, colour=colour))
    with pytest.raises(NotFound, match="no such faceset"):
        list(loop.run(replace(settings, dst=tmp_path / "none"), colour=colour))


def test_one_face_of_each_trains(colour, tmp_path):
    for name in ("src", "dst"):
        write_faceset(tmp_path / name, [1001], f"{name}.%04d.exr")
    settings = asked(tmp_path, tmp_path / "m", release=make_release(), target_iterations=2)
    reports = list(loop.run(settings, colour=colour))
    assert [r.reason for r in reports if isinstance(r, Warned)] == ["FEW_FACES", "NETWORK"]
    assert store.read_state(tmp_path / "m").iteration == 2


def test_no_release(facesets, colour, tmp_path):
    settings = asked(facesets, tmp_path / "m", src=facesets / "dst", dst=facesets / "src")
    with pytest.raises(ReleaseMissing, match="understudy release create"):
        list(loop.run(settings, colour=colour))
    assert not (tmp_path / "m").exists()


def test_a_release_may_come_with_the_training(facesets, colour, tmp_path):
    write_faceset(tmp_path / "src", FRAMES, "src.%04d.exr")
    granted = make_release()
    settings = asked(facesets, tmp_path / "m", src=tmp_path / "src", release=granted, target_iterations=2)
    list(loop.run(settings, colour=colour))
    assert Faceset.open(tmp_path / "src").release() == granted
    assert [r.id for r in store.read_state(tmp_path / "m").releases] == [granted.id]
    assert store.read_state(tmp_path / "m").src_folder == str(tmp_path / "src")


def test_a_release_out_of_date(facesets, colour, tmp_path):
    write_faceset(tmp_path / "src", [1001], "src.%04d.exr")
    release.write(make_release(valid_until=date(2026, 3, 2)), tmp_path / "src" / "release.json")
    with pytest.raises(ReleaseInvalid, match="valid until 2026-03-02"):
        list(loop.run(asked(facesets, tmp_path / "m", src=tmp_path / "src"), colour=colour))


def test_two_people(facesets, colour, tmp_path):
    write_faceset(tmp_path / "two", FRAMES, "dst.%04d.exr")
    opened = Faceset.open(tmp_path / "two")
    for r in opened.records[:3]:
        path = tmp_path / "two" / f"dst_t1.{r.face.frame}.exr"
        write_face(replace(r, path=path, face=replace(r.face, track=1)), opened.load(r))
    settings = asked(facesets, tmp_path / "m", dst=tmp_path / "two", target_iterations=1)
    with pytest.raises(TrackAmbiguous, match="more than one person"):
        list(loop.run(settings, colour=colour))
    list(loop.run(replace(settings, dst_track=1), colour=colour))
    assert store.read_state(tmp_path / "m").iteration == 1


def test_another_preset_on_the_same_model(facesets, colour, tmp_path):
    list(loop.run(asked(facesets, tmp_path / "m", target_iterations=1), colour=colour))
    with pytest.raises(InvalidInput, match="this model's e_dims is 8, but 64 is asked for"):
        list(loop.run(asked(facesets, tmp_path / "m", preset="quick64"), colour=colour))


@pytest.mark.parametrize(
    ("field", "value"),
    [("target_iterations", 0), ("target_seconds", -1.0), ("batch_size", 0), ("save_seconds", 0.0),
     ("seed", -1), ("precision", "float8"), ("preset", "quick1"), ("dst", Path("a")), ("way", "theirs"),
     ("memory", 0), ("until", datetime(2027, 1, 1)), ("new_inter", True), ("start_from", Path("m")),
     ("phases", (Phase(share=0.5),))],
)  # fmt: skip
def test_wrong_settings_name_field_and_value(field, value):
    settings = TrainSettings(model=Path("m"), src=Path("a"), dst=Path("b"))
    with pytest.raises(InvalidInput) as refused:
        replace(settings, **{field: value})
    assert refused.value.field == field
    assert str(getattr(value, "share", value)) in refused.value.message or field == "phases"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"options": {"warmth": "1"}}, "warmth"),
        ({"options": {"gan": "6"}}, "gan"),
        ({"options": {"accumulate": "3"}}, "accumulate"),
        ({"phases": (Phase(iteration=3, options={"keep": "nan"}),)}, "keep"),
    ],
)
def test_wrong_options_are_refused_with_the_settings(changes, field):
    with pytest.raises(InvalidInput) as refused:
        TrainSettings(model=Path("m"), src=Path("a"), dst=Path("b"), **changes)
    assert refused.value.field == field


def test_the_warp_calms():
    course = plan.Plan(calm=0.5)
    warps = [course.augment(p).warp for p in (0.0, 0.5, 0.75, 1.0)]
    assert warps[0] == warps[1] > warps[2] > warps[3] > 0
    assert replace(course, calm=1.0).augment(0.9) == course.augmentation


def test_threads_that_do_not_pay_are_let_go_and_tried_again():
    """Two threads are fast, then another program comes and they are slow, then it goes."""
    now = 0.0
    threads = Threads(2, clock=lambda: now)
    slow, used = False, []
    for iteration in range(900):
        slow = 300 <= iteration < 700
        with threads.step() as count:
            used.append(count)
            now += {(2, False): 0.2, (2, True): 5.0, (1, False): 0.35, (1, True): 0.4}[count, slow]
    threads.close()
    assert used[:3] == [2, 2, 2]  # the first warms up
    assert np.mean(np.array(used[:300]) == 2) > 0.95
    busy = used[380:700]  # it takes one more trial to notice
    assert 0.95 < np.mean(np.array(busy) == 1) < 1
    assert np.mean(np.array(used[-60:]) == 2) > 0.9
    assert torch.get_num_threads() == 2


def test_one_thread_is_not_tried_against_itself():
    threads = Threads(1, clock=lambda: 0.0)
    for _ in range(20):
        with threads.step() as count:
            assert count == 1


def test_bfloat16_only_where_it_works(monkeypatch):
    cpu = torch.device("cpu")
    assert precision.bfloat16("bfloat16", cpu)
    assert not precision.bfloat16("float32", cpu)
    monkeypatch.setattr(precision, "_has_unit", lambda: True)
    monkeypatch.setattr(
        precision, "_speedup", speedup := precision._speedup.__wrapped__
    )  # measured anew each time
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -4, "", ""))
    assert speedup() == 0.0
    assert not precision.bfloat16("auto", cpu)  # the probe died of an illegal instruction
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "2.1\n", ""))
    assert precision.bfloat16("auto", cpu)


def test_a_training_goes_on_in_the_precision_that_it_began_in(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(precision, "_has_unit", lambda: True)
    monkeypatch.setattr(precision, "_speedup", lambda: 1.2)  # of a machine that does other work
    assert not precision.bfloat16("auto", cpu)
    assert precision.bfloat16("auto", cpu, "cpu bfloat16")
    assert not precision.bfloat16("auto", cpu, "cuda bfloat16")
    monkeypatch.setattr(precision, "_speedup", lambda: 1.9)
    assert precision.bfloat16("auto", cpu)
    assert not precision.bfloat16("auto", cpu, "cpu float32")
    assert precision.bfloat16("bfloat16", cpu, "cpu float32")
    monkeypatch.setattr(
        precision, "_speedup", lambda: 0.0
    )  # another machine, where it is an illegal instruction
    assert not precision.bfloat16("auto", cpu, "cpu bfloat16")


def test_settings_need_no_torch():
    code = (
        "import sys; import understudy.core.train.settings, understudy.core.model.presets, "
        "understudy.core.model.store; assert 'torch' not in sys.modules"
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})
