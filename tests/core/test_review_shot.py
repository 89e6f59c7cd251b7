"""Reviews of real merges: contact sheet, views, the colour spaces that a merge wrote down; displays of a config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.core import shots
from understudy.core import plate, review
from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, Window
from understudy.core.merge import shot
from understudy.core.plate import Template, find, video
from understudy.core.reports import Advanced, Artifact, FrameReport, Started
from understudy.core.review import ReviewSettings, Spaces, spaces_of


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return shots.tiny_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def merged(tmp_path_factory, colour, model):
    """A shot of three frames, the last without a face, and its merge."""
    scene = shots.make(tmp_path_factory.mktemp("scene"), numbers=[1001, 1002, 1003], without_face=[1003])
    asked = scene.settings(model)
    assert list(shot.run(asked, colour=colour))
    return asked


def asked_of(merged, **changes) -> ReviewSettings:
    items = {
        "output": find(merged.out.text, colour_space="ACEScg"),
        "plate": merged.plate.template,
        "plate_space": "ACEScg",
        "burn_in": False,
    }
    return ReviewSettings(**{**items, **changes})


def pictures(path):
    found = video.probe(path)
    return [video.to_rgb(picture, found) for picture in video.pictures(found)]


class TestMerge:
    def test_the_swap_is_beside_its_plate(self, merged, colour, tmp_path):
        asked = asked_of(merged, movie=tmp_path / "r.mov", layout="side_by_side")
        assert all(
            r.status.value == "done" for r in review.run(asked, colour=colour) if isinstance(r, FrameReport)
        )
        first, _, last = pictures(tmp_path / "r.mov")
        width = shots.DISPLAY.width
        assert first.shape == (shots.DISPLAY.height, 2 * width, 3)
        apart = np.abs(first[:, :width] - first[:, width:]).max(axis=-1)
        assert apart[50:60, 60:80].mean() > 0.05  # the face is another
        assert apart[:8, -12:-4].mean() < 0.01  # the corner is the plate
        assert np.abs(last[:, :width] - last[:, width:]).mean() < 0.005  # no face

    def test_a_movie_says_that_a_face_is_not_real_and_by_whose_leave(self, merged, colour, tmp_path):
        said = {}
        for template in (merged.out, merged.plate.template):
            path = tmp_path / f"{template.prefix}mov"
            output = find(template.text, colour_space="ACEScg")
            assert list(review.run(asked_of(merged, output=output, movie=path), colour=colour))
            with av.open(str(path)) as container:
                said[template] = container.metadata["comment"]
        header = plate.read_header(merged.out.path(1001)).metadata
        released = f"release: {header['understudy/release']}; modelSha: {header['understudy/modelSha']}"
        assert f"synthetic: face_replacement; {released}; version: " in said[merged.out]
        assert "synthetic" not in said[merged.plate.template]

    def test_a_contact_sheet_and_a_movie(self, merged, colour, tmp_path):
        asked = asked_of(merged, movie=tmp_path / "r.mp4", sheet=tmp_path / "s.png", rows=2)
        reports = list(review.run(asked, colour=colour))
        assert reports[0] == Started(total=3)
        assert [r.kind for r in reports if isinstance(r, Artifact)] == ["contact_sheet", "review"]
        assert len(pictures(tmp_path / "r.mp4")) == 3

    def test_a_contact_sheet_alone(self, merged, colour, tmp_path):
        heights = []
        for rows in (1, 3, 100):
            asked = asked_of(merged, sheet=tmp_path / "s.png", rows=rows)
            reports = list(review.run(asked, colour=colour))
            assert reports == [
                Started(total=1, unit="step"),
                Artifact(kind="contact_sheet", path=tmp_path / "s.png"),
                Advanced(done=1),
            ]
            sheet = cv2.imread(str(tmp_path / "s.png"))
            assert sheet is not None
            heights.append(sheet.shape[0])
        one, three, all_there_are = heights
        assert all_there_are == three > one + 500

    def test_without_layers_there_is_no_sheet_and_then_no_movie(self, merged, colour, tmp_path):
        bare = replace(merged, out=Template.parse(str(tmp_path / "bare.####.exr")), layers=())
        assert list(shot.run(bare, colour=colour))
        asked = asked_of(bare, movie=tmp_path / "r.mp4", sheet=tmp_path / "s.png")
        with pytest.raises(InvalidInput, match="no layers"):
            list(review.run(asked, colour=colour))
        assert not (tmp_path / "r.mp4").exists()


class TestSpaces:
    def test_of_an_exr_by_its_own_header(self, merged):
        assert spaces_of(merged.out, (), find(merged.out.text).present) == Spaces(
            output="ACEScg", plate="ACEScg"
        )

    def test_of_a_dpx_by_the_layers_beside_it(self, colour, tmp_path, model):
        """It is in the plate's own space, whatever its layers are in."""
        template = Template.parse(str(tmp_path / "plate" / "p.####.dpx"))
        for number in (1001, 1002):
            codes = np.random.default_rng(number).integers(64, 900, (3, 120, 160)).astype(np.uint16)
            window = Window(0, 0, 160, 120)
            planes = dict(zip("RGB", codes, strict=True))
            frame = Frame(number=number, planes=planes, display=window, data=window, maximum=1023.0)
            plate.write(frame, template.path(number))
        shots.write_faceset(tmp_path / "faceset", [1001, 1002], template.text)
        found = find(template.text, colour_space="ACEScct")
        scene = shots.Shot(plate=found, faceset=tmp_path / "faceset", folder=tmp_path)
        asked = scene.settings(model, out="out/comp.####.dpx")
        assert list(shot.run(asked, colour=colour))
        present = find(asked.out.text).present
        assert spaces_of(asked.out, (), present) == Spaces(output="ACEScct", plate="ACEScct")

    def test_of_what_no_merge_made(self, merged):
        template = merged.plate.template
        assert spaces_of(template, (), merged.plate.present) == Spaces()


