"""`plate info`: what a plate is, by its headers."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from tests.core import ailing
from understudy.core import plate
from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template, Timecode, Typed, facts
from understudy.core.plate.info import Layer, PlateInfo, describe


def info(template: Template, frames: FrameRange | None = None, views: tuple[str, ...] = ()) -> PlateInfo:
    return describe(plate.find(template.text, frames, views=views))


def test_what_a_td_asks_first(tmp_path):
    template = ailing.make(tmp_path, (1001, 1002, 1004))
    said = info(template)
    assert (str(said.plate.present), str(said.plate.missing)) == ("1001-1002,1004", "1003")
    assert said.size == sum(template.path(n).stat().st_size for n in (1001, 1002, 1004))
    assert (said.format, said.views, said.dpx) == ("openexr", (), None)
    (part,) = said.parts
    assert (part.display, part.data, part.pixel_aspect) == (ailing.SIZE, ailing.SIZE, 1.0)
    assert part.layers == (Layer(name="", channels={"R": "half", "G": "half", "B": "half"}),)
    assert (part.compression, part.lossy, part.tiles, part.line_order) == ("zips", False, None, "increasing")
    assert (str(said.first_timecode), str(said.last_timecode)) == ("01:00:00:00", "01:00:00:03")
    assert said.timecode_break is None
    assert said.rate == Fraction(24)
    assert (said.differing, said.unreadable) == ((), {})


def test_channels_are_grouped_by_layer_with_their_types(tmp_path):
    shown = ailing.frame(1001)
    depth = np.zeros(shown.planes["R"].shape, np.float32)
    planes = {
        **shown.planes,
        "A": shown.planes["R"],
        "depth.Z": depth,
        "id.object.u": depth.astype(np.uint32),
    }
    (part,) = info(ailing.make(tmp_path, (1001,), {1001: shown.with_planes(planes)})).parts
    assert {layer.name: dict(layer.channels) for layer in part.layers} == {
        "": {"R": "half", "G": "half", "B": "half", "A": "half"},
        "depth": {"Z": "float"},
        "id.object": {"u": "uint"},
    }


@pytest.mark.parametrize(
    "kind", ["zero bytes", "cut in its header", "garbage", "a folder", "a dangling link", "a pipe"]
)
def test_frames_that_cannot_be_opened_are_listed(tmp_path, kind):
    template = ailing.make(tmp_path)
    for number in (1001, 1003):
        ailing.BREAK[kind](template.path(number))
    said = info(template)
    assert list(said.unreadable) == [1001, 1003]
    assert all(str(template.path(n)) in said.unreadable[n] for n in said.unreadable)
    assert said.parts[0].data == ailing.SIZE  # of 1002
    assert said.timecode_break is None


def test_a_plate_without_one_readable_header_is_still_described(tmp_path):
    template = ailing.make(tmp_path, (1001, 1002))
    for number in (1001, 1002):
        ailing.BREAK["zero bytes"](template.path(number))
    said = info(template)
    assert (said.format, said.parts, said.rate, said.first_timecode, said.size) == ("", (), None, None, 0)
    assert list(said.unreadable) == [1001, 1002]


def test_what_differs_is_told_with_the_frames(tmp_path):
    cropped = {n: ailing.frame(n, data=Window(2, 2, 8, n - 1000)) for n in (1002, 1004)}
    faster = ailing.frame(1005)
    faster = faster.with_planes(faster.planes, **{plate.RATE_KEY: plate.rate_entry(Fraction(25))})
    said = {
        each.difference.what: each
        for each in info(ailing.make(tmp_path, frames={**cropped, 1005: faster})).differing
    }
    assert set(said) == {"data window", "rate"}
    assert str(said["data window"].frames) == "1002,1004"
    assert (said["data window"].difference.expected, said["data window"].difference.found) == (
        "24×16",
        "8×2 at 2, 2",
    )
    assert (str(said["rate"].frames), said["rate"].difference.found) == ("1005", "25")


def test_the_first_break_of_timecode(tmp_path):
    jumped = {n: ailing.frame(n, timecode=Timecode(2, 0, 0, n - 1003)) for n in (1003, 1004)}
    found = info(ailing.make(tmp_path, (1001, 1002, 1003, 1004), jumped)).timecode_break
    assert found is not None
    assert (found.frame, str(found.timecode), str(found.before)) == (1003, "02:00:00:00", "01:00:00:01")


@pytest.mark.parametrize(
    ("before", "after", "steps", "rate", "expected"),
    [
        ("01:00:00:23", "01:00:01:00", 1, Fraction(24), True),
        ("01:00:00:23", "01:00:00:24", 1, Fraction(24), False),
        ("01:00:00:23", "01:00:00:24", 1, None, True),
        ("01:00:00:10", "01:00:00:20", 10, Fraction(24000, 1001), True),
        ("01:00:59;29", "01:01:00;02", 1, Fraction(30000, 1001), True),
        ("01:00:59;29", "01:01:00;00", 1, Fraction(30000, 1001), False),
        ("23:59:59:24", "00:00:00:00", 1, Fraction(25), True),
        ("01:00:00:00", "01:00:00:00", 1, Fraction(24), False),
        ("01:00:00:00", "01:00:00:00", 1, Fraction(48), True),  # pairs of frames
        ("01:00:00:00", "01:00:00:01", 1, Fraction(48), True),
        ("01:00:00:00", "01:00:00:02", 1, Fraction(60000, 1001), False),
        ("01:00:00:29", "01:00:00:30", 1, Fraction(24), False),
        (
            "01:02:03;17",
            "01:02:03;18",
            1,
            Fraction(24000, 1001),
            True,
        ),  # counts at another rate than the plate
        ("01:02:03;17", "01:02:03;19", 1, Fraction(24000, 1001), False),
    ],
)
def test_which_timecode_follows_which(before, after, steps, rate, expected):
    assert facts.follows(Timecode.parse(before), Timecode.parse(after), steps, rate) is expected


def test_slate_and_colour(tmp_path):
    shown = ailing.frame(1001)
    xy = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
    shown = shown.with_planes(
        shown.planes,
        reelName="A001C002",
        keyCode=Typed("keycode", (2, 45, 123456, 89, 12, 4, 64)),
        cameraMake="Maker",
        cameraModel="One",
        owner="a studio",
        colorInteropID="lin_ap1_scene",
        chromaticities=Typed("chromaticities", xy),
    )
    said = info(ailing.make(tmp_path, (1001,), {1001: shown}))
    assert (said.slate.reel, said.slate.key_code) == ("A001C002", "02 45 123456 0089+12")
    assert (said.slate.camera, said.slate.lens, said.slate.owner) == ("Maker One", "", "a studio")
    assert (said.colour.guess, said.colour.interop_id) == ("lin_ap1_scene", "lin_ap1_scene")
    assert said.colour.chromaticities == pytest.approx(xy)


@pytest.mark.parametrize("name", [plate.TIMECODE_KEY, plate.RATE_KEY, "keyCode"])
def test_entries_of_a_wrong_size_say_nothing(tmp_path, name):
    """The type names that the entries have in OpenEXR, and bytes that are none of these types' values."""
    kind = {plate.TIMECODE_KEY: "timecode", plate.RATE_KEY: "rational"}.get(name, name.lower())
    shown = ailing.frame(1001)
    shown = shown.with_planes(shown.planes, **{name: Typed(kind, b"\1\2\3")})
    said = info(ailing.make(tmp_path, (1001,), {1001: shown}))
    assert (said.first_timecode is None) is (name == plate.TIMECODE_KEY)
    assert (said.rate is None) is (name == plate.RATE_KEY)
    assert said.slate.key_code == ""


