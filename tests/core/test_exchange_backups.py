"""Backups of a model: listed with what they are, and one made to hold again without losing what held."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from tests.core.exchanging import made
from understudy.core.errors import ModelInvalid, NotFound
from understudy.core.model import backups, store
from understudy.core.model.backups import RestoreSettings
from understudy.core.reports import Advanced, Artifact, Started


@pytest.fixture
def model(tmp_path):
    """A model at iteration 1200 with two backups, of 1000 and 1100."""
    folder = tmp_path / "m"
    state, weights = made(folder).state, store.load(folder)[1]
    for iteration in (1000, 1100, 1200):
        moved = {name: each + iteration / 1e4 for name, each in weights.items()}
        store.save(folder, replace(state, iteration=iteration, seconds=iteration * 2.0), moved, {})
        if iteration < 1200:
            store.back_up(folder)
    return folder


def restore(model, name):
    return list(backups.restore(RestoreSettings(model=model, backup=name)))


def test_the_list_is_from_old_to_new(model):
    found = backups.listed(model)
    states = [each.state for each in found]
    assert [(s.iteration, s.seconds) for s in states if s is not None] == [(1000, 2000.0), (1100, 2200.0)]
    now = datetime.now(timezone.utc)
    assert all(timedelta() <= now - each.written < timedelta(minutes=10) for each in found)
    assert found[0].name.startswith("00001000-")


def test_one_holds_again_and_what_held_is_kept(model):
    before = store.read_state(model)
    first = backups.listed(model)[0]
    assert restore(model, first.name) == [
        Started(total=1, unit="step"),
        Advanced(done=1),
        Artifact(kind="model", path=model),
    ]
    assert store.read_state(model) == first.state
    assert store.load(model)[0].iteration == 1000
    kept = backups.listed(model)
    assert [each.state.iteration for each in kept if each.state] == [1000, 1100, 1200]
    restore(model, kept[-1].name)
    assert store.read_state(model) == before


def test_the_same_again_does_nothing(model):
    name = backups.listed(model)[0].name
    restore(model, name)
    there, count = store.current(model), len(backups.listed(model))
    restore(model, name)
    assert (store.current(model), len(backups.listed(model))) == (there, count)


def test_many_backups_stay(model):
    """A training keeps a few; who goes back wants none of them gone."""
    state, weights = store.load(model)
    for iteration in range(1201, 1211):
        store.save(model, replace(state, iteration=iteration), weights, {})
        store.back_up(model, keep=100)
    oldest = backups.listed(model)[0].name
    restore(model, oldest)
    assert len(backups.listed(model)) == 12
    assert backups.listed(model)[0].name == oldest


@pytest.mark.parametrize("broken", ["weights.safetensors", "state.json"])
def test_from_a_checkpoint_that_is_broken(model, broken):
    """This is what backups are for."""
    (store.current(model) / broken).write_bytes(b"")
    restore(model, backups.listed(model)[1].name)
    assert store.load(model)[0].iteration == 1100


def test_a_broken_backup_is_listed_and_not_restored(model):
    first = backups.listed(model)[0]
    (model / "backups" / first.name / "state.json").write_text("{")
    assert [each.state is None for each in backups.listed(model)] == [True, False]
    with pytest.raises(ModelInvalid, match="can not be read") as refused:
        RestoreSettings(model=model, backup=first.name)
    assert (refused.value.field, refused.value.value) == ("backup", first.name)
    assert store.read_state(model).iteration == 1200


@pytest.mark.parametrize("name", ["", "none", "../m", "00001000-ffffff"])
def test_a_backup_that_is_not_there(model, name):
    with pytest.raises(NotFound, match=r"there are 00001000-.*, 00001100-") as refused:
        RestoreSettings(model=model, backup=name)
    assert refused.value.field == "backup"


def test_no_model(tmp_path):
    with pytest.raises(NotFound):
        backups.listed(tmp_path)


def test_none_was_kept(tmp_path):
    made(tmp_path / "m")
    assert backups.listed(tmp_path / "m") == ()
    with pytest.raises(NotFound, match="there are none"):
        RestoreSettings(model=tmp_path / "m", backup="00001000-ffffff")
