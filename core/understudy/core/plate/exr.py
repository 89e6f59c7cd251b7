"""An OpenEXR file's header, from bytes and to bytes (openexr.com, "OpenEXR File Layout").

Headers are read by ourselves before any decoder sees the file: every attribute keeps its bytes, and a header that is
broken, hostile or of a kind that we refuse is known before anything is allocated for its pixels. Limits:

    header 16 MiB; 256 parts; 2^14 entries, 1024 channels and 2^28 pixels (16384 × 16384) a part; 256 MiB a tile,
    unless the picture is larger; 2^20 chunks and 8 GiB of decoded pixels a file
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from understudy.core.frames import Window

MAGIC = struct.pack("<i", 20000630)
_VERSION, _TILED, _LONG_NAMES, _DEEP, _MULTI_PART = 2, 0x200, 0x400, 0x800, 0x1000

MAXIMUM_HEADER = 2**24  # bytes
MAXIMUM_PARTS = 256
MAXIMUM_ENTRIES = 2**14  # of a part's header
MAXIMUM_CHANNELS = 1024  # of a part; Nuke holds 1023 in a script
MAXIMUM_PIXELS = 2**28  # of a part
MAXIMUM_CHUNKS = 2**20  # of a file
MAXIMUM_TILE = 2**28  # decoded bytes of a tile that is larger than its picture
MAXIMUM_DECODED = 2**33  # bytes of a file
_FARTHEST = 2**30  # pixel coordinates; OpenEXR itself takes no larger ones

CODECS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "none": (0, 1),
        "rle": (1, 1),
        "zips": (2, 1),
        "zip": (3, 16),
        "piz": (4, 32),
        "pxr24": (5, 16),
        "b44": (6, 32),
        "b44a": (7, 32),
        "dwaa": (8, 32),
        "dwab": (9, 256),
        "htj2k256": (10, 256),
        "htj2k32": (11, 32),
        "lj2k": (12, 256),
        "zstd": (13, 1),
    }
)
"""Codec → its number in a header, and how many scan lines it compresses as one."""

_KINDS = (np.dtype(np.uint32), np.dtype(np.float16), np.dtype(np.float32))  # UINT, HALF, FLOAT


class Broken(Exception):
    """Why a file cannot be read, in words that follow its name: `is truncated: …`."""


class Raw(NamedTuple):
    """An attribute as it lies in the file."""

    type: str
    data: bytes


class Tiles(NamedTuple):
    """How a part is cut into tiles.

    Attributes:
        width, height: in pixels.
        levels: 0 is one, 1 a mip map, 2 a rip map.
        round_up: whether the sides of a level are half of the last one's rounded up.
    """

    width: int
    height: int
    levels: int
    round_up: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part's header.

    Attributes:
        attributes: all of them, in the file's order.
        channels: name → stored type, in the file's order.
        compression: a key of `CODECS`.
    """

    attributes: Mapping[str, Raw]
    channels: Mapping[str, np.dtype[Any]]
    display: Window
    data: Window
    pixel_aspect: float
    compression: str
    tiles: Tiles | None
    name: str

    @property
    def pixel_bytes(self) -> int:
        return sum(kind.itemsize for kind in self.channels.values())

    @property
    def lines(self) -> int:
        """How many scan lines are one chunk."""
        return CODECS[self.compression][1]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A file's headers.

    Attributes:
        end: the byte at which they end and the chunk tables begin.
        several: whether chunks name their part.
    """

    parts: tuple[Part, ...]
    end: int
    several: bool


def parse(file: BinaryIO) -> Layout:
    """Read the headers of a file, from its beginning.

    Raises:
        Broken: it is truncated, malformed, beyond a limit or of a kind that we refuse: deep, sub-sampled.
    """
    cursor = _Cursor(file)
    if cursor.take(4) != MAGIC:
        raise Broken("is not an OpenEXR file")
    flags = cursor.number("<I")
    if flags & 0xFF != _VERSION or flags & ~(0xFF | _TILED | _LONG_NAMES | _DEEP | _MULTI_PART):
        raise Broken(f"is of OpenEXR version {flags & 0xFF} with flags {flags >> 8:#x}, which we do not know")
    several = bool(flags & _MULTI_PART)
    headers = list(_headers(cursor, several=several))
    if flags & _DEEP and not several:
        raise Broken("is a deep image; flatten it first")
    parts = tuple(_part(found, tiled=bool(flags & _TILED), several=several) for found in headers)
    names = [part.name for part in parts]
    twice = [name for name in names if names.count(name) > 1]
    if several and ("" in names or twice):
        raise Broken(f"has several parts called {twice[0]!r}" if twice else "has a part without a name")
    decoded = sum(part.pixel_bytes * part.data.width * part.data.height for part in parts)
    if decoded > MAXIMUM_DECODED:
        raise Broken(f"is {decoded / 2**30:.1f} GiB when decoded, which is more than the 8 GiB we take")
    return Layout(parts=parts, end=cursor.at, several=several)


def compose(parts: Sequence[Mapping[str, Raw]]) -> bytes:
    """The headers of a file of these parts, from its first byte to its chunk tables."""
    several = len(parts) > 1
    named = (
        name for part in parts for entry, raw in part.items() for name in (_encoded(entry), *_names(raw))
    )
    flags = _MULTI_PART * several | _LONG_NAMES * any(len(name) > 31 for name in named)
    ended = b"\0" if several else b""
    return MAGIC + struct.pack("<I", _VERSION | flags) + b"".join(map(_composed, parts)) + ended


def _composed(part: Mapping[str, Raw]) -> bytes:
    return b"".join(composed(name, part[name]) for name in sorted(part, key=_encoded)) + b"\0"


def composed(name: str, raw: Raw) -> bytes:
    """One attribute of a header."""
    return b"\0".join((_encoded(name), _encoded(raw.type), struct.pack("<i", len(raw.data)))) + raw.data


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _names(raw: Raw) -> Iterator[bytes]:
    """Of an attribute's type, and of the channels in a list of them."""
    yield _encoded(raw.type)
    at = 0
    while raw.type == "chlist" and (end := raw.data.find(b"\0", at)) > at:
        yield raw.data[at:end]
        at = end + 17


