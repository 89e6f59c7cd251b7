"""What a person drew becomes labels: roto of the plate, polygons in a file, pictures of crops; what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.core.shots import landmarks
from understudy.core import align, faceset, plate
from understudy.core.errors import InvalidInput, NoFace, NotFound, TrackAmbiguous
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset, pack
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.matte.hull import hull
from understudy.core.plate.mattes import read_matte
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.segment.fitting import face_hull
from understudy.core.segment.label import LabelSettings, run

DISPLAY = Window(0, 0, 160, 120)
SIDE = 64
BAR = np.array((30.0, 1.0))  # how far a bar reaches beyond the mouth
DONE, FAILED, SKIPPED = FrameStatus.DONE, FrameStatus.FAILED, FrameStatus.SKIPPED


class Scene:
    """A plate, the faceset extracted from it, and roto of its faces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faces, self.plate, self.roto = (
            folder / "faces",
            folder / "plate.%04d.exr",
            folder / "roto.%04d.exr",
        )

    def face(self, number: int = 1001, *, track: int = 0, view: str = "", **changes: Any) -> FaceRecord:
        """A face in the faceset; its file is written."""
        x = {0: 70.0, 1: 110.0}[track] + 2.0 * (number - 1001) - (4.0 if view == "right" else 0.0)
        points = landmarks((x, 55.0), 40.0, roll=5.0)
        eye = f"_{view}" if view else ""
        made = FaceRecord(
            path=self.faces / f"shot{eye}_t{track}.{number}.exr",
            face=Face(
                frame=number,
                box=(x - 20, 30, x + 20, 80),
                landmarks=Landmarks(scheme="68", points=points),
                score=1.0,
                track=track,
            ),
            alignment=align.fit(points, "whole", SIDE),
            plate=str(self.plate),
            gain=1.0,
            colour="ACEScg",
            view=view,
        )
        made = replace(made, **changes)
        faceset.write(made, np.full((SIDE, SIDE, 3), 0.18, np.float32))
        return made

    def shot(self, count: int = 3) -> list[FaceRecord]:
        """Frames 1001, 1002, … of one person, and the first frame of the plate."""
        write(Path(str(self.plate) % 1001), {c: np.zeros((120, 160)) for c in "RGB"})
        return [self.face(number) for number in range(1001, 1001 + count)]

    def draw(self, record: FaceRecord, scale: float = 1.0) -> np.ndarray:
        """What an artist draws around a face, in plate pixels: its hull grown a little, less a bar over the mouth."""
        outline = outline_of(record)
        shape = (round(DISPLAY.height * scale), round(DISPLAY.width * scale))
        mouth = record.face.landmarks.points[48:68].astype(np.float64)
        (x0, y0), (x1, y1) = mouth.min(axis=0) - BAR, mouth.max(axis=0) + BAR
        bar = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        return draw(
            [Polygon(include=True, points=outline), Polygon(include=False, points=bar)], shape, scale=scale
        )

    def rotoscope(self, *records: FaceRecord, **planes: Any) -> None:
        """An alpha for each face."""
        for record in records:
            write(Path(str(self.roto) % record.face.frame), planes or {"A": self.draw(record)})

    def label(self, **settings: Any) -> list[Report]:
        if not {"polygons", "crops", "roto"} & set(settings):
            found = plate.find(str(self.roto))
            settings["roto"] = replace(found, frames=found.present)
        return list(run(LabelSettings(faceset=self.faces, **settings)))

    def labels(self) -> dict[str, np.ndarray]:
        """Name of each labelled face → its matte."""
        opened = Faceset.open(self.faces)
        found = {r.path.name: Labels(opened).matte(r) for r in opened.records}
        return {name: matte for name, matte in found.items() if matte is not None}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def outline_of(record: FaceRecord, grow: float = 1.1) -> np.ndarray:
    points = record.face.landmarks.points
    around = cv2.convexHull(points).reshape(-1, 2).astype(np.float64)
    middle = around.mean(axis=0)
    return np.asarray((around - middle) * grow + middle)


