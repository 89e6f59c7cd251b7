"""A faceset of another size or face type, out of one: where pixels land, what is refused, what is gone on with."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.dflfaces import encoded, fields, import_, jpeg, mask, polygons, records, warned, write
from tests.core.heads import face as head
from understudy.core import _plugins, align, faceset, release, warp
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput, NoFace, NotFound
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset, dfl
from understudy.core.faceset.dfl import sidecar
from understudy.core.faceset.dfl.metadata import decode_mask
from understudy.core.faceset.pack import PackSettings, pack
from understudy.core.faceset.resize import ResizeSettings, run
from understudy.core.frames import Window
from understudy.core.reports import Advanced, Artifact, Report, Started
from understudy.core.weights import WeightStore

PLATE = Window(0, 0, 1920, 1080)


def plate(aspect: float = 1.0) -> np.ndarray:
    """Waves that a crop of 128 px can hold, and a highlight; the same picture whatever the squeeze."""
    y, x = np.mgrid[:1080, :1920].astype(np.float32)
    x = x * np.float32(aspect)
    rgb = np.dstack(
        [np.sin(x / 19) * 0.1 + 0.2, np.cos(y / 23) * 0.1 + 0.2, np.sin((x + y) / 31) * 0.1 + 0.2]
    )
    rgb[500:560, 930:990] += 20.0
    return rgb


def extracted(
    folder: Path,
    face_type: str = "whole",
    size: int = 256,
    frame: int = 1001,
    aspect: float = 1.0,
    roll: float = 9.0,
) -> FaceRecord:
    """A face cut out of the plate, as extraction does it."""
    points = head(12.0, -4.0, roll).astype(np.float32)
    alignment = align.fit(points, face_type, size, aspect)
    record = FaceRecord(
        path=folder / f"shot_t0.{frame}.exr",
        face=Face(
            frame=frame,
            box=(800.0, 400.0, 1100.0, 700.0),
            landmarks=Landmarks(scheme="68", points=points),
            score=0.9,
            pitch=-4.0,
            yaw=12.0,
            roll=roll,
        ),
        alignment=alignment,
        plate="/plates/shot.%04d.exr",
        gain=0.5,
        colour="ACEScg",
        digest=f"{frame}",
        pixel_aspect=aspect,
    )
    faceset.write(record, warp.to_aligned(plate(aspect), PLATE, alignment))
    return record


def resize(path: Path, out: Path, **more: Any) -> list[Report]:
    return list(run(ResizeSettings(faceset=path, out=out, **more), store=WeightStore(path)))


def inner(picture: np.ndarray) -> np.ndarray:
    """Without the last pixels at the edge, where the plate goes on and the crop does not."""
    edge = len(picture) // 16
    return picture[edge:-edge, edge:-edge]


@pytest.mark.parametrize("aspect", [1.0, 2.0])
@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (("whole", 256), ("", 128)),
        (("whole", 256), ("", 100)),
        (("whole", 128), ("", 256)),
        (("whole", 256), ("full", 256)),  # grows by a third
        (("whole", 512), ("full", 128)),
        (("whole", 256), ("half", 0)),
        (("head", 512), ("whole", 256)),
        (("head", 512), ("full_no_align", 128)),
    ],
)
def test_it_is_what_the_plate_would_have_given(stored: Any, wanted: Any, aspect: float, tmp_path: Path):
    old = extracted(tmp_path / "a", face_type=stored[0], size=stored[1], aspect=aspect)
    reports = resize(tmp_path / "a", tmp_path / "b", face_type=wanted[0], size=wanted[1])
    assert reports == [
        Started(total=1, unit="face"),
        Advanced(done=1),
        Artifact(kind="faceset", path=tmp_path / "b"),
    ]
    opened = Faceset.open(tmp_path / "b")
    (new,) = opened.records
    face_type, size = wanted[0] or stored[0], wanted[1] or stored[1]
    expected = align.fit(old.face.landmarks.points, face_type, size, aspect)
    assert (new.alignment.face_type, new.alignment.size) == (face_type, size)
    np.testing.assert_allclose(new.alignment.matrix, expected.matrix, rtol=1e-4, atol=1e-2)
    found, direct = opened.load(new), warp.to_aligned(plate(aspect), PLATE, new.alignment)
    assert found.shape == (size, size, 3)
    low = np.abs(inner(found) - inner(direct))[inner(direct).max(axis=2) < 1]
    assert np.median(low) < 0.001  # of waves of ±0.1 on 0.2; half a pixel off would be 0.004
    assert np.percentile(low, 90) < 0.008
    assert found.max() > 18.0


def test_headers_are_kept_but_for_what_changes(tmp_path: Path):
    old = extracted(tmp_path / "a")
    resize(tmp_path / "a", tmp_path / "b", size=64)
    (new,) = Faceset.open(tmp_path / "b").records
    assert new.path == tmp_path / "b" / old.path.name
    for name in ("plate", "plate_size", "gain", "colour", "pixel_aspect", "faces", "view", "release"):
        assert getattr(new, name) == getattr(old, name)
    for name in ("frame", "box", "track", "pitch", "yaw", "roll"):
        assert getattr(new.face, name) == getattr(old.face, name)
    np.testing.assert_allclose(new.face.landmarks.points, old.face.landmarks.points, atol=1e-4)
    assert new.digest != old.digest


def test_a_small_face_does_not_alias(tmp_path: Path):
    old = extracted(tmp_path / "a", size=512)
    y, x = np.mgrid[:512, :512]
    lines = np.dstack([(x // 2 + y // 2) % 2] * 3).astype(np.float32)
    faceset.write(old, lines)
    resize(tmp_path / "a", tmp_path / "b", size=64)
    opened = Faceset.open(tmp_path / "b")
    found = inner(opened.load(opened.records[0]))
    assert found.mean() == pytest.approx(0.5, abs=0.01)
    assert found.std() < 0.02


def test_a_face_that_grows_is_enhanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the one that is asked for, in the crop's own grid, to the density that is needed."""
    asked = []

    class Loud:
        WEIGHTS = ()

        @staticmethod
        def create(store: WeightStore, *, device: str = "auto") -> Any:
            return Loud()

        digest = ""

        def enlarge(self, rgb: np.ndarray, size: int, face_type: str) -> np.ndarray:
            asked.append((rgb.shape[0], size))
            return np.full((size, size, 3), 0.75, np.float32)

    extracted(tmp_path / "a", size=128)
    monkeypatch.setattr(_plugins, "load", lambda family, name, **_: Loud)
    resize(tmp_path / "a", tmp_path / "b", size=256)
    resize(tmp_path / "a", tmp_path / "c", size=128, face_type="full")
    resize(tmp_path / "a", tmp_path / "d", size=64)
    kinds = align.FACE_TYPES
    assert asked == [(128, 256), (128, round(128 * kinds["whole"].side / kinds["full"].side))]
    opened = Faceset.open(tmp_path / "c")
    np.testing.assert_array_equal(opened.load(opened.records[0]), np.float32(0.75))


