"""Super-resolution in a merge: detail on the face and nowhere else, by whoever may give it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest

from tests.core import enhancers, shots
from tests.core.merging import bits, contents, made, reports, statuses, verified, warned
from understudy.core.errors import InvalidInput, NotFound, ReleaseInvalid, ReleaseMissing
from understudy.core.frames import FrameRange
from understudy.core.merge import enhancing
from understudy.core.merge.recipe import Curve, Override, Recipe
from understudy.core.model import swap
from understudy.core.plate import read_file

FIRST = shots.FIRST
NUMBERS = tuple(range(FIRST, FIRST + 3))
FULL = Curve.constant(100.0)


@pytest.fixture(autouse=True)
def mirror(monkeypatch):
    """The network shows the face as it sees it, with an eighth of its pixels: fine enough for all that comes after."""
    monkeypatch.setattr(swap, "load", lambda *_: shots.Mirror(32))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return shots.make(tmp_path_factory.mktemp("scene"), numbers=NUMBERS, without_face=[])


@pytest.fixture(scope="module")
def enhancer(tmp_path_factory):
    return enhancers.on_disk(tmp_path_factory.mktemp("own") / "a.enhancer", detail=0.02)


@pytest.fixture
def asked(scene, enhancer):
    def settings(name, **look):
        person: dict[str, Any] = {"enhancer": look.pop("enhancer", enhancer)}
        recipe = replace(shots.FAST, match="none", **look)
        found = scene.settings(scene.folder / "model", out=f"{name}/comp.####.exr", recipe=recipe, **person)
        return replace(found, frames=FrameRange.from_frames(NUMBERS[1:2]))

    return settings


def planes(settings):
    return made(settings, NUMBERS[1]).planes


def picture(settings, prefix):
    return np.stack([planes(settings)[f"{prefix}.{c}"].astype(np.float32) for c in "RGB"], axis=-1)


def run(settings, colour):
    assert set(statuses(settings, colour).values()) <= {"done", "skipped"}  # by an earlier test
    assert verified(settings, colour) == {""}
    return settings


@pytest.mark.parametrize("name", ["lanczos", "trained"])
def test_it_shows_on_the_face_alone_and_verify_holds(asked, colour, name):
    plain = run(asked("plain"), colour)
    done = run(asked(name, super_resolution=name), colour)
    inside = planes(done)["mask_blend.A"] > 0
    apart = np.abs(picture(done, "face") - picture(plain, "face")).max(axis=-1)
    assert (apart[inside] > 1e-4).mean() > 0.5
    for channel in ("mask_blend.A", "mask_face.A", "face.A", "uv.u"):
        np.testing.assert_array_equal(bits(planes(done)[channel]), bits(planes(plain)[channel]))
    for channel in ("face_raw.R", "face_raw.G", "face_raw.B"):  # stays what the network painted
        np.testing.assert_array_equal(bits(planes(done)[channel]), bits(planes(plain)[channel]))


def test_a_network_says_more_than_lanczos_does(asked, colour):
    """Its detail is random, and finer than the crop's pixels."""
    sharp = [
        cv2.Laplacian(picture(run(asked(f"{n}_fine", super_resolution=n), colour), "face"), cv2.CV_32F)
        for n in ("lanczos", "trained")
    ]
    inside = planes(asked("trained_fine"))["mask_blend.A"] > 0.9
    lanczos, trained = (np.median(np.abs(each)[inside]) for each in sharp)
    assert trained > 1.05 * lanczos


class TestAmount:
    def test_none_of_it_leaves_no_trace(self, asked, colour):
        plain = run(asked("plain"), colour)
        off = run(
            asked("off", super_resolution="trained", super_resolution_amount=Curve.constant(0.0)), colour
        )
        for name, plane in planes(plain).items():
            np.testing.assert_array_equal(bits(plane), bits(planes(off)[name]), err_msg=name)

    def test_half_of_it_lies_between(self, asked, colour):
        none, half, whole = (
            picture(
                run(
                    asked(
                        f"part{part}",
                        super_resolution="trained",
                        super_resolution_amount=Curve.constant(part),
                    ),
                    colour,
                ),
                "face",
            )
            for part in (0.001, 50.0, 100.0)
        )
        usual = np.maximum(np.abs(whole), np.abs(none)) < 1.0
        off, all_of_it = (
            np.abs(a - b)[usual].mean() for a, b in ((half, 0.5 * (none + whole)), (whole, none))
        )
        assert off < 0.1 * all_of_it  # the warp holds values between their neighbours, which is not linear

    def test_it_may_change_on_some_frames(self, asked, scene, colour):
        override = Override(
            frames=FrameRange.of(NUMBERS[1], NUMBERS[1]), settings=(("super_resolution", "none"),)
        )
        some = asked("some", super_resolution="lanczos", overrides=(override,))
        run(some, colour)
        run(asked("plain"), colour)
        for c in "RGB":
            np.testing.assert_array_equal(bits(planes(some)[c]), bits(planes(asked("plain"))[c]))


def test_chunks_of_one_and_all_give_identical_bytes(asked, scene, colour):
    look = {"super_resolution": "trained", "sharpen": Curve.constant(1.0), "face_scale": Curve.constant(10.0)}
    whole = replace(asked("whole", **look), frames=FrameRange.from_frames(NUMBERS))
    run(whole, colour)
    again = replace(whole, out=replace(whole.out, directory=scene.folder / "chunks"))
    for number in reversed(NUMBERS):
        reports(replace(again, frames=FrameRange.of(number, number)), colour)
    assert contents(again.out.directory) == contents(whole.out.directory)
    assert set(statuses(again, colour).values()) == {"skipped"}


