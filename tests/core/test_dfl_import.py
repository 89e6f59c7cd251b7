"""Facesets of DeepFaceLab become ours: where every field goes, and what is left out is named."""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Generator
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.dflfaces import (
    Attack,
    beside,
    encoded,
    fields,
    import_,
    jpeg,
    mask,
    picture,
    polygons,
    records,
    warned,
    write,
)
from tests.core.faces import age
from understudy.core import align, release, warp
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput, NoFace, NotFound
from understudy.core.face import Alignment
from understudy.core.faceset import Faceset, dfl
from understudy.core.faceset.dfl import geometry, sidecar
from understudy.core.faceset.dfl.metadata import decode_mask
from understudy.core.frames import Window
from understudy.core.model.presets import PRESETS
from understudy.core.reports import Advanced, Artifact, Started
from understudy.core.train.data import SHARE, crop


class TestOneFace:
    @pytest.fixture(params=[2, 4])
    def said(self, request: pytest.FixtureRequest, tmp_path: Path, colour: ColourConfig) -> dict[str, Any]:
        said = {**fields(), "seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}
        write(tmp_path / "dfl", **{"00012_0": jpeg(said, protocol=request.param)})
        reports = import_(tmp_path / "dfl", tmp_path / "ours", colour)
        assert reports == [
            Started(total=1, unit="face"),
            Advanced(done=1),
            Artifact(kind="faceset", path=tmp_path / "ours"),
        ]
        return said

    def test_the_record(self, said: dict[str, Any], tmp_path: Path, colour: ColourConfig):
        (name, record) = next(iter(records(tmp_path / "ours").items()))
        assert name == "shot_t0.0012.exr"
        assert (record.plate, record.face.frame, record.view) == ("shot_%05d.png", 12, "")
        assert (record.face.track, record.faces, record.face.score, record.gain) == (0, 1, 1.0, 1.0)
        assert (record.colour, record.config) == (colour.working, colour.cache_id)
        assert record.face.box == (470.5, 360.5, 731.5, 655.5)
        assert (record.alignment.face_type, record.alignment.size) == ("whole", 64)
        np.testing.assert_allclose(
            record.face.landmarks.points, np.array(said["source_landmarks"]) + 0.5, atol=1e-3
        )
        found = (record.face.pitch, record.face.yaw, record.face.roll)
        assert found == pytest.approx(
            (4.0, 15.0, 8.0), abs=6.0
        )  # made by a far camera, solved with a near one

    def test_landmarks_land_in_the_crop_where_deepfacelab_has_them(
        self, said: dict[str, Any], tmp_path: Path
    ):
        record = next(iter(records(tmp_path / "ours").values()))
        in_crop = record.alignment.apply(record.face.landmarks.points)
        np.testing.assert_allclose(in_crop - 0.5, said["landmarks"], atol=1e-3)

    def test_all_else_lies_beside_it_to_the_bit(self, said: dict[str, Any], tmp_path: Path):
        record = next(iter(records(tmp_path / "ours").values()))
        kept = beside(tmp_path / "ours", record)
        assert (kept.file, kept.person, kept.size) == ("00012_0.jpg", "", 64)
        found = kept.metadata
        assert found.landmarks.tolist() == said["landmarks"]
        assert found.source_landmarks.tolist() == said["source_landmarks"]
        assert found.image_to_face_mat is not None
        assert found.image_to_face_mat.tolist() == said["image_to_face_mat"].tolist()
        assert list(found.source_rect or ()) == said["source_rect"]
        assert found.face_type == "whole_face"
        assert found.eyebrows_expand_mod == 1.25
        assert found.source_filename == "shot_00012.png"
        assert [p.kind for p in found.seg_ie_polys] == [1, 0]
        for polygon, original in zip(found.seg_ie_polys, said["seg_ie_polys"]["polys"], strict=True):
            assert (polygon.points == original["pts"]).all()
        assert found.xseg_mask == said["xseg_mask"].tobytes()

    def test_the_pixels_are_the_jpeg_s(self, said: dict[str, Any], tmp_path: Path, colour: ColourConfig):
        opened = Faceset.open(tmp_path / "ours")
        shown = np.round(colour.proxy(opened.load(opened.records[0])) * 255)[..., ::-1]
        stored = np.fromfile(tmp_path / "dfl" / "00012_0.jpg", np.uint8)
        original = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))
        off = np.abs(shown - original)
        assert off.max() <= 1  # half float holds dark values of strong colours to a code, all others exactly
        assert off.mean() < 1e-3


