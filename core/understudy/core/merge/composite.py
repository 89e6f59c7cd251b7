"""The plate-space part of a frame: the aligned face goes back, is matted, mixed and laid out in layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from understudy.core import warp
from understudy.core.blend import Blend
from understudy.core.colour import ColourConfig
from understudy.core.errors import ModelInvalid
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import HALF_MAXIMUM, fill_nonfinite, to_half
from understudy.core.merge import layers, mattes
from understudy.core.merge.analysis import Placed
from understudy.core.merge.face_swap import Made
from understudy.core.merge.layers import Ground
from understudy.core.merge.located import Located, Mask, by_channel
from understudy.core.merge.recipe import Recipe

_MOST = np.float32(1e15)  # what filters can add up in float32; half ends far below it
MATTE_LAYERS = ("mask_face", "mask_hull", "mask_valid")


@dataclass(frozen=True, kw_only=True)
class Warped:
    """Everything of one frame's swap on the plate pixels of `window`, scene-linear in the working space.

    Attributes:
        plate: (h, w, 3), non-finite values filled.
        face: (h, w, 3) colour matched.
        face_raw: (h, w, 3) as the network made it.
        mattes: `mask_face`, `mask_hull`, `mask_valid`: (h, w) in [0, 1].
        brightest: the largest value that the network can see and say, of any channel.
    """

    window: Window
    plate: Float
    face: Float
    face_raw: Float
    mattes: Mapping[str, Float]
    brightest: float


@dataclass(frozen=True, kw_only=True)
class Composite:
    """One finished frame's parts.

    Attributes:
        rgb: R, G and B over the whole data window, in the types of the ground.
        layers: the compositor's channels over the whole data window, half, `uv` float32.
        box: the smallest window that holds every pixel whose matte is not 0; empty where there is none.
        warnings: what a person should know about this frame.
    """

    rgb: Mapping[str, Array]
    layers: Mapping[str, Array]
    box: Window
    warnings: tuple[str, ...]


def to_plate(made: Made, matched: Float, plate: Float, placed: Placed, window: Window) -> Warped:
    """Warp the face and its mattes back: colour goes on beyond the crop's edge, mattes end there."""
    alignment = placed.alignment
    stack = np.stack([made.matte_face, made.matte_hull, mattes.valid(alignment.size)], axis=-1)
    found = np.clip(warp.to_plate(stack, alignment, window, border="zero"), 0.0, 1.0)
    return Warped(
        window=window,
        plate=plate,
        face=warp.to_plate(matched, alignment, window, border="replicate"),
        face_raw=warp.to_plate(made.face, alignment, window, border="replicate"),
        mattes={name: found[..., i] for i, name in enumerate(MATTE_LAYERS)},
        brightest=made.brightest,
    )


def matte_of(warped: Warped, recipe: Recipe, frame: int, user: Float | None) -> Float:
    """The matte that is used (h, w), as a half layer stores it: the recipe's product, eroded and
    feathered; then the valid area, the user's matte (h, w) and the opacity."""
    product = np.prod([warped.mattes[f"mask_{name}"] for name in recipe.mattes], axis=0, dtype=np.float32)
    matte = mattes.shape(product, recipe.erode.at(frame), recipe.feather.at(frame))
    matte = matte * warped.mattes["mask_valid"] * np.float32(recipe.opacity.at(frame))
    return mattes.settle(matte if user is None else matte * user)


