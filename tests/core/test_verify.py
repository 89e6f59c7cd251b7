"""Verify finds what was altered, and says where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import OpenEXR
import pytest

from tests.core import shots
from understudy.core import plate, verify
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.merge import shot
from understudy.core.plate import Template
from understudy.core.reports import FrameReport, FrameStatus, Started


@pytest.fixture(scope="module")
def finished(tmp_path_factory, colour):
    """Two merged frames, the second with no face; their settings."""
    scene = shots.make(tmp_path_factory.mktemp("scene"), numbers=[1001, 1002], without_face=[1002])
    settings = scene.settings(shots.tiny_model(scene.folder / "model"))
    assert len(list(shot.run(settings, colour=colour))) == 6
    return settings


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the output that a test may break."""
    copied = replace(finished.out, directory=tmp_path)
    for number in (1001, 1002):
        copied.path(number).write_bytes(finished.out.path(number).read_bytes())
    return copied


def found(out, colour, **options):
    return {r.frame: r for r in verify.run(out, colour=colour, **options) if isinstance(r, FrameReport)}


def altered(out, number=1001, **changes):
    """Write a frame again with other planes or attributes."""
    frame = plate.read(out, number)
    planes = {name: plane.copy() for name, plane in frame.planes.items()}
    for name, change in changes.pop("planes", {}).items():
        change(planes[name])
    plate.write(replace(frame, planes=planes, **changes), out.path(number))


def at(matte, *, inside):
    """A pixel in or out of the matte, as row and column."""
    row, column = np.argwhere(matte > 0.3 if inside else matte == 0)[40]
    return int(row), int(column)


def test_an_honest_output_passes(out, colour):
    started, *_ = verify.run(out, colour=colour)
    assert started == Started(total=2)
    assert [(r.status, r.message, r.faces) for r in found(out, colour).values()] == [
        (FrameStatus.DONE, "", 1),
        (FrameStatus.DONE, "", 0),
    ]


@pytest.mark.parametrize("channel", ["R", "B"])
def test_one_pixel_outside_the_matte(out, colour, channel):
    row, column = at(plate.read(out, 1001).planes["mask_blend.A"], inside=False)

    def change(plane):
        plane[row, column] = np.float16(0.123)

    altered(out, planes={channel: change})
    report = found(out, colour)[1001]
    assert report.status is FrameStatus.FAILED
    assert report.reason == verify.REASON
    x, y = column + shots.DATA.x, row + shots.DATA.y
    assert f"frame 1001: channel {channel}: 1 pixels outside mask_blend" in report.message
    assert f"first at ({x}, {y})" in report.message
    assert found(out, colour)[1002].status is FrameStatus.DONE


def test_the_last_bit_counts_outside_and_one_unit_is_allowed_inside(out, colour):
    matte = plate.read(out, 1001).planes["mask_blend.A"]
    row, column = at(matte, inside=True)

    def nudge(by, where):
        def change(plane):
            bits = plane.view(np.uint16)
            bits[where] = int(bits[where]) + by

        return change

    altered(out, planes={"G": nudge(1, (row, column))})
    assert found(out, colour)[1001].status is FrameStatus.DONE
    altered(out, planes={"G": nudge(2, (row, column))})
    assert "are not plate * (1 - mask_blend) + face * mask_blend" in found(out, colour)[1001].message
    altered(out, planes={"G": nudge(-3, (row, column))})
    altered(out, planes={"G": nudge(1, at(matte, inside=False))})
    assert "outside mask_blend" in found(out, colour)[1001].message


def test_a_matte_that_was_not_the_one_used(out, colour):
    def change(plane):
        plane *= np.float16(0.5)

    altered(out, planes={"mask_blend.A": change})
    assert "mask_blend" in found(out, colour)[1001].message


def test_nan_inside(out, colour):
    row, column = at(plate.read(out, 1001).planes["mask_blend.A"], inside=True)

    def change(plane):
        plane[row, column] = np.nan

    altered(out, planes={"G": change})
    assert "inside are not finite" in found(out, colour)[1001].message


def test_other_channels_and_header(out, colour):
    def change(plane):
        plane[0, 0] += 1.0

    frame = plate.read(out, 1001)
    altered(out, planes={"depth.Z": change})
    assert "channel depth.Z: 1 pixels differ" in found(out, colour)[1001].message
    plate.write(frame, out.path(1001))
    altered(out, metadata={**frame.metadata, "timeCode": plate.Typed("timecode", (23, 0))})
    assert (
        "header entry timeCode is timecode 00:00:00:17 (23, 0), the plate's"
        in found(out, colour)[1001].message
    )
    kept = {name: value for name, value in frame.metadata.items() if name != "acme/shot"}
    altered(out, metadata=kept)
    assert "header entry acme/shot is lost" in found(out, colour)[1001].message


def test_windows_and_pixel_aspect(out, colour):
    moved = Window(shots.DATA.x + 1, shots.DATA.y, shots.DATA.width, shots.DATA.height)
    altered(out, data=moved, pixel_aspect=2.0)
    message = found(out, colour)[1001].message
    assert "data window is" in message
    assert "pixel aspect is 2.0" in message


