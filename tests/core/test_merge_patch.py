"""What a merge works out of a frame's pixels only as far as it must: the same as if it had worked out all."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.core import shots
from tests.core.merging import made, reports
from understudy.core import plate, warp
from understudy.core.face import Alignment
from understudy.core.frames import Frame, Window
from understudy.core.merge import area, layers
from understudy.core.merge.composite import Compositor
from understudy.core.merge.patch import Patch
from understudy.core.merge.recipe import Curve
from understudy.core.plate import Template

DATA, INNER = Window(-8, 4, 200, 160), Window(20, 30, 100, 90)
CROP = Alignment(matrix=np.array([[0.31, 0.05, -8.0], [-0.05, 0.31, -4.0]]), size=32, face_type="full")
SPACES = ("ACEScg", "Linear Rec.709 (sRGB)", "ACEScct")


def frame(kind=np.float16) -> Frame:
    rng = np.random.default_rng(0)
    planes = {c: rng.gamma(1.0, 0.3, (DATA.height, DATA.width)).astype(kind) for c in "RGB"}
    return Frame(number=7, planes=planes, display=DATA, data=DATA)


class TestPatch:
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("kind", [np.float16, np.float32])
    def test_it_is_the_frame_in_the_working_space(self, colour, space, kind):
        found = Patch.of(frame(kind), DATA, INNER, space, colour)
        wanted = layers.working(frame(kind), DATA, space, colour)[0]
        np.testing.assert_allclose(found.working, wanted[INNER.slices(DATA)], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            found.crop(CROP), warp.to_aligned(wanted, DATA, CROP), atol=1e-5 if space == "ACEScg" else 1e-2
        )  # ringing is held in the plate's own R, G and B
        assert found.most >= found.working.max()
        assert not found.nonfinite

    def test_highlights_and_the_negative_count_in_the_most(self, colour):
        for value in (150.0, -150.0):
            bright = frame()
            bright.planes["G"][40, 50] = value
            found = Patch.of(bright, DATA, INNER, "Linear Rec.709 (sRGB)", colour)
            assert np.abs(found.working).max() <= found.most < 400.0

    @pytest.mark.parametrize("kind", [np.float16, np.float32])
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_no_number_is_filled_and_told(self, colour, kind, value):
        broken = frame(kind)
        broken.planes["G"][60, 70] = value
        found = Patch.of(broken, DATA, INNER, "Linear Rec.709 (sRGB)", colour)
        assert found.nonfinite["G"].count == 1
        assert found.most == np.inf
        assert np.isfinite(found.working).all()
        assert np.isfinite(found.crop(CROP)).all()

    def test_values_that_filters_cannot_add_up_are_held(self, colour):
        far = frame(np.float32)
        far.planes["R"][60:70, 70:80] = 3e38
        assert np.isfinite(Patch.of(far, DATA, INNER, "ACEScg", colour).crop(CROP)).all()

    def test_a_part_is_a_part(self, colour):
        found = Patch.of(frame(), DATA, INNER, "ACEScg", colour)
        part = replace(found, window=Window(30, 40, 20, 10))
        np.testing.assert_array_equal(part.working, found.working[10:20, 10:30])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    found = shots.make(tmp_path_factory.mktemp("scene"), numbers=[shots.FIRST], without_face=[])
    shots.tiny_model(found.folder / "model")
    return found


class TestLayersAside:
    """Without layers only what lies under the matte is made: the picture is the same."""

    @pytest.mark.parametrize("erode", [0.0, 2.5, -3.0])
    @pytest.mark.parametrize("blend", ["over", "raw_rgb", "seamless"])
    def test_the_picture_is_the_same(self, scene, colour, blend, erode):
        model = scene.folder / "model"
        found = []
        for name, shown in (("all", None), ("none", ())):
            settings = shots.keyed(scene.settings(model), blend=blend, erode=Curve.constant(erode))
            out = Template.parse(f"{scene.folder}/{name}-{blend}{erode}/comp.####.exr")
            settings = replace(settings, out=out, layers=shown)
            list(reports(settings, colour))
            found.append(made(settings).planes)
        whole, bare = found
        own = plate.read(scene.plate.template, shots.FIRST).planes
        used = whole["mask_blend.A"] > 0
        for channel in "RGB":
            bits = [each[channel].view(np.uint16) for each in (bare, own)]
            assert (bits[0][~used] == bits[1][~used]).all()
            assert (bits[0][used] != bits[1][used]).any()
            assert (bits[0] == whole[channel].view(np.uint16)).all()


class TestCoarse:
    """A mask of few pixels is shaped in pixels of its own measure."""

    @pytest.mark.parametrize("turn", [0.0, 0.3])
    @pytest.mark.parametrize(("erode", "feather"), [(0.0, 12.0), (9.0, 18.0), (-7.0, 14.0), (12.0, 23.0)])
    def test_it_is_the_fine_one(self, monkeypatch, turn, erode, feather):
        c, s = np.cos(turn) / 5.0, np.sin(turn) / 5.0
        size = 64
        matrix = np.array([[c, s, 0.0], [-s, c, 0.0]])
        matrix[:, 2] = size / 2 - matrix[:, :2] @ (210.0, 190.0)
        back = Alignment(matrix=matrix, size=size, face_type="full")
        y, x = np.mgrid[:size, :size] + 0.5
        mask = np.clip(21.0 - np.hypot((x - 32) * 1.1, y - 32), 0.0, 1.0).astype(np.float32)
        window = Window(37, 11, 340, 351)
        coarse = area.shaped(mask, back, window, erode, feather)
        hard = area.shaped(mask, back, window, erode, 0.0)
        monkeypatch.setattr(area, "_LARGE", (1e9, 2e9))
        fine = area.shaped(mask, back, window, erode, feather)
        assert coarse.shape == fine.shape
        assert (coarse != fine).any()
        np.testing.assert_array_equal(hard, area.shaped(mask, back, window, erode, 0.0))
        assert float(np.abs(coarse - fine).max()) < 0.1
        assert float(np.abs(coarse - fine).mean()) < 3e-3
        assert coarse.sum() == pytest.approx(fine.sum(), rel=0.02)

    @pytest.mark.parametrize(
        "looks",
        [
            [(4.5, feather) for feather in np.arange(7.0, 13.5, 0.1)],
            [(scale, 20.0) for scale in np.arange(2.9, 4.2, 0.01)],
        ],
        ids=["feather", "scale"],
    )
    def test_from_fine_to_coarse_nothing_jumps(self, looks):
        y, x = np.mgrid[:64, :64] + 0.5
        mask = np.clip(21.0 - np.hypot((x - 32) * 1.1, y - 32), 0.0, 1.0).astype(np.float32)

        def made(scale: float, feather: float):
            matrix = np.array([[1.0, 0.1, 0.0], [-0.1, 1.0, 0.0]]) / scale
            matrix[:, 2] = 32.0 - matrix[:, :2] @ (130.0, 130.0)
            back = Alignment(matrix=matrix, size=64, face_type="full")
            return area.shaped(mask, back, Window(0, 0, 260, 260), 4.0, feather)

        found = [made(*look) for look in looks]
        steps = [float(np.abs(after - before).max()) for before, after in pairwise(found)]
        assert max(steps) < 3.0 * np.median(steps)


class TestGround:
    def test_planes_that_others_hold_stay_as_they_are(self, scene, colour, monkeypatch):
        settings = scene.settings(scene.folder / "model")
        own, lent = (
            replace(settings, out=Template.parse(f"{scene.folder}/{name}/comp.####.exr"))
            for name in ("own", "lent")
        )
        list(reports(own, colour))
        plates, compose = plate.read(scene.plate.template, shots.FIRST).planes, Compositor.compose
        held = {channel: plates[channel].copy() for channel in "RGB"}

        def borrowing(self, frame, ground, swapped):
            assert ground.own
            return compose(self, frame, replace(ground, planes=held, own=False), swapped)

        monkeypatch.setattr(Compositor, "compose", borrowing)
        list(reports(lent, colour))
        for channel, plane in held.items():
            assert plane.tobytes() == plates[channel].tobytes()
            assert made(lent).planes[channel].tobytes() == made(own).planes[channel].tobytes()
            assert made(own).planes[channel].tobytes() != plane.tobytes()
