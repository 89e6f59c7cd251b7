"""A training that goes on takes, to the bit, the steps that it would have taken without the break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from tests.core.training import (
    PLAN,
    apart,
    asked,
    make_facesets,
    one_thread,
    quick,
    state,
    steps,
    trainer,
)
from understudy.core.model import store
from understudy.core.reports import Warned
from understudy.core.train import loop
from understudy.core.train.plan import Phase

EVERYTHING = {
    "gan": "0.1",
    "true_face": "0.05",
    "average": "0.99",
    "keep": "0.7",
    "optimiser": "adabelief",
    "clip": "1",
}
PHASES = (
    Phase(iteration=40, options={"gan": "0", "learning_rate": "1e-3"}),
    Phase(iteration=120, options={"gan": "0.2"}),
)


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


def everything(facesets: Path, model: Path, **changes):
    given = {"options": EVERYTHING, "phases": PHASES, "target_iterations": 200, "preset": "tinier"}
    return asked(facesets, model, **{**given, **changes})


def checkpoint(model: Path) -> dict[str, torch.Tensor]:
    """All that is on disk."""
    return {**{f"weights/{n}": w for n, w in store.load(model)[1].items()}, **store.load_optimizer(model)}


def test_a_killed_training_is_the_one_that_it_would_have_been(facesets, colour, tmp_path):
    """100 iterations, kill -9, and 100 more are 200: GAN, TrueFace, mean, dropout, AdaBelief and phases and all."""
    list(loop.run(everything(facesets, tmp_path / "whole"), colour=colour))
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        from tests.core.test_train_resume import everything
        from tests.core.training import name_presets
        from understudy.core.colour import ColourConfig
        from understudy.core.train import clockwork, loop
        clockwork._REPORT_SECONDS = 0.0
        name_presets()
        settings = everything(Path(sys.argv[1]), Path(sys.argv[2]), save_seconds=1e-6)
        for report in loop.run(settings, colour=ColourConfig.open(None)):
            print(iteration := getattr(report, "iteration", 0), flush=True)
            if iteration >= 150:
                sys.stdin.read()  # however fast it is, it is killed before its end
    """)
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(facesets), str(tmp_path / "killed")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with child:
        assert child.stdout is not None
        assert any(int(line) >= 100 for line in child.stdout)
        child.send_signal(signal.SIGKILL)
    reached = store.read_state(tmp_path / "killed").iteration
    assert 100 <= reached < 200
    reports = list(loop.run(everything(facesets, tmp_path / "killed"), colour=colour))
    assert [r.reason for r in reports if isinstance(r, Warned)].count("PHASE") == (reached <= 120)
    whole, killed = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "killed")
    kinds = {name.partition("/")[0] for name in whole}
    assert kinds == {"weights", "own", "adabelief", "gan", "true_face", "adapt"}
    assert apart(whole, killed) == 0


CHANGES = [
    {},
    {"optimiser": "rmsprop"},
    {"gan": "0.1", "gan_dims": "4"},
    {"gan": "0.1", "true_face": "0.1", "gan_patch": "16"},
    {"average": "0.9", "keep": "0.5"},
    {"gan": "0.1", "optimiser": "adabelief-dfl", "form": "dfl", "offload": "yes"},
]


@pytest.mark.parametrize(
    ("first", "then"),
    [pair for other in range(1, len(CHANGES)) for pair in ((0, other), (other, other), (other, 0))],
)
def test_a_trainer_goes_on_from_what_it_gave(first, then):
    """The plan changes at iteration 4; a break there or after it changes nothing."""

    def plan(iteration: int):
        return PLAN.with_options(CHANGES[first] if iteration < 4 else CHANGES[then])

    def walk(given, start: int, end: int):
        for iteration in range(start, end):
            given.adopt(plan(iteration))
            steps(given, iteration, iteration + 1)
        return given

    whole = state(walk(trainer(CHANGES[first]), 0, 6))
    for cut in (4, 5):
        before = walk(trainer(CHANGES[first]), 0, cut)
        weights = {n: w.clone() for n, w in before.weights().items()}
        moments = {n: w.clone() for n, w in before.moments().items()}
        after = trainer(seed=1)
        after.adopt(plan(cut))
        after.restore(weights, moments)
        assert apart(state(walk(after, cut, 6)), whole) == 0


def test_checkpoints_of_before_there_were_names_of_optimisers_are_adams():
    given = trainer()
    steps(given, 0, 2)
    kinds = {name.partition("/")[0] for name in given.moments()}
    assert kinds == {"exp_avg", "exp_avg_sq", "step"}


def test_two_trainings_of_one_seed_are_one(facesets, colour, tmp_path):
    for name in ("a", "b", "c"):
        settings = everything(
            facesets, tmp_path / name, target_iterations=5, phases=(), seed=2 if name == "c" else 1
        )
        list(loop.run(settings, colour=colour))
    a, b, c = (checkpoint(tmp_path / name) for name in ("a", "b", "c"))
    assert apart(a, b) == 0
    assert apart(a, c) > 1e-4
