"""Colour match over a shot: fitted with slow drift or frame by frame, the same in any chunk, and told in the track."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import ALL, face_of, give
from tests.core.merging import contents, statuses, verified
from understudy.core import _plugins, faceset
from understudy.core.frames import FrameRange
from understudy.core.merge import analysis, headers
from understudy.core.plate import Template

FIRST = shots.FIRST
NUMBERS = tuple(range(FIRST, FIRST + 5))
DIM = NUMBERS[2]
MEMBERS = [name for name in _plugins.names("match") if name != "none"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def scene(tmp_path):
    """Five frames, of which the middle one went dim."""
    made = shots.make(tmp_path, numbers=NUMBERS, without_face=[])
    opened, record = face_of(made.faceset, DIM)
    faceset.write(record, opened.load(record) * np.float32(0.3))
    return made


def settings(scene, model, out="out", **look):
    recipe = replace(shots.FAST, **{"match": "mkl", "mask": "face*hull", **look})
    return scene.settings(model, out=f"{out}/comp.####.exr", recipe=recipe)


def tracked(asked):
    return json.loads((asked.out.directory / "track" / "comp.json").read_text())


def said(track, number):
    """What a frame's match comes to, by the track."""
    return {**track["match"]["as"], **track["frames"][str(number)]["match_as"]}


def of(track, numbers):
    """What such numbers come to, as JSON has it."""
    return json.loads(json.dumps(_plugins.load("match", track["match"]["name"]).report(np.array(numbers))))


class TestFit:
    def test_with_drift_a_frame_is_an_average(self, scene, model, colour):
        """Gaussian, three frames wide: one dim frame of five hardly moves its own match."""
        asked = settings(scene, model)
        statuses(asked, colour)
        track = tracked(asked)
        assert track["match"]["per_frame"] is False
        samples = {int(f): np.array(v) for f, v in track["match"]["samples"].items()}
        for number in NUMBERS:
            weight = {n: np.exp(-0.5 * ((n - number) / 3.0) ** 2) for n in NUMBERS}
            expected = sum(weight[n] * samples[n] for n in NUMBERS) / sum(weight.values())
            np.testing.assert_allclose(
                said(track, number)["matrix"], of(track, expected)["matrix"], rtol=1e-6
            )

    def test_per_frame_each_has_its_own(self, scene, model, colour):
        asked = settings(scene, model, match_per_frame=True)
        statuses(asked, colour)
        track = tracked(asked)
        assert track["match"]["per_frame"] is True
        samples = track["match"]["samples"]
        for number in NUMBERS:
            assert said(track, number) == of(track, samples[str(number)])
        plates = {n: np.mean(samples[str(n)][9:12]) for n in NUMBERS}
        assert plates[DIM] < 0.8 * min(level for n, level in plates.items() if n != DIM)

    def test_per_frame_a_face_that_is_hidden_takes_its_neighbours(self, scene, model, colour):
        give(scene, ALL, *NUMBERS)
        give(scene, ALL * 0.0, DIM)
        asked = settings(scene, model, match_per_frame=True, mask="hull*occ")
        assert set(statuses(asked, colour).values()) == {"done"}
        track = tracked(asked)
        samples = {int(f): np.array(v) for f, v in track["match"]["samples"].items()}
        assert set(samples) == set(NUMBERS) - {DIM}
        weight = {n: np.exp(-0.5 * ((n - DIM) / 3.0) ** 2) for n in samples}
        expected = sum(weight[n] * samples[n] for n in samples) / sum(weight.values())
        np.testing.assert_allclose(said(track, DIM)["matrix"], of(track, expected)["matrix"], rtol=1e-6)

    @pytest.mark.parametrize(("per_frame", "looked_at"), [(False, 2), (True, 5)])
    def test_of_a_long_shot_some_frames_or_all(self, scene, model, colour, monkeypatch, per_frame, looked_at):
        monkeypatch.setattr(analysis, "_SAMPLES", 2)
        asked = settings(scene, model, match_per_frame=per_frame)
        statuses(asked, colour)
        assert len(tracked(asked)["match"]["samples"]) == looked_at

    def test_the_other_way_is_fitted_again(self, scene, model, colour):
        """In the same folder too: what was stored for the one is not taken for the other."""
        assert set(statuses(settings(scene, model), colour).values()) == {"done"}
        other = settings(scene, model, match_per_frame=True)
        assert set(statuses(other, colour).values()) == {"done"}
        fresh = settings(scene, model, "fresh", match_per_frame=True)
        statuses(fresh, colour)
        assert tracked(other) == tracked(fresh)

    @pytest.mark.parametrize(("match", "per_frame"), [("sot", True), ("hist", False)])
    def test_chunks_and_the_whole_give_identical_bytes(self, scene, model, colour, match, per_frame):
        whole = settings(scene, model, "whole", match=match, match_per_frame=per_frame)
        statuses(whole, colour)
        parts = replace(whole, out=Template.parse(str(scene.folder / "parts" / "comp.####.exr")))
        for chunk in (NUMBERS[3:], NUMBERS[:1], NUMBERS[1:3]):
            statuses(replace(parts, frames=FrameRange.from_frames(chunk)), colour)
        assert contents(parts.out.directory) == contents(whole.out.directory)


