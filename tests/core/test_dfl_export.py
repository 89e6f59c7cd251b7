"""Facesets go back to DeepFaceLab: its own fields to the bit, ours computed, nothing of today's numpy in the files."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.dflfaces import encoded, fields, import_, mask, picture, polygons, records, warned, write
from tests.core.dflfaces import jpeg as face
from tests.core.faces import pixels, record
from understudy.core import align, faceset
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameUnreadable, InvalidInput, NoFace, NotFound
from understudy.core.face import Landmarks
from understudy.core.faceset import FaceRecord, Faceset, dfl
from understudy.core.faceset.dfl import jpeg, metadata, pickles, sidecar
from understudy.core.faceset.dfl.conversion import alignment_of
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.reports import Advanced, Artifact, Report, Started

FULL: dict[str, Any] = {"seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}


def export(path: Path, out: Path, colour: ColourConfig, **more: Any) -> list[Report]:
    return list(dfl.export(dfl.ExportSettings(faceset=path, out=out, **more), colour=colour))


def payload(file: Path) -> bytes:
    found = jpeg.metadata(file.read_bytes(), file)
    assert found is not None
    return found


def read(file: Path) -> metadata.Metadata:
    return metadata.read(payload(file), file)


@pytest.fixture
def plain(tmp_path: Path) -> FaceRecord:
    """A face that DeepFaceLab has never seen."""
    one = record(tmp_path / "ours", pixel_aspect=1.0)
    one = replace(one, alignment=align.fit(one.face.landmarks.points, "whole", 64))
    faceset.write(one, pixels())
    return one


def same(found: metadata.Metadata, said: dict[str, Any]) -> None:
    """Every field, to the bit."""
    assert found.landmarks.tolist() == said["landmarks"]
    assert found.source_landmarks.tolist() == said["source_landmarks"]
    assert found.image_to_face_mat is not None
    assert found.image_to_face_mat.tolist() == np.asarray(said["image_to_face_mat"]).tolist()
    assert list(found.source_rect or ()) == said["source_rect"]
    for name in ("face_type", "source_filename", "eyebrows_expand_mod"):
        assert getattr(found, name) == said[name]
    drawn = said.get("seg_ie_polys", {"polys": []})["polys"]
    assert [p.kind for p in found.seg_ie_polys] == [p["type"] for p in drawn]
    for polygon, original in zip(found.seg_ie_polys, drawn, strict=True):
        assert polygon.points.tolist() == np.asarray(original["pts"]).tolist()
    assert found.xseg_mask == (said["xseg_mask"].tobytes() if "xseg_mask" in said else None)


class TestThereAndBack:
    @pytest.mark.parametrize("more", [{}, FULL, {"xseg_mask": encoded(mask(), ".jpg")}])
    @pytest.mark.parametrize("face_type", ["full_face", "whole_face", "head"])
    def test_every_field(self, face_type: str, more: dict[str, Any], tmp_path: Path, colour: ColourConfig):
        said = {**fields(face_type=face_type), **more}
        write(tmp_path / "dfl", **{"00012_0": face(said)})
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        reports = export(tmp_path / "ours", tmp_path / "back", colour)
        assert reports == [
            Started(total=1, unit="face"),
            Advanced(done=1),
            Artifact(kind="faceset", path=tmp_path / "back"),
        ]
        same(read(tmp_path / "back" / "00012_0.jpg"), said)

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.floats(-1e4, 1e4), min_size=136, max_size=136, unique=True),
        st.floats(0.125, 3),
        st.integers(-500, 500),
    )
    def test_any_numbers(self, numbers: list[float], modifier: float, left: int):
        """Through pickle and side file alone; no digit is lost on the way."""
        said = {**fields(eyebrows_expand_mod=modifier, source_rect=[left, 0, left + 9, 9]), **FULL}
        said["source_landmarks"] = np.array(numbers).reshape(68, 2).tolist()
        first = metadata.read(pickle.dumps(said), "first")
        text = json.loads(json.dumps(first.source_landmarks.tolist()))
        assert text == said["source_landmarks"]
        same(metadata.read(metadata.write(first), "again"), said)

    def test_pixels_within_what_one_more_jpeg_costs(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", one=face(fields(size=128), picture(128)))
        original = jpeg.decode((tmp_path / "dfl" / "one.jpg").read_bytes(), "one").astype(int)
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        errors = []
        for quality in (60, 90, 100):
            export(tmp_path / "ours", tmp_path / "back", colour, quality=quality)
            found = jpeg.decode((tmp_path / "back" / "one.jpg").read_bytes(), "one").astype(int)
            errors.append(float(np.abs(found - original).mean()))
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.5

    def test_names_and_people_s_folders(self, tmp_path: Path, colour: ColourConfig):
        names = ["ann__00001_0", "ben__00001_0", "00001_0", "a face of mine"]
        write(tmp_path / "dfl", **{name: face(fields()) for name in names})
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        export(tmp_path / "ours", tmp_path / "back", colour)
        found = {str(p.relative_to(tmp_path / "back")) for p in (tmp_path / "back").rglob("*.jpg")}
        assert found == {"ann/00001_0.jpg", "ben/00001_0.jpg", "00001_0.jpg", "a face of mine.jpg"}

    def test_out_of_a_pack_too(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", one=face({**fields(), **FULL}))
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        list(pack(PackSettings(faceset=tmp_path / "ours", out=tmp_path / "ours.faceset")))
        export(tmp_path / "ours.faceset", tmp_path / "back", colour)
        same(read(tmp_path / "back" / "one.jpg"), {**fields(), **FULL})

    def test_other_fields_come_back(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", one=face(fields(pitch_yaw_roll=[0.1, 0.2, 0.3], note={"a": None})))
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        export(tmp_path / "ours", tmp_path / "back", colour)
        assert read(tmp_path / "back" / "one.jpg").others == {
            "pitch_yaw_roll": [0.1, 0.2, 0.3],
            "note": {"a": None},
        }


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
class TestTheFile:
    def test_its_fields_are_as_deepfacelab_writes_them(self, tmp_path: Path, colour: ColourConfig):
        """Types and order; a field that is not there is left out."""
        said = {**fields(), **FULL}
        write(tmp_path / "dfl", one=face(said), two=face(fields(source="shot_00013.png")))
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        export(tmp_path / "ours", tmp_path / "back", colour)
        found = pickle.loads(payload(tmp_path / "back" / "one.jpg"))
        order = ["face_type", "landmarks", "source_filename", "source_rect", "source_landmarks"]
        order += ["image_to_face_mat", "eyebrows_expand_mod", "seg_ie_polys", "xseg_mask"]
        assert list(found) == order
        assert list(pickle.loads(payload(tmp_path / "back" / "two.jpg"))) == order[:-2]
        for name in order[:5]:
            assert type(found[name]) is type(said[name])
            assert found[name] == said[name]
        for name in ("image_to_face_mat", "xseg_mask"):
            assert found[name].dtype == said[name].dtype
            np.testing.assert_array_equal(found[name], said[name])
        assert [type(v) for v in found["source_rect"]] == [int] * 4
        for polygon, original in zip(
            found["seg_ie_polys"]["polys"], said["seg_ie_polys"]["polys"], strict=True
        ):
            assert polygon["type"] == original["type"]
            assert polygon["pts"].dtype == np.float32
            np.testing.assert_array_equal(polygon["pts"], original["pts"])

    def test_nothing_in_it_is_of_today_s_numpy(self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig):
        export(tmp_path / "ours", tmp_path / "back", colour)
        (file,) = (tmp_path / "back").glob("*.jpg")
        assert b"numpy._core" not in file.read_bytes()
        assert b"numpy.core.multiarray" in payload(file)
        program = (
            "import pickle, sys, warnings; warnings.simplefilter('ignore');"
            "d = pickle.load(sys.stdin.buffer); print(d['face_type'], d['image_to_face_mat'].shape)"
        )
        run = subprocess.run(
            [sys.executable, "-I", "-c", program], input=payload(file), capture_output=True, check=True
        )
        assert run.stdout.decode().strip() == "whole_face (2, 3)"

    def test_it_is_a_baseline_jpeg_with_the_segment_after_app0(
        self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig
    ):
        export(tmp_path / "ours", tmp_path / "back", colour)
        (file,) = (tmp_path / "back").glob("*.jpg")
        assert [s.marker for s in jpeg._segments(file.read_bytes(), file)][:2] == [0xE0, 0xEF]
        assert jpeg.size(file.read_bytes(), file) == (64, 64)


class TestOurOwn:
    """A face that was extracted here."""

    def test_all_is_computed(self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig):
        export(tmp_path / "ours", tmp_path / "back", colour)
        found = read(tmp_path / "back" / "shot.1001_0.jpg")
        assert (found.face_type, found.source_filename) == ("whole_face", "shot.1001.exr")
        assert found.source_rect == tuple(round(v - 0.5) for v in plain.face.box)
        points = plain.face.landmarks.points
        np.testing.assert_allclose(found.source_landmarks, points - 0.5, atol=1e-3)
        np.testing.assert_allclose(found.landmarks, plain.alignment.apply(points) - 0.5, atol=1e-3)
        assert found.image_to_face_mat is not None
        mapped = found.source_landmarks @ found.image_to_face_mat[:, :2].T + found.image_to_face_mat[:, 2]
        np.testing.assert_allclose(mapped, found.landmarks, atol=1e-6)
        assert found.eyebrows_expand_mod == 1.0
        assert (found.seg_ie_polys, found.xseg_mask) == ((), None)

    def test_pixels_are_as_looked_at(self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig):
        """With the shot's exposure; what is above display white is held there."""
        export(tmp_path / "ours", tmp_path / "back", colour, quality=100)
        found = jpeg.decode((tmp_path / "back" / "shot.1001_0.jpg").read_bytes(), "x").astype(int)
        opened = Faceset.open(tmp_path / "ours")
        shown = colour.proxy(opened.load(opened.records[0]), plain.gain) * 255
        assert shown.max() == 255
        assert np.abs(found - shown).mean() < 1.5

    def test_several_on_a_frame_are_counted(self, tmp_path: Path, colour: ColourConfig):
        for track in range(3):
            faceset.write(record(tmp_path / "ours", track=track), pixels(track))
        faceset.write(record(tmp_path / "ours", frame=1002), pixels())
        export(tmp_path / "ours", tmp_path / "back", colour)
        found = sorted(p.name for p in (tmp_path / "back").glob("*.jpg"))
        assert found == [f"shot.1001_{i}.jpg" for i in range(3)] + ["shot.1002_0.jpg"]

    def test_it_is_imported_again_where_it_was(self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig):
        export(tmp_path / "ours", tmp_path / "back", colour)
        import_(tmp_path / "back", tmp_path / "again", colour)
        (found,) = records(tmp_path / "again").values()
        np.testing.assert_allclose(found.alignment.matrix, plain.alignment.matrix, atol=1e-9)
        np.testing.assert_allclose(found.face.landmarks.points, plain.face.landmarks.points, atol=1e-3)
        assert (found.plate, found.face.frame) == ("shot.%04d.exr", 1001)


