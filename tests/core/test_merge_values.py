"""Merge on plates with every value that a float picture may hold: kept outside, never clipped or spread inside."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import OpenEXR
import pytest

from tests.core import shots
from tests.core.merging import bits, made, reports, statuses, verified, warned
from understudy.core import plate
from understudy.core.errors import DiskFull, InvalidInput, WriteFailed
from understudy.core.frames import FrameRange, Window
from understudy.core.located import Located
from understudy.core.merge import headers
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.recipe import Curve
from understudy.core.model import swap
from understudy.core.reports import FrameStatus

FIRST = shots.FIRST
GAIN = 0.7  # of shots.write_faceset
BRIGHTEST = 64.0 / GAIN
# as bits: quiet and signalling NaN with a payload, both infinities, -0, the smallest denormal
STRANGE = {
    np.float16: [0x7E01, 0x7D01, 0xFE80, 0x7C00, 0xFC00, 0x8000, 0x0001, 0x8001],
    np.float32: [0x7FC00001, 0x7FA00001, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x80000001],
}
PLAIN = [-0.5, 0.0, 0.18, 1.0, 16.0, 6e4]
OUTSIDE, INSIDE = (4, 8), (60, 68)  # row and first column, in the plane, of where they are planted
SMOOTH = {"match": "none", "mask": "face", "feather": Curve.constant(2.0)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def record(settings, number):
    found = Manifest(out=settings.out).record(number)
    assert found is not None
    return found


@pytest.fixture
def mirror(monkeypatch):
    """The network that gives back what it sees."""
    monkeypatch.setattr(swap, "load", lambda *_: shots.Mirror(128))


def planted(dtype, number=FIRST):
    """A frame with every value outside and on the face."""
    frame = shots.frame(number, dtype=dtype, holes=False)
    kind = np.uint16 if dtype == np.float16 else np.uint32
    values = np.concatenate([np.array(PLAIN, dtype), np.array(STRANGE[dtype], kind).view(dtype)])
    for name in "RGB":
        for row, column in (OUTSIDE, INSIDE):
            frame.planes[name][row, column : column + len(values)] = values
    return frame


@pytest.fixture(scope="module", params=[np.float16, np.float32], ids=["half", "float"])
def settings(request, tmp_path_factory, model, colour):
    folder = tmp_path_factory.mktemp("values")
    scene = shots.make(folder, numbers=[FIRST], without_face=[], frames={FIRST: planted(request.param)})
    merged = scene.settings(model)
    assert statuses(merged, colour) == {FIRST: "done"}
    return merged


def test_outside_every_bit_stays(settings):
    ours, theirs = made(settings), plate.read(settings.plate.template, FIRST)
    outside = ours.planes["mask_blend.A"] == 0
    row, column = OUTSIDE
    assert outside[row, column : column + 14].all()
    for name in "RGB":
        assert (bits(ours.planes[name])[outside] == bits(theirs.planes[name])[outside]).all()
    stored = bits(theirs.planes["R"])[row, column + len(PLAIN) : column + 14]
    assert stored.tolist() == STRANGE[theirs.planes["R"].dtype.type]


def test_inside_all_is_finite_and_the_rule_holds(settings, colour):
    ours, theirs = made(settings), plate.read(settings.plate.template, FIRST)
    row, column = INSIDE
    matte = ours.planes["mask_blend.A"].astype(np.float32)[row, column : column + 14]
    assert (matte > 0.3).all()
    for name in "RGB":
        kept, found = (f.planes[name][row, column : column + 14].astype(np.float32) for f in (theirs, ours))
        face = ours.planes[f"face.{name}"][row, column : column + 14].astype(np.float32)
        with np.errstate(invalid="ignore"):
            mixed = np.where(np.isfinite(kept), kept * (1 - matte) + face * matte, face)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, mixed, rtol=1e-3)
    assert verified(settings, colour) == {""}


def test_what_is_not_finite_is_counted_and_located(settings):
    entry = record(settings, FIRST)
    x, y = INSIDE[1] + len(PLAIN) + shots.DATA.x, INSIDE[0] + shots.DATA.y
    assert entry["nonfinite"] == {c: {"count": 5, "first": [x, y]} for c in "RGB"}
    said = " ".join(entry["warnings"])
    assert f"5 pixels around the face are not finite in G, first at ({x}, {y})" in said
    assert f"5 values of B under the matte are not finite in the plate, first at ({x}, {y})" in said


def test_the_most_that_comes_back_is_stated(settings):
    said = made(settings).metadata
    assert (said["understudy/curveKnee"], said["understudy/curveMaximum"]) == (
        pytest.approx(0.8),
        pytest.approx(64.0),
    )
    assert said[headers.BRIGHTEST] == pytest.approx(BRIGHTEST)
    assert record(settings, FIRST)["brightest"] == pytest.approx(BRIGHTEST)
    assert Manifest(out=settings.out).about()["curve"] == {"knee": 0.8, "maximum": 64.0}


def test_the_colour_config_is_named_with_its_id(settings, colour):
    said = headers.own(made(settings).metadata)
    assert (said[headers.CONFIG], said[headers.CONFIG_ID]) == (colour.source, colour.cache_id)
    assert all(len(name) <= 31 and isinstance(value, (str, int, float)) for name, value in said.items())


class TestHighlights:
    """Fields of one brightness on the face, under a network that changes nothing."""

    FIELDS = (-0.05, 0.18, 1.0, 16.0, 80.0, 6e4)

    def scene(self, tmp_path, dtype=np.float16, fields=FIELDS):
        frame = shots.frame(FIRST, dtype=dtype, holes=False)
        for name in "RGB":
            frame.planes[name][...] = 0.18
            for i, value in enumerate(fields):
                frame.planes[name][34 + 10 * (i // 2) : 44 + 10 * (i // 2), 54 + 20 * (i % 2) :][:, :20] = (
                    value
                )
        return shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: frame})

    @staticmethod
    def middle(planes, i):
        return float(planes[39 + 10 * (i // 2), 64 + 20 * (i % 2)])

    @pytest.mark.usefixtures("mirror")
    @pytest.mark.parametrize("keep", [True, False])
    def test_survive_up_to_the_stated_maximum(self, tmp_path, model, colour, keep):
        """Under 1e-3 relative, which is half a step of half float; beyond it by the plate's ratio, or flattened."""
        scene = self.scene(tmp_path)
        settings = shots.keyed(scene.settings(model), keep_highlights=keep, **SMOOTH)
        (report,) = reports(settings, colour)
        assert report.status is FrameStatus.DONE, report.message
        ours = made(settings)
        assert ours.planes["mask_blend.A"][39, 64] == 1.0
        for i, value in enumerate(self.FIELDS):
            expected = value if value < BRIGHTEST or keep else BRIGHTEST
            assert self.middle(ours.planes["G"], i) == pytest.approx(expected, rel=1.5e-3)
        became = "keep the plate's ratio" if keep else "were flattened"
        assert (
            f"brighter than {BRIGHTEST:.4g}, the most that the network can express, and {became}, first at"
            in (" ".join(report.warnings))
        )

    @pytest.mark.usefixtures("mirror")
    @pytest.mark.parametrize("value", [1e5, 3e38])
    def test_beyond_half_is_held_and_said(self, tmp_path, model, colour, value):
        scene = self.scene(tmp_path, np.float32, (0.18, 0.18, 0.18, value, 0.18, 0.18))
        settings = shots.keyed(scene.settings(model), **SMOOTH)
        (report,) = reports(settings, colour)
        assert report.status is FrameStatus.DONE, report.message
        ours = made(settings)
        assert self.middle(ours.planes["face.G"], 3) == 65504.0
        assert np.isfinite(ours.planes["G"]).all()
        said = " ".join(report.warnings)
        assert "values of the face's G are beyond half float and were held at 65504, first at (" in said
        assert verified(settings, colour) == {""}

    @pytest.mark.usefixtures("mirror")
    def test_the_largest_half_is_kept_and_proven(self, tmp_path, model, colour):
        scene = self.scene(tmp_path, np.float16, (0.18, 0.18, 0.18, 65504.0, 0.18, 0.18))
        settings = shots.keyed(scene.settings(model), **SMOOTH)
        assert statuses(settings, colour) == {FIRST: "done"}
        assert self.middle(made(settings).planes["G"], 3) == pytest.approx(65504.0, rel=1e-3)
        assert verified(settings, colour) == {""}

    @pytest.mark.usefixtures("mirror")
    def test_an_untouched_face_comes_back(self, tmp_path, model, colour):
        """There and back through crop, curve and colour space, on a picture that both can hold: under 1e-3."""
        x = np.linspace(0.0, 1.0, shots.DATA.width, dtype=np.float32)
        frame = shots.frame(FIRST, dtype=np.float32, holes=False)
        for i, name in enumerate("RGB"):
            frame.planes[name][...] = 0.1 + 0.2 * x * (i + 1)
        scene = shots.make(
            tmp_path,
            numbers=[FIRST],
            without_face=[],
            frames={FIRST: frame},
            colour_space="Linear Rec.709 (sRGB)",
        )
        settings = shots.keyed(scene.settings(model), **SMOOTH)
        assert statuses(settings, colour) == {FIRST: "done"}
        ours = made(settings)
        inside = ours.planes["mask_blend.A"] == 1.0
        assert inside.sum() > 300
        for name in "RGB":
            theirs, found = frame.planes[name][inside], ours.planes[name][inside]
            assert (np.abs(found / theirs - 1.0)).max() < 1e-3


