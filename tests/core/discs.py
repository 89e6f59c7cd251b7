"""Networks that are none, and pictures made of formulas: what is bright and round is a face.

So the way from a file to landmarks, and the following of faces, can be told to the pixel, and every look be counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tests.core.heads import face as head
from understudy.core.extract.networks import Networks
from understudy.core.face import Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.identity import IdentityLook
from understudy.core.landmark import Found, Look, _looks
from understudy.core.pose import PoseLook


class Discs:
    """All four networks in one. Each bright spot is a face whose points fill it, of the confidence in `sure`.

    Attributes:
        looked: (width, height) of each picture that was searched.
        sure: confidence of the landmarks.
        hidden: x in the picture beyond which spots are not seen in whole searches.
    """

    def __init__(self, sure: float = 0.95) -> None:
        self.looked: list[tuple[int, int]] = []
        self.sure = sure

    def networks(self) -> Networks:
        return Networks(detector=self, landmarker=self, poser=self, describer=self, averaged=_looks.averaged)

    def detect(self, proxies: Sequence[Float], smallest: float | None = None) -> list[list[Detection]]:
        self.looked += [(proxy.shape[1], proxy.shape[0]) for proxy in proxies]
        return [self._spots(proxy) for proxy in proxies]

    def _spots(self, proxy: Float) -> list[Detection]:
        weight = np.clip((proxy.mean(axis=2) - 0.3) / 0.1, 0.0, 1.0)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((weight > 0.5).astype(np.uint8))
        found = []
        y, x = (np.arange(n) + 0.5 for n in weight.shape)
        for label in range(1, count):
            left, top, width, height, area = stats[label].tolist()
            if area < 30:
                continue
            own = np.where(labels == label, weight, 0.0)
            total = own.sum()
            centre = ((own.sum(0) * x).sum() / total, (own.sum(1) * y).sum() / total)
            radius = np.sqrt(total / np.pi)  # of a disc: whether it is one, the tests ask
            keypoints = np.array([centre, (centre[0] + radius, centre[1])], np.float32)
            box = (float(left), float(top), float(left + width), float(top + height))
            found.append(Detection(box=box, score=0.9, keypoints=keypoints))
        return found

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        return [self._points(look.detection) for look in looks]

    def _points(self, detection: Detection) -> Found:
        if len(detection.keypoints):
            centre, edge = detection.keypoints[:2]
        else:
            x0, y0, x1, y1 = detection.box
            centre, edge = np.array(((x0 + x1) / 2, (y0 + y1) / 2)), np.array((x1, (y0 + y1) / 2))
        points = (
            head(10.0, 5.0, 8.0, shift=(0.0, 0.0)) / 200.0 * float(np.linalg.norm(edge - centre)) + centre
        )
        return Found(landmarks=Landmarks(scheme="68", points=points.astype(np.float32)), score=self.sure)

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        return landmarks

    def pose(self, looks: Sequence[PoseLook]) -> list[tuple[float, float, float]]:
        return [(5.0, 10.0, 0.0) for _ in looks]

    def describe(self, looks: Sequence[IdentityLook]) -> Float:
        return np.zeros((len(looks), 4), np.float32)
