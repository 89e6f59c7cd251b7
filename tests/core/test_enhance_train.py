"""An enhancer learns from large faces, carries their releases, and goes on after a break as if nothing had been."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core import enhancers, shots
from understudy.core import release
from understudy.core.enhancer import config, loop, spoil, store, trainer
from understudy.core.enhancer.samples import native
from understudy.core.enhancer.settings import EnhancerTrainSettings
from understudy.core.errors import (
    FrameUnreadable,
    InvalidInput,
    NoFace,
    NotFound,
    ReleaseInvalid,
    ReleaseMissing,
)
from understudy.core.faceset import Faceset
from understudy.core.reports import Artifact, Started, TrainReport, Warned
from understudy.core.train import clockwork

PRESET = "tiny"


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from a second core, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    monkeypatch.setitem(config.PRESETS, PRESET, enhancers.TINY)
    monkeypatch.setattr(trainer, "PATCH", 32)


@pytest.fixture(scope="module")
def faceset(tmp_path_factory) -> Path:
    """Ten large faces with a release. Read only."""
    return enhancers.faces(tmp_path_factory.mktemp("large") / "faces")


def asked(faceset: Path, enhancer: Path, **changes) -> EnhancerTrainSettings:
    settings = EnhancerTrainSettings(
        enhancer=enhancer,
        facesets=(faceset,),
        preset=PRESET,
        batch_size=4,
        precision="float32",
        device="cpu",
        target_iterations=4,
    )
    return replace(settings, **changes)


def tensors(path: Path) -> torch.Tensor:
    found = [*store.load(path)[1].values(), *store.load_optimizer(path).values()]
    return torch.cat([w.flatten().float() for w in found])


def of(kind, reports):
    return [r for r in reports if isinstance(r, kind)]


def test_a_training_reports_and_leaves_an_enhancer(faceset, colour, tmp_path):
    reports = list(loop.run(asked(faceset, tmp_path / "e"), colour=colour))
    assert reports[0] == Started(total=4, unit="iteration")
    last = of(TrainReport, reports)[-1]
    assert (last.iteration, last.checkpoint, set(last.losses)) == (4, True, {"detail"})
    assert set(last.scores) == {"psnr", "plain"}
    assert not of(Warned, reports)
    preview, made = of(Artifact, reports)
    assert preview.path.stat().st_size > 1000
    assert made == Artifact(kind="enhancer", path=tmp_path / "e")
    state = store.read_state(tmp_path / "e")
    assert [record.id for record in state.releases] == [shots.make_release().id]
    assert state.facesets == {str(faceset): Faceset.open(faceset).digest()}
    assert (state.working_space, set(state.curve)) == ("ACEScg", {"knee", "maximum"})
    assert (state.preset, state.resolution) == (PRESET, enhancers.SIDE)
    assert (state.psnr, state.plain) == (last.scores["psnr"], last.scores["plain"])


def test_it_learns_edges_that_cubic_enlargement_loses(faceset, colour, tmp_path):
    list(loop.run(asked(faceset, tmp_path / "e", target_iterations=150, batch_size=8), colour=colour))
    state = store.read_state(tmp_path / "e")
    assert state.psnr is not None
    assert state.plain is not None
    assert state.psnr > state.plain + 1.0


def test_two_trainings_of_one_seed_give_the_same_weights(faceset, colour, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        list(loop.run(asked(faceset, tmp_path / name, seed=seed), colour=colour))
    a, b, c = (tensors(tmp_path / name) for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_going_on_is_as_if_there_had_been_no_break(faceset, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "rate", lambda *_: 1e-3)  # else the target's distance is felt
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    list(loop.run(asked(faceset, whole, target_iterations=9), colour=colour))
    list(loop.run(asked(faceset, halves, target_iterations=6), colour=colour))
    reports = list(loop.run(asked(faceset, halves, target_iterations=9, preset=""), colour=colour))
    assert reports[0] == Started(total=9, unit="iteration", skipped=6)
    assert torch.equal(tensors(halves), tensors(whole))
    ours, theirs = store.read_state(halves), store.read_state(whole)
    assert replace(ours, seconds=0.0) == replace(theirs, seconds=0.0)


def test_a_finished_enhancer_is_left_alone(faceset, colour, tmp_path):
    settings = asked(faceset, tmp_path / "e", target_iterations=2)
    list(loop.run(settings, colour=colour))
    before = store.current(tmp_path / "e")
    again = list(loop.run(settings, colour=colour))
    assert [type(r) for r in again] == [Started, TrainReport, Artifact]
    assert store.current(tmp_path / "e") == before


def test_closing_writes_a_checkpoint(faceset, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    training = loop.run(asked(faceset, tmp_path / "e", target_iterations=None), colour=colour)
    iteration = next(r.iteration for r in training if isinstance(r, TrainReport) and r.iteration >= 3)
    assert isinstance(training, Generator)
    training.close()
    assert store.read_state(tmp_path / "e").iteration == iteration


def test_a_weight_that_is_no_number_is_taken_back(faceset, colour, tmp_path, monkeypatch):
    step, broken = trainer.Trainer.step, list[int]()

    def breaks_once(self, samples, iteration, progress):
        loss = step(self, samples, iteration, progress)
        if iteration == 2 and not broken:
            broken.append(iteration)
            next(self.net.parameters()).data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(trainer.Trainer, "step", breaks_once)
    reports = list(loop.run(asked(faceset, tmp_path / "e", target_iterations=3), colour=colour))
    assert [warned.reason for warned in of(Warned, reports)] == ["DIVERGED"]
    assert torch.isfinite(tensors(tmp_path / "e")).all()


class TestRelease:
    def test_each_faceset_needs_one(self, faceset, colour, tmp_path):
        bare = enhancers.faces(tmp_path / "bare", 2, granted=False)
        with pytest.raises(ReleaseMissing, match=r"train an enhancer on .*bare"):
            list(loop.run(asked(faceset, tmp_path / "e", facesets=(faceset, bare)), colour=colour))
        assert not (tmp_path / "e").exists()

    def test_one_that_has_run_out_is_refused(self, colour, tmp_path):
        old = enhancers.faces(tmp_path / "old", 2, granted=False)
        over = shots.make_release(valid_until=shots.DAY, valid_from=shots.DAY - timedelta(days=9))
        release.write(over, old / "release.json")
        with pytest.raises(ReleaseInvalid):
            list(loop.run(asked(old, tmp_path / "e"), colour=colour))

    def test_those_of_all_sessions_are_carried(self, faceset, colour, tmp_path):
        other = enhancers.faces(tmp_path / "other", 10, granted=False)
        release.write(shots.make_release(subject="performer-b"), other / "release.json")
        list(loop.run(asked(faceset, tmp_path / "e"), colour=colour))
        list(loop.run(asked(other, tmp_path / "e", target_iterations=5), colour=colour))
        subjects = [record.subject for record in store.read_state(tmp_path / "e").releases]
        assert subjects == ["performer-a", "performer-b"]


class TestFaces:
    def test_small_ones_are_left_out(self, colour, tmp_path):
        folder = enhancers.faces(tmp_path / "faces", 9, half_as_large=2)
        assert sorted(native(Faceset.open(folder)).tolist())[:3] == [40, 40, 80]
        reports = list(loop.run(asked(folder, tmp_path / "e"), colour=colour))
        (said,) = of(Warned, reports)
        assert said.reason == "FACES_SMALL"
        assert "2 faces have fewer than 80 pixels a side" in said.message

    def test_none_that_is_large_enough(self, faceset, colour, tmp_path):
        with pytest.raises(NoFace, match="no face has 96 pixels a side; the largest has 80"):
            list(loop.run(asked(faceset, tmp_path / "e", resolution=96), colour=colour))

    def test_all_too_small(self, colour, tmp_path):
        folder = enhancers.faces(tmp_path / "faces", 2, half_as_large=2)
        with pytest.raises(NoFace, match="fewer than 64 pixels a side"):
            list(loop.run(asked(folder, tmp_path / "e"), colour=colour))

    def test_another_colour_space_is_refused(self, faceset, colour, tmp_path):
        other = enhancers.faces(tmp_path / "other", 2, colour="Linear Rec.709 (sRGB)")
        with pytest.raises(InvalidInput, match="several colour spaces"):
            list(loop.run(asked(faceset, tmp_path / "e", facesets=(faceset, other)), colour=colour))
        list(loop.run(asked(faceset, tmp_path / "e"), colour=colour))
        with pytest.raises(InvalidInput, match=r"but the enhancer works in 'ACEScg'"):
            list(loop.run(asked(other, tmp_path / "e", target_iterations=9), colour=colour))

    def test_one_that_is_broken_is_left_out_and_most_broken_refused(self, colour, tmp_path):
        folder = enhancers.faces(tmp_path / "faces", 12)
        opened = Faceset.open(folder)  # knows the headers
        last = opened.records[11].path
        last.write_bytes(last.read_bytes()[:-2000])
        reports = list(loop.run(asked(folder, tmp_path / "e"), colour=colour))
        assert "FRAME_UNREADABLE" in [said.reason for said in of(Warned, reports)]
        for record in list(opened.records)[:6]:
            record.path.write_bytes(record.path.read_bytes()[:-2000])
        with pytest.raises(FrameUnreadable):
            list(loop.run(asked(folder, tmp_path / "f"), colour=colour))

    def test_no_such_faceset(self, colour, tmp_path):
        with pytest.raises(NotFound):
            list(loop.run(asked(tmp_path / "nowhere", tmp_path / "e"), colour=colour))


def test_an_enhancer_of_another_preset_is_refused(faceset, colour, tmp_path):
    list(loop.run(asked(faceset, tmp_path / "e", target_iterations=1), colour=colour))
    with pytest.raises(InvalidInput, match="this enhancer's channels is 8, but 32"):
        list(loop.run(asked(faceset, tmp_path / "e", preset="small"), colour=colour))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"facesets": ()}, "facesets"),
        ({"facesets": (Path("a"), Path("a"))}, "facesets"),
        ({"enhancer": Path("a")}, "enhancer"),
        ({"preset": "huge"}, "preset"),
        ({"resolution": 63}, "resolution"),
        ({"resolution": 2048}, "resolution"),
        ({"target_iterations": 0}, "target_iterations"),
        ({"target_seconds": -1.0}, "target_seconds"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 5000}, "batch_size"),
        ({"save_seconds": 0.0}, "save_seconds"),
        ({"seed": -1}, "seed"),
        ({"precision": "float8"}, "precision"),
    ],
)
def test_a_wrong_setting_is_named(changes, field):
    with pytest.raises(InvalidInput) as error:
        EnhancerTrainSettings(**{"enhancer": Path("e"), "facesets": (Path("a"),), **changes})
    assert error.value.field == field


@pytest.mark.parametrize(("channels", "layers", "field"), [(7, 1, "channels"), (8, 0, "layers")])
def test_a_wrong_size_is_named(channels, layers, field):
    with pytest.raises(InvalidInput) as error:
        config.EnhancerConfig(channels=channels, layers=layers)
    assert error.value.field == field


class TestSpoil:
    def test_small_pictures_lie_where_the_large_ones_do(self):
        """A blob's centre stays, in shares of the side, however it is spoilt."""
        y, x = np.mgrid[:32, :32] + 0.5
        blob = np.exp(-((x - 13.0) ** 2 + (y - 19.0) ** 2) / 30).astype(np.float32)
        large = torch.from_numpy(blob).expand(40, 3, 32, 32).contiguous()
        small = spoil.spoilt(large, torch.Generator().manual_seed(1))
        assert small.shape == (40, 3, 16, 16)
        v, u = np.mgrid[:16, :16] * 2 + 1.0
        weight = small.clamp(0.05).sub(0.05).mean(1).numpy()
        total = weight.sum((1, 2))
        centres = np.stack([(u * weight).sum((1, 2)) / total, (v * weight).sum((1, 2)) / total], 1)
        np.testing.assert_allclose(centres.mean(0), (13.0, 19.0), atol=0.15)
        np.testing.assert_allclose(centres, np.tile((13.0, 19.0), (40, 1)), atol=1.0)

    def test_equal_seeds_give_equal_samples(self):
        large = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        one, same, other = (
            spoil.spoilt(spoil.lit(large, g), g)
            for g in (torch.Generator().manual_seed(s) for s in (1, 1, 2))
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
        assert 0 <= float(one.min()) <= float(one.max()) <= 1
