"""OpenEXR plates: what is read goes out again bit for bit, and what is bad is called by its name."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core import exr_bytes as raw
from understudy.core.errors import DiskFull, FrameMissing, FrameUnreadable, InvalidInput, WriteFailed
from understudy.core.frames import Array, Frame, Window
from understudy.core.plate import (
    Template,
    Timecode,
    Typed,
    exr,
    guess_colour_space,
    rate,
    rate_entry,
    read,
    read_file,
    read_header,
    write,
)
from understudy.core.plate.exr import Raw
from understudy.core.plate.metadata import same

DISPLAY = Window(0, 0, 64, 48)
EVERY_HALF = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)
WORDS = {np.dtype(np.float16): np.uint16, np.dtype(np.float32): np.uint32, np.dtype(np.uint32): np.uint32}


def frame(data=DISPLAY, display=DISPLAY, channels="RGB", dtype=np.float16, **kw):
    rng = np.random.default_rng(7)
    planes = {c: rng.normal(0.3, 1.0, (data.height, data.width)).astype(dtype) for c in channels}
    return Frame(number=1001, planes=planes, display=display, data=data, **kw)


def bits(plane):
    return np.ascontiguousarray(plane).view(WORDS[plane.dtype])


def assert_same_pixels(found, asked):
    assert set(found.planes) == set(asked.planes)
    for name, plane in asked.planes.items():
        assert found.planes[name].dtype == plane.dtype, name
        assert (bits(found.planes[name]) == bits(plane)).all(), name


def save(path, spec, pixels=None):
    """By OpenImageIO itself: what other programs leave behind."""
    out = oiio.ImageOutput.create(str(path))
    assert out is not None
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(
        np.zeros((spec.height, spec.width, spec.nchannels), np.float16) if pixels is None else pixels
    )
    return out


def again(tmp_path, asked, **kw):
    path = tmp_path / "p.1001.exr"
    write(asked, path, **kw)
    return read(Template.parse(str(tmp_path / "p.####.exr")), 1001)


class TestPixels:
    @pytest.mark.parametrize("codec", ["zips", "zip", "piz", "rle", "none"])
    def test_every_half_survives_beside_every_kind_of_float(self, tmp_path, codec):
        """All 65536 halves and random 32-bit patterns in one file: signalling NaN, payloads, subnormals, −0."""
        words = np.random.default_rng(0).integers(0, 2**32, (256, 256), dtype=np.uint64).astype(np.uint32)
        window = Window(0, 0, 256, 256)
        planes: dict[str, Array] = {
            "R": EVERY_HALF,
            "uv.u": words.view(np.float32),
            "G": EVERY_HALF[::-1],
            "B": EVERY_HALF.T,
        }
        asked = Frame(number=1001, planes=planes, display=window, data=window)
        assert_same_pixels(again(tmp_path, asked, compression=codec), asked)

    def test_whole_numbers_survive_alone(self, tmp_path):
        ids = np.random.default_rng(0).integers(0, 2**32, (48, 64), dtype=np.uint64).astype(np.uint32)
        asked = Frame(number=1001, planes={"id": ids}, display=DISPLAY, data=DISPLAY)
        assert_same_pixels(again(tmp_path, asked), asked)

    def test_whole_numbers_survive_beside_floats(self, tmp_path):
        """Ids of a renderer above 2^24 in one part with a picture in half and a depth in float."""
        words = np.random.default_rng(0).integers(0, 2**32, (48, 64), dtype=np.uint64).astype(np.uint32)
        asked = frame()
        asked = asked.with_planes({**asked.planes, "id": words, "depth.Z": words.view(np.float32)})
        assert_same_pixels(again(tmp_path, asked), asked)

    def test_codes_are_refused_by_openexr(self, tmp_path):
        with pytest.raises(InvalidInput, match="channel R is uint16"):
            write(frame(dtype=np.uint16), tmp_path / "p.1001.exr")

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.builds(Window, *[st.integers(-40, 40)] * 2, *[st.integers(1, 90)] * 2),
        st.builds(Window, *[st.integers(-40, 40)] * 2, *[st.integers(1, 90)] * 2),
        st.sampled_from([0.5, 1.0, 1.33, 2.0, 0.9375]),
    )
    def test_any_windows_and_aspect_survive(self, tmp_path, data, display, aspect):
        asked = frame(data, display, pixel_aspect=float(np.float32(aspect)))
        found = again(tmp_path, asked)
        assert (found.data, found.display, found.pixel_aspect) == (data, display, asked.pixel_aspect)
        assert_same_pixels(found, asked)

    def test_layers_are_found_by_name_whatever_their_order(self, tmp_path):
        asked = frame(channels=["mask_blend.A", "R", "face.B", "depth.Z", "A", "G", "face.R", "B", "face.G"])
        assert_same_pixels(again(tmp_path, asked), asked)

    def test_what_is_read_cannot_be_changed_in_place(self, tmp_path):
        found = again(tmp_path, frame())
        with pytest.raises(ValueError, match="read-only"):
            found.planes["R"][0, 0] = 1

    def test_unless_one_asks_for_that(self, tmp_path):
        asked = frame()
        again(tmp_path, asked)
        template = Template.parse(str(tmp_path / "p.####.exr"))
        found = read(template, asked.number, writable=True)
        assert_same_pixels(found, asked)
        found.planes["R"][0, 0] += 1
        assert_same_pixels(read(template, asked.number), asked)


class TestHeader:
    METADATA: ClassVar[dict[str, Any]] = {
        "timeCode": Timecode(1, 2, 3, 4, drop_frame=True, flags=1 << 7, user=0x12345678).entry,
        "framesPerSecond": rate_entry(Fraction(24000, 1001)),
        "keyCode": Typed("keycode", (1, 2, 3, 4, 5, 4, 64)),
        "chromaticities": Typed(
            "chromaticities", (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
        ),
        "worldToCamera": Typed("m44f", tuple(float(n) for n in range(16))),
        "adoptedNeutral": Typed("v2f", (0.3217, 0.3377)),
        "vendor/names": Typed("stringvector", ("a", "", "ü")),
        "vendor/box": Typed("box2i", (1, 2, 3, 4)),
        "vendor/count": -3,
        "vendor/ratio": 0.1,
        "nuke/version": "16.0v1",
        "reelName": "A001_C002",
        "imageCounter": 77,
        "vendor/double": Typed("double", (0.1,)),
        "vendor/curve": Typed("floatvector", (0.5, 0.25)),
        "vendor/own": Typed("studioType", b"\1\2\3"),
        "vendor/not UTF-8": "caf\udce9",
        "vendor/a key of more than 31 characters, which needs a flag": "x",
        "capDate": "2020:01:02 03:04:05",
        "understudy/a_key_of_31_characters": '{"json": [1, 2]}',
    }

    def test_entries_keep_value_and_type(self, tmp_path):
        found = again(tmp_path, frame(metadata=self.METADATA)).metadata
        for name, value in self.METADATA.items():
            back = found[name]
            assert type(back) is type(value), name
            assert same(value, back), name
            if isinstance(value, Typed) and value.type not in ("chromaticities", "v2f"):  # of 32 bits
                assert back == value, name
        assert Timecode.from_header(found) == Timecode(1, 2, 3, 4, True, 1 << 7, 0x12345678)
        assert rate(found) == Fraction(24000, 1001)

    def test_a_second_generation_is_the_same_file(self, tmp_path):
        """Nothing is stamped with the time of writing, nothing creeps in: same frame, same bytes."""
        first = tmp_path / "a.exr"
        write(frame(metadata=self.METADATA), first)
        second = tmp_path / "b.exr"
        write(read_file(first, 1001), second)
        assert first.read_bytes() == second.read_bytes()

    def test_no_time_of_shooting_is_made_up(self, tmp_path):
        assert set(again(tmp_path, frame()).metadata) == {
            "compression",
            "lineOrder",
            "screenWindowCenter",
            "screenWindowWidth",
        }

    def test_entries_about_the_old_files_layout_stay_behind(self, tmp_path):
        stale = {
            "lineOrder": Typed("lineOrder", (1,)),
            "openexr:lineOrder": "decreasingY",
            "chunkCount": 9,
            "nuke/full_layer_names": 1,
            "preview": Typed("preview", bytes(8)),
            "tiles": Typed("tiledesc", bytes(9)),
            "dwaCompressionLevel": 45.0,
            "version": 5,
            "type": "tiledimage",
        }
        found = again(tmp_path, frame(metadata={**stale, "keep": "me"})).metadata
        assert found["keep"] == "me"
        assert found["lineOrder"] == Typed("lineOrder", (0,))
        assert not set(found) & (set(stale) - {"lineOrder"})

    def test_a_cryptomattes_manifest_goes_with_its_channels(self, tmp_path):
        manifest = {"cryptomatte/abc1234/name": "crypto", "cryptomatte/abc1234/manifest": "{}"}
        assert not [k for k in again(tmp_path, frame(metadata=manifest)).metadata if k.startswith("crypto")]
        with_channels = frame(metadata=manifest)
        with_channels = with_channels.with_planes(
            {**with_channels.planes, "crypto00.R": np.zeros((48, 64), np.float32)}
        )
        assert again(tmp_path, with_channels).metadata.items() >= manifest.items()

    @pytest.mark.parametrize(
        "value",
        [2**31, Typed("timecode", (1,)), Typed("studioType", (1, 2)), Typed("v2i", (0.5, 1)), 1e300, None],
    )
    def test_what_no_attribute_holds_is_refused_by_name(self, tmp_path, value):
        with pytest.raises(InvalidInput, match="header entry acme/x") as caught:
            write(frame(metadata={"acme/x": value}), tmp_path / "p.1001.exr")
        assert (caught.value.field, caught.value.frame) == ("acme/x", 1001)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["", "x" * 256, "a\0b"])
    def test_what_is_no_name_is_refused(self, tmp_path, name):
        with pytest.raises(InvalidInput, match="is no name"):
            write(frame(metadata={name: 1}), tmp_path / "p.1001.exr")

    def test_every_kind_of_entry_goes_along_to_the_byte(self, tmp_path):
        """OpenEXR's own types, one that nobody knows, and bytes that are not the usual ones for their value."""
        entries = {
            "b2f": Raw("box2f", struct.pack("<4f", 1, 2, 3, 4)),
            "comments": Raw("string", b"caf\xe9 \0 end"),
            "d": Raw("double", struct.pack("<d", 0.1)),
            "envmap": Raw("envmap", b"\0"),
            "floats": Raw("floatvector", struct.pack("<3f", 1, 2, 3)),
            "m33": Raw("m33d", struct.pack("<9d", *range(9))),
            "nan": Raw("float", struct.pack("<I", 0x7F800001)),
            "nans": Raw("v2f", struct.pack("<2I", 0x7F800001, 0xFFC12345)),
            "odd": Raw("v3i", b"\1\2\3"),
            "opaque": Raw("studioType", b"\1\2\3"),
            "ratio": Raw("rational", struct.pack("<iI", -1, 3)),
            "texts": Raw("stringvector", raw.strings("a", "", "b")),
            "texts cut": Raw("stringvector", struct.pack("<i", 99) + b"a"),
            "timeCode": Raw("timecode", struct.pack("<2I", 0xFFFFFFFF, 0x80000000)),
            "v2d": Raw("v2d", struct.pack("<2d", 1, 2)),
        }
        extra = [raw.attribute(name, *entry) for name, entry in entries.items()]
        source = read_file(raw.make(tmp_path / "odd.exr", *extra))
        assert {source.metadata[name].type for name in ("nan", "nans", "odd")} == {"float", "v2f", "v3i"}
        again(tmp_path, source)
        with (tmp_path / "p.1001.exr").open("rb") as file:
            (part,) = exr.parse(file).parts
        assert {name: part.attributes[name] for name in entries} == entries

    def test_the_header_alone_says_the_same(self, tmp_path):
        asked = frame(channels=["R", "G", "B", "depth.Z"], metadata=self.METADATA)
        found = again(tmp_path, asked)
        header = read_header(tmp_path / "p.1001.exr")
        assert dict(header.channels) == {name: plane.dtype for name, plane in found.planes.items()}
        assert (header.data, header.display, header.metadata) == (found.data, found.display, found.metadata)
        assert header.format == "openexr"

    @pytest.mark.parametrize(
        ("metadata", "space"),
        [
            ({}, None),
            ({"understudy/colour": "ARRI LogC4"}, "ARRI LogC4"),
            ({"colorInteropID": "lin_ap1_scene"}, "lin_ap1_scene"),
            ({"understudy/colour": "ACEScct", "colorInteropID": "lin_ap1_scene"}, "ACEScct"),
            ({"colorInteropID": "unknown"}, None),
        ],
    )
    def test_guesses_of_the_colour_space(self, tmp_path, colour, metadata, space):
        found = again(tmp_path, frame(metadata=metadata))
        assert guess_colour_space(found) == space
        assert space is None or colour.resolve(space)


