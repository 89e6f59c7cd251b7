"""Merge on stereo plates and on files of several parts: each view by itself, decisions shared, the rest untouched."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.merging import bits, made, reports, statuses, verified, warned
from understudy.core import faceset, plate
from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.merge import headers, layers
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import Outputs
from understudy.core.merge.settings import MergeSettings, Person, UserMatte
from understudy.core.plate import Template, views
from understudy.core.reports import FrameStatus

LAYOUTS = ("multi_view", "view_parts", "files")
FIRST, ONE_EYED = shots.FIRST, shots.FIRST + 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def out_of(layout, folder="out"):
    return f"{folder}/comp.%V.####.exr" if layout == "files" else f"{folder}/comp.####.exr"


def seen(template, number, view):
    """One view of a frame, whatever it is stored in."""
    file = plate.read(template.of_view(view), number)
    return views.select(file, views.MONO if template.has_view else view)


@pytest.fixture(scope="module", params=LAYOUTS)
def merged(request, tmp_path_factory, model, colour):
    """Two frames; on the second the right eye does not see the face. The layout and the settings."""
    scene = shots.make_stereo(
        tmp_path_factory.mktemp(request.param), request.param, without_face={"right": [ONE_EYED]}
    )
    settings = scene.settings(model, out=out_of(request.param), aligned=True)
    found = {r.frame: r for r in reports(settings, colour)}
    assert {n: (r.status, r.faces, r.message) for n, r in found.items()} == {
        FIRST: (FrameStatus.DONE, 2, ""),
        ONE_EYED: (FrameStatus.DONE, 1, ""),
    }
    assert any(text.startswith("left: ") for text in found[FIRST].warnings)
    assert any(text.startswith("right: ") for text in found[FIRST].warnings)
    return request.param, settings


class TestStereo:
    def test_each_eye_is_swapped_where_it_sees_the_face(self, merged):
        _, settings = merged
        mattes = {}
        for view in shots.EYES:
            ours, theirs = (seen(t, FIRST, view) for t in (settings.out, settings.plate.template))
            mattes[view] = matte = ours.planes["mask_blend.A"]
            assert (matte > 0.5).sum() > 300
            for name in "RGB":
                same = bits(ours.planes[name]) == bits(theirs.planes[name])
                assert same[matte == 0].all()
                assert same[matte > 0.5].mean() < 0.2
            for name in ("A", "depth.Z", "spec.R"):
                assert (bits(ours.planes[name]) == bits(theirs.planes[name])).all()
        centres = {view: np.nonzero(matte)[1].mean() for view, matte in mattes.items()}
        assert centres["right"] - centres["left"] == pytest.approx(shots.EYES["right"], abs=1.0)

    def test_an_eye_that_sees_no_face_passes_through(self, merged):
        _, settings = merged
        ours, theirs = (seen(t, ONE_EYED, "right") for t in (settings.out, settings.plate.template))
        for name in "RGB":
            assert (bits(ours.planes[name]) == bits(theirs.planes[name])).all()
        assert not ours.planes["mask_blend.A"].any()
        assert seen(settings.out, ONE_EYED, "left").planes["mask_blend.A"].any()

    def test_verify_agrees_and_again_writes_nothing(self, merged, colour):
        _, settings = merged
        assert verified(settings, colour) == {""}
        assert set(statuses(settings, colour).values()) == {"skipped"}

    def test_decisions_are_shared(self, merged):
        _, settings = merged
        track = json.loads((settings.out.directory / "track" / "comp.json").read_text())
        left, right = track["frames"], track["views"]["right"]["frames"]
        assert track["view"] == "left"
        assert left[str(FIRST)]["match_as"] == right[str(FIRST)]["match_as"]
        assert left[str(FIRST)]["gain"] == right[str(FIRST)]["gain"]
        assert left[str(FIRST)]["matrix"] != right[str(FIRST)]["matrix"]
        assert str(ONE_EYED) not in right

    def test_boxes_are_each_views_own(self, merged):
        layout, settings = merged
        said = plate.read(settings.out.of_view("left"), FIRST).metadata
        boxes = {"left": json.loads(said[headers.BOX])}
        if layout == "files":
            boxes["right"] = json.loads(
                plate.read(settings.out.of_view("right"), FIRST).metadata[headers.BOX]
            )
        else:
            boxes["right"] = json.loads(said["understudy/box/right"])
        assert said[headers.VIEWS] == "left,right"
        entry = Manifest(out=settings.out).record(FIRST)
        assert entry is not None
        assert {view: entry["views"][view]["box"] for view in shots.EYES} == boxes
        assert entry["box"] == boxes["left"] != boxes["right"]
        assert Manifest(out=settings.out).about()["plate"]["views"] == ["left", "right"]

    def test_aligned_images_of_each_eye(self, merged):
        _, settings = merged
        names = {path.name for path in (settings.out.directory / "aligned").iterdir()}
        dot = "." if settings.out.has_view else "_"
        assert names == {f"comp{dot}left.1001.exr", f"comp{dot}left.1002.exr", f"comp{dot}right.1001.exr"}

    def test_verify_names_the_view(self, merged, colour, tmp_path):
        layout, settings = merged
        copied = replace(settings.out, directory=tmp_path)
        for view in shots.EYES:
            copied.of_view(view).path(FIRST).write_bytes(settings.out.of_view(view).path(FIRST).read_bytes())
        file = plate.read(copied.of_view("right"), FIRST)
        within = views.MONO if layout == "files" else "right"
        green = views.select(file, within).planes["G"].copy()
        green[0, 0] = 0.5
        plate.write(views.put(file, within, {"G": green}), copied.of_view("right").path(FIRST))
        (fault,) = verified(replace(settings, out=copied), colour)
        assert "right: channel G: 1 pixels outside mask_blend differ from the plate" in fault
        assert "left" not in fault.split("frame 1001:")[1]


class TestOneOfTwo:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_the_other_eye_stays_as_it_is(self, tmp_path, model, colour, layout):
        scene = shots.make_stereo(tmp_path, layout, numbers=[FIRST])
        asked = replace(scene.plate, views=("right",))
        settings = scene.settings(model, out=out_of(layout), plate=asked)
        assert statuses(settings, colour) == {FIRST: "done"}
        assert seen(settings.out, FIRST, "right").planes["mask_blend.A"].any()
        if layout == "files":
            assert not settings.out.of_view("left").path(FIRST).exists()
        else:
            left, theirs = seen(settings.out, FIRST, "left"), seen(scene.plate.template, FIRST, "left")
            assert set(left.planes) == set(theirs.planes)
            assert all((bits(left.planes[n]) == bits(theirs.planes[n])).all() for n in theirs.planes)
        assert verified(settings, colour) == {""}

    def test_a_log_file_is_linearised_in_all_its_views(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, numbers=[FIRST], colour_space="ACEScct")
        settings = scene.settings(model, plate=replace(scene.plate, views=("left",)))
        assert statuses(settings, colour) == {FIRST: "done"}
        theirs = seen(scene.plate.template, FIRST, "right")
        finite = np.isfinite(theirs.rgb()).all(axis=-1)
        linear = colour.to_working(np.nan_to_num(theirs.rgb(), posinf=0), "ACEScct")[..., 1]
        ours = seen(settings.out, FIRST, "right").planes["G"]
        assert (ours[finite] == linear.clip(-65504, 65504).astype(np.float16)[finite]).all()
        assert verified(settings, colour) == {""}


def test_dpx_of_two_eyes_without_layers(tmp_path, model, colour):
    """What nothing but the manifest knows, the box, is found by the view of the file."""
    for view in ("left", "right"):
        for number in (FIRST,):
            window = shots.DISPLAY
            rgb = (np.clip(shots.picture(number, window), 0, 1) * 1023).astype(np.uint16)
            planes = {c: np.ascontiguousarray(rgb[..., i]) for i, c in enumerate("RGB")}
            codes = Frame(number=number, planes=planes, display=window, data=window, maximum=1023.0)
            plate.write(codes, Template.parse(f"{tmp_path}/plate/p_{view}.####.dpx").path(number))
    pattern = f"{tmp_path}/plate/p_%V.####.dpx"
    for view in ("left", "right"):
        shots.write_faceset(tmp_path / "faces", [FIRST], Template.parse(pattern).text, view=view)
    found = plate.find(pattern, colour_space="ACEScct")
    scene = shots.Shot(plate=found, faceset=tmp_path / "faces", folder=tmp_path)
    settings = scene.settings(model, out="out/comp_%V.####.dpx", layers=())
    assert statuses(settings, colour) == {FIRST: "done"}
    assert verified(settings, colour) == {""}


def test_a_views_name_is_no_path(tmp_path):
    out = Outputs.of(
        MergeSettings(
            plate=plate.Plate(
                template=Template.parse(f"{tmp_path}/p.####.exr"),
                frames=FrameRange.of(1, 1),
                present=FrameRange.of(1, 1),
                colour_space="ACEScg",
            ),
            people=(Person(faceset=tmp_path / "faces", model=tmp_path / "model"),),
            out=Template.parse(f"{tmp_path}/out/comp.####.exr"),
            aligned=True,
        ),
        ("left", "../../evil"),
    )
    (path,) = {out.aligned_path("../../evil", 1)}
    assert path is not None
    assert path.parent == tmp_path / "out" / "aligned"


class TestRoto:
    def roto(self, folder, name, level):
        """A matte that is `level` all over, by the file's name."""
        template = Template.parse(str(folder / name))
        plane = np.full((shots.DISPLAY.height, shots.DISPLAY.width), level, np.float16)
        shown = plate.read(shots.user_matte(folder / "any", [FIRST]), FIRST)
        plate.write(replace(shown, planes={"A": plane}), template.path(FIRST))
        return template

    def test_one_for_all_views_or_one_for_each(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, numbers=[FIRST])
        most = {}
        both = self.roto(tmp_path / "roto", "both.####.exr", 0.5)
        for view, level in (("left", 1.0), ("right", 0.0)):
            self.roto(tmp_path / "roto", f"each.{view}.####.exr", level)
        each = replace(both, prefix="each.%V.")
        for name, matte in (("both", both), ("each", each)):
            settings = scene.settings(
                model, out=f"{name}/comp.####.exr", user_mattes=(UserMatte(template=matte),)
            )
            assert statuses(settings, colour) == {FIRST: "done"}
            for view in shots.EYES:
                planes = seen(settings.out, FIRST, view).planes
                most[name, view] = planes["mask_blend.A"].max() / planes["mask_face.A"].max()
        assert most["both", "left"] == pytest.approx(0.5, abs=0.05)
        assert most["both", "right"] == pytest.approx(0.5, abs=0.05)
        assert most["each", "left"] > 0.9
        assert most["each", "right"] == 0.0
        each.of_view("right").path(FIRST).unlink()
        settings = scene.settings(model, out="lacking/comp.####.exr", user_mattes=(UserMatte(template=each),))
        (report,) = reports(settings, colour)
        assert report.status is FrameStatus.FAILED
        assert report.message.startswith("right: ")
        assert "the user's matte has no frame 1001" in report.message


