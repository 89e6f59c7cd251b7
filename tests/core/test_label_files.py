"""Polygons in a file and pictures of crops become labels; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.core.labelling import (
    DONE,
    FAILED,
    SIDE,
    SKIPPED,
    Scene,
    close,
    frames,
    only,
    outline_of,
    write,
)
from understudy.core import plate
from understudy.core.errors import InvalidInput, NoFace, NotFound
from understudy.core.faceset import FaceRecord, Faceset, pack
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.reports import FrameReport, Warned
from understudy.core.segment.fitting import face_hull
from understudy.core.segment.label import LabelSettings, run


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


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
