"""Lanczos of four lobes: no detail is made up, none is lost. For films in which nothing may be invented.

Light adds up in scene-linear, so that is where pixels are interpolated: on a curve that is linear there and bends into
a logarithm only above 1, lest a highlight of 60 rings over the skin beside it. And every value is held inside the
range of the 4×4 pixels it lies between, so a picture that has nothing below 0 gets nothing below 0.

Source of the kernel: Duchon, "Lanczos filtering in one and two dimensions", 1979; resampling by OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.frames import Float
from understudy.core.image import fill_nonfinite
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()

_BEND = np.float32(1.0)  # scene-linear; below it the curve is nearly straight
_SUPPORT = np.ones((4, 4), np.uint8)


def refuse_smaller(size: int, side: int) -> None:
    """Raises InvalidInput: a size below the picture's side is asked for."""
    if size < side:
        raise InvalidInput(
            f"size: {size} is below the face's {side}; enhancers only enlarge", field="size", value=size
        )


class Lanczos:
    digest = ""

    def enlarge(self, rgb: Float, size: int, face_type: str = "whole") -> Float:  # noqa: ARG002  as all of the family
        """As `enhance.Enhancer.enlarge`."""
        side = rgb.shape[0]
        refuse_smaller(size, side)
        picture = fill_nonfinite(rgb)[0]
        if size == side:
            return picture.copy()
        code = np.arcsinh(picture / _BEND)
        fine = cv2.resize(code, (size, size), interpolation=cv2.INTER_LANCZOS4)
        at = np.clip(np.floor((np.arange(size) + 0.5) * (side / size) - 0.5).astype(np.int64), 0, side - 1)
        least, most = (
            morph(picture, _SUPPORT, anchor=(1, 1))[at][:, at] for morph in (cv2.erode, cv2.dilate)
        )
        held: Float = np.clip(np.sinh(fine) * _BEND, least, most).astype(np.float32, copy=False)
        return held


def create(store: WeightStore, *, device: str = "auto") -> Lanczos:  # noqa: ARG001  as all of the family
    """Needs neither weights nor a device."""
    return Lanczos()
