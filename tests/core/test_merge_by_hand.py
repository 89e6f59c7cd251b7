"""A person's own mattes in a merge: what each use does, on which frames, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import FIRST, layer, masked
from tests.core.merging import bits, made, reports, statuses, verified
from understudy.core import plate
from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, FrameRange
from understudy.core.merge.settings import UserMatte
from understudy.core.plate import Template
from understudy.core.reports import FrameStatus


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def scene(tmp_path):
    """Two frames."""
    return shots.make(tmp_path, numbers=[FIRST, FIRST + 1], without_face=[])


class TestByHand:
    def roto(self, folder, name, numbers, level, *, display=shots.DISPLAY, channel="A"):
        """A matte that is `level` right of the picture's column 72, and 0 left of it."""
        template = Template.parse(str(folder / name))
        plane = np.zeros((display.height, display.width), np.float16)
        plane[:, 72:] = level
        for number in numbers:
            plate.write(
                Frame(number=number, planes={channel: plane}, display=display, data=display),
                template.path(number),
            )
        return template

    def picture(self, folder):
        """Colours, and no alpha."""
        template, size = Template.parse(str(folder / "rgb.####.exr")), shots.DISPLAY
        planes = {
            c: np.full((size.height, size.width), v, np.float16)
            for c, v in zip("RGB", (0.2, 0.4, 0.6), strict=True)
        }
        plate.write(Frame(number=FIRST, planes=planes, display=size, data=size), template.path(FIRST))
        return template

    def test_each_use_does_what_it_says(self, scene, model, colour):
        """From the file's own layers: max(mask * limit, add) * (1 - keep), on the valid area."""
        folder, plain = scene.folder / "roto", masked(scene, model, "face*hull", out="plain/comp.####.exr")
        mattes_by_hand = (
            UserMatte(template=self.roto(folder, "limit.####.exr", [FIRST], 0.5), invert=True),
            UserMatte(template=self.roto(folder, "add.####.exr", [FIRST], 0.75), use="add"),
            UserMatte(template=self.roto(folder, "keep.####.exr", [FIRST], 0.4), use="keep"),
            UserMatte(template=self.roto(folder, "more.####.exr", [FIRST], 0.5), use="keep"),
        )
        settings = masked(scene, model, "face*hull", user_mattes=mattes_by_hand)
        one = FrameRange.of(FIRST, FIRST)
        settings, plain = replace(settings, frames=one), replace(plain, frames=one)
        assert statuses(settings, colour) == statuses(plain, colour) == {FIRST: "done"}
        assert verified(settings, colour) == {""}
        limit, add, keep = (layer(settings, f"mask_{n}") for n in ("user", "add", "keep"))
        assert (limit.max(), add.max()) == (1.0, 0.75)
        assert keep.max() == pytest.approx(1.0 - 0.6 * 0.5, abs=1e-3)
        recipe = layer(plain, "mask_blend")
        expected = np.maximum(recipe * limit, add) * (1.0 - keep)
        solid = layer(settings, "mask_valid") == 1.0
        assert solid.sum() > 500
        np.testing.assert_allclose(layer(settings, "mask_blend")[solid], expected[solid], atol=2e-3)

    def test_on_some_frames_only(self, scene, model, colour):
        """There all must be there; elsewhere nothing is asked for and nothing changes."""
        one = FrameRange.of(FIRST + 1, FIRST + 1)
        keep = self.roto(scene.folder / "roto", "keep.####.exr", [FIRST + 1], 1.0)
        plain = masked(scene, model, "face", out="plain/comp.####.exr")
        settings = masked(
            scene, model, "face", user_mattes=(UserMatte(template=keep, use="keep", frames=one),)
        )
        assert set(statuses(settings, colour).values()) == set(statuses(plain, colour).values()) == {"done"}
        for name in "RGB":
            assert (bits(made(settings).planes[name]) == bits(made(plain).planes[name])).all()
        assert layer(settings, "mask_keep").max() == 0.0
        right = layer(settings, "mask_keep", FIRST + 1) == 1.0
        assert layer(plain, "mask_blend", FIRST + 1)[right].max() > 0.5
        assert layer(settings, "mask_blend", FIRST + 1)[right].max() == 0.0
        assert set(statuses(settings, colour).values()) == {"skipped"}
        keep.path(FIRST + 1).unlink()
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[FIRST].status is FrameStatus.SKIPPED
        assert (found[FIRST + 1].status, found[FIRST + 1].reason) == (FrameStatus.FAILED, "FRAME_MISSING")

    def test_another_file_use_or_channel_makes_frames_again(self, scene, model, colour):
        folder = scene.folder / "roto"
        template = self.roto(folder, "m.####.exr", scene.plate.frames, 1.0)
        settings = masked(scene, model, "face", user_mattes=(UserMatte(template=template),))
        assert set(statuses(settings, colour).values()) == {"done"}
        self.roto(folder, "m.####.exr", [FIRST], 0.5)
        assert statuses(settings, colour) == {FIRST: "done", FIRST + 1: "skipped"}
        for change in ({"invert": True}, {"channel": "A"}):
            other = shots.of(settings, user_mattes=(UserMatte(template=template, **change),))
            assert set(statuses(other, colour).values()) == {"done"}

    def test_a_channel_by_name_and_what_is_wrong(self, scene, model, colour):
        folder, one = scene.folder / "roto", FrameRange.of(FIRST, FIRST)
        blue = self.roto(folder, "blue.####.exr", [FIRST], 1.0, channel="B")
        wide = replace(shots.DISPLAY, width=100)
        small = self.roto(folder, "small.####.exr", [FIRST], 1.0, display=wide)
        cases = [
            (UserMatte(template=blue, channel="B"), None),
            (UserMatte(template=blue, channel="roto.G"), "no channel 'roto.G'"),
            (UserMatte(template=small), "the user's matte is 100×120, the plate 160×120"),
            (UserMatte(template=self.roto(folder, "nan.####.exr", [FIRST], np.nan)), "not finite"),
            (UserMatte(template=self.picture(folder)), "channel"),
            (UserMatte(template=self.picture(folder), channel="R"), None),
        ]
        for i, (matte, fault) in enumerate(cases):
            settings = masked(
                scene, model, "face", out=f"{i}/comp.####.exr", frames=one, user_mattes=(matte,)
            )
            (report,) = reports(settings, colour)
            assert report.status is (FrameStatus.FAILED if fault else FrameStatus.DONE)
            assert (fault or "") in report.message
        with pytest.raises(InvalidInput, match="none of limit, add, keep"):
            UserMatte(template=blue, use="hold")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="user's matte itself"):
            masked(scene, model, "face", out="roto/blue.####.exr", user_mattes=(UserMatte(template=blue),))