def write(
    path: Path,
    planes: dict[str, Any],
    display: Window | None = None,
    data: Window | None = None,
    **metadata: Any,
) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    stored = {
        name: plane if plane.dtype == np.uint32 else np.asarray(plane, np.float32)
        for name, plane in ((n, np.asarray(p)) for n, p in planes.items())
    }
    height, width = next(iter(stored.values())).shape
    window = Window(0, 0, width, height)
    frame = Frame(number=1, planes=stored, display=display or window, data=data or window, metadata=metadata)
    plate.write(frame, path)


def frames(reports: Sequence[Report]) -> list[FrameReport]:
    return [report for report in reports if isinstance(report, FrameReport)]


def only(reports: Sequence[Report]) -> FrameReport:
    (report,) = frames(reports)
    return report


def expected(scene: Scene, record: FaceRecord) -> np.ndarray:
    """The label by another way: the polygons of `Scene.draw` in the crop's own pixels."""
    mouth = record.face.landmarks.points[48:68].astype(np.float64)
    (x0, y0), (x1, y1) = mouth.min(axis=0) - BAR, mouth.max(axis=0) + BAR
    bar = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    shapes = [
        Polygon(include=include, points=record.alignment.apply(points))
        for include, points in ((True, outline_of(record)), (False, bar))
    ]
    return draw(shapes, (SIDE, SIDE))


def close(found: np.ndarray, wanted: np.ndarray, least: float = 0.93) -> None:
    both, either = np.minimum(found, wanted).sum(), np.maximum(found, wanted).sum()
    assert both / either > least


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


def polygon_file(scene: Scene, *faces: dict[str, Any], **more: Any) -> Path:
    path = scene.folder / "drawn.json"
    path.write_text(json.dumps({"format": "understudy.polygons/1", "faces": list(faces), **more}))
    return path


def entry(record: FaceRecord, **changes: Any) -> dict[str, Any]:
    points = record.alignment.apply(outline_of(record)).tolist()
    return {"face": record.path.name, "polygons": [{"type": "include", "points": points}], **changes}


