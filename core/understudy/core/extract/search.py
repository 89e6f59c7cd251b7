"""What is searched for faces: the views of a plate's frames, as they are read and as the networks are shown them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core import image, plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError
from understudy.core.face import Detection
from understudy.core.frames import Float, Frame
from understudy.core.located import Located
from understudy.core.plate import Plate, views

_FOCAL = 1.4  # of the picture's width: a 35 mm lens on Super 35, when nothing says which lens it was
_ASPECTS = (0.125, 8.0)  # of a pixel: beyond them lies no lens, but a broken header
_GREY = "Y"  # OpenEXR's name of the channel of a picture that has luminance only


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
class Shown:
    """A picture as the networks are shown it.

    Attributes:
        picture: as it was read.
        proxy: (H', W', 3) float32 viewing proxy in [0, 1] over the data window, square pixels: an anamorphic picture
            is un-squeezed, since networks know faces so.
    """

    picture: Picture
    proxy: Float

    @classmethod
    def of(cls, picture: Picture, proxy: Float) -> Shown:
        """`proxy`: (H, W, 3), a pixel for each of the picture, or fewer in the same proportion."""
        if (aspect := picture.frame.pixel_aspect) != 1.0:
            width = max(1, round(proxy.shape[1] * aspect))
            kernel = cv2.INTER_AREA if aspect < 1.0 else cv2.INTER_LINEAR
            proxy = np.asarray(cv2.resize(proxy, (width, proxy.shape[0]), interpolation=kernel), np.float32)
        return cls(picture=picture, proxy=proxy)

    @property
    def frame(self) -> Frame:
        return self.picture.frame

    @property
    def aspect(self) -> float:
        """Width over height of a plate pixel."""
        return self.frame.pixel_aspect

    @property
    def focal(self) -> float:
        """Of the lens, in proxy pixels."""
        return _FOCAL * self.frame.display.width * self.aspect / float(self._step[1])

    def to_plate(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(N, 2) proxy pixels → plate pixels."""
        return np.asarray(points * self._step + self._origin, np.float64)

    def to_proxy(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(N, 2) plate pixels → proxy pixels."""
        return np.asarray((points - self._origin) / self._step, np.float64)

    def detection(self, detection: Detection) -> Detection:
        """A detection in plate pixels → in proxy pixels."""
        x0, y0, x1, y1 = self.to_proxy(np.reshape(detection.box, (2, 2))).ravel().tolist()
        keypoints = self.to_proxy(detection.keypoints).astype(np.float32)
        return replace(detection, box=(x0, y0, x1, y1), keypoints=keypoints)

    @property
    def _step(self) -> npt.NDArray[np.float64]:
        data, (height, width) = self.frame.data, self.proxy.shape[:2]
        return np.array([data.width / width, data.height / height])

    @property
    def _origin(self) -> npt.NDArray[np.float64]:
        return np.array([self.frame.data.x, self.frame.data.y], np.float64)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where faces are looked for.

    Attributes:
        plate: the frames.
        space: its colour space, by the config's own name.
    """

    plate: Plate
    space: str
    colour: ColourConfig

    def shown(self, picture: Picture, gain: float) -> Shown:
        """A picture in an exposure: working space × gain has faces near 0.18. Any thread may."""
        return Shown.of(picture, self.colour.proxy(picture.rgb, gain))

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
            filled, _ = image.fill_nonfinite(as_stored := _light(frame))
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


def _light(frame: Frame) -> Float:
    """(H, W, 3) as `Frame.rgb`; of a picture that has luminance only, that three times."""
    if _GREY in frame.planes and not frame.planes.keys() & set("RGB"):
        frame = replace(frame, planes=dict.fromkeys("RGB", frame.planes[_GREY]))
    return frame.rgb()
