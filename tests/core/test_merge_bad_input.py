"""What does not belong together, is empty, full, half there, or no light at all: a merge says so, or does what is
right, and never breaks a promise over it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import face_of
from tests.core.merging import bits, made, reports, statuses, verified, warned
from understudy.core import _plugins, align, faceset, plate
from understudy.core.errors import InvalidInput, ModelInvalid, NoFace, NotFound
from understudy.core.frames import Array, Frame, FrameRange
from understudy.core.merge.recipe import Curve, Key, Override, Recipe
from understudy.core.merge.settings import UserMatte
from understudy.core.model import swap
from understudy.core.plate import Plate, Template

FIRST = shots.FIRST
BLENDS, MATCHES = _plugins.names("blend"), _plugins.names("match")
FINISH = {
    "grain": Curve.constant(1.0),
    "denoise": Curve.constant(1.0),
    "sharpen": Curve.constant(1.0),
    "motion_blur": Curve.constant(0.5),
    "degrade": Curve.constant(20.0),
    "degrade_colour": Curve.constant(0.5),
    "relight": "low_frequency",
}


class Painter(shots.Mirror):
    """Other colours; its matte is what a test says it is."""

    level = 1.0

    def swap(self, crops):
        return crops[..., [1, 2, 0]].copy(), np.full(crops.shape[:3], self.level, np.float32)


@pytest.fixture
def painter(monkeypatch):
    network = Painter()
    monkeypatch.setattr(swap, "load", lambda *_: network)
    return network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two frames. Tests that change it make their own."""
    return shots.make(tmp_path_factory.mktemp("scene"), numbers=[FIRST, FIRST + 1], without_face=[])


def untouched(settings, number=FIRST):
    """Whether the picture is the plate's, bit for bit."""
    ours, theirs = made(settings, number), plate.read(settings.plate.template, number)
    return all((bits(ours.planes[c]) == bits(theirs.planes[c])).all() for c in "RGB")


def moved(folder, points, scene, number=FIRST):
    """A faceset of one face at other landmarks."""
    shots.write_faceset(folder, [number], scene.plate.template.text)
    opened, record = face_of(folder, number)
    face = replace(record.face, landmarks=replace(record.face.landmarks, points=points))
    alignment = record.alignment
    with suppress(InvalidInput):
        alignment = align.fit(points, "whole", 96)
    faceset.write(replace(record, face=face, alignment=alignment), opened.load(record))
    return folder


