"""What an occluder is drawn for: where the face is, how it is lit, which skin it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.align import FACE_TYPES

Rng = np.random.Generator

Image = npt.NDArray[Any]
"""Planes and colours, float32. Numpy's types say float64 of much that is float32, so they say nothing here."""

Points = npt.NDArray[np.float64]

_DARK, _LIGHT = np.array([0.26, 0.17, 0.13]), np.array([0.86, 0.70, 0.61])  # the ends of skin tones, in codes
_GREY = 0.55  # the code of a face that is neither in the dark nor in glaring light
_LOOK = 24  # pixels a side that are enough to see skin and light by


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A picture to draw into. Lengths are in units of the mean face (`align`): between the outer ends of the brows.

    Attributes:
        size: of the picture's side, in pixels.
        origin: where the mean face's (0, 0), the outer end of a brow, lies, in pixels.
        unit: pixels.
        skin: (3,) of the face, in codes.
        light: (3,) unit vector towards the light: x to the right, y down, z to the camera.
        level: how bright the light is, 1 as usual.
        cloth: (h, w, 3) codes, a picture to cut patterns from.
    """

    size: int
    origin: tuple[float, float]
    unit: float
    skin: Image
    light: Image
    level: float
    cloth: Image | None = None

    @classmethod
    def made_up(cls, rng: Rng, size: int, face_type: str = "whole", share: float = 1.0) -> Scene:
        """A crop in which the face takes its place as `align.fit` gives it with `scale=share`; all else is drawn."""
        kind = FACE_TYPES[face_type]
        unit = size * share / kind.side
        origin = (size / 2 - 0.5 * unit, size / 2 - (0.5 - kind.lift) * unit)
        skin, light = tone(rng), _light(rng, rng.normal(0, 0.5))
        return cls(size=size, origin=origin, unit=unit, skin=skin, light=light, level=1.0)

    @classmethod
    def of(cls, rng: Rng, crop: Image, cloth: Image | None, face_type: str, share: float) -> Scene:
        """The same for a crop (M, M, 4) of colours and matte, by what is seen of the face."""
        made_up = cls.made_up(rng, crop.shape[0], face_type, share)
        small = cv2.resize(crop, (_LOOK, _LOOK), interpolation=cv2.INTER_AREA)
        seen = small[..., 3] > 0.5
        if np.count_nonzero(seen) < _LOOK:
            return replace(made_up, cloth=cloth)
        skin = np.median(small[seen][:, :3], axis=0).astype(np.float32)
        columns = np.nonzero(seen)[1]
        bright = small[seen][:, :3].mean(axis=1)
        slope = (
            np.cov(columns, bright)[0, 1] / max(columns.var(), 1.0) * _LOOK / max(float(bright.mean()), 0.05)
        )
        light = _light(rng, float(np.clip(slope, -1.2, 1.2)))
        level = float(np.clip((skin.mean() / _GREY) ** 0.7, 0.25, 1.5))
        return replace(made_up, skin=skin, light=light, level=level, cloth=cloth)

    def pixels(self, points: npt.ArrayLike) -> Points:
        """(…, 2) in units of the mean face → pixels."""
        return np.asarray(points, np.float64) * self.unit + self.origin


def tone(rng: Rng) -> Image:
    """(3,) codes: any person's skin."""
    return np.asarray(_DARK + (_LIGHT - _DARK) * rng.uniform(0, 1) + rng.normal(0, 0.015, 3), np.float32)


def _light(rng: Rng, sideways: float) -> Image:
    """From the side given, mostly from above and from the front."""
    way = np.array([sideways, -rng.uniform(0.1, 0.9), rng.uniform(0.6, 1.2)])
    return np.asarray(way / np.linalg.norm(way), np.float32)
