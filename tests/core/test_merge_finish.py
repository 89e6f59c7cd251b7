"""What a recipe's finish does to a face: on the plate, in its layers, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import SIDE, give, layer, masked
from tests.core.merging import bits, contents, made, reports, statuses, verified, warned
from understudy.core import plate
from understudy.core.frames import FrameRange
from understudy.core.merge.grains import Grains
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.recipe import Curve, Override
from understudy.core.model import swap

FIRST = shots.FIRST
NUMBERS = tuple(range(FIRST, FIRST + 5))
STEPS: dict[str, dict[str, Any]] = {
    "grain": {"grain": 1.0},
    "motion": {"motion_blur": 1.5},
    "sharpen": {"sharpen": 2.0},
    "soften": {"sharpen": -1.0, "sharpen_kind": "box", "sharpen_radius": 2.0},
    "relight": {"relight": "low_frequency"},
    "degrade": {"degrade": 60.0},
    "posterise": {"degrade_colour": 1.0, "degrade_steps": 2.0},
    "larger": {"face_scale": 15.0},
    "all": {
        "grain": 0.7,
        "motion_blur": 0.5,
        "sharpen": 1.0,
        "degrade": 20.0,
        "face_scale": -10.0,
        "denoise": 1.0,
    },
}
STRAND = np.ones((SIDE, SIDE), np.float32)
STRAND[:, 47] = 0.0


def curves(items):
    return {n: Curve.constant(v) if isinstance(v, float) else v for n, v in items.items()}


@pytest.fixture(autouse=True)
def painter(monkeypatch):
    monkeypatch.setattr(swap, "load", lambda *_: Painter())


class Painter(shots.Mirror):
    """Other colours, softly painted: a network has no grain."""

    def swap(self, crops):
        ramp = np.linspace(0.3, 0.5, crops.shape[2], dtype=np.float32)[None, None, :, None]
        made = 0.2 * crops[..., [1, 2, 0]] + 0.8 * ramp
        return made.astype(np.float32), np.ones(crops.shape[:3], np.float32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    found = shots.make(tmp_path_factory.mktemp("scene"), numbers=NUMBERS, without_face=[])
    give(found, STRAND, *NUMBERS)
    return found


@pytest.fixture(scope="module")
def merged(scene, colour, tmp_path_factory):
    """Merges the first frames by a recipe, once for each."""
    made_of: dict[str, object] = {}

    def merge(name, mask="face*hull", numbers=(FIRST + 1,), **look):
        if name not in made_of:
            settings = masked(scene, scene.folder / "model", mask, out=f"{name}/comp.####.exr")
            recipe = {"feather": Curve.constant(4.0), **curves(look)}
            settings = replace(shots.keyed(settings, **recipe), frames=FrameRange.from_frames(numbers))
            assert set(statuses(settings, colour).values()) == {"done"}
            assert verified(settings, colour) == {""}
            made_of[name] = settings
        return made_of[name]

    return merge


def planes_of(settings):
    return made(settings, FIRST + 1).planes


def picture(planes, prefix):
    return np.stack([planes[f"{prefix}.{c}"].astype(np.float32) for c in "RGB"], axis=-1)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_shows_on_the_face_alone(merged, step):
    """And verify proves the rest: bits outside, the mix rule, all finite."""
    plain, done = planes_of(merged("plain")), planes_of(merged(step, **STEPS[step]))
    used = (plain["mask_blend.A"] > 0) & (done["mask_blend.A"] > 0)
    apart = np.abs(picture(done, "face") - picture(plain, "face")).max(axis=-1)[used]
    assert (apart > 1e-3).mean() > 0.2
    np.testing.assert_array_equal(done["mask_face.A"].shape, plain["mask_face.A"].shape)


def test_chunks_of_one_and_all_give_identical_bytes(scene, colour, merged):
    """With every step on, and every blend that solves anything."""
    whole = merged("whole", numbers=NUMBERS, blend="seamless", **STEPS["all"])
    again = replace(whole, out=replace(whole.out, directory=scene.folder / "chunks"))
    for number in reversed(NUMBERS):
        reports(replace(again, frames=FrameRange.of(number, number)), colour)
    assert contents(again.out.directory) == contents(whole.out.directory)
    assert set(statuses(again, colour).values()) == {"skipped"}


class TestGrain:
    def test_is_a_layer_that_can_be_taken_off(self, merged):
        plain, done = planes_of(merged("plain")), planes_of(merged("grain", **STEPS["grain"]))
        without = picture(done, "face") - picture(done, "grain")
        np.testing.assert_allclose(without, picture(plain, "face"), rtol=2e-3, atol=1e-4)
        assert "grain.R" not in plain
        assert "grain" not in merged("plain").shown()

    def test_is_like_the_plates(self, merged):
        """`shots.picture` has 0.01 of it in every channel."""
        done = planes_of(merged("grain", **STEPS["grain"]))
        inside = done["mask_blend.A"] == 1
        assert inside.sum() > 300
        assert np.std(picture(done, "grain")[inside]) == pytest.approx(0.01, rel=0.35)

    def test_is_another_on_every_frame_and_the_same_again(self, merged):
        settings = merged("grains", numbers=NUMBERS[:2], grain=1.0)
        one, other = (made(settings, n).planes for n in NUMBERS[:2])
        both = (one["mask_blend.A"] == 1) & (other["mask_blend.A"] == 1)
        a, b = (picture(each, "grain")[both].ravel() for each in (one, other))
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
        assert (bits(one["grain.R"]) == bits(made(settings, NUMBERS[0]).planes["grain.R"])).all()

    def test_is_written_down(self, merged):
        settings = merged("grain", **STEPS["grain"])
        said = Manifest(out=settings.out).about()["grain"]
        assert Grains.from_dict(said).plate is not None
        stored = json.loads((settings.out.directory / "track" / "comp.grain.json").read_text())
        assert stored["plate"] == said["plate"]
        assert stored["frames"] == list(NUMBERS[:4])

    def test_that_cannot_be_known_is_said(self, tmp_path, colour, monkeypatch):
        from understudy.core.merge import grains

        monkeypatch.setattr(grains, "measure", lambda *_, **__: None)
        scene = shots.make(tmp_path, numbers=NUMBERS[:2], without_face=[])
        settings = masked(scene, tmp_path / "model", "face*hull")
        settings = shots.keyed(settings, grain=Curve.constant(1.0), denoise=Curve.constant(1.0))
        assert {"GRAIN_UNKNOWN", "NOISE_UNKNOWN"} <= set(warned(settings, colour))
        assert (made(settings).planes["grain.R"] == 0).all()


class TestMotion:
    def test_the_matte_spreads_along_the_way_and_keeps_its_area(self, merged):
        still, moving = (
            planes_of(merged(name, **look)) for name, look in (("plain", {}), ("motion", STEPS["motion"]))
        )
        before, after = (p["mask_blend.A"].astype(np.float32) for p in (still, moving))
        assert np.count_nonzero(after.any(axis=0)) > np.count_nonzero(before.any(axis=0))
        assert float(after.sum()) == pytest.approx(float(before.sum()), rel=0.01)

    def test_what_stands_before_the_face_is_not_blurred_again(self, merged):
        """A strand of hair is as the plate's own camera saw it."""
        mask, look = "face*hull*occ", {"erode": 1.0, "feather": 4.0}
        still = layer(merged("strand", mask, **look), "mask_blend", FIRST + 1)
        moving = layer(merged("strand_moving", mask, motion_blur=2.0, **look), "mask_blend", FIRST + 1)
        assert still[60].max() == 1.0
        inside = slice(66, 82)
        assert still[60, inside].min() < 0.3
        np.testing.assert_allclose(moving[60, inside], still[60, inside], atol=2e-3)

    def test_a_frame_that_stands_alone_goes_nowhere(self, scene):
        short = shots.make(scene.folder / "alone", numbers=[FIRST], without_face=[])
        found = []
        for shutter in (0.0, 2.0):
            settings = masked(short, short.folder / "model", "face", out=f"{shutter}/comp.####.exr")
            settings = shots.keyed(settings, motion_blur=Curve.constant(shutter))
            reports(settings, shots.colour())
            found.append(layer(settings, "mask_blend"))
        np.testing.assert_array_equal(*found)


