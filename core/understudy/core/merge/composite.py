"""The plate-space part of a frame: the aligned face goes back, is matted, mixed and laid out in layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from understudy.core import warp
from understudy.core.blend import Blend
from understudy.core.colour import ColourConfig
from understudy.core.errors import ModelInvalid
from understudy.core.faceset.beside import scaled
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import HALF_MAXIMUM, fill_nonfinite, to_half
from understudy.core.located import Located, Mask, Tally, by_channel
from understudy.core.merge import by_hand, layers, mattes
from understudy.core.merge.analysis import Placed
from understudy.core.merge.face_swap import Made
from understudy.core.merge.layers import Ground
from understudy.core.merge.recipe import Recipe

_MOST = np.float32(1e15)  # what filters can add up in float32; half ends far below it
_MASK = ""  # what the recipe makes of the mattes, among them
_AT_ONCE = 4  # mattes that OpenCV warps together


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """One view's swap, ready to be put on the plate pixels of `window`.

    Attributes:
        made: what the network gave, and the mattes, aligned.
        matched: (S, S, 3) its face after colour match, aligned.
        plate: (h, w, 3) the plate on `window`, scene-linear in the working space, non-finite values filled.
        said: layer → (h, w) what the user's mattes of a use say on `window`, as `by_hand.over` gives it.
    """

    placed: Placed
    window: Window
    made: Made
    matched: Float
    plate: Float
    said: dict[str, Float] = field(default_factory=dict)

    def warped(self, image: Float, window: Window, *, border: str = "replicate") -> Float:
        """An aligned image of any size on plate pixels; colour goes on beyond the crop's edge."""
        return warp.to_plate(image, scaled(self.placed.alignment, len(image)), window, border=border)


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


def matte_of(found: Mapping[str, Float], recipe: Recipe, frame: int, said: Mapping[str, Float]) -> Float:
    """The matte that is used (h, w), as a half layer stores it: the recipe's mask, eroded and feathered; what the
    user's mattes say; then the valid area and the opacity.
    """
    matte = mattes.shape(found[_MASK], recipe.erode.at(frame), recipe.feather.at(frame))
    matte = by_hand.join(matte, said)
    return mattes.settle(matte * found["mask_valid"] * np.float32(recipe.opacity.at(frame)))


