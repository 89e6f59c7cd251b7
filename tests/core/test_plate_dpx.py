"""DPX plates: code values in, the same code values out, and around them every byte of the file."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError, WriteFailed
from understudy.core.frames import Frame, Window
from understudy.core.plate import Timecode, Typed, dpx, guess_colour_space, rate, rate_entry
from understudy.core.plate.dpx_pixels import FILLED_A, FILLED_B, PACKED, Element

DEPTHS = (8, 10, 12, 16)
PACKINGS = ("Packed", "Filled, method A", "Filled, method B")
CHANNELS = ("RGB", "RGBA", "ABGR", "Y")
FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def frame(depth=10, channels="RGB", width=64, height=16, seed=0, metadata=None, **kw):
    window = Window(0, 0, width, height)
    codes = np.random.default_rng(seed).integers(0, 2**depth, (len(channels), height, width))
    kind = np.uint8 if depth == 8 else np.uint16
    planes = {c: plane.astype(kind) for c, plane in zip(channels, codes, strict=True)}
    entries = {**(metadata or {}), **({"dpx:ImageDescriptor": "ABGR"} if channels == "ABGR" else {})}
    return Frame(
        number=1001,
        planes=planes,
        display=window,
        data=window,
        maximum=2.0**depth - 1,
        metadata=entries,
        **kw,
    )


def save(tmp_path, asked, name="p.1001.dpx"):
    dpx.write(asked, tmp_path / name, tmp_path / name)
    return tmp_path / name


def again(tmp_path, asked):
    return dpx.read(save(tmp_path, asked), 1001)


def patched(tmp_path, asked, fields):
    """A file with other bytes at some places."""
    path = save(tmp_path, asked)
    raw = bytearray(path.read_bytes())
    for place, data in fields.items():
        raw[place : place + len(data)] = data
    path.write_bytes(raw)
    return path


def assert_same_planes(found, asked):
    assert set(found.planes) == set(asked.planes)
    for name, plane in asked.planes.items():
        np.testing.assert_array_equal(found.planes[name], plane, err_msg=name)


def no_name(raw):
    """The file without the name in its header, which is the new file's."""
    return raw[:36] + raw[136:]


class TestPixels:
    @given(
        st.builds(
            Element,
            channels=st.sampled_from([("R", "G", "B"), ("A", "B", "G", "R"), ("Y",)]),
            depth=st.sampled_from(DEPTHS),
            packing=st.sampled_from([PACKED, FILLED_A, FILLED_B]),
            big_endian=st.booleans(),
            width=st.integers(1, 70),
            height=st.just(3),
        ),
        st.integers(0, 9),
        st.integers(0, 2**32),
    )
    def test_any_bytes_are_codes_and_padding(self, element, extra, seed):
        """Unpacking and packing are inverse, and what they leave out is all kept beside."""
        element = replace(element, pitch=element.natural + extra)
        lines = np.random.default_rng(seed).integers(0, 256, (3, element.pitch), np.uint8)
        codes = element.unpack(lines)
        assert codes.shape == (3, element.count)
        assert codes.max() <= element.maximum
        packed, beside = element.pack(codes), element.padding(lines)
        np.testing.assert_array_equal(packed if beside is None else packed | beside, lines)
        assert beside is None or not (packed & beside).any()
        assert element.padding(packed) is None

    @pytest.mark.parametrize(
        ("depth", "packing", "codes", "form", "words"),
        [
            (10, FILLED_A, (1, 2, 3), ">I", [1 << 22 | 2 << 12 | 3 << 2]),
            (10, FILLED_B, (1, 2, 3), "<I", [1 << 20 | 2 << 10 | 3]),
            (10, PACKED, (1, 2, 3), ">I", [1 | 2 << 10 | 3 << 20]),
            (10, PACKED, (0, 0, 0, 0b1110000001, 5, 6), "<II", [1 << 30, 0b11100000 | 5 << 8 | 6 << 18]),
            (12, FILLED_A, (1, 2, 3), ">HHH", [1 << 4, 2 << 4, 3 << 4]),
            (12, FILLED_B, (1, 2, 3), "<HHH", [1, 2, 3]),
            (12, PACKED, (1, 2, 0xABC), ">II", [1 | 2 << 12 | 0xBC << 24, 0xA]),
            (16, PACKED, (1, 2, 3), "<HHH", [1, 2, 3]),
            (8, PACKED, (1, 2, 3), ">BBB", [1, 2, 3]),
        ],
    )
    def test_known_words(self, depth, packing, codes, form, words):
        """The standard's figures, by hand."""
        element = Element(
            channels=("R", "G", "B"),
            depth=depth,
            packing=packing,
            big_endian=form[0] == ">",
            width=len(codes) // 3,
            height=1,
            pitch=struct.calcsize(form),
        )
        assert element.pack(np.array([codes], element.dtype)).tobytes() == struct.pack(form, *words)

    def test_a_single_component_fills_from_the_lowest_bits(self):
        element = Element(
            channels=("Y",), depth=10, packing=FILLED_A, big_endian=True, width=4, height=1, pitch=8
        )
        stored = element.pack(np.array([[1, 2, 3, 4]], np.uint16)).tobytes()
        assert stored == struct.pack(">II", 1 << 2 | 2 << 12 | 3 << 22, 4 << 2)