@pytest.mark.parametrize("size", [64, 96])
def test_the_half_pixel(size: int):
    """The matrix says where each sample of DeepFaceLab's crop came from: cut by OpenCV as it does, and by ours."""
    y, x = np.mgrid[:1000, :1200].astype(np.float32)
    frame = np.dstack([x, y, x + y])
    said = fields(size=size)
    theirs = cv2.warpAffine(frame, said["image_to_face_mat"], (size, size), flags=cv2.INTER_LINEAR)
    ours = Alignment(matrix=geometry.matrix_ours(said["image_to_face_mat"]), size=size, face_type="whole")
    found = warp.to_aligned(frame, Window(0, 0, 1200, 1000), ours)
    pixel = float(np.linalg.norm(ours.inverse[:, 0]))  # of the crop, in those of the plate
    np.testing.assert_allclose(found, theirs, atol=0.05 * pixel)  # ours samples what was halved to 1/32 px
    unshifted = Alignment(matrix=said["image_to_face_mat"], size=size, face_type="whole")
    off = np.abs(warp.to_aligned(frame, Window(0, 0, 1200, 1000), unshifted) - theirs)
    assert np.median(off[..., 2]) > 0.3  # the test can fail


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=6, max_size=6),
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5),
)
def test_the_half_pixel_goes_both_ways(numbers: list[float], points: list[tuple[float, float]]):
    matrix, there = np.array(numbers).reshape(2, 3), np.array(points)
    mapped = there @ matrix[:, :2].T + matrix[:, 2]
    ours = geometry.matrix_ours(matrix)
    np.testing.assert_allclose(
        geometry.ours(there) @ ours[:, :2].T + ours[:, 2], geometry.ours(mapped), rtol=1e-9, atol=1e-4
    )
    np.testing.assert_allclose(geometry.matrix_theirs(ours), matrix, rtol=1e-9, atol=1e-6)


def test_every_face_type(tmp_path: Path, colour: ColourConfig):
    names = {theirs: f"{i:05d}_0" for i, theirs in enumerate(geometry.FACE_TYPES)}
    said = fields()
    for theirs, name in names.items():
        write(
            tmp_path / "dfl",
            **{name: jpeg({**said, "face_type": theirs, "source_filename": f"{name[:5]}.png"})},
        )
    write(tmp_path / "dfl", zmark=jpeg({**said, "face_type": "mark_only"}))
    write(tmp_path / "dfl", zother=jpeg({**said, "face_type": "torso"}))
    said.pop("face_type")
    write(tmp_path / "dfl", zold=jpeg({**said, "source_filename": "00099.png"}))
    reports = import_(tmp_path / "dfl", tmp_path / "ours", colour)
    found = {r.face.frame: r.alignment.face_type for r in records(tmp_path / "ours").values()}
    assert found == {**dict(enumerate(geometry.FACE_TYPES.values())), 99: "full"}
    assert [message.split(": ", 1)[1] for _, message in warned(reports)] == [
        "of face type mark_only: it has landmarks, and no crop; left out",
        "its DFL metadata is malformed: face_type is torso; left out",
    ]


def test_what_may_be_missing(tmp_path: Path, colour: ColourConfig):
    """Old files lack the matrix and more; the landmarks in frame and crop say what it was."""
    said = fields(source_rect=None, image_to_face_mat=None, eyebrows_expand_mod=None, source_filename=None)
    write(tmp_path / "dfl", **{"00031_1": jpeg(said)})
    import_(tmp_path / "dfl", tmp_path / "ours", colour)
    (record,) = records(tmp_path / "ours").values()
    assert (record.plate, record.face.frame) == ("%05d.jpg", 31)
    expected = geometry.matrix_ours(fields()["image_to_face_mat"])
    np.testing.assert_allclose(record.alignment.matrix, expected, atol=1e-6)
    points = np.array(said["source_landmarks"]) + 0.5
    np.testing.assert_allclose(record.face.box, [*points.min(axis=0), *points.max(axis=0)], atol=1e-3)
    kept = beside(tmp_path / "ours", record).metadata
    assert (kept.source_rect, kept.image_to_face_mat, kept.eyebrows_expand_mod) == (None, None, None)


