"""What the header of a DPX says beside the picture's layout: its fields as entries of a frame's metadata, and back.

Fields stand at fixed places (SMPTE ST 268:2014, tables 1 to 6; the same in 268M-2003), and every value is untrusted.
One that its writer left undefined, which is all bits 1 for numbers and nothing for texts, counts as absent; so do
infinities, and whole numbers from 2³¹ on, which are other writers' ways to say the same.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.plate.dpx_header import DESCRIPTORS, UNDEFINED, UNDEFINED16, WHOLE, byte_order
from understudy.core.plate.dpx_pixels import FILLED_A
from understudy.core.plate.metadata import Typed
from understudy.core.plate.timing import KEYCODE_KEY, RATE_KEY, TIMECODE_KEY, rate, rate_entry


class _Field(NamedTuple):
    at: int
    code: str  # of struct, without byte order
    names: tuple[str, ...] = ()  # what the numbers 0, 1, … mean

    @property
    def size(self) -> int:
        return struct.calcsize(self.code)


_CURVES = (
    "User defined",
    "Printing density",
    "Linear",
    "Logarithmic",
    "Unspecified video",
    "SMPTE 274M",
    "ITU-R 709-4",
    "ITU-R 601-5 system B or G",
    "ITU-R 601-5 system M",
    "NTSC composite video",
    "PAL composite video",
    "Z depth linear",
    "Z depth homogeneous",
    "ADX",
)
_PACKINGS = ("Packed", "Filled, method A", "Filled, method B")

# what the layout of the file decides, not the one who writes metadata
_STRUCTURE = {
    "dpx:Version": _Field(8, "8s"),
    "dpx:Orientation": _Field(768, "H"),
    "dpx:Packing": _Field(804, "H", _PACKINGS),
    "dpx:EndOfLinePadding": _Field(812, "I"),
    "dpx:EndOfImagePadding": _Field(816, "I"),
}
_FIELDS = {
    "dpx:DittoKey": _Field(20, "I"),
    "dpx:DateTime": _Field(136, "24s"),
    "dpx:Creator": _Field(160, "100s"),
    "dpx:Project": _Field(260, "200s"),
    "dpx:Copyright": _Field(460, "200s"),
    "dpx:LowData": _Field(784, "I"),
    "dpx:LowQuantity": _Field(788, "f"),
    "dpx:HighData": _Field(792, "I"),
    "dpx:HighQuantity": _Field(796, "f"),
    "dpx:Transfer": _Field(801, "B", _CURVES),
    "dpx:Colorimetric": _Field(802, "B", _CURVES),
    "dpx:Description": _Field(820, "32s"),
    "dpx:XOffset": _Field(1408, "I"),
    "dpx:YOffset": _Field(1412, "I"),
    "dpx:XCenter": _Field(1416, "f"),
    "dpx:YCenter": _Field(1420, "f"),
    "dpx:XOriginalSize": _Field(1424, "I"),
    "dpx:YOriginalSize": _Field(1428, "I"),
    "dpx:SourceImageFileName": _Field(1432, "100s"),
    "dpx:SourceDateTime": _Field(1532, "24s"),
    "dpx:InputDevice": _Field(1556, "32s"),
    "dpx:InputDeviceSerialNumber": _Field(1588, "32s"),
    "dpx:XScannedSize": _Field(1636, "f"),
    "dpx:YScannedSize": _Field(1640, "f"),
    "dpx:Format": _Field(1680, "32s"),
    "dpx:FramePosition": _Field(1712, "I"),
    "dpx:SequenceLength": _Field(1716, "I"),
    "dpx:HeldCount": _Field(1720, "I"),
    "dpx:FrameRate": _Field(1724, "f"),
    "dpx:ShutterAngle": _Field(1728, "f"),
    "dpx:FrameId": _Field(1732, "32s"),
    "dpx:SlateInfo": _Field(1764, "100s"),
    "dpx:Interlace": _Field(1928, "B"),
    "dpx:FieldNumber": _Field(1929, "B"),
    "dpx:Signal": _Field(1930, "B"),
    "dpx:HorizontalSampleRate": _Field(1932, "f"),
    "dpx:VerticalSampleRate": _Field(1936, "f"),
    "dpx:TemporalFrameRate": _Field(1940, "f"),
    "dpx:TimeOffset": _Field(1944, "f"),
    "dpx:Gamma": _Field(1948, "f"),
    "dpx:BlackLevel": _Field(1952, "f"),
    "dpx:BlackGain": _Field(1956, "f"),
    "dpx:BreakPoint": _Field(1960, "f"),
    "dpx:WhiteLevel": _Field(1964, "f"),
    "dpx:IntegrationTimes": _Field(1968, "f"),
}
_RATES = ("dpx:FrameRate", "dpx:TemporalFrameRate")
_ASPECT_AT, _TIMECODE_AT = 1628, 1920
_FLATTEST = 0.1  # pixel aspects beyond it, or its inverse, are garbage
# the film edge code, in digits: maker, type, offset in perforations, prefix, count
_EDGE_AT, _EDGE = 1664, "2s2s2s6s4s"


def pixel_aspect(raw: bytes) -> float:
    """Width of a pixel over its height; 1.0 where the header does not say, or says nonsense."""
    across, down = struct.unpack_from(f"{byte_order(raw)}II", raw, _ASPECT_AT)
    if {across, down}.isdisjoint((0, UNDEFINED)) and _FLATTEST <= across / down <= 1 / _FLATTEST:
        return float(across / down)
    return 1.0


def metadata(raw: bytes) -> dict[str, Any]:
    """What the header says beside the picture's layout, by our names (`dpx:…`, `timeCode`, …), in the file's order."""
    order = byte_order(raw)
    head = raw[:WHOLE].ljust(WHOLE, b"\xff")
    read = ((name, _value(head, order, field)) for name, field in {**_STRUCTURE, **_FIELDS}.items())
    found = {name: value for name, value in read if value is not None}
    found["dpx:Endian"] = "big" if order == ">" else "little"
    found["dpx:ImageDescriptor"] = DESCRIPTORS.get(head[800], "")
    time, user = struct.unpack_from(f"{order}II", head, _TIMECODE_AT)
    if time != UNDEFINED:  # the bits are where OpenEXR has them: both follow ST 12-1
        found[TIMECODE_KEY] = Typed("timecode", (time, user if user != UNDEFINED else 0))
    edge = struct.unpack_from(_EDGE, head, _EDGE_AT)
    if all(part.isdigit() for part in edge):
        maker, kind, offset, prefix, count = map(int, edge)
        perforations = _perforations(str(found.get("dpx:Format", "")))
        found[KEYCODE_KEY] = Typed("keycode", (maker, kind, prefix, count, offset, *perforations))
    per_second = rate(found)
    if per_second:
        found[RATE_KEY] = rate_entry(per_second)
    return found


def _value(raw: bytes, order: str, field: _Field) -> Any:
    """None where it is undefined."""
    (value,) = struct.unpack_from(order + field.code, raw, field.at)
    if field.code.endswith("s"):
        text = value.split(b"\0")[0]
        return text.decode("latin-1") if text and text[0] != 0xFF else None
    if field.names:
        return field.names[value] if value < len(field.names) else None
    if field.code == "f":
        return value if math.isfinite(value) else None
    return value if value < {"B": 0xFF, "H": UNDEFINED16, "I": 2**31}[field.code] else None


def _perforations(film: str) -> tuple[int, int]:
    """Per frame, and per count of the key code, by the film format's name; 35 mm with 4 where it says nothing."""
    name = film.lower()
    if "imax" in name:
        return 15, 120
    if "16mm" in name or "16 mm" in name:
        return 1, 20
    if "vv" in name or "vista" in name:
        return 8, 64
    said = re.search(r"([1-9])[ -]?perf", name)
    return (int(said[1]) if said else 4), 64


