"""Damaged EXR and DPX files, made from the small valid ones of `seedfiles`: mutant `n` is the same on any machine.

Half of the damage is blind (bits, bytes, whole numbers, cuts), half knows the formats (openexr.com "OpenEXR File
Layout"; SMPTE ST 268) and hits what a reader trusts: sizes, types, windows, offsets, depths.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EXTREMES = (0, 1, 2, 3, 7, 31, 255, 256, 65535, 2**16, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A damaged file: `damage` says what was done to the seed of that name, whose bytes were `original`."""

    number: int
    seed: str
    damage: str
    original: bytes
    data: bytes

    @property
    def extension(self) -> str:
        return Path(self.seed).suffix

    def __str__(self) -> str:
        return f"mutant {self.number} ({self.seed}: {self.damage})"


def mutant(number: int, seeds: dict[str, bytes]) -> Mutant:
    """One to three things done to one of the seeds, all decided by the number; two of three mutants are EXR."""
    dice = random.Random(number)
    kind = ".exr" if number % 3 else ".dpx"
    seed = dice.choice([name for name in seeds if name.endswith(kind)])
    data, damage = bytearray(seeds[seed]), []
    others = [
        other for name, other in seeds.items() if name != seed and Path(name).suffix == Path(seed).suffix
    ]
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        knows = _EXR if kind == ".exr" else _DPX
        how = dice.choice(knows if dice.random() < 0.6 else _BLIND)
        if len(data) < 16:
            break
        damage.append(how(data, dice) if how is not _splice else _splice(data, dice, others))
    return Mutant(number=number, seed=seed, damage=", ".join(damage), original=seeds[seed], data=bytes(data))


# Damage. Each changes the file in place and says what it did.

Damage = Callable[[bytearray, random.Random], str]


def _flip(data: bytearray, dice: random.Random) -> str:
    places = [dice.randrange(len(data) * 8) for _ in range(dice.choice((1, 1, 2, 8)))]
    for place in places:
        data[place // 8] ^= 1 << place % 8
    return f"bits {places} flipped"


def _byte(data: bytearray, dice: random.Random) -> str:
    at, value = _place(data, dice), dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
    data[at] = value
    return f"byte {at} = {value}"


def _number(data: bytearray, dice: random.Random) -> str:
    width = dice.choice((2, 4, 4, 8))
    at = _place(data, dice, width)
    value = dice.choice((*EXTREMES, len(data), len(data) + 1)) % 2 ** (8 * width)
    data[at : at + width] = value.to_bytes(width, dice.choice(("little", "little", "big")))
    return f"{width} bytes at {at} = {value}"


def _cut(data: bytearray, dice: random.Random) -> str:
    at = _place(data, dice)
    del data[at:]
    return f"cut at {at}"


def _remove(data: bytearray, dice: random.Random) -> str:
    at, size = _place(data, dice), dice.choice((1, 4, 8, 100))
    del data[at : at + size]
    return f"{size} bytes at {at} taken out"


def _insert(data: bytearray, dice: random.Random) -> str:
    at, size = _place(data, dice), dice.choice((1, 4, 8, 100, 3000))
    data[at:at] = dice.choice((bytes(size), b"\xff" * size, dice.randbytes(size)))
    return f"{size} bytes put in at {at}"


def _scramble(data: bytearray, dice: random.Random) -> str:
    at, size = _place(data, dice), dice.choice((4, 16, 64, 1000))
    data[at : at + size] = dice.randbytes(len(data[at : at + size]))
    return f"{size} random bytes at {at}"


def _splice(data: bytearray, dice: random.Random, others: Sequence[bytes] = ()) -> str:
    if not others:
        return "nothing to splice with"
    at, other = _place(data, dice), dice.choice(others)
    data[at:] = other[at:]
    return f"from {at} on another seed's bytes"


_BLIND: tuple[Damage, ...] = (
    _flip,
    _flip,
    _byte,
    _number,
    _number,
    _cut,
    _remove,
    _insert,
    _scramble,
    _splice,
)


def _place(data: bytearray, dice: random.Random, size: int = 1) -> int:
    """Somewhere in the file, in the header as often as in the rest."""
    end = max(1, len(data) - size + 1)
    return dice.randrange(min(end, 900)) if dice.random() < 0.5 else dice.randrange(end)


@dataclass(frozen=True)
class Attribute:
    """Where one attribute of an EXR header lies: its name, its type, its size field and its value."""

    name: str
    start: int
    type_at: int
    size_at: int
    value_at: int
    end: int


def attributes(data: bytes | bytearray) -> list[Attribute]:
    """Those of all parts, as far as they can be told."""
    found: list[Attribute] = []
    several, at = len(data) > 5 and bool(data[5] & 0x10), 8
    while at < len(data):
        if not data[at]:  # the end of a part's header, and of all where another follows at once
            at += 1
            if several and at < len(data) and data[at]:
                continue
            break
        type_at = data.find(b"\0", at) + 1
        size_at = data.find(b"\0", type_at) + 1
        if not type_at or not size_at or size_at + 4 > len(data):
            break
        size = struct.unpack_from("<i", data, size_at)[0]
        if not 0 <= size <= len(data) - size_at - 4:
            break
        name = data[at : type_at - 1].decode("latin-1")
        found.append(Attribute(name, at, type_at, size_at, size_at + 4, size_at + 4 + size))
        at = size_at + 4 + size
    return found


def _table_at(data: bytearray) -> int:
    """Where the offset table begins."""
    known = attributes(data)
    several = len(data) > 5 and bool(data[5] & 0x10)
    return known[-1].end + 1 + several if known else 0


def _attribute_size(data: bytearray, dice: random.Random) -> str:
    return _in_attribute(data, dice, lambda a: (a.size_at, 4, "size"))


def _attribute_value(data: bytearray, dice: random.Random) -> str:
    def number(a: Attribute) -> tuple[int, int, str]:
        at = dice.randrange(a.value_at, max(a.value_at + 1, a.end - 3))
        return at, min(4, a.end - at), f"byte {at - a.value_at}"

    return _in_attribute(data, dice, number)


def _in_attribute(
    data: bytearray, dice: random.Random, where: Callable[[Attribute], tuple[int, int, str]]
) -> str:
    known = attributes(data)
    if not known:
        return _flip(data, dice)
    one = dice.choice(known)
    at, size, what = where(one)
    before = int.from_bytes(data[at : at + size], "little")
    value = dice.choice((*EXTREMES, before + 1, before - 1, before * 2, 2**32 - before)) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, "little")
    return f"{one.name}: {what} = {value}"