@pytest.mark.parametrize(
    ("stored", "wanted"), [("full", "whole"), ("whole", "head"), ("half", "full"), ("full", "full_no_align")]
)
def test_a_larger_type_is_refused(stored: str, wanted: str, tmp_path: Path):
    extracted(tmp_path / "a", stored, 64)
    with pytest.raises(
        InvalidInput, match=f"has {stored} faces.*extract the plate again as {wanted}"
    ) as caught:
        resize(tmp_path / "a", tmp_path / "b", face_type=wanted)
    assert caught.value.field == "face_type"
    assert not (tmp_path / "b").exists()


def test_what_reaches_beyond_the_picture_is_warned_of(tmp_path: Path):
    """A leaning face: the corners of an upright square stand out of the one that leans."""
    extracted(tmp_path / "a", "whole", 128, roll=45.0)
    extracted(tmp_path / "a", "whole", 128, frame=1002, roll=0.0)
    reports = resize(tmp_path / "a", tmp_path / "b", face_type="full_no_align")
    ((reason, message),) = warned(reports)
    assert reason == "OUTSIDE_CROP"
    kinds = align.FACE_TYPES
    corner = kinds["full_no_align"].side * math.sqrt(0.5) / kinds["whole"].side
    lift = kinds["whole"].lift / kinds["whole"].side
    assert (
        f"1 of 2 faces reach beyond their stored picture, by up to {corner + lift - 0.5:.0%} of a side"
        in message
    )
    assert len(Faceset.open(tmp_path / "b").records) == 2


def test_nothing_that_was_not_there_comes_out(tmp_path: Path):
    old = extracted(tmp_path / "a", size=128)
    noise = np.random.default_rng(0).random((128, 128, 3)).astype(np.float16).astype(np.float32)
    noise[60, 60] = 900.0
    faceset.write(old, noise)
    for name, size in (("b", 300), ("c", 50)):
        resize(tmp_path / "a", tmp_path / name, size=size)
        opened = Faceset.open(tmp_path / name)
        found = opened.load(opened.records[0])
        assert found.min() >= 0.0
        assert found.max() <= 900.0


