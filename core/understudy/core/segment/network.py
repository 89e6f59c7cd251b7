"""A trained segmenter at work: crops of faces in, mattes out, and how sure they are.

Every crop is looked at twice, as it is and mirrored, and the two answers are averaged: a face is as good to see either
way round, so what they disagree on is what the network does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from understudy.core import _plugins, align, warp
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.face import Alignment
from understudy.core.faceset import FaceRecord, Faceset, beside
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.model.device import pick
from understudy.core.segment import store
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segmenter import Family
from understudy.core.train.threads import Threads

Float64 = npt.NDArray[np.float64]

_LEVELS = (0.1, 0.5, 0.98), (0.0, 0.5, 1.0)
"""Probability → matte, straight lines between. Below 0.1 is nothing, as DeepFaceLab has it: a network never says 0,
and a veil over the background is seen. Half stays half, lest edges move."""

_SLACK = 0.01  # of the crop's area: an empty matte is not unsure for less than that


class Segmenter:
    """Deterministic: a crop gives the same matte alone and among others.

    Attributes:
        config: what the network is; crops must be of its resolution and face type.
        state: of the checkpoint: swap curve, colour, what it was trained on.
        device: where it computes.
    """

    def __init__(
        self, net: nn.Module, config: SegmenterConfig, state: store.State, device: torch.device
    ) -> None:
        self.config, self.state, self.device = config, state, device
        self._net = net.to(device).eval().requires_grad_(False)

    @property
    def digest(self) -> str:
        """Names the weights: 64 hex digits."""
        return self.state.digest

    def mattes(self, crops: Float) -> tuple[Float, Float64]:
        """What of each crop is face.

        Args:
            crops: (N, R, R, 3) float32 RGB, codes of the swap curve, held to [0, 1] here.

        Returns:
            mattes (N, R, R) float32 in [0, 1], soft where the network sees an edge; and the confidence in each, (N,)
            float64, as `confidence` has it.

        Raises:
            InvalidInput: the crops are not of the network's resolution.
            ModelInvalid: what it answers is no number: its weights are broken.
        """
        side = self.config.resolution
        if crops.ndim != 4 or crops.shape[1:] != (side, side, 3):
            raise InvalidInput(
                f"crops: shape {crops.shape} is not (N, {side}, {side}, 3), which this segmenter takes",
                field="crops",
                value=crops.shape,
            )
        found = np.empty(crops.shape[:3], np.float32)
        sure = np.empty(len(crops))
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.inference_mode(), exact:
            for i, crop in enumerate(crops):  # batches of one size, for the same last bits
                straight, mirrored = self._seen(crop)
                found[i], sure[i] = remapped((straight + mirrored) / 2.0), confidence(straight, mirrored)
        return found, sure

    def _seen(self, crop: Float) -> tuple[Float, Float]:
        """(R, R) probabilities of a crop (R, R, 3): of a look at it, and of one at its mirror image."""
        crop_CHW = torch.from_numpy(np.ascontiguousarray(crop, np.float32)).permute(2, 0, 1)
        both: Tensor = self._net(torch.stack([crop_CHW, crop_CHW.flip(2)]).clamp(0, 1).to(self.device))
        straight, mirrored = both[:, 0].float().sigmoid()
        looks: Float = torch.stack([straight, mirrored.flip(1)]).cpu().numpy()
        if not np.isfinite(looks).all():
            raise ModelInvalid(
                f"segmenter {self.digest[:12]}: its matte is not finite: its weights are broken; train it anew",
                field="segmenter",
                value=self.digest,
            )
        return looks[0], looks[1]

    def alignment(self, record: FaceRecord) -> Alignment:
        """Where on the plate its crop of a face lies."""
        points = record.face.landmarks.points
        return align.fit(points, self.config.face_type, self.config.resolution, record.pixel_aspect)

    def curve(self, gain: float) -> SwapCurve:
        """That it was trained with, at the exposure of a shot."""
        return SwapCurve.from_dict({**self.state.curve, "gain": gain})

    def crop(self, rgb: Float, record: FaceRecord) -> Float:
        """What it is to see (R, R, 3) of a face's image (S, S, 3), scene-linear in the working space."""
        return crop_of(rgb, record.alignment, self.alignment(record), self.curve(record.gain))

    def back(self, matte: Float, record: FaceRecord) -> Float:
        """A matte (R, R) in its crop → (S, S) float32 in the face's own; 0 where it saw nothing."""
        return beside.moved(matte, self.alignment(record), record.alignment)

    def of_face(self, faceset: Faceset, record: FaceRecord) -> tuple[Float, float]:
        """The matte (S, S) float32 of a face in its own crop, and the confidence in it.

        Raises:
            FrameMissing, FrameUnreadable: the face's image is gone or broken.
            ModelInvalid: as `mattes`.
        """
        found, sure = self.mattes(self.crop(faceset.load(record), record)[None])
        return self.back(found[0], record), float(sure[0])


