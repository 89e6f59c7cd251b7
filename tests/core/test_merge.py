"""Merge, on real files: the promises of the design, one test each, then what may go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.core import shots
from tests.core.golden import make_merge
from understudy.core import plate, verify
from understudy.core.errors import (
    InvalidInput,
    NoFace,
    NotFound,
    ReleaseInvalid,
    ReleaseMissing,
    TrackAmbiguous,
    WriteFailed,
)
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.image import half_ulp
from understudy.core.merge import headers, layers, shot
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.recipe import Curve, Key, Recipe
from understudy.core.plate import Template
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started, Warned

NO_FACE = shots.FIRST + 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Six frames, the fifth with no face."""
    return shots.make(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def merged(scene, model, colour):
    """The scene merged once; its settings."""
    settings = scene.settings(model, aligned=True)
    assert [r.status for r in reports(settings, colour)] == [
        FrameStatus.NO_FACE if n == NO_FACE else FrameStatus.DONE for n in settings.wanted
    ]
    return settings


def reports(settings, colour):
    return [r for r in shot.run(settings, colour=colour) if isinstance(r, FrameReport)]


def statuses(settings, colour):
    return {r.frame: r.status.value for r in reports(settings, colour)}


def made(settings, number=shots.FIRST):
    return plate.read(settings.out, number)


def bits(plane):
    return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")


def contents(folder: Path):
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.exr"))}


class TestPromises:
    def test_frame_accurate(self, merged):
        """1: numbers, time, windows, header entries and all other channels are the plate's."""
        for number in merged.wanted:
            ours, theirs = made(merged, number), plate.read(merged.plate.template, number)
            assert (ours.display, ours.data, ours.pixel_aspect) == (
                theirs.display,
                theirs.data,
                theirs.pixel_aspect,
            )
            for name in ("smpte:TimeCode", "framesPerSecond", "Copyright", "acme/shot"):
                assert ours.metadata[name] == theirs.metadata[name]
            for name in theirs.planes:
                if name not in "RGB":
                    assert (bits(ours.planes[name]) == bits(theirs.planes[name])).all(), name

    def test_bit_exact_outside_the_matte(self, merged):
        """2: NaN and all."""
        for number in merged.wanted:
            ours, theirs = made(merged, number), plate.read(merged.plate.template, number)
            outside = ours.planes["mask_blend.A"] == 0
            assert outside.any()
            for name in "RGB":
                assert ours.planes[name].dtype == np.float16
                assert (bits(ours.planes[name])[outside] == bits(theirs.planes[name])[outside]).all()
            assert np.isnan(ours.planes["R"][5, 7])

    def test_the_swap_is_there(self, merged):
        """Lest a merge that does nothing pass for one that keeps every promise."""
        ours, theirs = made(merged), plate.read(merged.plate.template, shots.FIRST)
        inside = ours.planes["mask_blend.A"] > 0.5
        assert inside.sum() > 300
        changed = np.abs(ours.rgb() - theirs.rgb()).max(axis=-1)[inside] > 0.01
        assert changed.mean() > 0.9

    def test_nothing_is_clipped_and_nothing_spreads(self, merged):
        """3: beyond the network's range highlights keep the plate's ratio; inside, all is finite."""
        ours, theirs = made(merged), plate.read(merged.plate.template, shots.FIRST)
        inside = ours.planes["mask_blend.A"] > 0
        assert not np.isfinite(theirs.rgb()[inside]).all()
        assert np.isfinite(ours.rgb()[inside]).all()
        hot = inside & (theirs.planes["R"] > 100) & np.isfinite(theirs.rgb()).all(axis=-1)
        limit = 64.0 / 0.7
        raw = np.stack([ours.planes[f"face.{c}"] for c in "RGB"], axis=-1)[hot].astype(np.float32)
        assert hot.any()
        assert (raw > 0).all()
        flat = [r for r in reports(self.flat(merged), shots.colour()) if r.frame == shots.FIRST]
        assert "were flattened" in " ".join(flat[0].warnings)
        lower = np.stack([made(self.flat(merged)).planes[f"face.{c}"] for c in "RGB"], axis=-1)[hot]
        np.testing.assert_allclose(raw, lower.astype(np.float32) * (150.0 / limit), rtol=2e-3)

    @staticmethod
    def flat(merged):
        out = Template.parse(str(merged.out.directory.parent / "flat" / "comp.####.exr"))
        return replace(shots.keyed(merged, keep_highlights=False), out=out, aligned=False)

    def test_recomposable(self, merged):
        """4: from the file's own layers, in double precision, within one unit in the last place of half."""
        ours, theirs = made(merged), plate.read(merged.plate.template, shots.FIRST)
        matte = ours.planes["mask_blend.A"].astype(np.float64)
        for name in "RGB":
            p, f = theirs.planes[name].astype(np.float64), ours.planes[f"face.{name}"].astype(np.float64)
            with np.errstate(invalid="ignore"):
                mixed = np.where(matte == 0, p, p * (1 - matte) + f * matte)
            mixed = np.where(np.isfinite(p) | (matte == 0), mixed, f)
            apart = np.abs(mixed - ours.planes[name].astype(np.float64))
            finite = np.isfinite(mixed)
            assert (apart[finite] <= half_ulp(mixed[finite].astype(np.float32))).all()

    def test_again_writes_nothing(self, merged, colour):
        """5."""
        folder = merged.out.directory
        before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
        assert set(statuses(merged, colour).values()) == {"skipped"}
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before
        assert not [p for p in before if p.name.startswith(".") and p.suffix == ".exr"]

    def test_chunks_of_one_three_and_all_give_identical_bytes(self, merged, scene, model, colour):
        whole = contents(merged.out.directory)
        assert len(whole) == 6
        numbers = list(merged.wanted)
        for size in (1, 3):
            settings = scene.settings(model, out=f"chunks{size}/comp.####.exr", aligned=True)
            chunks = [numbers[i : i + size] for i in range(0, len(numbers), size)]
            for chunk in reversed(chunks):  # a farm works in any order
                reports(replace(settings, frames=FrameRange.from_frames(chunk)), colour)
            assert contents(settings.out.directory) == whole
            for beside in ("manifest.json", "track/comp.json"):
                texts = [
                    (s.out.directory / beside).read_text().replace(str(s.out.directory), "")
                    for s in (settings, merged)
                ]
                assert texts[0] == texts[1]

    def test_verify_agrees(self, merged, colour):
        found = [r for r in verify.run(merged.out, colour=colour) if isinstance(r, FrameReport)]
        assert [r.message for r in found] == [""] * 6
        assert {r.status for r in found} == {FrameStatus.DONE}


class TestLayers:
    def test_names_types_and_order(self, merged):
        expected = ["face.R", "face.G", "face.B", "face.A", "face_raw.R", "face_raw.G", "face_raw.B"]
        expected += ["mask_blend.A", "mask_face.A", "mask_hull.A", "mask_valid.A", "uv.u", "uv.v"]
        for number in (shots.FIRST, NO_FACE):
            header = plate.read_header(merged.out.path(number))
            assert list(header.channels)[:4] == ["R", "G", "B", "A"]
            assert set(expected) <= set(header.channels)
            for name in expected:
                assert header.channels[name] == (np.float32 if name.startswith("uv") else np.float16)

    def test_a_frame_with_no_face_has_the_same_layers_empty(self, merged):
        empty = made(merged, NO_FACE)
        assert set(empty.planes) == set(made(merged).planes)
        for name in layers.channels(user=False):
            assert (empty.planes[name] == (-1.0 if name.startswith("uv") else 0.0)).all()
        assert empty.metadata[headers.SYNTHETIC] == "none"

    def test_uv_leads_to_the_crop(self, merged):
        """uv at a landmark's pixel is where the stored matrix puts it: u right, v up, to a hundredth of a pixel."""
        track = json.loads((merged.out.directory / "track" / "comp.json").read_text())["frames"][
            str(shots.FIRST)
        ]
        matrix, size = np.array(track["matrix"]), track["size"]
        ours = made(merged)
        for row, column in [(40, 60), (70, 90)]:
            x, y = column + ours.data.x + 0.5, row + ours.data.y + 0.5
            u, v = (matrix @ [x, y, 1.0]) / size
            assert ours.planes["uv.u"][row, column] == pytest.approx(u, abs=1e-4 / size)
            assert ours.planes["uv.v"][row, column] == pytest.approx(1.0 - v, abs=1e-4 / size)
        corner = np.array(track["corner_pin"]["tl"])
        np.testing.assert_allclose(matrix @ [*corner, 1.0], 0.0, atol=1e-2)

    def test_the_matte_is_the_product_and_ends_inside_the_valid_area(self, merged):
        planes = made(merged).planes
        blend = planes["mask_blend.A"].astype(np.float32)
        assert blend.max() <= 1.0
        limit = np.minimum(planes["mask_face.A"], planes["mask_hull.A"]).astype(np.float32)
        assert (blend <= np.minimum(limit, planes["mask_valid.A"]) + 2e-3).mean() > 0.999
        assert (planes["face.A"] == planes["mask_valid.A"]).all()
        edge = [blend[0].max(), blend[-1].max(), blend[:, 0].max(), blend[:, -1].max()]
        assert max(edge) == 0.0

    def test_the_face_goes_on_well_beyond_every_matte(self, merged):
        planes = made(merged).planes
        used = planes["mask_blend.A"] > 0
        rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
        around = np.stack([planes[f"face.{c}"] for c in "RGB"], -1)[
            rows[0] - 8 : rows[-1] + 9, columns[0] - 8 : columns[-1] + 9
        ]
        assert (np.abs(around.astype(np.float32)).max(axis=-1) > 0).all()

    def test_aligned_images(self, merged):
        folder = merged.out.directory / "aligned"
        assert len(list(folder.glob("*.exr"))) == 5
        image = plate.read_file(folder / f"comp.{shots.FIRST}.exr")
        assert (image.data.width, image.data.height) == (64, 64)
        assert {"R", "face_raw.R", "plate.R", "mask_face.A", "mask_hull.A"} <= set(image.planes)
        assert image.metadata[headers.COLOUR] == "ACEScg"

    def test_header_says_what_made_it(self, merged, model):
        said = headers.own(made(merged).metadata)
        assert all(len(name) <= 31 and isinstance(value, (str, int, float)) for name, value in said.items())
        assert said[headers.SYNTHETIC] == "face_replacement"
        assert said["understudy/release"] == shots.make_release().id
        assert Recipe.from_dict(json.loads(said["understudy/recipe"])) == merged.recipe
        assert said[headers.PLATE] == merged.plate.template.text
        assert said["understudy/version"]
        x, y, width, height = json.loads(said[headers.BOX])
        rows, columns = np.nonzero(made(merged).planes["mask_blend.A"])
        assert Window(x, y, width, height) == Window(
            int(columns.min()) + shots.DATA.x,
            int(rows.min()) + shots.DATA.y,
            int(np.ptp(columns)) + 1,
            int(np.ptp(rows)) + 1,
        )

    def test_manifest_and_artifacts(self, merged, colour, model):
        *_, last = shot.run(merged, colour=colour)
        assert isinstance(last, Artifact)
        assert last.kind == "manifest"
        entry = json.loads(last.path.read_text())["sequences"]["comp.%04d.exr"]
        assert [f["frame"] for f in entry["frames"]] == list(merged.wanted)
        assert entry["frames"][0]["outputs"]["comp.1001.exr"] == headers.file_digest(merged.out.path(1001))
        assert entry["frames"][0]["plate"]["sha256"] == headers.file_digest(merged.plate.template.path(1001))
        assert "not finite" in " ".join(entry["frames"][0]["warnings"])
        assert entry["releases"] == [shots.make_release().id]


class TestOtherPlates:
    def test_no_layers_copies_frames_without_a_face(self, scene, model, colour):
        settings = scene.settings(model, out="bare/comp.####.exr", layers=False)
        assert statuses(settings, colour)[NO_FACE] == "no_face"
        source, copied = scene.plate.template.path(NO_FACE), settings.out.path(NO_FACE)
        assert copied.read_bytes() == source.read_bytes()
        assert set(made(settings).planes) == set(plate.read(scene.plate.template, shots.FIRST).planes)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        assert {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)} == {
            ""
        }

    def test_float_plates_stay_float(self, tmp_path, model, colour):
        scene = shots.make(
            tmp_path, numbers=[1001], without_face=[], frames={1001: shots.frame(1001, dtype=np.float32)}
        )
        settings = scene.settings(model)
        assert statuses(settings, colour) == {1001: "done"}
        assert made(settings).planes["R"].dtype == np.float32
        assert made(settings).planes["face.R"].dtype == np.float16
        assert (
            next(r for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)).message
            == ""
        )

    def test_linear_plates_stay_in_their_own_primaries(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001], without_face=[], colour_space="Linear Rec.709 (sRGB)")
        settings = scene.settings(model)
        reports(settings, colour)
        assert made(settings).metadata[headers.COLOUR] == "Linear Rec.709 (sRGB)"
        assert (
            next(r for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)).message
            == ""
        )

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
        assert {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)} == {
            ""
        }

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
            metadata = {"smpte:TimeCode": plate.Typed("timecode", (5, 0)), "dpx:FrameRate": 23.976}
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
        assert {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)} == {
            ""
        }
        assert set(statuses(settings, colour).values()) == {"skipped"}

    def test_exr_is_the_default(self, scene, model, colour):
        settings = scene.settings(model, out="exr/comp.####.exr")
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        assert made(settings).planes["R"].dtype == np.float16
        assert made(settings).metadata["smpte:TimeCode"] == plate.Typed("timecode", (5, 0))
        assert made(settings).metadata["framesPerSecond"] == plate.Typed("rational", (24000, 1001))
        assert {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)} == {
            ""
        }

    def test_dpx_without_layers_is_skipped_by_its_bytes(self, scene, model, colour):
        settings = scene.settings(model, out="bare/comp.####.dpx", layers=False)
        assert statuses(settings, colour) == {1001: "done", 1002: "no_face"}
        assert set(statuses(settings, colour).values()) == {"skipped"}
        assert {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)} == {
            ""
        }
        settings.out.path(1001).write_bytes(scene.plate.template.path(1001).read_bytes())
        assert statuses(settings, colour) == {1001: "done", 1002: "skipped"}


