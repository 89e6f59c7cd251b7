"""Networks that need no training, where a benchmark wants a whole merge and not what was learnt.

The identity is what DeepFaceLab's merge was measured with. A stranger is one picture of somebody else, put on as stiff
as a mask: what its merge shows of movement, the merge itself has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import cv2
import numpy as np
import torch

from bench.stills import Float
from understudy.core import align, release, warp
from understudy.core.colour import SwapCurve
from understudy.core.faceset import Faceset
from understudy.core.frames import Window
from understudy.core.image import fill_nonfinite
from understudy.core.model import swap
from understudy.core.model.presets import ModelConfig
from understudy.core.model.store import State
from understudy.core.model.swap import SwapModel

Paint = Callable[[Float], Float]
_RADII = {"full": (0.37, 0.45), "whole": (0.30, 0.37)}  # of the crop's side: of a face, with its forehead
_SHINES = 0.8  # of the swap curve's codes: far above skin
_EDGE = 1 / 40  # of the side: sigma of the matte's edge


class StandIn(SwapModel):
    """A swap model whose faces are made by a function, within an oval matte.

    Attributes:
        paint: codes (N, S, S, 3) in [0, 1] → codes of the faces, likewise.
    """

    def __init__(self, name: str, paint: Paint, *, size: int, face_type: str) -> None:
        record = release.create(subject="nobody", kind="fictional", granted_by="this benchmark")
        self.config = ModelConfig(resolution=size, face_type=face_type)
        self.state = State(digest=f"{name}-{face_type}-{size}", releases=(record,))
        self.device = torch.device("cpu")
        self.paint = paint
        self._matte = _oval(size, _RADII[face_type])

    def swap(self, crops: Float, batch_size: int = 16) -> tuple[Float, Float]:  # noqa: ARG002  SwapModel's
        mattes = np.broadcast_to(self._matte, crops.shape[:3])
        return self.paint(np.clip(crops, 0.0, 1.0)), mattes

    def swap_and_dst(self, crops: Float, batch_size: int = 16) -> tuple[Float, Float, Float]:
        faces, mattes = self.swap(crops, batch_size)
        return faces, mattes, mattes


@contextmanager
def as_network(model: SwapModel) -> Iterator[None]:
    """Merges take this model, whatever folder their settings name."""
    with mock.patch.object(swap, "load", return_value=model):
        yield


def identity(size: int, face_type: str = "full") -> StandIn:
    """Gives what it gets."""
    return StandIn("identity", lambda crops: crops, size=size, face_type=face_type)


def stranger(faces: Faceset, size: int, face_type: str = "full", *, glints: bool = False) -> StandIn:
    """The first face of a set, always.

    Args:
        glints: it shines where the performer does, as one that was trained on a performance.
    """
    record = faces.records[0]
    wanted = align.fit(record.face.landmarks.points, face_type, size, record.pixel_aspect)
    stored, _ = fill_nonfinite(faces.load(record))
    window = Window(0, 0, stored.shape[1], stored.shape[0])
    crop = warp.to_aligned(stored, window, warp.between(record.alignment, wanted))
    code = np.clip(SwapCurve(gain=record.gain).encode(crop), 0.0, 1.0)

    def paint(crops: Float) -> Float:
        if not glints:
            return np.broadcast_to(code, crops.shape)
        return np.maximum(code, np.where(crops > _SHINES, crops, np.float32(0.0)))

    return StandIn(f"stranger-{faces.digest()[:16]}", paint, size=size, face_type=face_type)


def _oval(size: int, radii: tuple[float, float]) -> Float:
    """(S, S) in [0, 1]."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size - 0.5
    inside = ((x / radii[0]) ** 2 + (y / radii[1]) ** 2 < 1.0).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), _EDGE * size), np.float32)
