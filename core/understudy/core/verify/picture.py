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
        box: what the swap changed at most, where there are no layers to tell.
        space: the plate's colour space; empty where the file has no say, being a copy.
        linearised: whether the file says that it is in another space than the plate.
        config, config_id: the colour config that it says it was linearised with.
        swapped: whether it says that it holds a swapped face.
    """

    made: Frame
    plate: Frame
    beside: Mapping[str, Array]
    box: Window
    space: str
    linearised: bool
    config: str
    config_id: str
    swapped: bool
    colour: ColourConfig

    def faults(self) -> Iterator[str]:
        """What is wrong, in words."""
        if self.made.data != self.plate.data:
            return  # said already
        ground = self._ground()
        if isinstance(ground, str):
            yield ground
            return
        matte = self.beside.get(_MATTE)
        inside = self._box() if matte is None else matte != 0
        where = "outside mask_blend" if matte is not None else "outside the box of the swap"
        yield from self._outside(ground, inside, where)
        for name in layers.COLOUR:
            bad = inside & ~np.isfinite(self.made.planes[name])
            yield from differing(self.made, name, bad, "inside are not finite")
        if matte is not None and inside.any():
            yield from self._mixed(ground, matte, inside)

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

    def _mixed(self, ground: layers.Ground, matte: Array, inside: Mask) -> Iterator[str]:
        """One unit in the last place, or one code value, is what another's rounding may differ by."""
        if lost := [c for c in layers.COLOUR if f"face.{c}" not in self.beside]:
            yield f"channel face.{lost[0]} is not there, the mix rule cannot be checked"
            return
        if strange := Located.of(np.asarray(inside & ~((matte >= 0) & (matte <= 1))), self.made.data):
            yield f"channel {_MATTE}: {strange.count} pixels are not from 0 to 1, {strange}"
            return
        codes = self.made.maximum != 1.0
        start = layers.ground(self.plate, self.space, self.colour) if codes else ground
        expected = {name: self._mix(start.planes[name], name, matte, inside) for name in layers.COLOUR}
        if codes:
            expected, _ = layers.encoded(self.plate, expected, inside, self.space, self.colour)
        for name, mixed in expected.items():
            with np.errstate(invalid="ignore"):
                allowed = 1.0 if codes else np.spacing(np.abs(mixed)).astype(np.float64)
                apart = np.abs(self.made.planes[name].astype(np.float64) - mixed)
            bad = inside & ~(apart <= allowed)
            rule = "inside are not plate * (1 - mask_blend) + face * mask_blend"
            yield from differing(self.made, name, bad, rule, mixed)

    def _mix(self, plane: Array, name: str, matte: Array, inside: Mask) -> Array:
        """(H, W) the published rule where `inside`: in float32, of the stored values, rounded once to their type."""
        p, f, m = (a[inside].astype(np.float32) for a in (plane, self.beside[f"face.{name}"], matte))
        p = np.where(np.isfinite(p), p, f)  # there the face stands alone
        mixed = np.zeros_like(plane)
        with np.errstate(invalid="ignore", over="ignore"):  # a layer that is not finite shows in the result
            mixed[inside] = (p * (np.float32(1.0) - m) + f * m).astype(plane.dtype)
        return mixed

    def _box(self) -> Mask:
        """Inside the box; nowhere where there is none."""
        inside = np.zeros((self.made.data.height, self.made.data.width), bool)
        if not self.box.empty:
            inside[self.box.intersect(self.made.data).slices(self.made.data)] = True
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
