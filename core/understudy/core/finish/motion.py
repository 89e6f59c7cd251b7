"""Motion blur as the plate's own camera would have made it: the face drawn along the way it goes while the shutter is
open, and its matte with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.linalg import expm, logm

from understudy.core.align import umeyama
from understudy.core.errors import InvalidInput
from understudy.core.face import Matrix
from understudy.core.finish import _checks
from understudy.core.frames import Array, Float, Window
from understudy.core.image import fill_nonfinite

KINDS = ("similarity", "affine")

_STILL = 1e-3  # pixels
_MOST = 512  # samples
_FAINT = np.float32(2.0**-12)  # share of the face's own colours where no matte says which of them count

Points = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How a face moves around one frame, in plate px: constant acceleration along the group of its maps.

    At `t` frames after the frame's own time, the plate's point p of the frame has gone to exp(t·velocity + t²·bend)·p:
    on the neighbouring frames, at −1 and 1, that is where the landmarks say.

    Attributes:
        velocity, bend: (3, 3) float64.
    """

    velocity: Matrix
    bend: Matrix

    def at(self, time: float) -> Matrix:
        """(2, 3) plate px of the frame → plate px, `time` frames later."""
        moved: Matrix = expm(time * self.velocity + time * time * self.bend)[:2]
        return moved

    def length(self, window: Window, shutter: float) -> float:
        """Plate px that the corner of a window goes which goes furthest while the shutter is open."""
        x, y = (window.x, window.x1), (window.y, window.y1)
        corners = np.array([(a, b, 1.0) for a in x for b in y])
        way = np.stack([corners @ self.at(time).T for time in np.linspace(-0.5, 0.5, 5) * shutter])
        return float(np.linalg.norm(np.diff(way, axis=0), axis=-1).sum(axis=0).max())

    def reach(self, window: Window, shutter: float) -> int:
        """Whole plate px by which a window has to grow on all sides, so that no blur is cut off by its edge."""
        return math.ceil(self.length(window, shutter) / 2.0) + 1


def motion(
    points: Points,
    before: Points | None,
    after: Points | None,
    *,
    kind: str = "similarity",
    pixel_aspect: float = 1.0,
) -> Motion:
    """The movement that carries the landmarks (N, 2) of a frame to those of the frames next to it, plate px.

    Steadied landmarks, of one person: what they tremble would be blur. Where there is no neighbour (None: a gap, a
    cut, an end of the shot) the face goes on as on the other side, and stands still where there is none at all.

    Args:
        kind: `similarity` goes by the head alone; an `affine` also squashes with a head that turns, and with a mouth
            that opens.

    Raises:
        InvalidInput: an unknown kind, or points that are not finite or lie in one place or on a line.
    """
    _checks.one_of("motion.kind", kind, KINDS)
    forth = None if after is None else _generator(points, after, kind, pixel_aspect)
    back = None if before is None else _generator(points, before, kind, pixel_aspect)
    if forth is None:
        forth = np.zeros((3, 3)) if back is None else -back
    if back is None:
        back = -forth
    return Motion(velocity=(forth - back) / 2.0, bend=(forth + back) / 2.0)


def blur(face: Float, matte: Float, moves: Motion, window: Window, *, shutter: float) -> tuple[Float, Float]:
    """Face (h, w, 3) and matte (h, w) of the plate pixels in `window`, both as an open shutter sees them.

    The mean over the shutter of what the face covers and of the light it brings there (that is, premultiplied); the
    face comes back *un*premultiplied, so that the mix rule gives that mean. Beyond the matte the face's extended
    colours are blurred alike. Interpolation is linear: it keeps the sum of light, and makes no value that does not lie
    between those that were there. Beyond the window's edge both go on as they are there.

    Args:
        face: scene-linear in the working space; extended beyond the matte.
        matte: in [0, 1].
        moves: of this frame. The shutter is open around the frame's time, for that is where a landmarker sees a
            blurred face.
        window: of both, plate px; large enough (`Motion.reach`).
        shutter: frames that it is open, 0 to 2: the shutter's angle / 360°.

    Raises:
        InvalidInput: the shutter is out of range.
    """
    _checks.within("motion.shutter", shutter, 0.0, 2.0)
    length = 0.0 if window.empty else moves.length(window, shutter)
    if not length > _STILL:
        return face, matte
    weight = matte + _FAINT
    carried = np.dstack([fill_nonfinite(face)[0] * weight[..., None], matte])
    count = min(math.ceil(length) + 1, _MOST)
    total = np.zeros_like(carried)
    for time in ((np.arange(count) + 0.5) / count - 0.5) * shutter:
        total += _moved(carried, moves.at(float(time)), window)
    total /= np.float32(count)
    covered = np.ascontiguousarray(total[..., 3])
    colour = total[..., :3] / (covered + _FAINT)[..., None]
    return colour.astype(np.float32, copy=False), np.minimum(covered, np.float32(1.0))


def _moved(image: Float, there: Matrix, window: Window) -> Array:
    """An image of the plate's pixels in `window` (h, w, C), moved by a map (2, 3) of plate px."""
    origin = np.array([window.x + 0.5, window.y + 0.5])  # OpenCV has pixel centres on whole numbers
    linear = np.linalg.inv(there[:, :2])
    pull = np.column_stack([linear, linear @ (origin - there[:, 2]) - origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (window.width, window.height)
    return cv2.warpAffine(image, pull, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _generator(points: Points, there: Points, kind: str, pixel_aspect: float) -> Matrix:
    """(3, 3) whose exponential carries points onto those there, plate px."""
    square = np.array([pixel_aspect, 1.0])
    source, target = np.asarray(points, np.float64) * square, np.asarray(there, np.float64) * square
    if not np.isfinite(target).all():
        raise InvalidInput("landmarks: points of a neighbouring frame are not finite", field="landmarks")
    found = umeyama(source, target)  # refuses what has no extent
    if kind == "affine":
        one = np.column_stack([source, np.ones(len(source))])
        found, _, rank, _ = np.linalg.lstsq(one, target, rcond=None)
        found = found.T
        if rank < 3 or np.linalg.det(found[:, :2]) <= 0.0:
            raise InvalidInput("landmarks: points lie on a line, or mirrored", field="landmarks")
    scale = np.diag([*square, 1.0])
    whole = np.linalg.inv(scale) @ np.vstack([found, (0.0, 0.0, 1.0)]) @ scale
    logarithm: Matrix = np.real(logm(whole))
    return logarithm
