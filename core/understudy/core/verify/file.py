"""One finished file against its plate's: every part, every header entry and every channel beside the picture."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.frames import Frame, Window
from understudy.core.merge import headers, layers
from understudy.core.merge.outputs import layered
from understudy.core.plate import LOSSLESS, TIMECODE_KEY, Template, Timecode, Typed, dpx, exr, read
from understudy.core.plate.facts import window_text
from understudy.core.plate.metadata import carried, encode, same
from understudy.core.plate.views import MONO, names, select
from understudy.core.verify.picture import Picture, bits, differing

_SHOWN = 100  # characters of a header entry in a message


class File:
    """One finished file; each check yields what is wrong in words.

    Attributes:
        made, plate: the file and its plate's, with all parts.
        beside: what holds the layers: `made`, or the EXR beside a DPX.
        said: the header that has our keys: of `beside`.
        faces: how many views hold a swapped face, once `faults` has gone through.
    """

    def __init__(
        self,
        out: Template,
        source: Template,
        number: int,
        *,
        colour: ColourConfig,
        noted: Mapping[str, Mapping[str, Any]],
        digest: str | None,
    ) -> None:
        """From the manifest: view → its entry, which knows the box of what has no header of ours (`MONO` is for any
        view); and the frame's digest, by which layers beside a DPX are known to be its own.
        """
        self.made, self.plate = read(out, number), read(source, number)
        self._path, self._source = out.path(number), source.path(number)
        self.beside = layered(out, self.made, digest)
        self._copied = filecmp.cmp(self._path, self._source, shallow=False)
        # what a copy says of itself is an earlier pass's
        self.said = {} if self._copied and self.beside is self.made else headers.own(self.beside.metadata)
        self.faces = 0
        self._colour, self._noted = colour, noted

    def faults(self, files: tuple[str, ...]) -> Iterator[str]:
        """All that is wrong; `files` are the views whose files there are."""
        yield from self._identity(files)
        yield from self._coding()
        for index, (made, plate) in enumerate(zip(_parts(self.made), _parts(self._reference), strict=False)):
            part = f"part {plate.name or index}: " if self.plate.others else ""
            yield from (part + fault for fault in self._part(made, plate))
        yield from self._newcomers()
        asked = self._asked
        for view in names(self.plate):
            words = f"{view}: " if view else ""
            try:
                picture = self._picture(view, asked)
            except UnderstudyError as error:
                yield words + error.message
                continue
            yield from (words + fault for fault in picture.faults())
            self.faces += picture.faces

    @property
    def _codes(self) -> bool:
        """Whether the file holds codes, as DPX does, not numbers."""
        return self.made.maximum != 1.0

    @property
    def _reference(self) -> Frame:
        """The plate as it must be found again, but for its pictures."""
        return self.plate if self._codes else layers.as_exr(self.plate)

    @property
    def _present(self) -> set[str]:
        """The channels and parts of the plate, by which a cryptomatte's manifest lives on."""
        return {name for part in _parts(self.plate) for name in (part.name, *part.planes) if name}

    @property
    def _prefixes(self) -> tuple[str, ...]:
        """What the layers' names of each person begin with, in order."""
        _, *others = headers.people(self.said)
        return ("", *(f"{name}_" for name in others))

    @property
    def _layers(self) -> set[str]:
        """The channels of layers that may be there: those of every merge, and those that its header names."""
        said = str(self.said.get(headers.LAYERS, "")).split(",")
        found: set[str] = set()
        for prefix in self._prefixes:
            own = [name.removeprefix(prefix) for name in said if name.startswith(prefix)]
            named = {*layers.ALL, *filter(layers.is_layer, own)}
            found |= {prefix + name for name in layers.channels(named)}
        return found

    @property
    def _asked(self) -> list[str]:
        """The views of this file that were worked on."""
        there = names(self.plate)
        said = str(self.said.get(headers.VIEWS, "")).split(",")
        return [view for view in said if view in there] or list(there)

    def _identity(self, files: tuple[str, ...]) -> Iterator[str]:
        """The frame is the plate's, in all its views."""
        named = self.said.get(headers.PLATE_FRAME)
        if named is not None and named != self._source.name:
            yield f"its header says that it was made from {named}, not from {self._source.name}"
        said = str(self.said.get(headers.VIEWS, "")).split(",")
        if files != (MONO,) and (lacking := [view for view in said if view and view not in files]):
            yield f"its header says that there is a view {lacking[0]}, but no frame of it is on disk"
        lost = _parts(self.plate)[len(_parts(self.made)) :]
        yield from (f"part {part.name} of the plate is lost" for part in lost)

    def _coding(self) -> Iterator[str]:
        """What our writer promises and hosts read fastest, unless the file is the plate's own, byte for byte."""
        faults: list[str] = []
        with self._path.open("rb") as file:
            parts = exr.parse(file).parts if not self._codes else ()
        for part in parts:
            where = f"part {part.name}: " if len(parts) > 1 else ""
            kind = part.attributes.get("type")
            if kind != encode("scanlineimage"):
                said = kind.data.decode("latin-1") if kind else "not there"
                faults.append(f"{where}attribute type is {said}, it should be scanlineimage")
            if part.compression not in LOSSLESS:
                faults.append(f"{where}codec {part.compression} is none of {', '.join(LOSSLESS)}")
        if not self._copied:
            yield from faults

    def _part(self, made: Frame, plate: Frame) -> Iterator[str]:
        """One part: windows, all that its header says, and every channel beside the picture, bit for bit."""
        if made.name != plate.name:
            yield f"its name is {made.name!r}, the plate's is {plate.name!r}"
        for name in ("display", "data"):
            ours, theirs = getattr(made, name), getattr(plate, name)
            if ours != theirs:
                yield f"{name} window is {window_text(ours)}, the plate's is {window_text(theirs)}"
        if np.float32(made.pixel_aspect) != np.float32(plate.pixel_aspect):
            yield f"pixel aspect is {made.pixel_aspect}, the plate's is {plate.pixel_aspect}"
        kept = dpx.comparable(plate.metadata) if self._codes else carried(plate.metadata, self._present)
        found = dpx.comparable(made.metadata) if self._codes else made.metadata
        for name, value in kept.items():
            if name.startswith(headers.PREFIX):
                continue  # an earlier step's, and this step's to replace
            if name not in found:
                yield f"header entry {name} is lost"
            elif not same(value, found[name]):
                yield f"header entry {name} is {_short(found[name])}, the plate's is {_short(value)}"
        if made.data == plate.data:
            yield from self._channels(made, plate)

    def _channels(self, made: Frame, plate: Frame) -> Iterator[str]:
        pictures = _pictures(self.plate)
        for name, plane in plate.planes.items():
            if id(plane) in pictures:
                continue
            found = made.planes.get(name)
            if found is None:
                yield f"channel {name} of the plate is lost"
            elif found.dtype != plane.dtype:
                yield f"channel {name} is {found.dtype}, the plate's is {plane.dtype}"
            else:
                bad = np.asarray(bits(found) != bits(plane))
                yield from differing(made, name, bad, "differ from the plate", plane)

    def _newcomers(self) -> Iterator[str]:
        """Nothing but R, G, B and our layers has come in."""
        ours = _pictures(self.made)
        for view in names(self.made):
            planes = select(self.made, view).planes
            ours |= {id(planes[name]) for name in self._layers if name in planes}
        known = _parts(self._reference)
        for index, part in enumerate(_parts(self.made)):
            theirs = known[index].planes if index < len(known) else {}
            for name, plane in part.planes.items():
                if name not in theirs and id(plane) not in ours:
                    where = f"part {part.name}: " if self.made.others else ""
                    yield f"{where}channel {name} is neither the plate's nor one of our layers"

    def _picture(self, view: str, asked: list[str]) -> Picture:
        made, plate = select(self.made, view), select(self.plate, view)
        beside = made if self.beside is self.made else select(self.beside, MONO)
        boxes = self._boxes(view, asked) if view in asked else ()
        space = self.said.get(headers.PLATE_COLOUR)
        synthetic = self.said.get(headers.SYNTHETIC) == headers.REPLACED
        return Picture(
            made=made,
            plate=plate,
            beside=beside.planes if view in asked else {},
            prefixes=self._prefixes,
            boxes=boxes,
            space=space if isinstance(space, str) else "",
            linearised=self.said.get(headers.COLOUR) != space,
            config=str(self.said.get(headers.CONFIG, "")),
            config_id=str(self.said.get(headers.CONFIG_ID, "")),
            faces=sum(not box.empty for box in boxes) if synthetic else 0,
            colour=self._colour,
        )

    def _boxes(self, view: str, asked: list[str]) -> tuple[Window, ...]:
        """What each person's swap changed of a view at most; what has no header of ours is in the manifest."""
        keys = [headers.box_key(view, asked, person) for person in range(len(self._prefixes))]
        said = [json.loads(str(self.said[key])) for key in keys if key in self.said]
        if not said:
            noted = self._noted.get(view) or self._noted.get(MONO, {})
            said = [each.get("box", [0, 0, 0, 0]) for each in noted.get("people", {"": noted}).values()]
        return tuple(Window(*box) for box in said)


def _short(value: object) -> str:
    """As the entry reads, or the beginning of it."""
    text = repr(value)
    if isinstance(value, Typed):
        time = Timecode.from_header({TIMECODE_KEY: value})
        text = f"{value.type} {f'{time} ' if time else ''}{value.value!r}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _parts(frame: Frame) -> tuple[Frame, ...]:
    return (frame, *frame.others)


def _pictures(frame: Frame) -> set[int]:
    """Which planes of a file are R, G and B of a view; `select` hands on the planes themselves."""
    found = [select(frame, view).planes for view in names(frame)]
    return {id(planes[channel]) for planes in found for channel in layers.COLOUR if channel in planes}
