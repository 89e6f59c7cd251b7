"""Header attributes of the torture set, as bytes: time, camera, vendors' own, every type that OpenEXR knows."""

from __future__ import annotations

import struct

from understudy.core.plate.torture.exr import attribute, strings

STALE = ("preview", "dwaCompressionLevel", "nuke/full_layer_names")
"""What is the old file's own and must not come along: it would contradict the new one."""


def text(name: str, value: str) -> bytes:
    return attribute(name, "string", value.encode())


def number(name: str, value: float) -> bytes:
    """`int` or `float`."""
    whole = isinstance(value, int)
    return attribute(name, "int" if whole else "float", struct.pack("<i" if whole else "<f", value))


def floats(name: str, kind: str, *values: float) -> bytes:
    return attribute(name, kind, struct.pack(f"<{len(values)}f", *values))


def plain(frame: int) -> list[bytes]:
    """What every plate has: time code, rate, reel and a vendor's key."""
    return [*time_code(frame), rate(), text("reelName", "A001_C002"), text("acme/shot", "sh010")]


def time_code(frame: int, flags: int = 0, user: int = 0) -> list[bytes]:
    """01:02:03 and the frame's number modulo 24 (SMPTE ST 12-1, as OpenEXR packs it)."""
    count = frame % 24
    packed = 0x01020300 | count // 10 << 4 | count % 10 | flags
    return [attribute("timeCode", "timecode", struct.pack("<II", packed, user))]


def rate() -> bytes:
    return attribute("framesPerSecond", "rational", struct.pack("<iI", 24000, 1001))


def time(frame: int) -> list[bytes]:
    """Drop frame, colour frame, field phase and all group flags set, user bits, key code."""
    return [
        *time_code(frame, flags=0xC080_80C0, user=0x89ABCDEF),
        rate(),
        attribute("keyCode", "keycode", struct.pack("<7i", 2, 35, 123456, 1000 + frame % 100, 3, 4, 64)),
        text("reelName", "A001_C002_0301AB"),
        number("imageCounter", frame),
        attribute("captureRate", "rational", struct.pack("<iI", 48, 1)),
        text("capDate", "2026:03:01 10:11:12"),
        number("utcOffset", -3600.0),
    ]


_WORDS = {
    "owner": "a studio",
    "comments": "second line\nbelow the first",
    "cameraMake": "acme",
    "cameraModel": "one",
    "cameraSerialNumber": "0007",
    "cameraFirmwareVersion": "1.2",
    "lensMake": "acme",
    "lensModel": "prime 40",
    "lensSerialNumber": "12",
    "colorInteropID": "lin_ap1_scene",
    "wrapmodes": "black",
}
_NUMBERS = {
    "expTime": 1 / 48,
    "aperture": 2.8,
    "tStop": 3.0,
    "isoSpeed": 800.0,
    "focus": 2.5,
    "shutterAngle": 180.0,
    "nominalFocalLength": 40.0,
    "effectiveFocalLength": 40.3,
    "pinholeFocalLength": 41.0,
    "cameraCCTSetting": 5600.0,
    "cameraTintSetting": -0.25,
    "whiteLuminance": 100.0,
    "longitude": 13.4,
    "latitude": 52.5,
    "altitude": 34.0,
    "xDensity": 72.0,
}


def camera(frame: int) -> list[bytes]:
    """What cameras and renderers say in OpenEXR's standard attributes."""
    identity = [1.0 if i % 5 == 0 else 0.0 for i in range(16)]
    return [
        *plain(frame),
        *(text(name, value) for name, value in _WORDS.items()),
        *(number(name, value) for name, value in _NUMBERS.items()),
        floats("chromaticities", "chromaticities", 0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
        floats("adoptedNeutral", "v2f", 0.32168, 0.33767),
        floats("worldToCamera", "m44f", *identity[:12], float(frame), 2.0, -3.0, 1.0),
        floats("worldToNDC", "m44f", *identity),
        attribute("originalDataWindow", "box2i", struct.pack("<4i", -8, -8, 263, 199)),
    ]


def vendors(frame: int) -> list[bytes]:
    """A key of every type, and of types that no library knows."""
    packed: dict[str, tuple[str, list[float]]] = {
        "int": ("i", [-(2**31)]),
        "float": ("f", [1e-40]),
        "double": ("d", [0.1]),
        "v2i": ("2i", [-1, 2]),
        "v2f": ("2f", [0.1, -0.0]),
        "v2d": ("2d", [0.1, 1e300]),
        "v3i": ("3i", [1, -2, 3]),
        "v3f": ("3f", [0.1, float("inf"), -0.5]),
        "v3d": ("3d", [0.1, 0.2, 0.3]),
        "m33f": ("9f", [0.1 * i for i in range(9)]),
        "m33d": ("9d", [0.1 * i for i in range(9)]),
        "m44f": ("16f", [0.1 * i for i in range(16)]),
        "m44d": ("16d", [0.1 * i for i in range(16)]),
        "box2i": ("4i", [-4, -3, 2, 1]),
        "box2f": ("4f", [-0.5, -0.25, 0.25, 0.5]),
        "rational": ("iI", [-30000, 1001]),
        "timecode": ("2I", [0xFFFFFFFF, 0xFFFFFFFF]),  # no time, and kept all the same
        "keycode": ("7i", [1, 2, 3, 4, 5, 6, 20]),
        "chromaticities": ("8f", [0.1 * i for i in range(8)]),
        "floatvector": ("3f", [0.5, 1.5, -2.5]),
        "envmap": ("B", [1]),
        "acmeBlob": ("5B", [0, 255, 1, 254, 0]),
        "acmeNothing": ("", []),
    }
    return [
        *plain(frame),
        *(attribute(f"acme/{k}", k, struct.pack(f"<{form}", *v)) for k, (form, v) in packed.items()),
        attribute("acme/strings", "stringvector", strings("left", "", "grün", "日本")),
        attribute("acme/nan", "float", struct.pack("<I", 0x7FC12345)),
        attribute("acme/int_of_3_bytes", "acmeInt", b"\1\2\3"),
    ]


def unicode(frame: int) -> list[bytes]:
    """Text in several scripts, empty, and names of all sorts."""
    return [
        *plain(frame),
        text("owner", "Müller & Söhne – 撮影 🎬"),
        text("acme/empty", ""),
        text("acme/näme with spaces", "yes"),
        text("a_name_that_is_longer_than_31_characters_by_far", "long"),
        text("exr/nuke/input/filename", "/shows/a/b.%04d.exr"),
        text("nuke/version", "16.0v1"),
    ]


def latin1(frame: int) -> list[bytes]:
    """Text that is not UTF-8, as old cameras write it."""
    return [*plain(frame), attribute("owner", "string", "café".encode("latin-1"))]


def stale(frame: int) -> list[bytes]:
    """Beside what every plate has: a preview and other things that are about the old file."""
    preview = struct.pack("<II", 2, 1) + bytes(range(8))
    return [
        *plain(frame),
        attribute("preview", "preview", preview),
        number("dwaCompressionLevel", 45.0),
        number("nuke/full_layer_names", 1),
    ]