def crop_of(rgb: Float, stored: Alignment, wanted: Alignment, curve: SwapCurve) -> Float:
    """(R, R, 3) float32 codes in [0, 1], as a segmenter sees a face, out of its image.

    Args:
        rgb: (S, S, 3) scene-linear in the working space; may hold NaN.
        stored: by which `rgb` was cut out of the plate.
        wanted: by which the segmenter's crop is; what `rgb` does not hold of it are its last pixels.
    """
    across = warp.between(stored, wanted)
    cut = warp.to_aligned(fill_nonfinite(rgb)[0], Window(0, 0, rgb.shape[1], rgb.shape[0]), across)
    codes: Float = np.clip(curve.encode(cut), 0.0, 1.0)
    return codes


def remapped(probability: Float) -> Float:
    """A network's probability (…) → matte (…) float32: 0 below 0.1, 1 above 0.98, and no step anywhere."""
    return np.interp(probability, *_LEVELS).astype(np.float32)


def confidence(straight: Float, mirrored: Float) -> float:
    """How sure a network is of a matte, 0 to 1, by the probabilities (R, R) of its two looks at the face.

    The geometric mean of two doubts, taken from 1. One is what the mean of the looks leaves open: 1 less the
    intersection over union with the truth that it expects, if each pixel is face as often as it says. On its own it
    takes smoke, motion blur and hair for doubt, which are half a face and were taught as such. The other is what the
    looks do not share: it knows better what is not learnt yet, and less where nothing is, so the first counts alone as
    it nears the whole matte. (What lies in the picture and what is not known: Kendall and Gal, "What uncertainties do
    we need in Bayesian deep learning for computer vision?", NIPS 2017.) Rank correlations of each with the true IoU
    are in docs/LOG.md.

    A matte with nothing in it is sure where nothing is near to being in it.
    """
    mean = (straight + mirrored) / 2.0
    slack = _SLACK * mean.size
    inside = mean > 0.5
    certain = float(mean[inside].sum(dtype=np.float64))
    union = np.count_nonzero(inside) + float(mean[~inside].sum(dtype=np.float64))
    shared = float(np.minimum(straight, mirrored).sum(dtype=np.float64))
    either = float(np.maximum(straight, mirrored).sum(dtype=np.float64))
    open_left, unshared = (union - certain) / (union + slack), (either - shared) / (either + slack)
    return 1.0 - max(math.sqrt(open_left * unshared), 2.0 * open_left - 1.0)


@contextmanager
def computing(segmenter: Segmenter) -> Iterator[Callable[[Float], tuple[Float, Float64]]]:
    """Gives `segmenter.mattes` for long work: on a CPU with as many threads as pay at the time.

    The process has its threads back at the end.
    """
    if segmenter.device.type != "cpu":
        yield segmenter.mattes
        return
    threads = Threads(torch.get_num_threads())

    def mattes(crops: Float) -> tuple[Float, Float64]:
        with threads.step():
            return segmenter.mattes(crops)

    try:
        yield mattes
    finally:
        threads.close()


def check_colour(segmenter: Segmenter, path: Path, faceset: Faceset) -> None:
    """Refuse faces whose numbers mean another light than those that it was trained on did.

    Raises:
        InvalidInput: names both spaces.
    """
    learnt = segmenter.state.working_space
    other = next((space for space in faceset.columns.texts["colour"].used() if space != learnt), None)
    if learnt and other is not None:
        raise InvalidInput(
            f"{path}: was trained in {learnt!r}, but faces of {faceset.path} are in {other!r}; extract them with the "
            "segmenter's colour config, or train one on them",
            path=path,
            field="segmenter",
            value=path,
        )


def load(path: Path, device: str = "auto") -> Segmenter:
    """Load the segmenter in a folder.

    Raises:
        NotFound: there is no segmenter, or it has no checkpoint yet.
        ModelInvalid: a file of it is missing, malformed or altered.
        InvalidInput: there is no such device.
    """
    where = pick(device)
    config = store.read_config(path)
    state, weights = store.load(path)
    family: Family = _plugins.load("segmenter", config.network)
    net = family.build(config)
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:  # torch's word for weights of another network
        raise ModelInvalid(
            f"{path}: the weights are not of this configuration: {error}", path=path
        ) from error
    return Segmenter(net, config, state, where)
