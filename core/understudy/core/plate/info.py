"""What a TD asks first of a plate, told by its headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

from understudy.core.errors import FrameMissing, FrameUnreadable
from understudy.core.frames import FrameRange, Window
from understudy.core.pipeline import overlapped
from understudy.core.plate.facts import (
    Difference,
    Facts,
    differences,
    facts,
    files,
    follows,
    opened,
    printable,
    type_name,
)
from understudy.core.plate.find import Plate
from understudy.core.plate.header import Header
from understudy.core.plate.hints import guess_colour_space
from understudy.core.plate.metadata import Typed
from understudy.core.plate.timing import KEYCODE_KEY, Timecode, rate
from understudy.core.plate.views import MONO, header_of, names

LINE_ORDERS = ("increasing", "decreasing", "random")  # OpenEXR's numbers for them
_AHEAD = 8  # headers read at once: what they wait for is the file server


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Channels with one prefix.

    Attributes:
        name: empty for channels without one: R, G, B, A.
        channels: name without the layer's → `half`, `float`, `uint`; `uint8` or `uint16` for the codes of a DPX.
    """

    name: str
    channels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A picture of its own in each file; most files have one.

    Attributes:
        name, view: empty where the file does not say.
        tiles: sides of the tiles in pixels; None is scanlines.
        line_order: `increasing`, `decreasing` or `random`; empty for DPX.
    """

    name: str
    view: str
    display: Window
    data: Window
    pixel_aspect: float
    layers: tuple[Layer, ...]
    compression: str
    lossy: bool
    tiles: tuple[int, int] | None
    line_order: str


@dataclass(frozen=True, kw_only=True)
class DpxCoding:
    """How a DPX keeps its code values (SMPTE ST 268-1).

    Attributes:
        bits: 8, 10, 12 or 16.
        packing: `Packed`, `Filled, method A` (padding at the low end of the word) or `Filled, method B` (at its
            high end); empty where the header says none of them.
        endian: `big` or `little`.
        transfer: the characteristic that the header names; empty where it names none.
    """

    bits: int
    packing: str
    endian: str
    transfer: str


@dataclass(frozen=True, kw_only=True)
class Colour:
    """What headers say of colour; they lie often.

    Attributes:
        guess: what `guess_colour_space` makes of it, or None.
        interop_id: `colorInteropID`, or empty.
        chromaticities: x, y of red, green, blue and white (CIE 1931), or none.
    """

    guess: str | None
    interop_id: str
    chromaticities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Break:
    """A frame whose timecode is not the one after that of the last frame before it that has one."""

    frame: int
    timecode: Timecode
    before: Timecode


@dataclass(frozen=True, kw_only=True)
class Slate:
    """Where the picture comes from; each may be empty."""

    reel: str
    key_code: str
    camera: str
    lens: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class Differing:
    """The frames in which something is not the first frame's, and how it is on the first of them."""

    frames: FrameRange
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class PlateInfo:
    """A plate as its files describe themselves: windows, channels, codec and slate are the first readable frame's.

    Attributes:
        plate: as it was found.
        size: in bytes, of the frames whose header can be read.
        format: `openexr` or `dpx`; empty where no header can be read: then most of the rest is too.
        views: names, the default one first; none for a mono plate.
        parts: of a file; where each view has files of its own, of all of them.
        first_timecode, last_timecode: of the first and the last frame that has one.
        timecode_break: the first one.
        rate: frames a second; None where the headers do not say.
        differing: in what frames are not like the first one.
        unreadable: frame → why its header cannot be read.
    """

    plate: Plate
    size: int
    format: str
    views: tuple[str, ...]
    parts: tuple[Part, ...]
    dpx: DpxCoding | None
    colour: Colour
    first_timecode: Timecode | None
    last_timecode: Timecode | None
    timecode_break: Break | None
    rate: Fraction | None
    slate: Slate
    differing: tuple[Differing, ...]
    unreadable: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class _Read:
    """One frame's files: their size, and their headers or why there are none."""

    number: int
    size: int = 0
    headers: Mapping[str, Header] = field(default_factory=dict)
    error: str = ""


def _read(plate: Plate, number: int) -> _Read:
    paths = files(plate, number)
    try:
        headers = {view: opened(path, number) for view, path in paths.items()}
        size = sum(path.stat().st_size for path in paths.values())
    except (FrameMissing, FrameUnreadable, OSError) as error:  # two of them if a frame goes while we look
        return _Read(number=number, error=str(error))
    return _Read(number=number, size=size, headers=headers)


class _Gathered:
    """What is told of all frames, while they come in order."""

    def __init__(self, plate: Plate) -> None:
        self.plate = plate
        self.size = 0
        self.first: Mapping[str, Header] = {}
        self._facts: Facts = {}
        self._differing: dict[str, tuple[Difference, list[int]]] = {}
        self.timecodes: list[tuple[int, Timecode]] = []
        self.timecode_break: Break | None = None
        self.unreadable: dict[int, str] = {}

    def add(self, read: _Read) -> None:
        self.size += read.size
        if read.error:
            self.unreadable[read.number] = read.error
            return
        found = facts(read.headers)
        if not self.first:
            self.first, self._facts = read.headers, found
        for difference in differences(self._facts, found):
            self._differing.setdefault(difference.what, (difference, []))[1].append(read.number)
        metadata = next(iter(read.headers.values())).metadata
        timecode = Timecode.from_header(metadata)
        if timecode is not None:
            self._timed(read.number, timecode, rate(metadata))

    def _timed(self, number: int, timecode: Timecode, per_second: Fraction | None) -> None:
        """Keep the first timecode and the latest, and note where they break."""
        if self.timecodes and self.timecode_break is None:
            last, before = self.timecodes[-1]
            if not follows(before, timecode, number - last, per_second):
                self.timecode_break = Break(frame=number, timecode=timecode, before=before)
        self.timecodes[1:] = [(number, timecode)]

    @property
    def differing(self) -> tuple[Differing, ...]:
        return tuple(
            Differing(frames=FrameRange.from_frames(numbers), difference=difference)
            for difference, numbers in self._differing.values()
        )


