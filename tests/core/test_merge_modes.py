"""Every blend with every colour match under masks of all kinds, on a plate with all that film may hold."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import LEFT, give, layer, masked
from tests.core.merging import bits, made, reports, verified
from understudy.core import _plugins, plate
from understudy.core.blend import wants
from understudy.core.merge.recipe import Curve
from understudy.core.model import swap
from understudy.core.plate import Template
from understudy.core.reports import FrameStatus

FIRST = shots.FIRST
MASKS = ("face*hull", "face*hull*occ", "full", "hull - mouth")
BEYOND = 8.0
"""How often as bright a mode makes anything at most, and how often darker a highlight: matches change exposure."""
BEYOND_SEAMLESS = 64.0
"""Likewise where the face takes what it differs by at the outline: here the matched face is of another hue there."""
BLENDS, MATCHES = _plugins.names("blend"), _plugins.names("match")


@pytest.fixture(autouse=True)
def painter(monkeypatch):
    """A network that paints the face in other colours, as bright; its matte is a disc."""
    network = Painter()
    monkeypatch.setattr(swap, "load", lambda *_: network)
    return network


class Painter(shots.Mirror):
    DISC = (np.hypot(*(np.mgrid[:64, :64] - 31.5)) < 26).astype(np.float32)

    def swap(self, crops):
        return crops[..., [1, 2, 0]], np.repeat(self.DISC[None], len(crops), 0)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    found = shots.make(tmp_path_factory.mktemp("scene"), numbers=[FIRST, FIRST + 1], without_face=[])
    give(found, LEFT, FIRST, FIRST + 1)
    return found


def merged(scene, blend, match="none", mask="face*hull", **changes):
    """The first frame, by a recipe with this blend."""
    recipe = {"erode": Curve.constant(1.0), "feather": Curve.constant(4.0), **changes}
    settings = masked(scene, scene.folder / "model", mask, match=match)
    settings = shots.keyed(settings, blend=blend, **recipe)
    out = "-".join([blend, match, *(c for c in mask if c.isalnum()), str(len(str(changes)))])
    return replace(settings, out=Template.parse(f"{scene.folder}/{out}/comp.####.exr"))


@pytest.mark.parametrize(("blend", "warned"), [("seamless", True), ("over", False)])
def test_a_rim_that_is_no_skin_is_told(scene, colour, blend, warned):
    """The painted face is of another hue, which no colour match takes out: so is its rim's correction."""
    report = next(each for each in reports(merged(scene, blend), colour) if each.frame == FIRST)
    assert any("moves the face's mean" in each for each in report.warnings) == warned


@pytest.mark.parametrize(
    ("blend", "match", "mask"),
    [
        (blend, match, MASKS[(i + j) % len(MASKS)])
        for (i, blend), (j, match) in itertools.product(enumerate(BLENDS), enumerate(MATCHES))
    ],
)
def test_mode_match_and_mask(scene, colour, blend, match, mask):
    """Runs; bits outside, the mix rule and finite values inside, as verify proves; highlights are neither clipped nor
    blown up.
    """
    settings = merged(scene, blend, match, mask)
    for report in reports(settings, colour):
        assert report.status is FrameStatus.DONE, report.message
    assert verified(settings, colour) == {""}
    ours, theirs = made(settings), plate.read(settings.plate.template, FIRST)
    used = ours.planes["mask_blend.A"] > 0
    assert 100 < used.sum() < used.size / 2
    changed = (bits(ours.planes["G"]) != bits(theirs.planes["G"])) & used
    assert changed.sum() > 0.5 * used.sum()
    hot = used & (theirs.planes["G"] > 100) & (ours.planes["mask_blend.A"] == 1)
    rgb, under, raw = (_rgb(*each) for each in ((ours, ""), (theirs, ""), (ours, "face_raw.")))
    if hot.any():
        least = 2.0 if wants(_plugins.load("blend", blend)).raw else 150.0 / BEYOND
        assert rgb[hot].max(axis=0).min() > least
    around = cv2.dilate(np.maximum(under, raw).max(axis=-1), np.ones((9, 9), np.uint8))
    most = BEYOND_SEAMLESS if blend.startswith("seamless") else BEYOND
    assert (rgb[used].max(axis=-1) <= most * around[used]).all()


def _rgb(frame, name):
    """(H, W, 3) of a layer; 0 where it is not finite."""
    rgb = np.stack([frame.planes[f"{name}{c}"] for c in "RGB"], axis=-1).astype(np.float32)
    return np.where(np.isfinite(rgb), rgb, np.float32(0.0))


class TestWants:
    @pytest.mark.parametrize("blend", ["raw_predict", "raw_rgb", "raw_rgb_mask"])
    def test_raw_is_what_the_network_made(self, scene, colour, blend):
        """Neither matched, nor with the plate's highlights, nor finished; beside the face it is as much of it."""
        loud = {"sharpen": Curve.constant(2.0), "face_scale": Curve.constant(9.0), "relight": "low_frequency"}
        settings = merged(scene, blend, "reinhard", **loud)
        reports(settings, colour)
        planes = made(settings).planes
        for name in "RGB":
            np.testing.assert_array_equal(planes[f"face.{name}"], planes[f"face_raw.{name}"])

    def test_all_of_the_square(self, scene, colour):
        """What the network painted, beside its face too."""
        settings = merged(scene, "raw_rgb")
        reports(settings, colour)
        np.testing.assert_allclose(layer(settings, "mask_blend"), layer(settings, "mask_valid"), atol=3e-4)
        planes = made(settings).planes
        beside = (planes["mask_valid.A"] == 1) & (planes["mask_face.A"] == 0)
        theirs = plate.read(settings.plate.template, FIRST).planes["G"][beside].astype(np.float32)
        assert np.corrcoef(planes["face.R"][beside].astype(np.float32), theirs)[0, 1] > 0.95

    def test_the_networks_own_matte(self, scene, colour):
        settings = merged(scene, "raw_predict", mask="hull")
        reports(settings, colour)
        expected = layer(settings, "mask_face") * layer(settings, "mask_valid")
        np.testing.assert_allclose(layer(settings, "mask_blend"), expected, atol=2e-3)

    def test_opacity_counts_in_any_case(self, scene, colour):
        for blend in ("raw_rgb", "raw_predict"):
            settings = merged(scene, blend, opacity=Curve.constant(0.25))
            reports(settings, colour)
            assert layer(settings, "mask_blend").max() == 0.25

    @pytest.mark.parametrize("blend", [name for name in BLENDS if wants(_plugins.load("blend", name)).whole])
    def test_what_stands_before_the_face_is_no_outline(self, scene, colour, blend):
        """The face under it is as it is without: nothing of it bleeds in."""
        faces, mattes = [], []
        for mask in ("face*hull", "face*hull*occ"):
            settings = merged(scene, blend, mask=mask, feather=Curve.constant(0.0), erode=Curve.constant(0.0))
            reports(settings, colour)
            faces.append(made(settings).planes["face.G"].astype(np.float32))
            mattes.append(layer(settings, "mask_blend"))
        hidden = (mattes[0] > 0.5) & (mattes[1] == 0.0)
        assert hidden.sum() > 100
        theirs = plate.read(settings.plate.template, FIRST).planes["G"].astype(np.float32)
        apart = np.nanmedian(np.abs(faces[1] - faces[0])[hidden])
        assert apart < 0.3 * np.nanmedian(np.abs(theirs - faces[0])[hidden])
