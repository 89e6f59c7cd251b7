"""Merge on plates of other kinds: without layers, float, linear, log, anamorphic, DPX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.merging import bits, made, reports, statuses, verified
from understudy.core import plate
from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.merge import headers, layers
from understudy.core.merge.recipe import Curve
from understudy.core.merge.settings import UserMatte
from understudy.core.plate import Template
from understudy.core.reports import FrameReport

NO_FACE = shots.FIRST + 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Six frames, the fifth with no face."""
    return shots.make(tmp_path_factory.mktemp("scene"))


class TestOtherPlates:
    def test_only_the_layers_that_are_asked_for(self, scene, model, colour):
        settings = scene.settings(model, out="few/comp.####.exr", layers=("uv", "mask_face"))
        assert settings.shown() == ("face", "mask_blend", "mask_face", "uv")
        statuses(settings, colour)
        every = scene.settings(model, out="every/comp.####.exr")
        statuses(every, colour)
        for number in settings.wanted:
            few, full = made(settings, number), made(every, number)
            theirs = {name.partition(".")[0] for name in few.planes if "." in name}
            assert {"face", "mask_blend", "mask_face", "uv"} <= theirs
            assert not {"face_raw", "mask_hull", "mask_valid"} & theirs
            for name, plane in few.planes.items():
                assert bits(plane).tobytes() == bits(full.planes[name]).tobytes()
        assert verified(settings, colour) == {""}

    def test_a_face_outside_the_picture_asks_for_nothing(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001], without_face=[])
        whole, corner = plate.read(scene.plate.template, 1001), Window(148, 106, 12, 10)
        planes = {name: plane[corner.slices(whole.data)] for name, plane in whole.planes.items()}
        plate.write(replace(whole, planes=planes, data=corner), scene.plate.template.path(1001))
        roto = Template.parse(str(tmp_path / "roto.####.exr"))  # of which there is no frame
        settings = scene.settings(model, aligned=True, user_mattes=(UserMatte(template=roto),))
        (first,) = (r for r in reports(settings, colour) if isinstance(r, FrameReport))
        assert (first.status.value, first.faces) == ("no_face", 0)
        assert first.warnings == ("the face lies outside the picture",)
        assert statuses(settings, colour) == {1001: "skipped"}
        assert verified(settings, colour) == {""}

    def test_a_layer_that_there_is_not(self, scene, model):
        with pytest.raises(
            InvalidInput, match=r"layers: there is no 'depth' with the mask 'face.hull'; there are face, .*uv"
        ) as caught:
            scene.settings(model, layers=("face", "depth"))
        assert caught.value.field == "layers"

    def test_no_layers_copies_frames_without_a_face(self, scene, model, colour):
        settings = scene.settings(model, out="bare/comp.####.exr", layers=())
        assert statuses(settings, colour)[NO_FACE] == "no_face"
        source, copied = scene.plate.template.path(NO_FACE), settings.out.path(NO_FACE)
        assert copied.read_bytes() == source.read_bytes()
        assert set(made(settings).planes) == set(plate.read(scene.plate.template, shots.FIRST).planes)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        assert verified(settings, colour) == {""}

    def test_float_plates_stay_float(self, tmp_path, model, colour):
        scene = shots.make(
            tmp_path, numbers=[1001], without_face=[], frames={1001: shots.frame(1001, dtype=np.float32)}
        )
        settings = scene.settings(model)
        assert statuses(settings, colour) == {1001: "done"}
        assert made(settings).planes["R"].dtype == np.float32
        assert made(settings).planes["face.R"].dtype == np.float16
        assert verified(settings, colour) == {""}

    def test_linear_plates_stay_in_their_own_primaries(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001], without_face=[], colour_space="Linear Rec.709 (sRGB)")
        settings = scene.settings(model)
        reports(settings, colour)
        assert made(settings).metadata[headers.COLOUR] == "Linear Rec.709 (sRGB)"
        assert verified(settings, colour) == {""}

    def test_log_plates_are_linearised_by_a_function_of_the_frame_alone(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[1002], colour_space="ACEScct")
        settings = scene.settings(model)
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        for number in (1001, 1002):
            ours, theirs = made(settings, number), plate.read(scene.plate.template, number)
            outside = (ours.planes["mask_blend.A"] == 0) & np.isfinite(theirs.rgb()).all(axis=-1)
            linear = colour.to_working(np.nan_to_num(theirs.rgb(), posinf=0), "ACEScct").clip(-65504, 65504)
            assert ours.metadata[headers.COLOUR] == "ACEScg"
            assert (ours.planes["G"][outside] == linear[..., 1].astype(np.float16)[outside]).all()
        assert verified(settings, colour) == {""}

    def test_anamorphic_plates_are_swapped_in_square_space(self, tmp_path, scene, model, colour):
        """A face squeezed to half its width gets a matte squeezed to half its width, at the same sampling."""
        from understudy.core import align, faceset

        number = shots.FIRST
        squeezed = replace(shots.frame(number), pixel_aspect=2.0)
        wide = shots.make(tmp_path, numbers=[number], without_face=[], frames={number: squeezed})
        record = faceset.Faceset.open(wide.faceset).records[0]
        points = record.face.landmarks.points * np.array([0.5, 1.0], np.float32)
        face = replace(record.face, landmarks=replace(record.face.landmarks, points=points))
        aligned = align.fit(points, "whole", 96, 2.0)
        moved = replace(record, face=face, alignment=aligned, pixel_aspect=2.0)
        faceset.write(moved, faceset.Faceset.open(wide.faceset).load(record))
        settings = wide.settings(model)
        assert statuses(settings, colour) == {number: "done"}
        assert made(settings).pixel_aspect == 2.0

        def extent(planes):
            rows, columns = np.nonzero(planes["mask_hull.A"] > 0.5)
            return np.ptp(rows) + 1, np.ptp(columns) + 1

        square = scene.settings(model, out="square/comp.####.exr", frames=FrameRange.of(number, number))
        reports(square, colour)
        (tall, narrow), (height, width) = extent(made(settings).planes), extent(made(square).planes)
        assert abs(tall - height) <= 1
        assert abs(2 * narrow - width) <= 3


