"""How a training begins and ends where it is not the plain way: another model's weights, broken checkpoints, full
disks, devices without memory, dates and losses that get no better.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.core.shots import make_release
from tests.core.training import (
    TINIER,
    TINY,
    asked,
    make_facesets,
    one_thread,
    quick,
)
from understudy.core.errors import DiskFull, InvalidInput, ModelInvalid, NotFound, OutOfMemory, ReleaseInvalid
from understudy.core.model import presets, store, swap
from understudy.core.reports import Artifact, Report, TrainReport, Warned
from understudy.core.train import beginning, loop, plateau, session
from understudy.core.train.plan import Phase
from understudy.core.train.trainer import Trainer


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


@pytest.fixture(autouse=True)
def quick_presets(monkeypatch):
    quick(monkeypatch)


@pytest.fixture(scope="module")
def facesets(tmp_path_factory) -> Path:
    return make_facesets(tmp_path_factory.mktemp("facesets"))


@pytest.fixture
def ask(facesets, tmp_path):
    def settings(name: str = "m", **changes):
        return asked(facesets, tmp_path / name, **{"preset": "tinier", "target_iterations": 4, **changes})

    return settings


def run(settings, colour) -> list[Report]:
    return list(loop.run(settings, colour=colour))


def warned(reports: list[Report], reason: str) -> list[str]:
    return [r.message for r in reports if isinstance(r, Warned) and r.reason == reason]


# Broken checkpoints


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def alter(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)


DAMAGES = [
    (store.WEIGHTS, truncate),
    (store.WEIGHTS, alter),
    (store.WEIGHTS, Path.unlink),
    (store.OPTIMIZER, truncate),
    (store.OPTIMIZER, alter),
    (store.OPTIMIZER, Path.unlink),
    (store.STATE, truncate),
    (store.STATE, Path.unlink),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_broken_checkpoint_falls_back_to_the_one_before(ask, colour, name, damage):
    settings = ask(save_seconds=1e-6)
    run(settings, colour)
    broken = store.current(settings.model)
    before = next(f for f in broken.parent.iterdir() if f != broken)
    damage(broken / name)
    with pytest.raises((ModelInvalid, NotFound)):  # nothing else goes on with other weights
        swap.load(settings.model) if name != store.OPTIMIZER else store.load_optimizer(broken)
    reports = run(replace(settings, target_iterations=6), colour)
    (message,) = warned(reports, "RESTORED")
    assert str(broken / name) in message
    assert f"goes on from {settings.model / 'checkpoints' / before.name}, iteration 3" in message
    assert store.read_state(settings.model).iteration == 6
    assert warned(run(replace(settings, target_iterations=7), colour), "RESTORED") == []


@pytest.mark.parametrize("pointer", [None, "{", '{"format": 1, "folder": "00000099-abcdef"}'])
def test_a_broken_pointer_falls_back_to_the_newest_checkpoint(ask, colour, pointer):
    settings = ask()
    run(settings, colour)
    file = settings.model / store.POINTER
    file.write_text(pointer) if pointer is not None else file.unlink()
    reports = run(replace(settings, target_iterations=6), colour)
    (message,) = warned(reports, "RESTORED")
    assert store.POINTER in message
    assert "iteration 4" in message
    assert store.read_state(settings.model).iteration == 6


def test_where_no_checkpoint_is_whole_a_backup_holds(ask, colour):
    settings = ask()
    run(settings, colour)
    kept = store.back_up(settings.model)
    run(replace(settings, target_iterations=6), colour)
    for folder in (settings.model / "checkpoints").iterdir():
        (folder / store.WEIGHTS).unlink()
    reports = run(replace(settings, target_iterations=7), colour)
    (message,) = warned(reports, "RESTORED")
    assert f"goes on from {kept}, iteration 4" in message
    assert store.read_state(settings.model).iteration == 7
    assert (kept / store.WEIGHTS).is_file()  # it may be wanted again


def test_where_nothing_is_whole_the_training_says_so(ask, colour):
    settings = ask()
    run(settings, colour)
    store.back_up(settings.model)
    for folder in settings.model.glob("[cb]*s/*"):
        if folder.is_dir():
            (folder / store.WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelInvalid, match="no whole checkpoint or backup to fall back to"):
        run(replace(settings, target_iterations=6), colour)


def test_an_altered_release_is_no_accident(ask, colour):
    settings = ask()
    run(settings, colour)
    file = store.current(settings.model) / store.STATE
    file.write_text(file.read_text().replace("performer-a", "performer-b"))
    with pytest.raises(ReleaseInvalid, match="was altered"):
        run(replace(settings, target_iterations=6), colour)


def test_what_a_kill_before_the_first_checkpoint_left_begins_anew(ask, colour):
    settings = ask()
    part = settings.model / "checkpoints" / "00000000-abcdef"
    part.mkdir(parents=True)
    (part / store.WEIGHTS).write_bytes(b"half")
    assert warned(run(settings, colour), "RESTORED") == []
    assert store.read_state(settings.model).iteration == 4
    assert not part.exists()


# Disk and memory


def test_a_full_disk_ends_the_training_and_the_checkpoint_before_holds(ask, colour, monkeypatch):
    settings = ask(save_seconds=1e-6, target_iterations=20)
    training = loop.run(settings, colour=colour)
    fsync = os.fsync

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    while not (isinstance(report := next(training), TrainReport) and report.iteration == 3):
        pass
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space left"):
        list(training)
    monkeypatch.setattr(os, "fsync", fsync)
    assert store.read_state(settings.model).iteration == 3
    swap.load(settings.model, "cpu")
    assert warned(run(replace(settings, target_iterations=5), colour), "RESTORED") == []


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    ],
)
def test_a_device_without_memory_is_told_of_with_what_to_do(ask, colour, monkeypatch, error):
    step = Trainer.step

    def exhausts(self, src, dst, iteration, progress):
        if iteration == 2:
            raise error
        return step(self, src, dst, iteration, progress)

    settings = ask(save_seconds=1e-6)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", exhausts)
        with pytest.raises(OutOfMemory, match="the memory of cpu is exhausted by 2 samples") as ended:
            run(settings, colour)
    assert "take batch_size 1, or name a limit of memory" in ended.value.message
    assert (ended.value.reason, ended.value.field, ended.value.value) == ("OUT_OF_MEMORY", "batch_size", 2)
    assert store.read_state(settings.model).iteration == 2
    run(settings, colour)
    assert store.read_state(settings.model).iteration == 4


def test_other_errors_of_torch_are_ours_to_mend(ask, colour, monkeypatch):
    def breaks(*_):
        raise RuntimeError("shapes do not agree")

    monkeypatch.setattr(Trainer, "step", breaks)
    with pytest.raises(RuntimeError, match="do not agree"):
        run(ask(), colour)


def test_memory_is_traded_for_and_said(ask, colour, monkeypatch):
    from understudy.core.train import memory

    def fit(config, plan, budget, *, bfloat16, offload):
        assert (config, budget, bfloat16, offload) == (TINIER, 2**30, False, False)
        return replace(plan, accumulate=plan.batch_size), (f"computes {plan.batch_size} samples one by one",)

    monkeypatch.setattr(memory, "fit", fit)
    settings = ask(memory=2**30, phases=(Phase(iteration=2, options={"batch_size": "4"}),))
    reports = run(settings, colour)
    said = [m.partition(": ")[2] for m in warned(reports, "MEMORY")]
    assert said == ["computes 2 samples one by one", "computes 4 samples one by one"]


def test_too_little_memory_for_a_phase_is_refused_at_once(ask, colour):
    big = Phase(iteration=3, options={"batch_size": "8", "gan": "1", "gan_dims": "512"})
    with pytest.raises(InvalidInput, match="memory") as refused:
        run(ask(memory=40 * 2**20, phases=(big,)), colour)
    assert refused.value.field == "memory"


# Beginning with another model


def test_a_new_model_takes_what_agrees_of_another(ask, colour):
    first = ask("first")
    run(first, colour)
    began = store.load(first.model)
    config = replace(TINIER, d_dims=6)
    presets.PRESETS["other"] = config
    taken = beginning.of(first.model, config, new_inter=False)
    assert set(taken.taken) == {"encoder", "inter"}
    assert set(taken.anew) == {"decoder_src", "decoder_dst"}
    second = ask("second", preset="other", start_from=first.model, target_iterations=1)
    reports = run(second, colour)
    (message,) = warned(reports, "START_FROM")
    assert "takes encoder, inter; decoder_src, decoder_dst begin anew" in message
    known = store.read_state(second.model)
    assert known.pretrained == began[0].digest
    assert known.iteration == 1
    assert make_release() in known.releases
    again = run(replace(second, target_iterations=2), colour)
    assert warned(again, "START_FROM") == []  # it is the same command again
    third = ask("third", preset="tinier")
    run(third, colour)
    late = run(replace(third, start_from=first.model, target_iterations=5), colour)
    assert "goes on with its own weights" in warned(late, "START_FROM")[0]


@pytest.mark.parametrize("new_inter", [False, True])
def test_the_first_step_is_taken_from_there(ask, colour, monkeypatch, new_inter):
    first = ask("first")
    run(first, colour)
    _, theirs = store.load(first.model)
    monkeypatch.setattr(Trainer, "step", lambda *_: {"src": torch.zeros(()), "dst": torch.zeros(())})
    second = ask("second", start_from=first.model, new_inter=new_inter, target_iterations=1)
    reports = run(second, colour)
    _, ours = store.load(second.model)
    other = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert bool(other) == new_inter
    assert all(name.startswith("inter.") for name in other)
    assert ("inter begin anew" in warned(reports, "START_FROM")[0]) == new_inter


def test_a_model_of_which_nothing_agrees_is_refused(ask, colour):
    first = ask("first")
    run(first, colour)
    presets.PRESETS["wide"] = replace(TINY, e_dims=10, ae_dims=10, d_dims=10)
    wide = ask("wide", preset="wide", start_from=first.model)
    with pytest.raises(InvalidInput, match="has no part that") as refused:
        run(wide, colour)
    assert refused.value.field == "start_from"
    assert not wide.model.exists()
    with pytest.raises(NotFound, match="no trained model here"):
        run(ask("new", start_from=wide.model), colour)


# Ends


def test_a_date_ends_it(ask, colour, monkeypatch):
    now = datetime(2026, 11, 22, tzinfo=timezone.utc)
    monkeypatch.setattr(session, "datetime", SimpleNamespace(now=lambda _zone: now))
    settings = ask(target_iterations=None, until=now + timedelta(seconds=2))
    reports: list[Report] = []
    for report in loop.run(settings, colour=colour):
        reports.append(report)
        if isinstance(report, TrainReport) and report.iteration == 3:
            now = settings.until
    assert "ends, for it is" in warned(reports, "UNTIL")[0]
    assert isinstance(reports[-1], Artifact)
    last = [r for r in reports if isinstance(r, TrainReport)][-1]
    assert last.checkpoint
    assert store.read_state(settings.model).iteration == last.iteration == 4
    again = run(settings, colour)  # a job that is taken up again after the date
    assert [type(r) for r in again[1:]] == [Warned, TrainReport, Artifact]


def test_a_loss_that_gets_no_better_ends_it(ask, colour, monkeypatch):
    monkeypatch.setattr(plateau, "PATIENCE", (6, 0.2))
    still = {"learning_rate": "1e-9", "warp": "0"}
    phases = (Phase(iteration=5, options={"tint": "0"}),)
    settings = ask(until_plateau=True, target_iterations=400, options=still, phases=phases)
    reports = run(settings, colour)
    (message,) = warned(reports, "PLATEAU")
    reached = store.read_state(settings.model).iteration
    assert 5 + 6 <= reached < 200
    assert f"of {reached}: it stays at" in message
    again = run(settings, colour)
    assert [type(r) for r in again[1:]] == [Warned, TrainReport, Artifact]
    asked_anew = replace(settings, options={**still, "learning_rate": "1e-3"})
    assert len(warned(run(replace(asked_anew, target_iterations=reached + 2), colour), "PLATEAU")) == 0
    assert store.read_state(settings.model).iteration == reached + 2


def test_a_plateau_is_a_mean_that_stays():
    known: dict[str, float] = {}
    for iteration in range(0, 3000, 10):
        known = plateau.after(known, 10.0 * 0.999**iteration, 10, iteration)
        assert not plateau.reached(known, iteration)
    for last in range(3000, 9000, 10):
        known = plateau.after(known, 0.5 + 0.1 * (last // 10 % 2), 10, last)
        if plateau.reached(known, last):
            break
    since = known["since"]
    assert last - since >= max(1000, 0.2 * last)
    assert since < 7000  # it takes the mean a while to forget what was
    assert known["mean"] == pytest.approx(0.55, abs=0.05)
    assert not plateau.reached({}, 10**6)
