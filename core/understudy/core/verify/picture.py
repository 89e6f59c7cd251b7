"""The picture of one view, checked: the plate's bits outside the matte, the mix of plate and face inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from understudy.core.colour import ColourConfig
from understudy.core.frames import Array, Frame, Window
from understudy.core.located import Located, Mask
from understudy.core.merge import layers

_MATTE = "mask_blend.A"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One view of a finished frame.

    Attributes:
        made, plate: the view as `plate.views.select` gives it.
        beside: the planes among which its layers are, over the same data window; empty where it has none.
        prefixes: what the layers' names of each swapped person begin with, in the order in which they were laid on.
        boxes: what each one's swap changed at most, where there are no layers to tell.
        space: the plate's colour space; empty where the file has no say, being a copy.
        linearised: whether the file says that it is in another space than the plate.
        config, config_id: the colour config that it says it was linearised with.
        faces: how many swapped faces it says that it holds.
    """

    made: Frame
    plate: Frame
    beside: Mapping[str, Array]
    prefixes: tuple[str, ...]
    boxes: tuple[Window, ...]
    space: str
    linearised: bool
    config: str
    config_id: str
    faces: int
    colour: ColourConfig

    def faults(self) -> Iterator[str]:
        """What is wrong, in words."""
        if self.made.data != self.plate.data:
            return  # said already
        ground = self._ground()
        if isinstance(ground, str):
            yield ground
            return
        mattes = {each: self.beside[each + _MATTE] for each in self.prefixes if each + _MATTE in self.beside}
        if mattes and (lost := [each for each in self.prefixes if each not in mattes]):
            yield f"channel {lost[0]}{_MATTE} is not there, the mix rule cannot be checked"
            return
        inside = np.any([matte != 0 for matte in mattes.values()], axis=0) if mattes else self._within_boxes()
        where = "outside mask_blend" if mattes else "outside the box of the swap"
        yield from self._outside(ground, inside, where)
        for name in layers.COLOUR:
            bad = inside & ~np.isfinite(self.made.planes[name])
            yield from differing(self.made, name, bad, "inside are not finite")
        if mattes and inside.any():
            yield from self._mixed(ground, mattes, inside)

    def _ground(self) -> layers.Ground | str:
        """What the finished picture must have started from, or why that cannot be told."""
        missing = [name for name in layers.COLOUR if name not in self.made.planes]
        if missing:
            return f"channel {missing[0]} is not there"
        if self.made.maximum != 1.0 or not self.space:  # codes, or a copy: as it is
            return layers.Ground(planes={c: self.plate.planes[c] for c in layers.COLOUR}, space="")
        if self.linearised and self.config_id not in ("", self.colour.cache_id):
            return f"it was linearised with the colour config {self.config} ({self.config_id}); verify with that one"
        return layers.ground(self.plate, self.space, self.colour)

    def _outside(self, ground: layers.Ground, inside: Mask, where: str) -> Iterator[str]:
        for name in layers.COLOUR:
            found, expected = self.made.planes[name], ground.planes[name]
            if found.dtype != expected.dtype:
                yield f"channel {name} is {found.dtype}, it should be {expected.dtype}"
                continue
            bad = (bits(found) != bits(expected)) & ~inside
            yield from differing(self.made, name, bad, f"{where} differ from the plate", expected)

    def _mixed(self, ground: layers.Ground, mattes: Mapping[str, Array], inside: Mask) -> Iterator[str]:
        """One unit in the last place, or one code value, is what another's rounding may differ by."""
        if faults := [fault for each, matte in mattes.items() for fault in self._unusable(each, matte)]:
            yield from faults
            return
        codes = self.made.maximum != 1.0
        start = layers.ground(self.plate, self.space, self.colour) if codes else ground
        expected = {name: self._mix(start.planes[name], name, mattes) for name in layers.COLOUR}
        if codes:
            expected, _ = layers.encoded(self.plate, expected, inside, self.space, self.colour)
        for name, mixed in expected.items():
            with np.errstate(invalid="ignore"):
                most = np.nextafter(np.finfo(mixed.dtype).max, mixed.dtype.type(0)) if not codes else 1
                allowed = 1.0 if codes else np.spacing(np.minimum(np.abs(mixed), most)).astype(np.float64)
                apart = np.abs(self.made.planes[name].astype(np.float64) - mixed)
            bad = inside & ~(apart <= allowed)
            rule = "inside are not plate * (1 - mask_blend) + face * mask_blend"
            if len(mattes) > 1:
                rule += f", person by person ({', '.join(each + 'face' for each in mattes)})"
            yield from differing(self.made, name, bad, rule, mixed)

    def _unusable(self, prefix: str, matte: Array) -> Iterator[str]:
        """What forbids to mix one person's face in."""
        if lost := [c for c in layers.COLOUR if f"{prefix}face.{c}" not in self.beside]:
            yield f"channel {prefix}face.{lost[0]} is not there, the mix rule cannot be checked"
        if strange := Located.of(np.asarray(~((matte >= 0) & (matte <= 1))), self.made.data):
            yield f"channel {prefix}{_MATTE}: {strange.count} pixels are not from 0 to 1, {strange}"

    def _mix(self, plane: Array, name: str, mattes: Mapping[str, Array]) -> Array:
        """(H, W) the published rule, person by person: in float32, of the stored values, each time rounded once to
        their type.
        """
        mixed = plane.copy()
        for prefix, matte in mattes.items():
            inside = matte != 0
            face = self.beside[f"{prefix}face.{name}"]
            p, f, m = (a[inside].astype(np.float32) for a in (mixed, face, matte))
            p = np.where(np.isfinite(p), p, f)  # there the face stands alone
            with np.errstate(
                invalid="ignore", over="ignore"
            ):  # a layer that is not finite shows in the result
                mixed[inside] = (p * (np.float32(1.0) - m) + f * m).astype(plane.dtype)
        return mixed

    def _within_boxes(self) -> Mask:
        """Inside the boxes; nowhere where there is none."""
        inside = np.zeros((self.made.data.height, self.made.data.width), bool)
        for box in self.boxes:
            if not box.empty:
                inside[box.intersect(self.made.data).slices(self.made.data)] = True
        return inside


def differing(made: Frame, name: str, bad: Mask, what: str, expected: Array | None = None) -> Iterator[str]:
    """The pixels of a channel that are wrong, in words; nothing where none are."""
    if at := Located.of(bad, made.data):
        row, column = at.y - made.data.y, at.x - made.data.x
        instead = "" if expected is None else f" instead of {expected[row, column]}"
        yield f"channel {name}: {at.count} pixels {what}, {at}: {made.planes[name][row, column]}{instead}"


def bits(plane: Array) -> Array:
    """The stored bits, so that NaN equals itself and -0 is not 0."""
    return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")