class TestDPX:
    @pytest.fixture(scope="class")
    @staticmethod
    def scene(tmp_path_factory):
        """Two frames of 10 bits in a log space; the second has no face."""

        def codes(number):
            display = Window(0, 0, 160, 120)
            log = np.clip(0.4 + 0.1 * np.log2(np.maximum(shots.picture(number, display), 0.01) / 0.18), 0, 1)
            stored = np.rint(log * 1023).astype(np.uint16)
            planes = {c: stored[..., i] for i, c in enumerate("RGB")}
            metadata = {"timeCode": plate.Typed("timecode", (5, 0)), "dpx:FrameRate": 23.976}
            return Frame(
                number=number, planes=planes, display=display, data=display, maximum=1023.0, metadata=metadata
            )

        frames = {n: codes(n) for n in (1001, 1002)}
        folder = tmp_path_factory.mktemp("dpx")
        return shots.make(
            folder,
            numbers=[1001, 1002],
            without_face=[1002],
            colour_space="ACEScct",
            name="p.####.dpx",
            frames=frames,
        )

    def test_codes_outside_are_untouched_and_layers_lie_beside(self, scene, model, colour):
        settings = scene.settings(model, out="out/comp.####.dpx")
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        ours, theirs = made(settings), plate.read(scene.plate.template, 1001)
        beside = plate.read_file(settings.out.directory / "comp_layers.1001.exr")
        inside = beside.planes["mask_blend.A"] > 0
        assert 300 < inside.sum() < inside.size / 2
        for name in "RGB":
            assert (ours.planes[name][~inside] == theirs.planes[name][~inside]).all()
        assert (ours.planes["G"][inside] != theirs.planes["G"][inside]).mean() > 0.8
        assert settings.out.path(1002).read_bytes() == scene.plate.template.path(1002).read_bytes()
        assert verified(settings, colour) == {""}
        assert set(statuses(settings, colour).values()) == {"skipped"}

    def test_layers_of_another_merge_beside_have_no_say(self, scene, model, colour):
        settings = scene.settings(model, out="twice/comp.####.dpx")
        statuses(settings, colour)
        faint = shots.keyed(replace(settings, layers=()), opacity=Curve.constant(0.5))
        assert statuses(faint, colour)[1001] == "done"
        assert verified(faint, colour) == {""}
        exr = replace(faint, layers=None, out=Template.parse(str(settings.out.directory / "comp.####.exr")))
        assert statuses(exr, colour)[1001] == "done"
        assert verified(exr, colour) == {""}

    @pytest.mark.parametrize("depth", [8, 10, 12, 16])
    @pytest.mark.parametrize("space", ["ACEScg", "sRGB - Texture", "ACEScct"])
    def test_no_two_codes_become_one(self, colour, depth, space):
        codes = np.arange(2**depth, dtype=np.uint16).reshape(2 ** (depth // 2), -1)
        window = Window(0, 0, codes.shape[1], codes.shape[0])
        frame = Frame(
            number=1, planes=dict.fromkeys("RGB", codes), display=window, data=window, maximum=2.0**depth - 1
        )
        linear = layers.ground(frame, space, colour)
        again, _ = layers.encoded(frame, linear.planes, np.ones(codes.shape, bool), space, colour)
        # OpenColorIO's powers are good to about half a code of 16 bits
        apart = max(np.abs(again[c].astype(int) - codes).max() for c in "RGB")
        assert apart <= (1 if depth == 16 else 0)

    def test_exr_is_the_default(self, scene, model, colour):
        settings = scene.settings(model, out="exr/comp.####.exr")
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        assert made(settings).planes["R"].dtype == np.float16
        assert made(settings).metadata["timeCode"] == plate.Typed("timecode", (5, 0))
        assert made(settings).metadata["framesPerSecond"] == plate.Typed("rational", (24000, 1001))
        assert verified(settings, colour) == {""}

    def test_dpx_without_layers_is_skipped_by_its_bytes(self, scene, model, colour):
        settings = scene.settings(model, out="bare/comp.####.dpx", layers=())
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        assert set(statuses(settings, colour).values()) == {"skipped"}
        assert verified(settings, colour) == {""}
        settings.out.path(1001).write_bytes(scene.plate.template.path(1001).read_bytes())
        assert statuses(settings, colour) == {1001: "done", 1002: "skipped"}