class TestGeometry:
    @pytest.mark.usefixtures("mirror")
    def test_a_circle_on_an_anamorphic_plate(self, tmp_path, model, colour):
        """The network sees it round; on the plate, face and mattes keep the squeezed sampling."""
        y, x = np.mgrid[shots.DATA.y : shots.DATA.y1, shots.DATA.x : shots.DATA.x1] + 0.5
        ellipse = ((x - 35.0) * 2.0) ** 2 + (y - 57.0) ** 2 < 14.0**2
        plain = shots.frame(FIRST, holes=False)
        planes = {**plain.planes, **{c: np.where(ellipse, 1.0, 0.1).astype(np.float16) for c in "RGB"}}
        squeezed = replace(plain, planes=planes, pixel_aspect=2.0)
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: squeezed})
        for path in scene.faceset.iterdir():
            path.unlink()
        shots.write_faceset(scene.faceset, [FIRST], scene.plate.template.text, squeeze=2.0)
        settings = shots.keyed(scene.settings(model, aligned=True), **SMOOTH)
        assert statuses(settings, colour) == {FIRST: "done"}

        def extent(plane):
            rows, columns = np.nonzero(plane > 0.55)
            return np.ptp(columns) + 1, np.ptp(rows) + 1

        ours = made(settings)
        assert ours.pixel_aspect == 2.0
        width, height = extent(
            plate.read_file(tmp_path / "out" / "aligned" / "comp.1001.exr").planes["plate.G"]
        )
        assert width == pytest.approx(height, abs=2)
        width, height = extent(ours.planes["face.G"])
        assert (width, height) == (pytest.approx(14, abs=1), pytest.approx(28, abs=1))
        box = Window(*json.loads(ours.metadata[headers.BOX]))
        assert box.height == pytest.approx(2 * box.width, abs=3)
        assert verified(settings, colour) == {""}

    @pytest.mark.parametrize(
        ("data", "display"),
        [
            (Window(-30, -20, 220, 160), shots.DISPLAY),  # overscan
            (Window(30, 20, 80, 70), shots.DISPLAY),  # a crop through the face's surroundings
            (Window(-100, -50, 260, 170), Window(-100, -50, 260, 170)),  # a format that begins below zero
            (Window(20, 10, 120, 100), Window(40, 30, 400, 300)),  # picture and format apart
        ],
    )
    def test_windows_are_kept_and_the_face_stays_where_it_is(self, tmp_path, model, colour, data, display):
        plain = shots.make(tmp_path / "plain", numbers=[FIRST], without_face=[])
        moved = shots.frame(FIRST, holes=False, data=data, display=display)
        scene = shots.make(tmp_path / "moved", numbers=[FIRST], without_face=[], frames={FIRST: moved})
        found = []
        for each in (plain, scene):
            settings = each.settings(model)
            assert statuses(settings, colour) == {FIRST: "done"}
            assert verified(settings, colour) == {""}
            found.append(made(settings))
        usual, ours = found
        assert (ours.data, ours.display) == (data, display)
        both = data.intersect(usual.data)
        hull = [f.planes["mask_hull.A"][both.slices(f.data)].astype(np.float32) for f in (usual, ours)]
        assert hull[0].max() > 0.9
        np.testing.assert_allclose(hull[0], hull[1], atol=2e-3)
        uv = [f.planes["uv.u"][both.slices(f.data)] for f in (usual, ours)]
        there = (uv[0] != -1) & (uv[1] != -1)
        np.testing.assert_array_equal(uv[0][there], uv[1][there])