class TestRoundTrip:
    @FILES
    @given(
        depth=st.sampled_from(DEPTHS),
        channels=st.sampled_from([*CHANNELS, "R", "G", "B", "A"]),
        packing=st.sampled_from(PACKINGS),
        endian=st.sampled_from(["big", "little"]),
        width=st.integers(1, 70),
        seed=st.integers(0, 1000),
    )
    def test_all_codes_survive(self, tmp_path, depth, channels, packing, endian, width, seed):
        metadata = {"dpx:Packing": packing, "dpx:Endian": endian}
        asked = frame(depth, channels, width, 5, seed, metadata=metadata)
        found = again(tmp_path, asked)
        assert found.maximum == asked.maximum
        assert list(found.planes) == sorted(channels, key="RGBAY".index)
        assert found.metadata.items() >= metadata.items()
        assert not any(plane.flags.writeable for plane in found.planes.values())
        assert_same_planes(found, asked)

    @pytest.mark.parametrize("depth", DEPTHS)
    def test_every_code_there_is(self, tmp_path, depth):
        window = Window(0, 0, 2**depth // 8, 8)
        codes = np.arange(2**depth, dtype=np.uint8 if depth == 8 else np.uint16).reshape(8, -1)
        asked = Frame(
            number=1, planes=dict.fromkeys("RGB", codes), display=window, data=window, maximum=2.0**depth - 1
        )
        found = again(tmp_path, asked)
        assert all((found.planes[c] == codes).all() for c in "RGB")
        assert found.rgb().max() == 1.0

    def test_larger_than_what_is_taken_at_once(self, tmp_path):
        asked = frame(10, width=1000, height=333)
        assert_same_planes(again(tmp_path, asked), asked)


# What other programs read, where they read right. OpenImageIO, new and old, does not where the last word of a 10-bit
# filled line is not full, and does not know that lines of 8 bits are padded; FFmpeg does not read 10 bits packed, and
# of A, B, G, R only 8 bits. These are all the exceptions.


def by_openimageio(path):
    source = oiio.ImageInput.open(str(path))
    spec, codes = source.spec(), source.read_image("native")
    source.close()
    depth = spec.get_int_attribute("oiio:BitsPerSample")
    return {name: codes[..., i] >> (8 * codes.itemsize - depth) for i, name in enumerate(spec.channelnames)}


def by_oiiotool(path, depth):
    """Debian's, years older: a process and a library of its own, which makes 16-bit TIFF of the codes."""
    tiff = path.with_suffix(".tif")
    subprocess.run(["oiiotool", path, "-d", "uint16", "-o", tiff], check=True, capture_output=True)
    source = oiio.ImageInput.open(str(tiff))
    codes = source.read_image("uint16")
    source.close()
    names = "Y" if codes.shape[-1] == 1 else "RGBA"
    return {name: codes[..., i] >> (16 - depth) for i, name in enumerate(names[: codes.shape[-1]])}


FFMPEG_ORDER = {"gbrap": "GBRA", "gbrp": "GBR", "rgba": "RGBA", "rgb": "RGB", "abgr": "ABGR", "gray": "Y"}


def by_ffmpeg(path):
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    order = next(order for form, order in FFMPEG_ORDER.items() if picture.format.name.startswith(form))
    wide = picture.format.components[0].bits > 8
    kind = np.dtype(("<u2" if picture.format.name.endswith("le") else ">u2") if wide else np.uint8)
    lines = [np.frombuffer(bytes(p), np.uint8).reshape(picture.height, -1) for p in picture.planes]
    each = len(order) // len(lines)  # components in a plane
    used = picture.width * each * kind.itemsize
    codes = [line[:, :used].copy().view(kind).reshape(picture.height, picture.width, each) for line in lines]
    return dict(zip(order, np.moveaxis(np.concatenate(codes, axis=-1), -1, 0), strict=True))


LAYOUTS = [(d, p) for d in DEPTHS for p in PACKINGS if d in (10, 12) or p == "Packed"]


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize(("depth", "packing"), LAYOUTS)
@pytest.mark.parametrize("channels", CHANNELS)
class TestOthersReadWhatWeWrite:
    def written(self, tmp_path, depth, channels, packing, endian, width):
        asked = frame(depth, channels, width, 7, metadata={"dpx:Packing": packing, "dpx:Endian": endian})
        return asked, save(tmp_path, asked)

    def test_openimageio(self, tmp_path, depth, channels, packing, endian):
        asked, path = self.written(tmp_path, depth, channels, packing, endian, 36)
        for name, codes in by_openimageio(path).items():
            np.testing.assert_array_equal(codes, asked.planes[name.rstrip("'")])

    @pytest.mark.skipif(shutil.which("oiiotool") is None, reason="no oiiotool on this machine")
    def test_oiiotool(self, tmp_path, depth, channels, packing, endian):
        asked, path = self.written(tmp_path, depth, channels, packing, endian, 36)
        found = by_oiiotool(path, depth)
        assert set(found) == set(asked.planes)
        for name, codes in found.items():
            np.testing.assert_array_equal(codes, asked.planes[name])

    def test_ffmpeg(self, tmp_path, depth, channels, packing, endian):
        if (depth == 10 and packing == "Packed") or (channels == "ABGR" and depth > 8):
            pytest.skip("FFmpeg does not read these")
        for width in (35, 37):  # lines that end inside a word
            asked, path = self.written(tmp_path, depth, channels, packing, endian, width)
            found = by_ffmpeg(path)
            assert set(found) == set(asked.planes)
            for name, codes in found.items():
                np.testing.assert_array_equal(codes, asked.planes[name])


class TestWeReadWhatOthersWrite:
    @pytest.mark.parametrize("endian", ["big", "little"])
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("width", [33, 36])
    def test_openimageio(self, tmp_path, depth, endian, width):
        """Its lines of 8 bits are not padded, which the size of the file tells."""
        asked = frame(depth, width=width, height=7)
        spec = oiio.ImageSpec(width, 7, 3, "uint8" if depth == 8 else "uint16")
        spec["oiio:BitsPerSample"], spec["oiio:Endian"] = depth, endian
        path = tmp_path / "other.dpx"
        out = oiio.ImageOutput.create(str(path))
        codes = np.stack(list(asked.planes.values()), axis=-1)
        wide = codes if depth == 8 else (codes << (16 - depth)) | (codes >> (2 * depth - 16))
        assert out.open(str(path), spec)
        assert out.write_image(wide)
        assert out.close()
        found = dpx.read(path)
        assert_same_planes(found, asked)
        rewritten = save(tmp_path, found)
        assert no_name(rewritten.read_bytes()) == no_name(path.read_bytes())

    @pytest.mark.parametrize(("form", "depth"), [("gbrp10be", 10), ("gbrp12le", 12), ("rgb48le", 16)])
    def test_ffmpeg(self, tmp_path, form, depth):
        asked = frame(depth, width=36, height=8)
        picture = av.VideoFrame(36, 8, form)
        kind = ">u2" if form.endswith("be") else "<u2"
        if form.startswith("gbr"):
            lines = [asked.planes[c] for c in "GBR"]
        else:
            lines = [np.stack([asked.planes[c] for c in "RGB"], axis=-1).reshape(8, -1)]
        for plane, line in zip(picture.planes, lines, strict=True):
            wide = np.zeros((8, plane.line_size // 2), kind)
            wide[:, : line.shape[1]] = line
            plane.update(wide.tobytes())
        path = tmp_path / "other.dpx"
        with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("dpx", rate=24)
            stream.width, stream.height, stream.pix_fmt = 36, 8, form
            container.mux(stream.encode(picture))
            container.mux(stream.encode())
        found = dpx.read(path)
        assert_same_planes(found, asked)
        assert no_name(save(tmp_path, found).read_bytes()) == no_name(path.read_bytes())


@st.composite
def plates(draw):
    """Bytes of DPX files of every layout that we read, with noise wherever it may be: fill bits, padding, user data,
    reserved fields, after the picture."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    depth, packing, big = draw(st.sampled_from(DEPTHS)), draw(st.integers(0, 2)), draw(st.booleans())
    order, width, height = ">" if big else "<", draw(st.integers(1, 40)), draw(st.integers(1, 5))
    codes = draw(st.sampled_from([(50,), (51,), (52,), (6,), (50, 4), (3, 2, 1)]))
    components = {50: 3, 51: 4, 52: 4}
    header = draw(st.sampled_from([1664, 2048, 2048 + 99, 8192]))
    extra, gap = draw(st.sampled_from([0, 4, 7])), draw(st.sampled_from([0, 12]))
    raw = bytearray(noise.integers(0, 256, header, np.uint8).tobytes())
    raw[:16] = struct.pack(f"{order}4sI8s", b"SDPX" if big else b"XPDS", header, b"V1.0")
    raw[660:664] = b"\xff" * 4
    struct.pack_into(f"{order}HHII", raw, 768, draw(st.integers(0, 3)), len(codes), width, height)
    at = header
    for index, code in enumerate(codes):
        element = Element(
            channels=("?",) * components.get(code, 1),
            depth=depth,
            packing=packing,
            big_endian=big,
            width=width,
            height=height,
        )
        struct.pack_into(f"{order}I", raw, 780 + 72 * index, 0)
        fields = (code, depth, packing, 0, at, extra)
        struct.pack_into(f"{order}BxxBHHII", raw, 800 + 72 * index, *fields)
        at += (element.usual + extra) * height + gap
    return bytes(raw) + noise.integers(0, 256, at - header, np.uint8).tobytes()


class TestPlateKeepsItsBytes:
    @FILES
    @given(plates())
    def test_the_same_file_but_for_its_name(self, tmp_path, raw):
        (tmp_path / "plate.dpx").write_bytes(raw)
        again = save(tmp_path, dpx.read(tmp_path / "plate.dpx"), "ours.dpx").read_bytes()
        assert again[36:].startswith(b"ours.dpx\0")
        assert no_name(again) == no_name(raw)

    @FILES
    @given(plates(), st.integers(0, 2**32))
    def test_a_changed_pixel_changes_its_words_only(self, tmp_path, raw, seed):
        (tmp_path / "plate.dpx").write_bytes(raw)
        found = dpx.read(tmp_path / "plate.dpx")
        random = np.random.default_rng(seed)
        planes = {name: plane.copy() for name, plane in found.planes.items()}
        name = random.choice(list(planes))
        row, column = (int(random.integers(n)) for n in planes[name].shape)
        planes[name][row, column] ^= 1
        changed = save(tmp_path, found.with_planes(planes), "ours.dpx").read_bytes()
        bits = [(a ^ b).bit_count() for a, b in zip(no_name(changed), no_name(raw), strict=True) if a != b]
        assert bits == [1]

    def test_a_field_that_the_frame_says_otherwise(self, tmp_path):
        plate = save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A", "dpx:InputDevice": "scanner"}))
        before = plate.read_bytes()
        found = dpx.read(plate)
        found = replace(found, metadata={**found.metadata, "dpx:SlateInfo": "12B"}, pixel_aspect=2.0)
        after = save(tmp_path, found).read_bytes()
        differing = [at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert set(differing) <= {1764 + 2, *range(1628, 1636)}
        assert dpx.read(plate).metadata["dpx:SlateInfo"] == "12B"
        assert dpx.read(plate).pixel_aspect == 2.0

    @pytest.mark.parametrize(
        "other", [frame(12), frame(10, "RGBA"), frame(10, width=32), frame(10, height=8)]
    )
    def test_planes_that_the_plates_file_does_not_fit_get_a_file_that_does(self, tmp_path, other):
        plate = dpx.read(save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A", "dpx:Endian": "little"})))
        found = again(tmp_path, replace(other, metadata=plate.metadata))
        assert_same_planes(found, other)
        assert found.maximum == other.maximum
        assert found.metadata["dpx:SlateInfo"] == "12A"

    def test_what_must_agree(self, tmp_path):
        plate = dpx.read(save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A"}), "a.dpx"))
        ours = dpx.read(save(tmp_path, plate, "b.dpx"))
        assert ours.metadata != plate.metadata
        assert dpx.comparable(ours.metadata) == dpx.comparable(plate.metadata)
        assert "understudy/box" not in dpx.comparable({**plate.metadata, "understudy/box": "[]"})


METADATA = {
    "timeCode": Timecode(1, 2, 3, 4, drop_frame=True, user=7).entry,
    "keyCode": Typed("keycode", (1, 2, 3, 4, 5, 4, 64)),
    "dpx:Transfer": "Printing density",
    "dpx:Colorimetric": "ITU-R 709-4",
    "dpx:FrameRate": 24.0,
    "dpx:TemporalFrameRate": 24.0,
    "dpx:FramePosition": 1001,
    "dpx:SequenceLength": 240,
    "dpx:HeldCount": 1,
    "dpx:ShutterAngle": 180.0,
    "dpx:InputDevice": "scanner",
    "dpx:InputDeviceSerialNumber": "0815",
    "dpx:SourceImageFileName": "reel.001",
    "dpx:FrameId": "key",
    "dpx:SlateInfo": "12A",
    "dpx:Format": "Academy",
    "dpx:LowData": 95,
    "dpx:HighData": 685,
    "dpx:LowQuantity": 0.5,
    "dpx:HighQuantity": 2.0,
    "dpx:Interlace": 0,
    "dpx:FieldNumber": 1,
    "dpx:HorizontalSampleRate": 4.0,
    "dpx:VerticalSampleRate": 5.0,
    "dpx:TimeOffset": 6.0,
    "dpx:BlackLevel": 64.0,
    "dpx:BlackGain": 1.5,
    "dpx:BreakPoint": 2.5,
    "dpx:WhiteLevel": 940.0,
    "dpx:IntegrationTimes": 8.0,
}
# under other names there, or (the scanned size) in the wrong byte order
OURS = {
    "dpx:Project": "project",
    "dpx:Creator": "creator",
    "dpx:Copyright": "nobody",
    "dpx:Gamma": 1.75,
    "dpx:XScannedSize": 24.0,
    "dpx:YScannedSize": 18.0,
}


class TestHeader:
    def test_survives_generations(self, tmp_path):
        asked = frame(metadata={**METADATA, **OURS, "dpx:DateTime": "2020:01:02:03:04:05"}, pixel_aspect=2.0)
        first = again(tmp_path, asked)
        assert first.metadata.items() >= asked.metadata.items()
        assert first.pixel_aspect == 2.0
        before = (tmp_path / "p.1001.dpx").read_bytes()
        assert before[:4] == b"SDPX"  # big-endian
        assert before[36:].startswith(b"p.1001.dpx\0")
        assert struct.unpack_from(">I", before, 16) == (len(before),)
        second = again(tmp_path, first)
        assert second.metadata == first.metadata
        assert (tmp_path / "p.1001.dpx").read_bytes() == before

    @pytest.mark.parametrize("endian", ["big", "little"])
    def test_openimageio_finds_every_field_in_its_place(self, tmp_path, endian):
        path = save(tmp_path, frame(metadata={**METADATA, **OURS, "dpx:Endian": endian}, pixel_aspect=2.0))
        source = oiio.ImageInput.open(str(path))
        said = {p.name: p.value for p in source.spec().extra_attribs}
        source.close()
        renamed = {"timeCode": "smpte:TimeCode", "keyCode": "smpte:KeyCode"}
        for name, value in METADATA.items():
            found = said[renamed.get(name, name)]
            plain = value.value if isinstance(value, Typed) else value
            assert (tuple(found) if isinstance(plain, tuple) else found) == plain, name
        assert said["DocumentName"] == OURS["dpx:Project"]
        assert said["Software"] == OURS["dpx:Creator"]
        assert said["Copyright"] == OURS["dpx:Copyright"]
        assert said["PixelAspectRatio"] == 2.0

    def test_undefined_says_nothing(self, tmp_path):
        found = again(tmp_path, frame())
        assert set(found.metadata) == {
            *("dpx:header", "dpx:Version", "dpx:Orientation", "dpx:Packing", "dpx:Endian"),
            *("dpx:EndOfLinePadding", "dpx:EndOfImagePadding", "dpx:ImageDescriptor", "dpx:DittoKey"),
        }
        assert found.pixel_aspect == 1.0

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({1724: struct.pack(">f", np.inf)}, "dpx:FrameRate"),
            ({1724: struct.pack(">I", 0xFFFFFFFF)}, "dpx:FrameRate"),
            ({1764: b"\xff" * 100}, "dpx:SlateInfo"),
            ({1764: b"\0"}, "dpx:SlateInfo"),
            ({1712: b"\x80\0\0\0"}, "dpx:FramePosition"),
            ({1920: b"\xff" * 8}, "timeCode"),
            ({1664: b"  "}, "keyCode"),
            ({801: b"\xff"}, "dpx:Transfer"),
            ({1724: b"\0" * 4, 1940: b"\0" * 4}, "framesPerSecond"),
        ],
    )
    def test_every_way_to_say_nothing(self, tmp_path, fields, name):
        assert name in again(tmp_path, frame(metadata=METADATA)).metadata
        assert name not in dpx.read(patched(tmp_path, frame(metadata=METADATA), fields)).metadata

    @pytest.mark.parametrize("ratio", [(0, 1), (1, 0), (0xFFFFFFFF, 1), (0xFFFFFFFF,) * 2, (1, 70000)])
    def test_an_aspect_that_is_none_is_square(self, tmp_path, ratio):
        path = patched(tmp_path, frame(), {1628: struct.pack(">II", *ratio)})
        assert dpx.read(path).pixel_aspect == dpx.read_header(path).pixel_aspect == 1.0

    @pytest.mark.parametrize("aspect", [0.9090909, 10 / 11, 4 / 3, 1.5, 2.0])
    def test_an_aspect_comes_back(self, tmp_path, aspect):
        assert np.float32(again(tmp_path, frame(pixel_aspect=aspect)).pixel_aspect) == np.float32(aspect)

    def test_an_aspect_beyond_reason(self, tmp_path):
        with pytest.raises(InvalidInput, match="pixel aspect 100 is none"):
            save(tmp_path, frame(pixel_aspect=100.0))

    @given(time=st.integers(0, 2**32 - 2), user=st.integers(0, 2**32 - 2))
    @FILES
    def test_timecode_words_are_openexrs(self, tmp_path, time, user):
        path = patched(tmp_path, frame(8, width=4, height=1), {1920: struct.pack(">II", time, user)})
        assert dpx.read_header(path).metadata["timeCode"] == Typed("timecode", (time, user))

    @pytest.mark.parametrize(
        ("film", "perforations"),
        [
            ("", (4, 64)),
            ("3perf", (3, 64)),
            ("VistaVision", (8, 64)),
            ("8kimax", (15, 120)),
            ("16mm", (1, 20)),
        ],
    )
    def test_key_code(self, tmp_path, film, perforations):
        entry = Typed("keycode", (12, 34, 567890, 1234, 56, 4, 64))
        found = again(tmp_path, frame(metadata={"keyCode": entry, "dpx:Format": film}))
        assert found.metadata["keyCode"] == Typed("keycode", (12, 34, 567890, 1234, 56, *perforations))
        assert (tmp_path / "p.1001.dpx").read_bytes()[1664:1680] == b"1234565678901234"

    @pytest.mark.parametrize("per_second", [Fraction(24), Fraction(24000, 1001), Fraction(25, 2)])
    def test_an_openexr_rate_goes_into_both_fields(self, tmp_path, per_second):
        found = again(tmp_path, frame(metadata={"framesPerSecond": rate_entry(per_second)}))
        assert rate(found.metadata) == per_second
        assert found.metadata["framesPerSecond"] == rate_entry(per_second)
        stored = [found.metadata[name] for name in ("dpx:FrameRate", "dpx:TemporalFrameRate")]
        assert stored == [np.float32(per_second)] * 2

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("dpx:SlateInfo", "x" * 101),
            ("dpx:SlateInfo", "日本"),
            ("dpx:SlateInfo", "a\0b"),
            ("dpx:SlateInfo", 3),
            ("dpx:Transfer", "Cineon"),
            ("dpx:FrameRate", 1e39),
            ("dpx:FrameRate", float("nan")),
            ("dpx:FramePosition", -1),
            ("dpx:FramePosition", 2**31),
            ("dpx:Interlace", 255),
            ("timeCode", "01:00:00:00"),
            ("timeCode", Typed("timecode", (2**32 - 1, 0))),
            ("keyCode", Typed("keycode", (100, 0, 0, 0, 0, 4, 64))),
        ],
    )
    def test_an_entry_that_its_field_cannot_hold(self, tmp_path, name, value):
        with pytest.raises(InvalidInput, match=f"p.1001.dpx.*{name} cannot hold") as caught:
            save(tmp_path, frame(metadata={name: value}))
        assert (caught.value.field, caught.value.value) == (name, value)

    def test_header_alone(self, tmp_path):
        asked = frame(12, metadata=METADATA)
        found, header = again(tmp_path, asked), dpx.read_header(tmp_path / "p.1001.dpx")
        assert (header.format, header.maximum, header.data) == ("dpx", 4095.0, Window(0, 0, 64, 16))
        assert dict(header.channels) == dict.fromkeys("RGB", np.dtype(np.uint16))
        assert header.metadata == found.metadata
        assert not header.lossy

    @pytest.mark.parametrize(
        ("transfer", "space"), [("Linear", "lin_rec709_scene"), ("Logarithmic", None), ("ITU-R 709-4", None)]
    )
    def test_the_transfer_is_a_hint_only_if_linear(self, tmp_path, transfer, space):
        assert guess_colour_space(again(tmp_path, frame(metadata={"dpx:Transfer": transfer}))) == space


class TestLayout:
    @pytest.mark.parametrize("code", range(4))
    def test_lines_come_as_one_looks_at_them(self, tmp_path, code):
        asked = frame()
        found = dpx.read(patched(tmp_path, asked, {768: bytes([0, code])}))
        across, down = -1 if code & 1 else 1, -1 if code & 2 else 1
        for name, plane in asked.planes.items():
            np.testing.assert_array_equal(found.planes[name], plane[::down, ::across])

    def test_an_undefined_orientation_is_the_usual_one(self, tmp_path):
        assert_same_planes(dpx.read(patched(tmp_path, frame(), {768: b"\xff\xff"})), frame())

    @pytest.mark.parametrize(("depth", "width"), [(8, 33), (8, 34), (16, 33), (12, 35)])
    @pytest.mark.parametrize("padded", [False, True])
    @pytest.mark.parametrize("declared", [False, True])
    def test_the_files_size_says_whether_lines_are_padded(self, tmp_path, depth, width, padded, declared):
        """Writers differ in whether a line of 8 or 16-bit codes ends with a word of 32, and in whether they say so."""
        asked = frame(depth, width=width, height=5)
        codes = np.stack(list(asked.planes.values()), axis=-1).reshape(5, -1)
        lines = (codes << (16 - depth)).astype(">u2").view(np.uint8) if depth > 8 else codes
        pad = -lines.shape[1] % 4 if padded else 0
        header = save(tmp_path, asked).read_bytes()[:2048]
        if declared:
            header = header[:812] + struct.pack(">I", pad) + header[816:]
        path = tmp_path / "other.dpx"
        path.write_bytes(header + np.pad(lines, ((0, 0), (0, pad)), constant_values=255).tobytes())
        found = dpx.read(path)
        assert_same_planes(found, asked)
        assert no_name(save(tmp_path, found).read_bytes()) == no_name(path.read_bytes())

    def test_padding_that_is_garbage(self, tmp_path):
        """Nuke passes over it too."""
        path = patched(tmp_path, frame(), {812: b"\x12\x34\x56\x78"})
        assert_same_planes(dpx.read(path), frame())

    def test_an_element_that_does_not_say_where_it_is(self, tmp_path):
        assert_same_planes(dpx.read(patched(tmp_path, frame(), {808: b"\xff" * 4})), frame())

    def test_a_header_without_its_film_and_television_parts(self, tmp_path):
        raw = bytearray(save(tmp_path, frame(metadata=METADATA)).read_bytes())
        raw[4:8] = raw[808:812] = struct.pack(">I", 1664)
        path = tmp_path / "old.dpx"
        path.write_bytes(raw[:1664] + raw[2048:])
        found = dpx.read(path)
        assert_same_planes(found, frame())
        assert {"timeCode", "keyCode", "framesPerSecond"}.isdisjoint(found.metadata)
        assert found.metadata["dpx:InputDevice"] == "scanner"


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            (frame(9), "planes with 1.0 at 511"),
            (frame(10, "RGBZ"), "not R, G, B, Z"),
            (frame(10, "RG"), "not R, G$"),
            (
                frame(10).with_planes({c: np.full((16, 64), 1024, np.uint16) for c in "RGB"}),
                "not codes from 0 to 1023",
            ),
            (frame(10).with_planes({c: np.zeros((16, 64), np.float16) for c in "RGB"}), "float16 planes"),
            (frame(10).with_planes({c: np.zeros((16, 64), np.int16) for c in "RGB"}), "int16 planes"),
        ],
    )
    def test_planes(self, tmp_path, asked, words):
        with pytest.raises(InvalidInput, match=words) as caught:
            save(tmp_path, asked)
        assert caught.value.field == "channels"
        assert not list(tmp_path.iterdir())

    def test_overscan(self, tmp_path):
        data = Window(-1, 0, 64, 16)
        planes = {c: np.zeros((16, 64), np.uint16) for c in "RGB"}
        asked = Frame(number=1, planes=planes, display=Window(0, 0, 64, 16), data=data, maximum=1023.0)
        with pytest.raises(InvalidInput, match="one window"):
            save(tmp_path, asked)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({0: b"RIFF"}, "not a DPX"),
            ({8: b"V2.0HDR\0"}, "V2.0HDR"),
            ({660: b"\0\0\0\1"}, "encrypted"),
            ({768: b"\0\4"}, "orientation 4"),
            ({770: b"\0\0"}, "0 image elements"),
            ({770: b"\0\x09"}, "9 image elements"),
            ({770: b"\0\2"}, "descriptor 255"),
            ({772: b"\0" * 4}, "0×16 pixels"),
            ({772: b"\xff" * 8}, "4294967295×4294967295 pixels"),
            ({776: b"\0\1\0\0"}, r"is truncated: 16773120 of 16779264 bytes are missing"),
            ({780: b"\0\0\0\1"}, "signed"),
            ({800: b"\x66"}, "Y'CbCr"),
            ({800: b"\x64"}, "Y'CbCr"),
            ({800: b"\x08"}, "depth"),
            ({800: b"\x96"}, "descriptor 150"),
            ({803: b"\1"}, "codes of 1 bits"),
            ({803: b"\x20"}, "codes of 32 bits"),
            ({804: b"\0\3"}, "packing 3"),
            ({806: b"\0\1"}, "run-length"),
            ({808: b"\0\0\4\0"}, "inside its header"),
            ({808: b"\xff\xff\xff\0"}, "truncated"),
        ],
    )
    def test_files(self, tmp_path, fields, words):
        path = patched(tmp_path, frame(), fields)
        for reader in (dpx.read, dpx.read_header):
            with pytest.raises(FrameUnreadable, match=words) as caught:
                reader(path, 1001)
            assert (caught.value.frame, caught.value.path) == (1001, str(path))
            assert str(path) in caught.value.message

    def test_elements_that_cannot_be_one_picture(self, tmp_path):
        path = patched(tmp_path, frame(), {770: b"\0\2"})
        raw = path.read_bytes()
        for change, words in (
            ({}, "same channels"),
            ({820 + 32 + 20: b"\4", 820 + 32 + 23: b"\x10"}, "different depths"),
            ({820 + 32 + 20: b"\4"}, "overlap"),
        ):
            element = bytearray(raw[780:852])
            twice = bytearray(raw[:852] + element + raw[924:])
            for place, data in change.items():
                twice[place : place + len(data)] = data
            path.write_bytes(twice)
            with pytest.raises(FrameUnreadable, match=words):
                dpx.read(path)

    def test_too_much_around_the_picture(self, tmp_path):
        path = save(tmp_path, frame())
        with path.open("ab") as file:
            file.truncate(2**26)
        with pytest.raises(FrameUnreadable, match="bytes around its picture"):
            dpx.read(path)

    @pytest.mark.parametrize("size", [1, 3, 100, 1663, 1664, 2047, 2048, 6143])
    def test_truncated(self, tmp_path, size):
        path = save(tmp_path, frame())
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(FrameUnreadable, match=r"not a DPX|truncated: \d+ .*missing"):
            dpx.read(path)

    def test_missing_and_empty(self, tmp_path):
        with pytest.raises(FrameMissing, match="not on disk"):
            dpx.read(tmp_path / "no.dpx", 3)
        (tmp_path / "empty.dpx").touch()
        with pytest.raises(FrameUnreadable, match="zero bytes"):
            dpx.read(tmp_path / "empty.dpx", 3)

    @FILES
    @given(plates(), st.lists(st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=8)), max_size=4))
    def test_no_bytes_do_worse_than_an_error_of_ours(self, tmp_path, raw, changes):
        """Mutated headers: refused, or a picture that goes out as it came in."""
        mutated = bytearray(raw)
        for at, data in changes:
            mutated[at : at + len(data)] = data
        path = tmp_path / "mutant.dpx"
        path.write_bytes(mutated)
        try:
            found = dpx.read(path)
        except UnderstudyError:
            return
        assert no_name(save(tmp_path, found, "ours.dpx").read_bytes()) == no_name(bytes(mutated))

    @FILES
    @given(st.binary(max_size=3000))
    def test_nor_do_bytes_of_no_meaning(self, tmp_path, raw):
        path = tmp_path / "noise.dpx"
        path.write_bytes(b"SDPX" + raw)
        with pytest.raises(FrameUnreadable):
            dpx.read(path)


class TestLookedAtAgain:
    """What a disk or a fault of ours does to a file in silence is found before anybody sees the file."""

    @pytest.mark.parametrize("fault", ["codes", "header"])
    def test_a_difference_is_a_failure(self, tmp_path, monkeypatch, fault):
        true = dpx._put

        def wrong(file, at, data):
            true(file, at, data)
            if at == 0 and fault == "header":
                true(file, 1000, b"\1")
            if at == 2048 and fault == "codes":
                true(file, 2100, b"\x55\x55")

        monkeypatch.setattr(dpx, "_put", wrong)
        with pytest.raises(WriteFailed, match="came back with other"):
            save(tmp_path, frame().with_planes({c: np.zeros((16, 64), np.uint16) for c in "RGB"}))