def test_text_that_is_not_utf8_is_taken_for_latin1(tmp_path):
    shown = ailing.frame(1001)
    shown = shown.with_planes(shown.planes, owner="Andr\udce9", reelName="Zo\u00eb")
    said = info(ailing.make(tmp_path, (1001,), {1001: shown})).slate
    assert (said.owner, said.reel) == ("André", "Zoë")


def test_a_dpx_says_how_it_keeps_its_codes(tmp_path):
    template = Template.parse(str(tmp_path / "s.####.dpx"))
    codes = np.arange(24 * 16, dtype=np.uint16).reshape(16, 24)
    window = Window(0, 0, 24, 16)
    shown = Frame(
        number=1001,
        planes=dict.fromkeys("RGB", codes),
        display=window,
        data=window,
        maximum=1023.0,
        metadata={"dpx:Transfer": "Logarithmic", "dpx:InputDevice": "a scanner"},
    )
    plate.write(shown, template.path(1001))
    said = info(template)
    assert said.dpx is not None
    assert (said.format, said.dpx.bits, said.dpx.endian, said.dpx.transfer) == (
        "dpx",
        10,
        "big",
        "Logarithmic",
    )
    assert said.dpx.packing == "Filled, method A"
    assert said.parts[0].layers == (Layer(name="", channels=dict.fromkeys("RGB", "uint16")),)
    assert (said.parts[0].compression, said.parts[0].line_order) == ("none", "")
    assert said.slate.camera == "a scanner"
    assert said.colour.guess is None