class TestWhatDoesNotBelongTogether:
    def test_a_faceset_where_a_model_should_be_and_the_other_way_round(self, scene, model, colour):
        for at, faces, kinds in (
            (scene.faceset, scene.faceset, (ModelInvalid, NotFound)),
            (model, model, (NoFace, NotFound, InvalidInput)),
        ):
            asked = scene.settings(at, faceset=faces, out="swapped/comp.####.exr")
            with pytest.raises(kinds) as caught:
                reports(asked, colour)
            assert str(at) in caught.value.message
            assert not asked.out.directory.exists()

    def test_a_faceset_of_another_light_is_refused(self, tmp_path, scene, model, colour):
        """Its numbers would be taken for those of the working space, and the match go wrong by the difference."""
        folder = tmp_path / "faces"
        shots.write_faceset(folder, [FIRST], scene.plate.template.text)
        opened, record = face_of(folder, FIRST)
        faceset.write(replace(record, colour="Linear Rec.709 (sRGB)"), opened.load(record))
        asked = scene.settings(model, faceset=folder, out="light/comp.####.exr")
        with pytest.raises(
            InvalidInput, match=r"extracted in 'Linear Rec.709 \(sRGB\)'.* is 'ACEScg'"
        ) as caught:
            reports(asked, colour)
        assert caught.value.field == "faceset"

    def test_a_faceset_of_another_config_is_told(self, tmp_path, scene, model, colour):
        folder = tmp_path / "faces"
        shots.write_faceset(folder, [FIRST], scene.plate.template.text)
        opened, record = face_of(folder, FIRST)
        faceset.write(replace(record, config="c0ffee"), opened.load(record))
        said = warned(scene.settings(model, faceset=folder, out="config/comp.####.exr"), colour)
        assert "cache id c0ffee" in said["COLOUR_CONFIG_DIFFERS"]

    def test_faces_of_other_frames_are_told(self, tmp_path, scene, model, colour):
        shots.write_faceset(tmp_path / "faces", [1005, 1006, 1007], scene.plate.template.text)
        asked = scene.settings(model, faceset=tmp_path / "faces", out="frames/comp.####.exr")
        said = warned(asked, colour)
        assert (
            "faces on 1005-1007, none of them among the plate's frames 1001-1002" in said["FACES_ELSEWHERE"]
        )
        assert set(statuses(asked, colour).values()) == {"skipped"}
        assert untouched(asked)

    def test_a_smaller_plate_than_the_faces_were_cut_from(self, tmp_path, model, colour):
        """Where the face lay there is no picture: the frame says so and is the plate's."""
        small = shots.frame(FIRST)
        window = replace(small.data, x=0, y=0, width=30, height=30)
        planes = {n: p[:30, :30].copy() for n, p in small.planes.items()}
        cut = replace(small, planes=planes, data=window, display=window)
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: cut})
        faces = moved(tmp_path / "f", shots.landmarks((400.0, 300.0), 44.0), scene)
        asked = scene.settings(model, faceset=faces)
        (report,) = reports(asked, colour)
        assert report.status.value == "no_face"
        assert "the face lies outside the picture" in " ".join(report.warnings)
        assert untouched(asked)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "value", "meant"),
        [
            ("match", "reinhart", "reinhard"),
            ("blend", "seemless", "seamless"),
            ("mask", "face*hul", "hull"),
            ("relight", "low_freqency", "low_frequency"),
            ("sharpen_kind", "gausian", "gaussian"),
        ],
    )
    def test_unknown_names_are_refused_with_the_one_that_was_meant(self, name, value, meant):
        with pytest.raises(InvalidInput, match=f"did you mean '{meant}'") as caught:
            Recipe(**{name: value})
        assert caught.value.field == f"recipe.{name}"
        assert value in str(caught.value.value)

    def test_an_unknown_layer(self, scene, model):
        with pytest.raises(InvalidInput, match="did you mean 'mask_face'") as caught:
            scene.settings(model, layers=("mask_fase",))
        assert caught.value.field == "layers"

    def test_an_unknown_use_of_a_matte(self, tmp_path):
        with pytest.raises(InvalidInput, match="did you mean 'keep'"):
            UserMatte(template=Template.parse(str(tmp_path / "r.####.exr")), use="kep")  # type: ignore[arg-type]


class TestMattes:
    @pytest.mark.parametrize("blend", BLENDS)
    def test_an_empty_matte_of_the_networks_leaves_the_plate(self, tmp_path, scene, painter, colour, blend):
        painter.level = 0.0
        asked = scene.settings(scene.folder / "m", out=str(tmp_path / "comp.####.exr"))
        asked = shots.keyed(asked, blend=blend, match="mkl", **FINISH)
        assert set(statuses(asked, colour).values()) == {"done"}
        assert verified(asked, colour) == {""}
        if blend != "raw_rgb":  # which shows all of the network's square
            assert untouched(asked)

    @pytest.mark.parametrize("blend", BLENDS)
    def test_what_a_person_keeps_whole_is_the_plates(self, tmp_path, scene, painter, colour, blend):
        whole = Template.parse(str(tmp_path / "keep.####.exr"))
        alpha = np.ones((shots.DISPLAY.height, shots.DISPLAY.width), np.float32)
        for number in scene.plate.frames:
            shown = Frame(number=number, planes={"A": alpha}, display=shots.DISPLAY, data=shots.DISPLAY)
            plate.write(shown, whole.path(number))
        asked = scene.settings(
            scene.folder / "m",
            out=str(tmp_path / "comp.####.exr"),
            user_mattes=(UserMatte(template=whole, use="keep"),),
        )
        asked = shots.keyed(asked, blend=blend)
        assert set(statuses(asked, colour).values()) == {"done"}
        assert verified(asked, colour) == {""}
        assert untouched(asked)

    @pytest.mark.parametrize("blend", BLENDS)
    def test_a_full_matte(self, tmp_path, scene, painter, colour, blend):
        """All of the crop, with neither erosion nor feather: it ends with the crop alone."""
        asked = scene.settings(scene.folder / "m", out=str(tmp_path / "comp.####.exr"))
        zero = Curve.constant(0.0)
        asked = shots.keyed(asked, mask="full", blend=blend, erode=zero, feather=zero)
        assert set(statuses(asked, colour).values()) == {"done"}
        assert verified(asked, colour) == {""}
        used, valid = (
            made(asked).planes[f"{name}.A"].astype(np.float32) for name in ("mask_blend", "mask_valid")
        )
        assert (used[valid == 1.0] == 1.0).all()
        assert not used[valid == 0.0].any()
        np.testing.assert_allclose(used, valid, atol=0.02)  # at its border the mask is cut as the crop is

    def test_erosion_beyond_the_face_and_an_opacity_of_nothing(self, tmp_path, scene, painter, colour):
        for name, look in (
            ("erode", {"erode": Curve.constant(500.0)}),
            ("opacity", {"opacity": Curve.constant(0.0)}),
        ):
            asked = scene.settings(scene.folder / "m", out=str(tmp_path / name / "comp.####.exr"))
            asked = shots.keyed(asked, blend="seamless", **look)
            assert set(statuses(asked, colour).values()) == {"done"}
            assert untouched(asked)