@dataclass(frozen=True, kw_only=True)
class Compositor:
    """How the frames of one merge are put together. `space` is the plate's colour space."""

    recipe: Recipe
    blend: Blend
    colour: ColourConfig
    space: str

    @property
    def linearises(self) -> bool:
        """Whether the plate goes out in another colour space than it came in."""
        return not self.colour.is_scene_linear(self.space)

    def plate_pixels(self, frame: Frame, window: Window) -> tuple[Float, dict[str, Located]]:
        """(h, w, 3) scene-linear in the working space, finite; and by channel where the plate was not and was
        filled. A code so far outside its curve that it overflows counts as all three.
        """
        stored = frame.rgb(window)
        filled, bad = fill_nonfinite(stored)
        linear = self.colour.to_working(filled, self.space)
        finished, overflown = fill_nonfinite(linear)
        np.clip(finished, -_MOST, _MOST, out=finished)
        masks: dict[str, Mask] = {}
        if bad:
            for i, channel in enumerate(layers.COLOUR):
                masks[channel] = ~np.isfinite(stored[..., i])
        if overflown:
            masks["RGB"] = np.asarray(~np.isfinite(linear).all(axis=-1))
        return finished, by_channel(masks, window)

    def compose(
        self, frame: Frame, ground: Ground, warped: Warped, placed: Placed, user: Float | None
    ) -> Composite:
        """Mix and lay out one view of a frame; `user` is the user's matte (h, w) on the same window, where there
        is one. The ground's planes are used up where they are not the plate's own.

        Raises:
            ModelInvalid: the network answered with values that are not finite.
        """
        window = warped.window
        matte = matte_of(warped, self.recipe, frame.number, user)
        face, notes = self._finish(frame, warped, matte)
        finished = self._from_working(face, ground.space)
        stored, raw = to_half(finished), to_half(self._from_working(warped.face_raw, ground.space))
        area = window.slices(frame.data)
        planes = {c: plane if plane.flags.writeable else plane.copy() for c, plane in ground.planes.items()}
        lost: dict[str, Mask] = {}
        for i, channel in enumerate(layers.COLOUR):
            part = planes[channel][area]
            lost[channel] = ~np.isfinite(part) & (matte > 0.0)
            planes[channel][area] = layers.mix(part, stored[..., i], matte)
        beyond: dict[str, Mask] = {
            c: np.asarray(np.abs(finished[..., i]) > HALF_MAXIMUM) for i, c in enumerate(layers.COLOUR)
        }
        notes += [
            f"{at.count} values of the face's {channel} are beyond half float and were held at "
            f"{HALF_MAXIMUM:g}, {at}"
            for channel, at in by_channel(beyond, window).items()
        ]
        notes += [
            f"{at.count} values of {channel} under the matte are not finite in the plate, {at}: the face "
            "stands there alone"
            for channel, at in by_channel(lost, window).items()
        ]
        parts = _parts(face=stored, raw=raw, matte=matte, warped=warped, placed=placed, user=user)
        return Composite(
            rgb=planes,
            layers=layers.laid(frame.data, parts, area),
            box=_box(matte, window),
            warnings=tuple(notes),
        )

    def _finish(self, frame: Frame, warped: Warped, matte: Float) -> tuple[Float, list[str]]:
        """The face after highlights and blend; and what to say of pixels too bright for the network."""
        if not np.isfinite(warped.face).all():
            raise ModelInvalid(
                f"frame {frame.number}: the model answered with values that are not finite; it is broken",
                frame=frame.number,
                field="model",
            )
        ratio = np.maximum(warped.plate.max(axis=-1) / np.float32(warped.brightest), np.float32(1.0))
        face = warped.face * ratio[..., None] if self.recipe.keep_highlights else warped.face
        hot = Located.of((ratio > 1.0) & (matte > 0.0), warped.window)
        became = "keep the plate's ratio" if self.recipe.keep_highlights else "were flattened"
        notes = (
            []
            if hot is None
            else [
                f"{hot.count} pixels under the matte are brighter than {warped.brightest:.4g}, the most that the "
                f"network can express, and {became}, {hot}"
            ]
        )
        return self.blend.finish(warped.plate, face, matte), notes

    def _from_working(self, rgb: Float, space: str) -> Float:
        return rgb if space == self.colour.working else self.colour.from_working(rgb, space)


def _parts(
    *, face: Array, raw: Array, matte: Float, warped: Warped, placed: Placed, user: Float | None
) -> dict[str, Array]:
    """Every layer on the footprint."""
    uv = warp.uv(placed.alignment, warped.window)
    return {
        **{f"face.{c}": face[..., i] for i, c in enumerate(layers.COLOUR)},
        "face.A": warped.mattes["mask_valid"],
        **{f"face_raw.{c}": raw[..., i] for i, c in enumerate(layers.COLOUR)},
        "mask_blend.A": matte,
        **{f"{name}.A": plane for name, plane in warped.mattes.items()},
        **({} if user is None else {"mask_user.A": user}),
        "uv.u": uv[..., 0],
        "uv.v": uv[..., 1],
    }


def _box(matte: Float, window: Window) -> Window:
    rows, columns = (np.flatnonzero(matte.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Window(window.x, window.y, 0, 0)
    return Window(
        window.x + int(columns[0]),
        window.y + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
