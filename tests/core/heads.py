"""A face made of numbers: 68 landmarks of a head turned as one likes."""

from __future__ import annotations

import math

import numpy as np

from understudy.core import align


def face(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, shift=(960.0, 540.0)) -> np.ndarray:
    """68 landmarks of the 3D head, turned by degrees in `face.Face`'s signs, seen from afar.

    What the 3D head lacks (eyes, bridge, mouth's corners) comes from the mean face; the lips lie between the corners.
    """
    x, y, z = (math.radians(a) for a in (-pitch, -yaw, roll))
    rx = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    ry = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    rz = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    points = np.zeros((68, 3))
    points[align._HEAD_OF_68] = align._LEVELLED
    both = np.intersect1d(align._TEMPLATE_OF_68, align._HEAD_OF_68)
    mean = dict(zip(align._TEMPLATE_OF_68.tolist(), align._TEMPLATE, strict=True))
    to_head = align.umeyama(np.array([mean[i] for i in both]), points[both, :2])
    for i in set(range(68)) - set(align._HEAD_OF_68.tolist()):
        flat = mean.get(i, (mean[48] + mean[54]) / 2)
        points[i] = [*(to_head[:, :2] @ flat + to_head[:, 2]), -10.0]
    turned = points @ (rz @ ry @ rx).T
    depth = 5000.0 + turned[:, 2:]
    return np.asarray(turned[:, :2] / depth * 10000.0 + shift)
