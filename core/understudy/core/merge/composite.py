"""The plate-space part of a frame: the aligned face goes back, is mixed and laid out in layers.

A blend that takes the face as it is (`over`) has it made strip by strip, in the colour space of the file, and where no
layer shows more, under its matte only. Any other gets all of it at once, in the working space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from understudy.core import warp
from understudy.core.blend import finished, wants
from understudy.core.colour import ColourConfig
from understudy.core.errors import ModelInvalid
from understudy.core.faceset.beside import scaled
from understudy.core.finish import _stops
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import HALF_MAXIMUM, to_half
from understudy.core.located import Tally
from understudy.core.merge import layers, mattes
from understudy.core.merge.area import Area, Swapped, area_of, box_of, layered
from understudy.core.merge.finishing import Finished, Finishing, blend_of
from understudy.core.merge.layers import Ground
from understudy.core.merge.mattes import as_float

_CLASH = 0.5  # stops: a matched face needs less, and half as much is seen at once
_FEW = 4  # pixels each way, of which one is looked at


@dataclass(frozen=True, kw_only=True)
class Composite:
    """One finished frame's parts.

    Attributes:
        rgb: R, G and B over the whole data window, in the types of the ground.
        layers: the compositor's channels over the whole data window, half, `uv` float32.
        box: the smallest window that holds every pixel whose matte is not 0; empty where there is none.
        matte: (h, w) half, the matte on that box.
        warnings: what a person should know about this frame.
    """

    rgb: Mapping[str, Array]
    layers: Mapping[str, Array]
    box: Window
    matte: Array
    warnings: tuple[str, ...]


class _Face(Protocol):
    """What comes to the plate."""

    def over(self, band: Window) -> Float:
        """(h, w, 3) in the ground's colour space, the caller's own."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A face as it comes, made where it is asked for.

    Attributes:
        face: in the ground's colour space.
        lights: what is brighter than the network can say.
    """

    face: warp.Prepared
    lights: _Lights

    def over(self, band: Window) -> Float:
        return self.lights.kept(self.face.over(band), band)


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A face (h, w, 3) that is finished, on a window, in the working space."""

    face: Float
    window: Window
    colour: ColourConfig
    space: str

    def over(self, band: Window) -> Float:
        return _from_working(self.colour, self.face[band.slices(self.window)], self.space)


