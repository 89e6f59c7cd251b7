"""A mask without flicker: on each frame the median of the masks around it, in aligned space.

There the head stands still, so that an edge which moves (a hand that passes) stays where it is: of the masks before
and after it, as many have it as have not. What is there or gone on single frames alone goes.

The masks around a frame are made of the faceset's own images, never of frames that are being merged: whatever chunk or
worker makes frame N, it sees the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.core.faceset import Faceset
from understudy.core.frames import Array, Float
from understudy.core.merge.expression import OCC
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.masking import Spot

Spots = Mapping[str, Mapping[int, Spot]]
"""View → frame number → the face there."""


@dataclass(frozen=True, kw_only=True)
class Deflicker:
    """Takes the flicker out of one merge's masks. Not for several threads at once.

    The window is as long on both sides of a frame, and never reaches over a gap, where a frame has no face, or a cut:
    at the ends of a shot it is shorter.

    Attributes:
        window: odd number of frames; below 3 nothing is done.
        spots: all faces of the shot.
    """

    window: int
    swapper: Swapper
    faceset: Faceset
    spots: Spots
    _made: OrderedDict[tuple[str, int], Array] = field(default_factory=OrderedDict)

    def over(self, view: str, number: int, own: Float) -> Float:
        """The masks (C, M, M) to use on a frame whose own are `own`, as `Masker.masks` gives them.

        Raises:
            NotFound, FrameMissing, FrameUnreadable, InvalidInput: of a face around it, as `Swapper.masks`.
        """
        around = self.around(view, number)
        if not around:
            return own
        masks = [own, *(self._mask(view, other) for other in around)]
        middle: Float = np.median(np.stack(masks), axis=0).astype(np.float32)
        return middle

    def around(self, view: str, number: int) -> list[int]:
        """The frames around one whose masks count beside its own, as many before it as after."""
        spots, found = self.spots[view], list[int]()
        for step in range(1, self.window // 2 + 1):
            before, after = spots.get(number - step), spots.get(number + step)
            if before is None or after is None or after.face.cut or spots[number - step + 1].face.cut:
                break
            if not (self._usable(before) and self._usable(after)):
                break
            found += [number - step, number + step]
        return found

    def identity(self, view: str, number: int) -> list[Any]:
        """What the masks around a frame are made of, and the side of all masks, as JSON can hold it."""
        masker = self.swapper.masker
        around = [
            [other, *masker.made_of(spot), *spot.place(), spot.gain]
            for other in self.around(view, number)
            for spot in (self.spots[view][other],)
        ]
        return [masker.side, *around]

    def _usable(self, spot: Spot) -> bool:
        masker = self.swapper.masker
        return OCC not in masker.expression.names or masker.occlusion.knows(spot.record)

    def _mask(self, view: str, number: int) -> Array:
        """Of a neighbour; kept as half while its own neighbours are at work, for few bytes."""
        key = (view, number)
        if key not in self._made:
            mask = self.swapper.masks(self.spots[view][number], self.faceset)
            self._made[key] = mask.astype(np.float16)
            while len(self._made) > len(self.spots) * (self.window + 1):
                self._made.popitem(last=False)
        return self._made[key]