def is_name(text: str) -> bool:
    """Can an attribute, a type or a channel be called so?"""
    return 0 < len(_encoded(text)) < 256 and "\0" not in text


def channel_list(channels: Mapping[str, np.dtype[Any]]) -> Raw:
    """The attribute `channels`; the file's order is by name."""
    listed = (
        _encoded(name) + b"\0" + struct.pack("<iB3xii", _KINDS.index(channels[name]), 0, 1, 1)
        for name in sorted(channels, key=_encoded)
    )
    return Raw("chlist", b"".join(listed) + b"\0")


def box(window: Window) -> Raw:
    """The attribute for a window; both of its corners are inside."""
    return Raw("box2i", struct.pack("<4i", window.x, window.y, window.x1 - 1, window.y1 - 1))


class _Cursor:
    """Reads a header forward, a little more of the file at a time, and never more than the limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = b""
        self.at = 0

    def take(self, count: int) -> bytes:
        if not self._have(count):
            raise Broken(f"is truncated: it ends at byte {len(self._bytes)}, inside its header")
        self.at += count
        return self._bytes[self.at - count : self.at]

    def text(self) -> str:
        self._have(256)
        end = self._bytes.find(b"\0", self.at, self.at + 256)
        if end < 0 and len(self._bytes) < self.at + 256:
            raise Broken(f"is truncated: it ends at byte {len(self._bytes)}, inside its header")
        if end < 0:
            raise Broken(f"is corrupt: a name in its header, at byte {self.at}, is longer than 255 bytes")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8", "surrogateescape")

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def _have(self, count: int) -> bool:
        if self.at + count > MAXIMUM_HEADER + 256:
            raise Broken("has a header of more than 16 MiB")
        while (lacking := self.at + count - len(self._bytes)) > 0:
            more = self._file.read(max(lacking, 1 << 16, len(self._bytes)))
            if not more:
                return False
            self._bytes += more
        return True


def _headers(cursor: _Cursor, *, several: bool) -> Iterator[Mapping[str, Raw]]:
    count = 0
    while found := _header(cursor):
        count += 1
        if count > MAXIMUM_PARTS:
            raise Broken(f"has more than {MAXIMUM_PARTS} parts")
        yield found
        if not several:
            return
    if not count:
        raise Broken("is corrupt: its header is empty")


def _header(cursor: _Cursor) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    while name := cursor.text():
        if name in found:
            raise Broken(f"is corrupt: its header has {name} twice")
        kind, size = cursor.text(), cursor.number("<i")
        if size < 0:
            raise Broken(f"is corrupt: the size of {name} in its header is {size}")
        found[name] = Raw(kind, cursor.take(size))
        if len(found) > MAXIMUM_ENTRIES:
            raise Broken(f"has a header of more than {MAXIMUM_ENTRIES} entries")
    return found


def _part(found: Mapping[str, Raw], *, tiled: bool, several: bool) -> Part:
    name = _text(found, "name")
    kind = _text(found, "type") if several or "type" in found else ""
    if kind.startswith("deep"):
        raise Broken(f"is a deep image{f' (part {name!r})' if several else ''}; flatten it first")
    if several and kind not in ("scanlineimage", "tiledimage"):  # with one part the flags say it
        raise Broken(f"has a part of type {kind!r}, which we do not know")
    is_tiled = kind == "tiledimage" if several else tiled
    channels = _channels(_data(found, "channels", "chlist"))
    data, display = _window(found, "dataWindow"), _window(found, "displayWindow")
    if data.width * data.height > MAXIMUM_PIXELS:
        raise Broken(f"is {data.width}×{data.height} pixels, which is more than we take ({MAXIMUM_PIXELS})")
    (aspect,) = struct.unpack("<f", _data(found, "pixelAspectRatio", "float", 4))
    if not 1e-6 <= aspect <= 1e6:
        raise Broken(f"is corrupt: pixelAspectRatio is {aspect}")
    number = _data(found, "compression", "compression", 1)[0]
    codecs = [codec for codec, (own, _) in CODECS.items() if own == number]
    if not codecs:
        raise Broken(f"is compressed by a codec that we do not know, number {number}; write it as zips")
    _data(found, "lineOrder", "lineOrder", 1)
    part = Part(
        attributes=MappingProxyType(dict(found)),
        channels=MappingProxyType(channels),
        display=display,
        data=data,
        pixel_aspect=aspect,
        compression=codecs[0],
        tiles=_tiles(found) if is_tiled else None,
        name=name,
    )
    _refuse_vast_tiles(part)
    return part


def _refuse_vast_tiles(part: Part) -> None:
    """A decoder makes room for whole tiles, however small the picture is."""
    if part.tiles is None:
        return
    of_tile, of_picture = (
        w * h * part.pixel_bytes for w, h in (part.tiles[:2], (part.data.width, part.data.height))
    )
    if of_tile > max(MAXIMUM_TILE, of_picture):
        size = f"{part.tiles.width}×{part.tiles.height}"
        raise Broken(f"has tiles of {size} pixels, which are larger than its picture and than we take")


def _data(found: Mapping[str, Raw], name: str, kind: str, size: int | None = None) -> bytes:
    raw = found.get(name)
    if raw is None:
        raise Broken(f"is corrupt: its header has no {name}")
    if raw.type != kind or (size is not None and len(raw.data) != size):
        raise Broken(f"is corrupt: {name} in its header is {len(raw.data)} bytes of type {raw.type!r}")
    return raw.data


def _text(found: Mapping[str, Raw], name: str) -> str:
    return _data(found, name, "string").decode("utf-8", "surrogateescape") if name in found else ""


def _window(found: Mapping[str, Raw], name: str) -> Window:
    x, y, right, bottom = struct.unpack("<4i", _data(found, name, "box2i", 16))
    if right < x or bottom < y or max(map(abs, (x, y, right, bottom))) > _FARTHEST:
        raise Broken(f"is corrupt: its {name} goes from {x}, {y} to {right}, {bottom}")
    return Window(x, y, right - x + 1, bottom - y + 1)


def _channels(data: bytes) -> dict[str, np.dtype[Any]]:
    channels: dict[str, np.dtype[Any]] = {}
    sampled: list[str] = []
    at = 0
    while (end := data.find(b"\0", at)) > at:
        name = data[at:end].decode("utf-8", "surrogateescape")
        if len(data) < end + 17 or name in channels:
            raise Broken(f"is corrupt: its list of channels, at {name}")
        kind, across, down = struct.unpack_from("<i4xii", data, end + 1)
        if kind not in range(len(_KINDS)):
            raise Broken(f"has a channel {name} of type {kind}, which we do not know")
        channels[name] = _KINDS[kind]
        sampled += [f"{name} {across}×{down}"] if (across, down) != (1, 1) else []
        at = end + 17
        if len(channels) > MAXIMUM_CHANNELS:
            raise Broken(f"has more than {MAXIMUM_CHANNELS} channels, which is more than we take")
    if not channels or data[at:] != b"\0":
        raise Broken("is corrupt: its list of channels is cut off or empty")
    if sampled:
        raise Broken(
            f"has sub-sampled channels ({', '.join(sampled)}), which are refused; convert it to R, G, B"
        )
    return channels


def _tiles(found: Mapping[str, Raw]) -> Tiles:
    width, height, mode = struct.unpack("<2IB", _data(found, "tiles", "tiledesc", 9))
    if not (0 < width <= MAXIMUM_PIXELS and 0 < height <= MAXIMUM_PIXELS) or mode & 15 > 2 or mode >> 4 > 1:
        raise Broken(f"is corrupt: its tiles are {width}×{height} of mode {mode}")
    return Tiles(width, height, mode & 15, bool(mode >> 4))
