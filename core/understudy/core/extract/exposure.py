"""The exposure in which a shot is looked at, one for all of its frames and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core import align, image, warp
from understudy.core.colour import exposure_gain
from understudy.core.errors import UnderstudyError
from understudy.core.extract.search import Picture, Search, Shown
from understudy.core.face import Face
from understudy.core.matte.hull import hull
from understudy.core.pipeline import overlapped

Find = Callable[[Sequence[Shown]], list[list[Face]]]

_SAMPLES = 8  # frames that the shot's exposure is measured on
_LONG = 1280  # pixels of the longer side of what is searched for them: what matters is the lead
_SIZE = 64  # side of the crop in which a face's exposure is measured


def measure(search: Search, numbers: Sequence[int], wanted: Sequence[str], find: Find) -> float:
    """What brings the shot's faces to mid grey (`exposure_gain`), one for all views; 1 if no frame can be read.

    Measured on frames spread over it: first of whole pictures, then of the faces seen in these.

    Args:
        search: reads the frames.
        numbers: of all frames of the shot that are on disk, whichever of them are to be worked on.
        wanted: the views.
        find: the faces of pictures, each one's largest first.
    """
    picks = np.unique(np.linspace(0, len(numbers) - 1, min(_SAMPLES, len(numbers))).round().astype(int))

    def sample(number: int) -> list[_Sample]:
        try:
            return [_sample(search, picture) for picture in search.read(number, wanted)]
        except UnderstudyError:
            return []  # reported when its turn comes

    def faces(samples: list[_Sample]) -> list[tuple[_Sample, list[Face]]]:
        return list(zip(samples, find([s.shown for s in samples]), strict=True))

    chosen = (numbers[i] for i in picks)
    measured = [m for ms in overlapped(chosen, sample, faces, _exposures, ahead=1) for m in ms]
    of_faces = [face for _, face in measured if face is not None]
    return exposure_gain(of_faces or [whole for whole, _ in measured]) if measured else 1.0


@dataclass(frozen=True)
class _Sample:
    """A picture in its own exposure: `image.log_mean` of all of it."""

    shown: Shown
    whole: float


def _sample(search: Search, picture: Picture) -> _Sample:
    rgb = picture.rgb
    if (scale := _LONG / max(rgb.shape[:2])) < 1.0:
        height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    whole = image.log_mean(rgb)
    return _Sample(Shown.of(picture, search.colour.proxy(rgb, exposure_gain([whole]))), whole)


def _exposures(found: list[tuple[_Sample, list[Face]]]) -> list[tuple[float, float | None]]:
    """Mean natural logarithm of luminance: of each whole picture, and inside the hull of its largest face."""
    return [(sample.whole, _exposure(sample.shown.picture, faces)) for sample, faces in found]


def _exposure(picture: Picture, faces: list[Face]) -> float | None:
    if not faces:
        return None
    points, frame = faces[0].landmarks.points, picture.frame
    crop = align.fit(points, "full", _SIZE, frame.pixel_aspect)
    if warp.footprint(crop, frame.data).empty:
        return None
    weight = hull(crop.apply(points), (crop.size, crop.size))
    return image.log_mean(warp.to_aligned(picture.rgb, frame.data, crop), weight)
