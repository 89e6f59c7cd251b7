"""DPX files for tests: frames of codes, ways to spoil them, and every layout with noise around its picture."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from understudy.core.frames import Frame, Window
from understudy.core.plate import Timecode, Typed, dpx
from understudy.core.plate.dpx_pixels import Element

DEPTHS = (8, 10, 12, 16)
PACKINGS = ("Packed", "Filled, method A", "Filled, method B")
CHANNELS = ("RGB", "RGBA", "ABGR", "Y")
FILES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


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