class TestPolygons:
    def test_they_stay_polygons(self, scene: Scene):
        one, two = scene.shot(2)
        path = polygon_file(scene, entry(one), entry(two, face=two.path.stem))
        reports = scene.label(polygons=path)
        assert [r.status for r in frames(reports)] == [DONE, DONE]
        label = Labels(Faceset.open(scene.faces)).read(one)
        assert label is not None
        assert (label.kind, label.origin) == ("polygons", "drawn.json")
        np.testing.assert_array_equal(label.polygons[0].points, one.alignment.apply(outline_of(one)))
        assert [r.status for r in frames(scene.label(polygons=path))] == [SKIPPED, SKIPPED]

    def test_by_frame_and_in_another_size(self, scene: Scene):
        one, two = scene.shot(2)
        scene.face(1002, track=1)
        twice = {"type": "include", "points": (one.alignment.apply(outline_of(one)) * 8).tolist()}
        path = polygon_file(scene, {"frame": 1001, "polygons": [twice]}, size=SIDE * 8)
        assert only(scene.label(polygons=path)).status is DONE
        close(
            scene.labels()[one.path.name],
            draw([Polygon(include=True, points=one.alignment.apply(outline_of(one)))], (SIDE, SIDE)),
            0.999,
        )
        polygons = [{"points": two.alignment.apply(outline_of(two)).tolist()}]
        path = polygon_file(scene, {"frame": 1002, "polygons": polygons})
        report = only(scene.label(polygons=path))
        assert report.status is FAILED
        assert "frame 1002 has 2 such faces (shot_t0.1002, shot_t1.1002)" in report.message
        path = polygon_file(scene, {"frame": 1002, "track": 0, "polygons": polygons})
        assert only(scene.label(polygons=path)).status is DONE

    @pytest.mark.parametrize("scale", [None, 0.5, 3.0])
    def test_in_plate_pixels(self, scene: Scene, scale: float | None):
        (record,) = scene.shot(1)
        points = (outline_of(record) * (scale or 1.0)).tolist()
        size = {} if scale is None else {"size": [160 * scale, 120 * scale]}
        path = polygon_file(scene, entry(record, polygons=[{"points": points}]), space="plate", **size)
        assert only(scene.label(polygons=path)).status is DONE
        label = Labels(Faceset.open(scene.faces)).read(record)
        assert label is not None
        np.testing.assert_allclose(
            label.polygons[0].points, record.alignment.apply(outline_of(record)), atol=1e-6
        )

    def test_a_plate_that_is_back_says_what_their_size_means(self, scene: Scene):
        (record,) = scene.shot(1)
        points = (outline_of(record) * 1.1).tolist()
        path = polygon_file(
            scene, entry(record, polygons=[{"points": points}]), space="plate", size=[176, 132]
        )
        there, away = Path(str(scene.plate) % 1001), scene.folder / "away.exr"
        there.rename(away)
        assert only(scene.label(polygons=path)).status is DONE
        away.rename(there)
        assert [only(scene.label(polygons=path)).status for _ in range(2)] == [DONE, SKIPPED]
        label = Labels(Faceset.open(scene.faces)).read(record)
        assert label is not None
        np.testing.assert_allclose(
            label.polygons[0].points, record.alignment.apply(outline_of(record)), atol=1e-6
        )

    @pytest.mark.parametrize("size", [8193, 10_000, 2**20])
    def test_a_crop_larger_than_any_is_refused_by_name(self, scene: Scene, size: int):
        (record,) = scene.shot(1)
        scene.label(polygons=polygon_file(scene, entry(record)))
        points = (record.alignment.apply(outline_of(record)) * size / SIDE).tolist()
        path = polygon_file(scene, entry(record, polygons=[{"points": points}]), size=size)
        with pytest.raises(InvalidInput, match=f"its size is {size}; a crop has a side, up to 8192"):
            scene.label(polygons=path)
        assert set(scene.labels()) == {record.path.name}

    def test_a_label_too_large_to_be_read_fails_alone_and_replaces_nothing(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ):
        records = one, two = scene.shot(2)
        scene.label(polygons=polygon_file(scene, entry(one), entry(two)))
        before = scene.labels()
        monkeypatch.setattr("understudy.core.faceset.labels._LARGEST", 3000)
        corners = [record.alignment.apply(outline_of(record)) for record in records]
        many = np.concatenate(
            [np.linspace(a, b, 20) for a, b in zip(corners[0], corners[0][1:], strict=False)]
        )
        path = polygon_file(
            scene,
            entry(one, polygons=[{"points": many.tolist()}]),
            entry(two, polygons=[{"points": corners[1][::-1].tolist()}]),
        )
        first, second = frames(scene.label(polygons=path))
        assert (first.status, first.reason, first.outputs) == (FAILED, "INVALID_INPUT", ())
        assert "shot_t0.1001.json: not a label" in first.message
        assert second.status is DONE
        np.testing.assert_array_equal(scene.labels()[one.path.name], before[one.path.name])

    def test_of_a_plate_of_another_format(self, scene: Scene):
        (record,) = scene.shot(1)
        path = polygon_file(scene, entry(record), space="plate", size=[160, 100])
        assert "size is 160×100, the plate 160×120" in only(scene.label(polygons=path)).message

    def test_an_occluder_in_polygons(self, scene: Scene):
        (record,) = scene.shot(1)
        hand = [{"points": [(20, 40), (44, 40), (44, 60), (20, 60)]}]
        path = polygon_file(scene, entry(record, polygons=hand))
        assert only(scene.label(polygons=path, marks="occluder")).status is DONE
        found = scene.labels()[record.path.name]
        assert found[45:55, 25:40].max() == 0.0
        np.testing.assert_allclose(found[:35], face_hull(record)[:35], atol=1e-3)

    @pytest.mark.parametrize(
        ("polygons", "says"),
        [
            ([], "0; there must be 1"),
            (None, "no list"),
            ([{"points": [(1, 1), (5, 5)]}], "number 1: 2 points; it takes 3"),
            ([{"points": [(1, 1), (5, None), (4, 4)]}], "number 1"),
            ([{"points": [(10, 10), (20, 20), (30, 30)]}], "number 1 is empty"),
            ([{"points": [(10, 10), (50, 50), (50, 10), (10, 50)]}], "crosses itself near (30.0, 30.0)"),
            ([{"type": "exclude", "points": [(10, 10), (50, 10), (50, 50)]}], "only exclude"),
            ([{"type": "hole", "points": [(10, 10), (50, 10), (50, 50)]}], "'hole'"),
            ([{"points": [(0, 0), (8, 0), (8, 8), (0, 8)]}], "misses"),
            ([{"points": [(-9, -9), (99, -9), (99, 99), (-9, 99)]}], "all that is around the face"),
        ],
    )
    def test_one_bad_face_fails_alone_and_is_named(self, scene: Scene, polygons: Any, says: str):
        one, two = scene.shot(2)
        path = polygon_file(scene, entry(one, polygons=polygons), entry(two))
        first, second = frames(scene.label(polygons=path))
        assert (first.status, second.status) == (FAILED, DONE)
        assert says in first.message
        assert one.path.stem in first.message
        assert "entry 1" in first.message

    def test_the_same_face_twice_in_one_file(self, scene: Scene):
        one, two = scene.shot(2)
        path = polygon_file(scene, entry(one), entry(two), {**entry(one), "face": one.path.stem})
        first, second = frames(scene.label(polygons=path))
        assert (first.status, second.status) == (FAILED, DONE)
        assert "entry 1: shot_t0.1001 is there again as entry 3" in first.message

    def test_faces_that_the_faceset_has_not(self, scene: Scene):
        (record,) = scene.shot(1)
        strangers = [entry(record, face=f"stranger_{n}.exr") for n in range(7)]
        reports = scene.label(polygons=polygon_file(scene, entry(record), *strangers))
        (warned,) = [r for r in reports if isinstance(r, Warned)]
        assert "no face stranger_0.exr, " in warned.message
        assert warned.message.endswith("and 2 more")
        with pytest.raises(NoFace):
            scene.label(polygons=polygon_file(scene, *strangers))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            '{"faces": []}',
            '{"format": "understudy.polygons/2", "faces": []}',
            '{"format": "understudy.polygons/1"}',
            '{"format": "understudy.polygons/1", "faces": {}}',
            '{"format": "understudy.polygons/1", "faces": [17]}',
            '{"format": "understudy.polygons/1", "faces": [{"polygons": []}]}',
            '{"format": "understudy.polygons/1", "faces": [{"frame": "one"}]}',
            '{"format": "understudy.polygons/1", "faces": [], "space": "world"}',
            '{"format": "understudy.polygons/1", "faces": [], "size": [1, 2]}',
            '{"format": "understudy.polygons/1", "faces": [], "size": 0}',
            '{"format": "understudy.polygons/1", "faces": [], "space": "plate", "size": 7}',
            "[" * 100_000,
        ],
    )
    def test_files_that_are_none(self, scene: Scene, text: str):
        scene.shot(1)
        (scene.folder / "bad.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"bad\.json: not a file of polygons"):
            scene.label(polygons=scene.folder / "bad.json")

    def test_no_file(self, scene: Scene):
        scene.shot(1)
        with pytest.raises(NotFound, match="no such file"):
            scene.label(polygons=scene.folder / "none.json")


class TestCrops:
    def crop(self, scene: Scene, record: FaceRecord, kind: str, size: int = SIDE) -> np.ndarray:
        points = record.alignment.apply(outline_of(record)) * (size / SIDE)
        matte = draw([Polygon(include=True, points=points)], (size, size))
        path = scene.folder / "crops" / f"{record.path.stem}{kind}"
        path.parent.mkdir(exist_ok=True)
        if kind == ".exr":
            write(path, {"A": matte})
        else:
            deep = kind in (".tif", ".tiff")
            cv2.imwrite(
                str(path), np.round(matte * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)
            )
        return matte

    @pytest.mark.parametrize("kind", [".exr", ".png", ".tif", ".tiff"])
    def test_an_image_of_the_faces_name(self, scene: Scene, kind: str):
        one, _ = scene.shot(2)
        matte = self.crop(scene, one, kind)
        assert only(scene.label(crops=scene.folder / "crops")).status is DONE
        np.testing.assert_allclose(scene.labels()[one.path.name], matte, atol=2.5e-3)

    @pytest.mark.parametrize("size", [32, 200])
    def test_of_another_size(self, scene: Scene, size: int):
        (one,) = scene.shot(1)
        self.crop(scene, one, ".png", size)
        assert only(scene.label(crops=scene.folder / "crops")).status is DONE
        wanted = draw([Polygon(include=True, points=one.alignment.apply(outline_of(one)))], (SIDE, SIDE))
        close(scene.labels()[one.path.name], wanted, 0.94)

    def test_a_picture_with_an_alpha(self, scene: Scene):
        (one,) = scene.shot(1)
        matte = self.crop(scene, one, ".png")
        levels = np.round(matte * 255).astype(np.uint8)
        rgba = np.dstack([np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8), levels])
        path = scene.folder / "crops" / f"{one.path.stem}.png"
        cv2.imwrite(str(path), rgba)
        assert only(scene.label(crops=path.parent)).status is DONE
        np.testing.assert_allclose(scene.labels()[one.path.name], matte, atol=2.5e-3)
        rgba[..., 3] = 255
        cv2.imwrite(str(path), rgba)
        assert "opaque" in only(scene.label(crops=path.parent)).message
        cv2.imwrite(str(path), rgba[..., :3])
        assert "differ; name the channel" in only(scene.label(crops=path.parent)).message

    def test_the_same_face_twice(self, scene: Scene):
        one, two = scene.shot(2)
        for record, kind in ((one, ".png"), (one, ".exr"), (two, ".png")):
            self.crop(scene, record, kind)
        first, second = frames(scene.label(crops=scene.folder / "crops"))
        assert (first.status, second.status) == (FAILED, DONE)
        assert "shot_t0.1001.png; leave one of them" in first.message

    def test_pictures_that_are_not_square_or_broken(self, scene: Scene):
        one, two = scene.shot(2)
        folder = scene.folder / "crops"
        self.crop(scene, one, ".png")
        self.crop(scene, two, ".png")
        cv2.imwrite(str(folder / f"{one.path.stem}.png"), np.zeros((64, 48), np.uint8))
        file = folder / f"{two.path.stem}.png"
        file.write_bytes(file.read_bytes()[:60])
        first, second = frames(scene.label(crops=folder))
        assert "48×64 pixels; a face's crop is square" in first.message
        assert (second.status, second.reason) == (FAILED, "FRAME_UNREADABLE")

    def test_no_folder_and_nothing_in_it(self, scene: Scene):
        scene.shot(1)
        with pytest.raises(NotFound):
            scene.label(crops=scene.folder / "none")
        (scene.folder / "empty").mkdir()
        with pytest.raises(NotFound):
            scene.label(crops=scene.folder / "empty")


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({}, "source"),
            ({"polygons": Path("a.json"), "crops": Path("b")}, "source"),
            ({"polygons": Path("a.json"), "marks": "hair"}, "marks"),
            ({"polygons": Path("a.json"), "channel": "A"}, "channel"),
        ],
    )
    def test_what_makes_no_sense(self, settings: dict[str, Any], field: str):
        with pytest.raises(InvalidInput) as caught:
            LabelSettings(faceset=Path("faces"), **settings)
        assert caught.value.field == field

    def test_a_pack_is_not_labelled(self, scene: Scene):
        (record,) = scene.shot(1)
        scene.rotoscope(record)
        packed = scene.folder / "p.faceset"
        list(pack.pack(pack.PackSettings(faceset=scene.faces, out=packed)))
        scene.faces = packed
        with pytest.raises(InvalidInput, match="is a pack"):
            scene.label()

    def test_closing_it_leaves_what_is_done(self, scene: Scene):
        records = scene.shot(4)
        scene.rotoscope(*records)
        work = run(LabelSettings(faceset=scene.faces, roto=plate.find(str(scene.roto))))
        for report in work:
            if isinstance(report, FrameReport):
                break
        work.close()
        count = len(scene.labels())
        assert 1 <= count <= 4
        assert sum(r.status is SKIPPED for r in frames(scene.label())) == count
        assert not list(scene.faces.rglob(".*exr"))
