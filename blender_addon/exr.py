# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of an OpenEXR file, by the standard library alone: what layers it has, and what a merge says of itself.

The layout is that of "OpenEXR File Layout" (openexr.com); of a file of many parts it is the first part's header.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from understudy.client.link import Refused
else:
    from .link import Refused

MAGIC = b"\x76\x2f\x31\x01"
_MOST = 1 << 24  # bytes of an attribute; a damaged size must not fill the memory
Window = tuple[int, int, int, int]  # left, top, right, bottom, both ends within; y down


class Header(NamedTuple):
    """Attributes: channels: as in the file, `face.R`; texts: attributes that are text; rate: frames a second, or 0."""

    channels: tuple[str, ...]
    display: Window
    data: Window
    texts: dict[str, str]
    rate: float
    views: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the data window: what Blender shows."""
        left, top, right, bottom = self.data
        return right - left + 1, bottom - top + 1

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """Layer → its channels; of the picture itself the name is empty."""
        found: dict[str, tuple[str, ...]] = {}
        for channel in self.channels:
            layer, _, last = channel.rpartition(".")
            found[layer] = (*found.get(layer, ()), last)
        return found


def read(path: str) -> Header:
    """The header of a file.

    Raises:
        Refused: it is not there, no EXR, or ends within its header.
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) != MAGIC:
                raise Refused(f"{path}: no OpenEXR file", field="output")
            file.read(4)
            attributes = _attributes(file)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", field="output") from error
    except (struct.error, EOFError, IndexError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: its header is damaged or not whole yet", field="output") from error
    texts = {n: v.decode("utf-8", "replace") for n, (kind, v) in attributes.items() if kind == "string"}
    return Header(
        channels=tuple(_channels(attributes.get("channels", ("", b"\0"))[1])),
        display=_window(attributes, "displayWindow"),
        data=_window(attributes, "dataWindow"),
        texts=texts,
        rate=_rate(attributes.get("framesPerSecond", ("", b""))[1]),
        views=tuple(_strings(attributes.get("multiView", ("", b""))[1])),
    )


def _attributes(file: BinaryIO) -> dict[str, tuple[str, bytes]]:
    """Name → type and value."""
    found = {}
    while name := _name(file):
        kind = _name(file)
        (size,) = struct.unpack("<i", file.read(4))
        if not 0 <= size <= _MOST:
            raise EOFError
        value = file.read(size)
        if len(value) < size:
            raise EOFError
        found[name] = (kind, value)
    return found


def _name(file: BinaryIO) -> str:
    letters = bytearray()
    while (letter := file.read(1)) != b"\0":
        if not letter or len(letters) > 255:
            raise EOFError
        letters += letter
    return letters.decode("utf-8")


def _channels(value: bytes) -> list[str]:
    """Each is a name that ends with 0, and 16 bytes of type and sampling."""
    names, at = [], 0
    while value[at]:
        end = value.index(0, at)
        names.append(value[at:end].decode("utf-8"))
        at = end + 17
    return names


def _window(attributes: dict[str, tuple[str, bytes]], name: str) -> Window:
    left, top, right, bottom = struct.unpack("<4i", attributes.get(name, ("", b""))[1])
    return left, top, right, bottom


def _rate(value: bytes) -> float:
    if len(value) != 8:
        return 0.0
    above, below = struct.unpack("<iI", value)
    return above / below if below else 0.0


def _strings(value: bytes) -> list[str]:
    found, at = [], 0
    while at < len(value):
        (size,) = struct.unpack_from("<i", value, at)
        found.append(value[at + 4 : at + 4 + size].decode("utf-8"))
        at += 4 + size
    return found