@dataclass(frozen=True, kw_only=True)
class _Lights:
    """Highlights of the plate that are brighter than the most that the network can say.

    Attributes:
        matte: (h, w) on the swap's window.
        tally: what is found under the matte is counted there.
    """

    swapped: Swapped
    matte: Float
    tally: Tally

    def kept(self, face: Float, band: Window) -> Float:
        """A band of the face (h, w, 3), its highlights kept if they are to be; written into."""
        brightest = np.float32(self.swapped.made.brightest)
        if self.swapped.plate.most <= brightest:
            return face
        rows = band.slices(self.swapped.window)
        red, green, blue = (self.swapped.plate.working[(*rows, i)] for i in range(3))
        ratio = np.maximum(np.maximum(np.maximum(red, green), blue) / brightest, np.float32(1.0))
        hot = ratio > 1.0
        if hot.any():
            self.tally.count("hot", hot & (self.matte[rows] > 0.0), band)
            if self.swapped.look.keep_highlights:
                face *= ratio[..., None]
        return face


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What the mix is made of.

    Attributes:
        window: what of the plate it covers.
        matte: (h, w) on the window, by which the face is mixed, as a half layer has it.
        grain: (h, w, 3) what was added of it, in the working space.
        moved: (3,) stops by which the blend moved the mean of R, G and B under the matte; None: it goes by no outline.
    """

    window: Window
    face: _Face
    matte: Float
    grain: Float | None = None
    moved: Float | None = None


@dataclass(frozen=True, kw_only=True)
class Compositor:
    """How the frames of one merge are put together.

    Attributes:
        space: the plate's colour space.
        layers: those that are made.
    """

    finishing: Finishing
    colour: ColourConfig
    space: str
    layers: tuple[str, ...] = layers.ALL

    def compose(self, frame: Frame, ground: Ground, swapped: Swapped) -> Composite:
        """Warp back, mix and lay out one view of a frame. The face is mixed into the ground's planes where they are
        its own, else into copies.

        Raises:
            ModelInvalid: the network answered with values that are not finite.
        """
        _refuse_broken(frame.number, swapped)
        planes, extra, tally = _taken(ground), layers.blank(frame.data, self.layers), Tally()
        shown = self._shown(swapped, ground.space, tally)
        near, box = shown.window, box_of(shown.matte, shown.window)
        if extra and not swapped.window.empty:
            sheets = self._sheets(swapped, shown, ground.space)
            for band in layers.bands(swapped.window):
                _fill(extra, frame.data, band, sheets.over(band))
        for band in layers.bands(box):
            rgb, used = shown.face.over(band), shown.matte[band.slices(near)]
            _count_beyond(rgb, band, tally)
            stored = _stored(rgb)
            under = [planes[channel][band.slices(frame.data)] for channel in layers.COLOUR]
            if swapped.plate.most == np.inf:
                _count_lost(under, used, band, tally)
            for plate, face in zip(under, stored, strict=True):
                plate[...] = layers.mix(plate, face, used)
            _fill(extra, frame.data, band, _channels("face", stored))
        return Composite(
            rgb=planes,
            layers=extra,
            box=box,
            matte=to_half(shown.matte[box.slices(near)]),
            warnings=(*_notes(tally, swapped), *_drawn(shown.moved, swapped.look.blend)),
        )

    def _is_plain(self, swapped: Swapped) -> bool:
        """Whether the face goes to the plate as it is, pixel by pixel."""
        look = swapped.look
        idle = self.finishing.is_idle_on_plate(look, swapped.placed.face.frame)
        return idle and wants(blend_of(look.blend)).pointwise

    def _shown(self, swapped: Swapped, space: str, tally: Tally) -> _Shown:
        """What is mixed; of a face that goes to the plate as it is, no more than lies under its matte, whatever the
        layers show, so that the picture is the same bits with and without.
        """
        plain = self._is_plain(swapped)
        swapped = swapped.within(swapped.near if plain else swapped.window)
        window = swapped.window
        if window.empty:
            nothing = np.zeros((window.height, window.width, 3), np.float32)
            face = _Made(face=nothing, window=window, colour=self.colour, space=space)
            return _Shown(window=window, face=face, matte=nothing[..., 0])
        area = area_of(swapped)
        matte = area.matte
        lights = _Lights(swapped=swapped, matte=matte, tally=tally)
        if plain:
            there = _Placed(face=self._placed(swapped, swapped.face, space), lights=lights)
            return _Shown(window=window, face=there, matte=matte)
        made, moved = self._finished(swapped, area, matte, lights)
        face = _Made(face=made.face, window=window, colour=self.colour, space=space)
        return _Shown(window=window, face=face, matte=made.matte, grain=made.grain, moved=moved)

    def _placed(self, swapped: Swapped, aligned: Float, space: str) -> warp.Prepared:
        """A face (S, S, 3) in the working space, to be sampled on the plate, in a colour space that a matrix leads to.
        Its colour goes on beyond the crop's edge.
        """
        there = _from_working(self.colour, aligned, space)
        return warp.onto_plate(there, scaled(swapped.alignment, len(aligned)), border="replicate")

    def _finished(
        self, swapped: Swapped, area: Area, matte: Float, lights: _Lights
    ) -> tuple[Finished, Float | None]:
        """The face on the plate, blended and finished; and the matte by which it is mixed, as a half layer has it.
        Beside them `_Shown.moved`.
        """
        look, window = swapped.look, swapped.window
        face = self._placed(swapped, swapped.face, self.colour.working).over(window)
        for band in layers.bands(window):
            rows = band.slices(window)
            lights.kept(face[rows], band)
        before, blend = face, blend_of(look.blend)
        face = finished(blend, swapped.plate.working, face, matte, lambda: area.outline)
        moved = _moved(before, face, matte, swapped.placed.gain) if wants(blend).whole else None

        def mixed(whole: Float) -> Float:
            return matte if whole is area.whole else replace(area, whole=whole).matte

        made = self.finishing.on_plate(
            face,
            area.whole,
            mixed,
            look,
            placed=swapped.placed,
            view=swapped.view,
            window=window,
        )
        return made, moved

    def _sheets(self, swapped: Swapped, shown: _Shown, space: str) -> _Sheets:
        """What the layers show on the swap's window."""
        asked, window = set(self.layers), swapped.window
        matte = np.zeros((window.height, window.width), np.float32)
        matte[shown.window.slices(window)] = shown.matte
        valid = mattes.valid(swapped.alignment, window)
        found = {
            **layered(swapped, asked),
            **swapped.said,
            "face": valid,
            "mask_valid": valid,
            "mask_blend": matte,
        }
        colours: dict[str, _Face] = {"face": shown.face}
        if shown.window != window:
            lights = _Lights(swapped=swapped, matte=matte, tally=Tally())
            colours["face"] = _Placed(face=self._placed(swapped, swapped.face, space), lights=lights)
        if "face_raw" in asked:
            colours["face_raw"] = self._placed(swapped, swapped.made.face, space)
        if shown.grain is not None:
            colours["grain"] = _Made(face=shown.grain, window=window, colour=self.colour, space=space)
        return _Sheets(
            swapped=swapped,
            mattes={name: each for name, each in found.items() if name in asked},
            colours={name: each for name, each in colours.items() if name in asked},
            uv="uv" in asked,
        )


