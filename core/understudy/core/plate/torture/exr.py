"""OpenEXR files byte by byte (openexr.com, "OpenEXR File Layout"): every kind that a show can bring.

Apart from the reader and writer of plates on purpose: the set would prove nothing if a misreading of the format were
in both. Headers, chunk tables and the codecs none, ZIPS and ZIP are written here; chunks of the other codecs are
taken out of a file that the OpenEXR library makes.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenEXR

from understudy.core.frames import Array, Window

CODECS = {
    "none": 0,
    "rle": 1,
    "zips": 2,
    "zip": 3,
    "piz": 4,
    "pxr24": 5,
    "b44": 6,
    "b44a": 7,
    "dwaa": 8,
    "dwab": 9,
}
_LINES = {"zip": 16, "piz": 32, "pxr24": 16, "b44": 32, "b44a": 32, "dwaa": 32, "dwab": 256}
_TYPES = {"uint32": 0, "float16": 1, "float32": 2}
_TILED, _LONG_NAMES, _NOT_IMAGE, _MULTI_PART = 0x200, 0x400, 0x800, 0x1000


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a file.

    Attributes:
        planes: channel → (H, W) over the data window: float16, float32 or uint32.
        attributes: what `attribute` makes, beyond those that every part must have.
        name: of the part; may be empty in a file of one.
        decreasing: whether lines lie in the file from the bottom up.
        tile: side of square tiles; 0 is scanlines.
        levels: `one`, `mip` or `rip`, of a tiled part.
    """

    planes: Mapping[str, Array]
    data: Window
    display: Window
    aspect: float = 1.0
    codec: str = "zips"
    attributes: Sequence[bytes] = ()
    name: str = ""
    decreasing: bool = False
    tile: int = 0
    levels: str = "one"


def attribute(name: str, kind: str, value: bytes) -> bytes:
    """A header attribute as stored, of any type and with any bytes."""
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value


def strings(*texts: str) -> bytes:
    """The value of a `stringvector`."""
    return b"".join(struct.pack("<i", len(t.encode())) + t.encode() for t in texts)


def file(*parts: Part) -> bytes:
    """A whole file of one part, or of several."""
    several = len(parts) > 1
    chunks = [list(_chunks(part)) for part in parts]
    headers = [_header(part, len(c), several) for part, c in zip(parts, chunks, strict=True)]
    names = [name for part in parts for name in part.planes]
    flags = _MULTI_PART if several else _TILED if parts[0].tile else 0
    flags |= _LONG_NAMES if max(map(_longest, parts)) > 31 else 0
    head = struct.pack("<ii", 20000630, 2 | flags) + b"".join(headers) + (b"\0" if several else b"")
    assert names, "a file has channels"
    at = len(head) + 8 * sum(map(len, chunks))
    tables, body = [], []
    for index, (part, stored) in enumerate(zip(parts, chunks, strict=True)):
        prefix = struct.pack("<i", index) if several else b""
        places = [0] * len(stored)
        order = range(len(stored) - 1, -1, -1) if part.decreasing else range(len(stored))
        for i in order:
            places[i] = at
            body.append(prefix + stored[i])
            at += len(body[-1])
        tables.append(struct.pack(f"<{len(places)}Q", *places))
    return head + b"".join(tables) + b"".join(body)


def deep(planes: Mapping[str, Array], window: Window) -> bytes:
    """A deep scanline file, one sample a pixel, uncompressed."""
    part = Part(planes=planes, data=window, display=window, codec="none")
    extra = (
        attribute("type", "string", b"deepscanline"),
        attribute("version", "int", struct.pack("<i", 1)),
        attribute("chunkCount", "int", struct.pack("<i", window.height)),
        attribute("maxSamplesPerPixel", "int", struct.pack("<i", 1)),
    )
    head = struct.pack("<ii", 20000630, 2 | _NOT_IMAGE) + _required(part) + b"".join(extra) + b"\0"
    counts = np.arange(1, window.width + 1, dtype="<i4").tobytes()  # so many samples up to each pixel
    body = []
    for row in range(window.height):
        samples = _lines(part.planes, slice(row, row + 1))
        sizes = struct.pack("<iQQQ", window.y + row, len(counts), len(samples), len(samples))
        body.append(sizes + counts + samples)
    at = len(head) + 8 * len(body)
    table = b"".join(struct.pack("<Q", at + i * len(body[0])) for i in range(len(body)))
    return head + table + b"".join(body)


