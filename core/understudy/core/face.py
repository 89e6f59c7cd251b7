"""Faces and where they are: plain values, in plate coordinates unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Float

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Points of a face in plate coordinates.

    Attributes:
        scheme: `68` (iBUG 300-W order) or `478` (MediaPipe face mesh order; 468 without irises).
        points: (N, 2) float32, plate pixels.
        confidence: (N,) float32, 0 to 1, how sure the landmarker is of each point; None where it does not say.
    """

    scheme: str
    points: Float
    confidence: Float | None = None


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What a detector found.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture that was searched.
        score: 0 to 1.
        keypoints: (K, 2) float32, the person's right eye, left eye, then the detector's own further ones; K may be 0.
        roll: degrees, clockwise in the picture, that the head is known to lean where there are no key points.
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: Float
    roll: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face on one frame.

    Attributes:
        frame: frame number.
        box: x0, y0, x1, y1 in plate pixels.
        landmarks: scheme 68.
        score: confidence of the detection, 0 to 1.
        pitch, yaw, roll: degrees; yaw is positive when the face looks to the right of the picture, pitch when it
            looks up, roll when the head leans clockwise in the picture.
        track: id of the person within the shot, from 0.
        cut: its frame begins another picture; nothing is fitted over the step from the frame before.
        origin: how it came about: `found` by the networks, `manual` (a person gave the landmarks), `guided` (the
            networks looked where a person pointed) or `interpolated` between what a person gave.
    """

    frame: int
    box: tuple[float, float, float, float]
    landmarks: Landmarks
    score: float
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    track: int = 0
    cut: bool = False
    origin: str = "found"


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """A similarity from plate to aligned coordinates.

    Attributes:
        matrix: (2, 3) float64, plate px → aligned px.
        size: side of the crop in aligned pixels.
        face_type: `half`, `mid_full`, `full`, `whole`, `head`, `full_no_align` or `head_no_align`.
    """

    matrix: Matrix
    size: int
    face_type: str

    @property
    def inverse(self) -> Matrix:
        """(2, 3) float64, aligned px → plate px."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return np.hstack([linear, -linear @ self.matrix[:, 2:]])

    def apply(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(N, 2) plate points → (N, 2) aligned points."""
        return points.astype(np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