class TestChannels:
    def test_whole_numbers_beside_floats_stay(self, tmp_path, model, colour):
        plain = shots.frame(FIRST)
        ids = np.arange(plain.data.width * plain.data.height, dtype=np.uint32).reshape(
            plain.planes["A"].shape
        )
        frame = replace(plain, planes={**plain.planes, "id": ids * np.uint32(193_939)})
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[], frames={FIRST: frame})
        settings = scene.settings(model)
        assert statuses(settings, colour) == {FIRST: "done"}
        found = made(settings).planes["id"]
        assert found.dtype == np.uint32
        assert (found == frame.planes["id"]).all()
        assert verified(settings, colour) == {""}

    def test_a_lossy_plate_is_said_once_and_written_lossless(self, tmp_path, model, colour):
        def box(window):
            corners = (window.x, window.y), (window.x1 - 1, window.y1 - 1)
            return tuple(np.array(corner, np.int32) for corner in corners)

        scene = shots.make(tmp_path, numbers=[FIRST, FIRST + 1], without_face=[])
        for number in scene.plate.present:
            frame = shots.frame(number, holes=False)
            header = {
                "compression": OpenEXR.DWAA_COMPRESSION,
                "type": OpenEXR.scanlineimage,
                "dataWindow": box(frame.data),
                "displayWindow": box(frame.display),
            }
            pixels = {name: np.ascontiguousarray(plane) for name, plane in frame.planes.items()}
            with OpenEXR.File(header, pixels) as file:
                file.write(str(scene.plate.template.path(number)))
        settings = scene.settings(model)
        said = warned(settings, colour)
        assert set(said) == {"LOSSY_PLATE"}
        assert "is dwaa, which is lossy" in said["LOSSY_PLATE"]
        assert plate.read_header(settings.out.path(FIRST)).compression == "zips"
        assert Manifest(out=settings.out).about()["plate"] == {
            "pattern": scene.plate.template.text,
            "colour_space": "ACEScg",
            "compression": "dwaa",
            "lossy": True,
            "views": [],
        }
        assert verified(settings, colour) == {""}


