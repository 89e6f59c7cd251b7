"""Labels and mattes beside the faces: written, read in another crop, cleared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.faces import record, several
from tests.core.labels import BOX, drawn, made, polygons, soft
from understudy.core import align, plate
from understudy.core.errors import FrameUnreadable, InvalidInput, WriteFailed
from understudy.core.faceset import Faceset, curate
from understudy.core.faceset.beside import scaled
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Mattes, occ, occ_digest
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.frames import Frame, Window


@pytest.fixture
def faces(tmp_path: Path) -> Faceset:
    return several(tmp_path / "faces")


class TestLabels:
    def test_polygons_come_back_to_the_bit(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        given_ = polygons(face)
        path = labels.write(face, given_)
        assert path == faces.path / "labels" / f"{face.path.stem}.json"
        found = labels.read(face)
        assert found is not None
        assert (found.kind, found.origin, found.made_of) == ("polygons", "a test", "m" * 64)
        assert [p.include for p in found.polygons] == [True, False]
        for one, other in zip(found.polygons, given_.polygons, strict=True):
            np.testing.assert_array_equal(one.points, other.points)
        np.testing.assert_array_equal(found.alignment.matrix, face.alignment.matrix)
        assert (found.alignment.size, found.alignment.face_type) == (64, "whole")
        np.testing.assert_array_equal(labels.matte(face), draw(given_.polygons, (64, 64)))

    def test_a_matte_comes_back_within_half_a_float(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        path = labels.write(face, drawn(face))
        frame = plate.read_file(path)
        assert list(frame.planes) == ["A"]
        assert frame.planes["A"].dtype == np.float16
        np.testing.assert_array_equal(labels.matte(face), soft().astype(np.float16).astype(np.float32))
        found = labels.read(face)
        assert found is not None
        assert (found.kind, found.origin) == ("matte", "roto.1001.exr A")

    def test_a_new_label_takes_the_place_of_one_of_another_kind(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        labels.write(face, polygons(face))
        labels.write(face, drawn(face))
        assert [p.suffix for p in (faces.path / "labels").iterdir()] == [".exr"]
        labels.write(face, polygons(face))
        assert [p.suffix for p in (faces.path / "labels").iterdir()] == [".json"]

    def test_names_are_of_faces_that_are_there(self, faces: Faceset):
        labels = Labels(faces)
        assert labels.names() == frozenset()
        labels.write(faces.records[0], polygons(faces.records[0]))
        labels.write(faces.records[2], drawn(faces.records[2]))
        (faces.path / "labels" / "somebody_t0.1001.json").write_text("{}")
        (faces.path / "labels" / "notes.txt").write_text("")
        assert labels.names() == {"shot_t0.1001.exr", "shot_t0.1003.exr"}
        curate.reject(faces, np.array([0]))
        assert Labels(Faceset.open(faces.path)).names() == {"shot_t0.1003.exr"}
        curate.restore(faces.path)
        assert Labels(Faceset.open(faces.path)).names() == {"shot_t0.1001.exr", "shot_t0.1003.exr"}

    def test_no_label_is_none(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        assert (labels.read(face), labels.matte(face), labels.digest(face)) == (None, None, None)

    def test_the_digest_is_of_the_content(self, faces: Faceset):
        one, two = faces.records[:2]
        labels = Labels(faces)
        labels.write(one, polygons(one))
        labels.write(two, polygons(two))
        assert labels.digest(one) == labels.digest(two)
        labels.write(two, polygons(two, origin="another"))
        assert labels.digest(one) != labels.digest(two)

    def test_clear_deletes_labels_of_named_faces_and_nothing_else(self, faces: Faceset):
        labels = Labels(faces)
        for face in faces.records:
            labels.write(face, polygons(face))
            Mattes(faces).write(face, made(face))
        assert labels.clear(["shot_t0.1001.exr", "shot_t0.1003.exr", "nobody.exr"]) == 2
        assert labels.names() == {"shot_t0.1002.exr"}
        assert len(Mattes(faces).names()) == 3
        assert Mattes(faces).clear(["shot_t0.1001.exr"]) == 1
        assert Mattes(faces).clear(["shot_t0.1001.exr"]) == 0

    @pytest.mark.parametrize("kind", ["polygons", "matte"])
    def test_size_scales_it(self, faces: Faceset, kind: str):
        face, labels = faces.records[0], Labels(faces)
        labels.write(face, polygons(face) if kind == "polygons" else drawn(face))
        whole, twice = labels.matte(face), labels.matte(face, 128)
        assert whole is not None
        assert twice is not None
        assert twice.shape == (128, 128)
        averaged = twice.reshape(64, 2, 64, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(averaged, whole, atol=0.06)

    @pytest.mark.parametrize("kind", ["polygons", "matte"])
    def test_a_face_that_was_aligned_anew_finds_its_label_where_it_was_drawn(self, faces: Faceset, kind: str):
        """In plate coordinates: what is below half an aligned pixel moves less than one in the matte."""
        face, labels = faces.records[0], Labels(faces)
        labels.write(face, polygons(face) if kind == "polygons" else drawn(face))
        points = face.face.landmarks.points + np.array((9.0, -14.0), np.float32)
        moved = replace(face, alignment=align.fit(points, "full", 96, face.pixel_aspect))
        before, after = labels.matte(face), labels.matte(moved)
        assert before is not None
        assert after is not None
        assert after.shape == (96, 96)
        for of, matte in ((face, before), (moved, after)):
            y, x = np.mgrid[: matte.shape[0], : matte.shape[0]] + 0.5
            middle = np.array([(matte * x).sum(), (matte * y).sum()]) / matte.sum()
            where = of.alignment.inverse @ (*middle, 1.0)
            area = matte.sum() / abs(np.linalg.det(of.alignment.matrix[:, :2]))
            if of is face:
                expected, whole = where, area
        np.testing.assert_allclose(where, expected, atol=0.3 * face.pixel_aspect)
        assert area == pytest.approx(whole, rel=0.02)

    @pytest.mark.parametrize("kind", ["polygons", "matte"])
    def test_a_label_misses_a_crop_in_which_nothing_of_it_lies(self, faces: Faceset, kind: str):
        face = faces.records[0]
        label = polygons(face) if kind == "polygons" else drawn(face)
        aside = np.array([[0.0, 0.0, 40.0], [0.0, 0.0, 0.0]])
        near, far = (replace(face.alignment, matrix=face.alignment.matrix + n * aside) for n in (1, 2))
        assert [label.misses(where) for where in (face.alignment, near, far)] == [False, False, True]
        empty = drawn(face, np.zeros((64, 64), np.float32))
        assert not empty.misses(face.alignment)
        assert not empty.misses(far)

    def test_where_the_label_does_not_reach_there_is_no_face(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        labels.write(face, drawn(face, np.ones((64, 64), np.float32)))
        far = replace(
            face,
            alignment=replace(
                face.alignment, matrix=face.alignment.matrix + np.array([[0, 0, 900.0], [0, 0, 0]])
            ),
        )
        matte = labels.matte(far)
        assert matte is not None
        assert matte.max() == 0.0
        wide = replace(face, alignment=align.fit(face.face.landmarks.points, "head", 64, face.pixel_aspect))
        around = labels.matte(wide)
        assert around is not None
        assert around[0].max() == 0.0
        assert around[40, 32] == 1.0


class TestMattes:
    def test_there_and_back(self, faces: Faceset):
        face, mattes = faces.records[1], Mattes(faces)
        assert (mattes.read(face), mattes.about(face), mattes.matte(face)) == (None, None, None)
        path = mattes.write(face, made(face))
        assert path == faces.path / "mattes" / "shot_t0.1002.exr"
        found = mattes.read(face)
        assert found is not None
        assert (found.confidence, found.segmenter, found.made_of) == (0.8125, "s" * 64, "f" * 64)
        assert mattes.about(face) == (0.8125, "f" * 64)
        assert mattes.names() == {"shot_t0.1002.exr"}
        np.testing.assert_array_equal(mattes.matte(face), soft().astype(np.float16).astype(np.float32))

    def test_occ_is_the_label_where_there_is_one(self, faces: Faceset):
        face = faces.records[0]
        assert (occ(faces, face, face.alignment), occ_digest(faces, face)) == (None, None)
        Mattes(faces).write(face, made(face))
        np.testing.assert_array_equal(occ(faces, face, face.alignment), Mattes(faces).matte(face))
        of_matte = occ_digest(faces, face)
        assert of_matte == Mattes(faces).digest(face)
        Labels(faces).write(face, polygons(face))
        np.testing.assert_array_equal(occ(faces, face, face.alignment), Labels(faces).matte(face))
        assert occ_digest(faces, face) == Labels(faces).digest(face) != of_matte
        small = occ(faces, face, scaled(face.alignment, 32))
        assert small is not None
        assert small.shape == (32, 32)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
    def test_values_that_are_no_matte_are_not_written(self, faces: Faceset, value: float):
        face, matte = faces.records[0], soft()
        matte[3, 4] = value
        with pytest.raises(InvalidInput, match="outside 0 to 1"):
            Mattes(faces).write(face, made(face, matte))
        with pytest.raises(InvalidInput, match="outside 0 to 1"):
            Labels(faces).write(face, drawn(face, matte))
        assert Mattes(faces).names() == Labels(faces).names() == frozenset()

    def test_a_matte_of_another_size_than_its_crop_is_not_written(self, faces: Faceset):
        face = faces.records[0]
        with pytest.raises(InvalidInput, match=r"\(32, 32\) in a crop of 64"):
            Mattes(faces).write(face, made(face, soft(32)))

    @pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
    def test_confidence_is_from_0_to_1(self, faces: Faceset, confidence: float):
        with pytest.raises(InvalidInput, match="confidence"):
            made(faces.records[0], confidence=confidence)


class TestBroken:
    def test_a_face_with_two_labels(self, faces: Faceset):
        face, labels = faces.records[0], Labels(faces)
        labels.write(face, drawn(face))
        shutil.copy(labels.path(face, "matte"), faces.path / "kept.exr")
        labels.write(face, polygons(face))
        (faces.path / "kept.exr").rename(labels.path(face, "matte"))
        assert labels.names() == {"shot_t0.1001.exr"}
        for ask in (labels.read, labels.matte, labels.digest):
            with pytest.raises(InvalidInput, match="polygons and a matte"):
                ask(face)
        assert labels.clear(["shot_t0.1001.exr"]) == 1
        assert labels.read(face) is None

    @pytest.mark.parametrize("kinds", [("polygons", "matte"), ("matte", "polygons")])
    @pytest.mark.parametrize(("written", "removed"), [(0, 0), (0, 1), (1, 1), (1, 2)])
    def test_while_a_label_of_another_kind_takes_its_place_there_is_one(
        self,
        faces: Faceset,
        monkeypatch: pytest.MonkeyPatch,
        kinds: tuple[str, str],
        written: int,
        removed: int,
    ):
        """The new one is written, and the old one goes, before the reader's file of that number."""
        face, labels, beside = faces.records[0], Labels(faces), Faceset.beside
        given_ = {"polygons": polygons(face), "matte": drawn(face)}
        old, new = kinds
        content = labels.write(face, given_[new]).read_bytes()
        labels.write(face, given_[old])
        asked = list[str]()

        def ask(faceset: Faceset, name: str) -> bytes | None:
            if len(asked) == written:
                labels.path(face, new).write_bytes(content)
            if len(asked) == removed:
                labels.path(face, old).unlink()
            asked.append(name)
            return beside(faceset, name)

        monkeypatch.setattr(Faceset, "beside", ask)
        read = labels.read(face)
        assert read is not None
        assert read.kind in kinds

    @pytest.mark.parametrize("kind", ["polygons", "matte"])
    def test_what_could_not_be_read_again_is_not_written(
        self, faces: Faceset, monkeypatch: pytest.MonkeyPatch, kind: str
    ):
        face, labels = faces.records[0], Labels(faces)
        good = polygons(face) if kind == "polygons" else drawn(face)
        before = labels.write(face, good).read_bytes()
        flat = replace(face.alignment, matrix=np.zeros((2, 3)))
        monkeypatch.setattr("understudy.core.faceset.beside.LARGEST", 63)
        for where, says in ((flat, "its alignment"), (face.alignment, "its size")):
            with pytest.raises(InvalidInput, match=says):
                labels.write(face, replace(good, alignment=where))
        monkeypatch.undo()
        assert labels.path(face, kind).read_bytes() == before
        monkeypatch.setattr("understudy.core.faceset.labels._LARGEST", 100)
        if kind == "polygons":
            with pytest.raises(InvalidInput, match="bytes"):
                labels.write(face, good)
        monkeypatch.undo()
        assert labels.read(face) is not None

    def said(self, faces: Faceset) -> dict:
        face = faces.records[0]
        path = Labels(faces).write(face, polygons(face))
        found: dict = json.loads(path.read_text())
        return found

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"format": "understudy.label/9"}, "format"),
            ({"alignment": [[1, 0, 0], [0, 0, 0]]}, "alignment"),
            ({"alignment": [[1, 0], [0, 1]]}, "alignment"),
            ({"alignment": [[1, 0, float("nan")], [0, 1, 0]]}, "alignment"),
            ({"size": 0}, "size"),
            ({"size": "many"}, "many"),
            ({"polygons": []}, "1 to 1000"),
            ({"polygons": "none"}, "no list"),
            ({"polygons": [{"type": "include", "points": [[1, 2]]}]}, "number 1: 1 point;"),
            ({"polygons": [{"type": "maybe", "points": BOX.tolist()}]}, "'maybe'"),
            ({"polygons": [{"points": [["a", "b"]] * 3}]}, "no pairs"),
            ({"polygons": [{"points": [[1, 2], [3], [4, 5]]}]}, "no pairs"),
            ({"polygons": [17]}, "number 1"),
            ({"polygons": [{"points": [[1, 1e400], [3, 3], [4, 5]]}]}, "not finite"),
        ],
    )
    def test_polygons_that_are_none(self, faces: Faceset, change: dict, says: str):
        path = Labels(faces).path(faces.records[0], "polygons")
        path.write_text(json.dumps({**self.said(faces), **change}))
        with pytest.raises(FrameUnreadable, match=says) as caught:
            Labels(faces).read(faces.records[0])
        assert str(path) in caught.value.message

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "\xff\xfe", "[" * 100_000])
    def test_files_that_are_no_json_of_ours(self, faces: Faceset, text: str):
        self.said(faces)
        path = Labels(faces).path(faces.records[0], "polygons")
        path.write_bytes(text.encode("latin1"))
        with pytest.raises(FrameUnreadable, match=r"labels/shot_t0\.1001\.json"):
            Labels(faces).read(faces.records[0])

    @pytest.mark.parametrize("name", ["labels", "mattes"])
    def test_pictures_that_are_no_mattes(self, faces: Faceset, name: str):
        face = faces.records[0]
        kind = Labels(faces) if name == "labels" else Mattes(faces)
        path = faces.path / name / "shot_t0.1001.exr"
        kind.write(face, drawn(face) if name == "labels" else made(face))  # type: ignore[arg-type]
        good = plate.read_file(path)
        nothing = np.full((64, 64), np.nan, np.float32)
        wide = Window(0, 0, 64, 32)
        bad: list[Frame | bytes] = [
            b"",
            path.read_bytes()[:300],
            path.read_bytes()[:-40],
            replace(good, planes={"Y": good.planes["A"]}),
            replace(good, metadata={}),
            replace(good, metadata={**good.metadata, "understudy/alignment": "[[1]]"}),
            replace(good, planes={"A": nothing}),
            replace(good, planes={"A": good.planes["A"][:32]}, data=wide, display=wide),
        ]
        if name == "mattes":
            bad += [replace(good, metadata={**good.metadata, "understudy/confidence": "very"})]
        for content in bad:
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                plate.write(content, path)
            with pytest.raises(FrameUnreadable) as caught:
                kind.read(face)
            assert str(path) in caught.value.message
        path.write_bytes(b"")
        with pytest.raises(FrameUnreadable):
            occ(faces, face, face.alignment)

    @pytest.mark.parametrize(
        "settings_",
        [
            {"kind": "roto"},
            {"kind": "matte"},
            {"kind": "polygons"},
            {"kind": "polygons", "matte": soft(), "polygons": (Polygon(include=True, points=BOX),)},
        ],
    )
    def test_labels_that_say_nothing_or_two_things(self, faces: Faceset, settings_: dict):
        with pytest.raises(InvalidInput, match="kind"):
            Label(alignment=faces.records[0].alignment, origin="", **settings_)

    def test_a_folder_that_cannot_be_written(self, faces: Faceset):
        (faces.path / "mattes").write_text("a file")
        with pytest.raises(WriteFailed, match="mattes"):
            Mattes(faces).write(faces.records[0], made(faces.records[0]))