class TestOutline:
    def test_erosion_and_feather_leave_a_strand_as_thin_as_it_is(self, merged):
        mask = "face*hull*occ"
        thin = layer(merged("bare", mask, erode=0.0, feather=0.0), "mask_blend", FIRST + 1)
        shaped = layer(merged("shaped", mask, erode=2.0, feather=6.0), "mask_blend", FIRST + 1)
        inside = slice(66, 82)
        np.testing.assert_allclose(shaped[60, inside], thin[60, inside], atol=2e-3)
        assert (shaped > 0).sum() < 0.9 * (thin > 0).sum()

    def test_it_does_not_grow_with_the_face(self, merged):
        mask = "face*hull*occ"
        one, larger = (
            layer(merged(f"scale{v}", mask, face_scale=v), "mask_blend", FIRST + 1) for v in (0.0, 20.0)
        )
        assert larger.sum() > 1.25 * one.sum()
        row, inside = 60, slice(60, 84)
        np.testing.assert_allclose(larger[row, inside], one[row, inside], atol=2e-2)


class TestScale:
    def test_uv_and_matte_follow(self, merged):
        one, larger = planes_of(merged("plain")), planes_of(merged("larger", **STEPS["larger"]))
        area = [float(p["mask_hull.A"].astype(np.float32).sum()) for p in (one, larger)]
        assert area[1] / area[0] == pytest.approx(1.15**2, rel=0.01)
        row = np.argmin(np.abs(larger["uv.v"][:, 70] - 0.5))
        steps = [np.diff(p["uv.u"][row, 60:80]).mean() for p in (one, larger)]
        assert steps[0] / steps[1] == pytest.approx(1.15, rel=1e-3)