class TestWriting:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (InvalidInput("channel X is float64", field="channels"), "INVALID_INPUT"),
            (WriteFailed("header entry timeCode came back as None", field="timeCode"), "WRITE_FAILED"),
        ],
    )
    def test_what_only_this_frame_has_fails_this_frame(
        self, tmp_path, model, colour, monkeypatch, error, reason
    ):
        settings = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[]).settings(model)
        honest = plate.write

        def refuses(frame, path, **options):
            if frame.number == 1002:
                raise error
            honest(frame, path, **options)

        monkeypatch.setattr(plate, "write", refuses)
        found = {r.frame: r for r in reports(settings, colour)}
        assert {n: r.status.value for n, r in found.items()} == {1001: "done", 1002: "failed", 1003: "done"}
        assert (found[1002].reason, found[1002].message) == (reason, error.message)
        assert record(settings, 1002)["status"] == "failed"

    def test_a_full_disk_stops_the_merge(self, tmp_path, model, colour, monkeypatch):
        settings = shots.make(tmp_path, numbers=[1001, 1002], without_face=[]).settings(model)

        def full(*_, **__):
            raise DiskFull("comp.1001.exr: could not be written: no space left on device")

        monkeypatch.setattr(plate, "write", full)
        with pytest.raises(DiskFull):
            reports(replace(settings, frames=FrameRange.of(1001, 1002)), colour)


def test_located():
    mask = np.zeros((4, 5), bool)
    assert Located.of(mask, Window(-3, 7, 5, 4)) is None
    mask[2, 1] = mask[3, 0] = True
    assert Located.of(mask, Window(-3, 7, 5, 4)) == Located(count=2, x=-2, y=9)
