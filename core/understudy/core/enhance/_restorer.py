"""Networks that restore faces, as `spandrel` runs them: what is blurred is painted anew, by what they know of faces.

They were made for eight-bit portraits of 512 pixels, cut as the data set FFHQ is (Karras et al., 2019). So the face
is carried to that square and back, by where its type has eyes, nose and mouth; beyond the square the picture is
Lanczos's. They see the codes of the swap curve, which are nearly those of sRGB; what is brighter than the curve's
knee comes through as Lanczos has it (`_light`).

They invent: pores, lashes, and now and then another person. Whoever may not invent takes `lanczos` or `trained`.

`spandrel` (MIT) holds the networks' code and is an extra, `understudy[restore]`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from understudy.core import _checkpoint, warp
from understudy.core.align import FACE_TYPES, Points, umeyama
from understudy.core.colour import SwapCurve
from understudy.core.enhance import _light
from understudy.core.enhance.lanczos import Lanczos, refuse_smaller
from understudy.core.errors import InvalidInput, ModelInvalid, WeightsCorrupt, WeightsMissing
from understudy.core.face import Alignment
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.model.device import pick
from understudy.core.weights import WeightStore

_SIDE = 512
_RIM = 24  # pixels of the square over which it gives way to what lies around it
_SEED = 0  # of the noise that some of them paint with: a face gives the same, whichever were before it

# Both eyes, tip of the nose, corners of the mouth: in the unit square of `align`'s mean face, and in FFHQ's crops of
# 512 pixels as facexlib has them (facexlib/utils/face_restoration_helper.py)
_MEAN = np.array(
    [
        (0.225492, 0.215990),
        (0.754761, 0.215990),
        (0.490127, 0.515625),
        (0.254149, 0.780233),
        (0.726104, 0.780233),
    ]
)
_FFHQ = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.19360),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)


def opened(store: WeightStore, weights: str, device: str, *, extra: bool = False) -> Restorer:
    """A restorer with the weights of that name.

    Args:
        extra: its code is in `spandrel_extra_arches`, for licences that `spandrel` does not take.

    Raises:
        LicenceNotAccepted: of the weights.
        WeightsMissing: the library or the weights are not here; says how to get them.
        WeightsCorrupt: the weights are other bytes than those published, or of no network that the library knows.
        InvalidInput: there is no such device.
    """
    entry = store.usable(weights)
    spandrel = _library(weights, extra=extra)
    path = store.path(weights)
    where = pick(device)
    try:
        model = spandrel.ModelLoader(where).load_from_state_dict(_checkpoint.load(path))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsCorrupt(
            f"{path}: spandrel knows no network of these weights: {why}", path=path
        ) from error
    # the network itself: what the library puts around it passes GFPGAN codes of another range than it was trained on
    return Restorer(model.model.eval(), where, weights, entry.sha256)


def _library(weights: str, *, extra: bool) -> Any:
    """`spandrel`, with its other half where that is needed."""
    package = "spandrel-extra-arches" if extra else "spandrel"
    try:
        import spandrel

        if extra:
            import spandrel_extra_arches

            spandrel_extra_arches.install(ignore_duplicates=True)
    except ImportError as error:
        how = f"pip install {package}" if extra else "pip install understudy[restore]"
        raise WeightsMissing(
            f"enhance {weights}: the package {package} is not installed, or lacks {error.name}; `{how}` has it",
            field="enhance",
            value=weights,
        ) from None
    return spandrel


class Restorer:
    """`enhance.Enhancer` of a network that takes (1, 3, 512, 512) in [-1, 1] and gives such first. Not for threads.

    Attributes:
        digest: SHA-256 of the published weights.
    """

    def __init__(self, network: Any, device: torch.device, name: str, digest: str) -> None:
        self.digest = digest
        self._network, self._device, self._name = network, device, name
        self._curve, self._plain = SwapCurve(gain=1.0), Lanczos()

    def enlarge(self, rgb: Float, size: int, face_type: str = "whole") -> Float:
        """As `enhance.Enhancer.enlarge`."""
        refuse_smaller(size, len(rgb))
        held = self._plain.enlarge(fill_nonfinite(rgb)[0], size)
        if size == len(rgb):
            return held
        square, window = _square(face_type, size), Window(0, 0, size, size)
        codes = self._curve.encode(held)
        seen = self._seen(warp.to_aligned(np.clip(codes, 0.0, 1.0), window, square))
        back = warp.to_plate(seen, square, window, border="replicate")
        made = self._curve.decode(np.minimum(back, _light.most(codes, self._curve.knee)))
        share = _light.share(codes, self._curve.knee) * warp.to_plate(_inside(), square, window)
        mixed: Float = held + np.clip(share, 0.0, 1.0)[..., None] * (made - held)
        return mixed

    def _seen(self, codes: Float) -> Float:
        """(512, 512, 3) in [0, 1] → likewise, of the network."""
        x = torch.from_numpy(np.ascontiguousarray(codes)).permute(2, 0, 1)[None].to(self._device)
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices), exact:
            torch.manual_seed(_SEED)
            answer: torch.Tensor = self._network(2.0 * x - 1.0)[0]
            made: Float = ((answer.float() + 1.0) / 2.0)[0].permute(1, 2, 0).contiguous().cpu().numpy()
        if made.shape != codes.shape or not np.isfinite(made).all():
            raise ModelInvalid(
                f"enhance {self._name}: its answer is not finite, or not of {_SIDE} pixels: its weights are broken",
                field="enhance",
                value=self._name,
            )
        return np.clip(made, 0.0, 1.0)


def _square(face_type: str, size: int) -> Alignment:
    """Pixels of a face's picture → those of FFHQ's square; raises InvalidInput: there is no such face type."""
    if face_type not in FACE_TYPES:
        raise InvalidInput(
            f"face_type: no {face_type!r}; there are {', '.join(FACE_TYPES)}",
            field="face_type",
            value=face_type,
        )
    return Alignment(matrix=umeyama(points(face_type, size), _FFHQ), size=_SIDE, face_type=face_type)


def points(face_type: str, size: int) -> Points:
    """(5, 2): where the mean face that looks ahead has eyes, nose and mouth in a picture of that type, in pixels."""
    kind = FACE_TYPES[face_type]
    return (_MEAN - (0.5, 0.5 - kind.lift)) * (size / kind.side) + size / 2.0


def _inside() -> Float:
    """(512, 512): 1 in the square, falling smoothly to 0 at its rim."""
    ramp = np.zeros((_SIDE, _SIDE), np.float32)
    ramp[_RIM:-_RIM, _RIM:-_RIM] = 1.0
    soft: Float = cv2.GaussianBlur(ramp, (0, 0), _RIM / 3.0).astype(np.float32, copy=False)
    return soft
