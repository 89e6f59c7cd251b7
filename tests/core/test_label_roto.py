"""Roto of the plate becomes labels: whose, of what, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.labelling import (
    DISPLAY,
    DONE,
    FAILED,
    SIDE,
    SKIPPED,
    Scene,
    close,
    expected,
    frames,
    only,
    write,
)
from tests.core.shots import landmarks
from understudy.core import align, plate
from understudy.core.errors import InvalidInput, NoFace, TrackAmbiguous
from understudy.core.face import Landmarks
from understudy.core.faceset import Faceset
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.frames import FrameRange, Window
from understudy.core.matte.hull import hull
from understudy.core.plate.mattes import read_matte
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started, Warned
from understudy.core.segment.fitting import face_hull


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class TestRoto:
    def test_every_frame_that_has_a_matte_becomes_a_label(self, scene: Scene):
        records = scene.shot(3)
        scene.rotoscope(records[0], records[2])
        reports = scene.label()
        assert reports[0] == Started(total=2)
        assert reports[-1] == Artifact(kind="labels", path=scene.faces / "labels")
        assert [(r.frame, r.status, r.faces, r.message) for r in frames(reports)] == [
            (1001, DONE, 1, ""),
            (1003, DONE, 1, ""),
        ]
        assert frames(reports)[0].outputs == (scene.faces / "labels" / "shot_t0.1001.exr",)
        labels = scene.labels()
        assert set(labels) == {"shot_t0.1001.exr", "shot_t0.1003.exr"}
        for record in (records[0], records[2]):
            close(labels[record.path.name], expected(scene, record))
        assert not [r for r in reports if isinstance(r, Warned)]

    def test_what_it_was_made_of_is_kept(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.rotoscope(record)
        scene.label()
        label = Labels(Faceset.open(scene.faces)).read(record)
        assert label is not None
        assert (label.kind, label.origin) == ("matte", "roto.1001.exr A")

    def test_again_does_nothing_and_a_changed_matte_is_made_anew(self, scene: Scene):
        records = scene.shot(2)
        scene.rotoscope(*records)
        scene.label()
        before = scene.labels()
        scene.rotoscope(records[0], A=scene.draw(records[0]) * 0.5)
        assert [(r.frame, r.status) for r in frames(scene.label())] == [(1001, DONE), (1002, SKIPPED)]
        after = scene.labels()
        np.testing.assert_array_equal(after["shot_t0.1002.exr"], before["shot_t0.1002.exr"])
        np.testing.assert_allclose(after["shot_t0.1001.exr"], before["shot_t0.1001.exr"] * 0.5, atol=1e-3)

    @pytest.mark.parametrize("scale", [0.5, 2.0])
    def test_another_resolution_of_the_same_format(self, scene: Scene, scale: float):
        records = scene.shot(2)
        for record in records:
            scene.rotoscope(record, A=scene.draw(record, scale))
        assert [r.status for r in frames(scene.label())] == [DONE, DONE]
        for record in records:
            close(scene.labels()[record.path.name], expected(scene, record), 0.88 if scale < 1 else 0.93)

    @pytest.mark.parametrize(
        ("shape", "told"), [((120, 120), "120×120"), ((118, 160), "160×118"), ((240, 160), "160×240")]
    )
    def test_another_format_is_refused_by_name(self, scene: Scene, shape: tuple[int, int], told: str):
        (record,) = scene.shot(1)
        scene.rotoscope(record, A=np.ones(shape) * 0.5)
        report = only(scene.label())
        assert (report.status, report.reason) == (FAILED, "INVALID_INPUT")
        assert f"the matte is {told}, the plate 160×120" in report.message
        assert "roto.1001.exr" in report.message

    def test_a_format_that_begins_elsewhere_is_refused(self, scene: Scene):
        (record,) = scene.shot(1)
        write(
            Path(str(scene.roto) % 1001),
            {"A": scene.draw(record)},
            display=Window(10, 0, 160, 120),
            data=Window(10, 0, 160, 120),
        )
        assert "160×120 at 10, 0" in only(scene.label()).message

    def test_a_plate_that_is_gone_is_said_and_the_roto_taken_for_its_size(self, scene: Scene):
        records = scene.shot(2)
        Path(str(scene.plate) % 1001).unlink()
        scene.rotoscope(*records)
        reports = scene.label()
        (warned,) = [r for r in reports if isinstance(r, Warned)]
        assert warned.reason == "PLATE_MISSING"
        assert "plate.%04d.exr" in warned.message
        close(scene.labels()["shot_t0.1002.exr"], expected(scene, records[1]))

    def test_a_plate_that_is_back_corrects_what_was_made_without_it(self, scene: Scene):
        """Where its size was guessed right, nothing is made anew, whether the plate comes or goes."""
        records = scene.shot(2)
        scene.rotoscope(records[0])
        scene.rotoscope(records[1], A=scene.draw(records[1], 1.1))
        there, away = Path(str(scene.plate) % 1001), scene.folder / "away.exr"
        there.rename(away)
        scene.label()
        away.rename(there)
        assert [r.status for r in frames(scene.label())] == [SKIPPED, DONE]
        for record in records:
            close(scene.labels()[record.path.name], expected(scene, record))
        assert [r.status for r in frames(scene.label())] == [SKIPPED, SKIPPED]
        there.rename(away)
        assert frames(scene.label())[0].status is SKIPPED

    def test_a_data_window_around_the_shapes_is_0_outside(self, scene: Scene):
        """As Nuke writes it."""
        (record,) = scene.shot(1)
        whole = scene.draw(record)
        rows, columns = np.nonzero(whole)
        y, x = rows.min(), columns.min()
        part = whole[y : rows.max() + 1, x : columns.max() + 1]
        data = Window(int(x), int(y), part.shape[1], part.shape[0])
        write(Path(str(scene.roto) % 1001), {"A": part}, display=DISPLAY, data=data)
        assert only(scene.label()).status is DONE
        small = scene.labels()["shot_t0.1001.exr"]
        scene.rotoscope(record)
        scene.label()
        np.testing.assert_allclose(small, scene.labels()["shot_t0.1001.exr"], atol=1e-3)

    def test_a_data_window_that_does_not_reach_the_face_misses_it(self, scene: Scene):
        (record,) = scene.shot(1)
        write(
            Path(str(scene.roto) % 1001),
            {"A": np.ones((10, 10))},
            display=DISPLAY,
            data=Window(0, 0, 10, 10),
        )
        report = only(scene.label())
        assert report.status is FAILED
        assert "is empty around the face" in report.message
        assert record.path.stem in report.message

    def test_an_anamorphic_plate(self, scene: Scene):
        """Plate pixels are twice as wide as high; the crop is un-squeezed."""
        points = landmarks((70.0, 55.0), 40.0) * np.array((0.5, 1.0), np.float32)
        record = scene.face(
            face=replace(scene.face().face, landmarks=Landmarks(scheme="68", points=points)),
            alignment=align.fit(points, "whole", SIDE, 2.0),
            pixel_aspect=2.0,
        )
        scene.rotoscope(record)
        assert only(scene.label()).status is DONE
        close(scene.labels()["shot_t0.1001.exr"], expected(scene, record), 0.9)


class TestRefused:
    def one(self, scene: Scene, matte: Any = None, **settings: Any) -> FrameReport:
        """The report of a frame whose file has this alpha, or these planes."""
        (record,) = scene.shot(1)
        planes = {"A": scene.draw(record)} if matte is None else matte
        write(Path(str(scene.roto) % 1001), planes if isinstance(planes, dict) else {"A": planes})
        return only(scene.label(**settings))

    def refused(self, scene: Scene, says: str, matte: Any = None, **settings: Any) -> None:
        report = self.one(scene, matte, **settings)
        assert report.status is FAILED
        assert says in report.message, report.message
        assert "1001" in report.message
        assert report.outputs == ()
        assert not scene.labels()

    def test_it_misses_the_face(self, scene: Scene):
        matte = np.zeros((120, 160))
        matte[5:20, 120:150] = 1.0
        self.refused(scene, "empty around the face shot_t0.1001: it misses it", matte)
        matte[:, 96:] = 1.0  # somebody beside it
        self.refused(scene, "it misses the face shot_t0.1001", matte)

    def test_the_next_frames_matte_is_not_the_worst_that_happens(self, scene: Scene):
        """A label that half fits is taken; but one that lies beside the landmarks for the most part is told of."""
        (record,) = scene.shot(1)
        shifted = np.roll(scene.draw(record), 32, axis=1)
        report = self.one(scene, shifted)
        assert report.status is DONE
        assert any("of the label lies within the landmarks" in text for text in report.warnings)

    def test_inverted(self, scene: Scene):
        record = scene.face()
        inverted = 1.0 - scene.draw(record)
        solid = 1.0 - np.asarray(hull(record.face.landmarks.points, (120, 160)))
        self.refused(scene, "--invert", solid)
        report = self.one(scene, inverted, invert=True)
        assert report.status is DONE
        close(scene.labels()["shot_t0.1001.exr"], expected(scene, record))

    def test_an_upright_one_that_is_said_to_be_inverted(self, scene: Scene):
        record = scene.face()
        solid = np.asarray(hull(record.face.landmarks.points, (120, 160)))
        self.refused(scene, "turned inside out? Then leave out --invert", solid, invert=True)

    def test_inverted_with_a_small_data_window_is_1_outside(self, scene: Scene):
        """A file is 0 where it has no data, and inverted that is 1: the face's own size is what it must not hold."""
        (record,) = scene.shot(1)
        hole = 1.0 - scene.draw(record)
        write(
            Path(str(scene.roto) % 1001), {"A": hole[:, :155]}, display=DISPLAY, data=Window(0, 0, 155, 120)
        )
        assert only(scene.label(invert=True)).status is DONE
        roto = read_matte(plate.Template.parse(str(scene.roto)), 1001, invert=True)
        assert roto.over(Window(150, 0, 10, 10))[0].tolist() == [0.0] * 5 + [1.0] * 5

    def test_opaque(self, scene: Scene):
        """A render with a picture and an alpha of 1."""
        dice = np.random.default_rng(0)
        planes = {**{c: dice.random((120, 160)) for c in "RGB"}, "A": np.ones((120, 160))}
        self.refused(scene, "name the channel; it has R, G, B", planes)
        (record,) = scene.shot(1)
        planes["roto.A"] = scene.draw(record)
        assert self.one(scene, planes, channel="roto").status is DONE

    def test_premultiplied_colours_are_no_matter(self, scene: Scene):
        (record,) = scene.shot(1)
        matte = scene.draw(record)
        planes = {**dict.fromkeys("RGB", matte * 3.5), "A": matte}
        report = self.one(scene, planes)
        assert (report.status, report.warnings) == (DONE, ())
        close(scene.labels()["shot_t0.1001.exr"], expected(scene, record))

    def test_a_matte_in_all_colours(self, scene: Scene):
        (record,) = scene.shot(1)
        assert self.one(scene, dict.fromkeys("RGB", scene.draw(record))).status is DONE
        close(scene.labels()["shot_t0.1001.exr"], expected(scene, record))

    def test_colours_that_differ_are_ambiguous(self, scene: Scene):
        (record,) = scene.shot(1)
        planes = {"R": scene.draw(record), "G": np.zeros((120, 160)), "B": np.zeros((120, 160))}
        self.refused(scene, "red, green and blue differ; name the channel", planes)
        assert self.one(scene, planes, channel="R").status is DONE

    def test_a_picture_for_a_matte(self, scene: Scene):
        self.refused(
            scene, "reaches 4 and a matte ends at 1: is it a picture?", {"Y": np.full((120, 160), 4.0)}
        )

    def test_values_outside_0_to_1_are_held_there_and_said(self, scene: Scene):
        (record,) = scene.shot(1)
        matte = scene.draw(record) * 1.2 - 0.1
        report = self.one(scene, matte)
        assert report.status is DONE
        assert any("outside 0 to 1" in text for text in report.warnings)
        found = scene.labels()["shot_t0.1001.exr"]
        assert 0.0 <= found.min() <= found.max() <= 1.0

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, scene: Scene, value: float):
        (record,) = scene.shot(1)
        matte = scene.draw(record)
        matte[55, 70] = value
        self.refused(scene, "1 values of A around the face are not finite", matte)
        matte[55, 70], matte[2, 2] = 1.0, value
        assert self.one(scene, matte).status is DONE  # far from the face it is no matter

    def test_one_frame_without_the_channel_fails_alone(self, scene: Scene):
        records = scene.shot(3)
        for record in records:
            scene.rotoscope(record, **{"roto.A": scene.draw(record), "A": np.ones((120, 160))})
        scene.rotoscope(records[1])
        reports = frames(scene.label(channel="roto.A"))
        assert [r.status for r in reports] == [DONE, FAILED, DONE]
        assert "no channel 'roto.A'; it has A" in reports[1].message

    def test_one_frame_that_is_broken_fails_alone(self, scene: Scene):
        records = scene.shot(3)
        scene.rotoscope(*records)
        file = Path(str(scene.roto) % 1002)
        file.write_bytes(file.read_bytes()[:400])
        reports = frames(scene.label())
        assert [(r.status, r.reason) for r in reports][1] == (FAILED, "FRAME_UNREADABLE")
        assert len(scene.labels()) == 2

    def test_ids_are_no_matte(self, scene: Scene):
        ids = np.ones((120, 160), np.uint32)
        self.refused(scene, "whole numbers", {"Z": ids})

    @pytest.mark.parametrize("asked", ["alpha", "rgba.alpha", "A"])
    def test_hosts_own_words_for_alpha(self, scene: Scene, asked: str):
        assert self.one(scene, channel=asked).status is DONE


