"""`understudy plate`: what an image sequence is, whether it is whole, and a set of them to try a pipeline with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client.cli import options, printed
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import run
from understudy.client.specs import Plate
from understudy.v1 import plate_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Look into plates: what they are, and whether they are whole.")

FORMATS = {"openexr": "OpenEXR", "dpx": "DPX"}

Pattern = Annotated[str, typer.Argument(metavar="PLATE.####.exr")]


@app.command()
def info(
    context: typer.Context,
    *,
    plate: Pattern,
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    view: options.Views = None,
) -> None:
    """Tell what a plate is: frames and holes, windows, channels, codec, colour, timecode, rate.

    The headers of all frames are read, and no pixel. For a folder or a single file, says which sequences are there.
    """
    ours = State.of(context)
    given = Plate(plate, segments(frames, frames_dialect), views=view or ())
    with ours.session() as session:
        found = session.plate(given)
    ours.result("plate", found, lambda: card(found, printed.width()))


@app.command()
def check(
    context: typer.Context,
    *,
    plate: Pattern,
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    view: options.Views = None,
    detach: options.Detach = False,
) -> None:
    """Read every frame wholly: find broken and missing ones, NaN and Inf, stuck pictures, breaks of timecode.

    Exit code 2 when a frame is broken, 3 when one is missing. Warnings change nothing.
    """
    given = Plate(plate, segments(frames, frames_dialect), views=view or ())
    run(State.of(context), lambda session: session.check_plate(given), detach=detach, every_frame=True)


@app.command()
def torture(
    context: typer.Context,
    *,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Made where it is not there.")],
    detach: options.Detach = False,
) -> None:
    """Write small plates of every kind that a show may bring, to try a pipeline with."""
    run(State.of(context), lambda session: session.torture(folder), detach=detach)


def card(plate: pb.Plate, columns: int) -> str:
    """A plate for a person, in lines of at most `columns` characters where no single word is longer."""
    return printed.card(_rows(plate), columns)


def _rows(plate: pb.Plate) -> Iterator[tuple[str, str]]:
    """Label and text of each thing there is to tell."""
    yield "plate", plate.pattern
    yield "frames", f"{ranges.text(plate.frames)} ({plate.count} on disk, {size(plate.size_bytes)})"
    if plate.missing:
        yield "missing", ranges.text(plate.missing)
    if plate.views:
        yield "views", ", ".join(plate.views)
    if plate.HasField("dpx"):
        yield "DPX", _dpx(plate.dpx)
    for number, part in enumerate(plate.parts):
        yield from _part(part, plate.format, number if len(plate.parts) > 1 else None)
    if plate.format:
        yield "colour", _colour(plate.colour)
    if plate.HasField("timecode"):
        yield "timecode", _timecode(plate.timecode)
    if plate.HasField("rate"):
        yield "rate", _rate(plate.rate)
    slate = plate.slate
    named = (("reel", slate.reel), ("key code", slate.key_code), ("camera", slate.camera))
    for label, text in (*named, ("lens", slate.lens), ("owner", slate.owner)):
        if text:
            yield label, text
    for index, each in enumerate(plate.differences):
        on = f"{each.what} on {ranges.text(each.frames)}: {each.found}; on the first frame {each.expected}"
        yield "" if index else "differs", on
    for index, broken in enumerate(plate.unreadable):
        yield "" if index else "unreadable", broken.message


def _part(part: pb.PlatePart, kind: str, number: int | None) -> Iterator[tuple[str, str]]:
    """`number` is of the part, where a frame has several."""
    if number is not None:
        view = f"view {part.view}" if part.view else ""
        yield f"part {number}", ", ".join(filter(None, (part.name, view))) or "without a name"
    if kind != "dpx":
        yield "codec", _codec(part, kind)
    windows = f"display {window(part.display)}"
    windows += ", data window the same" if part.data == part.display else f", data {window(part.data)}"
    yield "windows", windows
    if part.pixel_aspect != 1:
        yield "pixel aspect", f"{part.pixel_aspect:g}"
    yield "channels", _channels(part.layers)


def _codec(part: pb.PlatePart, kind: str) -> str:
    lossy = " (lossy: its pixels are not what was rendered or shot)" if part.lossy else ""
    tiled = part.HasField("tiles")
    layout = f"tiles of {part.tiles.width}×{part.tiles.height}" if tiled else "scanlines"
    order = f", y {part.line_order}" if part.line_order not in ("", "increasing") else ""
    return f"{FORMATS.get(kind, kind)}, {part.compression}{lossy}, {layout}{order}"


def _channels(layers: Iterable[pb.PlateLayer]) -> str:
    """`half: R G B A, diffuse.R G B; float: depth.Z`."""
    by_type: dict[str, list[str]] = {}
    for layer in layers:
        prefix = f"{layer.name}." if layer.name else ""
        for kind, channels in groupby(layer.channels, key=lambda channel: channel.type):
            by_type.setdefault(kind, []).append(prefix + " ".join(channel.name for channel in channels))
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_type.items())


def _dpx(dpx: pb.DpxCoding) -> str:
    transfer = f", transfer {dpx.transfer}" if dpx.transfer else ""
    packing = f", {dpx.packing}" if dpx.packing else ""
    return f"{dpx.bits} bits{packing}, {dpx.endian}-endian{transfer}"


def _colour(colour: pb.PlateColour) -> str:
    said = [
        f"{colour.guess} by the header"
        if colour.guess
        else "the header does not say; name it when you work on it"
    ]
    if colour.interop_id and colour.interop_id != colour.guess:
        said.append(f"colorInteropID {colour.interop_id}")
    if colour.chromaticities:
        said.append(f"chromaticities {_primaries(colour.chromaticities)}")
    return "; ".join(said)


def _primaries(xy: Sequence[float]) -> str:
    pairs = zip(("R", "G", "B", "white"), xy[::2], xy[1::2])
    return ", ".join(f"{name} {x:.4g} {y:.4g}" for name, x, y in pairs)


def _timecode(timecode: pb.PlateTimecode) -> str:
    span = f"{timecode.first} to {timecode.last}"
    if timecode.continuous:
        return f"{span}, without a break"
    return f"{span}, broken: frame {timecode.break_frame} has {timecode.break_timecode} after {timecode.before_break}"


def _rate(rate: pb.Rational) -> str:
    if rate.denominator == 1:
        return f"{rate.numerator} frames a second"
    return f"{rate.numerator}/{rate.denominator} ({rate.numerator / rate.denominator:.3f}) frames a second"


def window(given: pb.PlateWindow) -> str:
    """`1920×1080`, with `at x, y` where it does not begin at 0, 0."""
    at = f" at {given.x}, {given.y}" if (given.x, given.y) != (0, 0) else ""
    return f"{given.width}×{given.height}{at}"


def size(count: int) -> str:
    """Bytes in decimal units, as disks and `ls` have them."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count} bytes"