def sub_sampled(luminance: Array, chroma: Mapping[str, Array], window: Window) -> bytes:
    """Y at full size, RY and BY at half, uncompressed; all float16, `chroma` (H/2, W/2)."""
    part = Part(planes={"Y": luminance}, data=window, display=window, codec="none")
    sampled = {"Y": (luminance, 1), **{name: (plane, 2) for name, plane in chroma.items()}}
    listed = b"".join(_channel(name, plane, every) for name, (plane, every) in sorted(sampled.items()))
    head = struct.pack("<ii", 20000630, 2) + _required(part, listed) + b"\0"
    body = []
    for row in range(window.height):
        kept = [plane[row // every] for _, (plane, every) in sorted(sampled.items()) if row % every == 0]
        pixels = b"".join(np.ascontiguousarray(line).tobytes() for line in kept)
        body.append(struct.pack("<ii", window.y + row, len(pixels)) + pixels)
    at, places = len(head) + 8 * len(body), []
    for chunk in body:
        places.append(at)
        at += len(chunk)
    return head + struct.pack(f"<{len(places)}Q", *places) + b"".join(body)


def _header(part: Part, chunks: int, several: bool) -> bytes:
    own = []
    if part.name:
        own.append(attribute("name", "string", part.name.encode()))
    if part.tile:
        mode = ("one", "mip", "rip").index(part.levels)
        own.append(attribute("tiles", "tiledesc", struct.pack("<IIB", part.tile, part.tile, mode)))
    if several:
        own.append(attribute("type", "string", b"tiledimage" if part.tile else b"scanlineimage"))
        own.append(attribute("chunkCount", "int", struct.pack("<i", chunks)))
    return _required(part) + b"".join((*own, *part.attributes)) + b"\0"


def _required(part: Part, listed: bytes | None = None) -> bytes:
    def box(w: Window) -> bytes:
        return struct.pack("<4i", w.x, w.y, w.x1 - 1, w.y1 - 1)

    if listed is None:
        listed = b"".join(_channel(name, plane) for name, plane in _sorted(part.planes))
    return b"".join(
        (
            attribute("channels", "chlist", listed + b"\0"),
            attribute("compression", "compression", bytes([CODECS[part.codec]])),
            attribute("dataWindow", "box2i", box(part.data)),
            attribute("displayWindow", "box2i", box(part.display)),
            attribute("lineOrder", "lineOrder", bytes([part.decreasing])),
            attribute("pixelAspectRatio", "float", struct.pack("<f", part.aspect)),
            attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
            attribute("screenWindowWidth", "float", struct.pack("<f", 1.0)),
        )
    )


def _channel(name: str, plane: Array, every: int = 1) -> bytes:
    return name.encode() + b"\0" + struct.pack("<iB3xii", _TYPES[str(plane.dtype)], 0, every, every)


def _sorted(planes: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """By the bytes of their names, as files must have them."""
    return sorted(planes.items(), key=lambda item: item[0].encode())


def _longest(part: Part) -> int:
    words = [a.split(b"\0", 2)[i] for a in part.attributes for i in (0, 1)]
    return max(map(len, [*words, *(name.encode() for name in part.planes)]))


def _lines(planes: Mapping[str, Array], rows: slice, columns: slice = slice(None)) -> bytes:
    """Line by line, and in each line channel by channel."""
    parts = [np.ascontiguousarray(plane[rows, columns]) for _, plane in _sorted(planes)]
    return b"".join(plane[row].tobytes() for row in range(len(parts[0])) for plane in parts)


def _packed(raw: bytes, codec: str) -> bytes:
    """As the codec stores it; as it is where that would not be smaller, which readers tell by the size."""
    if codec == "none":
        return raw
    halves = np.frombuffer(raw, np.uint8)
    halves = np.concatenate([halves[0::2], halves[1::2]])
    steps = halves.astype(np.int16)
    steps[1:] = steps[1:] - halves[:-1] + 128
    small = zlib.compress(steps.astype(np.uint8).tobytes(), 4)
    return small if len(small) < len(raw) else raw


def _chunks(part: Part) -> Iterator[bytes]:
    """In the order of the chunk table: from the top down, whatever the line order."""
    if part.tile:
        yield from _tiles(part)
    elif part.codec in ("none", "zips", "zip"):
        step = _LINES.get(part.codec, 1)
        for row in range(0, part.data.height, step):
            pixels = _packed(_lines(part.planes, slice(row, row + step)), part.codec)
            yield struct.pack("<ii", part.data.y + row, len(pixels)) + pixels
    else:
        yield from _borrowed(part)


def _tiles(part: Part) -> Iterator[bytes]:
    width, height = part.data.width, part.data.height
    if part.levels == "rip":
        levels = [(x, y) for y in range(height.bit_length()) for x in range(width.bit_length())]
    else:
        levels = [(n, n) for n in range(max(width, height).bit_length() if part.levels == "mip" else 1)]
    for lx, ly in levels:
        w, h = max(1, width >> lx), max(1, height >> ly)
        planes = {name: plane[:: 1 << ly, :: 1 << lx][:h, :w] for name, plane in part.planes.items()}
        for y in range(0, h, part.tile):
            for x in range(0, w, part.tile):
                raw = _lines(planes, slice(y, y + part.tile), slice(x, x + part.tile))
                pixels = _packed(raw, part.codec)
                yield struct.pack("<5i", x // part.tile, y // part.tile, lx, ly, len(pixels)) + pixels


def _borrowed(part: Part) -> Iterator[bytes]:
    """Scanline chunks as the OpenEXR library packs them."""
    w, d = part.data, part.display
    header = {
        "compression": OpenEXR.Compression(CODECS[part.codec]),
        "type": OpenEXR.scanlineimage,
        "dataWindow": (np.array([w.x, w.y], np.int32), np.array([w.x1 - 1, w.y1 - 1], np.int32)),
        "displayWindow": (np.array([d.x, d.y], np.int32), np.array([d.x1 - 1, d.y1 - 1], np.int32)),
    }
    channels = {name: OpenEXR.Channel(np.ascontiguousarray(plane)) for name, plane in part.planes.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chunks.exr"
        OpenEXR.File(header, channels).write(str(path))
        stored = path.read_bytes()
    count = -(-w.height // _LINES.get(part.codec, 1))
    table = _end_of_header(stored)
    for (at,) in struct.iter_unpack("<Q", stored[table : table + 8 * count]):
        (size,) = struct.unpack_from("<i", stored, at + 4)
        yield stored[at : at + 8 + size]


def _end_of_header(stored: bytes) -> int:
    """Where the chunk table of a file of one part begins."""
    at = 8
    while stored[at] != 0:
        at = stored.index(b"\0", stored.index(b"\0", at) + 1) + 1  # past name and type
        at += 4 + struct.unpack_from("<i", stored, at)[0]
    return at + 1