class TestWhose:
    def test_several_people_need_a_choice(self, scene: Scene):
        scene.shot(1)
        one, two = scene.face(track=0), scene.face(track=1)
        scene.rotoscope(two)
        with pytest.raises(TrackAmbiguous):
            scene.label()
        assert only(scene.label(track=1)).status is DONE
        assert set(scene.labels()) == {two.path.name}
        report = only(scene.label(track=0))
        assert report.status is FAILED
        assert one.path.stem in report.message

    def test_a_matte_of_everybody_is_told_of(self, scene: Scene):
        scene.shot(1)
        one, two = scene.face(track=0), scene.face(track=1)
        scene.rotoscope(one, A=np.maximum(scene.draw(one), scene.draw(two)))
        report = only(scene.label(track=0))
        assert report.status is DONE
        assert any("track 1 too" in text for text in report.warnings)
        scene.rotoscope(one)
        assert only(scene.label(track=0)).warnings == ()

    def test_frames_on_which_the_person_is_not(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.rotoscope(record)
        write(Path(str(scene.roto) % 1002), {"A": np.zeros((120, 160))})
        first, second = frames(scene.label())
        assert (first.status, second.status) == (DONE, FrameStatus.NO_FACE)
        assert "no face" in second.warnings[0]

    def test_roto_of_other_frames_altogether(self, scene: Scene):
        scene.shot(1)
        write(Path(str(scene.roto) % 1500), {"A": np.zeros((120, 160))})
        with pytest.raises(NoFace, match="none of the mattes"):
            scene.label()

    def test_a_frame_that_was_named_and_is_not_there(self, scene: Scene):
        records = scene.shot(4)
        scene.rotoscope(records[0], records[3])
        for numbers in ([1001, 1003, 1004], [1001, 1002, 1003, 1004]):
            asked = plate.find(str(scene.roto), FrameRange.from_frames(numbers))
            reports = frames(scene.label(roto=asked))
            assert [r.status for r in reports[1:-1]] == [FrameStatus.MISSING] * (len(numbers) - 2)
            assert {reports[0].status, reports[-1].status} <= {DONE, FrameStatus.SKIPPED}

    def test_two_views_of_files_of_their_own(self, scene: Scene):
        left, right = (scene.face(view=view) for view in ("left", "right"))
        for record in (left, right):
            write(scene.folder / f"roto_{record.view}.1001.exr", {"A": scene.draw(record)})
        report = only(scene.label(roto=plate.find(str(scene.folder / "roto_%V.%04d.exr"))))
        assert (report.status, report.faces, len(report.outputs)) == (DONE, 2, 2)
        for record in (left, right):
            close(scene.labels()[record.path.name], expected(scene, record))

    def test_one_eye_without_a_view_is_refused_and_taken_when_named(self, scene: Scene):
        left, right = (scene.face(view=view) for view in ("left", "right"))
        scene.rotoscope(left)
        with pytest.raises(InvalidInput, match="has no views"):
            scene.label()
        named = replace(plate.find(str(scene.roto)), views=("left",))
        assert only(scene.label(roto=named)).faces == 1
        assert set(scene.labels()) == {left.path.name}
        assert right.path.name not in scene.labels()

    def test_where_one_eye_fails_the_other_has_its_label(self, scene: Scene):
        left, right = (scene.face(view=view) for view in ("left", "right"))
        write(scene.folder / "roto_left.1001.exr", {"A": scene.draw(left)})
        write(scene.folder / "roto_right.1001.exr", {"A": np.zeros((120, 160))})
        report = only(scene.label(roto=plate.find(str(scene.folder / "roto_%V.%04d.exr"))))
        assert (report.status, report.faces) == (FAILED, 1)
        assert right.path.stem in report.message
        assert set(scene.labels()) == {left.path.name}

    def test_faces_of_two_plates_on_one_frame(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.face(path=scene.faces / "other_t0.1001.exr", plate="/plates/other.%04d.exr")
        scene.rotoscope(record)
        with pytest.raises(InvalidInput, match="several plates"):
            scene.label()


class TestOccluder:
    def test_the_face_is_its_hull_without_what_is_before_it(self, scene: Scene):
        (record,) = scene.shot(1)
        hand = np.zeros((120, 160))
        hand[58:80, 40:72] = 1.0
        scene.rotoscope(record, A=hand)
        assert only(scene.label(marks="occluder")).status is DONE
        found, face = scene.labels()["shot_t0.1001.exr"], face_hull(record)
        covered = draw(
            [
                Polygon(
                    include=True,
                    points=record.alignment.apply(np.array([(40, 58), (72, 58), (72, 80), (40, 80)])),
                )
            ],
            (SIDE, SIDE),
        )
        close(found, face * (1.0 - covered))
        assert found[covered > 0.99].max() < 0.02

    def test_a_frame_on_which_nothing_covers_the_face_is_the_hull(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.rotoscope(record, A=np.zeros((120, 160)))
        assert only(scene.label(marks="occluder")).status is DONE
        np.testing.assert_allclose(scene.labels()["shot_t0.1001.exr"], face_hull(record), atol=1e-3)

    def test_marks_that_were_mixed_up(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.rotoscope(record, A=hull(record.face.landmarks.points, (120, 160), brows=3.0))
        report = only(scene.label(marks="occluder"))
        assert report.status is FAILED
        assert "--marks face" in report.message

    def test_an_inverted_occluder(self, scene: Scene):
        (record,) = scene.shot(1)
        matte = np.ones((120, 160))
        matte[58:80, 60:72] = 0.0
        scene.rotoscope(record, A=matte)
        report = only(scene.label(marks="occluder"))
        assert report.status is FAILED
        assert "--invert" in report.message or "opaque" in report.message
        assert only(scene.label(marks="occluder", invert=True)).status is DONE