@dataclass(frozen=True, kw_only=True)
class Compositor:
    """How the frames of one merge are put together.

    Attributes:
        space: the plate's colour space.
        layers: those that are made.
    """

    recipe: Recipe
    blend: Blend
    colour: ColourConfig
    space: str
    layers: tuple[str, ...] = layers.ALL

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

    def compose(self, frame: Frame, ground: Ground, swapped: Swapped) -> Composite:
        """Warp back, mix and lay out one view of a frame. The ground's planes are used up where they are not the
        plate's own.

        Raises:
            ModelInvalid: the network answered with values that are not finite.
        """
        if not np.isfinite(swapped.matched).all() or not np.isfinite(swapped.made.face).all():
            raise ModelInvalid(
                f"frame {frame.number}: the model answered with values that are not finite; it is broken",
                frame=frame.number,
                field="model",
            )
        window = swapped.window
        found = self._mattes(swapped)
        matte = matte_of(found, self.recipe, frame.number, swapped.said)
        box, tally = _box(matte, window), Tally()
        face = self.blend.finish(swapped.plate, self._face(swapped, matte, tally), matte)
        planes = {c: plane if plane.flags.writeable else plane.copy() for c, plane in ground.planes.items()}
        extra = layers.blank(frame.data, self.layers)
        masks = _masks(found, matte, swapped.said)
        for band in layers.bands(window):
            here, there = band.slices(window), band.slices(frame.data)
            finished = self._from_working(face[here], ground.space)
            _count_beyond(finished, band, tally)
            stored = to_half(finished)
            parts = {
                **{f"face.{c}": stored[..., i] for i, c in enumerate(layers.COLOUR)},
                **self._raw(swapped, band, ground.space),
                **{name: to_half(plane[here]) for name, plane in masks.items() if name in extra},
            }
            for name in extra.keys() & parts.keys():
                extra[name][there] = parts[name]
            inside = band.intersect(box)
            for i, channel in enumerate(layers.COLOUR if not inside.empty else ()):
                under, used = planes[channel][inside.slices(frame.data)], matte[inside.slices(window)]
                tally.count(f"lost {channel}", ~np.isfinite(under) & (used > 0.0), inside)
                under[...] = layers.mix(under, stored[..., i][inside.slices(band)], used)
        return Composite(
            rgb=planes,
            layers=extra,
            box=box,
            warnings=tuple(self._notes(tally, swapped.made.brightest)),
        )

    def _mattes(self, swapped: Swapped) -> dict[str, Float]:
        """The mask and the layers' mattes on the plate, (h, w) in [0, 1]; beyond the crop's edge they are 0."""
        made = swapped.made
        aligned = {_MASK: made.mask, "mask_valid": mattes.valid(swapped.placed.alignment.size)}
        aligned |= {f"mask_{n}": each for n, each in made.mattes.items() if f"mask_{n}" in self.layers}
        found: dict[str, Float] = {}
        for size in dict.fromkeys(map(len, aligned.values())):
            same = [name for name, each in aligned.items() if len(each) == size]
            for start in range(0, len(same), _AT_ONCE):
                found |= _together(swapped, {name: aligned[name] for name in same[start : start + _AT_ONCE]})
        return found

    def _raw(self, swapped: Swapped, band: Window, space: str) -> dict[str, Array]:
        """Of a band, the layers that owe nothing to matte and match."""
        parts: dict[str, Array] = {}
        if "face_raw" in self.layers:
            raw = to_half(self._from_working(swapped.warped(swapped.made.face, band), space))
            parts |= {f"face_raw.{c}": raw[..., i] for i, c in enumerate(layers.COLOUR)}
        if "uv" in self.layers:
            uv = warp.uv(swapped.placed.alignment, band)
            parts |= {"uv.u": uv[..., 0], "uv.v": uv[..., 1]}
        return parts

    def _face(self, swapped: Swapped, matte: Float, tally: Tally) -> Float:
        """(h, w, 3) the face on the plate, its highlights kept if they are to be; finite."""
        face = swapped.warped(swapped.matched, swapped.window)
        brightest = np.float32(swapped.made.brightest)
        for band in layers.bands(swapped.window):
            rows, _ = band.slices(swapped.window)
            red, green, blue = (swapped.plate[rows, :, i] for i in range(3))
            ratio = np.maximum(np.maximum(np.maximum(red, green), blue) / brightest, np.float32(1.0))
            hot = ratio > 1.0
            if hot.any():
                tally.count("hot", hot & (matte[rows] > 0.0), band)
                if self.recipe.keep_highlights:
                    face[rows] *= ratio[..., None]
        return face

    def _notes(self, tally: Tally, brightest: float) -> Iterator[str]:
        """What a person should know, in words."""
        became = "keep the plate's ratio" if self.recipe.keep_highlights else "were flattened"
        if at := tally.found.get("hot"):
            yield (
                f"{at.count} pixels under the matte are brighter than {brightest:.4g}, the most that the network can "
                f"express, and {became}, {at}"
            )
        for channel in layers.COLOUR:
            if at := tally.found.get(f"beyond {channel}"):
                yield (
                    f"{at.count} values of the face's {channel} are beyond half float and were held at "
                    f"{HALF_MAXIMUM:g}, {at}"
                )
        for channel in layers.COLOUR:
            if at := tally.found.get(f"lost {channel}"):
                yield (
                    f"{at.count} values of {channel} under the matte are not finite in the plate, {at}: the face "
                    "stands there alone"
                )

    def _from_working(self, rgb: Float, space: str) -> Float:
        return rgb if space == self.colour.working else self.colour.from_working(rgb, space)


def _count_beyond(finished: Float, band: Window, tally: Tally) -> None:
    if max(-finished.min(), finished.max()) > HALF_MAXIMUM:
        for i, channel in enumerate(layers.COLOUR):
            tally.count(f"beyond {channel}", np.abs(finished[..., i]) > HALF_MAXIMUM, band)


def _together(swapped: Swapped, aligned: Mapping[str, Float]) -> dict[str, Float]:
    """Mattes (R, R) of one size on the plate, (h, w) in [0, 1]."""
    images = list(aligned.values())
    stack = images[0] if len(images) == 1 else np.stack(images, axis=-1)  # OpenCV drops a last axis of one
    there = swapped.warped(stack, swapped.window, border="zero")
    np.clip(there, 0.0, 1.0, out=there)
    planes = [there] if len(images) == 1 else [there[..., i] for i in range(len(images))]
    return dict(zip(aligned, map(np.ascontiguousarray, planes), strict=True))


def _masks(found: Mapping[str, Float], matte: Float, said: Mapping[str, Float]) -> dict[str, Float]:
    """What the channels of one show."""
    return {
        "face.A": found["mask_valid"],
        "mask_blend.A": matte,
        **{f"{name}.A": plane for name, plane in {**found, **said}.items() if name != _MASK},
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
