"""A segmenter learns from labels, is judged by others, and goes on after a kill as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.core.segmenting import disc, face
from understudy.core.errors import InvalidInput, ModelInvalid, NoFace, NotFound
from understudy.core.faceset import Faceset
from understudy.core.faceset.labels import Label, Labels
from understudy.core.model.device import pick
from understudy.core.reports import Artifact, Started, TrainReport, Warned
from understudy.core.segment import config, loop, paste, plan, store
from understudy.core.segment.ahead import Ahead
from understudy.core.segment.augmentation import NONE
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segment.settings import SegmentTrainSettings
from understudy.core.segment.trainer import Trainer
from understudy.core.train import clockwork, precision
from understudy.core.train.data import Crops

TINY = SegmenterConfig(resolution=64, channels=2)
MOVED = replace(NONE, rotation=5.0, shift=0.05, flip=0.5, warp=0.3)
TINY_PLAN = plan.Plan(
    batch_size=2, learning_rate=2e-2, warmup=5, judge_every=3, paste=0.0, augmentation=MOVED
)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from a second core, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    monkeypatch.setitem(config.PRESETS, "tiny", TINY)
    monkeypatch.setitem(plan._PLANS, "tiny", TINY_PLAN)


def labelled_faces(folder: Path, count: int, labels: int | None = None, odd: int | None = None) -> Path:
    """Bright discs in the dark, of which the first few are labelled; one of them wrongly if `odd` names it."""
    seen = [disc(0.35 + 0.3 * i / max(1, count - 1), 0.5, 0.28) for i in range(count)]
    for i, each in enumerate(seen):
        face(folder, 1001 + i, each)
    faceset = Faceset.open(folder)
    for i, record in enumerate(faceset.records):
        if i < (count if labels is None else labels):
            matte = 1 - seen[i] if i == odd else seen[i]
            label = Label(kind="matte", matte=matte, alignment=record.alignment, origin="test")
            Labels(faceset).write(record, label)
    return folder


@pytest.fixture(scope="module")
def faceset(tmp_path_factory) -> Path:
    """Eight faces, all labelled. Read only."""
    return labelled_faces(tmp_path_factory.mktemp("labelled") / "faces", 8)


def asked(faceset: Path, segmenter: Path, **changes) -> SegmentTrainSettings:
    settings = SegmentTrainSettings(
        segmenter=segmenter,
        facesets=(faceset,),
        preset="tiny",
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


def test_a_training_reports_and_leaves_a_segmenter(faceset, colour, tmp_path):
    reports = list(loop.run(asked(faceset, tmp_path / "s"), colour=colour))
    assert reports[0] == Started(total=4, unit="iteration")
    last = of(TrainReport, reports)[-1]
    assert (last.iteration, last.checkpoint, set(last.losses)) == (4, True, {"matte"})
    assert 0 <= last.scores["iou"] <= 1
    assert not of(Warned, reports)
    preview, segmenter = of(Artifact, reports)
    picture = cv2.imread(str(preview.path))
    assert picture is not None
    assert picture.shape == (4 * 128, 8 * 128, 3)
    assert picture[256:384].std() > 10  # the labels
    assert segmenter == Artifact(kind="segmenter", path=tmp_path / "s")
    assert list((tmp_path / "s" / "history").glob("events.out.tfevents.*"))
    state = store.read_state(tmp_path / "s")
    assert (state.iteration, state.labels, len(state.held_out)) == (4, 7, 1)
    assert state.facesets == {str(faceset): Faceset.open(faceset).digest()}
    assert (state.working_space, set(state.curve), state.preset) == ("ACEScg", {"knee", "maximum"}, "tiny")
    assert not set(state.held_out) & set(state.trained)


def test_a_training_learns_what_a_face_is(faceset, colour, tmp_path):
    settings = asked(faceset, tmp_path / "s", target_iterations=60)
    reports = list(loop.run(settings, colour=colour))
    state = store.read_state(tmp_path / "s")
    assert state.iou is not None
    assert state.iou > 0.9
    scores = [r.scores["iou"] for r in of(TrainReport, reports) if "iou" in r.scores]
    assert state.iou >= max(scores) - 2 * loop.GAIN[0]  # the best is kept, or one as good
    assert not of(Warned, reports)


def test_two_trainings_of_one_seed_give_the_same_weights(faceset, colour, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        list(loop.run(asked(faceset, tmp_path / name, target_iterations=7, seed=seed), colour=colour))
    a, b, c = (tensors(tmp_path / name) for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    states = [store.read_state(tmp_path / name) for name in "ab"]
    assert states[0].digest == states[1].digest
    assert states[0].iou == states[1].iou


def test_going_on_is_as_if_there_had_been_no_break(faceset, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(plan.Plan, "rate", lambda *_: 1e-3)  # else the target's distance is felt
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    list(loop.run(asked(faceset, whole, target_iterations=9), colour=colour))
    list(loop.run(asked(faceset, halves, target_iterations=6), colour=colour))
    reports = list(loop.run(asked(faceset, halves, target_iterations=9), colour=colour))
    assert reports[0] == Started(total=9, unit="iteration", skipped=6)
    assert torch.equal(tensors(halves), tensors(whole))
    ours, theirs = store.read_state(halves), store.read_state(whole)
    assert replace(ours, seconds=0.0) == replace(theirs, seconds=0.0)


def test_a_finished_segmenter_is_left_alone(faceset, colour, tmp_path):
    settings = asked(faceset, tmp_path / "s", target_iterations=2)
    list(loop.run(settings, colour=colour))
    before = store.current(tmp_path / "s")
    again = list(loop.run(replace(settings, preset=""), colour=colour))
    assert [type(r) for r in again] == [Started, TrainReport, Artifact]
    assert store.current(tmp_path / "s") == before


def test_closing_writes_a_checkpoint(faceset, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    training = loop.run(asked(faceset, tmp_path / "s", target_iterations=None), colour=colour)
    iteration = next(r.iteration for r in training if isinstance(r, TrainReport) and r.iteration >= 3)
    assert isinstance(training, Generator)
    training.close()
    assert store.read_state(tmp_path / "s").iteration == iteration


def test_a_killed_training_goes_on(faceset, colour, tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        from tests.core.test_segment_train import TINY, TINY_PLAN, asked
        from understudy.core.colour import ColourConfig
        from understudy.core.segment import config, loop, plan
        from understudy.core.train import clockwork, precision
        clockwork._REPORT_SECONDS = 0.0
        config.PRESETS["tiny"], plan._PLANS["tiny"] = TINY, TINY_PLAN
        settings = asked(Path(sys.argv[1]), Path(sys.argv[2]), target_iterations=10**6, save_seconds=1e-6)
        for report in loop.run(settings, colour=ColourConfig.open(None)):
            print(getattr(report, "iteration", 0), flush=True)
    """)
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(faceset), str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with child:
        assert child.stdout is not None
        assert any(int(line) >= 3 for line in child.stdout)
        child.send_signal(signal.SIGKILL)
    reached = store.load(tmp_path / "s")[0].iteration
    assert reached >= 3
    list(loop.run(asked(faceset, tmp_path / "s", target_iterations=reached + 1), colour=colour))
    assert store.read_state(tmp_path / "s").iteration == reached + 1