def test_fields_that_nobody_knows_are_kept_or_named(tmp_path: Path, colour: ColourConfig):
    said = fields(
        pitch_yaw_roll=(0.1, 0.2, 0.3), weights=np.eye(2), fanseg_mask=b"abc", note={"a": [1, None]}
    )
    write(tmp_path / "dfl", one=jpeg(said))
    reports = import_(tmp_path / "dfl", tmp_path / "ours", colour)
    (record,) = records(tmp_path / "ours").values()
    assert beside(tmp_path / "ours", record).metadata.others == {
        "pitch_yaw_roll": [0.1, 0.2, 0.3],
        "weights": [[1.0, 0.0], [0.0, 1.0]],
        "note": {"a": [1, None]},
    }
    ((reason, message),) = warned(reports)
    assert reason == "DFL_FIELD_DROPPED"
    assert message.endswith("one.jpg: can not keep its fanseg_mask")


class TestBadFiles:
    @pytest.mark.parametrize(
        ("data", "reason", "match"),
        [
            (
                lambda: encoded(picture(), ".jpg").tobytes(),
                "NO_DFL_METADATA",
                "no DFL metadata in it",
            ),
            (
                lambda: encoded(picture(), ".png").tobytes(),
                "NO_DFL_METADATA",
                "no DFL metadata in it",
            ),
            (lambda: b"", "FRAME_UNREADABLE", "is not a JPEG"),
            (lambda: b"hello", "FRAME_UNREADABLE", "is not a JPEG"),
            (lambda: jpeg(fields())[:-60], "FRAME_UNREADABLE", "breaks off in its picture"),
            (lambda: jpeg(fields())[:900], "FRAME_UNREADABLE", "breaks off before its picture"),
            (lambda: jpeg(fields(), picture(64)[:40]), "FRAME_UNREADABLE", "64×40 pixels; .* is square"),
            (
                lambda: jpeg({"a": Attack()}),
                "FRAME_UNREADABLE",
                "asks for posix.system; it was not",
            ),
            (lambda: jpeg(pickle.dumps([1])), "FRAME_UNREADABLE", "malformed: it is"),
            (lambda: jpeg(b"\x80\x04}"), "FRAME_UNREADABLE", "damaged or breaks off"),
            (lambda: jpeg({}), "FRAME_UNREADABLE", "has no landmarks"),
            (lambda: jpeg(fields(source_landmarks=None)), "FRAME_UNREADABLE", "has no source_landmarks"),
            (lambda: jpeg(fields(landmarks=[[1, 2]])), "FRAME_UNREADABLE", r"landmarks is shape \(1, 2\)"),
            (lambda: jpeg(fields(landmarks="x")), "FRAME_UNREADABLE", "landmarks is x"),
            (lambda: jpeg(fields(landmarks=[[math.nan] * 2] * 68)), "FRAME_UNREADABLE", "not finite"),
            (
                lambda: jpeg(fields(source_landmarks=[[5.0, 5.0]] * 68)),
                "FRAME_UNREADABLE",
                "all lie in one place",
            ),
            (
                lambda: jpeg(fields(image_to_face_mat=np.zeros((2, 3)))),
                "FRAME_UNREADABLE",
                "image_to_face_mat",
            ),
            (lambda: jpeg(fields(source_rect=[1, 2])), "FRAME_UNREADABLE", "source_rect"),
            (lambda: jpeg(fields(source_filename=5)), "FRAME_UNREADABLE", "source_filename is 5"),
            (lambda: jpeg(fields(eyebrows_expand_mod=[1])), "FRAME_UNREADABLE", "eyebrows_expand_mod"),
            (lambda: jpeg(fields(seg_ie_polys={"polys": 3})), "FRAME_UNREADABLE", "seg_ie_polys"),
            (lambda: jpeg(fields(seg_ie_polys={"polys": [{"type": 7}]})), "FRAME_UNREADABLE", "seg_ie_polys"),
            (lambda: jpeg(fields(seg_ie_polys={"polys": [{"type": 1}]})), "FRAME_UNREADABLE", "no pts"),
            (lambda: jpeg(fields(xseg_mask=np.eye(2))), "FRAME_UNREADABLE", "xseg_mask"),
        ],
    )
    def test_it_is_named_and_left_out(self, data, reason, match, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", good=jpeg(fields()), wrong=data())
        reports = import_(tmp_path / "dfl", tmp_path / "ours", colour)
        ((found, message),) = warned(reports)
        assert found == reason
        assert message.startswith(f"{tmp_path / 'dfl' / 'wrong.jpg'}: ")
        assert re.search(match, message)
        assert message.endswith("; left out")
        assert [r for r in reports if isinstance(r, Advanced)][-1] == Advanced(done=2)
        assert len(records(tmp_path / "ours")) == 1

    def test_nothing_but_such_files_is_an_error(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", a=b"", **{"b.png": b"\x89PNG"})
        with pytest.raises(NoFace, match="not one of its 2 pictures"):
            import_(tmp_path / "dfl", tmp_path / "ours", colour)

    def test_nothing_at_all_is_one_too(self, tmp_path: Path, colour: ColourConfig):
        with pytest.raises(NotFound, match="no such folder"):
            import_(tmp_path / "dfl", tmp_path / "ours", colour)
        (tmp_path / "dfl").mkdir()
        with pytest.raises(NotFound, match=r"neither JPEGs nor a faceset\.pak"):
            import_(tmp_path / "dfl", tmp_path / "ours", colour)

    def test_a_file_that_goes_meanwhile(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", a=jpeg(fields()), b=jpeg(fields(source="shot_00013.png")))
        work = dfl.import_(dfl.ImportSettings(source=tmp_path / "dfl", out=tmp_path / "ours"), colour=colour)
        next(work)
        (tmp_path / "dfl" / "b.jpg").unlink()
        ((reason, message),) = warned(list(work))
        assert reason == "FRAME_UNREADABLE"
        assert message.endswith("b.jpg: can not be read: No such file or directory; left out")


class TestAgain:
    def test_what_is_there_is_left_and_what_lacks_is_made(self, tmp_path: Path, colour: ColourConfig):
        for i in range(3):
            write(tmp_path / "dfl", **{f"{i}_0": jpeg(fields(source=f"{i:04d}.png"), picture(seed=i))})
        work = dfl.import_(dfl.ImportSettings(source=tmp_path / "dfl", out=tmp_path / "ours"), colour=colour)
        while not isinstance(next(work), Advanced):
            pass
        assert isinstance(work, Generator)
        work.close()  # killed after a face
        assert 1 <= len(records(tmp_path / "ours")) <= 3
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        age(tmp_path / "ours")  # whatever the resolution of the disk's clock
        times = {p: p.stat().st_mtime_ns for p in (tmp_path / "ours").glob("*.exr")}
        assert len(times) == 3
        write(tmp_path / "dfl", **{"1_0": jpeg(fields(source="0001.png", eyebrows_expand_mod=1.5))})
        reports = import_(tmp_path / "dfl", tmp_path / "ours", colour)
        changed = [p.name for p, time in times.items() if p.stat().st_mtime_ns != time]
        assert changed == ["frame_t0.0001.exr"]
        assert reports[-2:] == [Advanced(done=3), Artifact(kind="faceset", path=tmp_path / "ours")]

    def test_another_faceset_s_faces_are_not_written_over(self, tmp_path: Path, colour: ColourConfig):
        write(tmp_path / "dfl", **{"1_0": jpeg(fields())})
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        (record,) = records(tmp_path / "ours").values()
        sidecar.path_of(record.path).unlink()  # now it is anybody's
        with pytest.raises(InvalidInput, match="was not imported from DeepFaceLab"):
            import_(tmp_path / "dfl", tmp_path / "ours", colour)

    def test_settings_are_checked(self, tmp_path: Path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(InvalidInput, match="is a file"):
            dfl.ImportSettings(source=tmp_path, out=tmp_path / "file")
        with pytest.raises(InvalidInput, match="the folder that is read"):
            dfl.ImportSettings(source=tmp_path, out=tmp_path / "x" / "..")


def test_a_release_comes_with_it(tmp_path: Path, colour: ColourConfig):
    granted = release.create(subject="a", kind="test", granted_by="test", granted=date(2026, 1, 2))
    write(tmp_path / "dfl", one=jpeg(fields()))
    import_(tmp_path / "dfl", tmp_path / "ours", colour, release=granted)
    opened = Faceset.open(tmp_path / "ours")
    assert opened.release() == granted
    assert opened.records[0].release == granted.id


def test_training_sees_the_face_where_it_is(tmp_path: Path, colour: ColourConfig):
    """The crop for a network is cut out of the imported one: a mark on the nose is on the nose."""
    said = fields(size=256)
    x, y = said["landmarks"][30]
    marked = np.full((256, 256, 3), 40, np.uint8)
    cv2.circle(marked, (round(x * 16), round(y * 16)), 96, (255, 255, 255), -1, cv2.LINE_AA, 4)
    write(tmp_path / "dfl", one=jpeg(said, marked))
    import_(tmp_path / "dfl", tmp_path / "ours", colour)
    opened = Faceset.open(tmp_path / "ours")
    config = PRESETS["quick64"]
    found = crop(opened.load(opened.records[0]), opened.records[0], config, SwapCurve(gain=1.0))[..., 0]
    v, u = np.mgrid[: len(found), : len(found)] + 0.5
    weight = np.maximum(found - 0.5, 0)
    at = ((u * weight).sum() / weight.sum(), (v * weight).sum() / weight.sum())
    wanted = align.fit(np.array(said["source_landmarks"]) + 0.5, config.face_type, len(found), scale=SHARE)
    assert at == pytest.approx(wanted.apply(np.array(said["source_landmarks"])[30:31] + 0.5)[0], abs=0.06)


def test_the_golden_files(shared: Path, tmp_path: Path, colour: ColourConfig):
    """What DeepFaceLab itself reads of its files, to the bit; out of the folder and out of the pak."""
    golden = shared / "golden" / "dfl" / "dflimg"
    for name in ("00001_0.jpg", "00002_1.jpg", "00003_2.jpg"):
        write(tmp_path / "dfl", **{name: (golden / name).read_bytes()})
    expected = {each["file"]: each for each in json.loads((golden / "meta.json").read_text())["images"]}
    for source in (tmp_path / "dfl", golden / "faceset.pak"):
        out = tmp_path / source.name
        out = out.with_name(out.name + ".ours")
        assert not warned(import_(source, out, colour))
        opened = Faceset.open(out)
        assert len(opened.records) == 3
        for record in opened.records:
            kept = beside(out, record)
            check(kept, expected[kept.file], np.load(golden / f"{Path(kept.file).stem}.npz"))
            shown = np.round(colour.proxy(opened.load(record)) * 255)[..., ::-1]
            decoded = np.load(golden / f"{Path(kept.file).stem}.npz")["decoded_bgr_u8"]
            np.testing.assert_allclose(shown, decoded, atol=2)  # decoders differ by 1 or 2


def check(kept: sidecar.Sidecar, expected: dict[str, Any], arrays: Any) -> None:
    found = kept.metadata
    assert kept.sha256 == expected["file_sha256"]
    assert kept.size == expected["shape"][0]
    for name in ("landmarks", "source_landmarks", "image_to_face_mat"):
        assert getattr(found, name).tolist() == expected[name]
    assert list(found.source_rect or ()) == expected["source_rect"]
    for name in ("face_type", "source_filename", "eyebrows_expand_mod"):
        assert getattr(found, name) == expected[name]
    polygons = [{"type": p.kind, "pts": p.points.tolist()} for p in found.seg_ie_polys]
    assert polygons == expected["seg_ie_polys"]
    assert (found.xseg_mask is not None) == expected["has_xseg_mask"]
    if found.xseg_mask is not None:
        assert len(found.xseg_mask) == expected["xseg_mask_compressed_bytes"]
        np.testing.assert_array_equal(decode_mask(found.xseg_mask, kept.file), arrays["xseg_mask_u8"])
    assert found.others == {}
