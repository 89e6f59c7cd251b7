"""What a person says of faces: `manual set`, `manual list`, `manual delete`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.client import lines, specs
from understudy.client.cli import options, printed
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which
from understudy.client.errors import Refused
from understudy.v1.resource_pb2 import ManualFace

app = typer.Typer(
    no_args_is_help=True,
    help="Faces that a person marks: kept with the faceset, and used by the next `understudy extract`.",
)
FIELDS = ("frame", "track", "points", "box", "absent", "interpolate", "plate", "view")
Track = Annotated[options.Whole, typer.Option("--track", metavar="ID", help="Of the person.")]
PlateName = Annotated[str, typer.Option("--plate", metavar="PLATE", help="Where there are several.")]
View = Annotated[str, typer.Option("--view", metavar="NAME", help="Of a stereo plate.")]


@app.command("set")
def set_(
    context: typer.Context,
    *,
    faceset: which.Folder,
    frame: Annotated[options.Whole, typer.Option("--frame", metavar="N")] = None,
    track: Track = None,
    points: Annotated[
        str,
        typer.Option("--points", metavar="FILE.json", help="68 (or 5) pairs of x and y in plate pixels."),
    ] = "",
    five: Annotated[
        str,
        typer.Option(
            "--five",
            metavar="'X,Y X,Y X,Y X,Y X,Y'",
            help="Right eye, left eye, nose, mouth right, mouth left.",
        ),
    ] = "",
    box: Annotated[str, typer.Option("--box", metavar="X0,Y0,X1,Y1", help="Look for the face in it.")] = "",
    absent: Annotated[bool, typer.Option("--absent", help="There is no such face on this frame.")] = False,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Frames up to the next key of this person are interpolated.")
    ] = False,
    plate: PlateName = "",
    view: View = "",
    file: Annotated[
        str,
        typer.Option(
            "--file",
            metavar="FILE.json",
            help="Many at once: a list of {frame, track, points|box|absent, …}, or what `list --json` printed.",
        ),
    ] = "",
) -> None:
    """Say where a face is, or that there is none; then extract again, and just these frames are made anew."""
    given = [name for name, value in (("--points", points), ("--five", five), ("--box", box)) if value]
    given += ["--absent"] if absent else []
    if bool(file) == bool(given) or len(given) > 1 or (frame is None) is not bool(file):
        raise Refused.invalid(
            "manual",
            " ".join(given),
            "give --file alone, or --frame and one of --points, --five, --box, --absent",
        )
    if file:
        faces = read(file)
    else:
        assert frame is not None
        face = specs.manual_face(
            frame,
            track or 0,
            points=_points(points) if points else _pairs(five) if five else (),
            box=_box(box) if box else (),
            absent=absent,
            interpolate=interpolate,
            plate=plate,
            view=view,
        )
        faces = [face]
    ours = State.of(context)
    with ours.session() as session:
        count = session.set_manual_faces(faceset, faces)
    ours.result("manual", {"count": count}, f"{count} kept; extract the plate again to use them")


@app.command("list")
def list_(context: typer.Context, *, faceset: which.Folder) -> None:
    """List what was said."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.manual_faces(faceset)
    if ours.as_json:
        for face in found:
            print(lines.line("manual_face", lines.plain(face)))
        return
    rows = (
        (
            str(f.frame),
            str(f.track),
            f.view or "-",
            _what(f),
            "yes" if f.interpolate else "-",
            Path(f.plate).name,
        )
        for f in found
    )
    printed.table(
        ("frame", "track", "view", "what", "interpolate", "plate"), rows, left=("view", "what", "plate")
    )


@app.command()
def delete(
    context: typer.Context,
    *,
    faceset: which.Folder,
    frames: Annotated[options.Text, typer.Option("--frames", metavar="RANGE", help="Default: all.")] = None,
    frames_dialect: options.Dialect = "fileseq",
    track: Track = None,
    plate: PlateName = "",
    view: View = "",
) -> None:
    """Forget what was said of these frames and this person."""
    ours = State.of(context)
    given = segments(frames, frames_dialect)
    with ours.session() as session:
        count = session.delete_manual_faces(faceset, frames=given, track=track, plate=plate, view=view)
    ours.result("deleted", {"count": count}, f"deleted {count}")


def _what(face: ManualFace) -> str:
    if face.absent:
        return "absent"
    return f"{len(face.points) // 2} points" if face.points else "box"


def read(file: str) -> list[ManualFace]:
    """Faces out of a file: a JSON list of objects, or JSON lines as `manual list --json` prints them.

    Raises:
        Refused: naming the file and the entry that is wrong.
    """
    text = _text(file)
    try:
        entries = json.loads(text) if text.lstrip().startswith("[") else list(_lines(text))
    except ValueError as error:
        raise Refused.invalid("file", file, f"{file} is no JSON: {error}") from error
    return [_entry(entry, file, number) for number, entry in enumerate(entries, 1)]


def _lines(text: str) -> Iterable[Any]:
    for line in filter(None, map(str.strip, text.splitlines())):
        entry = json.loads(line)
        yield entry["data"] if isinstance(entry, dict) and "event" in entry else entry


def _entry(entry: Any, file: str, number: int) -> ManualFace:
    try:
        if unknown := set(entry).difference(FIELDS):
            raise ValueError(f"no field {min(unknown)!r}; there are {', '.join(FIELDS)}")
        if "frame" not in entry:
            raise ValueError("no frame")
        points = entry.get("points", ())
        if points and not isinstance(points[0], (list, tuple)):
            points = list(zip(points[::2], points[1::2]))
        return specs.manual_face(**{**entry, "points": points})
    except (TypeError, ValueError, Refused) as error:
        raise Refused.invalid("file", file, f"{file}, entry {number}: {error}") from error


def _points(file: str) -> Any:
    try:
        found = json.loads(_text(file))
        return list(zip(found[::2], found[1::2])) if isinstance(found[0], (int, float)) else found
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise Refused.invalid("points", file, f"{file} is not a JSON list of points: {error}") from error


def _text(file: str) -> str:
    try:
        return Path(specs.absolute(file)).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused.missing(file, f"{error.strerror}: {file}") from error
    except UnicodeDecodeError as error:
        raise Refused.invalid("file", file, f"{file} is not text: {error}") from error


def _pairs(text: str) -> list[tuple[float, float]]:
    """`x,y x,y …`."""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in text.split()]
        return [(x, y) for x, y in pairs]
    except ValueError as error:
        raise Refused.invalid("five", text, f"{text!r} is not five points x,y") from error


def _box(text: str) -> list[float]:
    try:
        x0, y0, x1, y1 = map(float, text.split(","))
        return [x0, y0, x1, y1]
    except ValueError as error:
        raise Refused.invalid("box", text, f"{text!r} is not x0,y0,x1,y1") from error