class TestCodec:
    @pytest.mark.parametrize("codec", ["zip", "piz", "rle", "none"])
    def test_a_lossless_plates_codec_is_kept(self, tmp_path, codec):
        assert again(tmp_path, frame(metadata={"compression": codec})).metadata["compression"] == codec

    @pytest.mark.parametrize("codec", ["dwaa:45", "dwab", "b44", "b44a", "pxr24", "htj2k", "zstd"])
    def test_any_others_becomes_zips(self, tmp_path, codec):
        assert again(tmp_path, frame(metadata={"compression": codec})).metadata["compression"] == "zips"

    @pytest.mark.parametrize("codec", ["dwaa", "htj2k", "ZIPS", "best", ""])
    def test_asking_for_another_is_refused(self, tmp_path, codec):
        with pytest.raises(InvalidInput, match="compression") as caught:
            write(frame(), tmp_path / "p.1001.exr", compression=codec)
        assert (caught.value.field, caught.value.value) == ("compression", codec)


class TestBadFiles:
    def read(self, folder):
        return read(Template.parse(str(folder / "p.####.exr")), 1001)

    def test_missing(self, tmp_path):
        with pytest.raises(FrameMissing, match=r"p\.1001\.exr: frame 1001 is not on disk") as caught:
            self.read(tmp_path)
        assert caught.value.frame == 1001

    def test_zero_bytes(self, tmp_path):
        (tmp_path / "p.1001.exr").write_bytes(b"")
        with pytest.raises(FrameUnreadable, match=r"frame 1001 is empty \(zero bytes\)"):
            self.read(tmp_path)

    def test_not_an_image(self, tmp_path):
        (tmp_path / "p.1001.exr").write_bytes(b"not an image at all" * 10)
        with pytest.raises(FrameUnreadable, match="not an image we can open"):
            self.read(tmp_path)

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
    def test_truncated(self, tmp_path, share):
        path = tmp_path / "p.1001.exr"
        write(frame(), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FrameUnreadable, match="truncated") as caught:
            self.read(tmp_path)
        assert (caught.value.frame, caught.value.path) == (1001, str(path))

    def test_a_flipped_bit_in_a_line(self, tmp_path):
        path = tmp_path / "p.1001.exr"
        smooth = np.outer(np.arange(48), np.ones(64)).astype(
            np.float16
        )  # lines that do not shrink are stored bare
        write(frame().with_planes(dict.fromkeys("RGB", smooth)), path)
        spoiled = bytearray(path.read_bytes())
        spoiled[-10] ^= 255
        path.write_bytes(spoiled)
        with pytest.raises(FrameUnreadable, match="truncated or corrupt"):
            self.read(tmp_path)

    def test_sub_sampled(self, tmp_path):
        raw.make(tmp_path / "p.1001.exr", channels=(("BY", 2), ("RY", 2), ("Y", 1)))
        with pytest.raises(FrameUnreadable, match="sub-sampled channels \\(BY 2×2, RY 2×2\\)"):
            self.read(tmp_path)

    def test_deep(self, tmp_path):
        spec = oiio.ImageSpec(4, 2, 2, "float")
        spec.channelnames, spec.deep = ("A", "Z"), True
        deep = oiio.DeepData()
        deep.init(8, 2, "float", spec.channelnames)
        out = oiio.ImageOutput.create("deep.exr")
        assert out is not None
        assert out.open(str(tmp_path / "p.1001.exr"), spec)
        assert out.write_deep_image(deep)
        assert out.close()
        with pytest.raises(FrameUnreadable, match="deep image"):
            self.read(tmp_path)

    def test_another_format_under_the_name(self, tmp_path):
        assert save(tmp_path / "x.png", oiio.ImageSpec(4, 2, 3, "uint8")).close()
        (tmp_path / "x.png").rename(tmp_path / "p.1001.exr")
        with pytest.raises(FrameUnreadable, match=r"neither as OpenEXR nor as DPX \(b'.x89PNG'\)"):
            self.read(tmp_path)

    def test_a_tiled_file_is_read_and_written_in_lines(self, tmp_path):
        pixels = np.random.default_rng(0).normal(size=(48, 64, 3)).astype(np.float16)
        spec = oiio.ImageSpec(64, 48, 3, "half")
        spec.tile_width = spec.tile_height = 16
        assert save(tmp_path / "tiled.exr", spec, pixels).close()
        found = read_file(tmp_path / "tiled.exr")
        assert all((found.planes[c] == pixels[..., i]).all() for i, c in enumerate("RGB"))
        assert_same_pixels(again(tmp_path, found), found)
        written = oiio.ImageInput.open(str(tmp_path / "p.1001.exr"))
        assert written is not None
        assert written.spec().tile_width == 0


