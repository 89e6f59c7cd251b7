"""The search of a picture of any size by a network of limited sight: a pyramid of tiles, shared by all detectors.

A network knows faces from some size on (`Plan.enough`) and is shown only so much at once (`Plan.tile`). So the first
level of the pyramid shows the smallest face wanted just large enough, in overlapping tiles; each further one halves
the scale, until the whole picture is one tile. Every face is whole in some tile of some level: one that fits into the
tiles' overlap whatever its place, a larger one a level or more up. What an inner edge cuts is dropped, as it is whole
elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from understudy.core.detect import SMALLEST
from understudy.core.errors import InvalidInput
from understudy.core.face import Detection
from understudy.core.frames import Float

_PART_OF_FACE = 0.75  # a box with more of its area inside a better one is a piece of that face
_TOO_LARGE = 5.0  # a box around as much of a better one, up to this many times its area, is that face again
_LEAST = 40.0  # pixels; see `Detector.detect`

_NOTHING = (np.empty(0, np.float32), np.empty((0, 2, 2), np.float32))

Finds = tuple[Float, Float]
"""Scores (N,) and points (N, 2 + K, 2), the box's two corners and K key points."""


class Network(Protocol):
    """What looks at tiles."""

    def __call__(self, tiles: Float) -> list[Finds]:
        """Tiles (B, h, w, 3) float32 in [0, 1] → what is in each, in its pixels."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How pictures are shown to a network. Lengths are in pixels as the network sees them.

    Attributes:
        enough: side of the smallest face that it finds; with 0 it is shown whole pictures only.
        tile: longest side of what it is shown at once.
        overlap: of neighbouring tiles, at least.
        margin: a box that comes nearer to an inner edge than this counts as cut.
        fixed: every tile is `tile` squared, small pictures are enlarged to it; else tiles are as large as need be.
        least: shortest side of a tile that is not `fixed`; smaller pictures get a black rim.
        batch: pixels that it is shown together; a larger tile goes alone.
    """

    enough: float
    tile: int
    overlap: int
    margin: float = 0.0
    fixed: bool = False
    least: int = 32
    batch: int = 0

    def __post_init__(self) -> None:
        room = self.overlap - 2.0 * self.margin
        assert room >= 2.0 * self.enough, (
            f"a face of {self.enough} to {2.0 * self.enough} px is cut by every tile"
        )

    def scales(self, long_side: int, smallest: float) -> Iterator[float]:
        """From where the smallest face is large enough down to where the picture fits into a tile."""
        whole = self.tile / long_side
        scale = min(1.0, self.enough / smallest)
        while scale > whole:
            yield scale
            scale /= 2.0
        yield whole if self.fixed else scale

    def axis(self, length: int) -> tuple[int, list[int]]:
        """The side of tiles along an axis, and where they begin: evenly spread from 0 to the end."""
        if length <= self.tile:
            return self.tile if self.fixed else max(length, self.least), [0]
        count = math.ceil((length - self.overlap) / (self.tile - self.overlap))
        side = self.tile
        if not self.fixed:  # no larger than the overlaps ask for, in whole cells of the coarsest layer
            side = min(side, 32 * math.ceil((length + (count - 1) * self.overlap) / count / 32))
        return side, [round(v) for v in np.linspace(0, length - side, count)]


@dataclass(frozen=True)
class _Tile:
    """A part of a level of picture number `picture`, and where its finds may lie: all four in (x, y)."""

    picture: int
    pixels: Float
    origin: Float
    shrunk: Float
    low: Float
    high: Float


class Pyramid:
    """See `detect.Detector`: all networks' finds in all tiles of all levels, each face once.

    Args:
        looks: networks and how pictures are shown to them.
        same: two boxes with a larger intersection over union are one face.
        mean: its box and key points are the score-weighted mean of all that mean this face, which is steady from
            frame to frame; else those of the best.
    """

    def __init__(self, *looks: tuple[Network, Plan], same: float, mean: bool = False) -> None:
        self._looks = looks
        self._same = same
        self._mean = mean

    def detect(self, proxies: Sequence[Float], smallest: float | None = None) -> list[list[Detection]]:
        _check(proxies, smallest)
        searches = [search(network, plan, proxies, smallest) for network, plan in self._looks]
        together = zip(*searches, strict=True)
        joined = [[np.concatenate(part) for part in zip(*finds, strict=True)] for finds in together]
        return [merge(scores, points, same=self._same, mean=self._mean) for scores, points in joined]


def _check(proxies: Sequence[Float], smallest: float | None) -> None:
    for number, proxy in enumerate(proxies):
        if proxy.ndim != 3 or proxy.shape[2] != 3 or proxy.dtype != np.float32 or proxy.size == 0:
            raise InvalidInput(
                f"proxies[{number}]: a detector wants (H, W, 3) float32, got {proxy.shape} {proxy.dtype}",
                field="proxies",
                value=f"{proxy.shape} {proxy.dtype}",
            )
    if smallest is not None and not 0.0 < smallest < math.inf:
        raise InvalidInput(
            f"smallest: the side of a face is a number of pixels above 0, not {smallest}",
            field="smallest",
            value=smallest,
        )