class TestWhatHasChanged:
    """The record is right where it and the side file differ."""

    def changed(
        self, tmp_path: Path, colour: ColourConfig, **more: Any
    ) -> tuple[FaceRecord, metadata.Metadata]:
        write(tmp_path / "dfl", one=face({**fields(), **FULL}))
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        (old,) = records(tmp_path / "ours").values()
        new = replace(old, **{name: change(old) for name, change in more.items()})
        faceset.write(new, pixels()[: new.alignment.size, : new.alignment.size])
        export(tmp_path / "ours", tmp_path / "back", colour)
        return new, read(tmp_path / "back" / "one.jpg")

    def test_landmarks(self, tmp_path: Path, colour: ColourConfig):
        def moved(old: FaceRecord) -> Any:
            points = old.face.landmarks.points + np.float32(3)
            return replace(old.face, landmarks=Landmarks(scheme="68", points=points))

        new, found = self.changed(tmp_path, colour, face=moved)
        np.testing.assert_allclose(found.source_landmarks, new.face.landmarks.points - 0.5, atol=1e-3)
        expected = new.alignment.apply(new.face.landmarks.points) - 0.5
        np.testing.assert_allclose(found.landmarks, expected, atol=1e-3)
        assert list(found.source_rect or ()) == fields()["source_rect"]
        assert found.xseg_mask == FULL["xseg_mask"].tobytes()

    def test_the_crop(self, tmp_path: Path, colour: ColourConfig):
        """Polygons and mask go to where they are in the new one."""

        def halved(old: FaceRecord) -> Any:
            return replace(old.alignment, matrix=old.alignment.matrix / 2, size=32)

        _, found = self.changed(tmp_path, colour, alignment=halved)
        assert found.source_landmarks.tolist() == fields()["source_landmarks"]
        np.testing.assert_allclose(
            found.landmarks, (np.array(fields()["landmarks"]) + 0.5) / 2 - 0.5, atol=1e-3
        )
        for polygon, original in zip(found.seg_ie_polys, FULL["seg_ie_polys"]["polys"], strict=True):
            np.testing.assert_allclose(polygon.points, (original["pts"] + 0.5) / 2 - 0.5, atol=1e-3)
        assert found.xseg_mask is not None
        small = metadata.decode_mask(found.xseg_mask, "x")
        expected = cv2.resize(mask(), (32, 32), interpolation=cv2.INTER_AREA)
        assert small.shape == (32, 32)
        assert np.abs(small.astype(int) - expected).mean() < 3

    def test_a_mask_of_another_size_than_its_crop(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", one=face({**fields(), "xseg_mask": encoded(mask(128))}))
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        (old,) = records(tmp_path / "ours").values()
        alignment = replace(old.alignment, matrix=old.alignment.matrix * 1.5, size=96)
        faceset.write(replace(old, alignment=alignment), np.zeros((96, 96, 3), np.float32))
        export(tmp_path / "ours", tmp_path / "back", colour)
        found = read(tmp_path / "back" / "one.jpg").xseg_mask
        assert found is not None
        assert np.abs(metadata.decode_mask(found, "x").astype(int) - mask(96)).mean() < 3


class TestMasks:
    def test_a_mask_that_fits_stays_png(self):
        data = metadata.encode_mask(mask(256))
        assert data.startswith(b"\x89PNG")
        np.testing.assert_array_equal(metadata.decode_mask(data, "x"), mask(256))

    def test_a_mask_that_does_not_becomes_jpeg_of_falling_quality(self, tmp_path: Path):
        noise = np.random.default_rng(0).integers(0, 256, (384, 384)).astype(np.uint8)
        data = metadata.encode_mask(noise)
        assert data.startswith(b"\xff\xd8")
        assert 25_000 < len(data) <= 50_000
        assert metadata.decode_mask(data, "x").shape == (384, 384)

    def test_the_largest_fits_the_segment(self):
        noise = np.random.default_rng(0).integers(0, 256, (384, 384)).astype(np.uint8)
        said = metadata.read(pickle.dumps({**fields(), "seg_ie_polys": polygons()}), "x")
        whole = metadata.write(replace(said, xseg_mask=metadata.encode_mask(noise)))
        assert len(whole) <= jpeg.PAYLOAD

    @pytest.mark.parametrize(
        "data", [b"", b"x", b"\x89PNG\r\n\x1a\n", encoded(mask()).tobytes()[:60], b"\xff\xd8\xff"]
    )
    def test_a_broken_one_is_refused(self, data: bytes):
        with pytest.raises(FrameUnreadable, match=r"face\.jpg: .*xseg_mask"):
            metadata.decode_mask(data, "face.jpg")

    def test_a_bomb_is_refused(self):
        bomb = bytearray(encoded(mask()).tobytes())
        bomb[16:24] = b"\0\0\xff\xff\0\0\xff\xff"
        with pytest.raises(FrameUnreadable, match="65535×65535 pixels"):
            metadata.decode_mask(bytes(bomb), "face.jpg")


class TestRefusals:
    def test_settings(self, tmp_path: Path):
        with pytest.raises(InvalidInput, match="quality: 0"):
            dfl.ExportSettings(faceset=tmp_path, out=tmp_path / "x", quality=0)
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.jpg").write_bytes(b"")
        with pytest.raises(InvalidInput, match="is not empty"):
            dfl.ExportSettings(faceset=tmp_path, out=tmp_path / "full")
        with pytest.raises(InvalidInput, match="is a file"):
            dfl.ExportSettings(faceset=tmp_path, out=tmp_path / "full" / "mine.jpg")

    def test_no_faceset_or_an_empty_one(self, tmp_path: Path, colour: ColourConfig):
        with pytest.raises(NotFound):
            export(tmp_path / "ours", tmp_path / "back", colour)
        (tmp_path / "ours").mkdir()
        with pytest.raises(NoFace):
            export(tmp_path / "ours", tmp_path / "back", colour)

    def test_another_working_space(self, tmp_path: Path, colour: ColourConfig):
        one = replace(record(tmp_path / "ours"), colour="Linear Rec.2020")
        faceset.write(one, pixels())
        with pytest.raises(InvalidInput, match=r"Linear Rec\.2020.*working space is ACEScg"):
            export(tmp_path / "ours", tmp_path / "back", colour)

    def test_broken_faces_are_named_and_left_out(
        self, plain: FaceRecord, tmp_path: Path, colour: ColourConfig
    ):
        other = record(tmp_path / "ours", frame=1002, pixel_aspect=1.0)
        faceset.write(other, pixels())
        sidecar.path_of(other.path).parent.mkdir()
        sidecar.path_of(other.path).write_text('{"format": "understudy.dfl/1"}')
        (tmp_path / "ours" / "shot_t0.1003.exr").write_bytes(b"x")
        reports = export(tmp_path / "ours", tmp_path / "back", colour)
        assert [p.name for p in (tmp_path / "back").glob("*.jpg")] == ["shot.1001_0.jpg"]
        messages = [message for _, message in warned(reports)]
        assert "shot_t0.1003.exr" in messages[0]
        assert "shot_t0.1002.json: not a side file of an imported face" in messages[1]

    def test_an_anamorphic_plate_is_warned_of(self, tmp_path: Path, colour: ColourConfig):
        faceset.write(record(tmp_path / "ours"), pixels())
        reasons = [reason for reason, _ in warned(export(tmp_path / "ours", tmp_path / "back", colour))]
        assert reasons == ["ANAMORPHIC"]


def test_the_golden_files_come_back_to_the_bit(shared: Path, tmp_path: Path, colour: ColourConfig):
    golden = shared / "golden" / "dfl" / "dflimg"
    import_(golden / "faceset.pak", tmp_path / "ours", colour)
    export(tmp_path / "ours", tmp_path / "back", colour)
    for each in json.loads((golden / "meta.json").read_text())["images"]:
        file = tmp_path / "back" / each["file"]
        arrays = np.load(golden / f"{file.stem}.npz")
        found = read(file)
        said = {**each, "seg_ie_polys": {"polys": each["seg_ie_polys"]}}
        if each["has_xseg_mask"]:
            original = read(golden / each["file"]).xseg_mask
            assert original is not None
            said["xseg_mask"] = np.frombuffer(original, np.uint8)
            np.testing.assert_array_equal(metadata.decode_mask(original, file), arrays["xseg_mask_u8"])
        same(found, said)
        assert list(pickles.load(payload(file), file)) == each["dict_keys"]
        shown = jpeg.decode(file.read_bytes(), file)[..., ::-1].astype(int)
        assert np.abs(shown - arrays["decoded_bgr_u8"]).mean() < 0.5


def test_align_would_cut_the_same_but_for_the_half_pixel():
    """DeepFaceLab's own matrix, in ours, is `align.fit`'s moved by half a crop pixel."""
    said = metadata.read(pickle.dumps(fields()), "x")
    theirs = alignment_of(said, 64)
    ours = align.fit(said.source_landmarks + 0.5, "whole", 64)
    np.testing.assert_allclose(theirs.matrix[:, 2] - ours.matrix[:, 2], [0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(theirs.matrix[:, :2], ours.matrix[:, :2], atol=1e-12)
