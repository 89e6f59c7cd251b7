"""What a faceset holds: `info`, `list`, `sort`, `stats`, `review`, `pick`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client import lines, specs
from understudy.client.cli import options, printed
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which
from understudy.client.errors import Refused
from understudy.v1 import resource_pb2 as pb

_LINK = re.compile(r"\d{5,}_.+")


def info(context: typer.Context, *, faceset: which.Faceset) -> None:
    """Tell what a faceset holds: faces, frames, people, plates, what is measured, what was rejected."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.faceset(faceset)
    ours.result("faceset", found, lambda: printed.card(_card(found), printed.width()))


def _card(faceset: pb.Faceset) -> Iterator[tuple[str, str]]:
    """Label and text of each thing there is to tell."""
    yield "faceset", faceset.path + (" (packed)" if faceset.packed else "")
    frames = ranges.expand(faceset.frames)
    yield "faces", f"{faceset.faces} on {len(frames)} frames, {faceset.size} px, {faceset.face_type}"
    yield "frames", ranges.text(faceset.frames)
    without = sorted(set(ranges.expand(faceset.looked_at)).difference(frames))
    if without:
        yield "without face", f"{ranges.text(ranges.segments_of(without))} ({len(without)} frames)"
    for number, track in enumerate(faceset.tracks):
        text = f"track {track.id}: {track.faces} faces, about {track.mean_size:.0f} px, {ranges.text(track.frames)}"
        yield "" if number else "people", text
    for number, plate in enumerate(faceset.plates):
        yield "" if number else "plates", plate
    if faceset.release_id:
        yield "release", faceset.release_id
    if faceset.rejected:
        yield "rejected", f"{faceset.rejected}; `understudy faceset restore` brings them back"
    if faceset.measured:
        yield "sorts by", ", ".join(faceset.measured)
    for number, broken in enumerate(faceset.broken):
        yield "" if number else "broken", broken
    yield "id", faceset.id


def list_(
    context: typer.Context,
    *,
    faceset: which.Faceset,
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
) -> None:
    """List faces as a table, by frame or by a sort key; with --json one face a line, landmarks and all.

    What a key needs is measured first where it was not yet.
    """
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
    with ours.session() as session:
        faces = wanted.faces(ours, session, faceset)
        if ours.as_json:
            for face in faces:
                print(lines.line("face", lines.plain(face)))
        else:
            _table(faces, sort)


def _table(faces: Iterable[pb.Face], key: str) -> None:
    found = list(faces)
    columns = {"name": [Path(face.path).name for face in found], "frame": [str(f.frame) for f in found]}
    columns["track"] = [str(face.track) for face in found]
    if any(face.view for face in found):
        columns["view"] = [face.view for face in found]
    columns["px"] = [f"{_side(face):.0f}" for face in found]
    for angle in ("yaw", "pitch", "roll"):
        columns[angle] = [f"{getattr(face.pose, angle):.1f}" for face in found]
    columns["score"] = [f"{face.score:.2f}" for face in found]
    if any(face.confidence for face in found):
        columns["sure"] = [_sure(face) for face in found]
    columns["origin"] = [face.origin + (" (cut)" if face.cut else "") for face in found]
    if key and key not in columns:
        columns[key] = [f"{face.key:.4g}" if face.HasField("key") else "-" for face in found]
    printed.table(list(columns), zip(*columns.values()), left=("name", "view", "origin"))


def _side(face: pb.Face) -> float:
    x0, y0, x1, y1 = face.box if len(face.box) == 4 else (0.0, 0.0, math.nan, math.nan)
    return max(x1 - x0, y1 - y0)


def _sure(face: pb.Face) -> str:
    """Mean confidence of the landmarks."""
    return f"{sum(face.confidence) / len(face.confidence):.2f}" if face.confidence else "-"


def sort(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    key: Annotated[str, typer.Argument(metavar="KEY", help="`understudy doctor` lists them.")],
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
    link: Annotated[
        str,
        typer.Option(
            "--link",
            metavar="FOLDER",
            help="Make links there, numbered in this order (00001_…), for a file browser.",
        ),
    ] = "",
) -> None:
    """Print the names of faces in the order of a key. Nothing is renamed: an order is a view."""
    ours = State.of(context)
    wanted = which.wanted(
        names=name,
        tracks=track,
        frames=segments(frames, frames_dialect),
        views=view,
        ranges=range_,
        invert=invert,
        order=key,
        reverse=reverse,
        limit=limit,
        reference=reference,
    )
    with ours.session() as session:
        faces = wanted.faces(ours, session, faceset)
        if link:
            count, folder = links((face.path for face in faces), Path(specs.absolute(link)))
            ours.result("links", {"folder": str(folder), "count": count}, f"{folder}  {count} links")
            return
        for face in faces:
            data: dict[str, object] = {"path": face.path}
            data |= {"key": face.key} if face.HasField("key") else {}
            ours.result("name", data, Path(face.path).name)


