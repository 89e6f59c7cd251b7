"""What a merge refuses, and what one bad frame does to the others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date

import pytest

from tests.core import shots
from tests.core.merging import made, reports, statuses
from understudy.core import faceset
from understudy.core.errors import (
    InvalidInput,
    NoFace,
    NotFound,
    ReleaseInvalid,
    ReleaseMissing,
    TrackAmbiguous,
    WriteFailed,
)
from understudy.core.frames import FrameRange
from understudy.core.merge import shot
from understudy.core.model import store
from understudy.core.plate import Template
from understudy.core.reports import FrameStatus, Warned


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two frames."""
    return shots.make(tmp_path_factory.mktemp("scene"), numbers=[1001, 1002], without_face=[])


def trained_in(folder, **changes):
    path = store.current(folder) / store.STATE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("out", {"out": "plate/plate.####.exr"}),
            ("out", {"out": "out/../plate/plate.%04d.exr"}),
            ("out", {"out": "plate/plate.######.exr"}),  # which would make the plate unreadable
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

    def test_a_model_of_another_working_space(self, scene, tmp_path, colour):
        trained_in(folder := shots.tiny_model(tmp_path / "m"), working_space="ACES2065-1")
        with pytest.raises(
            InvalidInput, match=r"trained in 'ACES2065-1'.*working space of .* is 'ACEScg'"
        ) as caught:
            list(shot.run(scene.settings(folder), colour=colour))
        assert caught.value.field == "model"

    def test_a_model_of_another_config_is_said(self, scene, tmp_path, colour):
        trained_in(folder := shots.tiny_model(tmp_path / "m"), working_space=colour.working, colour="c0ffee")
        (warned,) = (r for r in shot.run(scene.settings(folder), colour=colour) if isinstance(r, Warned))
        assert warned.reason == "COLOUR_CONFIG_DIFFERS"
        assert "cache id c0ffee" in warned.message

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
        for record in faceset.Faceset.open(folder).records:
            other = replace(record.face, track=1)
            moved = replace(record, face=other, path=folder / f"dst_t1.{record.face.frame}.exr")
            shutil.copy(record.path, moved.path)
            faceset.write(moved, faceset.Faceset.open(folder).load(record))
        settings = scene.settings(model, faceset=folder, out="two/comp.####.exr")
        with pytest.raises(TrackAmbiguous):
            reports(settings, colour)
        chosen = replace(shots.of(settings, track=1), frames=FrameRange.of(1001, 1001))
        assert statuses(chosen, colour) == {1001: "done"}

    def test_a_faceset_of_another_plate_is_said(self, tmp_path, scene, model, colour):
        shots.write_faceset(tmp_path / "f", [1001], "/elsewhere/other.%04d.exr")
        settings = scene.settings(model, faceset=tmp_path / "f", out="other/comp.####.exr")
        settings = replace(settings, frames=FrameRange.of(1001, 1001))
        said = [r for r in shot.run(settings, colour=colour) if isinstance(r, Warned)]
        assert [w.reason for w in said] == ["PLATE_DIFFERS"]
        assert "other.%04d.exr" in said[0].message

    def test_a_faceset_of_the_plate_in_another_size_is_said(self, tmp_path, scene, model, colour):
        shots.write_faceset(tmp_path / "f", [1001, 1002], scene.plate.template.text)
        faces, shown = faceset.Faceset.open(tmp_path / "f"), shots.DISPLAY.size
        for record, size in zip(faces.records, (shown, "4096x2160"), strict=True):
            faceset.write(replace(record, plate_size=size), faces.load(record))
        settings = scene.settings(model, faceset=tmp_path / "f", out="sized/comp.####.exr")
        said = [r for r in shot.run(settings, colour=colour) if isinstance(r, Warned)]
        assert [w.reason for w in said] == ["PLATE_DIFFERS"]
        assert f"pictures of 4096x2160, {settings.plate.template} is {shown}" in said[0].message

    def test_a_comp_as_plate_has_our_layers_already(self, scene, model, colour):
        settings = scene.settings(model, out="comp/comp.####.exr", frames=FrameRange.of(1001, 1001))
        reports(settings, colour)
        again = replace(scene.plate, template=settings.out)
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