def describe(plate: Plate) -> PlateInfo:
    """Read the headers of all frames on disk. Memory does not grow with them, but by the numbers of those that differ.

    Raises:
        InvalidInput: the plate's `views` has one that the files have not.
    """
    gathered = _Gathered(plate)
    with closing(overlapped(plate.present, partial(_read, plate), gathered.add, _done, ahead=_AHEAD)) as read:
        for _ in read:
            pass
    first = next(iter(gathered.first.values()), None)
    metadata: Mapping[str, Any] = first.metadata if first else {}
    timecodes = [timecode for _, timecode in gathered.timecodes]
    return PlateInfo(
        plate=plate,
        size=gathered.size,
        format=first.format if first else "",
        views=_views(plate, first),
        parts=tuple(_parts(plate, gathered.first)),
        dpx=_dpx(first),
        colour=_colour(first),
        first_timecode=timecodes[0] if timecodes else None,
        last_timecode=timecodes[-1] if timecodes else None,
        timecode_break=gathered.timecode_break,
        rate=rate(metadata),
        slate=_slate(metadata),
        differing=gathered.differing,
        unreadable=gathered.unreadable,
    )


def _done(_: None) -> None:
    """Nothing is written."""


def _views(plate: Plate, header: Header | None) -> tuple[str, ...]:
    if plate.template.has_view or header is None:
        return plate.views
    for view in plate.views:
        header_of(header, view)
    return plate.views or tuple(printable(view) for view in names(header) if view != MONO)


def _parts(plate: Plate, headers: Mapping[str, Header]) -> Iterator[Part]:
    """Those of the views that are asked for, and those of none."""
    for of_file, header in headers.items():
        for part in (_part(each, of_file) for each in (header, *header.others)):
            if not plate.views or part.view in (MONO, *plate.views):
                yield part


def _part(part: Header, of_file: str) -> Part:
    """`of_file` is the view that the file's name says."""
    view = part.metadata.get("view", of_file)
    layers: dict[str, dict[str, str]] = {}
    for name, kind in part.channels.items():
        layer, _, channel = printable(name).rpartition(".")
        layers.setdefault(layer, {})[channel] = type_name(kind)
    return Part(
        name=printable(part.name),
        view=printable(view) if isinstance(view, str) else of_file,
        display=part.display,
        data=part.data,
        pixel_aspect=part.pixel_aspect,
        layers=tuple(Layer(name=name, channels=_in_order(channels)) for name, channels in layers.items()),
        compression=part.compression,
        lossy=part.lossy,
        tiles=part.tiles,
        line_order=_line_order(part),
    )


def _in_order(channels: Mapping[str, str]) -> dict[str, str]:
    """R, G, B and A first: the file's order is by name."""
    rgba = [name for name in "RGBA" if name in channels]
    return {name: channels[name] for name in (*rgba, *(n for n in channels if n not in rgba))}


def _line_order(part: Header) -> str:
    (code,) = _values(part.metadata, "lineOrder", "lineOrder") or (-1,)
    return dict(enumerate(LINE_ORDERS)).get(int(code), "")


def _values(metadata: Mapping[str, Any], name: str, kind: str) -> tuple[Any, ...]:
    """The numbers of an entry; none where it is not there, or malformed."""
    entry = metadata.get(name)
    return (
        entry.value
        if isinstance(entry, Typed) and entry.type == kind and isinstance(entry.value, tuple)
        else ()
    )


def _colour(header: Header | None) -> Colour:
    metadata = header.metadata if header else {}
    interop = metadata.get("colorInteropID")
    guess = guess_colour_space(header) if header else None
    return Colour(
        guess=printable(guess) if guess else None,
        interop_id=printable(interop) if isinstance(interop, str) else "",
        chromaticities=tuple(map(float, _values(metadata, "chromaticities", "chromaticities"))),
    )


def _slate(metadata: Mapping[str, Any]) -> Slate:
    """OpenEXR's standard attributes, or the fields of a DPX that mean the same."""

    def said(*names: str) -> str:
        words = (metadata.get(name) for name in names)
        return " ".join(printable(word.strip()) for word in words if isinstance(word, str) and word.strip())

    return Slate(
        reel=said("reelName"),
        key_code=_key_code(_values(metadata, KEYCODE_KEY, "keycode")),
        camera=said("cameraMake", "cameraModel", "cameraSerialNumber")
        or said("dpx:InputDevice", "dpx:InputDeviceSerialNumber"),
        lens=said("lensMake", "lensModel", "lensSerialNumber"),
        owner=said("owner"),
    )


def _key_code(values: tuple[Any, ...]) -> str:
    """As it is read off the film's edge (SMPTE ST 254): manufacturer, type, prefix, count, offset in perforations."""
    if not any(values):
        return ""
    maker, kind, prefix, count, offset = values[:5]
    return f"{maker:02d} {kind:02d} {prefix:06d} {count:04d}+{offset:02d}"


def _dpx(header: Header | None) -> DpxCoding | None:
    if header is None or header.format != "dpx":
        return None
    said = {name: str(header.metadata.get(f"dpx:{name}", "")) for name in ("Packing", "Endian", "Transfer")}
    return DpxCoding(
        bits=int(header.maximum).bit_length(),
        packing=said["Packing"],
        endian=said["Endian"],
        transfer=said["Transfer"],
    )