def _attribute_name(data: bytearray, dice: random.Random) -> str:
    """Rename an attribute or its type to another one that readers know."""
    known = attributes(data)
    if not known:
        return _flip(data, dice)
    one = dice.choice(known)
    kind = dice.random() < 0.5
    start, end = (one.type_at, one.size_at) if kind else (one.start, one.type_at)
    words = (
        _TYPES
        if kind
        else [a.name for a in known] + ["tiles", "chunkCount", "type", "name", "preview", "view"]
    )
    word = dice.choice([*words, "", "x" * 32, "x" * 256])
    data[start:end] = word.encode() + b"\0"
    return f"{one.name}: {'type' if kind else 'name'} = {word!r}"


_TYPES = [
    "box2i",
    "float",
    "int",
    "string",
    "chlist",
    "compression",
    "v2f",
    "timecode",
    "rational",
    "m44f",
    "preview",
]
_TYPES += ["stringvector", "tiledesc", "opaque"]


def _attribute_twice(data: bytearray, dice: random.Random) -> str:
    known = attributes(data)
    if not known:
        return _flip(data, dice)
    one, before = dice.choice(known), dice.choice(known)
    data[before.start : before.start] = data[one.start : one.end]
    return f"{one.name} twice"


def _attribute_gone(data: bytearray, dice: random.Random) -> str:
    known = attributes(data)
    if not known:
        return _flip(data, dice)
    one = dice.choice(known)
    del data[one.start : one.end]
    return f"{one.name} gone"