class TestFaces:
    @pytest.mark.parametrize("blend", BLENDS)
    @pytest.mark.parametrize("centre", [(0.0, 55.0), (160.0, 118.0)])
    def test_half_out_of_the_picture(self, tmp_path, scene, painter, colour, blend, centre):
        folder = moved(tmp_path / "f", shots.landmarks(centre, 44.0), scene)
        asked = scene.settings(
            scene.folder / "m",
            faceset=folder,
            out=str(tmp_path / "comp.####.exr"),
            frames=FrameRange.of(FIRST, FIRST),
        )
        asked = shots.keyed(asked, blend=blend, **FINISH)
        (report,) = reports(asked, colour)
        assert report.status.value == "done", report.message
        assert verified(asked, colour) == {""}
        assert not untouched(asked)

    @pytest.mark.parametrize("size", [0.0, np.nan, np.inf, 1e15])
    def test_a_face_of_no_size_is_refused_by_its_file_and_frame(self, tmp_path, scene, model, colour, size):
        points = shots.landmarks(shots.CENTRE, float(size > 0)) * np.float32(size or 1.0)
        folder = moved(tmp_path / "f", points, scene)
        with pytest.raises(
            InvalidInput, match=r"dst_t0\.1001\.exr: frame 1001: its landmarks are not"
        ) as caught:
            reports(scene.settings(model, faceset=folder, out=str(tmp_path / "comp.####.exr")), colour)
        assert caught.value.field == "faceset"

    @pytest.mark.parametrize("stretch", [(1.0, 0.0), (0.0, 1.0), (1e4, 1e4)])
    def test_landmarks_that_are_no_face(self, tmp_path, scene, painter, colour, stretch):
        """On one line, or a thousand pictures wide: a person sees what comes of it, no frame falls over it."""
        points = shots.landmarks((0.0, 0.0), 44.0) * np.array(stretch, np.float32) + np.array(
            shots.CENTRE, np.float32
        )
        folder = moved(tmp_path / "f", points, scene)
        asked = scene.settings(scene.folder / "m", faceset=folder, out=str(tmp_path / "comp.####.exr"))
        found = statuses(shots.keyed(asked, **FINISH), colour)
        assert found[FIRST] in ("done", "no_face")
        assert verified(asked, colour) == {""}

    def test_a_face_smaller_than_a_pixel(self, tmp_path, scene, painter, colour):
        folder = moved(tmp_path / "f", shots.landmarks((70.3, 55.6), 0.4), scene)
        asked = scene.settings(scene.folder / "m", faceset=folder, out=str(tmp_path / "comp.####.exr"))
        asked = shots.keyed(asked, blend="seamless", **FINISH)
        found = {r.frame: r for r in reports(asked, colour)}
        assert found[FIRST].status.value == "done", found[FIRST].message
        assert verified(asked, colour) == {""}

    def test_a_face_larger_than_the_picture(self, tmp_path, scene, painter, colour):
        folder = moved(tmp_path / "f", shots.landmarks((70.0, 55.0), 2000.0), scene)
        asked = scene.settings(scene.folder / "m", faceset=folder, out=str(tmp_path / "comp.####.exr"))
        asked = shots.keyed(asked, blend="multiband", **FINISH)
        found = {r.frame: r for r in reports(asked, colour)}
        assert found[FIRST].status.value == "done", found[FIRST].message
        assert verified(asked, colour) == {""}


