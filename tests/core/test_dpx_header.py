"""What a DPX header says, as entries of metadata and back."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.scans import FILES, METADATA, again, frame, patched, save
from understudy.core.errors import InvalidInput
from understudy.core.frames import Window
from understudy.core.plate import Typed, dpx, guess_colour_space, rate, rate_entry

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
        source: Any = oiio.ImageInput.open(str(path))
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