class TestProperties:
    @settings(max_examples=25, deadline=None)
    @given(
        shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
        size=st.integers(40, 160),
        kind=st.sampled_from(["half", "full", "whole", "head"]),
    )
    def test_polygons_and_their_drawn_matte_agree_in_any_crop(self, tmp_path_factory, shift, size, kind):
        """A matte of the polygons, moved, is the moved polygons, drawn: but for the filter at the edges."""
        face = record(tmp_path_factory.getbasetemp())
        face = replace(face, alignment=replace(face.alignment, matrix=face.alignment.matrix * 4, size=256))
        points = face.face.landmarks.points + np.float32(shift)
        wanted = align.fit(points, kind, size, face.pixel_aspect)
        shape = Polygon(include=True, points=BOX * 4)
        as_polygons = Label(kind="polygons", polygons=(shape,), alignment=face.alignment, origin="")
        as_matte = Label(kind="matte", matte=draw([shape], (256, 256)), alignment=face.alignment, origin="")
        one, two = as_polygons.drawn(wanted), as_matte.drawn(wanted)
        assert one.shape == two.shape == (size, size)
        assert np.abs(one - two).mean() < 0.02
        assert (np.abs(one - two) > 0.6).sum() <= 4
        if one.sum() > 50:
            assert two.sum() == pytest.approx(one.sum(), rel=0.05)