def links(paths: Iterable[str], folder: Path) -> tuple[int, Path]:
    """Make numbered links to files in a folder; links of an earlier order are taken away.

    Raises:
        Refused: the folder holds something else, the faces are no files (a packed faceset), or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = list(folder.iterdir())
        foreign = next((p for p in old if not (p.is_symlink() and _LINK.fullmatch(p.name))), None)
        if foreign is not None:
            why = f"{folder} holds {foreign.name}, which no order has made; name another folder"
            raise Refused.invalid("link", str(folder), why)
        for each in old:
            each.unlink()
        count = 0
        for count, path in enumerate(paths, 1):
            if not os.path.exists(path):  # noqa: PTH110 - of 100,000 paths
                raise Refused.invalid("link", path, f"{path} is no file; unpack the faceset first")
            (folder / f"{count:05}_{Path(path).name}").symlink_to(path)
    except OSError as error:
        raise Refused.invalid("link", str(folder), f"{error.strerror}: {folder}") from error
    return count, folder


def stats(context: typer.Context, *, faceset: which.Faceset) -> None:
    """Print numbers about all faces: size, pose, confidence, and what was measured. With --json one a line."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.faceset_statistics(faceset)
    if ours.as_json:
        for each in found:
            print(lines.line("statistic", lines.plain(each)))
        return
    heads = ("name", "unit", "count", "mean", "min", "5 %", "median", "95 %", "max")
    fields = ("mean", "minimum", "percentile_5", "median", "percentile_95", "maximum")
    rows = (
        (each.name, each.unit, str(each.count), *(f"{getattr(each, field):.4g}" for field in fields))
        for each in found
    )
    printed.table(heads, rows, left=("name", "unit"))


def review(
    context: typer.Context,
    *,
    faceset: which.Folder,
    confidence: Annotated[
        float,
        typer.Option("--confidence", min=0.0, max=1.0, help="Below which a face is unsure; 0: 0.8."),
    ] = 0.0,
    reason: Annotated[
        options.Texts,
        typer.Option("--reason", metavar="WHY", help="Only these, e.g. no_face; again for more."),
    ] = None,
) -> None:
    """List the frames that a person should look at: without a face, unsure, somebody coming or going, made by hand."""
    ours = State.of(context)
    with ours.session() as session:
        found = [
            each for each in session.review_frames(faceset, confidence) if not reason or each.reason in reason
        ]
    if ours.as_json:
        for each in found:
            print(lines.line("review", lines.plain(each)))
    else:
        _reviewed(found)


def _reviewed(found: Sequence[pb.ReviewFrame]) -> None:
    columns = {
        "frame": [str(each.frame) for each in found],
        "track": [str(each.track) if each.HasField("track") else "-" for each in found],
        "reason": [each.reason for each in found],
    }
    if any(each.view for each in found):
        columns["view"] = [each.view for each in found]
    if len({each.plate for each in found}) > 1:
        columns["plate"] = [Path(each.plate).name for each in found]
    columns["message"] = [each.message for each in found]
    printed.table(list(columns), zip(*columns.values()), left=("reason", "view", "plate", "message"))


def pick(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    frame: Annotated[int, typer.Argument(metavar="FRAME")],
    x: Annotated[
        float, typer.Argument(metavar="X", help="Plate pixels from the left; the window's top left is 0, 0.")
    ],
    y: Annotated[float, typer.Argument(metavar="Y", help="Plate pixels from the top.")],
    view: Annotated[str, typer.Option("--view", metavar="NAME", help="Of a stereo plate.")] = "",
    plate: Annotated[str, typer.Option("--plate", metavar="PLATE", help="Where there are several.")] = "",
) -> None:
    """Print the track number of the person who stands at a point of a frame."""
    ours = State.of(context)
    with ours.session() as session:
        track = session.pick_track(faceset, frame, x, y, view=view, plate=plate)
    ours.result("track", {"track": track}, str(track))