def packing(text: object) -> int:
    """The code of `dpx:Packing`; filled by method A where it says nothing known."""
    return _PACKINGS.index(text) if text in _PACKINGS else FILLED_A


def update(raw: bytearray, entries: Mapping[str, Any], aspect: float) -> None:
    """Bring the fields of a header to what a frame says; those that say it already keep every byte.

    Entries that DPX has no field for, and those that describe the layout, are passed over. The film format says how
    many perforations a key code's frame has, so these are not compared; a rate goes to both rates, as a float.

    Raises:
        InvalidInput: a field cannot hold its entry.
    """
    known = metadata(bytes(raw))
    for name, value in entries.items():
        if (name in _FIELDS or name in (TIMECODE_KEY, KEYCODE_KEY)) and not _alike(known.get(name), value):
            _put(raw, name, value)
    asked = rate(entries)
    if asked and rate(metadata(bytes(raw))) != asked:
        for name in _RATES:
            _put(raw, name, float(asked))
    if np.float32(pixel_aspect(bytes(raw))) != np.float32(aspect):
        _put_aspect(raw, float(np.float32(aspect)))


def _put_aspect(raw: bytearray, aspect: float) -> None:
    """As the simplest ratio that is the same as a 32-bit float."""
    if not _FLATTEST <= aspect <= 1 / _FLATTEST:
        raise InvalidInput(f"pixel aspect {aspect:g} is none", field="pixel_aspect", value=aspect)
    ratios = (Fraction(aspect).limit_denominator(limit) for limit in (100, 10**4, 10**6, 2**28))
    ratio = next(ratio for ratio in ratios if float(np.float32(float(ratio))) == aspect)
    struct.pack_into(f"{byte_order(raw)}II", raw, _ASPECT_AT, ratio.numerator, ratio.denominator)


