"""The search for faces: frames of a plate in, faces in plate pixels out; and the exposure in which to search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.core import align, image, plate, track, warp
from understudy.core.colour import ColourConfig, exposure_gain
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError
from understudy.core.face import Face, Landmarks
from understudy.core.frames import Array, Float, Frame
from understudy.core.landmark import Look
from understudy.core.located import Located
from understudy.core.matte.hull import hull
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate, views

if TYPE_CHECKING:
    from understudy.core.detect import Detector
    from understudy.core.landmark import Landmarker

_SAMPLES = 8  # frames that the shot's exposure is measured on
_FOCAL = 1.4  # of the picture's width: a 35 mm lens on Super 35, when nothing says which lens it was
_EXPOSURE_SIZE = 64  # side of the crop in which a face's exposure is measured
_ASPECTS = (0.125, 8.0)  # of a pixel: beyond them lies no lens, but a broken header


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame as one view of it was read.

    Attributes:
        view: `MONO` for a plate without views.
        frame: without its planes.
        rgb: (H, W, 3) finite, in the working space.
        bad: the pixels that were not finite.
    """

    view: str
    frame: Frame
    rgb: Float
    bad: Located | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a report should say of it."""
        if self.bad is None:
            return ()
        are = "1 pixel is" if self.bad.count == 1 else f"{self.bad.count} pixels are"
        said = f"{are} not finite, {self.bad}; the nearest finite ones stand in"
        return (labelled(self.view, said),)


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

    def read(self, number: int, wanted: Sequence[str] = (views.MONO,)) -> list[Picture]:
        """These views of a frame; views that share a file are read from it at once. Any thread may.

        Raises:
            FrameMissing, FrameUnreadable: naming the view where each has a file of its own.
            InvalidInput: a view is not in the file, or R, G or B is lacking or is not a picture's.
        """
        template = self.plate.template
        if template.has_view:
            return [self._of_own_file(number, view) for view in wanted]
        file = plate.read(template, number)
        return [self._picture(file, view, view) for view in wanted]

    def _of_own_file(self, number: int, view: str) -> Picture:
        with named(view):
            file = plate.read(self.plate.template.of_view(view), number)
        return self._picture(file, view, view if view in views.names(file) else views.MONO)

    def _picture(self, file: Frame, view: str, stored: str) -> Picture:
        """`stored`: what the file calls the view."""
        with named(view):
            frame = views.select(file, stored)
            _check(frame)
            filled, _ = image.fill_nonfinite(as_stored := frame.rgb())
            rgb, _ = image.fill_nonfinite(working := self.colour.to_working(filled, self.space))
        frame = frame.with_planes({})
        if filled is as_stored and rgb is working:
            return Picture(view=view, frame=frame, rgb=rgb)
        # a camera's curve may overflow on what is finite in the file
        bad = ~np.all(np.isfinite(as_stored) & np.isfinite(working), axis=-1)
        return Picture(view=view, frame=frame, rgb=rgb, bad=Located.of(bad, frame.data))

    def lossy(self, wanted: Sequence[str]) -> str:
        """The codec of the first frame that can be opened, where it has altered the pixels of one of the views."""
        template = self.plate.template
        for number in self.plate.present:
            try:
                for view in wanted:
                    header = plate.read_header(template.of_view(view).path(number))
                    named_so = view if view in views.names(header) else views.MONO
                    if (part := views.header_of(header, named_so)).lossy:
                        return part.compression
            except (FrameMissing, FrameUnreadable):
                continue  # reported when its turn comes
            return ""
        return ""

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
        for detection in self.detector.detect([proxy])[0]:
            (found,) = self.landmarker.landmarks([Look(proxy=proxy, detection=detection)])
            if found.score < self.min_score:
                continue
            points = self.landmarker.to_68(found.landmarks).points * unsqueeze + origin
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

    def gain(self, wanted: Sequence[str] = (views.MONO,)) -> float:
        """What brings the shot's faces to mid grey (`exposure_gain`), one for all views; 1 if no frame can be read.

        Measured on frames spread over it: first of whole pictures, then of the faces seen in these.
        """
        present = list(self.plate.present)
        picks = np.unique(np.linspace(0, len(present) - 1, min(_SAMPLES, len(present))).round().astype(int))

        def sample(number: int) -> list[_Sample]:
            try:
                return [self._sample(picture) for picture in self.read(number, wanted)]
            except UnderstudyError:
                return []  # reported when its turn comes

        samples = (present[i] for i in picks)
        measured = [m for ms in overlapped(samples, sample, self._find_in, _exposures, ahead=1) for m in ms]
        of_faces = [face for _, face in measured if face is not None]
        return exposure_gain(of_faces or [whole for whole, _ in measured]) if measured else 1.0

    def _sample(self, picture: Picture) -> _Sample:
        whole = image.log_mean(picture.rgb)
        return _Sample(picture, whole, self.colour.proxy(picture.rgb, exposure_gain([whole])))

    def _find_in(self, samples: list[_Sample]) -> list[tuple[_Sample, list[Face]]]:
        return [(sample, self.faces(sample.picture.frame, sample.proxy)) for sample in samples]


@dataclass(frozen=True)
class _Sample:
    """A picture, its own exposure (`image.log_mean`), and the proxy (H, W, 3) that this gives."""

    picture: Picture
    whole: float
    proxy: Float


def _exposures(found: list[tuple[_Sample, list[Face]]]) -> list[tuple[float, float | None]]:
    """Mean natural logarithm of luminance: of each whole picture, and inside the hull of its largest face."""
    return [(sample.whole, _exposure(sample.picture, faces)) for sample, faces in found]


def _exposure(picture: Picture, faces: list[Face]) -> float | None:
    if not faces:
        return None
    points, frame = faces[0].landmarks.points, picture.frame
    crop = align.fit(points, "full", _EXPOSURE_SIZE, frame.pixel_aspect)
    weight = hull(crop.apply(points), (crop.size, crop.size))
    return image.log_mean(warp.to_aligned(picture.rgb, frame.data, crop), weight)


def labelled(view: str, sentence: str) -> str:
    """`left: …` for a plate that has views."""
    return f"{view}: {sentence}" if view else sentence


@contextmanager
def named(view: str) -> Iterator[None]:
    """Errors that leave the block say which view they are about."""
    try:
        yield
    except UnderstudyError as error:
        if not view:
            raise
        raise type(error)(
            labelled(view, error.message),
            path=error.path,
            frame=error.frame,
            field=error.field,
            value=error.value,
        ) from error


def _check(frame: Frame) -> None:
    """Refuse what no lens and no scanner makes.

    Raises:
        InvalidInput: a pixel has no sensible shape.
    """
    low, high = _ASPECTS
    if not low <= frame.pixel_aspect <= high:
        raise InvalidInput(
            f"frame {frame.number}: pixel aspect {frame.pixel_aspect:g} is not {low} to {high}; correct the header",
            frame=frame.number,
            field="pixel_aspect",
            value=frame.pixel_aspect,
        )