class TestBadViews:
    def test_a_view_that_fails_fails_the_frame_by_name(self, tmp_path, model, colour):
        """The second frame has lost its right eye."""
        broken = shots.eye(ONE_EYED, "left")
        scene = shots.make_stereo(tmp_path, frames={ONE_EYED: broken})
        settings = scene.settings(model)
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[FIRST].status is FrameStatus.DONE
        assert found[ONE_EYED].status is FrameStatus.FAILED
        assert found[ONE_EYED].message.startswith("left: ")  # a file without views has no view of that name
        assert not settings.out.path(ONE_EYED).exists()

    def test_a_missing_eye_leaves_the_frame_missing(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, "files")
        scene.plate.template.of_view("right").path(ONE_EYED).unlink()
        settings = scene.settings(model, out=out_of("files"))
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[ONE_EYED].status is FrameStatus.MISSING
        assert found[ONE_EYED].message.startswith("right: ")
        assert not settings.out.of_view("left").path(ONE_EYED).exists()
        settings.out.of_view("right").path(FIRST).unlink()
        assert "there is a view right, but no frame of it is on disk" in " ".join(verified(settings, colour))

    @pytest.mark.parametrize(
        ("layout", "out"), [("files", "o/comp.####.exr"), ("multi_view", "o/%V.####.exr")]
    )
    def test_files_for_each_view_go_to_files_for_each_view(self, tmp_path, model, layout, out):
        scene = shots.make_stereo(tmp_path, layout, numbers=[FIRST])
        with pytest.raises(InvalidInput, match="%V") as caught:
            scene.settings(model, out=out)
        assert caught.value.field == "out"

    def test_the_views_of_files_must_be_known(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, "files", numbers=[FIRST])
        settings = scene.settings(model, out=out_of("files"), plate=replace(scene.plate, views=()))
        with pytest.raises(InvalidInput) as caught:
            reports(settings, colour)
        assert caught.value.field == "plate.views"

    def test_views_of_two_sizes_are_the_plates_own(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, "files", numbers=[FIRST])
        template = scene.plate.template.of_view("right")
        whole = plate.read(template, FIRST)
        taller = replace(whole.display, height=whole.display.height + 2)
        plate.write(replace(whole, display=taller), template.path(FIRST))
        faces = faceset.Faceset.open(scene.faceset)
        for record in faces.records:
            size = taller.size if record.view == "right" else whole.display.size
            faceset.write(replace(record, plate_size=size), faces.load(record))
        settings = scene.settings(model, out=out_of("files"))
        assert not warned(settings, colour)
        for record in faces.records:
            faceset.write(replace(record, plate_size="99x99"), faces.load(record))
        assert list(warned(settings, colour)) == ["PLATE_DIFFERS"]

    def test_folders_of_views_have_one_manifest(self, tmp_path, model, colour):
        scene = shots.make_stereo(tmp_path, "files", numbers=[FIRST])
        settings = scene.settings(model, out="out/%V/comp.####.exr")
        settings.out.of_view("right").directory.mkdir(parents=True)
        (other := settings.out.of_view("right").directory / "comp.7.exr").touch()
        with pytest.raises(InvalidInput, match=r"another padding, comp\.7\.exr"):
            reports(settings, colour)
        other.unlink()
        assert statuses(settings, colour) == {FIRST: "done"}
        folder = tmp_path / "out"
        assert {p.name for p in folder.iterdir()} == {
            "left",
            "right",
            "track",
            "manifest.json",
            ".understudy",
        }
        entry = json.loads((folder / "manifest.json").read_text())["sequences"]["%V/comp.%04d.exr"]
        assert set(entry["frames"][0]["outputs"]) == {"left/comp.1001.exr", "right/comp.1001.exr"}
        assert verified(settings, colour) == {""}


