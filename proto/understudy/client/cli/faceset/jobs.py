"""Jobs on facesets: `measure`, `sheet`, `coverage`, `pack`, `unpack`, `resize`, `import`, `export`, `join`."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which
from understudy.client.cli.follow import run

Out = Annotated[str, typer.Option("--out", metavar="FACESET", help="The new folder.")]


def measure(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    key: Annotated[
        options.Texts,
        typer.Option("--key", metavar="KEY", help="Sort key; again for more. Default: all without weights."),
    ] = None,
    reference: which.Reference = "",
    identity: which.Identity = "",
    detach: options.Detach = False,
) -> None:
    """Measure what sorting needs of every face's pixels, once. The numbers are kept beside the faces."""
    run(
        State.of(context),
        lambda session: session.measure_faceset(
            faceset, keys=key or (), reference=reference, identity=identity
        ),
        detach=detach,
    )


def sheet(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    out: Annotated[str, typer.Option("--out", metavar="SHEET.png")],
    count: Annotated[int, typer.Option("--count", min=0, help="At most so many, evenly spread; 0: 200.")] = 0,
    cell: Annotated[int, typer.Option("--cell", min=0, help="Side of a face in pixels; 0: 128.")] = 0,
    sort: which.Sort = "",
    reverse: which.Reverse = False,
    limit: which.Limit = 0,
    name: which.Names = None,
    track: which.Tracks = None,
    frames: which.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    view: options.Views = None,
    range_: which.Ranges = None,
    invert: which.Invert = False,
    reference: which.Reference = "",
    detach: options.Detach = False,
) -> None:
    """Draw faces side by side in a PNG, in the order of a key."""
    ours = State.of(context)
    wanted = which.wanted(
        names=name,
        tracks=track,
        frames=segments(frames, frames_dialect),
        views=view,
        ranges=range_,
        invert=invert,
        order=sort,
        reverse=reverse,
        limit=limit,
        reference=reference,
    )
    run(
        ours,
        lambda session: wanted.measured(
            ours,
            session,
            faceset,
            lambda: session.faceset_sheet(faceset, out, query=wanted.query, count=count, cell=cell),
        ),
        detach=detach,
    )


def coverage(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    out: Annotated[str, typer.Option("--out", metavar="COVERAGE.png", help="A JSON goes beside it.")],
    against: Annotated[
        str,
        typer.Option(
            "--against", metavar="FACESET", help="Of the performance to cover. Default: a head's usual range."
        ),
    ] = "",
    detach: options.Detach = False,
) -> None:
    """Draw where in yaw and pitch the faces are, and name the gaps."""
    run(
        State.of(context),
        lambda session: session.faceset_coverage(faceset, out, against=against),
        detach=detach,
    )


def pack(
    context: typer.Context,
    *,
    faceset: which.Folder,
    out: Annotated[str, typer.Option("--out", metavar="FILE.faceset")],
    detach: options.Detach = False,
) -> None:
    """Put a faceset into one file that training maps into memory."""
    run(State.of(context), lambda session: session.pack_faceset(faceset, out), detach=detach)


def unpack(
    context: typer.Context,
    *,
    pack_: Annotated[str, typer.Argument(metavar="FILE.faceset")],
    out: Out,
    detach: options.Detach = False,
) -> None:
    """Take a packed faceset apart again, into a new folder."""
    run(State.of(context), lambda session: session.unpack_faceset(pack_, out), detach=detach)


def resize(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    out: Out,
    size: Annotated[int, typer.Option("--size", min=0, help="Side in pixels; 0: as it is.")] = 0,
    face_type: Annotated[
        str, typer.Option("--face-type", help="half, mid_full, full, whole or head. Default: as it is.")
    ] = "",
    enhance: Annotated[str, typer.Option("--enhance", help="How detail is made where faces grow.")] = "",
    enhancer: options.Enhancer = "",
    detach: options.Detach = False,
) -> None:
    """Make another faceset, of another crop size or face type."""
    run(
        State.of(context),
        lambda session: session.resize_faceset(
            faceset, out, size=size, face_type=face_type, enhance=enhance, enhancer=enhancer
        ),
        detach=detach,
    )


def import_(
    context: typer.Context,
    *,
    source: Annotated[str, typer.Argument(metavar="FOLDER|faceset.pak", help="Of DeepFaceLab.")],
    out: Out,
    release: options.Release = "",
    detach: options.Detach = False,
) -> None:
    """Make a faceset out of one of DeepFaceLab: a folder of its JPEGs, or a faceset.pak."""
    run(
        State.of(context),
        lambda session: session.import_faceset(source, out, release=release),
        detach=detach,
    )


def export(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Of the JPEGs.")],
    quality: Annotated[int, typer.Option("--quality", min=0, max=100, help="Of the JPEGs; 0: 95.")] = 0,
    detach: options.Detach = False,
) -> None:
    """Write a faceset as DeepFaceLab has them: a folder of JPEGs with metadata. Values above 1 are lost in them."""
    run(
        State.of(context),
        lambda session: session.export_faceset(faceset, out, quality=quality),
        detach=detach,
    )


def join(
    context: typer.Context,
    *,
    facesets: Annotated[list[str], typer.Argument(metavar="FACESET FACESET...", help="Of one person.")],
    out: Out,
    detach: options.Detach = False,
) -> None:
    """Make one faceset out of several of one person."""
    run(State.of(context), lambda session: session.join_facesets(facesets, out), detach=detach)