def test_a_weight_that_is_no_number_is_taken_back(faceset, colour, tmp_path, monkeypatch):
    """The loss was still one: the last step broke the weights, just before a checkpoint."""
    step = Trainer.step
    broken: list[int] = []

    def breaks_once(self, samples, rows, iteration, progress):
        loss = step(self, samples, rows, iteration, progress)
        if iteration == 4 and not broken:
            broken.append(iteration)
            next(self.net.parameters()).data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(Trainer, "step", breaks_once)
    reports = list(loop.run(asked(faceset, tmp_path / "s", target_iterations=5), colour=colour))
    assert [w.reason for w in of(Warned, reports)] == ["DIVERGED"]
    assert store.read_state(tmp_path / "s").iteration == 5
    assert bool(torch.isfinite(tensors(tmp_path / "s")).all())


def test_labels_that_come_after_the_target_are_not_learnt_in_silence(colour, tmp_path):
    faces = labelled_faces(tmp_path / "faces", 8, labels=6)
    settings = asked(faces, tmp_path / "s")
    list(loop.run(settings, colour=colour))
    assert not of(Warned, loop.run(settings, colour=colour))
    labelled_faces(tmp_path / "faces", 8)
    told = of(Warned, loop.run(settings, colour=colour))
    assert [w.reason for w in told] == ["LABELS_NEW"]
    assert "its 4 iterations" in told[0].message
    assert not of(Warned, loop.run(replace(settings, target_iterations=5), colour=colour))


