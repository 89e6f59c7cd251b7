"""YuNet, a detector of 76,000 parameters that OpenCV runs on the CPU.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023; decoded by OpenCV's own FaceDetectorYN.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from cv2.utils import logging

from understudy.core.detect._pyramid import Finds, Plan, Pyramid
from understudy.core.errors import WeightsCorrupt
from understudy.core.frames import Float
from understudy.core.weights import WeightStore

WEIGHTS = ("yunet",)

_THRESHOLD = 0.6
_SAME_FACE = 0.3  # intersection over union
_ENOUGH = 20.0  # pixels that a face must fill: at 20 all of 25 were found, at 16 21, at 14 11


def create(store: WeightStore, *, device: str = "auto") -> Pyramid:  # noqa: ARG001 - it knows the CPU only
    """See `detect.Family`. Key points: the person's right and left eye, nose tip, right and left mouth corner."""
    plan = Plan(enough=_ENOUGH, tile=640, overlap=96, margin=8.0)
    return Pyramid((_Network(store.path(*WEIGHTS)), plan), same=_SAME_FACE)


class _Network:
    """See `_pyramid.Network`. Not safe to run from two threads at once.

    Raises:
        WeightsCorrupt: the file is not a network that OpenCV can run.
    """

    def __init__(self, path: Path) -> None:
        content = np.frombuffer(path.read_bytes(), np.uint8)  # OpenCV opens no path with an accent in Windows
        level = logging.getLogLevel()
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # it would warn that it knows no other device
        try:
            self._detector = cv2.FaceDetectorYN.create(
                "onnx", content, np.empty(0, np.uint8), (320, 320), _THRESHOLD, _SAME_FACE
            )
        except cv2.error as error:
            raise WeightsCorrupt(f"{path}: not a network that OpenCV can run: {error}", path=path) from error
        finally:
            logging.setLogLevel(level)

    def __call__(self, tiles: Float) -> list[Finds]:
        return [self._look(tile) for tile in tiles]

    def _look(self, tile: Float) -> Finds:
        self._detector.setInputSize(tile.shape[1::-1])
        _, faces = self._detector.detect(np.multiply(tile[..., ::-1], np.float32(255.0), order="C"))
        rows = np.empty((0, 15), np.float32) if faces is None else faces.astype(np.float32)
        points = rows[:, :14].reshape(-1, 7, 2).copy()
        points[:, 1] += points[:, 0]  # the box's corner and size, then the key points
        return rows[:, 14], points