class TestNothingHalfWritten:
    def test_a_new_frame_takes_the_old_ones_place(self, tmp_path):
        path = tmp_path / "new" / "p.1001.exr"
        write(frame(), path)
        write(frame(channels="RGBA"), path)
        assert set(read_file(path).planes) == set("RGBA")
        assert [p.name for p in path.parent.iterdir()] == ["p.1001.exr"]

    def test_a_file_in_the_folders_place(self, tmp_path):
        (tmp_path / "folder").write_bytes(b"")
        with pytest.raises(WriteFailed, match=r"p\.1001\.exr") as caught:
            write(frame(), tmp_path / "folder" / "p.1001.exr")
        assert caught.value.frame == 1001

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_may_not_be_written(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(WriteFailed, match="Permission denied"):
            write(frame(), tmp_path / "p.1001.exr")

    @pytest.mark.parametrize("limit", [100, 3000])
    def test_a_file_that_may_not_grow(self, tmp_path, limit):
        """The system stops the write in the header or in the pixels; the old frame stays."""
        path = tmp_path / "p.1001.exr"
        write(frame(channels="R"), path)
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(WriteFailed, match="File too large"):
                write(frame(), path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["p.1001.exr"]

    def test_a_full_disk(self, tmp_path):
        mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(tmp_path)]
        mounted = subprocess.run(mount, check=False, capture_output=True)
        if mounted.returncode:
            pytest.skip(f"no small disk to fill: {mounted.stderr.decode().strip()}")
        try:
            window = Window(0, 0, 64, 48)
            write(frame(window, window), tmp_path / "p.1001.exr")
            large = Window(0, 0, 256, 192)
            with pytest.raises(DiskFull, match=r"p\.1002\.exr.*No space left") as caught:
                write(frame(large, large), tmp_path / "p.1002.exr", compression="none")
            assert caught.value.reason == "DISK_FULL"
            assert [p.name for p in tmp_path.iterdir()] == ["p.1001.exr"]
            assert_same_pixels(read_file(tmp_path / "p.1001.exr"), frame(window, window))
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    def test_other_extensions(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"written as \.exr or \.dpx"):
            write(frame(), tmp_path / "p.1001.png")


@pytest.mark.parametrize("where", ["channel", "part"])
def test_names_that_are_not_utf8_are_refused_on_writing(tmp_path, where):
    asked = frame(channels=("R", "G", "B", "lumi\udce8re.R") if where == "channel" else "RGB")
    if where == "part":
        asked = replace(asked, name="beauty", others=(replace(frame(channels="Z"), name="tief\udce4"),))
    with pytest.raises(InvalidInput, match="is not UTF-8") as caught:
        write(asked, tmp_path / "p.1001.exr")
    assert caught.value.field == "channels"
    assert not list(tmp_path.iterdir())


def test_a_cryptomatte_in_a_part_of_its_own_keeps_its_manifest(tmp_path):
    said = {"cryptomatte/abc1234/name": "crypto_object", "cryptomatte/abc1234/manifest": "{}"}
    part = replace(frame(channels="RGBA", dtype=np.float32), name="crypto_object00")
    write(replace(frame(metadata=said), name="rgba", others=(part,)), tmp_path / "p.1001.exr")
    assert read_file(tmp_path / "p.1001.exr").metadata.items() >= said.items()


def test_a_type_of_ones_own_in_a_file_of_one_part_is_read(tmp_path):
    path = tmp_path / "p.1001.exr"
    write(frame(), path)
    path.write_bytes(path.read_bytes().replace(b"scanlineimage", b"my own beauty", 1))
    assert_same_pixels(read_file(path), frame())
