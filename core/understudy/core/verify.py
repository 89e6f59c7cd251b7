"""Proof on the finished frames themselves: is every promise of a merge kept, frame by frame?

Nothing is taken from the merge's memory: the output and the plate are read from disk, the plate is linearised again
where the merge had to, and the published mix rule is applied to the layers that a compositor will use.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator

import numpy as np
import numpy.typing as npt

from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, InvalidInput, UnderstudyError
from understudy.core.frames import Array, FrameRange, Window
from understudy.core.merge import headers, layers
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import layers_of
from understudy.core.plate import Template, dpx, find, read, read_header
from understudy.core.plate.metadata import carried, same
from understudy.core.reports import FrameReport, FrameStatus, Report, Started

REASON = "VERIFY_FAILED"
_MATTE = "mask_blend.A"
Mask = npt.NDArray[np.bool_]


def run(
    out: Template,
    frames: FrameRange | None = None,
    *,
    colour: ColourConfig,
    plate: Template | None = None,
) -> Generator[Report, None, None]:
    """Check finished frames against their plate; a report per frame: DONE, MISSING or FAILED with what is wrong.

    Checked are: frame identity, display and data window, pixel aspect, every header entry and channel of the
    plate; bits outside `mask_blend`; the mix rule and finite values inside. Without layers, bits outside the box that
    the header names. A fault names the channel, the first pixel in plate coordinates and how many there are.

    Args:
        frames: default: all of `out` on disk.
        colour: the config that the frames were made with; it matters where the plate had to be linearised.
        plate: default: the one that the frames' headers or the manifest name.

    Raises:
        NotFound: no frame of `out` is on disk.
        InvalidInput: nothing says which plate it was made from.
    """
    asked = frames if frames is not None else find(out.text).frames
    source = plate or plate_of(out, asked)
    yield Started(total=len(asked))
    for number in asked:
        yield _report(out, source, number, colour)


def plate_of(out: Template, frames: FrameRange) -> Template:
    """Which plate the frames say they were made from; a copied frame has no say, its neighbours have."""
    for template in (out, layers_of(out)):
        for number in frames:
            try:
                said = read_header(template.path(number)).metadata.get(headers.PLATE)
            except UnderstudyError:
                continue  # missing or broken: its own report will say so
            if isinstance(said, str):
                return Template.parse(said)
    said = Manifest(out=out).about().get("plate", {}).get("pattern")
    if isinstance(said, str):
        return Template.parse(said)
    raise InvalidInput(
        f"{out.hashes}: neither headers nor a manifest name the plate that it was made from; name it",
        field="plate",
        value=out.text,
    )


def _report(out: Template, source: Template, number: int, colour: ColourConfig) -> FrameReport:
    if not out.path(number).is_file():
        missing = FrameMissing(f"{out.path(number)}: frame {number} is not on disk", frame=number)
        return FrameReport(
            frame=number, status=FrameStatus.MISSING, reason=missing.reason, message=missing.message
        )
    try:
        check = _Check(out, source, number, colour)
        faults = [*check.identity(), *check.channels(), *check.picture()]
    except UnderstudyError as error:
        return FrameReport(
            frame=number, status=FrameStatus.FAILED, reason=error.reason, message=error.message
        )
    if faults:
        message = f"{out.path(number)}: frame {number}: " + "; ".join(faults)
        return FrameReport(frame=number, status=FrameStatus.FAILED, reason=REASON, message=message)
    return FrameReport(frame=number, status=FrameStatus.DONE, faces=int(check.swapped))


class _Check:
    """One frame's checks; each yields what is wrong in words.

    Attributes:
        made, plate: the finished frame and its plate.
        said: the header that has our keys: of `made`, or of the layers beside a DPX.
        swapped: whether it holds a swapped face.
    """

    def __init__(self, out: Template, source: Template, number: int, colour: ColourConfig) -> None:
        self.made = read(out, number)
        self.plate = read(source, number)
        self._source = source
        beside = layers_of(out)
        self._layers = read(beside, number) if beside.path(number).is_file() else self.made
        self.said = headers.own(self._layers.metadata)
        self.swapped = self.said.get(headers.SYNTHETIC) == "face_replacement"
        self._record = Manifest(out=out).record(number) or {}
        self._colour = colour

    def identity(self) -> Iterator[str]:
        """The frame is the plate's: number, windows, pixel aspect and all that its header says."""
        named = self.said.get(headers.PLATE_FRAME)
        expected = self._source.path(self.plate.number).name
        if named is not None and named != expected:
            yield f"its header says that it was made from {named}, not from {expected}"
        for name in ("display", "data"):
            ours, theirs = getattr(self.made, name), getattr(self.plate, name)
            if ours != theirs:
                yield f"{name} window is {ours}, the plate's is {theirs}"
        if np.float32(self.made.pixel_aspect) != np.float32(self.plate.pixel_aspect):
            yield f"pixel aspect is {self.made.pixel_aspect}, the plate's is {self.plate.pixel_aspect}"
        entries = (
            dpx.comparable(dpx.carried(self.plate))
            if self.made.maximum != 1.0
            else carried(layers.as_exr(self.plate).metadata, self.plate.planes)
        )
        for name, value in entries.items():
            if name.startswith(headers.PREFIX):
                continue  # an earlier step's, and this step's to replace
            if name not in self.made.metadata:
                yield f"header entry {name} is lost"
            elif not same(value, self.made.metadata[name]):
                yield f"header entry {name} is {self.made.metadata[name]!r}, the plate's is {value!r}"

    def channels(self) -> Iterator[str]:
        """Every channel of the plate beside the picture, bit for bit."""
        if self.made.data != self.plate.data:
            return  # said already
        asis = layers.arranged(self.plate, {}, {}) if self.made.maximum == 1.0 else self.plate.planes
        for name, plane in asis.items():
            if name in layers.COLOUR:
                continue
            found = self.made.planes.get(name)
            if found is None:
                yield f"channel {name} of the plate is lost"
            elif found.dtype != plane.dtype:
                yield f"channel {name} is {found.dtype}, the plate's is {plane.dtype}"
            else:
                yield from self._differing(
                    name, found, plane, _bits(found) != _bits(plane), "differ from the plate"
                )

    def picture(self) -> Iterator[str]:
        """R, G and B: the plate's bits outside the matte, the mix of plate and face inside."""
        if self.made.data != self.plate.data:
            return
        ground = self._ground()
        if isinstance(ground, str):
            yield ground
            return
        matte = self._layers.planes.get(_MATTE)
        inside = self._box() if matte is None else matte != 0
        where = "outside mask_blend" if matte is not None else "outside the box of the swap"
        yield from self._outside(ground, inside, where)
        for name in layers.COLOUR:
            plane = self.made.planes[name]
            yield from self._differing(
                name, plane, None, inside & ~np.isfinite(plane), "inside are not finite"
            )
        if matte is not None and inside.any():
            yield from self._mixed(ground, matte)

    def _ground(self) -> layers.Ground | str:
        """What the finished picture must have started from, or why that cannot be told."""
        missing = [name for name in layers.COLOUR if name not in self.made.planes]
        if missing:
            return f"channel {missing[0]} is not there"
        space = self.said.get(headers.PLATE_COLOUR)
        if self.made.maximum != 1.0 or not isinstance(space, str):  # a copy, or codes: as it is
            return layers.Ground(planes={c: self.plate.planes[c] for c in layers.COLOUR}, space="")
        if self.said.get(headers.COLOUR) != space and self.said.get(headers.CONFIG) != self._colour.source:
            return f"it was linearised with the colour config {self.said.get(headers.CONFIG)}; verify with that one"
        return layers.ground(self.plate, space, self._colour)

    def _outside(self, ground: layers.Ground, inside: Mask, where: str) -> Iterator[str]:
        for name in layers.COLOUR:
            found, expected = self.made.planes[name], ground.planes[name]
            if found.dtype != expected.dtype:
                yield f"channel {name} is {found.dtype}, it should be {expected.dtype}"
                continue
            bad = (_bits(found) != _bits(expected)) & ~inside
            yield from self._differing(name, found, expected, bad, f"{where} differ from the plate")

    def _mixed(self, ground: layers.Ground, matte: Array) -> Iterator[str]:
        """One unit in the last place, or one code value, is what another's rounding may differ by."""
        if lost := [c for c in layers.COLOUR if f"face.{c}" not in self._layers.planes]:
            yield f"channel face.{lost[0]} is not there, the mix rule cannot be checked"
            return
        face = {name: self._layers.planes[f"face.{name}"] for name in layers.COLOUR}
        codes = self.made.maximum != 1.0
        space = str(self.said[headers.PLATE_COLOUR])
        start = layers.ground(self.plate, space, self._colour) if codes else ground
        mixed = {name: layers.mix(start.planes[name], face[name], matte) for name in layers.COLOUR}
        if codes:
            mixed, _ = layers.encoded(self.plate, mixed, matte != 0, space, self._colour)
        for name, expected in mixed.items():
            found = self.made.planes[name]
            with np.errstate(invalid="ignore"):
                apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
                allowed = np.ones(1) if codes else np.spacing(np.abs(expected)).astype(np.float64)
            bad = (matte != 0) & np.isfinite(expected) & ~(apart <= allowed)
            rule = "inside are not plate * (1 - mask_blend) + face * mask_blend"
            yield from self._differing(name, found, expected, bad, rule)

    def _box(self) -> Mask:
        """Inside the box that the header names, or for a DPX the manifest; nowhere where there is none."""
        inside = np.zeros((self.made.data.height, self.made.data.width), bool)
        said = self.said.get(headers.BOX)
        box = Window(*(json.loads(said) if isinstance(said, str) else self._record.get("box", [0, 0, 0, 0])))
        if not box.empty:
            inside[box.slices(self.made.data)] = True
        return inside

    def _differing(
        self, name: str, found: Array, expected: Array | None, bad: Mask, what: str
    ) -> Iterator[str]:
        count = int(np.count_nonzero(bad))
        if count:
            row, column = (int(v) for v in np.argwhere(bad)[0])
            at = f"({self.made.data.x + column}, {self.made.data.y + row})"
            instead = "" if expected is None else f" instead of {expected[row, column]}"
            yield f"channel {name}: {count} pixels {what}, first at {at}: {found[row, column]}{instead}"


def _bits(plane: Array) -> Array:
    """The stored bits, so that NaN equals itself and -0 is not 0."""
    return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")
