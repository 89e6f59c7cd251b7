"""dlib's face descriptor: 128 numbers that tell people apart from one shot to another, and from year to year.

King, "High Quality Face Recognition with Deep Metric Learning", dlib's blog, 2017: a ResNet of 29 layers, right about
two pictures of Labeled Faces in the Wild in 99.38 % of pairs at a distance of 0.6.

Licences. The network's weights, `dlib_face_recognition_resnet_model_v1.dat`, are in the public domain (CC0), as their
author says of them and as the text beside them in face_recognition_models 0.3.0 says; its landmark model of 68
points, made of data for research only, is not used. dlib is under the Boost Software Licence. It is an extra
(`understudy[identity]`) because it is a compiled library of its own, which the package index has ready-made only as
`dlib-bin`, built by somebody else than its author, and because within a shot `appearance` does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core import warp
from understudy.core.align import Points, umeyama
from understudy.core.errors import WeightsMissing
from understudy.core.face import Alignment
from understudy.core.frames import Float, Window
from understudy.core.identity import IdentityLook
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ("dlib-face",)
SAME = 0.6
"""As its author says."""

_SIZE = 150
_PADDING = 0.25
_BATCH = 32
_NUMBERS = 128

# dlib's mean face in the unit square, landmarks 27…54 and 60…64 (image_transforms/interpolation.h): the face without
# jaw, brows and lower lip, which say more of the expression than of where the face is.
# fmt: off
_MEAN = np.array([
    (.490127, .203352), (.490127, .307009), (.490127, .409805), (.490127, .515625),
    (.36688, .587326), (.426036, .609345), (.490127, .628106), (.554217, .609345), (.613373, .587326),
    (.121737, .216423), (.187122, .178758), (.265825, .179852), (.334606, .231733), (.260918, .245099),
    (.182743, .244077),
    (.645647, .231733), (.714428, .179852), (.793132, .178758), (.858516, .216423), (.79751, .244077),
    (.719335, .245099),
    (.254149, .780233), (.340985, .745405), (.428858, .727388), (.490127, .742578), (.551395, .727388),
    (.639268, .745405), (.726104, .780233),
    (.290379, .784792), (.428096, .778746), (.490127, .785343), (.552157, .778746), (.689874, .784792),
])
_MEAN_OF_68 = np.array([*range(27, 55), *range(60, 65)])
# fmt: on


def create(store: WeightStore, *, device: str = "auto") -> Dlib:  # noqa: ARG001 - it knows the CPU only
    """Raises:
    WeightsMissing, WeightsCorrupt: the package or the weights are not there, or are not the published ones.
    """
    try:
        import dlib
    except ImportError:
        raise WeightsMissing(
            "identity dlib: the package dlib is not installed; `pip install understudy[identity]` has it",
            field="identity",
            value="dlib",
        ) from None
    return Dlib(dlib.face_recognition_model_v1(str(store.path(WEIGHTS[0]))))


class Dlib:
    """See `identity.Describer`. A face that lies outside of the picture altogether is described by NaN."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def describe(self, looks: Sequence[IdentityLook]) -> Float:
        found = np.full((len(looks), _NUMBERS), np.nan, np.float32)
        chips = {i: picture for i, look in enumerate(looks) if (picture := chip(look)) is not None}
        for first in range(0, len(chips), _BATCH):
            batch = list(chips)[first : first + _BATCH]
            found[batch] = self._network.compute_face_descriptor([chips[i] for i in batch])
        return found


def chip(look: IdentityLook) -> npt.NDArray[np.uint8] | None:
    """(150, 150, 3) uint8 the face as the network knows faces, black beyond the picture; None if it is all beyond.

    Resampled by `warp`, which lets no detail alias that the chip can not hold. dlib's own chips do, and lie up to a
    quarter of a pixel off where they are reduced; the geometry is otherwise the same. On 41 frames of the shared
    footage the descriptors are 0.06 apart at most, a tenth of `SAME`, and no number differs by more than 0.016.
    """
    picture = Window(0, 0, look.proxy.shape[1], look.proxy.shape[0])
    alignment = place(look.points)
    if warp.footprint(alignment, picture).empty:
        return None
    cut = warp.to_aligned(look.proxy, picture, alignment, border="zero")
    return np.asarray(np.rint(cut.clip(0.0, 1.0) * 255.0), np.uint8)


def place(points: Points) -> Alignment:
    """Where dlib cuts out a face with 68 landmarks (68, 2): proxy px → px of its chip, centres at +0.5.

    dlib fits the chip to the picture, not the picture to the chip, and puts the centres of the chip's outermost pixels
    onto the corners of a rectangle, whose width it counts as pixels: from the first to the last is one less.
    """
    target = (_PADDING + _MEAN) / (2.0 * _PADDING + 1.0) * _SIZE
    pull = umeyama(target, np.asarray(points)[_MEAN_OF_68])
    centre = pull @ (_SIZE / 2.0, _SIZE / 2.0, 1.0)
    scale = np.sqrt(np.linalg.det(pull[:, :2]))  # proxy px in one of the chip's
    linear = np.linalg.inv(pull[:, :2] * (_SIZE - 1.0 / scale) / (_SIZE - 1.0))
    return Alignment(
        matrix=np.column_stack([linear, _SIZE / 2.0 - linear @ centre]), size=_SIZE, face_type="network"
    )
