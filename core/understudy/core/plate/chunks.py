"""Are all pixels of an OpenEXR file there? A walk along its chunk tables, before a decoder sees the file.

A decoder that meets a hole, a chunk of another place or one cut short stops, or fills in zeros, or worse; here each
chunk's leader is looked at: a few bytes of each. The file is read, not mapped: a render that rewrites a file
under a mapping would kill the process.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.plate.exr import MAXIMUM_CHUNKS, Broken, Layout, Part, Raw, Tiles

Numbers = npt.NDArray[np.int64]


def check(descriptor: int, layout: Layout) -> None:
    """Walk along all chunks of a file.

    Args:
        descriptor: of the file, open for reading.
        layout: what its headers say.

    Raises:
        Broken: a chunk is missing, outside the file, cut off, of another part or place than the table says, larger
            than its pixels or too small for them, or over another; or there are more than we take.
    """
    size = os.fstat(descriptor).st_size
    count = _total(layout)
    first = layout.end + 8 * count
    if first > size:
        raise Broken(f"is truncated: it ends at byte {size}, inside the table of its {count} chunks")
    table = np.frombuffer(os.pread(descriptor, 8 * count, layout.end), "<u8")
    spans, begin = [], 0
    for index, part in enumerate(layout.parts):
        places, bytes_of = _expected(part)
        offsets = table[begin : begin + len(places)]
        begin += len(places)
        leaders = np.insert(places, 0, index, axis=1) if layout.several else places
        spans.append(_Walk(part, leaders, layout.several).along(descriptor, offsets, bytes_of, first, size))
    starts, ends = np.concatenate(spans, axis=1)
    order = np.argsort(starts)
    over = np.flatnonzero(ends[order][:-1] > starts[order][1:])
    if over.size:
        raise Broken(f"is corrupt: two chunks overlap at byte {starts[order][1:][over[0]]}")


# How many bytes can come out of one. Deflate, of zips, zip and pxr24, gives 1032 at most (zlib's "Technical Details"),
# of which pxr24 makes a third more; a run of 128 takes two bytes in rle; 4 × 4 halves take three bytes in b44a.
_SWELLS = {"none": 1, "rle": 64, "zips": 1032, "zip": 1032, "pxr24": 1376, "b44": 11, "b44a": 11}


class _Walk:
    """Along the chunks of one part.

    Attributes:
        places: (N, K) what each chunk's leader has to say before its size: the part, if there are several; then y, or
            the tile's column and row and its level's.
    """

    def __init__(self, part: Part, places: Numbers, several: bool) -> None:
        self.places = places
        self._of = f" of part {part.name!r}" if several else ""
        self._words = ("tile {}, {} of level {}, {}" if part.tiles else "line {}").format
        self._skip = int(several)
        self._swells = _SWELLS.get(part.compression, 2**31)

    def along(self, descriptor: int, offsets: Any, bytes_of: Numbers, first: int, size: int) -> Numbers:
        """(2, N) where each chunk begins and ends."""
        leader = 4 * (self.places.shape[1] + 1)
        missing = np.flatnonzero(offsets == 0)
        if missing.size:
            what = f"has no chunk {self._name(missing[0])}"
            raise Broken(f"{what} ({missing.size} are missing): what wrote it was broken off")
        inside = np.flatnonzero(offsets < first)
        if inside.size:
            raise Broken(f"is corrupt: chunk {self._name(inside[0])} lies inside the header")
        self._reaches(offsets > size - leader, size)
        starts = offsets.astype(np.int64)
        read = b"".join(os.pread(descriptor, leader, at) for at in starts.tolist())
        if len(read) != leader * len(starts):
            raise Broken("is truncated: it has become shorter while it was read")
        said = np.frombuffer(read, "<i4").reshape(len(starts), -1).astype(np.int64)
        astray = np.flatnonzero((said[:, :-1] != self.places).any(axis=1))
        if astray.size:
            raise Broken(
                f"is corrupt: chunk {self._name(astray[0])} says that it is another, {said[astray[0], :-1].tolist()}"
            )
        lengths = said[:, -1]
        odd = np.flatnonzero((lengths < 1) | (lengths > bytes_of) | (lengths * self._swells < bytes_of))
        if odd.size:
            i = odd[0]
            raise Broken(
                f"is corrupt: chunk {self._name(i)} is {lengths[i]} bytes, for {bytes_of[i]} bytes of pixels"
            )
        ends = starts + leader + lengths
        self._reaches(ends > size, size)
        return np.stack([starts, ends])

    def _reaches(self, beyond: Any, size: int) -> None:
        cut = np.flatnonzero(beyond)
        if cut.size:
            what = f"it ends at byte {size}, before the end of chunk {self._name(cut[0])}"
            raise Broken(f"is truncated: {what} ({cut.size} are cut off or missing)")

    def _name(self, index: Any) -> str:
        place = self._words(*self.places[index, self._skip :].tolist())
        return f"{index} of {len(self.places)} ({place}{self._of})"


def _total(layout: Layout) -> int:
    """How many chunks a file must have; `chunkCount`, where it is, has to agree."""
    counts = [_count(part) for part in layout.parts]
    if sum(counts) > MAXIMUM_CHUNKS:
        raise Broken(f"has {sum(counts)} chunks, which is more than we take ({MAXIMUM_CHUNKS})")
    for part, count in zip(layout.parts, counts, strict=True):
        said = part.attributes.get("chunkCount")
        if (said or layout.several) and said != Raw("int", struct.pack("<i", count)):
            raise Broken(f"is corrupt: its chunkCount is {said}, for {count} chunks")
    return sum(counts)


def _count(part: Part) -> int:
    if part.tiles is None:
        return -(-part.data.height // part.lines)
    return sum(
        -(-w // part.tiles.width) * -(-h // part.tiles.height) for _, (w, h) in _levels(part, part.tiles)
    )


def _expected(part: Part) -> tuple[Numbers, Numbers]:
    """Of each chunk in the table's order: (N, K) what its leader says of its place, and (N,) bytes of its pixels."""
    if part.tiles is None:
        tops = np.arange(0, part.data.height, part.lines, dtype=np.int64)
        rows = np.minimum(part.lines, part.data.height - tops)
        return (tops + part.data.y)[:, None], rows * part.data.width * part.pixel_bytes
    places: list[Numbers] = []
    pixels: list[Numbers] = []
    for level, (width, height) in _levels(part, part.tiles):
        across, columns = _cut(width, part.tiles.width)
        down, rows = _cut(height, part.tiles.height)
        row, column = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
        places.append(np.column_stack([column, row, np.broadcast_to(level, (len(row), 2))]))
        pixels.append(np.outer(down, across).ravel())
    return np.concatenate(places), np.concatenate(pixels) * part.pixel_bytes


def _cut(side: int, tile: int) -> tuple[Numbers, Numbers]:
    """How long the tiles along a side are, the last one less, and their numbers."""
    starts = np.arange(0, side, tile, dtype=np.int64)
    return np.minimum(tile, side - starts), np.arange(len(starts))


def _levels(part: Part, tiles: Tiles) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Each level's numbers, across and down, and its width and height, in the table's order."""

    def count(side: int) -> int:  # how often it can be halved, and once
        return (side - 1).bit_length() + 1 if tiles.round_up else side.bit_length()

    def at(side: int, level: int) -> int:
        return max(1, -(-side >> level) if tiles.round_up else side >> level)

    width, height = part.data.width, part.data.height
    if tiles.levels == 2:
        numbers = [(across, down) for down in range(count(height)) for across in range(count(width))]
    else:
        numbers = [(level, level) for level in range(count(max(width, height)) if tiles.levels else 1)]
    return [((across, down), (at(width, across), at(height, down))) for across, down in numbers]