def test_a_lost_channel_and_another_type(out, colour):
    frame = plate.read(out, 1001)
    without = {name: plane for name, plane in frame.planes.items() if name != "spec.G"}
    without["R"] = without["R"].astype(np.float32)
    plate.write(replace(frame, planes=without), out.path(1001))
    message = found(out, colour)[1001].message
    assert "channel spec.G of the plate is lost" in message
    assert "channel R is float32, it should be float16" in message


def test_a_frame_renumbered(out, colour):
    out.path(1003).write_bytes(out.path(1001).read_bytes())
    report = found(out, colour, frames=FrameRange.of(1003, 1003))[1003]
    assert report.reason == "FRAME_MISSING"  # of the plate
    out.path(1002).write_bytes(out.path(1001).read_bytes())
    assert "made from plate.1001.exr, not from plate.1002.exr" in found(out, colour)[1002].message


def test_missing_and_truncated(out, colour):
    whole = out.path(1002).read_bytes()
    out.path(1002).write_bytes(whole[: len(whole) // 2])
    reports = found(out, colour, frames=FrameRange.of(1001, 1003))
    assert [r.status for r in reports.values()] == [FrameStatus.DONE, FrameStatus.FAILED, FrameStatus.MISSING]
    assert reports[1002].reason == "FRAME_UNREADABLE"
    assert "1003 is not on disk" in reports[1003].message


def test_no_output_and_no_plate(tmp_path, out, colour):
    with pytest.raises(NotFound):
        found(Template.parse(str(tmp_path / "none.####.exr")), colour)
    for number in (1001, 1002):
        frame = plate.read(out, number)
        bare = {name: value for name, value in frame.metadata.items() if not name.startswith("understudy/")}
        plate.write(replace(frame, metadata=bare), out.path(number))
    with pytest.raises(InvalidInput, match="name the plate"):
        found(out, colour)


def test_the_plate_may_be_named(out, colour, finished):
    given = found(out, colour, plate=finished.plate.template)
    assert {r.message for r in given.values()} == {""}


def test_a_lossy_codec_and_tiles(out, colour):
    """What another program may have done to a finished frame, though every pixel were right."""
    whole = plate.read(out, 1001)
    header = {
        "dataWindow": corners(whole.data),
        "displayWindow": corners(whole.display),
        "type": OpenEXR.tiledimage,
        "tiles": OpenEXR.TileDescription(),
        "compression": OpenEXR.PXR24_COMPRESSION,
    }
    pixels = {name: np.ascontiguousarray(plane) for name, plane in whole.planes.items()}
    with OpenEXR.File(header, pixels) as file:
        file.write(str(out.path(1001)))
    message = found(out, colour)[1001].message
    assert "attribute type is tiledimage, it should be scanlineimage" in message
    assert "codec pxr24 is none of zips" in message
    assert "header entry timeCode is lost" in message


def corners(window):
    ends = (window.x, window.y), (window.x1 - 1, window.y1 - 1)
    return tuple(np.array(end, np.int32) for end in ends)


def test_a_matte_beyond_one(out, colour):
    row, column = at(plate.read(out, 1001).planes["mask_blend.A"], inside=True)

    def change(plane):
        plane[row, column] = 1.5

    altered(out, planes={"mask_blend.A": change})
    x, y = column + shots.DATA.x, row + shots.DATA.y
    message = found(out, colour)[1001].message
    assert f"channel mask_blend.A: 1 pixels are not from 0 to 1, first at ({x}, {y})" in message


def test_a_channel_from_elsewhere(out, colour):
    frame = plate.read(out, 1001)
    plate.write(replace(frame, planes={**frame.planes, "ao.Y": frame.planes["A"]}), out.path(1001))
    assert "channel ao.Y is neither the plate's nor one of our layers" in found(out, colour)[1001].message


def test_a_face_that_is_not_finite(out, colour):
    """NaN in the layer under the matte would make any picture look like the mix of it."""
    row, column = at(plate.read(out, 1001).planes["mask_blend.A"], inside=True)

    def change(plane):
        plane[row, column] = np.nan

    altered(out, planes={"face.B": change})
    assert "channel B: 1 pixels inside are not plate * (1 - mask_blend)" in found(out, colour)[1001].message


def test_dpx_by_its_codes_and_its_header(tmp_path, colour):
    codes = np.random.default_rng(5).integers(0, 1024, (120, 160, 3), np.uint16)
    window = Window(0, 0, 160, 120)
    planes = {c: codes[..., i] for i, c in enumerate("RGB")}
    frame = Frame(number=1001, planes=planes, display=window, data=window, maximum=1023.0)
    scene = shots.make(
        tmp_path,
        numbers=[1001],
        without_face=[],
        colour_space="ACEScct",
        name="plate.####.dpx",
        frames={1001: frame},
    )
    settings = scene.settings(shots.tiny_model(tmp_path / "model"), out="out/comp.####.dpx")
    assert list(shot.run(settings, colour=colour))
    assert found(settings.out, colour)[1001].message == ""
    whole = bytearray(settings.out.path(1001).read_bytes())
    for place, value, fault in [
        (200, 0x41, "header entry dpx:header is"),  # in the creator's name
        (2048, 0xFF, "channel R: 1 pixels outside mask_blend differ from the plate, first at (0, 0)"),
    ]:
        changed = whole.copy()
        changed[place] = value if changed[place] != value else value - 1
        settings.out.path(1001).write_bytes(changed)
        assert fault in found(settings.out, colour)[1001].message
