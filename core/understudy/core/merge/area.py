"""Where on the plate a face goes: its mattes warped back, shaped and put together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from understudy.core import warp
from understudy.core.blend import wants
from understudy.core.face import Alignment
from understudy.core.faceset.beside import scaled
from understudy.core.frames import Array, Float, Window
from understudy.core.merge import by_hand, mattes, outline
from understudy.core.merge.analysis import Placed
from understudy.core.merge.expression import FACE, OCC
from understudy.core.merge.face_swap import Made
from understudy.core.merge.finishing import blend_of
from understudy.core.merge.patch import Patch
from understudy.core.merge.recipe import Recipe

# Among the mattes: what the recipe makes of them; if nothing were before the face; the latter as it goes with the face
_MASK, _OUTLINE, _WHOLE = "", " ", "  "
_FAINT = 2.0**-13  # mattes of less come to nothing: `mattes.settle`
# Pixels to one of a matte's, and of its feather: up to the former all are needed, from the latter half as many will do
_LARGE, _SOFT = (3.0, 4.0), (8.0, 12.0)


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """One view's swap, ready to be put on the plate pixels of `window`.

    Attributes:
        view: its name.
        look: of the frame.
        alignment: plate px → those of the crop, by which it comes back.
        made: what the network gave, and the mattes, aligned.
        face: (S, S, 3) its face as it goes to the plate, aligned.
        plate: the plate on `window`.
        said: layer → (h, w) what the user's mattes of a use say on `window`, as `by_hand.over` gives it.
    """

    placed: Placed
    window: Window
    view: str
    look: Recipe
    alignment: Alignment
    made: Made
    face: Float
    plate: Patch
    said: Mapping[str, Float] = field(default_factory=dict)

    def within(self, window: Window) -> Swapped:
        """The same on a part of the window."""
        said = {name: each[window.slices(self.window)] for name, each in self.said.items()}
        return replace(self, window=window, plate=replace(self.plate, window=window), said=said)

    @property
    def asked(self) -> str:
        """Which matte its blend asks for, as in `blend.Wants`."""
        return wants(blend_of(self.look.blend)).matte

    @property
    def whole(self) -> Float:
        """(R, R) the mask as if nothing stood before the face, or the network's matte where the blend asks for it."""
        return self.made.mattes[FACE] if self.asked == "network" else self.made.outline

    @property
    def is_inside(self) -> bool:
        """Whether the crop is valid wherever its matte is."""
        if (
            self.asked == "crop"
            or "mask_add" in self.said
            or self.look.erode.at(self.placed.face.frame) < 0.0
        ):
            return False
        size = len(self.whole)
        box = box_of(self.whole > _FAINT, Window(0, 0, size, size))
        whole = Alignment(matrix=np.eye(2, 3), size=size, face_type=self.alignment.face_type)
        return mattes.is_inside(whole, Window(box.x - 4, box.y - 4, box.width + 8, box.height + 8))

    @property
    def near(self) -> Window:
        """The part of the window that holds all of its matte; may be empty."""
        if self.asked == "crop" or self.window.empty:
            return self.window
        back = scaled(self.alignment, len(self.whole))
        found = warp.support(self.whole > _FAINT, back, self.window)
        if not found.empty and (wider := -self.look.erode.at(self.placed.face.frame)) > 0.0:
            by = 2 + math.ceil(wider * max(1.0, 1.0 / self.placed.record.pixel_aspect))
            grown = Window(found.x - by, found.y - by, found.width + 2 * by, found.height + 2 * by)
            found = grown.intersect(self.window)
        if "mask_add" in self.said:
            found = _around(found, box_of(self.said["mask_add"], self.window))
        return found


@dataclass(frozen=True, kw_only=True)
class Area:
    """Where on the plate's window the face goes; each (h, w) in [0, 1].

    What stands before the face, and what a person drew, is the plate's: neither moves with the face nor blurs with it.

    Attributes:
        whole: the recipe's mask as if nothing stood before the face, its outline eroded and feathered, or what the
            blend asks for in its place; within `room`.
        seen: the share of it that nothing stands before; None: all.
        room: the valid area of the crop, and the opacity; where the face is, at least.
        said: as in `Swapped`.
    """

    whole: Float
    seen: Float | None
    room: Float
    said: Mapping[str, Float]

    @property
    def matte(self) -> Float:
        """The matte that is used, as a half layer stores it."""
        matte = self.whole if self.seen is None else self.whole * self.seen
        return mattes.settle(by_hand.join(matte, self._said))

    @property
    def outline(self) -> Float:
        """The same if nothing stood before the face."""
        if self.seen is None and "mask_keep" not in self.said:
            return self.matte
        said = {name: each for name, each in self._said.items() if name != "mask_keep"}
        return mattes.settle(by_hand.join(self.whole, said))

    @property
    def _said(self) -> dict[str, Float]:
        return {name: each * self.room if name == "mask_add" else each for name, each in self.said.items()}


