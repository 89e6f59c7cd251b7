"""Networks stay loaded between one piece of work and the next, and change nothing of what comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.core import shots
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import NotFound
from understudy.core.kept import Kept
from understudy.core.merge import shot
from understudy.core.merge.preview import Previewer
from understudy.core.model import store, swap
from understudy.core.plate import Template


def test_what_was_used_last_is_kept_longest():
    kept, loaded = Kept(10), list[str]()

    def get(name: str, size: int) -> str:
        def load() -> str:
            loaded.append(name)
            return name.upper()

        return kept.get((name,), size, load)

    assert [get("a", 4), get("b", 4), get("a", 4), get("c", 4)] == ["A", "B", "A", "C"]  # b makes room
    assert loaded == ["a", "b", "c"]
    assert (kept.size, kept.hits, kept.misses) == (8, 1, 3)
    get("a", 4)
    get("giant", 11)  # for which all leave, though it does not stay itself
    assert kept.size == 0
    get("giant", 11)
    assert loaded == ["a", "b", "c", "giant", "giant"]
    get("a", 4)
    kept.clear()
    assert kept.size == 0
    get("a", 4)
    assert loaded[-2:] == ["a", "a"]


def test_nothing_is_kept_of_what_could_not_be_loaded():
    kept = Kept(10)

    def fail() -> str:
        raise NotFound("gone")

    for _ in range(2):
        with pytest.raises(NotFound):
            kept.get(("a",), 4, fail)
    assert (kept.size, kept.misses) == (0, 2)


def test_a_new_checkpoint_is_another_network(tmp_path: Path):
    kept, model = Kept(1 << 30), shots.tiny_model(tmp_path / "model")
    first = kept.checkpoint(store, model, "cpu", swap.load)
    (tmp_path / "link").symlink_to(model)
    assert kept.checkpoint(store, tmp_path / "link", "cpu", swap.load) is first
    shots.tiny_model(model, seed=11)
    second = kept.checkpoint(store, model, "cpu", swap.load)
    assert second.digest != first.digest
    assert kept.checkpoint(store, model, "cpu", swap.load) is second
    assert (kept.hits, kept.misses) == (2, 2)
    with pytest.raises(NotFound):
        kept.checkpoint(store, tmp_path / "none", "cpu", swap.load)


def test_merges_and_previews_share_what_is_loaded(tmp_path: Path, colour: ColourConfig):
    scene, kept = shots.make(tmp_path / "shot"), Kept(1 << 30)
    release.write(shots.make_release(), scene.faceset / "release.json")
    plain = scene.settings(shots.tiny_model(tmp_path / "model"))
    made = list[list[bytes]]()
    for name, shelf in (("alone", None), ("first", kept), ("second", kept)):
        out = Template.parse(str(tmp_path / name / "comp.%04d.exr"))
        for _ in shot.run(replace(plain, out=out), colour=colour, kept=shelf):
            pass
        made.append([path.read_bytes() for path in sorted((tmp_path / name).glob("*.exr"))])
    assert made[0]
    assert made[0] == made[1] == made[2]
    Previewer(colour, kept=kept).show(plain, {})
    assert (kept.hits, kept.misses) == (2, 1)
