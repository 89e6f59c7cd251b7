"""What covers one labelled face, laid over another: the hand that the shot really has, where it might come next.

Pasting objects from one picture into another teaches more than any change of either (Ghiasi et al., "Simple
Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021). Here an object is what a label
leaves out of a face: faces are aligned, so what is face in any label is where faces are.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from understudy.core.frames import Float
from understudy.core.train.data import Crops

_LEAST = 0.005  # of the crop's area: smaller things are the border of a label and not an occluder
_SEEN = 64  # labels that say where faces are
_TURN, _ZOOM, _SHIFT = 30.0, 1.25, 0.25  # degrees and share of the side either way, and the greatest zoom

Rows = npt.NDArray[np.int64]


def ground(crops: Crops, rows: Rows) -> Float:
    """(M, M) float32 in [0, 1]: where faces are, by the labels of `rows`, or of some, evenly spread."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(_SEEN, len(rows))).round().astype(np.int64))]
    labels = (crops.gather(some[n : n + 1])[0, 3].numpy() for n in range(len(some)))
    return np.asarray(np.maximum.reduce(list(labels)), np.float32)


def over(
    laid_BCHW: Tensor, crops: Crops, donors: Rows, where: Float, *, chance: float, rng: np.random.Generator
) -> None:
    """Lay what covers a `donor` over samples that nothing lies over yet, with that chance for each.

    Args:
        laid_BCHW: (B, 5, M, M) as `occluders.batch` gives it; changed in place.
        where: of `ground`.
    """
    for laid in laid_BCHW.numpy():
        happens, donor = rng.random() < chance, rng.choice(donors)
        move = _move(rng, len(where))
        if not happens or laid[3].any():
            continue
        crop = crops.gather(np.array([donor]))[0].numpy()
        alpha = where * (1 - crop[3])
        if alpha.mean() < _LEAST:
            continue
        thing = np.ascontiguousarray(np.concatenate([crop[:3], alpha[None]]).transpose(1, 2, 0))
        laid[:4] = cv2.warpAffine(thing, move, alpha.shape[::-1]).transpose(2, 0, 1)


def _move(rng: np.random.Generator, side: int) -> npt.NDArray[np.float64]:
    """(2, 3): pixels of the donor to pixels of the sample."""
    zoom = _ZOOM ** rng.uniform(-1, 1)
    turned = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-_TURN, _TURN), zoom)
    if rng.random() < 0.5:
        turned = turned @ np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])
    shift = np.zeros((2, 3))
    shift[:, 2] = rng.uniform(-_SHIFT, _SHIFT, 2) * side
    return np.asarray(turned + shift, np.float64)
