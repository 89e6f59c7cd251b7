"""What a person asks of a training while it runs, and phases that were laid down before."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from tests.core.training import apart, asked, make_facesets, one_thread, quick
from understudy.core import plate
from understudy.core.colour import SwapCurve
from understudy.core.errors import WeightsMissing
from understudy.core.model import store
from understudy.core.reports import Artifact, Report, TrainReport, Warned
from understudy.core.train import loop, perceptual, plots
from understudy.core.train.control import BackUp, Change, Command, Control, Save, Show
from understudy.core.train.plan import Phase
from understudy.core.train.plots import Mark
from understudy.core.weights import WeightStore


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
        return asked(facesets, tmp_path / name, **{"preset": "tinier", "target_iterations": 8, **changes})

    return settings


def run(
    settings, colour, commands: Mapping[int, Command], weights: WeightStore | None = None
) -> list[Report]:
    """All reports of a training that is told something after the report of an iteration."""
    control, found = Control(), list[Report]()
    for report in loop.run(settings, colour=colour, control=control, weights=weights):
        found.append(report)
        if isinstance(report, TrainReport) and report.losses and report.iteration in commands:
            control.put(commands[report.iteration])
    return found


def warned(reports: list[Report], reason: str) -> list[str]:
    return [r.message for r in reports if isinstance(r, Warned) and r.reason == reason]


def noted(model: Path) -> list[Mark]:
    """What the plot of its losses marks."""
    state = store.read_state(model)
    return plots.marks((*state.changes, *state.begun), state.resumed)


def losses(reports: list[Report]) -> dict[int, set[str]]:
    """Iteration → the parts that were told of it."""
    return {r.iteration: set(r.losses) for r in reports if isinstance(r, TrainReport) and r.losses}


def checkpoint(model: Path):
    return {**{f"weights/{n}": w for n, w in store.load(model)[1].items()}, **store.load_optimizer(model)}


def test_commands_come_out_in_order_and_once():
    control = Control()
    commands = [Show(), Change(options={"gan": "0.1"}), Save(), BackUp()]
    for command in commands:
        thread = threading.Thread(target=control.put, args=(command,))
        thread.start()
        thread.join()
    assert control.take() == commands
    assert control.take() == []


def test_a_change_holds_from_the_next_iteration_on_and_is_on_disk_at_once(ask, colour):
    settings, control = ask(save_seconds=1e6), Control()
    found: list[Report] = []
    for report in loop.run(settings, colour=colour, control=control):
        found.append(report)
        if isinstance(report, TrainReport) and report.losses and report.iteration == 3:
            control.put(Change(options={"gan": "0.1", "learning_rate": "1e-3"}))
        if isinstance(report, Warned) and report.reason == "CHANGED":
            state = store.read_state(settings.model)
            assert state.iteration == 3
            assert state.changes == (
                {"iteration": 3, "share": None, "options": {"gan": "0.1", "learning_rate": "1e-3"}},
            )
    (message,) = warned(found, "CHANGED")
    assert "changed at iteration 3: gan 0.1, learning_rate 1e-3" in message
    assert {i: "gan" in parts for i, parts in losses(found).items()} == {i: i > 3 for i in range(1, 9)}


def test_a_change_stays_when_the_training_goes_on(ask, colour):
    """As if there had been no break; and what is asked for anew holds over it."""
    change = {3: Change(options={"gan": "0.1"})}
    whole, halves = ask("whole"), ask("halves")
    run(whole, colour, change)
    part = []
    control = Control()
    training = loop.run(halves, colour=colour, control=control)
    for report in training:
        part.append(report)
        if isinstance(report, TrainReport) and report.iteration == 3 and report.losses:
            control.put(change[3])
        if isinstance(report, TrainReport) and report.iteration == 5:
            break
    assert isinstance(training, Generator)
    training.close()
    rest = run(halves, colour, {})
    assert ["goes on with what was changed: gan 0.1" in m for m in warned(rest, "CHANGED")] == [True]
    assert apart(checkpoint(whole.model), checkpoint(halves.model)) == 0
    again = run(replace(halves, target_iterations=10, options={"gan": "0"}), colour, {})
    assert warned(again, "CHANGED") == []
    assert noted(halves.model) == [
        Mark(iteration=3, text="gan 0.1"),  # also now that it does not hold any more
        Mark(iteration=5),
        Mark(iteration=8),
        Mark(iteration=8, text="gan 0"),
    ]
    assert all("gan" not in parts for parts in losses(again).values())


WRONG = {
    2: ({"warmth": "1"}, "there is no option 'warmth'"),
    3: ({"gan": "six"}, "gan 'six' is not a number"),
    4: ({"keep": "0"}, "keep 0.0 must be 0.001 to 1"),
    5: ({"learning_rate": "1", "accumulate": "3"}, "accumulate 3 does not divide batch_size 2"),
    6: ({}, "no option is named"),
}


def test_wrong_changes_are_refused_and_change_nothing(ask, colour):
    told, untold = ask("told"), ask("untold")
    reports = run(told, colour, {at: Change(options=options) for at, (options, _) in WRONG.items()})
    run(untold, colour, {})
    refused = warned(reports, "INVALID_INPUT")
    assert len(refused) == len(WRONG)
    for message, (at, (_, says)) in zip(refused, WRONG.items(), strict=True):
        assert f"nothing was changed at iteration {at}" in message
        assert says in message
    assert warned(reports, "CHANGED") == []
    assert store.read_state(told.model).changes == ()
    assert apart(checkpoint(told.model), checkpoint(untold.model)) == 0


def test_a_perceptual_loss_finds_its_weights_when_it_is_asked_for(ask, colour, weight_store, monkeypatch):
    asked_for = []

    def load(store, name, device):
        asked_for.append((store, name))
        net = perceptual.Vgg(name)
        perceptual.initialise(net, torch.Generator().manual_seed(1))
        return net.to(device).eval().requires_grad_(False)

    monkeypatch.setattr(perceptual, "load", load)
    reports = run(ask(), colour, {6: Change(options={"perceptual": "1"})}, weight_store)
    assert {i for i, parts in losses(reports).items() if "perceptual" in parts} == {7, 8}
    later = ask("later", phases=(Phase(iteration=7, options={"perceptual": "1"}),))
    assert {
        i for i, parts in losses(run(later, colour, {}, weight_store)).items() if "perceptual" in parts
    } == {8}
    assert asked_for == [(weight_store, "vgg16")] * 2


def test_a_perceptual_loss_without_its_weights_is_refused(ask, colour):
    (message,) = warned(run(ask(), colour, {3: Change(options={"perceptual": "1"})}), "WEIGHTS_MISSING")
    assert "perceptual needs the weights vgg16" in message
    with pytest.raises(WeightsMissing, match="vgg16"):  # not when it is due, hours later
        run(ask("later", phases=(Phase(iteration=7, options={"perceptual": "1"}),)), colour, {})


def test_show_makes_a_preview_of_now(ask, colour):
    reports = run(ask(preview_seconds=1e6, preview_exr=True), colour, {3: Show()})
    shown = [r.path for r in reports if isinstance(r, Artifact) and r.kind == "preview"]
    assert [p.name for p in shown] == ["00000003.png", "00000003.exr", "00000008.png", "00000008.exr"]
    picture = cv2.imread(str(shown[0]))
    assert picture is not None
    assert picture.shape == (9 * 128, 8 * 128, 3)
    frame = plate.read_file(shown[1])
    assert (frame.data.width, frame.data.height) == (8 * 64, 9 * 64)
    assert float(SwapCurve(gain=1.0).encode(frame.planes["R"].astype("f4")).mean()) > 0.05


def test_save_and_back_up_are_done_at_once(ask, colour):
    settings = ask(save_seconds=1e6)
    control, seen = Control(), dict[object, object]()
    for report in loop.run(settings, colour=colour, control=control):
        if isinstance(report, TrainReport) and report.losses and report.iteration in (2, 5):
            control.put(Save() if report.iteration == 2 else BackUp())
        if isinstance(report, TrainReport) and report.checkpoint:
            seen[report.iteration] = store.read_state(settings.model).iteration
        if isinstance(report, Artifact) and report.kind == "backup":
            assert report.path.name.startswith("00000005-")
            assert (report.path / store.WEIGHTS).is_file()
            seen["backup"] = True
    assert seen == {2: 2, 5: 5, "backup": True, 8: 8}
    assert store.read_state(settings.model).losses.keys() >= {"src", "dst", "dssim"}


def test_phases_are_announced_and_followed(ask, colour):
    phases = (
        Phase(iteration=2, options={"warp": "0"}),
        Phase(share=0.5, options={"gan": "0.1", "optimiser": "adabelief"}),
        Phase(iteration=6, options={"gan": "0"}),
    )
    settings = ask(phases=phases)
    reports = run(settings, colour, {})
    said = warned(reports, "PHASE")
    assert [m.partition(": ")[2] for m in said] == [
        "from iteration 2 on: warp 0",
        "from iteration 4 on: gan 0.1, optimiser adabelief",
        "from iteration 6 on: gan 0",
    ]
    assert {i: "gan" in parts for i, parts in losses(reports).items()} == {i: 4 < i <= 6 for i in range(1, 9)}
    kinds = {name.partition("/")[0] for name in store.load_optimizer(settings.model)}
    assert kinds == {"adabelief", "gan", "adapt"}
    again = run(replace(settings, target_iterations=9), colour, {})
    assert warned(again, "PHASE") == []  # they had begun before
    assert noted(settings.model) == [
        Mark(iteration=2, text="warp 0"),
        Mark(iteration=4, text="gan 0.1, optimiser adabelief"),
        Mark(iteration=6, text="gan 0"),
        Mark(iteration=8),
    ]


def test_a_way_is_remembered(ask, colour):
    settings = ask(way="dfl", target_iterations=2)
    run(settings, colour, {})
    state = store.read_state(settings.model)
    assert (state.way, state.preset, state.options) == ("dfl", "tinier", {"batch_size": "2"})
    run(replace(settings, way="", preset="", target_iterations=3), colour, {})
    assert store.read_state(settings.model).way == "dfl"
    assert "adabelief-dfl" in {name.partition("/")[0] for name in store.load_optimizer(settings.model)}