def test_what_a_session_noted_stays_when_it_diverges(colour, tmp_path, monkeypatch):
    """Two labels are new: they are learnt from, and the state says so, whatever happens to the first steps."""
    faces = labelled_faces(tmp_path / "faces", 8, labels=6)
    list(loop.run(asked(faces, tmp_path / "s"), colour=colour))
    before = store.read_state(tmp_path / "s")
    labelled_faces(tmp_path / "faces", 8)
    seeds: list[int] = []
    step = Trainer.step

    def breaks_twice(self, *others):
        seeds.append(self.seed)
        loss = step(self, *others)
        return loss * float("nan") if len(seeds) < 3 else loss

    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(Trainer, "step", breaks_twice)
    reports = list(loop.run(asked(faces, tmp_path / "s", target_iterations=6), colour=colour))
    assert [w.reason for w in of(Warned, reports)] == ["DIVERGED"] * 2
    assert len(set(seeds[:3])) == 3
    after = store.read_state(tmp_path / "s")
    assert (before.labels, after.labels) == (5, 7)
    assert after.samples != before.samples
    assert len(after.trained) == 7
    assert after.iteration == 6


def test_a_loss_that_never_is_a_number_ends_the_training(faceset, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(clockwork, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(Trainer, "step", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(ModelInvalid, match=r"ran off to infinity 4 times.*look at the labels"):
        list(loop.run(asked(faceset, tmp_path / "s"), colour=colour))
    assert store.read_state(tmp_path / "s").iteration == 0


def test_training_ends_when_it_has_converged_and_goes_on_with_new_labels(colour, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "PATIENCE", (6, 0.3))
    folder = labelled_faces(tmp_path / "faces", 8, labels=6)
    settings = asked(folder, tmp_path / "s", target_iterations=None, until_converged=True)
    monkeypatch.setattr(plan.Plan, "rate", lambda *_: 0.0)  # nothing gets better
    list(loop.run(settings, colour=colour))
    state = store.read_state(tmp_path / "s")
    assert (state.converged, state.iteration) == (True, 12)
    again = list(loop.run(settings, colour=colour))
    assert [type(r) for r in again] == [Started, TrainReport, Artifact]
    assert store.read_state(tmp_path / "s") == state
    labelled_faces(folder, 8, labels=8)
    list(loop.run(settings, colour=colour))
    more = store.read_state(tmp_path / "s")
    assert more.iteration > state.iteration
    assert (more.labels, more.held_out) == (7, state.held_out)


def test_all_labels_may_be_learnt_from_in_the_end(faceset, colour, tmp_path):
    list(loop.run(asked(faceset, tmp_path / "s"), colour=colour))
    assert store.read_state(tmp_path / "s").iou is not None
    more = asked(faceset, tmp_path / "s", target_iterations=8, all_labels=True)
    reports = list(loop.run(more, colour=colour))
    assert not of(Warned, reports)  # it was asked for
    assert not any("iou" in r.scores for r in of(TrainReport, reports))
    state = store.read_state(tmp_path / "s")
    assert (state.iteration, state.iou, state.judged, state.held_out) == (8, None, 0, ())
    assert len(state.trained) == 8
    means = store.load_optimizer(tmp_path / "s")
    assert all(torch.equal(w, means[f"mean/{name}"]) for name, w in store.load(tmp_path / "s")[1].items())


def test_without_a_judge_the_loss_says_when_it_is_enough(colour, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "PATIENCE", (6, 0.3))
    monkeypatch.setattr(plan.Plan, "rate", lambda *_: 0.0)
    folder = labelled_faces(tmp_path / "faces", 3, labels=1)
    settings = asked(folder, tmp_path / "s", target_iterations=200, until_converged=True)
    reports = list(loop.run(settings, colour=colour))
    assert [w.reason for w in of(Warned, reports)] == ["LABELS_FEW"]
    state = store.read_state(tmp_path / "s")
    assert (state.converged, state.iou, state.labels, state.held_out) == (True, None, 1, ())
    assert state.iteration < 100


def test_a_label_that_contradicts_the_others_is_named(colour, tmp_path, monkeypatch):
    folder = labelled_faces(tmp_path / "faces", 8, odd=2)
    monkeypatch.setattr(
        Trainer,
        "judge",
        lambda _, samples, rows: [0.2 if samples.rows[r].frame == 1003 else 0.9 for r in rows],
    )
    reports = list(loop.run(asked(folder, tmp_path / "s"), colour=colour))
    (warned,) = of(Warned, reports)
    assert warned.reason == "LABEL_DISAGREES"
    assert Faceset.open(folder).records[2].path.name in warned.message
    assert "IoU 0.20, the median 0.90" in warned.message


def test_faces_may_label_themselves(colour, tmp_path):
    folder = labelled_faces(tmp_path / "faces", 4, labels=2)
    with_labels = asked(folder, tmp_path / "s", self_label=True)
    reports = list(loop.run(with_labels, colour=colour))
    assert [w.reason for w in of(Warned, reports)] == ["SELF_LABELLED"]
    state = store.read_state(tmp_path / "s")
    assert (state.self_labelled, state.labels, len(state.held_out)) == (2, 1, 1)
    Labels(Faceset.open(folder)).clear([r.path.name for r in Faceset.open(folder).records])
    reports = list(loop.run(replace(with_labels, segmenter=tmp_path / "t"), colour=colour))
    assert not of(Warned, reports)
    assert store.read_state(tmp_path / "t").labels == 0
    with pytest.raises(NoFace, match="no label to train on"):
        list(loop.run(replace(with_labels, segmenter=tmp_path / "u", self_label=False), colour=colour))


def test_a_new_segmenter_may_start_from_another(faceset, colour, tmp_path, monkeypatch):
    list(loop.run(asked(faceset, tmp_path / "old", target_iterations=5), colour=colour))
    monkeypatch.setattr(plan.Plan, "rate", lambda *_: 0.0)
    settings = asked(faceset, tmp_path / "new", start_from=tmp_path / "old", target_iterations=1)
    list(loop.run(settings, colour=colour))
    old, new = (store.load(tmp_path / name) for name in ("old", "new"))
    assert all(torch.equal(old[1][name], new[1][name]) for name in old[1])
    assert new[0].start_from == old[0].digest
    assert new[0].held_out == old[0].held_out  # what it has learnt by heart is no judge
    assert new[0].iteration == 1
    assert not of(Warned, list(loop.run(settings, colour=colour)))
    labelled_faces(tmp_path / "others", 3)
    other = asked(tmp_path / "others", tmp_path / "third", target_iterations=1, seed=2)
    list(loop.run(other, colour=colour))
    told = of(Warned, loop.run(replace(settings, start_from=tmp_path / "third"), colour=colour))
    assert [w.reason for w in told] == ["START_FROM"]
    for silent in (tmp_path / "gone", tmp_path / "weights.npz"):
        silent.with_suffix(".npz").write_bytes(b"")
        assert not of(Warned, loop.run(replace(settings, start_from=silent), colour=colour))
    state = store.read_state(tmp_path / "old")
    store.save(tmp_path / "old", replace(state, working_space="lin_rec709"), old[1], {})
    with pytest.raises(InvalidInput, match="the segmenter works in 'lin_rec709'"):
        list(loop.run(replace(settings, segmenter=tmp_path / "other"), colour=colour))
    monkeypatch.setitem(config.PRESETS, "wide", replace(TINY, channels=4))
    with pytest.raises(InvalidInput, match="has channels 2, but the new segmenter 4") as refused:
        list(loop.run(replace(settings, segmenter=tmp_path / "x", preset="wide"), colour=colour))
    assert refused.value.field == "start_from"
    with pytest.raises(NotFound, match="nothing to start from"):
        list(loop.run(replace(settings, segmenter=tmp_path / "x", start_from=tmp_path / "n"), colour=colour))
    assert not (tmp_path / "x").exists()


def test_deepfacelabs_way_of_training(faceset, colour, tmp_path, monkeypatch):
    """RMSprop, of which three in ten weights move; no mean; and it goes on after a break."""
    monkeypatch.setitem(plan._PLANS, "tiny", replace(plan.plan("xseg-dfl"), batch_size=2))
    list(loop.run(asked(faceset, tmp_path / "whole", target_iterations=4), colour=colour))
    list(loop.run(asked(faceset, tmp_path / "halves", target_iterations=2), colour=colour))
    list(loop.run(asked(faceset, tmp_path / "halves", target_iterations=4), colour=colour))
    assert torch.equal(tensors(tmp_path / "whole"), tensors(tmp_path / "halves"))
    found = store.load_optimizer(tmp_path / "whole")
    assert torch.equal(found["net/out.weight"], found["mean/out.weight"])
    seed = asked(faceset, tmp_path / "one", target_iterations=1)
    list(loop.run(seed, colour=colour))
    fresh = Trainer(TINY, plan.plan("tiny"), pick("cpu"), seed=1, bfloat16=False).net.state_dict()
    moved = store.load_optimizer(tmp_path / "one")
    shares = [float((moved[f"net/{n}"] != w).float().mean()) for n, w in fresh.items() if w.numel() > 1000]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("threads", [0, 3])
def test_what_is_made_ahead_is_what_was_asked_for(threads):
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key * key

    ahead: Ahead[int, int] = Ahead(threads)
    for number in [*range(9), 4, 5, 100]:  # a training goes back, too
        assert ahead.take(make, range(number, number + 1 + ahead.depth)) == number * number
    if not threads:
        assert made == [*range(9), 4, 5, 100]


def test_bfloat16_trains(faceset, colour, tmp_path):
    if not precision._speedup():
        pytest.skip("bfloat16 ends the process on this machine")
    list(loop.run(asked(faceset, tmp_path / "s", precision="bfloat16"), colour=colour))
    assert bool(torch.isfinite(tensors(tmp_path / "s")).all())
    assert all(w.dtype == torch.float32 for w in store.load(tmp_path / "s")[1].values())


def test_another_colour_space_than_the_segmenters(faceset, colour, tmp_path):
    list(loop.run(asked(faceset, tmp_path / "s", target_iterations=1), colour=colour))
    state, weights = store.load(tmp_path / "s")
    store.save(tmp_path / "s", replace(state, working_space="Rec.709"), weights, {})
    with pytest.raises(InvalidInput, match=r"but the segmenter works in 'Rec\.709'"):
        list(loop.run(asked(faceset, tmp_path / "s"), colour=colour))


@pytest.mark.parametrize(
    ("field", "value"),
    [("target_iterations", 0), ("target_seconds", -1.0), ("batch_size", 0), ("save_seconds", 0.0),
     ("seed", -1), ("precision", "float8"), ("preset", "xseg1"), ("facesets", ()), ("segmenter", Path("a")),
     ("start_from", Path("s")), ("facesets", (Path("b"), Path("b")))],
)  # fmt: skip
def test_wrong_settings_name_the_field(field, value):
    settings = SegmentTrainSettings(segmenter=Path("s"), facesets=(Path("a"),))
    with pytest.raises(InvalidInput) as refused:
        replace(settings, **{field: value})
    assert refused.value.field == field


def faces_and_hands(hands: list[int], side: int = 24) -> Crops:
    """Faces of 0.5 that fill the middle; those named are covered by a hand of 0.9 in the middle's upper left."""
    array = np.full((4, side, side, 4), 0.1, np.float16)
    array[:, 4:20, 4:20, :3] = 0.5
    array[..., 3] = 0
    array[:, 4:20, 4:20, 3] = 1
    for hand in hands:
        array[hand, 5:11, 5:11, :3] = 0.9
        array[hand, 5:11, 5:11, 3] = 0
    return Crops(array=array, digest="")


def test_what_covers_one_face_is_laid_over_another():
    crops, rng = faces_and_hands([2]), np.random.default_rng(0)
    where = paste.ground(crops, np.arange(4))
    assert where[4:20, 4:20].min() == 1
    assert where.sum() == 16 * 16
    laid = torch.zeros(60, 5, 24, 24)
    laid[0, 3, 0, 0] = 0.5  # something lies there
    before = laid[0].clone()
    paste.over(laid, crops, np.array([2]), where, chance=1.0, rng=rng)
    assert torch.equal(laid[0], before)
    alpha = laid[1:, 3]
    assert (alpha.amax((1, 2)) > 0.9).sum() > 50  # some are moved out of the picture
    colours = laid[1:, :3].permute(1, 0, 2, 3)[:, alpha > 0.99]
    assert colours.numpy() == pytest.approx(0.9, abs=0.01)
    places = {tuple(np.argwhere(a.numpy() > 0.5).mean(0).round()) for a in alpha if a.max() > 0.9}
    assert len(places) > 30
    assert (laid[:, 4] == 0).all()
    for donors, chance in (([0, 1, 3], 1.0), ([2], 0.0)):  # nothing covers these; it never happens
        laid = torch.zeros(8, 5, 24, 24)
        paste.over(laid, crops, np.array(donors), where, chance=chance, rng=rng)
        assert not laid.any()


def test_held_out_faces_are_no_donors(faceset, colour, tmp_path, monkeypatch):
    """Their occluders would tell the answer."""
    monkeypatch.setitem(plan._PLANS, "tiny", replace(TINY_PLAN, paste=1.0))
    asked_for: list[np.ndarray] = []
    over = paste.over

    def noted(laid, crops, donors, where, **others):
        asked_for.append(donors)
        over(laid, crops, donors, where, **others)

    monkeypatch.setattr(paste, "over", noted)
    list(loop.run(asked(faceset, tmp_path / "s"), colour=colour))
    held = store.read_state(tmp_path / "s").held_out
    names = [f"faces/{r.path.name}" for r in Faceset.open(faceset).records]
    assert len(asked_for) == 4
    assert all(names.index(held[0].partition("#")[0]) not in donors for donors in asked_for)
