"""PFLD: 68 points by regression, small and fast.

Guo et al., "PFLD: A Practical Facial Landmark Detector", 2019; trained and exported by C. Chen
(cunjian/pytorch_face_landmark), whose square is used: 1.1 times the longer side of the detector's box, black beyond
the picture, RGB in [0, 1], points as fractions of the square.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import WeightsCorrupt
from understudy.core.face import Alignment, Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look, _square, _steady
from understudy.core.landmark._schemes import only_68

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS = ("pfld",)

_SIZE = 112
_OF_BOX = 1.1
_OF_POINTS = 1.2  # agrees best with the other networks on the test clips; 1.1 and 1.3 are nearly as good


def create(store: WeightStore, *, device: str = "auto") -> Pfld:  # noqa: ARG001 - it knows the CPU only
    return Pfld(Network(store.path(WEIGHTS[0])))


class Network:
    """The network as a function. Not safe to run from two threads at once.

    Raises:
        WeightsCorrupt: the file is not a network that OpenCV can run, or one with another input or output.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
            shape = self(np.zeros((1, 3, _SIZE, _SIZE), np.float32)).shape
        except cv2.error as error:
            raise WeightsCorrupt(f"{path}: not a network that OpenCV can run: {error}", path=path) from error
        if shape != (1, 68, 2):
            raise WeightsCorrupt(f"{path}: not PFLD: it gives {shape}, not 68 points", path=path)

    def __call__(self, batch: Float) -> Float:
        """Pictures (N, 3, 112, 112) RGB in [0, 1] → points (N, 68, 2) as fractions of the picture."""
        self._net.setInput(batch)
        return np.asarray(self._net.forward(), np.float32).reshape(len(batch), -1, 2)


class Pfld:
    """See `landmark.Landmarker`; for the confidences see `_steady`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        return _steady.landmarks(self, looks)

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        return only_68(landmarks, "pfld")

    def first(self, detection: Detection) -> Alignment:
        centre, width, height = _square.middle(detection)
        return _square.around(centre, _OF_BOX * max(width, height), _SIZE, _square.roll(detection))

    def again(self, points: npt.NDArray[np.floating], degrees: float) -> Alignment:
        centre, width, height = _square.bounds(points, degrees)
        return _square.around(centre, _OF_POINTS * max(width, height), _SIZE, degrees)

    def see(self, pictures: Sequence[Float]) -> list[npt.NDArray[np.float64]]:
        """One by one: OpenCV's sums depend on how many there are, and no look may depend on another."""
        return [
            self._network(np.ascontiguousarray(p.transpose(2, 0, 1)[None]))[0].astype(np.float64) * _SIZE
            for p in pictures
        ]