class TestParts:
    @pytest.fixture(params=["dotted", "plain"])
    def scene(self, request, tmp_path):
        """A beauty, an AOV in a part of its own, and a part over another window; with and without dotted names."""
        whole = shots.frame(FIRST)
        planes = {name: p for name, p in whole.planes.items() if request.param == "dotted" or "." not in name}
        beauty = replace(whole, name="rgba", planes=planes)
        small = Window(10, 10, 40, 30)
        plane = np.arange(1200, dtype=np.float32).reshape(30, 40)
        diffuse = replace(
            beauty, name="diffuse", planes={c: beauty.planes[c] * np.float16(0.5) for c in "RGB"}
        )
        position = replace(beauty, name="P", data=small, planes={c: plane + i for i, c in enumerate("XYZ")})
        whole = replace(beauty, others=(diffuse, position))
        return shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: whole})

    def test_other_parts_are_carried_as_they_are(self, scene, model, colour):
        settings = scene.settings(model)
        said = warned(settings, colour)
        assert set(said) == {"PARTS_DIFFER"}
        assert "part 'P'" in said["PARTS_DIFFER"]
        ours, theirs = made(settings), plate.read(scene.plate.template, FIRST)
        assert [part.name for part in ours.others[:2]] == ["diffuse", "P"]
        for found, kept in zip(ours.others, theirs.others, strict=False):
            assert (found.data, found.display) == (kept.data, kept.display)
            assert all((bits(found.planes[n]) == bits(kept.planes[n])).all() for n in kept.planes)
        assert views.select(ours).planes["mask_blend.A"].max() > 0.5
        assert verified(settings, colour) == {""}

    def test_verify_names_the_part(self, scene, model, colour):
        settings = scene.settings(model)
        reports(settings, colour)
        whole = made(settings)
        plane = whole.others[1].planes["Y"].copy()
        plane[3, 4] += 1
        changed = replace(whole.others[1], planes={**whole.others[1].planes, "Y": plane})
        stranger = {**whole.planes, "extra.X": whole.planes["A"]}
        plate.write(
            replace(whole, planes=stranger, others=(whole.others[0], changed, *whole.others[2:])),
            settings.out.path(FIRST),
        )
        (fault,) = verified(settings, colour)
        assert "part P: channel Y: 1 pixels differ from the plate, first at (14, 13)" in fault
        assert "channel extra.X is neither the plate's nor one of our layers" in fault
        plate.write(replace(whole, others=()), settings.out.path(FIRST))
        assert "part diffuse of the plate is lost" in " ".join(verified(settings, colour))

    def test_layers_are_parts_where_the_plates_are(self, tmp_path, model, colour):
        """Nuke stops reading part names as soon as one channel has a dot."""
        whole = shots.frame(FIRST)
        beauty = replace(whole, name="rgba", planes={c: whole.planes[c] for c in "RGBA"})
        diffuse = replace(beauty, name="diffuse", planes={c: whole.planes[c] for c in "RGB"})
        frame = replace(beauty, others=(diffuse,))
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: frame})
        settings = scene.settings(model)
        assert warned(settings, colour) == {}
        ours = made(settings)
        assert [part.name for part in ours.others] == ["diffuse", *settings.shown()]
        assert {name for part in ours.others for name in part.planes} == {"R", "G", "B", "A", "u", "v"}
        assert headers.DIGEST in ours.metadata
        assert verified(settings, colour) == {""}

    def test_a_layer_of_ours_in_a_part_of_another_window(self, tmp_path, model, colour):
        whole = shots.frame(FIRST)
        beauty = replace(whole, name="rgba", planes={c: whole.planes[c] for c in "RGBA"})
        face = {c: np.zeros((30, 40), np.float16) for c in "RGB"}
        frame = replace(
            beauty, others=(replace(beauty, name="face", data=Window(10, 10, 40, 30), planes=face),)
        )
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: frame})
        (report,) = reports(scene.settings(model), colour)
        assert report.status is FrameStatus.FAILED
        assert "two parts are called 'face'" in report.message


def test_the_layers_of_a_two_eyed_frame_go_by_nukes_names(tmp_path, model, colour):
    """`layer.view.channel`, the default view's too, as "Storing Multi-View Images in OpenEXR Files" has it."""
    scene = shots.make_stereo(tmp_path, numbers=[FIRST])
    settings = scene.settings(model, frames=FrameRange.of(FIRST, FIRST))
    reports(settings, colour)
    stored = set(made(settings).planes)
    for name in layers.channels(settings.shown()):
        layer, channel = name.split(".")
        assert {f"{layer}.left.{channel}", f"{layer}.right.{channel}"} <= stored
    assert {"R", "right.R"} <= stored
    assert Template.parse(str(settings.out)).has_view is False
