"""BlazeFace, MediaPipe's face detector: both of its networks, over an image pyramid.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019; anchors, decoding and
thresholds as in MediaPipe's published graphs (modules/face_detection).

The networks look at 128 and 192 pixels: a face of 60 pixels in an HD plate would shrink to 6. So the whole picture
is only the last level of a pyramid. The first shows the smallest face just large enough, in overlapping tiles; each
further one halves the scale. Every face is whole in some tile of some level: tiles overlap by a quarter of their
side, and a face larger than that is found one level up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core._litert import Network
from understudy.core.errors import InvalidInput
from understudy.core.face import Detection
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

WEIGHTS = ("blazeface-short", "blazeface-full")

_SAME_FACE = 0.3  # boxes with a larger intersection over union are one face
_PART_OF_FACE = 0.75  # a box with more of its area inside a better one is a piece of that face
_ENOUGH = 14.0  # pixels of the input that a face must fill: at 14 all but 1 of 54 were found, at 10 a fifth was lost
_SMALLEST = 1 / 48  # of the picture's longer side: 40 pixels in HD
_OVERLAP = 0.25  # of a tile's side


@dataclass(frozen=True)
class _Head:
    """A network, its anchors' centres (N, 2) in units of its input, the score from which MediaPipe believes it."""

    network: Network
    anchors: Float
    threshold: float


def create(store: WeightStore, *, device: str = "auto") -> BlazeFace:  # noqa: ARG001 - it knows the CPU only
    short, full = (Network(store.path(name)) for name in WEIGHTS)
    return BlazeFace(
        short=_Head(short, _anchors((16, 2), (8, 6)), 0.5), full=_Head(full, _anchors((48, 1)), 0.6)
    )


class BlazeFace:
    """See `detect.Detector`. Key points: the person's right and left eye, nose tip, mouth, right and left ear.

    Args:
        short: the network for faces close to the lens, run on the whole picture.
        full: the one for faces further away, run on every level of the pyramid.
        smallest: side in pixels of the smallest face looked for, where 1/48 of the picture's longer side is not more.
    """

    def __init__(self, *, short: _Head, full: _Head, smallest: float = 40.0) -> None:
        self._short = short
        self._full = full
        self._smallest = smallest

    def detect(self, proxies: Sequence[Float], smallest: float | None = None) -> list[list[Detection]]:
        return [self._detect(proxy, smallest) for proxy in proxies]

    def _detect(self, proxy: Float, smallest: float | None) -> list[Detection]:
        if proxy.ndim != 3 or proxy.shape[2] != 3 or proxy.dtype != np.float32 or proxy.size == 0:
            raise InvalidInput(
                f"proxy: a detector wants (H, W, 3) float32, got {proxy.shape} {proxy.dtype}", field="proxy"
            )
        searches = [_search(self._short, proxy, self._short.network.size / max(proxy.shape[:2]))]
        searches += [
            _search(self._full, proxy, scale) for scale in self._scales(max(proxy.shape[:2]), smallest)
        ]
        scores, points = (np.concatenate(part) for part in zip(*searches, strict=True))
        return _merge(scores, points)

    def _scales(self, long_side: int, smallest: float | None) -> Iterator[float]:
        """From where the smallest face is large enough down to where the picture fits into one tile."""
        whole = self._full.network.size / long_side
        scale = min(1.0, _ENOUGH / (smallest or max(self._smallest, long_side * _SMALLEST)))
        while scale > whole:
            yield scale
            scale /= 2.0
        yield whole


def _anchors(*layers: tuple[int, int]) -> Float:
    """Centres (N, 2) of an SSD's anchors: per layer (cells a side, anchors a cell); their size is always 1."""
    centres = []
    for cells, repeat in layers:
        line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, repeat, axis=0))
    return np.concatenate(centres)


def _search(head: _Head, proxy: Float, scale: float) -> tuple[Float, Float]:
    """Scores (N,) and points (N, 8, 2) in proxy pixels of what a network sees in the picture at this scale."""
    height, width = (max(1, round(side * scale)) for side in proxy.shape[:2])
    kernel = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    level = cv2.resize(proxy, (width, height), interpolation=kernel)
    shrunk = np.array((width / proxy.shape[1], height / proxy.shape[0]), np.float32)
    side = head.network.size
    scores, points = [np.empty(0, np.float32)], [np.empty((0, 8, 2), np.float32)]
    for y in _origins(height, side):
        for x in _origins(width, side):
            tile = np.zeros((side, side, 3), np.float32)
            part = level[y : y + side, x : x + side]
            tile[: part.shape[0], : part.shape[1]] = part
            score, point = _run(head, tile)
            # A face that an inner edge cuts through is whole in another tile: its box here is wrong.
            low = np.where([x > 0, y > 0], 0, -np.inf)
            high = np.where([x + side < width, y + side < height], side, np.inf)
            whole = (point[:, 0] >= low).all(axis=1) & (point[:, 1] <= high).all(axis=1)
            scores.append(score[whole])
            points.append((point[whole] + np.array((x, y), np.float32)) / shrunk)
    return np.concatenate(scores), np.concatenate(points)


def _origins(length: int, tile: int) -> list[int]:
    """Where tiles begin along an axis: evenly spread, the first at 0, the last at the end."""
    count = 1 + math.ceil(max(0, length - tile) / (tile * (1.0 - _OVERLAP)))
    return [round(v) for v in np.linspace(0, max(0, length - tile), count)]


def _run(head: _Head, tile: Float) -> tuple[Float, Float]:
    """Scores (N,) and points (N, 8, 2), the box's two corners and six key points, in tile pixels."""
    boxes, logits = head.network(tile * 2.0 - 1.0)
    score = 1.0 / (1.0 + np.exp(-logits[0, :, 0].clip(-80.0, 80.0)))
    keep = score >= head.threshold
    raw = boxes[0, keep].reshape(-1, 8, 2)  # centre, size, key points; from the anchor, in pixels
    points = raw + (head.anchors[keep] * head.network.size)[:, None]
    centre, half = points[:, 0], raw[:, 1] / 2.0
    points[:, 0], points[:, 1] = centre - half, centre + half
    return score[keep], points


def _merge(scores: Float, points: Float) -> list[Detection]:
    """One detection per face: BlazeFace's blending, the score-weighted mean of the boxes that mean the same face.

    Averaging instead of keeping the best is what makes the box steady from frame to frame.
    """
    left = np.argsort(-scores, kind="stable")
    faces = []
    while len(left):
        best, box = left[0], points[left]
        shared = np.minimum(box[:, 1], box[0, 1]) - np.maximum(box[:, 0], box[0, 0])
        overlap = shared.clip(0).prod(axis=1)
        area = (box[:, 1] - box[:, 0]).clip(0).prod(axis=1)
        same = overlap > _SAME_FACE * (area + area[0] - overlap)
        same[0] = True
        mean = np.average(points[left[same]], axis=0, weights=scores[left[same]])
        (x0, y0), (x1, y1) = mean[:2].tolist()
        faces.append(
            Detection(box=(x0, y0, x1, y1), score=float(scores[best]), keypoints=mean[2:].astype(np.float32))
        )
        left = left[~same & (overlap <= _PART_OF_FACE * area)]
    return faces
