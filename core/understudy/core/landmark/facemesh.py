"""MediaPipe's face mesh: 468 points in a turned square around the face, and from them the 68 of iBUG 300-W.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019. As MediaPipe tracks:
a first look through a square around the detector's box, turned by its eyes; then again through the square around
the points themselves. Each further look halves what is left of the detector's trembling in the points: a box off by
3 % moved them by 0.7 % of its width after one look, 0.3 after two, 0.07 after four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from understudy.core._litert import Network
from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment, Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look, _square
from understudy.core.weights import WeightStore

WEIGHTS = ("facemesh",)

_POINTS = 468
_GROWN = 1.5  # the square's side over the longer side of the box
_EYE_CORNERS = (33, 263)  # outer, the person's right and left

# iBUG 300-W points as means of mesh vertices (repeating one gives it weight). Lips, lids and most of the nose are the
# vertices of the same meaning. The jaw's 17 are spread evenly along the mesh's oval, ear to ear, and the brows' five
# evenly along the brow, as annotators spread them. On 71 pictures of 6 people the mean offset from PFLD, trained on
# such annotations, is 0.017 of the distance between the eyes' outer corners; the vertex list in common use has 0.029.
# fmt: off
_TO_68: tuple[tuple[int, ...], ...] = (
    (127,), (234,), (93, 132), (132, 58), (58, 172), (136,), (150, 149), (176, 148), (152,),
    (400, 377), (379, 378), (365,), (288, 397), (361, 288), (323, 361), (454,), (356,),
    (70,), (63,), (105, 105, 66), (66, 66, 107), (107, 55),
    (336, 285), (296, 296, 336), (334, 334, 296), (293,), (300,),
    (168, 6), (197,), (5, 5, 195), (4,), (75,), (97,), (2, 164), (326,), (305,),
    (33,), (160,), (158,), (133,), (153,), (144,), (362,), (385,), (387,), (263,), (373,), (380,),
    (61,), (39,), (37,), (0,), (267,), (269,), (291,), (405,), (314,), (17,), (84,), (181,),
    (78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,),
)
# fmt: on


def create(store: WeightStore, *, device: str = "auto") -> FaceMesh:  # noqa: ARG001 - it knows the CPU only
    return FaceMesh(Network(store.path(WEIGHTS[0])))


class FaceMesh:
    """See `landmark.Landmarker`. `looks`: how often the square is put around the points found before."""

    def __init__(self, network: Network, looks: int = 4) -> None:
        self._network = network
        self._looks = looks

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        """As the protocol says; the network has one confidence for the whole face and none for a point."""
        return [self._find(look.proxy, look.detection) for look in looks]

    def _find(self, proxy: Float, detection: Detection) -> Found:
        centre, width, height = _square.middle(detection)
        points, score = np.tile(centre, (_POINTS, 1)), 0.0
        square = self._square(centre, max(width, height), _square.roll(detection))
        for _ in range(self._looks):
            if not _square.seen(proxy, square):
                score = 0.0  # what is no face may lead out of the picture
                break
            points, score = self._look(proxy, square)
            right, left = points[_EYE_CORNERS, :]
            degrees = _square.angle(left - right)
            centre, width, height = _square.bounds(points, degrees)
            square = self._square(centre, max(width, height), degrees)
        return Found(landmarks=Landmarks(scheme="478", points=points.astype(np.float32)), score=score)

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        """As the protocol says.

        Raises:
            InvalidInput: landmarks of another scheme.
        """
        if landmarks.scheme != "478" or len(landmarks.points) < _POINTS:
            raise InvalidInput(
                f"landmarks: facemesh converts scheme 478, got {landmarks.scheme} with {len(landmarks.points)} points",
                field="landmarks",
            )
        points = np.stack([landmarks.points[list(vertices)].mean(axis=0) for vertices in _TO_68])
        return Landmarks(scheme="68", points=points)

    def _square(self, centre: npt.NDArray[np.floating], side: float, degrees: float) -> Alignment:
        return _square.around(centre, _GROWN * side, self._network.size, degrees)

    def _look(self, proxy: Float, square: Alignment) -> tuple[npt.NDArray[np.float64], float]:
        """Points (468, 2) in proxy pixels and the face score."""
        raw, logit = self._network(_square.cut(proxy, square))
        points = raw.reshape(_POINTS, 3)[:, :2]
        return _square.back(square, points), 1.0 / (1.0 + math.exp(-float(logit.item())))
