"""Where DeepFaceLab keeps its metadata in a JPEG, and pictures as odd as JPEG allows."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.core.dflfaces import fields, picture
from tests.core.dflfaces import jpeg as face
from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.faceset.dfl import jpeg

PATH = Path("face.jpg")
PAYLOAD = b"\x80\x04}."


def plain(size: int = 64) -> bytes:
    return jpeg.encode(picture(size)[..., ::-1].copy(), 90)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def markers(data: bytes) -> list[int]:
    return [s.marker for s in jpeg._segments(data, PATH)]


def test_the_segment_goes_after_the_last_app_segment():
    exif = segment(0xE1, b"Exif\0\0")
    data = plain()
    end = 4 + struct.unpack_from(">H", data, 4)[0]
    assert markers(jpeg.with_metadata(data, PAYLOAD, PATH))[:2] == [0xE0, 0xEF]
    with_exif = data[:end] + exif + data[end:]
    assert markers(jpeg.with_metadata(with_exif, PAYLOAD, PATH))[:3] == [0xE0, 0xE1, 0xEF]
    bare = data[:2] + data[end:]  # no APP segment at all: first
    assert markers(jpeg.with_metadata(bare, PAYLOAD, PATH))[0] == 0xEF


def test_what_was_there_is_replaced_and_the_rest_stays():
    once = jpeg.with_metadata(plain(), b"\x80\x04N.", PATH)
    again = jpeg.with_metadata(once, PAYLOAD, PATH)
    assert again == jpeg.with_metadata(plain(), PAYLOAD, PATH)
    assert jpeg.metadata(again, PATH) == PAYLOAD
    assert again.replace(segment(0xEF, PAYLOAD), b"") == plain()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_any_payload_comes_back(payload: bytes):
    payload = b"\x80" + payload
    assert jpeg.metadata(jpeg.with_metadata(plain(), payload, PATH), PATH) == payload


def test_the_place_is_deepfacelab_s(shared: Path):
    """Taken out of its own files and put back, the file is the same to the byte."""
    for name in ("00001_0", "00002_1", "00003_2"):
        file = shared / "golden" / "dfl" / "dflimg" / f"{name}.jpg"
        data = file.read_bytes()
        payload = jpeg.metadata(data, file)
        assert payload is not None
        without = data.replace(segment(0xEF, payload), b"")
        assert jpeg.metadata(without, file) is None
        assert jpeg.with_metadata(without, payload, file) == data


def test_a_segment_holds_64_kib_and_no_more():
    most = b"\x80".ljust(65533, b"x")
    assert jpeg.metadata(jpeg.with_metadata(plain(), most, PATH), PATH) == most
    with pytest.raises(
        InvalidInput, match=r"face\.jpg: 65534 bytes of metadata, and a JPEG segment holds 65533"
    ):
        jpeg.with_metadata(plain(), most + b"x", PATH)


def test_other_app15_segments_are_no_metadata():
    data = plain()
    assert jpeg.metadata(data[:2] + segment(0xEF, b"Q\0\1") + data[2:], PATH) is None
    assert jpeg.metadata(data, PATH) is None


def test_fill_bytes_and_markers_without_length_are_passed_over():
    data = jpeg.with_metadata(plain(), PAYLOAD, PATH)
    filled = data[:2] + b"\xff\xff\xff" + data[2:4] + data[4:]
    assert jpeg.metadata(filled, PATH) == PAYLOAD
    assert jpeg.metadata(data[:2] + b"\xff\x01" + data[2:], PATH) == PAYLOAD


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is not a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "is not a JPEG"),
        (b"\xff\xd8", "breaks off"),
        (b"\xff\xd8\xff", "breaks off"),
        (b"\xff\xd8\xff\xe0\x00", "breaks off"),
        (b"\xff\xd8\xff\xe0\x00\x01ab", "breaks off"),
        (b"\xff\xd8\xff\xe0\x00\x09ab", "breaks off"),
        (b"\xff\xd8\xff\xff\xff", "breaks off"),
        (b"\xff\xd8abcd", "no marker at byte 2"),
        (b"\xff\xd8\xff\xd9", "no marker at byte 2"),
    ],
)
def test_what_is_no_jpeg_is_refused(data: bytes, match: str):
    for read in (jpeg.metadata, jpeg.size, jpeg.decode):
        with pytest.raises(FrameUnreadable, match=rf"face\.jpg: .*{match}"):
            read(data, PATH)


def test_a_truncated_picture_is_refused_wherever_it_ends():
    """OpenCV would fill it up with grey."""
    data = face(fields())
    assert jpeg.decode(data, PATH).shape == (64, 64, 3)
    for end in range(0, len(data) - 1, 97):
        with pytest.raises(FrameUnreadable, match=r"breaks off|not a JPEG"):
            jpeg.decode(data[:end], PATH)
    assert jpeg.decode(data + b"\0" * 50, PATH).shape == (64, 64, 3)  # what follows the end is no matter


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_never_does_worse_than_being_refused(data: st.DataObject):
    broken = bytearray(face(fields()))
    for _ in range(data.draw(st.integers(1, 5))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        jpeg.metadata(bytes(broken), PATH)
        found = jpeg.decode(bytes(broken), PATH)
    except FrameUnreadable:
        return
    assert found.dtype == np.uint8
    assert found.shape[2] == 3


def test_a_picture_too_large_is_refused_before_it_is_decoded():
    data = bytearray(plain())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65535, 65535)
    with pytest.raises(FrameUnreadable, match="65535×65535 pixels"):
        jpeg.decode(bytes(data), PATH)


def test_twelve_bits_are_refused():
    data = bytearray(plain())
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(FrameUnreadable, match="8 bits"):
        jpeg.decode(bytes(data), PATH)


def test_size_of_any_process(tmp_path: Path):
    for progressive in (False, True):
        file = tmp_path / f"{progressive}.jpg"
        Image.fromarray(picture()[:40]).save(file, progressive=progressive)
        assert jpeg.size(file.read_bytes(), file) == (64, 40)
    with pytest.raises(FrameUnreadable, match="no header of a picture"):
        jpeg.size(b"\xff\xd8" + segment(0xDA, b"abc"), PATH)


def test_red_is_red():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert jpeg.decode(jpeg.encode(red, 100), PATH)[8, 8].tolist() == pytest.approx([255, 0, 0], abs=2)


def test_grey_becomes_colour():
    grey = picture()[..., 0]
    data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    found = jpeg.decode(data, PATH)
    assert found.shape == (64, 64, 3)
    np.testing.assert_allclose(found.astype(int), np.dstack([grey] * 3).astype(int), atol=2)


def test_cmyk_becomes_rgb(tmp_path: Path):
    file, rgb = tmp_path / "cmyk.jpg", picture()
    Image.fromarray(rgb).convert("CMYK").save(file, quality=98)
    found = jpeg.decode(file.read_bytes(), file).astype(int)
    assert np.abs(found - rgb).mean() < 4


def test_an_exif_rotation_is_not_applied(tmp_path: Path):
    """Matrix and landmarks are those of the pixels as they are stored."""
    file, rgb = tmp_path / "turned.jpg", picture()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(file, quality=98, exif=exif)
    found = jpeg.decode(file.read_bytes(), file).astype(int)
    assert np.abs(found - rgb).mean() < 3
    assert np.abs(np.rot90(found) - rgb).mean() > 20


def test_colour_keeps_its_resolution():
    """Sampled at half, thin lines of colour would be gone."""
    lines = np.zeros((32, 32, 3), np.uint8)
    lines[:, ::2] = (255, 0, 0)
    lines[:, 1::2] = (0, 76, 0)
    found = jpeg.decode(jpeg.encode(lines, 98), PATH).astype(int)
    assert np.abs(found - lines).max() < 12
