"""The network's part of a frame, in aligned space: a crop in, a face and its mattes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from understudy.core import warp
from understudy.core.colour import SwapCurve
from understudy.core.face import Alignment
from understudy.core.faceset import Faceset
from understudy.core.finish.extend import extend
from understudy.core.frames import Float, Window
from understudy.core.image import fill_nonfinite
from understudy.core.merge import mattes
from understudy.core.merge.expression import DST, FACE, FULL, OCC
from understudy.core.merge.masking import HULL, Masker, Seen, Spot

_EDGE = 1 / 64  # of the crop's side: how far inside the matte the face's own colours end


class SwapNetwork(Protocol):
    """What a merge needs of `model.swap.SwapModel`."""

    @property
    def digest(self) -> str: ...

    def swap(self, crops: Float) -> tuple[Float, Float]:
        """Swap-space crops (N, S, S, 3) in [0, 1] → faces (N, S, S, 3) and mattes (N, S, S) likewise."""
        ...

    def swap_and_dst(self, crops: Float) -> tuple[Float, Float, Float]:
        """The same, and the mattes (N, S, S) of dst's own faces."""
        ...


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was made of one crop; aligned pixels, scene-linear in the working space.

    Attributes:
        plate: (S, S, 3) the crop the network saw.
        painted: (S, S, 3) the new face as the network painted it, on all of the crop.
        face: (S, S, 3) the same, its own colours flowing on beyond its outline.
        mattes: name → (R, R), each at its own size; `face` and `hull` are always among them.
        mask: (M, M) what the recipe makes of them.
        outline: (M, M) what it would make of them if nothing stood before the face; `mask` itself where nothing can.
        brightest: the largest value that the network can see and say.
    """

    plate: Float
    painted: Float
    face: Float
    mattes: Mapping[str, Float]
    mask: Float
    outline: Float
    brightest: float


@dataclass(frozen=True, kw_only=True)
class Swapper:
    """A model with the geometry and colour in which it sees faces. Not for several threads at once.

    Attributes:
        masker: makes the mattes, some of which say where the face's colours are its own.
        curve: of `SwapCurve`, without the shot's gain.
    """

    network: SwapNetwork
    face_type: str
    size: int
    masker: Masker
    curve: Mapping[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.network.digest

    def crop_of(self, image: Float, stored: Alignment, wanted: Alignment) -> Float:
        """The model's crop (S, S, 3), finite, out of a faceset's image, which was cut by another alignment."""
        across = warp.between(stored, wanted)
        return warp.to_aligned(fill_nonfinite(image)[0], Window(0, 0, image.shape[1], image.shape[0]), across)

    def swap(self, crop: Float, spot: Spot, steadied: Callable[[Float], Float] | None = None) -> Made:
        """Swap one crop (S, S, 3), scene-linear in the working space, finite.

        One at a time: in a batch, a network may answer with other last bits, and what frame N looks like
        must not depend on its neighbours. `steadied` makes of the frame's own masks (`Masker.masks`) those used.

        Raises:
            NotFound, FrameMissing, FrameUnreadable, InvalidInput: as `Masker.named`.
        """
        seen = self._see(crop, spot)
        named = self.masker.named(spot, seen)
        masks = self.masker.masks(named)
        if steadied is not None:
            masks = steadied(masks)
        mask, *others = masks
        curve = self._curve(spot)
        return Made(
            plate=crop,
            painted=seen.face,
            face=extend(seen.face, _support(self._own(named))),
            mattes=named,
            mask=mask,
            outline=others[0] if others else mask,
            brightest=curve.maximum / curve.gain,
        )

    def masks(self, spot: Spot, faceset: Faceset) -> Float:
        """`Masker.masks` alone, of a face's image in its faceset; what they do not need is not asked for.

        Raises:
            NotFound, FrameMissing, FrameUnreadable, InvalidInput: as `Masker.named`.
        """
        crop = np.zeros((self.size, self.size, 3), np.float32)
        if self.masker.looks:
            crop = self.crop_of(faceset.load(spot.record), spot.record.alignment, spot.alignment)
        seen = self._see(crop, spot) if self.masker.networks else Seen(plate=crop, face=crop, mattes={})
        return self.masker.masks(self.masker.named(spot, seen, alone=True))

    def skin(self, made: Made) -> Float:
        """(S, S) in [0, 1]: where both faces are seen; a hand's colour says nothing of the face's."""
        seen = made.mattes[FACE] * mattes.sized(made.mattes[HULL], self.size)
        if OCC in self.masker.expression.names:
            seen = seen * mattes.sized(made.mattes[OCC], self.size)
        return seen

    def _own(self, named: Mapping[str, Float]) -> Float:
        """(S, S): where the new face is, by those of the network's matte and the hull that the mask names, else by the
        former; all of the crop where the mask names that.

        Neither what is before the face nor eyes and mouth alone: the network painted a face behind the hair and
        around the eyes, and whoever moves the matte wants it.
        """
        wanted = self.masker.expression.names
        if FULL in wanted:
            return np.ones((self.size, self.size), np.float32)
        outlines = [mattes.sized(named[name], self.size) for name in (FACE, HULL) if name in wanted]
        return mattes.as_float(np.prod(outlines or [named[FACE]], axis=0))

    def _see(self, crop: Float, spot: Spot) -> Seen:
        curve = self._curve(spot)
        code = curve.encode(crop)[None]
        if DST in self.masker.networks:
            faces, *found = self.network.swap_and_dst(code)
        else:
            faces, *found = self.network.swap(code)
        said = {name: np.clip(each[0], 0.0, 1.0) for name, each in zip((FACE, DST), found, strict=False)}
        return Seen(plate=crop, face=curve.decode(faces[0]), mattes=said)

    def _curve(self, spot: Spot) -> SwapCurve:
        return SwapCurve.from_dict({**self.curve, "gain": spot.gain})


def _support(own: Float) -> Float:
    """(S, S): where the face's colours stand for themselves; beyond, those of the edge flow on.

    A little inside the matte that says so: right at its edge a network mixes in what lies behind the head.
    """
    radius = max(1, round(_EDGE * len(own)))
    inside = cv2.erode(own, np.ones((2 * radius + 1,) * 2, np.uint8), borderType=cv2.BORDER_REPLICATE)
    level = inside / max(float(own.max()), 1e-3)  # an untrained network's matte is faint all over
    return mattes.as_float(np.clip((level - 0.5) / 0.4, 0.0, 1.0))
