"""Fine detail goes over to the plate within a few pixels, broad shading over a wide way: Burt and Adelson, "A
Multiresolution Spline with Application to Image Mosaics", ACM Transactions on Graphics 2(4), 1983.

Theirs lets every band reach as far out as in. Outside the matte our pixels are the plate's own bits, so each band's
way lies wholly inside: at the matte's outline every band is the plate's, and one as wide as `_WAY` of its pixels has
become the face's. What is broader than the matte is deep stays the plate's. In the space of `_light`, for in linear
light a lamp would ring through all bands.

Beyond the matte the finished face is the plate itself.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.blend import Wants, _light
from understudy.core.frames import Array, Float

WANTS = Wants(whole=True)
_WAY = 3.0  # of a band's own pixels


def finish(plate: Float, face: Float, matte: Float) -> Float:
    """The face where the matte is deep, band by band the plate towards its outline, however soft the matte is."""
    inside = matte > 0.0
    if inside.all():
        return face
    under = np.where(_light.known(plate)[..., None], plate, face)
    away = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # its last bits change from call to call, but the square is a whole number
    depth = np.sqrt(np.rint(away * away))
    difference = _light.encode(under) - _light.encode(face)
    plates_part = _plates_part(difference, _as_float(depth) / np.float32(_WAY))
    return np.where(inside[..., None], _light.shifted(face, plates_part), under)


def _plates_part(difference: Float, depth: Float) -> Float:
    """(h, w, 3): the bands of a difference to the plate, each where the plate has it.

    Args:
        depth: (h, w) of the matte, in ways of this band.
    """
    share = np.clip(depth, 0.0, 1.0)
    plates_share = (1.0 - share * share * (3.0 - 2.0 * share))[..., None]
    if depth.max() < 2.0 or min(depth.shape) < 2:
        return _as_float(difference * plates_share)
    coarse = _as_float(cv2.pyrDown(difference))
    detail = difference - _up(coarse, depth)
    deeper = _as_float(cv2.resize(depth, coarse.shape[1::-1], interpolation=cv2.INTER_AREA)) / np.float32(2.0)
    return _as_float(detail * plates_share + _up(_plates_part(coarse, deeper), depth))


def _up(image: Float, like: Float) -> Float:
    return _as_float(cv2.pyrUp(image, dstsize=like.shape[1::-1]))


def _as_float(image: Array) -> Float:
    """The image as the float32 that it is: OpenCV's types do not say so."""
    return image.astype(np.float32, copy=False)
