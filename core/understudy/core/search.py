"""The search for faces: frames of a plate in, faces in plate pixels out; and the exposure in which to search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.core import align, image, plate, track, warp
from understudy.core.colour import ColourConfig, exposure_gain
from understudy.core.errors import UnderstudyError
from understudy.core.face import Face, Landmarks
from understudy.core.frames import Array, Float, Frame
from understudy.core.matte.hull import hull
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate

if TYPE_CHECKING:
    from understudy.core.detect import Detector
    from understudy.core.landmark import Landmarker

_SAMPLES = 8  # frames that the shot's exposure is measured on
_FOCAL = 1.4  # of the picture's width: a 35 mm lens on Super 35, when nothing says which lens it was
_EXPOSURE_SIZE = 64  # side of the crop in which a face's exposure is measured


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame as it was read.

    Attributes:
        frame: without its planes.
        rgb: (H, W, 3) finite, in the working space.
        bad: how many pixels were not finite.
    """

    frame: Frame
    rgb: Float
    bad: int


@dataclass(frozen=True, kw_only=True)
class Search:
    """How faces are looked for in a plate.

    Attributes:
        plate: where.
        space: its colour space, by the config's own name.
        detector, landmarker: the networks; one thread at a time may use them.
        min_score: confidence of the landmarks, 0 to 1, below which a find is no face.
    """

    plate: Plate
    space: str
    colour: ColourConfig
    detector: Detector
    landmarker: Landmarker
    min_score: float

    def read(self, number: int) -> Picture:
        """Any thread may. Raises FrameMissing, FrameUnreadable, and InvalidInput where R, G or B is lacking."""
        frame = plate.read(self.plate.template, number)
        rgb, bad = image.fill_nonfinite(frame.rgb())
        return Picture(frame=frame.with_planes({}), rgb=self.colour.to_working(rgb, self.space), bad=bad)

    def faces(self, frame: Frame, proxy: Array) -> list[Face]:
        """The faces of a frame in plate coordinates, tracks not yet known; the largest first."""
        aspect = frame.pixel_aspect
        if aspect != 1.0:  # networks know faces un-squeezed
            width = max(1, round(proxy.shape[1] * aspect))
            kernel = cv2.INTER_AREA if aspect < 1.0 else cv2.INTER_LINEAR
            proxy = cv2.resize(proxy, (width, proxy.shape[0]), interpolation=kernel)
        unsqueeze = np.array([frame.data.width / proxy.shape[1], 1.0])
        origin = np.array([frame.data.x, frame.data.y])
        focal = _FOCAL * frame.display.width * aspect
        faces = []
        for detection in self.detector.detect(proxy):
            found, score = self.landmarker.landmarks(proxy, detection)
            if score < self.min_score:
                continue
            points = self.landmarker.to_68(found).points * unsqueeze + origin
            x0, y0, x1, y1 = (np.reshape(detection.box, (2, 2)) * unsqueeze + origin).ravel().tolist()
            pitch, yaw, roll = align.pose(points, focal, pixel_aspect=aspect)
            face = Face(
                frame=frame.number,
                box=(x0, y0, x1, y1),
                landmarks=Landmarks(scheme="68", points=points.astype(np.float32)),
                score=detection.score,
                pitch=pitch,
                yaw=yaw,
                roll=roll,
            )
            faces.append(face)
        return sorted(faces, key=track.size, reverse=True)

    def gain(self) -> float:
        """What brings the shot's faces to mid grey (`exposure_gain`); 1 if no frame can be read.

        Measured on frames spread over it: first of whole pictures, then of the faces seen in these.
        """
        present = list(self.plate.present)
        picks = np.unique(np.linspace(0, len(present) - 1, min(_SAMPLES, len(present))).round().astype(int))
        samples = (present[i] for i in picks)
        measured = [m for m in overlapped(samples, self._sample, self._find_in, _exposures, ahead=1) if m]
        of_faces = [face for _, face in measured if face is not None]
        return exposure_gain(of_faces or [whole for whole, _ in measured]) if measured else 1.0

    def _sample(self, number: int) -> tuple[Picture, float, Float] | None:
        """A picture, its own exposure, and the proxy that this gives; None if it can not be read."""
        try:
            picture = self.read(number)
        except UnderstudyError:
            return None  # reported when its turn comes
        whole = image.log_mean(picture.rgb)
        return picture, whole, self.colour.proxy(picture.rgb, exposure_gain([whole]))

    def _find_in(
        self, sample: tuple[Picture, float, Float] | None
    ) -> tuple[Picture, float, list[Face]] | None:
        if sample is None:
            return None
        picture, whole, proxy = sample
        return picture, whole, self.faces(picture.frame, proxy)


def _exposures(sample: tuple[Picture, float, list[Face]] | None) -> tuple[float, float | None] | None:
    """Mean natural logarithm of luminance: of the whole picture, and inside the hull of its largest face."""
    if sample is None:
        return None
    picture, whole, faces = sample
    if not faces:
        return whole, None
    points, frame = faces[0].landmarks.points, picture.frame
    crop = align.fit(points, "full", _EXPOSURE_SIZE, frame.pixel_aspect)
    weight = hull(crop.apply(points), (crop.size, crop.size))
    return whole, image.log_mean(warp.to_aligned(picture.rgb, frame.data, crop), weight)