@dataclass(frozen=True, kw_only=True)
class _Sheets:
    """The layers beside the face's colours.

    Attributes:
        mattes: layer → (h, w) on the swap's window.
        colours: layer → its R, G and B, in the ground's colour space.
        uv: whether that is one.
    """

    swapped: Swapped
    mattes: Mapping[str, Float]
    colours: Mapping[str, _Face]
    uv: bool

    def over(self, band: Window) -> dict[str, Array]:
        """Channel → (h, w) as stored."""
        rows = band.slices(self.swapped.window)
        parts: dict[str, Array] = {f"{name}.A": to_half(each[rows]) for name, each in self.mattes.items()}
        for name, each in self.colours.items():
            parts |= _channels(name, _stored(each.over(band)))
        if self.uv:
            uv = warp.uv(self.swapped.alignment, band)
            parts |= {"uv.u": uv[..., 0], "uv.v": uv[..., 1]}
        return parts


def _from_working(colour: ColourConfig, rgb: Float, space: str) -> Float:
    return rgb if space == colour.working else colour.from_working(rgb, space)


def _taken(ground: Ground) -> dict[str, Array]:
    """R, G and B to be written into."""
    return {channel: plane if ground.own else plane.copy() for channel, plane in ground.planes.items()}


def _fill(extra: Mapping[str, Array], data: Window, band: Window, parts: Mapping[str, Array]) -> None:
    """Write a band of the layers."""
    there = band.slices(data)
    for name in extra.keys() & parts.keys():
        extra[name][there] = parts[name]


def _count_lost(under: Sequence[Array], matte: Float, inside: Window, tally: Tally) -> None:
    for channel, plate in zip(layers.COLOUR, under, strict=True):
        tally.count(f"lost {channel}", ~np.isfinite(plate) & (matte > 0.0), inside)


def _channels(layer: str, planes: Sequence[Array]) -> dict[str, Array]:
    """R, G and B as the channels of a layer."""
    return {f"{layer}.{channel}": plane for channel, plane in zip(layers.COLOUR, planes, strict=True)}


def _stored(rgb: Float) -> list[Array]:
    """(h, w, 3) → R, G and B (h, w), as a half layer stores them."""
    return [to_half(as_float(np.asarray(plane))) for plane in cv2.split(rgb)]


def _refuse_broken(number: int, swapped: Swapped) -> None:
    if not np.isfinite(swapped.face).all() or not np.isfinite(swapped.made.painted).all():
        raise ModelInvalid(
            f"frame {number}: the model answered with values that are not finite; it is broken",
            frame=number,
            field="model",
        )


def _notes(tally: Tally, swapped: Swapped) -> Iterator[str]:
    """What a person should know, in words."""
    became = "keep the plate's ratio" if swapped.look.keep_highlights else "were flattened"
    brightest = swapped.made.brightest
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


def _moved(before: Float, after: Float, matte: Float, gain: float) -> Float | None:
    """(3,) stops between the means of two pictures (h, w, 3) where a matte (h, w) is more than a half; None: nowhere.

    Every fourth pixel each way tells as much.
    """
    few = (slice(None, None, _FEW), slice(None, None, _FEW))
    inside = matte[few] > 0.5
    if not inside.any():
        return None
    old, new = (_stops.encode(each[few][inside] * np.float32(gain)).mean(axis=0) for each in (before, after))
    return np.asarray(new - old, np.float32)


def _drawn(moved: Float | None, blend: str) -> Iterator[str]:
    """What a person should know where a blend's correction is no correction of skin."""
    if moved is not None and float(np.abs(moved).max()) > _CLASH:
        by = ", ".join(f"{name} {stops:+.2f}" for name, stops in zip(layers.COLOUR, moved, strict=True))
        yield (
            f"{blend} moves the face's mean by more than {_CLASH:g} stops ({by}): the matte's edge lies on other "
            "things than skin, or in other light; erode it, leave hull out of the mask, or blend by over"
        )


def _count_beyond(finished: Float, band: Window, tally: Tally) -> None:
    if max(-finished.min(), finished.max()) > HALF_MAXIMUM:
        for i, channel in enumerate(layers.COLOUR):
            tally.count(f"beyond {channel}", np.abs(finished[..., i]) > HALF_MAXIMUM, band)
