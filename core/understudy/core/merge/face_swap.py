"""The network's part of a frame, in aligned space: a crop in, a face and its mattes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from understudy.core import warp
from understudy.core.colour import SwapCurve
from understudy.core.face import Alignment, Landmarks, Matrix
from understudy.core.frames import Float, Window
from understudy.core.matte.hull import hull
from understudy.core.merge import mattes
from understudy.core.merge.recipe import MATTES

_HULL_SIDE = 1024  # pixels at least
_EDGE = 1 / 64  # of the crop's side: how far inside the matte the face's own colours end


class SwapNetwork(Protocol):
    """What a merge needs of `model.swap.SwapModel`."""

    @property
    def digest(self) -> str: ...

    def swap(self, crops: Float) -> tuple[Float, Float]:
        """Swap-space crops (N, S, S, 3) in [0, 1] → faces (N, S, S, 3) and mattes (N, S, S) likewise."""
        ...


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the network made of one crop; aligned pixels, scene-linear in the working space.

    Attributes:
        plate: (S, S, 3) the crop it saw.
        face: (S, S, 3) the new face, its colours flowing on beyond its mattes.
        matte_face: (S, S) the network's matte.
        matte_hull: (S, S) the hull of the landmarks.
        brightest: the largest value that the network can see and say.
    """

    plate: Float
    face: Float
    matte_face: Float
    matte_hull: Float
    brightest: float


@dataclass(frozen=True, kw_only=True)
class Swapper:
    """A model with the geometry and colour in which it sees faces. Not for several threads at once."""

    network: SwapNetwork
    face_type: str
    size: int
    curve: Mapping[str, float] = field(default_factory=dict)  # of SwapCurve, without the shot's gain
    mattes: tuple[str, ...] = MATTES  # whose product is used, and says where the face's colours are its own

    @property
    def digest(self) -> str:
        return self.network.digest

    def crop_of(self, image: Float, stored: Alignment, wanted: Alignment) -> Float:
        """The model's crop (S, S, 3) out of a faceset's image, which was cut by another alignment."""
        to_wanted = _then(stored.inverse, wanted.matrix)
        between = Alignment(matrix=to_wanted, size=wanted.size, face_type=wanted.face_type)
        return warp.to_aligned(image, Window(0, 0, image.shape[1], image.shape[0]), between)

    def swap(self, crop: Float, alignment: Alignment, landmarks: Landmarks, gain: float) -> Made:
        """Swap one crop (S, S, 3), scene-linear in the working space, finite.

        One at a time: in a batch, a network may answer with other last bits, and what frame N looks like
        must not depend on its neighbours.
        """
        curve = SwapCurve.from_dict({**self.curve, "gain": gain})
        faces, found = self.network.swap(curve.encode(crop)[None])
        matte_face = np.clip(found[0], 0.0, 1.0)
        matte_hull = smooth_hull(alignment.apply(landmarks.points), alignment.size)
        known = {"face": matte_face, "hull": matte_hull}
        face = mattes.extend(curve.decode(faces[0]), _support([known[name] for name in self.mattes]))
        return Made(
            plate=crop,
            face=face,
            matte_face=matte_face,
            matte_hull=matte_hull,
            brightest=curve.maximum / curve.gain,
        )


def smooth_hull(points: Matrix, size: int) -> Float:
    """The hull (S, S) of 68 aligned landmarks (68, 2) with soft, sub-pixel edges.

    The hull itself goes by whole pixels, which at a model's resolution would be steps and jitter on the
    plate: it is drawn larger and averaged.
    """
    times = -(-_HULL_SIDE // size)
    drawn = hull(points * times, (size * times, size * times))
    return mattes.as_float(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA))


def _support(used: Sequence[Float]) -> Float:
    """(S, S): where the face's colours stand for themselves; beyond, those of the edge flow on.

    A little inside the matte that is used: right at its edge a network mixes in what lies behind the head.
    """
    product = mattes.as_float(np.prod(used, axis=0))
    radius = max(1, round(_EDGE * len(product)))
    inside = cv2.erode(product, np.ones((2 * radius + 1,) * 2, np.uint8), borderType=cv2.BORDER_REPLICATE)
    level = inside / max(float(product.max()), 1e-3)  # an untrained network's matte is faint all over
    return mattes.as_float(np.clip((level - 0.5) / 0.4, 0.0, 1.0))


def _then(first: Matrix, second: Matrix) -> Matrix:
    """The affine map (2, 3) that does `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])
