"""One frame to look at: what a merge would write, with nothing written."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core import shots
from tests.core.merging import bits, made, reports
from understudy.core import plate
from understudy.core.errors import FrameMissing, ReleaseMissing
from understudy.core.frames import FrameRange
from understudy.core.merge import headers
from understudy.core.merge.preview import Previewer
from understudy.core.merge.recipe import Curve
from understudy.core.model import swap

NO_FACE = shots.FIRST + 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Six frames, the fifth with no face."""
    return shots.make(tmp_path_factory.mktemp("scene"))


def one(settings, number):
    return replace(settings, frames=FrameRange.of(number, number))


def read(exr: bytes, folder: Path, number: int):
    path = folder / "shown.exr"
    path.write_bytes(exr)
    return plate.read_file(path, number)


@pytest.mark.parametrize("number", [shots.FIRST + 1, NO_FACE])
def test_a_preview_is_the_frame_that_the_merge_writes(scene, model, colour, tmp_path, number):
    settings = one(scene.settings(model, out="same/comp.####.exr"), number)
    off = shots.keyed(settings, match_amount=Curve.constant(0.0))  # which is fitted to more than the frame
    reports(off, colour)
    shown = read(Previewer(colour).show(off, {}).exr(), tmp_path, number)
    there = made(off, number)
    assert shown.planes.keys() == there.planes.keys()
    for name, plane in there.planes.items():
        assert (bits(shown.planes[name]) == bits(plane)).all(), name
    ours, theirs = headers.own(shown.metadata), headers.own(there.metadata)
    assert {n for n in theirs if ours.get(n) != theirs[n]} == {headers.DIGEST}


def test_the_match_is_fitted_to_the_frame(scene, model, colour):
    settings = one(scene.settings(model), shots.FIRST)
    (_, swapped), *_ = Previewer(colour).show(settings, {}).job.swaps
    assert swapped.placed.numbers is not None
    before = Previewer(colour).show(shots.keyed(settings, match_amount=Curve.constant(0.0)), {})
    (_, unmatched), *_ = before.job.swaps
    assert swapped.face is not None
    assert unmatched.face is not None
    assert not np.array_equal(swapped.face, unmatched.face)


def test_nothing_is_written(scene, model, colour):
    files = sorted(scene.faceset.parent.rglob("*"))
    settings = one(scene.settings(model, out="nowhere/comp.####.exr"), shots.FIRST)
    Previewer(colour).show(settings, {}).picture()
    assert sorted(scene.faceset.parent.rglob("*")) == files


def test_a_lent_network_stands_for_the_folders(scene, model, colour):
    settings = one(scene.settings(model), shots.FIRST)
    other = swap.load(model, "cpu")
    previewer = Previewer(colour)
    plain = previewer.show(settings, {}).picture()
    assert np.array_equal(previewer.show(settings, {}).picture(), plain)
    with_other = shots.tiny_model(model.parent / "other", seed=9)
    lent = {Path(os.path.realpath(model)): swap.load(with_other, "cpu")}
    assert not np.array_equal(previewer.show(settings, lent).picture(), plain)
    lent = {Path(os.path.realpath(model)): other}
    assert np.array_equal(previewer.show(settings, lent).picture(), plain)


def test_a_new_checkpoint_is_seen(scene, colour, tmp_path):
    model = shots.tiny_model(tmp_path / "model")
    settings = one(scene.settings(model), shots.FIRST)
    previewer = Previewer(colour)
    before = previewer.show(settings, {}).picture()
    shots.tiny_model(model, seed=11)
    assert not np.array_equal(previewer.show(settings, {}).picture(), before)


def test_a_picture_is_as_small_as_asked_for(scene, model, colour):
    shown = Previewer(colour).show(one(scene.settings(model), shots.FIRST), {})
    full = shown.picture()
    frame = shown.job.views[0].frame
    assert frame is not None
    assert full.shape[:2] == (frame.data.height, frame.data.width)
    assert max(shown.picture(40).shape[:2]) == 40
    assert shown.picture(10**6).shape == full.shape


def test_what_is_left_out_is_said(scene, model, colour):
    settings = shots.keyed(one(scene.settings(model), shots.FIRST), grain=Curve.constant(1.0), mask_smooth=5)
    assert any("grain, mask_smooth" in text for text in Previewer(colour).show(settings, {}).warnings)


def test_it_is_refused_as_a_merge_is(scene, model, colour, tmp_path):
    plain = scene.settings(model)
    gone = replace(plain, plate=replace(plain.plate, frames=FrameRange.of(1001, 2000)))
    with pytest.raises(FrameMissing, match="1999"):
        Previewer(colour).show(one(gone, 1999), {})
    free = shots.tiny_model(tmp_path / "free", releases=())
    with pytest.raises(ReleaseMissing):
        Previewer(colour).show(one(scene.settings(free), shots.FIRST), {})
