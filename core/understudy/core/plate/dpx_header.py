"""Which picture a DPX file holds, and how, by its header (SMPTE ST 268:2014, tables 1 to 3; the same in 268M-2003).

Every value is untrusted: what we do not read is refused by name before a byte of the picture is.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from understudy.core.plate.dpx_pixels import FILLED_B, Element

GENERIC = 1664
"""Bytes of the parts that every file has: file, image and orientation information."""
WHOLE = 2048
"""The same with the film and television parts, which oldest files may lack."""
NAME_AT, NAME_SIZE = 36, 100


class Malformed(ValueError):
    """What is wrong with a file, as the end of a sentence that begins with its path."""


# fields of text and reserved bytes, which are undefined where they are 0
_TEXTS = ((36, 624), (664, 104), (1356, 52), (1432, 188), (1644, 20), (1664, 48), (1732, 188), (1972, 76))
DESCRIPTORS = {1: "R", 2: "G", 3: "B", 4: "A", 6: "Y", 50: "RGB", 51: "RGBA", 52: "ABGR"}
PICTURES = frozenset(["BGR", "ABGR", *"RGBAY"])
"""What a file may hold: the names of its channels, sorted."""
_OTHER_DESCRIPTORS = {
    **dict.fromkeys((7, 100, 101, 102, 103), "Y'CbCr; convert it to RGB"),
    8: "depth; give that as OpenEXR",
    9: "composite video; decode it to RGB",
}
_ELEMENT_AT, _ELEMENT_SIZE = 780, 72
# sign, descriptor, depth, packing, encoding, offset, padding of lines and of the image
_ELEMENT = "I4x4x4x4xBxxBHHIII"
UNDEFINED16, UNDEFINED = 0xFFFF, 0xFFFFFFFF


def byte_order(raw: bytes | bytearray) -> str:
    """`>` or `<`, as struct has it, by the file's first four bytes.

    Raises:
        Malformed: it is no DPX.
    """
    known = {b"SDPX": ">", b"XPDS": "<"}
    if bytes(raw[:4]) not in known:
        raise Malformed(f"is not a DPX: it begins with {bytes(raw[:4])!r}, not with SDPX or XPDS")
    return known[bytes(raw[:4])]


def size(raw: bytes) -> tuple[int, int]:
    """Width and height in pixels, as stored."""
    width, height = struct.unpack_from(f"{byte_order(raw)}II", raw, 772)
    return width, height


def orientation(raw: bytes) -> int:
    """How the lines lie: bit 0 from right to left, bit 1 from bottom to top.

    Raises:
        Malformed: they are columns.
    """
    (code,) = struct.unpack_from(f"{byte_order(raw)}H", raw, 768)
    if code == UNDEFINED16:
        return 0
    if code > 3:
        raise Malformed(f"has image orientation {code}: columns instead of lines; turn it upright")
    return int(code)


def elements(raw: bytes, file_size: int | None = None) -> tuple[Element, ...]:
    """The image elements of a file, in order.

    Whether lines are padded, the place where an element ends tells, if one way fits exactly: where the next one
    begins, or the file ends, as its header has it or as it is. Else it is as declared if there is room, else as usual.

    Args:
        raw: the header, `GENERIC` bytes or more.
        file_size: in bytes, as it is; None: of a file whose lines are as the header declares.

    Raises:
        Malformed: of a kind that we refuse; names it.
    """
    order = byte_order(raw)
    _refuse_kind(raw, order)
    (number,) = struct.unpack_from(f"{order}H", raw, 770)
    if not 1 <= number <= 8:
        raise Malformed(f"says that it has {number} image elements, which must be 1 to 8")
    found = tuple(_element(raw, order, index) for index in range(number))
    if file_size is not None:
        found = tuple(_measured(raw, index, found, file_size) for index in range(number))
    names = [name for element in found for name in element.channels]
    if len(set(names)) < len(names):
        raise Malformed(f"has several image elements with the same channels: {', '.join(names)}")
    if "".join(sorted(names)) not in PICTURES:
        raise Malformed(f"has image elements of {', '.join(names)}, which are no picture that we know")
    if len({element.depth for element in found}) > 1:
        raise Malformed("has image elements of different depths; write it with one")
    return found


def _refuse_kind(raw: bytes, order: str) -> None:
    (key,) = struct.unpack_from(f"{order}I", raw, 660)
    if key not in (UNDEFINED, 0):  # 0 is what writers leave that clear the header
        raise Malformed(f"is encrypted (key {key:#x}); decrypt it first")
    if raw[8:16].startswith(b"V2.0HDR"):
        raise Malformed("is a DPX of ST 268-2 (V2.0HDR), which is another layout; write it as V2.0")


def _element(raw: bytes, order: str, index: int) -> Element:
    """One element, its lines as declared."""
    sign, code, depth, packing, encoding, offset, line, _ = struct.unpack_from(
        order + _ELEMENT, raw, _ELEMENT_AT + _ELEMENT_SIZE * index
    )
    if index == 0 and offset in (0, UNDEFINED):
        (offset,) = struct.unpack_from(f"{order}I", raw, 4)
    if code not in DESCRIPTORS:
        what = _OTHER_DESCRIPTORS.get(code, "which we do not know")
        raise Malformed(f"has an image element of descriptor {code}: {what}")
    wrong = (
        (sign not in (0, UNDEFINED), "has signed codes"),
        (depth not in (8, 10, 12, 16), f"has codes of {depth} bits; we read 8, 10, 12 and 16"),
        (encoding not in (0, UNDEFINED16), f"is run-length encoded (encoding {encoding}); write it without"),
        (depth in (10, 12) and packing > FILLED_B, f"has packing {packing}, which must be 0, 1 or 2"),
        (offset < GENERIC, f"has its image at byte {offset}, inside its header"),
    )
    for bad, why in wrong:
        if bad:
            raise Malformed(why)
    width, height = size(raw)
    element = Element(
        channels=tuple(DESCRIPTORS[code]),
        depth=depth,
        packing=packing,
        big_endian=order == ">",
        width=width,
        height=height,
        offset=offset,
    )
    return replace(element, pitch=element.usual + (line if line != UNDEFINED else 0))


def _measured(raw: bytes, index: int, found: tuple[Element, ...], file_size: int) -> Element:
    """An element with its lines as they must be; what is declared is garbage in some files, and left out of others."""
    element, order = found[index], byte_order(raw)
    (said,) = struct.unpack_from(f"{order}I", raw, 16)
    (after,) = struct.unpack_from(f"{order}I", raw, _ELEMENT_AT + _ELEMENT_SIZE * index + 36)
    later = [other.offset for other in found if other.offset > element.offset]
    ends = [min(later)] if later else [said, file_size]
    usual, declared = element.usual, element.pitch - element.usual
    bases = (usual, -(-element.natural // 4) * 4, element.natural)
    ways = [replace(element, pitch=pitch) for pitch in (*(base + declared for base in bases), *bases)]
    for end in ends:
        for way in ways:
            if way.end in (end, end - after):
                return way
    return element if element.end <= ends[-1] else replace(element, pitch=usual)


def fresh(element: Element) -> bytearray:
    """A header of V2.0 for a file of this one element, which is to start at `WHOLE`; all else undefined."""
    order = ">" if element.big_endian else "<"
    raw = bytearray(b"\xff" * WHOLE)
    descriptions = ((_ELEMENT_AT + _ELEMENT_SIZE * index + 40, 32) for index in range(8))
    for at, length in (*_TEXTS, *descriptions):
        raw[at : at + length] = bytes(length)
    magic = b"SDPX" if element.big_endian else b"XPDS"
    end = WHOLE + element.height * element.usual
    struct.pack_into(f"{order}4sI8sIIIII", raw, 0, magic, WHOLE, b"V2.0", end, 1, GENERIC, WHOLE - GENERIC, 0)
    struct.pack_into(f"{order}HHII", raw, 768, 0, 1, element.width, element.height)
    descriptor = next(code for code, names in DESCRIPTORS.items() if names == "".join(element.channels))
    layout = (0, descriptor, element.depth, element.packing, 0, WHOLE, 0, 0)
    struct.pack_into(order + _ELEMENT, raw, _ELEMENT_AT, *layout)
    raw[784:800], raw[801:803] = b"\xff" * 16, b"\xff" * 2  # reference codes, and curves: nobody has said
    return raw