def area_of(swapped: Swapped) -> Area:
    """On the window of a swap, which must not be empty."""
    look, number, window = swapped.look, swapped.placed.face.frame, swapped.window
    erode, seen = look.erode.at(number), None
    if swapped.asked == "recipe" and swapped.made.outline is not swapped.made.mask:
        masks = _before(swapped)
        whole = masks[_WHOLE]
        wider = erode < 0.0 or bool(look.motion_blur.at(number)) or _OUTLINE in masks
        seen = outline.seen(masks[_MASK], masks.get(_OUTLINE, whole), beyond=wider)
        aspect = swapped.placed.record.pixel_aspect
        whole = outline.shape(whole, whole, erode, look.feather.at(number), pixel_aspect=aspect)
    elif swapped.asked == "crop":
        whole = np.ones((window.height, window.width), np.float32)
    else:
        aspect, recipes = swapped.placed.record.pixel_aspect, swapped.asked == "recipe"
        amounts = (erode, look.feather.at(number)) if recipes else (0.0, 0.0)
        back = scaled(swapped.alignment, len(swapped.whole))
        whole = shaped(swapped.whole, back, window, *amounts, pixel_aspect=aspect)
    opacity = np.float32(look.opacity.at(number))
    if swapped.is_inside:
        room = np.full((window.height, window.width), opacity, np.float32)
    else:
        room = mattes.valid(swapped.alignment, window) * opacity
    held = whole if swapped.is_inside and opacity == 1.0 else whole * room
    return Area(whole=held, seen=seen, room=room, said=swapped.said)


def layered(swapped: Swapped, names: Collection[str]) -> dict[str, Float]:
    """Those of the layers that show a matte of the face's own: name → (h, w) in [0, 1]."""
    known = {f"mask_{name}": (name, each) for name, each in swapped.made.mattes.items()}
    moved = {layer: each for layer, (name, each) in known.items() if layer in names and name != OCC}
    still = {layer: each for layer, (name, each) in known.items() if layer in names and name == OCC}
    found = _warped(moved, swapped.alignment, swapped.window)
    found |= _warped(still, swapped.placed.alignment, swapped.window)
    return found


def box_of(matte: Array, window: Window) -> Window:
    """The smallest window that holds all of a matte (h, w) over a window; empty where it is 0."""
    rows, columns = (np.flatnonzero(matte.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Window(window.x, window.y, 0, 0)
    return Window(
        window.x + int(columns[0]),
        window.y + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )


def _around(one: Window, other: Window) -> Window:
    """The smallest window that holds both, of which either may be empty."""
    if one.empty or other.empty:
        return other if one.empty else one
    x, y = min(one.x, other.x), min(one.y, other.y)
    return Window(x, y, max(one.x1, other.x1) - x, max(one.y1, other.y1) - y)


def _before(swapped: Swapped) -> dict[str, Float]:
    """The masks on the plate where something may stand before the face. What does stays where it is, wherever the
    face goes.
    """
    moved, still = {_WHOLE: swapped.made.outline}, {_MASK: swapped.made.mask}
    if swapped.alignment is not swapped.placed.alignment:
        still[_OUTLINE] = swapped.made.outline
    found = _warped(moved, swapped.alignment, swapped.window)
    return found | _warped(still, swapped.placed.alignment, swapped.window)


def shaped(
    matte: Float, back: Alignment, window: Window, erode: float, feather: float, *, pixel_aspect: float = 1.0
) -> Float:
    """A matte (R, R) on a window of the plate, (h, w), its outline eroded and feathered as by `outline.shape`.

    A small network's mask, enlarged, has no edge as fine as a pixel. Where it is feathered too, it is shaped in pixels
    twice as large, and is only then made as large as the plate: the edge lies where it would, within half a pixel.
    From the one way to the other it fades, so that nothing jumps where a face comes nearer or a feather is keyed.

    Args:
        back: plate px → the matte's.
    """
    enlarged = float(np.linalg.svd(back.inverse[:, :2], compute_uv=False)[-1])
    share = _ramp(enlarged, *_LARGE) * _ramp(feather, *_SOFT)

    def at(times: int, window: Window) -> Float:
        matrix = np.column_stack([times * back.matrix[:, :2], back.matrix[:, 2]])
        found = _on_plate(matte, replace(back, matrix=matrix), window)
        return outline.shape(found, found, erode / times, feather / times, pixel_aspect=pixel_aspect)

    if share == 0.0:
        return at(1, window)
    x, y = window.x // 2 - 1, window.y // 2 - 1
    coarse = Window(x, y, -(-window.x1 // 2) + 1 - x, -(-window.y1 // 2) + 1 - y)
    size = (2 * coarse.width, 2 * coarse.height)
    large = mattes.as_float(cv2.resize(at(2, coarse), size, interpolation=cv2.INTER_LINEAR))
    large = large[window.slices(Window(2 * coarse.x, 2 * coarse.y, *size))]
    if share == 1.0:
        return large
    fine = at(1, window)
    return fine + np.float32(share) * (large - fine)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _on_plate(matte: Float, alignment: Alignment, window: Window) -> Float:
    there = warp.to_plate(matte, alignment, window)
    return np.clip(there, 0.0, 1.0, out=there)


def _warped(aligned: Mapping[str, Float], alignment: Alignment, window: Window) -> dict[str, Float]:
    """Mattes (R, R), each of its own size, on the plate's window, (h, w) in [0, 1]; 0 beyond the crop's edge."""
    return {name: _on_plate(each, scaled(alignment, len(each)), window) for name, each in aligned.items()}