@pytest.mark.parametrize("match", MEMBERS)
def test_the_track_says_what_each_frames_match_comes_to(scene, model, colour, match):
    """What is so on every frame stands once; with what the frame adds, it is the member's report."""
    asked = settings(scene, model, match=match)
    assert set(statuses(asked, colour).values()) == {"done"}
    assert verified(asked, colour) == {""}
    track = tracked(asked)
    assert track["match"]["name"] == match
    assert track["match"]["as"]["space"]
    samples = {int(f): v for f, v in track["match"]["samples"].items()}
    for number, entry in track["frames"].items():
        assert said(track, number) == of(track, analysis.steadied(samples, int(number)))
        assert not track["match"]["as"].keys() & entry["match_as"].keys()


def test_the_track_says_nothing_twice(scene, model, colour):
    """Bases and knots of a transport are half of it, and a line is an entry."""
    asked = settings(scene, model, match="idt")
    statuses(asked, colour)
    path = asked.out.directory / "track" / "comp.json"
    track = json.loads(path.read_text())
    assert {"directions", "knots", "bases"} <= track["match"]["as"].keys()
    assert set(track["frames"][str(FIRST)]["match_as"]) == {"matrix", "to_z", "from_z", "curves", "darkest"}
    assert path.read_text().count("\n") < 30 * len(NUMBERS) + 30


@pytest.mark.parametrize(("match", "of_merge"), [("none", False), ("mkl", False), ("mkl", True)])
def test_another_version_is_fitted_and_merged_again(scene, model, colour, monkeypatch, match, of_merge):
    asked = settings(scene, model, match=match)
    assert set(statuses(asked, colour).values()) == {"done"}
    assert set(statuses(asked, colour).values()) == {"skipped"}
    before = tracked(asked)
    member = _plugins.load("match", match)
    changed = headers if of_merge else member
    monkeypatch.setattr(changed, "VERSION", changed.VERSION + 1)
    measured = []
    honest = member.measure

    def counted(*given):
        measured.append(given)
        return honest(*given)

    monkeypatch.setattr(member, "measure", counted)
    assert set(statuses(asked, colour).values()) == {"done"}
    assert len(measured) == len(NUMBERS)
    assert tracked(asked)["digest"] != before["digest"]


def test_no_match_says_nothing(scene, model, colour):
    asked = settings(scene, model, match="none")
    statuses(asked, colour)
    track = tracked(asked)
    assert track["match"]["as"] == {}
    assert all(entry["match_as"] == {} for entry in track["frames"].values())