class TestRecipe:
    def test_opacity_may_be_keyed(self, scene, model, colour):
        off = Curve((Key(frame=1001, value=0.0, interpolation="hold"), Key(frame=1002, value=1.0)))
        settings = shots.keyed(scene.settings(model, out="keyed/comp.####.exr"), opacity=off)
        reports(replace(settings, frames=FrameRange.of(1001, 1002)), colour)
        theirs = plate.read(scene.plate.template, 1001)
        assert (bits(made(settings, 1001).planes["R"]) == bits(theirs.planes["R"])).all()
        assert made(settings, 1002).planes["mask_blend.A"].max() > 0.3

    def test_another_recipe_makes_the_frames_again_in_place(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        before = made(settings).planes["mask_blend.A"].copy()
        changed = shots.keyed(settings, erode=Curve.constant(3.0))
        assert set(statuses(changed, colour).values()) == {"done"}
        assert made(settings).planes["mask_blend.A"].sum() < before.sum()

    def test_only_what_is_gone_or_broken_is_made_again(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        settings.out.path(1001).unlink()
        settings.out.path(1002).write_bytes(b"")
        assert statuses(settings, colour) == {1001: "done", 1002: "done", 1003: "skipped"}

    def test_another_plate_frame_is_noticed(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        plate.write(shots.frame(1002, holes=False), scene.plate.template.path(1002))
        assert statuses(settings, colour) == {1001: "skipped", 1002: "done"}

    def test_a_roto_limits_the_swap(self, scene, model, colour, tmp_path):
        roto = shots.user_matte(tmp_path, [1001])
        settings = scene.settings(model, out="roto/comp.####.exr", user_matte=roto)
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[1001].status is FrameStatus.DONE
        assert found[1002].status is FrameStatus.FAILED
        assert "the user's matte has no frame 1002" in found[1002].message
        assert found[NO_FACE].status is FrameStatus.NO_FACE
        ours = made(settings)
        assert (ours.planes["mask_blend.A"][:, 82 - shots.DATA.x :] == 0).all()
        assert ours.planes["mask_blend.A"][:, : 70 - shots.DATA.x].max() > 0.3
        assert ours.planes["mask_user.A"].max() == 1.0
        assert set(made(settings, NO_FACE).planes) == set(ours.planes)


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("out", {"out": "plate/plate.####.exr"}),
            ("out", {"out": "out/../plate/plate.%04d.exr"}),
            ("out", {"out": "faceset/comp.####.exr"}),
            ("out", {"out": "out/comp.####.dpx"}),
            ("out", {"out": "out/comp.####.png"}),
            ("frames", {"frames": FrameRange.of(1001, 1009)}),
        ],
    )
    def test_settings_name_the_field(self, scene, model, field, changes):
        with pytest.raises(InvalidInput) as caught:
            scene.settings(model, **changes)
        assert caught.value.field == field

    def test_a_plate_whose_colour_nobody_knows(self, scene, model):
        with pytest.raises(InvalidInput, match="colour space") as caught:
            scene.settings(model, plate=replace(scene.plate, colour_space=None))
        assert caught.value.field == "plate.colour_space"

    def test_a_colour_space_that_the_config_does_not_have(self, scene, model, colour):
        settings = scene.settings(model, plate=replace(scene.plate, colour_space="ACEScgg"))
        with pytest.raises(InvalidInput, match="did you mean"):
            reports(settings, colour)

    def test_no_release_no_merge(self, scene, tmp_path, colour):
        settings = scene.settings(shots.tiny_model(tmp_path / "m", releases=()))
        with pytest.raises(ReleaseMissing, match="understudy release create"):
            reports(replace(settings, out=Template.parse(str(tmp_path / "o.####.exr"))), colour)
        assert not list(tmp_path.glob("o.*"))

    def test_a_release_out_of_date(self, scene, tmp_path, colour):
        held = shots.make_release(valid_until=date(2026, 3, 31))
        model = shots.tiny_model(tmp_path / "m", releases=[held])
        settings = scene.settings(model, out="dated/comp.####.exr", on=date(2026, 4, 1))
        with pytest.raises(ReleaseInvalid, match="valid until 2026-03-31"):
            reports(settings, colour)
        assert statuses(replace(settings, on=date(2026, 3, 31), frames=FrameRange.of(1001, 1001)), colour)

    def test_no_face_anywhere(self, tmp_path, scene, model, colour):
        (tmp_path / "empty").mkdir()
        with pytest.raises(NoFace, match="holds no face"):
            reports(scene.settings(model, faceset=tmp_path / "empty"), colour)
        with pytest.raises(NotFound):
            reports(scene.settings(model, faceset=tmp_path / "none"), colour)

    def test_two_people(self, tmp_path, scene, model, colour):
        folder = tmp_path / "two"
        shots.write_faceset(folder, [1001, 1002], scene.plate.template.text)
        from understudy.core import faceset

        for record in faceset.Faceset.open(folder).records:
            other = replace(record.face, track=1)
            moved = replace(record, face=other, path=folder / f"dst_t1.{record.face.frame}.exr")
            shutil.copy(record.path, moved.path)
            faceset.write(moved, faceset.Faceset.open(folder).load(record))
        settings = scene.settings(model, faceset=folder, out="two/comp.####.exr")
        with pytest.raises(TrackAmbiguous):
            reports(settings, colour)
        chosen = replace(settings, track=1, frames=FrameRange.of(1001, 1001))
        assert statuses(chosen, colour) == {1001: "done"}

    def test_a_faceset_of_another_plate_is_said(self, tmp_path, scene, model, colour):
        shots.write_faceset(tmp_path / "f", [1001], "/elsewhere/other.%04d.exr")
        settings = scene.settings(model, faceset=tmp_path / "f", out="other/comp.####.exr")
        settings = replace(settings, frames=FrameRange.of(1001, 1001))
        said = [r for r in shot.run(settings, colour=colour) if isinstance(r, Warned)]
        assert [w.reason for w in said] == ["PLATE_DIFFERS"]
        assert "other.%04d.exr" in said[0].message

    def test_a_comp_as_plate_has_our_layers_already(self, merged, scene, model, colour):
        again = replace(scene.plate, template=merged.out)
        settings = scene.settings(model, out="again/comp.####.exr", plate=again)
        report = reports(replace(settings, frames=FrameRange.of(1001, 1001)), colour)[0]
        assert report.status is FrameStatus.FAILED
        assert "channel face.R already" in report.message


class TestBadFrames:
    def test_frames_that_are_no_colour_picture(self, tmp_path, scene, model, colour):
        """A grey frame in the middle of the shot fails by name; a plate of nothing else is refused at once."""
        whole = shots.frame(1002)
        grey = replace(whole, planes={"A": whole.planes["A"]})
        mixed = shots.make(tmp_path / "mixed", numbers=[1001, 1002], without_face=[], frames={1002: grey})
        found = {r.frame: r for r in reports(mixed.settings(model), colour)}
        assert found[1001].status is FrameStatus.DONE
        assert found[1002].status is FrameStatus.FAILED
        assert "no channel R" in found[1002].message
        all_grey = shots.make(tmp_path / "grey", numbers=[1002], without_face=[], frames={1002: grey})
        with pytest.raises(InvalidInput, match="has no channel R"):
            reports(all_grey.settings(model), colour)

    def test_missing_and_broken_frames_are_reported_and_the_others_made(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, without_face=[])
        template = scene.plate.template
        template.path(1002).unlink()
        template.path(1003).write_bytes(b"")
        whole = template.path(1005).read_bytes()
        template.path(1005).write_bytes(whole[: len(whole) // 2])
        settings = scene.settings(model)
        found = {r.frame: r for r in reports(settings, colour)}
        assert {n: r.status.value for n, r in found.items()} == {
            1001: "done",
            1002: "missing",
            1003: "failed",
            1004: "done",
            1005: "failed",
            1006: "done",
        }
        assert found[1002].reason == "FRAME_MISSING"
        assert found[1003].reason == found[1005].reason == "FRAME_UNREADABLE"
        assert "1003" in found[1003].message
        assert [n for n in settings.wanted if settings.out.path(n).exists()] == [1001, 1004, 1006]
        records = json.loads((settings.out.directory / "manifest.json").read_text())["sequences"][
            "comp.%04d.exr"
        ]
        assert [f["status"] for f in records["frames"]].count("failed") == 2
        template.path(1003).write_bytes(whole)
        assert statuses(settings, colour)[1003] == "done"

    def test_an_output_that_cannot_be_written_stops_the_merge(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[])
        settings = scene.settings(model)
        reports(replace(settings, frames=FrameRange.of(1001, 1001)), colour)
        settings.out.path(1002).mkdir()
        with pytest.raises(WriteFailed, match="1002"):
            reports(settings, colour)
        assert settings.out.path(1001).is_file()
        assert not [p.name for p in settings.out.directory.iterdir() if p.name.startswith(".comp")]

    def test_a_folder_that_cannot_be_made(self, tmp_path, scene, model, colour):
        (tmp_path / "file").write_text("in the way")
        settings = scene.settings(model, out=str(tmp_path / "file" / "comp.####.exr"))
        with pytest.raises(WriteFailed):
            reports(settings, colour)

    def test_a_face_that_leaves_the_picture(self, tmp_path, scene, model, colour):
        """Half of the face outside: the part inside is swapped, nothing wraps or fails."""
        folder = tmp_path / "edge"
        shots.write_faceset(folder, [1001], scene.plate.template.text)
        from understudy.core import align, faceset

        record = faceset.Faceset.open(folder).records[0]
        face = shots.face_at(1001, centre=(2.0, 55.0))
        moved = replace(record, face=face, alignment=align.fit(face.landmarks.points, "whole", 96))
        faceset.write(moved, faceset.Faceset.open(folder).load(record))
        settings = scene.settings(
            model, faceset=folder, out="edge/comp.####.exr", frames=FrameRange.of(1001, 1001)
        )
        assert statuses(settings, colour) == {1001: "done"}
        matte = made(settings).planes["mask_blend.A"]
        assert matte[:, 0].max() > 0.3
        assert (matte[:, 60:] == 0).all()


def test_workers_that_end_together_leave_one_whole_manifest(tmp_path):
    out = Template.parse(str(tmp_path / "comp.####.exr"))

    def work(first):
        for number in range(first, first + 10):
            Manifest(out=out).put(number, {"status": "done"})
        Manifest(out=out).assemble({"version": "1"})

    threads = [threading.Thread(target=work, args=(first,)) for first in (1001, 1011, 1021, 1031)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = json.loads((tmp_path / "manifest.json").read_text())["sequences"]["comp.%04d.exr"]
    assert [frame["frame"] for frame in entry["frames"]] == list(range(1001, 1041))


def test_golden_frame(tmp_path):
    """Pixels change on purpose only. What goes through the network may differ by its last bits from CPU to CPU: 1 %,
    and resampling by its own: 1e-3; positions by nothing that float32 can show."""
    with np.load(make_merge.FILE) as stored:
        golden = dict(stored)
    for name, plane in make_merge.merged(tmp_path).items():
        assert plane.dtype == golden[name].dtype, name
        tolerance = {"u": 1e-6, "A": 2e-3}.get("u" if name.startswith("uv") else name[-1], 1e-2)
        relative = 1e-2 if tolerance == 1e-2 else 0.0
        np.testing.assert_allclose(
            plane.astype(np.float32),
            golden[name].astype(np.float32),
            rtol=relative,
            atol=tolerance,
            err_msg=name,
        )


def test_settings_recipe_and_verify_need_no_torch():
    """The daemon's server process checks requests with them and must stay light."""
    names = ("merge.settings", "merge.recipe", "verify", "contact", "release")
    code = "import sys\n" + "".join(f"import understudy.core.{name}\n" for name in names)
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


class TestRunning:
    def test_closing_stops_cleanly_and_keeps_what_is_finished(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=range(1001, 1013), without_face=[])
        settings = scene.settings(model)
        work = shot.run(settings, colour=colour)
        first = next(r for r in work if isinstance(r, FrameReport))
        work.close()
        assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]
        finished = [n for n in settings.wanted if settings.out.path(n).exists()]
        assert first.frame in finished
        assert len(finished) < 12
        assert not [p.name for p in settings.out.directory.iterdir() if p.name.startswith(".comp")]
        after = statuses(settings, colour)
        assert {after[n] for n in finished} == {"skipped"}
        assert {after[n] for n in after if n not in finished} == {"done"}

    def test_started_tells_how_many(self, merged, colour):
        started = next(iter(shot.run(merged, colour=colour)))
        assert started == Started(total=6)
