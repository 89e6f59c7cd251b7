"""A JPEG file's segments: where DeepFaceLab keeps its metadata (APP15), and how large the picture is.

Source: ITU-T T.81, annex B; DeepFaceLab's DFLIMG/DFLJPG.py for the place of the segment.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameUnreadable, InvalidInput

PAYLOAD = 0xFFFF - 2
"""The most bytes that a segment holds: its length, 16 bits, counts itself."""

_SOI, _EOI, _SOS, _APP0, _APP15 = 0xD8, 0xD9, 0xDA, 0xE0, 0xEF
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_SIZES = tuple(m for m in range(0xC0, 0xD0) if m not in (0xC4, 0xC8, 0xCC))  # start of frame, of any process
_PICKLE = b"\x80"  # begins every pickle of protocol 2 and later
LARGEST = 8192


@dataclass(frozen=True)
class _Segment:
    """A marker, and where in the file it begins, its payload begins, and it ends."""

    marker: int
    start: int
    payload: int
    end: int


def metadata(data: bytes, path: Path | str) -> bytes | None:
    """The payload of the APP15 segment that holds a pickle; None where there is none.

    Args:
        data: the file, or its beginning up to the picture.
        path: is named in errors.

    Raises:
        FrameUnreadable: not a JPEG, or it breaks off before its picture.
    """
    for segment in _segments(data, path):
        payload = data[segment.payload : segment.end]
        if segment.marker == _APP15 and payload.startswith(_PICKLE):
            return payload
    return None


def with_metadata(data: bytes, payload: bytes, path: Path | str) -> bytes:
    """The file with `payload` as its APP15 segment: after the last APP segment, as DeepFaceLab puts it.

    Raises:
        FrameUnreadable: as `metadata`.
        InvalidInput: the payload is larger than a segment.
    """
    if len(payload) > PAYLOAD:
        raise InvalidInput(
            f"{path}: {len(payload)} bytes of metadata, and a JPEG segment holds {PAYLOAD}",
            path=path,
            field="metadata",
            value=len(payload),
        )
    segments = list(_segments(data, path))
    kept = [s for s in segments if s.marker != _APP15]
    at = max((s.end for s in kept if s.marker & 0xF0 == _APP0), default=2)
    added = bytes([0xFF, _APP15]) + struct.pack(">H", len(payload) + 2) + payload
    before = b"".join(data[s.start : s.end] for s in kept if s.end <= at)
    after = b"".join(data[s.start : s.end] for s in kept if s.end > at)
    return data[:2] + before + added + after + data[segments[-1].end :]


def size(data: bytes, path: Path | str) -> tuple[int, int]:
    """Width and height as the header says; raises FrameUnreadable as `metadata`, or if it does not say."""
    for segment in _segments(data, path):
        if segment.marker in _SIZES and segment.end - segment.payload >= 6:
            height, width = struct.unpack_from(">HH", data, segment.payload + 1)
            return width, height
    raise _unreadable(path, "has no header of a picture")


def decode(data: bytes, path: Path | str) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8, R G B. Grey and CMYK become RGB; an EXIF rotation is not applied, as in DeepFaceLab.

    Raises:
        FrameUnreadable: not a JPEG of 8 bits, breaks off, or larger than 8192 pixels a side.
    """
    width, height = size(data, path)
    if max(width, height) > LARGEST or min(width, height) < 1:
        raise _unreadable(path, f"is {width}×{height} pixels, not 1 to {LARGEST} a side")
    *_, last = _segments(data, path)
    if data.rfind(bytes([0xFF, _EOI])) < last.end:  # no decoder minds, they fill up with grey
        raise _unreadable(path, "breaks off in its picture")
    bgr = decoded(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise _unreadable(
            path, "holds no picture that can be decoded; JPEG of 8 bits is what DeepFaceLab writes"
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def decoded(data: bytes, flags: int) -> npt.NDArray[np.uint8] | None:
    """What OpenCV makes of a picture's file; None if it can not."""
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # nearly always it says so by giving nothing
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def encode(rgb: npt.NDArray[np.uint8], quality: int) -> bytes:
    """(H, W, 3) uint8, R G B, as a baseline JPEG with its colour at full resolution."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    made, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), flags)
    assert made
    return data.tobytes()


def _segments(data: bytes, path: Path | str) -> Iterator[_Segment]:
    """What comes before the picture's own data, start of scan included."""
    if data[:2] != bytes([0xFF, _SOI]):
        raise _unreadable(path, "is not a JPEG")
    at = 2
    while True:
        start = at
        while data[at : at + 2] == b"\xff\xff":  # any number of them may fill up
            at += 1
        if len(data) < at + 2:
            raise _unreadable(path, "breaks off before its picture")
        if data[at] != 0xFF or data[at + 1] in (0x00, _SOI, _EOI):
            raise _unreadable(path, f"is damaged: no marker at byte {at}")
        marker, at = data[at + 1], at + 2
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or len(data) < at + length:
            raise _unreadable(path, "breaks off before its picture")
        at += length
        yield _Segment(marker, start, at - length + 2, at)
        if marker == _SOS:
            return


def _unreadable(path: Path | str, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: {why}", path=path)
