"""BlazeFace, MediaPipe's face detector: both of its networks, over an image pyramid.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019; anchors, decoding and
thresholds as in MediaPipe's published graphs (modules/face_detection).

The networks look at 128 and 192 pixels: a face of 60 pixels in an HD plate would shrink to 6. So the whole picture
is only the last level of a pyramid; the short-range network, for faces close to the lens, looks at nothing else.
"""

from __future__ import annotations

import numpy as np

from understudy.core._litert import Network
from understudy.core.detect._pyramid import Finds, Plan, Pyramid
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

WEIGHTS = ("blazeface-short", "blazeface-full")

_SAME_FACE = 0.3  # intersection over union; averaging what is one face is BlazeFace's own blending
_ENOUGH = 14.0  # pixels of the input that a face must fill: at 14 all but 1 of 54 were found, at 10 a fifth was lost


def create(store: WeightStore, *, device: str = "auto") -> Pyramid:  # noqa: ARG001 - it knows the CPU only
    """See `detect.Family`. Key points: the person's right and left eye, nose tip, mouth, right and left ear."""
    short, full = (Network(store.path(name)) for name in WEIGHTS)
    return Pyramid(
        (_Head(short, _anchors((16, 2), (8, 6)), 0.5), _plan(short, 0.0)),
        (_Head(full, _anchors((48, 1)), 0.6), _plan(full, _ENOUGH)),
        same=_SAME_FACE,
        mean=True,
    )


def _plan(network: Network, enough: float) -> Plan:
    return Plan(enough=enough, tile=network.size, overlap=network.size // 4, margin=2.0, fixed=True)


def _anchors(*layers: tuple[int, int]) -> Float:
    """Centres (N, 2) of an SSD's anchors: per layer (cells a side, anchors a cell); their size is always 1."""
    centres = []
    for cells, repeat in layers:
        line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, repeat, axis=0))
    return np.concatenate(centres)


class _Head:
    """A network, its anchors' centres (N, 2) in units of its input, the score from which MediaPipe believes it."""

    def __init__(self, network: Network, anchors: Float, threshold: float) -> None:
        self._network = network
        self._anchors = anchors * network.size
        self._threshold = threshold

    def __call__(self, tiles: Float) -> list[Finds]:
        return [self._look(tile) for tile in tiles]

    def _look(self, tile: Float) -> Finds:
        boxes, logits = self._network(tile * 2.0 - 1.0)
        score = 1.0 / (1.0 + np.exp(-logits[0, :, 0].clip(-80.0, 80.0)))
        keep = score >= self._threshold
        raw = boxes[0, keep].reshape(-1, 8, 2)  # centre, size, key points; from the anchor, in pixels
        points = raw + self._anchors[keep][:, None]
        centre, half = points[:, 0], raw[:, 1] / 2.0
        points[:, 0], points[:, 1] = centre - half, centre + half
        return score[keep], points
