"""A training lends its network between two iterations, and nothing that is done with it changes the training."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core import shots
from tests.core.training import asked, make_facesets, one_thread, quick
from understudy.core.frames import FrameRange
from understudy.core.merge.preview import Previewer
from understudy.core.model import store, swap
from understudy.core.reports import Lent, TrainReport
from understudy.core.train import loop
from understudy.core.train.control import Control, Lend


@pytest.fixture(autouse=True)
def on_one_thread(monkeypatch):
    quick(monkeypatch)
    with one_thread():
        yield


@pytest.fixture(scope="module")
def facesets(tmp_path_factory) -> Path:
    return make_facesets(tmp_path_factory.mktemp("facesets"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return shots.make(tmp_path_factory.mktemp("scene"))


def everything(model: Path) -> dict[str, torch.Tensor]:
    return {**store.load(model)[1], **store.load_optimizer(model)}


@pytest.mark.parametrize(
    "options", [{}, {"average": "0.9"}, {"gan": "0.1", "gan_patch": "8", "true_face": "0.01"}]
)
def test_previews_change_nothing(facesets, scene, colour, tmp_path, options):
    """Bit for bit, on one thread: weights, the optimiser's memory, discriminators, losses."""
    told, shown = dict[str, list[dict[str, float]]](), []
    for name in ("plain", "watched"):
        settings = asked(
            facesets, tmp_path / name, preset="tinier", target_iterations=6, options=options, seed=5
        )
        control, previewer, losses = Control(), Previewer(colour), []
        look = replace(scene.settings(settings.model), frames=FrameRange.of(shots.FIRST, shots.FIRST))
        for report in loop.run(settings, colour=colour, control=control):
            if isinstance(report, TrainReport) and report.losses:
                losses.append(report.losses)
                if name == "watched":
                    control.put(Lend())
            if isinstance(report, Lent):
                assert report.folder == settings.model
                lent = {Path(os.path.realpath(report.folder)): report.model}
                found = previewer.show(look, lent)
                shown.append((found.iteration, found.picture(), report.grid()))
        told[name] = losses
    assert told["plain"] == told["watched"]
    one, other = everything(tmp_path / "plain"), everything(tmp_path / "watched")
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    iterations = [iteration for iteration, _, _ in shown]
    assert iterations == [1, 2, 3, 4, 5]
    assert not np.array_equal(shown[0][1], shown[-1][1])  # by the weights of their moment
    assert not np.array_equal(shown[0][2], shown[-1][2])


def test_what_is_lent_swaps_as_the_checkpoint_does(facesets, scene, colour, tmp_path):
    settings = asked(facesets, tmp_path / "m", preset="tinier", target_iterations=4)
    control = Control()
    crops = np.random.default_rng(1).random((2, 64, 64, 3), np.float32)
    found = None
    for report in loop.run(settings, colour=colour, control=control):
        if isinstance(report, TrainReport) and report.iteration == 2 and report.losses:
            control.put(Lend())
        if isinstance(report, Lent):
            found = report.model.swap(crops)
            assert report.model.iteration == 2
            break  # which closes the training: it writes its checkpoint
    assert found is not None
    kept = swap.load(settings.model, "cpu")
    assert kept.iteration == 2
    for ours, theirs in zip(found, kept.swap(crops), strict=True):
        np.testing.assert_array_equal(ours, theirs)
