"""DeepFaceLab's polygons are our labels, its XSeg masks our mattes, there and back; a person's own go first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.dflfaces import beside, encoded, fields, import_, mask, polygons, records, warned, write
from tests.core.dflfaces import jpeg as face
from tests.core.faces import several
from understudy.core.colour import ColourConfig
from understudy.core.faceset import FaceRecord, Faceset, dfl, pack, resize
from understudy.core.faceset.dfl import jpeg, metadata, sidecar
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.faceset.polygons import Polygon
from understudy.core.weights import WeightStore

FULL: dict[str, Any] = {"seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}
BOX = np.array([(10.0, 12.0), (50.0, 12.0), (50.0, 52.0), (10.0, 52.0)])


class Way:
    """From DeepFaceLab to us and back."""

    def __init__(self, folder: Path, colour: ColourConfig) -> None:
        self.folder, self.colour = folder, colour
        self.ours, self.back = folder / "ours", folder / "back"

    def bring(self, **more: Any) -> list[tuple[str, str]]:
        """Import one face with these fields; the warnings."""
        write(self.folder / "dfl", **{"00012_0": face({**fields(), **more})})
        return warned(import_(self.folder / "dfl", self.ours, self.colour))

    @property
    def face(self) -> FaceRecord:
        return next(iter(records(self.ours).values()))

    @property
    def faces(self) -> Faceset:
        return Faceset.open(self.ours)

    def export(self, path: Path | None = None) -> metadata.Metadata:
        """What goes out of the one face."""
        settings = dfl.ExportSettings(faceset=path or self.ours, out=self.back)
        list(dfl.export(settings, colour=self.colour))
        (file,) = self.back.glob("*.jpg")
        return metadata.read(jpeg.metadata(file.read_bytes(), file) or b"", file)


@pytest.fixture
def way(tmp_path: Path, colour: ColourConfig) -> Way:
    return Way(tmp_path, colour)


def drawn(of: FaceRecord, matte: np.ndarray | None = None) -> Label:
    if matte is not None:
        return Label(kind="matte", matte=matte, alignment=of.alignment, origin="roto")
    return Label(
        kind="polygons", polygons=(Polygon(include=True, points=BOX),), alignment=of.alignment, origin="me"
    )


def ramp() -> np.ndarray:
    return np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))


def points(said: metadata.Metadata) -> list[tuple[int, list[Any]]]:
    return [(p.kind, p.points.tolist()) for p in said.seg_ie_polys]


def original() -> list[tuple[int, list[Any]]]:
    return [(p["type"], p["pts"].astype(np.float64).tolist()) for p in polygons()["polys"]]


class TestImport:
    def test_polygons_become_a_label_half_a_pixel_further(self, way: Way):
        assert way.bring(**FULL) == []
        label = Labels(way.faces).read(way.face)
        assert label is not None
        assert (label.kind, label.origin) == ("polygons", "dfl")
        assert [(int(p.include), (p.points - 0.5).tolist()) for p in label.polygons] == original()
        np.testing.assert_array_equal(label.alignment.matrix, way.face.alignment.matrix)

    @pytest.mark.parametrize("size", [64, 128])
    def test_a_mask_becomes_a_matte_in_whatever_size_it_has(self, way: Way, size: int):
        way.bring(xseg_mask=encoded(mask(size)))
        matte = Mattes(way.faces).read(way.face)
        assert matte is not None
        assert (matte.segmenter, matte.confidence, matte.alignment.size) == ("dfl", 1.0, size)
        np.testing.assert_array_equal(np.round(matte.matte * 255), mask(size))
        found = Mattes(way.faces).matte(way.face)
        assert found is not None
        assert found.shape == (64, 64)
        assert np.abs(found - mask() / 255).mean() < 0.02
        assert Labels(way.faces).names() == frozenset()

    def test_a_mask_that_is_not_square_covers_the_crop_all_the_same(self, way: Way):
        tall = np.asarray(np.repeat(mask(64), 2, axis=0))
        way.bring(xseg_mask=encoded(tall))
        found = Mattes(way.faces).matte(way.face)
        assert found is not None
        assert np.abs(found - mask() / 255).mean() < 0.02

    @pytest.mark.parametrize(
        "polys",
        [
            [{"type": 0, "pts": np.array([(1, 1), (50, 1), (50, 50)], np.float32)}],
            [{"type": 1, "pts": np.array([(1, 1), (50, 1)], np.float32)}],
        ],
    )
    def test_polygons_that_include_nothing_are_told_of_and_kept(self, way: Way, polys: list[Any]):
        ((reason, message),) = way.bring(seg_ie_polys={"polys": polys})
        assert reason == "LABEL_REFUSED"
        assert "00012_0.jpg" in message
        assert Labels(way.faces).names() == frozenset()
        assert len(way.export().seg_ie_polys) == 1

    def test_a_damaged_mask_is_told_of_and_kept(self, way: Way):
        ((reason, message),) = way.bring(
            xseg_mask=np.frombuffer(b"\x89PNG no", np.uint8)[:, None], seg_ie_polys=polygons()
        )
        assert reason == "FRAME_UNREADABLE"
        assert "it gets no matte" in message
        assert Mattes(way.faces).names() == frozenset()
        assert len(Labels(way.faces).names()) == 1
        assert way.export().xseg_mask == b"\x89PNG no"

    def test_a_face_without_either_gets_neither(self, way: Way):
        assert way.bring() == []
        assert not (way.ours / "labels").exists()
        assert not (way.ours / "mattes").exists()


class TestAgain:
    def test_what_a_person_drew_since_stays(self, way: Way):
        way.bring(**FULL)
        Labels(way.faces).write(way.face, drawn(way.face))
        mine = Labels(way.faces).digest(way.face)
        way.bring(**FULL, eyebrows_expand_mod=0.5)  # another file of the same name
        assert Labels(way.faces).digest(way.face) == mine
        assert way.export().seg_ie_polys[0].points.tolist() == (BOX - 0.5).tolist()

    def test_what_came_from_there_follows_what_is_there_now(self, way: Way):
        way.bring(**FULL)
        first = Labels(way.faces).digest(way.face)
        other = polygons()
        other["polys"][0]["pts"] = other["polys"][0]["pts"] + np.float32(1.0)
        way.bring(seg_ie_polys=other)
        assert Labels(way.faces).digest(way.face) not in (first, None)
        assert Mattes(way.faces).names() == frozenset()
        way.bring()
        assert Labels(way.faces).names() == frozenset()

    def test_a_segmenters_matte_stays(self, way: Way):
        way.bring(**FULL)
        made = Matte(matte=ramp(), confidence=0.5, segmenter="s", made_of="m", alignment=way.face.alignment)
        Mattes(way.faces).write(way.face, made)
        way.bring(**FULL, eyebrows_expand_mod=0.5)
        assert Mattes(way.faces).about(way.face) == (0.5, "m")


class TestExport:
    def test_unchanged_they_go_out_to_the_bit(self, way: Way):
        way.bring(**FULL)
        said = way.export()
        assert points(said) == original()
        assert said.xseg_mask == FULL["xseg_mask"].tobytes()

    def test_cleared_they_do_not_go_out(self, way: Way):
        way.bring(**FULL)
        Labels(way.faces).clear([way.face.path.name])
        said = way.export()
        assert said.seg_ie_polys == ()
        assert said.xseg_mask == FULL["xseg_mask"].tobytes()
        Mattes(way.faces).clear([way.face.path.name])
        assert way.export().xseg_mask is None

    def test_side_files_of_before_there_were_labels_still_say_it(self, way: Way):
        way.bring(**FULL)
        path = sidecar.path_of(way.face.path)
        entries = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in entries.items() if k not in ("label", "matte")}))
        Labels(way.faces).clear([way.face.path.name])
        Mattes(way.faces).clear([way.face.path.name])
        assert beside(way.ours, way.face).label is None
        said = way.export()
        assert points(said) == original()
        assert said.xseg_mask == FULL["xseg_mask"].tobytes()

    def test_a_new_label_goes_out_in_its_place(self, way: Way):
        way.bring(**FULL)
        Labels(way.faces).write(way.face, drawn(way.face))
        said = way.export()
        assert points(said) == [(1, (BOX - 0.5).tolist())]
        assert said.xseg_mask == FULL["xseg_mask"].tobytes()

    def test_a_label_that_is_a_matte_goes_out_as_the_mask(self, way: Way):
        """DeepFaceLab has no other word for it; the polygons that it takes the place of do not go along."""
        way.bring(**FULL)
        Labels(way.faces).write(way.face, drawn(way.face, ramp()))
        said = way.export()
        assert said.seg_ie_polys == ()
        assert said.xseg_mask is not None
        np.testing.assert_allclose(metadata.decode_mask(said.xseg_mask, "mask"), ramp() * 255, atol=0.7)

    def test_a_segmenters_matte_goes_out_as_the_mask(self, way: Way):
        way.bring(seg_ie_polys=polygons())
        made = Matte(matte=ramp(), confidence=0.5, segmenter="s", made_of="m", alignment=way.face.alignment)
        Mattes(way.faces).write(way.face, made)
        said = way.export()
        assert points(said) == original()
        assert said.xseg_mask is not None
        np.testing.assert_allclose(metadata.decode_mask(said.xseg_mask, "mask"), ramp() * 255, atol=0.7)

    def test_a_face_that_deepfacelab_never_saw(self, way: Way):
        faces = several(way.ours, 1)
        one = faces.records[0]
        Labels(faces).write(one, drawn(one))
        said = way.export()
        assert points(said) == [(1, (BOX - 0.5).tolist())]
        assert said.xseg_mask is None

    def test_out_of_a_pack(self, way: Way):
        way.bring(**FULL)
        Labels(way.faces).write(way.face, drawn(way.face, ramp()))
        list(pack.pack(pack.PackSettings(faceset=way.ours, out=way.folder / "p.faceset")))
        said = way.export(way.folder / "p.faceset")
        assert said.seg_ie_polys == ()
        assert said.xseg_mask is not None
        np.testing.assert_allclose(metadata.decode_mask(said.xseg_mask, "mask"), ramp() * 255, atol=0.7)

    def test_in_a_set_of_another_size_they_are_carried(self, way: Way, weight_store: WeightStore):
        way.bring(**FULL)
        small = way.folder / "small"
        list(resize.run(resize.ResizeSettings(faceset=way.ours, out=small, size=32), store=weight_store))
        said = way.export(small)
        for (kind, line), (was_kind, was) in zip(points(said), original(), strict=True):
            assert kind == was_kind
            np.testing.assert_allclose(np.array(line) + 0.5, (np.array(was) + 0.5) / 2, atol=1e-4)
        assert said.xseg_mask is not None
        found = metadata.decode_mask(said.xseg_mask, "mask")
        assert found.shape == (32, 32)

    def test_a_broken_label_leaves_the_face_out_and_is_named(self, way: Way):
        faces = several(way.ours, 2, pixel_aspect=1.0)
        Labels(faces).write(faces.records[0], drawn(faces.records[0])).write_text("{}")
        settings = dfl.ExportSettings(faceset=way.ours, out=way.back)
        ((reason, message),) = warned(list(dfl.export(settings, colour=way.colour)))
        assert reason == "FRAME_UNREADABLE"
        assert "labels/shot_t0.1001.json" in message


def test_the_golden_files(shared: Path, way: Way):
    """64 with polygons, 96 with a mask, 128 with both; as DeepFaceLab itself decodes the masks."""
    import_(shared / "golden" / "dfl" / "dflimg" / "faceset.pak", way.ours, way.colour)
    faces = way.faces
    sizes = {r.path.name: r.alignment.size for r in faces.records}
    assert sorted(sizes[n] for n in Labels(faces).names()) == [64, 128]
    assert sorted(sizes[n] for n in Mattes(faces).names()) == [96, 128]
    for record in faces.records:
        name = beside(way.ours, record).file
        stored = np.load(shared / "golden" / "dfl" / "dflimg" / f"{Path(name).stem}.npz")
        if "xseg_mask_u8" in stored.files:
            matte = Mattes(faces).read(record)
            assert matte is not None
            wanted = stored["xseg_mask_u8"].reshape(matte.matte.shape)
            np.testing.assert_array_equal(np.round(matte.matte * 255), wanted)
        if name != "00002_1.jpg":
            drawn_ = Labels(faces).matte(record)
            assert drawn_ is not None
            theirs = stored["poly_overlay_u8"]
            assert np.abs(drawn_ - theirs).mean() < 0.05