def _version(data: bytearray, dice: random.Random) -> str:
    bit = dice.choice((0, 1, 2, 9, 10, 11, 12, 13, 20, 31))
    data[4 + bit // 8] ^= 1 << bit % 8
    return f"version bit {bit} flipped"


def _geometry(data: bytearray, dice: random.Random) -> str:
    """The attributes that sizes are worked out from."""
    names = (
        "dataWindow",
        "displayWindow",
        "channels",
        "compression",
        "lineOrder",
        "tiles",
        "chunkCount",
        "type",
    )
    known = [a for a in attributes(data) if a.name in names and a.end > a.value_at]
    if not known:
        return _flip(data, dice)
    one = dice.choice(known)
    at = dice.randrange(one.value_at, one.end)
    at -= (at - one.value_at) % 4 if one.name != "channels" else 0
    size = min(4 if one.name != "channels" else dice.choice((1, 4)), one.end - at)
    near = int.from_bytes(data[at : at + size], "little")
    choices = (*EXTREMES, near + 1, near - 1, near ^ 1, near + 16, 2**32 - 5, 10**6, 10**8)
    value = dice.choice(choices) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, "little")
    return f"{one.name}: {size} bytes at {at - one.value_at} = {value}"


def _table(data: bytearray, dice: random.Random) -> str:
    """An entry of the chunk offset table."""
    start = _table_at(data)
    at = start + 8 * dice.randrange(8)
    if at + 8 > len(data):
        return _flip(data, dice)
    old = int.from_bytes(data[at : at + 8], "little")
    new = (
        dice.choice((0, 1, 8, len(data) - 1, len(data), old + 1, old - 8, start, 2**31, 2**63, 2**64 - 1))
        % 2**64
    )
    data[at : at + 8] = new.to_bytes(8, "little")
    return f"offset at {at} = {new}"


def _chunk(data: bytearray, dice: random.Random) -> str:
    """A chunk's own header: its part or line, its size."""
    start = _table_at(data)
    at = start + 8 * dice.randrange(8)
    offset = int.from_bytes(data[at : at + 8], "little") if at + 8 <= len(data) else len(data)
    field = offset + 4 * dice.randrange(6)
    if field + 4 > len(data):
        return _flip(data, dice)
    old = int.from_bytes(data[field : field + 4], "little")
    new = dice.choice((*EXTREMES, old + 1, old - 1, old + 16, old * 2)) % 2**32
    data[field : field + 4] = new.to_bytes(4, "little")
    return f"chunk at {offset}: byte {field - offset} = {new}"


_EXR: tuple[Damage, ...] = (
    *(_attribute_size, _attribute_value, _attribute_name, _attribute_twice, _attribute_gone, _version),
    *(_geometry, _geometry, _geometry, _table, _chunk, _chunk),
)

# offset and size of the DPX header fields that a reader trusts (ST 268, "File information" and "Image information")
_ELEMENT = {"sign": (0, 4), "descriptor": (20, 1), "transfer": (21, 1), "bits": (23, 1), "packing": (24, 2)}
_ELEMENT |= {"encoding": (26, 2), "offset": (28, 4), "line padding": (32, 4), "image padding": (36, 4)}
_FIELDS = {
    "magic": (0, 4),
    "offset": (4, 4),
    "version": (8, 4),
    "file size": (16, 4),
    "generic size": (24, 4),
}
_FIELDS |= {"industry size": (28, 4), "user size": (32, 4), "key": (660, 4), "orientation": (768, 2)}
_FIELDS |= {
    "elements": (770, 2),
    "width": (772, 4),
    "height": (776, 4),
    "aspect": (1628, 4),
    "aspect y": (1632, 4),
}
_FIELDS |= {"timecode": (1920, 4), "frame rate": (1940, 4), "film rate": (1724, 4)}
_FIELDS |= {f"element 0 {name}": (780 + at, size) for name, (at, size) in _ELEMENT.items()}
_FIELDS |= {f"element 1 {name}": (852 + at, size) for name, (at, size) in _ELEMENT.items()}


def _field(data: bytearray, dice: random.Random) -> str:
    name = dice.choice(list(_FIELDS))
    at, size = _FIELDS[name]
    if at + size > len(data):
        return _flip(data, dice)
    order: Literal["little", "big"] = "little" if data[:4] == b"XPDS" else "big"
    old = int.from_bytes(data[at : at + size], order)
    choices = (
        *EXTREMES,
        6,
        8,
        10,
        12,
        16,
        32,
        50,
        51,
        52,
        100,
        102,
        156,
        2048,
        len(data),
        old + 1,
        old - 1,
        old * 2,
    )
    value = dice.choice(choices) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, order)
    return f"{name} = {value}"


_DPX: tuple[Damage, ...] = (_field,)
