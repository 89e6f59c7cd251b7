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
from understudy.core.merge.recipe import Recipe

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

    def plate_pixels(self, frame: Frame, window: Window) -> tuple[Float, int]:
        """(h, w, 3) scene-linear in the working space, finite; and how many values were not and were
        filled.
        """
        filled, count = fill_nonfinite(frame.rgb(window))
        linear, overflown = fill_nonfinite(self.colour.to_working(filled, self.space))
        return linear, count + overflown

    def compose(
        self, frame: Frame, ground: Ground, warped: Warped, placed: Placed, user: Float | None
    ) -> Composite:
        """Mix and lay out one frame; `user` is the user's matte (h, w) on the same window, where there is
        one.

        Raises:
            ModelInvalid: the network answered with values that are not finite.
        """
        matte = matte_of(warped, self.recipe, frame.number, user)
        face, hot = self._finish(frame, warped, matte)
        finished = self._from_working(face, ground.space)
        stored, raw = to_half(finished), to_half(self._from_working(warped.face_raw, ground.space))
        rows, columns = area = warped.window.slices(frame.data)
        planes = {channel: plane.copy() for channel, plane in ground.planes.items()}
        replaced = 0
        for i, channel in enumerate(layers.COLOUR):
            part = planes[channel][rows, columns]
            replaced += int(np.count_nonzero(~np.isfinite(part) & (matte > 0.0)))
            planes[channel][rows, columns] = layers.mix(part, stored[..., i], matte)
        notes = {
            "under the matte are brighter than the network can express and "
            + ("keep the plate's ratio" if self.recipe.keep_highlights else "were flattened"): hot,
            "of the face are beyond half float and were held at its largest": int(
                np.count_nonzero(np.abs(finished) > HALF_MAXIMUM)
            ),
            "under the matte are not finite in the plate: the face stands there alone": replaced,
        }
        return Composite(
            rgb=planes,
            layers=_laid_out(
                frame, area, face=stored, raw=raw, matte=matte, warped=warped, placed=placed, user=user
            ),
            box=_box(matte, warped.window),
            warnings=tuple(f"{count} values {what}" for what, count in notes.items() if count),
        )

    def _finish(self, frame: Frame, warped: Warped, matte: Float) -> tuple[Float, int]:
        """The face after highlights and blend, and how many pixels under the matte are too bright for the
        network.
        """
        if not np.isfinite(warped.face).all():
            raise ModelInvalid(
                f"frame {frame.number}: the model answered with values that are not finite; it is broken",
                frame=frame.number,
                field="model",
            )
        ratio = np.maximum(warped.plate.max(axis=-1) / np.float32(warped.brightest), np.float32(1.0))
        face = warped.face * ratio[..., None] if self.recipe.keep_highlights else warped.face
        return self.blend.finish(warped.plate, face, matte), int(
            np.count_nonzero((ratio > 1.0) & (matte > 0.0))
        )

    def _from_working(self, rgb: Float, space: str) -> Float:
        return rgb if space == self.colour.working else self.colour.from_working(rgb, space)


def _laid_out(
    frame: Frame,
    area: tuple[slice, slice],
    *,
    face: Array,
    raw: Array,
    matte: Float,
    warped: Warped,
    placed: Placed,
    user: Float | None,
) -> dict[str, Array]:
    """Every layer over the data window: what was computed on the footprint, and nothing elsewhere."""
    valid = warped.mattes["mask_valid"]
    uv = warp.uv(placed.alignment, warped.window)
    parts: dict[str, Array] = {
        **{f"face.{c}": face[..., i] for i, c in enumerate(layers.COLOUR)},
        "face.A": valid,
        **{f"face_raw.{c}": raw[..., i] for i, c in enumerate(layers.COLOUR)},
        "mask_blend.A": matte,
        **{f"{name}.A": plane for name, plane in warped.mattes.items()},
        **({} if user is None else {"mask_user.A": user}),
        "uv.u": uv[..., 0],
        "uv.v": uv[..., 1],
    }
    planes = layers.empty(frame.data, user=user is not None)
    for name, part in parts.items():
        planes[name][area] = part
    return planes


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
