"""How code values lie in the bytes of a DPX image element (SMPTE ST 268, "Image Data" and the packing tables).

Lines of words in, lines of codes out, and back; nothing here knows of files. Where the standard leaves room, or
practice has left the standard, what Nuke, OpenImageIO, FFmpeg and Blender read alike decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from understudy.core.frames import Array

PACKED, FILLED_A, FILLED_B = 0, 1, 2

_CHUNK = 2**18  # bytes of lines taken at once: what stays in a core's cache


@dataclass(frozen=True, kw_only=True)
class Element:
    """One image element: which codes it holds, how, and where.

    Attributes:
        channels: names of its components, in the order in which they are stored.
        depth: bits of a code: 8, 10, 12 or 16.
        packing: of codes of 10 and 12 bits: `PACKED`, `FILLED_A` (fill in the lowest bits) or `FILLED_B` (highest).
        big_endian: the order of bytes in a word.
        width, height: pixels in a line, lines; as stored.
        offset: where in the file the first line starts, in bytes.
        pitch: bytes from one line to the next, with all padding.
    """

    channels: tuple[str, ...]
    depth: int
    packing: int
    big_endian: bool
    width: int
    height: int
    offset: int = 0
    pitch: int = 0

    @property
    def count(self) -> int:
        """Codes in a line."""
        return self.width * len(self.channels)

    @property
    def end(self) -> int:
        """One past the element's last byte in the file."""
        return self.offset + self.height * self.pitch

    @property
    def maximum(self) -> int:
        return int(2**self.depth - 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    @property
    def in_words(self) -> bool:
        """Are codes spread over 32-bit words, rather than one in each byte or 16-bit word?"""
        return self.depth == 10 or (self.depth == 12 and self.packing == PACKED)

    @property
    def natural(self) -> int:
        """Bytes of a line that hold codes, to the last word begun."""
        if self.in_words:
            slots, words = self._slots
            whole, over = divmod(self.count, len(slots))
            last = 1 + max((word + (shift + self.depth > 32) for word, shift in slots[:over]), default=-1)
            return 4 * (whole * words + last)
        return self.count * self.dtype.itemsize

    @property
    def usual(self) -> int:
        """Bytes from line to line where no padding is declared.

        The standard starts each line on a 32-bit word. For 16-bit words (16 bits, and 12 filled) Nuke, Blender and
        OpenImageIO all do not, so neither do we; what a given file does, its size tells.
        """
        return -(-self.natural // 4) * 4 if self.depth == 8 else self.natural

    @property
    def rows(self) -> int:
        """Lines to take at once."""
        return max(1, _CHUNK // self.pitch)

    def unpack(self, lines: Array) -> Array:
        """(n, pitch) uint8 → (n, count) codes, in the element's dtype."""
        if self.depth == 8:
            return lines[:, : self.count]
        if not self.in_words:
            units: Array = lines[:, : 2 * self.count].view(self._word(2)).astype(np.uint16)
            units >>= np.uint16(self._shift)
            units &= np.uint16(self.maximum)
            return units
        slots, size = self._slots
        groups = -(-self.count // len(slots))
        words: Array = np.zeros((len(lines), groups * size), np.uint32)
        words[:, : self.natural // 4] = lines[:, : self.natural].view(self._word(4))
        words = words.reshape(len(lines), groups, size)
        codes: Array = np.empty((len(lines), groups, len(slots)), np.uint16)
        for slot, (word, shift) in enumerate(slots):
            bits = words[..., word] >> np.uint32(shift)
            if shift + self.depth > 32:
                bits |= words[..., word + 1] << np.uint32(32 - shift)
            np.bitwise_and(bits, np.uint32(self.maximum), out=codes[..., slot], casting="unsafe")
        return codes.reshape(len(lines), -1)[:, : self.count]

    def pack(self, codes: Array) -> Array:
        """The inverse: (n, count) codes, none beyond `maximum`, → (n, pitch) uint8 with all other bits 0."""
        lines = np.zeros((len(codes), self.pitch), np.uint8)
        if self.depth == 8:
            lines[:, : self.count] = codes
        elif not self.in_words:
            lines[:, : 2 * self.count].view(self._word(2))[...] = np.left_shift(codes, self._shift)
        else:
            lines[:, : self.natural].view(self._word(4))[...] = self._words(codes)[:, : self.natural // 4]
        return lines

    def _words(self, codes: Array) -> Array:
        """(n, count) codes → (n, m) uint32 in whole groups of words."""
        slots, size = self._slots
        groups = -(-self.count // len(slots))
        if self.count % len(slots):
            codes = np.pad(codes, ((0, 0), (0, groups * len(slots) - self.count)))
        codes = codes.reshape(len(codes), groups, len(slots))
        words = np.zeros((len(codes), groups, size), np.uint32)
        for slot, (word, shift) in enumerate(slots):
            code = codes[..., slot].astype(np.uint32)
            words[..., word] |= code << np.uint32(shift)
            if shift + self.depth > 32:
                words[..., word + 1] |= code >> np.uint32(32 - shift)
        return words.reshape(len(codes), -1)

    @cached_property
    def fill(self) -> Array:
        """(pitch,) uint8: the bits of a line that belong to no code."""
        bits: Array = np.invert(self.pack(np.full((1, self.count), self.maximum, self.dtype))[0])
        return bits

    def padding(self, lines: Array) -> Array | None:
        """(n, pitch) uint8: the bits of the lines that belong to no code; None where all are 0, as nearly always."""
        if not self.fill.any():
            return None
        kind = np.uint32 if self.pitch % 4 == 0 else np.uint8
        found = lines.view(kind) & self.fill.view(kind)
        return found.view(np.uint8) if found.any() else None

    @property
    def _shift(self) -> int:
        """Of a code in its 16-bit word, to the left."""
        return 16 - self.depth if self.packing == FILLED_A else 0

    def _word(self, size: int) -> str:
        return f"{'>' if self.big_endian else '<'}u{size}"

    @cached_property
    def _slots(self) -> tuple[tuple[tuple[int, int], ...], int]:
        """Where the codes of a group of words lie, as (word, lowest bit), and how many words a group has.

        Packed codes are a stream of bits from the lowest of the first word upwards; 16 of 10 bits end with a word, and
        8 of 12. Filled, three codes of 10 share a word: of several components the first in the highest bits, of a
        single one in the lowest (so read OpenImageIO and FFmpeg, and so is the standard's figure).
        """
        if self.packing == PACKED:
            codes = 16 if self.depth == 10 else 8
            return tuple(divmod(n * self.depth, 32) for n in range(codes)), codes * self.depth // 32
        lowest = 2 if self.packing == FILLED_A else 0
        shifts = (lowest + 20, lowest + 10, lowest)
        return tuple((0, s) for s in (shifts if len(self.channels) > 1 else shifts[::-1])), 1