def test_sharpening_is_as_coarse_on_the_plate_with_it_as_without(asked, colour):
    """Its radius is the plate's pixels, however many the crop has."""

    def gained(**look):
        on = run(
            asked(f"on{len(look)}", sharpen=Curve.constant(3.0), sharpen_radius=Curve.constant(6.0), **look),
            colour,
        )
        off = run(asked(f"off{len(look)}", **look), colour)
        inside = planes(on)["mask_blend.A"] > 0.9
        return np.abs(picture(on, "face") - picture(off, "face"))[inside]

    plain, finer = gained(), gained(super_resolution="lanczos")
    assert 0.6 < np.median(finer) / np.median(plain) < 1.6


def test_highlights_come_through(asked, colour):
    done = run(asked("hot", super_resolution="trained"), colour)
    inside = planes(done)["mask_blend.A"] > 0.5
    assert picture(done, "face")[inside].max() > 30.0


def test_frames_say_whose_it_is(asked, enhancer, colour):
    done = run(asked("said", super_resolution="trained"), colour)
    said = read_file(done.out.path(NUMBERS[1]), NUMBERS[1]).metadata
    assert said["understudy/enhancer"] == "a.enhancer"
    assert len(str(said["understudy/enhancerSha"])) == 64
    plain = run(asked("plain"), colour)
    assert "understudy/enhancer" not in read_file(plain.out.path(NUMBERS[1]), NUMBERS[1]).metadata


def test_another_enhancer_makes_the_frames_again(asked, tmp_path, colour):
    run(asked("again", super_resolution="trained"), colour)
    other = enhancers.on_disk(tmp_path / "b.enhancer", detail=0.01)
    assert set(statuses(asked("again", super_resolution="trained", enhancer=other), colour).values()) == {
        "done"
    }


def test_aligned_faces_are_all_of_one_size(asked, colour):
    done = run(replace(asked("aligned", super_resolution="lanczos"), aligned=True), colour)
    (file,) = (done.out.directory / "aligned").glob("*.exr")
    crop = read_file(file, NUMBERS[1])
    assert {plane.shape for plane in crop.planes.values()} == {(64, 64)}
    assert {"R", "face_raw.R", "plate.R", "mask.A"} <= set(crop.planes)


class TestRelease:
    """A network that painted somebody's pores has their likeness (promise 10)."""

    def test_its_id_is_in_the_frames(self, asked, tmp_path, colour):
        lent = shots.make_release(subject="performer-b")
        folder = enhancers.on_disk(tmp_path / "b", releases=(lent,))
        done = run(asked("lent", super_resolution="trained", enhancer=folder), colour)
        said = str(read_file(done.out.path(NUMBERS[1]), NUMBERS[1]).metadata["understudy/release"])
        assert said.split(",") == [shots.make_release().id, lent.id]

    def test_it_must_be_there(self, asked, tmp_path, colour):
        folder = enhancers.on_disk(tmp_path / "b", releases=())
        with pytest.raises(ReleaseMissing, match="merge with"):
            reports(asked("x", super_resolution="trained", enhancer=folder), colour)
        assert set(statuses(asked("unused", enhancer=folder), colour).values()) == {"done"}

    def test_it_must_hold(self, asked, tmp_path, colour):
        over = shots.make_release(valid_until=shots.DAY, valid_from=shots.DAY - timedelta(days=9))
        folder = enhancers.on_disk(tmp_path / "b", releases=(over,))
        settings = asked("x", super_resolution="trained", enhancer=folder)
        with pytest.raises(ReleaseInvalid):
            reports(replace(settings, on=shots.DAY + timedelta(days=1)), colour)


class TestRefusals:
    def test_a_name_that_there_is_none_of(self):
        with pytest.raises(InvalidInput, match=r"none, .*lanczos.*did you mean 'lanczos'") as error:
            Recipe(super_resolution="lanczoz")
        assert error.value.field == "recipe.super_resolution"

    def test_an_amount_beyond_all(self):
        with pytest.raises(InvalidInput, match="101 is outside 0 to 100"):
            Recipe(super_resolution_amount=Curve.constant(101.0))

    @pytest.mark.parametrize("where", ["recipe", "override"])
    def test_trained_without_a_folder(self, asked, where):
        said: dict[str, Any] = {"super_resolution": "trained"}
        if where == "override":
            said = {"overrides": (Override(frames=FrameRange.of(1, 2), settings=tuple(said.items())),)}
        with pytest.raises(InvalidInput, match="name its folder") as error:
            asked("x", enhancer=None, **said)
        assert error.value.field == "enhancer"

    def test_a_folder_that_is_none(self, asked, tmp_path, colour):
        with pytest.raises(NotFound, match="no trained enhancer here"):
            reports(asked("x", super_resolution="trained", enhancer=tmp_path), colour)

    def test_another_working_space(self, asked, tmp_path, colour):
        folder = enhancers.on_disk(tmp_path / "b", working_space="Linear Rec.709 (sRGB)")
        with pytest.raises(InvalidInput, match=r"was trained in 'Linear Rec.709"):
            reports(asked("x", super_resolution="trained", enhancer=folder), colour)

    def test_one_that_nothing_asks_for_is_said(self, asked, colour):
        assert "ENHANCER_UNUSED" in warned(asked("unused"), colour)


def test_those_of_all_frames_are_found():
    at = FrameRange.of(1, 2)
    overrides = (
        Override(frames=at, settings=(("super_resolution", "trained"),)),
        Override(frames=at, like=7, settings=(("erode", Curve.constant(1.0)),)),
    )
    assert enhancing.asked(Recipe(super_resolution="lanczos", overrides=overrides)) == ("lanczos", "trained")
    assert enhancing.asked(Recipe()) == ()
