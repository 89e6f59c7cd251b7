"""A look without a network: light and dark over the face, and its colours, coarse enough for any expression.

It needs no weights and knows people again over one shot, in one light and from about one side; across shots it knows
the light rather than the person. Measured with the default networks on the four clips of the shared footage and on the
two portraits of `bench.clips`, six people: two pictures of one person are nearer than 0.80 in 95 % of pairs (each
person for themselves), of two people further apart than 1.09; from the mean of half a shot, which is what a tracker
remembers, 0.68 and 1.08.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.core import align, warp
from understudy.core.frames import Float, Window
from understudy.core.identity import IdentityLook
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()
SAME = 0.9

_SIZE = 24  # of the crop, face type whole
_LIGHT, _COLOUR = 8, 3  # cells across the crop
_COLOURFUL = 1.4  # what colours count, light being 1
_BLACK = 0.01  # linear light below which grain is louder than the face
_FLATTEST = 0.15  # contrast, in natural logarithms, below which a face is not stretched further


def create(store: WeightStore, *, device: str = "auto") -> Appearance:  # noqa: ARG001 - it needs neither
    return Appearance()


class Appearance:
    """See `identity.Describer`. A face that lies outside of the picture altogether is described by NaN."""

    def __init__(self) -> None:
        mask = _ellipse()
        self._light, self._colour = (_root_weights(mask, cells) for cells in (_LIGHT, _COLOUR))

    def describe(self, looks: Sequence[IdentityLook]) -> Float:
        length = _LIGHT**2 + 2 * _COLOUR**2
        return np.array([self._one(look, length) for look in looks], np.float32).reshape(-1, length)

    def _one(self, look: IdentityLook, length: int) -> Float:
        picture = Window(0, 0, look.proxy.shape[1], look.proxy.shape[0])
        alignment = align.fit(look.points, "whole", _SIZE)
        if warp.footprint(alignment, picture).empty:
            return np.full(length, np.nan, np.float32)
        logs = np.log(_linear(warp.to_aligned(look.proxy, picture, alignment).clip(0.0, 1.0)) + _BLACK)
        light = _cells(logs.mean(axis=2), _LIGHT)
        light -= (light * self._light**2).sum()  # exposure
        light /= max(float(np.linalg.norm(light * self._light)), _FLATTEST)  # how hard the light is
        colours = (_cells(logs[..., i] - logs[..., 1], _COLOUR) * self._colour for i in (0, 2))
        return np.concatenate([(light * self._light).ravel(), *(_COLOURFUL * c.ravel() for c in colours)])


def _ellipse() -> Float:
    """(S, S) 1 on the face, falling to 0 towards the corners of its crop, where the background is."""
    along = (np.arange(_SIZE) + 0.5) / _SIZE
    x, y = np.meshgrid((along - 0.5) / 0.32, (along - 0.52) / 0.38)
    return np.asarray(np.clip(1.5 - np.hypot(x, y), 0.0, 1.0), np.float32)


def _root_weights(mask: Float, cells: int) -> Float:
    """(cells, cells) the roots of weights that add up to 1: multiplied by these, distances are weighted means."""
    weights = _cells(mask, cells)
    return np.asarray(np.sqrt(weights / weights.sum()), np.float32)


def _cells(picture: Float, count: int) -> Float:
    return np.asarray(cv2.resize(picture, (count, count), interpolation=cv2.INTER_AREA), np.float32)


def _linear(encoded: Float) -> Float:
    """The proxy's sRGB curve undone (IEC 61966-2-1)."""
    power = ((encoded + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(encoded <= 0.04045, encoded / 12.92, power), np.float32)