def exr(path: Path, *parts: OpenEXR.Part) -> None:
    with OpenEXR.File(list(parts)) as file:
        file.write(str(path))


def test_parts_views_tiles_and_codecs(tmp_path):
    template = Template.parse(str(tmp_path / "p.####.exr"))
    picture = np.zeros((32, 40, 3), np.float16)
    tiled = {
        "type": OpenEXR.tiledimage,
        "tiles": OpenEXR.TileDescription(),
        "compression": OpenEXR.ZIP_COMPRESSION,
    }
    lossy = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.DWAA_COMPRESSION}
    exr(
        template.path(1),
        OpenEXR.Part({**lossy, "view": "left"}, {"RGB": picture}, "rgba.left"),
        OpenEXR.Part({**tiled, "view": "right"}, {"RGB": picture}, "rgba.right"),
        OpenEXR.Part({**tiled, "view": "left"}, {"Z": picture[..., 0].astype(np.float32)}, "depth.left"),
    )
    said = info(template)
    assert said.views == ("left", "right")
    assert [(p.name, p.view, p.compression, p.lossy, p.tiles is None) for p in said.parts] == [
        ("rgba.left", "left", "dwaa", True, True),
        ("rgba.right", "right", "zip", False, False),
        ("depth.left", "left", "zip", False, False),
    ]
    right = info(template, views=("right",))
    assert (right.views, [part.name for part in right.parts]) == (("right",), ["rgba.right"])
    with pytest.raises(InvalidInput, match="centre"):
        info(template, views=("centre",))


def test_views_in_one_part_and_line_order(tmp_path):
    template = Template.parse(str(tmp_path / "p.####.exr"))
    grey = np.zeros((4, 6), np.float16)
    header = {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.ZIPS_COMPRESSION,
        "multiView": ["left", "right"],
        "lineOrder": OpenEXR.DECREASING_Y,
    }
    exr(template.path(1), OpenEXR.Part(header, {"Y": grey, "right.Y": grey}))
    said = info(template)
    assert said.views == ("left", "right")
    assert (said.parts[0].view, said.parts[0].line_order) == ("", "decreasing")


def test_views_in_files_of_their_own(tmp_path):
    for view in ("left", "right"):
        ailing.make(tmp_path / view, (1001, 1002))
    ailing.make(tmp_path / "right", (1002,), {1002: ailing.frame(1002, data=Window(0, 0, 4, 4))})
    said = info(Template.parse(str(tmp_path / "%V" / "p.####.exr")))
    assert said.views == ("left", "right")
    assert [part.view for part in said.parts] == ["left", "right"]
    assert [each.difference.what for each in said.differing] == ["right: data window"]
    assert said.size == sum(path.stat().st_size for path in tmp_path.glob("*/*.exr"))


def test_many_frames_are_read_fast_and_in_flat_memory(tmp_path):
    template = ailing.make(tmp_path, (1001,))
    for number in range(1002, 1501):
        template.path(number).hardlink_to(template.path(1001))
    found = plate.find(template.text)
    describe(replace(found, frames=FrameRange.of(1001, 1010), present=FrameRange.of(1001, 1010)))
    peaks = []
    for last in (1050, 1500):
        some = FrameRange.of(1001, last)
        tracemalloc.start()
        began = time.process_time()
        describe(replace(found, frames=some, present=some))
        seconds = time.process_time() - began
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000  # ten times the frames; the rest is numbers of frames
    assert seconds < 20  # tracing makes it slow; a hang or a decoded pixel would be slower