def test_overrides_are_of_their_frames_alone(merged, colour):
    plain = merged("plain_both", numbers=NUMBERS[:2])
    over = Override(
        frames=FrameRange.of(NUMBERS[1], NUMBERS[1]),
        settings=(("blend", "seamless"), ("sharpen", Curve.constant(2.0))),
    )
    settings = merged("over", numbers=NUMBERS[:2], overrides=(over,))
    same, other = (
        (bits(made(plain, n).planes["face.G"]) == bits(made(settings, n).planes["face.G"])).all()
        for n in NUMBERS[:2]
    )
    assert same
    assert not other


def test_keyed_steps_begin_where_their_key_does(merged):
    plain = merged("plain_both", numbers=NUMBERS[:2])
    curve = Curve.from_dict(
        {"keys": {"keys": [{"frame": n, "value": v} for n, v in zip(NUMBERS[:2], (0.0, 80.0), strict=True)]}},
        field="degrade",
    )
    settings = merged("keyed", numbers=NUMBERS[:2], degrade=curve)
    first, second = (
        np.abs(picture(made(plain, n).planes, "face") - picture(made(settings, n).planes, "face")).max()
        for n in NUMBERS[:2]
    )
    assert first == 0.0
    assert second > 1e-2


def test_the_plate_is_never_read_for_what_is_not_asked(merged, monkeypatch, colour):
    """Grain is measured from frames beside those that are merged; without it no other frame is opened."""
    opened: list[int] = []
    honest = plate.read

    def watched(template, number, **how):
        opened.append(number)
        return honest(template, number, **how)

    monkeypatch.setattr(plate, "read", watched)
    settings = merged("plain")
    out = replace(settings.out, directory=settings.out.directory.parent / "watched")
    reports(replace(settings, out=out), colour)
    assert set(opened) == {FIRST + 1}