def search(
    network: Network, plan: Plan, proxies: Sequence[Float], smallest: float | None = None
) -> list[Finds]:
    """What a network finds in each picture, in its pixels: the same face as often as it was seen.

    Tiles of one size go to the network together, whichever picture they are from.
    """
    found: list[list[Finds]] = [[] for _ in proxies]
    waiting: dict[tuple[int, ...], _Waiting] = {}
    for tile in (t for n, proxy in enumerate(proxies) for t in _tiles(plan, n, proxy, smallest)):
        size = tile.pixels.shape[0] * tile.pixels.shape[1]
        group = waiting.setdefault(tile.pixels.shape, _Waiting())
        group.add(tile, found[tile.picture])
        if (len(group.tiles) + 1) * size > plan.batch:
            group.look(network, found)
    for group in waiting.values():
        group.look(network, found)
    return [(np.concatenate([s for s, _ in finds]), np.concatenate([p for _, p in finds])) for finds in found]


@dataclass
class _Waiting:
    """Tiles of one size that wait for others to be looked at together, and where in its picture's list each one's
    finds go: in the order of tiles, whatever was looked at first.
    """

    tiles: list[_Tile] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, tile: _Tile, finds: list[Finds]) -> None:
        self.tiles.append(tile)
        self.places.append(len(finds))
        finds.append(_NOTHING)  # until it is looked at

    def look(self, network: Network, found: list[list[Finds]]) -> None:
        if not self.tiles:
            return
        finds = network(np.stack([tile.pixels for tile in self.tiles]))
        for tile, place, (scores, points) in zip(self.tiles, self.places, finds, strict=True):
            whole = (points[:, 0] >= tile.low).all(axis=1) & (points[:, 1] <= tile.high).all(axis=1)
            in_picture = (points[whole] + tile.origin) / tile.shrunk
            found[tile.picture][place] = (scores[whole], in_picture.astype(np.float32))
        self.tiles, self.places = [], []


def _tiles(plan: Plan, picture: int, proxy: Float, smallest: float | None) -> Iterator[_Tile]:
    """All tiles of all levels."""
    size = np.array(proxy.shape[1::-1], np.float32)
    long_side = int(size.max())
    for scale in plan.scales(long_side, smallest or max(_LEAST, long_side * SMALLEST)):
        level = _level(proxy, scale)
        height, width = level.shape[:2]
        (tile_width, xs), (tile_height, ys) = plan.axis(width), plan.axis(height)
        side = np.array((tile_width, tile_height), np.float32)
        for y, x in ((y, x) for y in ys for x in xs):
            origin = np.array((x, y), np.float32)
            yield _Tile(
                picture=picture,
                pixels=_rimmed(level[y : y + tile_height, x : x + tile_width], tile_height, tile_width),
                origin=origin,
                shrunk=np.array((width, height), np.float32) / size,
                low=np.where(origin > 0, plan.margin, -np.inf),
                high=np.where(origin + side < (width, height), side - plan.margin, np.inf),
            )


def _level(proxy: Float, scale: float) -> Float:
    height, width = (max(1, round(side * scale)) for side in proxy.shape[:2])
    if (height, width) == proxy.shape[:2]:
        return proxy
    kernel = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return cv2.resize(proxy, (width, height), interpolation=kernel).astype(np.float32, copy=False)


def _rimmed(part: Float, height: int, width: int) -> Float:
    """With a black rim to the right and below where it is smaller than a tile."""
    below, right = height - part.shape[0], width - part.shape[1]
    return np.pad(part, ((0, below), (0, right), (0, 0))) if below or right else part


def merge(scores: Float, points: Float, *, same: float, mean: bool) -> list[Detection]:
    """One detection per face, best first, of finds that mean the same one; see `Pyramid`."""
    left = np.argsort(-scores, kind="stable")
    faces = []
    while len(left):
        box = points[left, :2]
        shared = np.minimum(box[:, 1], box[0, 1]) - np.maximum(box[:, 0], box[0, 0])
        overlap = shared.clip(0).prod(axis=1)
        area = (box[:, 1] - box[:, 0]).clip(0).prod(axis=1)
        alike = overlap > same * (area + area[0] - overlap)
        alike[0] = True
        meant = left[alike] if mean else left[:1]
        it = np.average(points[meant], axis=0, weights=scores[meant])
        (x0, y0), (x1, y1) = it[:2].tolist()
        score = min(1.0, float(scores[left[0]]))
        faces.append(Detection(box=(x0, y0, x1, y1), score=score, keypoints=it[2:].astype(np.float32)))
        piece = overlap > _PART_OF_FACE * area
        around = (overlap > _PART_OF_FACE * area[0]) & (area < _TOO_LARGE * area[0])
        left = left[~(alike | piece | around)]
    return faces
