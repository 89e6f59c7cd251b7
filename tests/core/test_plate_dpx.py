"""DPX plates: code values in, the same code values out, at every depth."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.frames import Frame, Window
from understudy.core.plate import (
    Timecode,
    Typed,
    guess_colour_space,
    rate,
    rate_entry,
    read_file,
    read_header,
    write,
)

DEPTHS = (8, 10, 12, 16)


def frame(depth=10, channels="RGB", width=64, height=16, seed=0, **kw):
    window = Window(0, 0, width, height)
    codes = np.random.default_rng(seed).integers(0, 2**depth, (len(channels), height, width))
    planes = dict(zip(channels, codes.astype(np.uint8 if depth == 8 else np.uint16), strict=True))
    return Frame(number=1001, planes=planes, display=window, data=window, maximum=2.0**depth - 1, **kw)


def again(tmp_path, asked):
    path = tmp_path / "p.1001.dpx"
    write(asked, path)
    return read_file(path, 1001)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    depth=st.sampled_from(DEPTHS),
    channels=st.sampled_from(["RGB", "RGBA", "Y"]),
    packing=st.sampled_from(["Packed", "Filled, method A", "Filled, method B"]),
    width=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
def test_all_codes_survive_any_depth_packing_and_width(tmp_path, depth, channels, packing, width, seed):
    asked = frame(depth, channels, width, 5, seed, metadata={"dpx:Packing": packing})
    found = again(tmp_path, asked)
    assert (found.maximum, list(found.planes)) == (asked.maximum, list(channels))
    assert all((found.planes[c] == asked.planes[c]).all() for c in channels)


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_code_there_is(tmp_path, depth):
    window = Window(0, 0, 2**depth // 8, 8)
    codes = np.arange(2**depth, dtype=np.uint8 if depth == 8 else np.uint16).reshape(8, -1)
    asked = Frame(
        number=1, planes=dict.fromkeys("RGB", codes), display=window, data=window, maximum=2.0**depth - 1
    )
    found = again(tmp_path, asked)
    assert all((found.planes[c] == codes).all() for c in "RGB")
    assert found.rgb().max() == 1.0


def test_the_header_survives_generations(tmp_path):
    metadata = {
        "smpte:TimeCode": Timecode(1, 2, 3, 4, drop_frame=True, user=7).entry,
        "smpte:KeyCode": Typed("keycode", (1, 2, 3, 4, 5, 4, 64)),
        "dpx:Transfer": "Printing density",
        "dpx:Colorimetric": "Printing density",
        "dpx:FrameRate": 24.0,
        "dpx:TemporalFrameRate": 24.0,
        "dpx:FramePosition": 1001,
        "dpx:InputDevice": "scanner",
        "dpx:SlateInfo": "12A",
        "dpx:LowData": 95,
        "dpx:HighData": 685,
        "dpx:BlackLevel": 64.0,
        "DocumentName": "project",
        "DateTime": "2020:01:02 03:04:05",
    }
    first = again(tmp_path, frame(metadata=metadata, pixel_aspect=2.0))
    assert first.metadata.items() >= metadata.items()
    assert first.pixel_aspect == 2.0
    before = (tmp_path / "p.1001.dpx").read_bytes()
    assert before[:4] == b"SDPX"  # big-endian
    assert before[36:].startswith(b"p.1001.dpx\0")  # not the name it was written under
    second = again(tmp_path, first)
    assert second.metadata == first.metadata
    assert (tmp_path / "p.1001.dpx").read_bytes() == before


def test_a_little_endian_plate_keeps_its_codes(tmp_path):
    import OpenImageIO as oiio  # noqa: N813

    asked = frame(10)
    spec = oiio.ImageSpec(64, 16, 3, "uint16")
    spec["oiio:BitsPerSample"], spec["oiio:Endian"] = 10, "little"
    path = str(tmp_path / "little.dpx")
    out = oiio.ImageOutput.create(path)
    codes = np.stack(list(asked.planes.values()), axis=-1)
    assert out is not None
    assert out.open(path, spec)
    assert out.write_image((codes << 6) | (codes >> 4))
    assert out.close()
    assert (tmp_path / "little.dpx").read_bytes()[:4] == b"XPDS"
    found = read_file(tmp_path / "little.dpx")
    assert all((found.planes[c] == asked.planes[c]).all() for c in "RGB")


def test_an_openexr_rate_and_timecode_go_into_dpx(tmp_path):
    given_rate = Fraction(24000, 1001)
    metadata = {"framesPerSecond": rate_entry(given_rate), "smpte:TimeCode": Timecode(1, 0, 0, 0).entry}
    found = again(tmp_path, frame(metadata={**metadata, "understudy/colour": "ADX10"}))
    assert rate(found.metadata) == given_rate
    assert Timecode.from_header(found.metadata) == Timecode(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("transfer", "space"), [("Linear", "lin_rec709_scene"), ("Logarithmic", None), ("ITU-R 709-4", None)]
)
def test_the_transfer_is_a_hint_only_if_linear(tmp_path, transfer, space):
    assert guess_colour_space(again(tmp_path, frame(metadata={"dpx:Transfer": transfer}))) == space


def test_a_scans_header_goes_into_openexr(tmp_path):
    """What a merge of a DPX plate does: the picture becomes float, the header goes along."""
    metadata = {
        "smpte:TimeCode": Timecode(1, 2, 3, 4).entry,
        "smpte:KeyCode": Typed("keycode", (1, 2, 3, 4, 5, 4, 64)),
        "dpx:FrameRate": 24.0,
        "dpx:EncryptKey": Typed("uint", (4294967294,)),
        "dpx:InputDevice": "scanner",
    }
    scan = again(tmp_path, frame(metadata=metadata))
    planes = {c: plane.astype(np.float32) / 1023 for c, plane in scan.planes.items()}
    write(replace(scan, planes=planes, maximum=1.0), tmp_path / "p.1001.exr")
    found = read_file(tmp_path / "p.1001.exr")
    assert found.metadata["smpte:TimeCode"] == metadata["smpte:TimeCode"]
    assert found.metadata["smpte:KeyCode"] == metadata["smpte:KeyCode"]
    assert found.metadata["dpx/InputDevice"] == "scanner"
    assert found.metadata["framesPerSecond"] == rate_entry(Fraction(24))
    write(found, tmp_path / "p.1002.exr")
    assert read_file(tmp_path / "p.1002.exr").metadata == found.metadata


def test_header_alone(tmp_path):
    again(tmp_path, frame(12))
    header = read_header(tmp_path / "p.1001.dpx")
    assert (header.format, header.maximum, header.data) == ("dpx", 4095.0, Window(0, 0, 64, 16))
    assert dict(header.channels) == dict.fromkeys("RGB", np.dtype(np.uint16))


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            (frame(9), "planes with 1.0 at 511"),
            (frame(10, "RGBZ"), "not R, G, B, Z"),
            (
                frame(10).with_planes({c: np.full((16, 64), 1024, np.uint16) for c in "RGB"}),
                "not codes from 0 to 1023",
            ),
            (frame(10).with_planes({c: np.zeros((16, 64), np.float16) for c in "RGB"}), "float16 planes"),
        ],
    )
    def test_planes(self, tmp_path, asked, words):
        with pytest.raises(InvalidInput, match=words) as caught:
            write(asked, tmp_path / "p.1001.dpx")
        assert (caught.value.field, caught.value.frame) == ("channels", 1001)

    def test_overscan(self, tmp_path):
        data = Window(-1, 0, 64, 16)
        planes = {c: np.zeros((16, 64), np.uint16) for c in "RGB"}
        asked = Frame(number=1, planes=planes, display=Window(0, 0, 64, 16), data=data, maximum=1023.0)
        with pytest.raises(InvalidInput, match="one window"):
            write(asked, tmp_path / "p.0001.dpx")

    def test_a_width_that_would_be_misread(self, tmp_path):
        """10-bit RGBA, three values to a word, one left over: reading such a foreign file gives a wrong last alpha."""
        path = tmp_path / "p.1001.dpx"
        write(frame(10, "RGBA", 64), path)
        spoiled = bytearray(path.read_bytes())
        assert spoiled[804:806] == b"\0\0"  # we wrote it packed
        spoiled[804:806] = b"\0\1"
        path.write_bytes(spoiled)
        with pytest.raises(FrameUnreadable, match="misreads"):
            read_file(path)

    def test_video_components(self, tmp_path):
        path = tmp_path / "p.1001.dpx"
        write(frame(8), path)
        changed = bytearray(path.read_bytes())
        changed[800] = 102  # ST 268, table of descriptors: CbYCr 4:4:4
        path.write_bytes(changed)
        with pytest.raises(FrameUnreadable, match="Y'CbCr"):
            read_file(path)

    def test_truncated(self, tmp_path):
        path = tmp_path / "p.1001.dpx"
        write(frame(), path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(FrameUnreadable, match="truncated"):
            read_file(path)