LIGHT: dict[str, Callable[[Array], Array]] = {
    "negative": lambda rgb: -np.abs(rgb) - np.float16(0.01),
    "deep": lambda rgb: np.full_like(rgb, -65504.0),
    "black": np.zeros_like,
    "inf": lambda rgb: np.full_like(rgb, np.inf),
    "minus_inf": lambda rgb: np.full_like(rgb, -np.inf),
    "nan": lambda rgb: np.full_like(rgb, np.nan),
    "largest": lambda rgb: np.full_like(rgb, 65504.0),
    "denormal": lambda rgb: np.full_like(rgb, 6e-8),
}


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Name in `LIGHT` → a plate of that kind of value throughout."""
    found = {}
    for name, change in LIGHT.items():
        frames = {}
        for number in (FIRST, FIRST + 1):
            whole = shots.frame(number, holes=False)
            planes = {n: change(p) if n in "RGB" else p for n, p in whole.planes.items()}
            frames[number] = replace(whole, planes=planes)
        folder = tmp_path_factory.mktemp(name)
        found[name] = shots.make(folder, numbers=list(frames), without_face=[], frames=frames)
    return found


class TestLight:
    @pytest.mark.parametrize("light", LIGHT)
    @pytest.mark.parametrize("blend", BLENDS)
    def test_with_every_blend(self, tmp_path, plates, painter, colour, light, blend):
        scene = plates[light]
        asked = scene.settings(scene.folder / "m", out=str(tmp_path / "comp.####.exr"))
        asked = shots.keyed(asked, blend=blend, **FINISH)
        for report in reports(asked, colour):
            assert report.status.value == "done", report.message
        assert verified(asked, colour) == {""}
        planes = made(asked).planes
        used = planes["mask_blend.A"] > 0
        assert used.any()
        assert all(np.isfinite(planes[c][used]).all() for c in "RGB")
        assert all(np.isfinite(planes[f"face.{c}"]).all() for c in "RGB")

    @pytest.mark.parametrize("light", ["negative", "deep", "black", "largest"])
    @pytest.mark.parametrize("match", MATCHES)
    def test_with_every_match_fitted_to_it(self, tmp_path, plates, painter, colour, light, match):
        """The faces themselves were cut from such a plate."""
        scene = plates[light]
        folder = tmp_path / "faces"
        shutil.copytree(scene.faceset, folder)
        for record in (opened := faceset.Faceset.open(folder)).records:
            rgb = LIGHT[light](opened.load(record).astype(np.float16)).astype(np.float32)
            faceset.write(record, np.nan_to_num(rgb, nan=0.0, posinf=65504.0, neginf=-65504.0))
        asked = scene.settings(scene.folder / "m", faceset=folder, out=str(tmp_path / "comp.####.exr"))
        asked = shots.keyed(asked, match=match)
        for report in reports(asked, colour):
            assert report.status.value == "done", report.message
        assert verified(asked, colour) == {""}


class TestKeys:
    def test_doubts_of_the_look_are_told_and_the_frames_made(self, tmp_path, scene, painter, colour):
        recipe = replace(
            shots.FAST,
            erode=Curve((Key(frame=1, value=0.0), Key(frame=FIRST, value=2.0))),
            overrides=(Override(frames=FrameRange.of(1, 9), settings=(("blend", "seamless"),)),),
        )
        asked = scene.settings(scene.folder / "m", out=str(tmp_path / "comp.####.exr"), recipe=recipe)
        said = warned(asked, colour)
        assert (
            "recipe.erode: the key at frame 1 (value 0) is outside the plate's frames 1001-1002"
            in said["KEY_OUTSIDE"]
        )
        assert "recipe.overrides: 1-9" in said["OVERRIDE_OUTSIDE"]
        assert set(statuses(asked, colour).values()) == {"skipped"}


def test_a_plate_of_no_frame_at_all(scene, model, colour):
    """Frames that are named and not there are missing, one by one."""
    gone = Template.parse(str(scene.folder / "nowhere" / "plate.####.exr"))
    wanted = FrameRange.of(1, 2)
    asked = scene.settings(
        model,
        out="gone/comp.####.exr",
        plate=Plate(template=gone, frames=wanted, present=FrameRange(), colour_space="ACEScg"),
    )
    assert statuses(asked, colour) == {1: "missing", 2: "missing"}