@pytest.mark.parametrize("wipe", [0.0, 1.0])
@pytest.mark.parametrize("layout", ["multi_view", "files"])
def test_of_a_stereo_sequence_and_its_plate_the_first_view_is_shown(colour, tmp_path, layout, wipe):
    scene = shots.make_stereo(tmp_path, layout, numbers=[1001])
    for views, view in (((), "left"), (("right",), "right")):
        asked = ReviewSettings(
            output=find(scene.plate.template.text, None, "ACEScg", views),
            movie=tmp_path / f"{view}.mov",
            plate=scene.plate.template,
            plate_space="ACEScg",
            layout="wipe",
            wipe=wipe,
            burn_in=False,
        )
        assert list(review.run(asked, colour=colour))
        (picture,) = pictures(tmp_path / f"{view}.mov")
        seen = {}
        for eye in shots.EYES:
            frame = shots.eye(1001, eye, holes=False)
            linear = colour.to_working(frame.rgb(shots.DISPLAY), "ACEScg")
            codes = np.clip(colour.viewed(linear, *colour.display_view()), 0, 1)
            seen[eye] = float(np.abs(picture - codes).mean())
        assert seen[view] < 0.02 < min(error for eye, error in seen.items() if eye != view)


class TestDisplays:
    def test_the_default_is_the_configs(self, colour):
        assert colour.display_view() == ("sRGB - Display", "ACES 1.0 - SDR Video")
        assert colour.display_view("REC.2100-PQ - DISPLAY")[0] == "Rec.2100-PQ - Display"

    def test_a_view_without_tone_mapping_is_the_proxy_where_that_does_not_clip(self, colour):
        rgb = np.random.default_rng(0).uniform(0.05, 0.5, (8, 8, 3)).astype(np.float32)
        seen = colour.viewed(rgb, *colour.display_view("sRGB - Display", "Un-tone-mapped"))
        inside = (seen > 0).all(axis=-1)
        assert np.abs(seen - colour.proxy(rgb))[inside].max() < 2e-3

    def test_what_a_display_is_called(self, colour):
        assert "srgb_display" in colour.screen("sRGB - Display", "ACES 1.0 - SDR Video")
        assert colour.screen("sRGB - Display", "Raw") == ()

    @pytest.mark.parametrize(
        ("names", "field", "known"),
        [
            (("Telly", ""), "display", "P3-DCI"),
            (("", "Nice"), "display_view", "Raw"),
            (("sRGB - Displ", ""), "display", "did you mean 'sRGB - Display'"),
        ],
    )
    def test_refusals_name_what_there_is(self, colour, names, field, known):
        with pytest.raises(InvalidInput, match=known) as error:
            colour.display_view(*names)
        assert error.value.field == field
