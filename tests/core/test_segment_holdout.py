"""Which labels judge a segmenter: never one that it learnt from, however often, from wherever it is trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import faces
from understudy.core.segment import holdout, store
from understudy.core.segment.holdout import Holdout
from understudy.core.segment.samples import Sample, Samples
from understudy.core.train.data import Crops

MANY = 80


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Eighty faces. Read only."""
    return faces.several(tmp_path_factory.mktemp("many") / "faces", MANY).path


def samples(*folders: Path, labelled: Sequence[bool]) -> Samples:
    """The first faces of each folder, as many as `labelled` says something of."""
    rows = tuple(
        Sample(faceset=folder, name=f"shot_t0.{1001 + i}.exr", frame=1001 + i, track=0, labelled=known)
        for folder in folders
        for i, known in enumerate(labelled)
    )
    return Samples(crops=Crops(array=np.zeros((len(rows), 1, 1, 4), np.float16), digest=""), rows=rows)


def after(past: store.State, held: Holdout) -> store.State:
    """The state that a session leaves."""
    trained = tuple(dict.fromkeys((*past.trained, *held.trained)))
    return replace(past, trained=trained, held_out=held.names)


def trained_on(past: store.State, *folders: Path, count: int = 6) -> tuple[store.State, Holdout]:
    chosen = holdout.choose(samples(*folders, labelled=[True] * count), past)
    return after(past, chosen), chosen


@given(
    labelled=st.lists(st.booleans(), min_size=1, max_size=MANY).filter(any),
    trained=st.sets(st.integers(0, MANY - 1)),
    held=st.sets(st.integers(0, MANY - 1)),
    old=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_judges_are_labels_that_were_never_learnt_from(many, labelled, trained, held, old):
    everything = holdout.choose(samples(many, labelled=[True] * MANY), store.State())
    names = sorted((*everything.names, *everything.trained))  # by frame
    if old:  # as older versions had them
        names = [name.partition("#")[0] for name in names]
    past = store.State(
        trained=tuple(names[i] for i in trained - held), held_out=tuple(names[i] for i in held)
    )
    chosen = holdout.choose(samples(many, labelled=labelled), past)
    parts = [set(rows.tolist()) for rows in (chosen.judges, chosen.labelled, chosen.hulls)]
    assert set.union(*parts) == set(range(len(labelled)))
    assert sum(map(len, parts)) == len(labelled)
    assert all(labelled[row] for row in parts[0] | parts[1])
    assert parts[1]  # something is left to learn from
    assert not parts[0] & (trained - held)
    assert len((held & parts[0] | held & parts[1]) - parts[0]) <= 1  # who was held out stays so
    here = {i for i, known in enumerate(labelled) if known}
    assert set(chosen.names[len(parts[0]) :]) == {names[i] for i in held - here}
    assert not set(chosen.names) & {*chosen.trained, *past.trained}


@pytest.mark.parametrize(("labels", "held"), [(1, 0), (2, 1), (3, 1), (8, 1), (12, 2), (60, 10)])
def test_a_sixth_of_the_labels_judges(many, labels, held):
    chosen = holdout.choose(samples(many, labelled=[True] * labels), store.State())
    assert len(chosen.judges) == held
    if held > 1:
        gaps = np.diff(chosen.judges)
        assert gaps.max() - gaps.min() <= 1  # evenly spread


def test_all_labels_may_be_learnt_from(many):
    past, first = trained_on(store.State(), many)
    assert len(first.judges) == 1
    held = holdout.choose(samples(many, labelled=[True] * 6), past, all_labels=True)
    assert (len(held.judges), held.names, len(held.labelled)) == (0, (), 6)
    past = after(past, held)
    assert set(past.trained) == {*first.trained, *first.names}
    more, _ = trained_on(past, many, count=8)
    assert len(more.held_out) == 1  # of the new ones
    assert not set(more.held_out) & set(past.trained)


def test_of_very_many_labels_no_more_judge(many, monkeypatch):
    monkeypatch.setattr(holdout, "MOST", 5)
    assert len(holdout.choose(samples(many, labelled=[True] * MANY), store.State()).judges) == 5


class TestTwoShots:
    """Their folders have one name, and so have the faces in them."""

    @pytest.fixture
    def shots(self, tmp_path) -> tuple[Path, Path]:
        one, two = (tmp_path / shot / "faces" for shot in ("sh010", "sh020"))
        faces.several(one, 6, plate="/job/sh010/plate.%04d.exr")
        faces.several(two, 6, plate="/job/sh020/plate.%04d.exr")
        return one, two

    def test_a_label_of_one_says_nothing_of_the_other(self, shots):
        one, two = shots
        _, chosen = trained_on(store.State(), one, two)
        assert len(chosen.judges) == len(chosen.names) == 2
        assert not set(chosen.names) & set(chosen.trained)
        past, first = trained_on(store.State(), one)
        _, other = trained_on(past, two)
        assert not {*first.names, *first.trained} & {*other.names[:1], *other.trained}
        assert len(other.judges) == 1  # though all of equal name but one have been learnt from

    def test_imports_know_their_plates_name_alone(self, tmp_path):
        one, two = (tmp_path / shot / "aligned" for shot in ("a", "b"))
        for folder, digest in ((one, "1" * 64), (two, "2" * 64)):
            faces.several(folder, 6, plate="%05d.png", digest=digest)
        _, chosen = trained_on(store.State(), one, two)
        assert len({*chosen.names, *chosen.trained}) == 12

    def test_who_judged_once_never_teaches(self, shots):
        one, two = shots
        past, first = trained_on(store.State(), one)
        past, second = trained_on(past, two)
        assert {*first.names, *second.names} == set(past.held_out)
        past, both = trained_on(past, one, two)
        assert set(both.names) == set(past.held_out) == {*first.names, *second.names}
        assert [len(both.judges), len(both.labelled)] == [2, 10]
        assert not set(past.held_out) & set(past.trained)

    def test_moved_copied_or_extracted_anew_they_are_the_same_labels(self, shots, tmp_path):
        one, _ = shots
        past, first = trained_on(store.State(), one)
        moved = Path(shutil.copytree(one, tmp_path / "elsewhere" / "faces"))
        for seen in ((moved,), (one, moved)):
            _, again = trained_on(past, *seen)
            assert (again.names, again.trained) == (first.names, first.trained)
            assert len(again.judges) == len(seen)
        faces.several(moved, 6, plate="/job/sh010/plate.%04d.exr", digest="e" * 64)
        _, anew = trained_on(past, moved)
        assert (anew.names, anew.trained) == (first.names, first.trained)

    def test_a_state_of_old_means_every_face_that_its_names_fit(self, shots):
        """There nobody knows which of two a label was; what both lists name was learnt from."""
        names = [f"faces/shot_t0.{1001 + i}.exr" for i in range(6)]
        past = store.State(trained=tuple(names[1:]), held_out=tuple(names[:2]))
        _, chosen = trained_on(past, *shots)
        assert chosen.judges.tolist() == [0, 6]
        assert chosen.names == ("faces/shot_t0.1001.exr",)
        assert after(past, chosen).labels == past.labels  # none counts twice


def test_a_preview_shows_judges_first(many):
    held = Holdout(judges=np.arange(20, 26), labelled=np.arange(20), hulls=np.arange(0), names=(), trained=())
    rows = holdout.shown(held, 8)
    assert len(rows) == len(set(rows.tolist())) == 8
    assert (rows[:4] >= 20).all()
    assert (rows[4:] < 20).all()
    few = holdout.choose(samples(many, labelled=[True, True]), store.State())
    assert len(holdout.shown(few, 8)) == 8
