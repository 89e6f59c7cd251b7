"""Restorers of faces: where the square lies that they see, what may come out, and what is said where they are not.

The library and the published weights are not on a machine that tests: a network of ours stands in for theirs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core.test_enhance import picture
from understudy.core import align, enhance
from understudy.core.enhance import _restorer, lanczos
from understudy.core.enhance._restorer import Restorer
from understudy.core.errors import InvalidInput, ModelInvalid, WeightsMissing
from understudy.core.weights import WeightStore

S = 48
CPU = torch.device("cpu")


def restorer(network) -> Restorer:
    return Restorer(network, CPU, "test", "d" * 64)


def same(x):
    return (x,)


def white(x):
    return (torch.ones_like(x),)


class TestSquare:
    def test_the_mean_face_is_that_of_align(self):
        found = {int(point): align._TEMPLATE[i] for i, point in enumerate(align._TEMPLATE_OF_68)}
        eyes = [np.mean([found[p] for p in range(first, first + 6)], axis=0) for first in (36, 42)]
        np.testing.assert_allclose(_restorer._MEAN, [*eyes, found[30], found[48], found[54]], atol=1e-5)

    @pytest.mark.parametrize("face_type", ["half", "full", "whole", "head"])
    def test_it_lies_where_an_alignment_puts_the_face(self, face_type: str):
        landmarks = np.zeros((68, 2))
        landmarks[align._TEMPLATE_OF_68] = align._TEMPLATE * 300.0 + 40.0
        landmarks[:17, 0] = np.linspace(60.0, 314.0, 17)  # a jaw that looks ahead
        crop = align.fit(landmarks, face_type, 256)
        wanted = crop.apply(_restorer._MEAN * 300.0 + 40.0)
        np.testing.assert_allclose(
            _restorer.points(face_type, 256), wanted, atol=12.0 if face_type == "head" else 0.5
        )

    def test_no_such_face_type(self):
        with pytest.raises(InvalidInput, match="no 'profile'"):
            restorer(same).enlarge(picture(), 2 * S, "profile")


class TestPicture:
    def test_a_network_that_changes_nothing_changes_little(self):
        """There and back through the square."""
        y, x = np.mgrid[:S, :S] / S
        rgb = np.dstack([0.2 + 0.1 * np.sin(6 * x + 4 * y + i) for i in range(3)]).astype(np.float32)
        plain = lanczos.Lanczos().enlarge(rgb, 2 * S)
        np.testing.assert_allclose(restorer(same).enlarge(rgb, 2 * S), plain, atol=2e-3)

    def test_what_it_paints_is_seen_on_the_face_and_not_beyond_the_square(self):
        rgb = np.full((S, S, 3), 0.18, np.float32)
        made = restorer(white).enlarge(rgb, 2 * S, "head")
        plain = lanczos.Lanczos().enlarge(rgb, 2 * S)
        assert made[S, S].min() > 0.3
        np.testing.assert_array_equal(made[0], plain[0])

    def test_highlights_and_negative_light_come_through(self):
        rgb = picture()
        made, plain = (each.enlarge(rgb, 2 * S) for each in (restorer(white), lanczos.Lanczos()))
        np.testing.assert_allclose(made[43:45, 43:45], plain[43:45, 43:45])
        np.testing.assert_allclose(made[14, 14], plain[14, 14])
        assert made.max() <= plain.max()

    def test_noise_that_it_paints_with_is_the_same_each_time(self):
        def noisy(x):
            return (x + 0.1 * torch.randn_like(x),)

        mine, rgb = restorer(noisy), picture()
        before = torch.random.get_rng_state()
        first = mine.enlarge(rgb, 2 * S)
        mine.enlarge(picture(1), 2 * S)
        np.testing.assert_array_equal(mine.enlarge(rgb, 2 * S), first)
        assert torch.equal(torch.random.get_rng_state(), before)

    @pytest.mark.parametrize("answer", [float("nan"), None])
    def test_a_broken_answer_is_named(self, answer):
        def broken(x):
            return (x[..., :64] if answer is None else x * answer,)

        with pytest.raises(ModelInvalid, match="weights are broken"):
            restorer(broken).enlarge(picture(), 2 * S)


@pytest.mark.parametrize(
    ("name", "package"), [("gfpgan", r"understudy\[restore\]"), ("codeformer", "spandrel-extra-arches")]
)
def test_without_the_library(name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in ("spandrel", "spandrel_extra_arches"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WeightsMissing, match=f"pip install {package}"):
        enhance.opened(name, WeightStore(tmp_path, accepted=(name,)))


def test_without_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "spandrel", type(sys)("spandrel"))
    with pytest.raises(WeightsMissing, match=r"understudy weights pull gfpgan-1\.4"):
        enhance.opened("gfpgan", WeightStore(tmp_path))


def test_the_registry_says_whose_they_are(tmp_path: Path):
    store = WeightStore(tmp_path)
    entries = {entry.name: entry for entry in store.entries() if entry.kind == "enhance"}
    assert "non-commercial use only" in entries["codeformer"].licence
    assert "Apache-2.0" in entries["gfpgan-1.4"].licence
    assert not any(entry.default for entry in entries.values())
    assert [name for name, entry in entries.items() if entry.non_commercial] == ["codeformer"]