class TestBeside:
    def test_the_release_comes_along(self, tmp_path: Path):
        granted = release.create(subject="a", kind="test", granted_by="test", granted=date(2026, 1, 2))
        extracted(tmp_path / "a", size=64)
        faceset.attach_release(tmp_path / "a", granted)
        resize(tmp_path / "a", tmp_path / "b", size=32)
        assert Faceset.open(tmp_path / "b").release() == granted

    @pytest.mark.parametrize("packed", [False, True])
    def test_what_deepfacelab_knew_comes_along(self, packed: bool, tmp_path: Path, colour: ColourConfig):
        """And goes back to it in the new size."""
        said = {**fields(), "seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}
        write(tmp_path / "dfl", one=jpeg(said))
        import_(tmp_path / "dfl", tmp_path / "a", colour)
        source = tmp_path / "a"
        if packed:
            source = tmp_path / "a.faceset"
            list(pack(PackSettings(faceset=tmp_path / "a", out=source)))
        resize(source, tmp_path / "b", size=128)
        (record,) = records(tmp_path / "b").values()
        before = sidecar.path_of(tmp_path / "a" / record.path.name).read_bytes()
        assert sidecar.path_of(record.path).read_bytes() == before
        list(dfl.export(dfl.ExportSettings(faceset=tmp_path / "b", out=tmp_path / "back"), colour=colour))
        import_(tmp_path / "back", tmp_path / "again", colour)
        (again,) = Faceset.open(tmp_path / "again").records
        np.testing.assert_allclose(again.alignment.matrix, record.alignment.matrix, atol=1e-9)
        kept = sidecar.read(Faceset.open(tmp_path / "again"), again)
        assert kept is not None
        for polygon, original in zip(kept.metadata.seg_ie_polys, said["seg_ie_polys"]["polys"], strict=True):
            np.testing.assert_allclose(polygon.points, (original["pts"] + 0.5) * 2 - 0.5, atol=1e-3)
        assert kept.metadata.xseg_mask is not None
        assert np.abs(decode_mask(kept.metadata.xseg_mask, "x").astype(int) - mask(128)).mean() < 3


class TestAgain:
    def test_what_is_there_is_left_and_what_lacks_is_made(self, tmp_path: Path):
        for frame in (1001, 1002, 1003):
            extracted(tmp_path / "a", size=64, frame=frame)
        settings = ResizeSettings(faceset=tmp_path / "a", out=tmp_path / "b", size=32)
        work = run(settings, store=WeightStore(tmp_path))
        assert isinstance(work, Generator)
        while not isinstance(next(work), Advanced):
            pass
        work.close()  # killed after a face
        times = {p: p.stat().st_mtime_ns for p in (tmp_path / "b").glob("*.exr")}
        assert times
        reports = resize(tmp_path / "a", tmp_path / "b", size=32)
        assert reports[-2] == Advanced(done=3)
        assert all(p.stat().st_mtime_ns == time for p, time in times.items())
        assert len(Faceset.open(tmp_path / "b").records) == 3

    @pytest.mark.parametrize("change", ["size", "face"])
    def test_other_faces_are_not_written_over(self, change: str, tmp_path: Path):
        old = extracted(tmp_path / "a", size=64)
        resize(tmp_path / "a", tmp_path / "b", size=32)
        kept = (tmp_path / "b" / old.path.name).read_bytes()
        if change == "face":
            faceset.write(replace(old, digest="another"), np.zeros((64, 64, 3), np.float32))
        with pytest.raises(InvalidInput, match=r"has another shot_t0\.1001\.exr; name another folder"):
            resize(tmp_path / "a", tmp_path / "b", size=32 if change == "face" else 48)
        assert (tmp_path / "b" / old.path.name).read_bytes() == kept


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"size": 31}, "size: 31"),
            ({"size": 4096}, "size: 4096"),
            ({"size": -1}, "size: -1"),
            ({}, "neither a size nor a face type"),
            ({"face_type": "torso"}, "face_type: no 'torso'; there are half"),
            ({"size": 64, "enhance": "magic"}, "enhance: no 'magic'; there are .*lanczos"),
        ],
    )
    def test_settings(self, settings: dict[str, Any], match: str, tmp_path: Path):
        with pytest.raises(InvalidInput, match=match):
            ResizeSettings(faceset=tmp_path / "a", out=tmp_path / "b", **settings)

    def test_out(self, tmp_path: Path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(InvalidInput, match="is a file"):
            ResizeSettings(faceset=tmp_path, out=tmp_path / "file", size=64)
        with pytest.raises(InvalidInput, match="the faceset itself"):
            ResizeSettings(faceset=tmp_path, out=tmp_path / "x" / "..", size=64)

    def test_no_faceset_or_an_empty_one(self, tmp_path: Path):
        with pytest.raises(NotFound):
            resize(tmp_path / "a", tmp_path / "b", size=64)
        (tmp_path / "a").mkdir()
        with pytest.raises(NoFace):
            resize(tmp_path / "a", tmp_path / "b", size=64)

    def test_a_broken_face_is_named_and_left_out(self, tmp_path: Path):
        extracted(tmp_path / "a", size=64)
        (tmp_path / "a" / "shot_t0.1002.exr").write_bytes(b"x")
        ((reason, message),) = warned(resize(tmp_path / "a", tmp_path / "b", size=32))
        assert reason == "FRAME_UNREADABLE"
        assert "shot_t0.1002.exr" in message
        assert len(Faceset.open(tmp_path / "b").records) == 1


def test_one_crop_in_another_is_the_plate_s_in_both():
    """`warp.between`: through the plate and back is the same as straight across."""
    points = head(10.0, 0.0, 20.0)
    stored, wanted = align.fit(points, "head", 300, 2.0), align.fit(points, "full", 128, 2.0)
    there = np.array([(0.0, 0.0), (950.0, 500.0), (1800.0, 40.0)])
    across = warp.between(stored, wanted)
    np.testing.assert_allclose(across.apply(stored.apply(there)), wanted.apply(there), atol=1e-9)
    assert (across.size, across.face_type) == (128, "full")