def _put(raw: bytearray, name: str, value: Any) -> None:
    try:
        _pack(raw, name, value)
        if _alike(metadata(bytes(raw)).get(name), value):
            return
        why = "it would read back otherwise"
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        why = str(error)
    raise InvalidInput(
        f"DPX header field {name} cannot hold {value!r}: {why}; change or leave out the entry",
        field=name,
        value=value,
    )


def _pack(raw: bytearray, name: str, value: Any) -> None:
    order = byte_order(raw)
    if name == TIMECODE_KEY:
        struct.pack_into(f"{order}II", raw, _TIMECODE_AT, *_parts(value, "timecode"))
        return
    if name == KEYCODE_KEY:
        maker, kind, prefix, count, offset, *_ = _parts(value, "keycode")
        digits = f"{maker:02d}{kind:02d}{offset:02d}{prefix:06d}{count:04d}".encode()
        struct.pack_into("16s", raw, _EDGE_AT, digits)
        return
    field = _FIELDS[name]
    if field.names:
        value = field.names.index(value)
    elif field.code.endswith("s"):
        value = value.encode("latin-1") if isinstance(value, str) else value
        if len(value) > field.size:
            raise ValueError(f"it is longer than {field.size} characters")
    struct.pack_into(order + field.code, raw, field.at, value)


def _parts(value: Any, kind: str) -> tuple[int, ...]:
    if not isinstance(value, Typed) or value.type != kind:
        raise TypeError(f"it is not of type {kind}")
    return tuple(int(part) for part in value.value)


def _alike(found: Any, asked: Any) -> bool:
    """Does a field say what an entry does? Floats count as 32 bits, no text as empty, a key code by its digits."""
    if isinstance(found, Typed) and isinstance(asked, Typed):
        return (found.type, found.value[:5]) == (asked.type, asked.value[:5])
    if isinstance(found, float) and isinstance(asked, float):
        return bool(np.float32(found) == np.float32(asked))
    return found == asked or (found is None and asked == "")
