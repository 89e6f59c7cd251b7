"""`understudy extract`: a plate becomes a faceset."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import run
from understudy.client.errors import Refused
from understudy.client.job import Job
from understudy.client.session import Session
from understudy.client.specs import Plate
from understudy.v1.common_pb2 import Pick


def command(
    context: typer.Context,
    *,
    plate: Annotated[str, typer.Argument(metavar="PLATE.####.exr")],
    faceset: Annotated[str, typer.Argument(metavar="FACESET", help="Folder; made where it is not there.")],
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    view: options.Views = None,
    release: options.Release = "",
    face_type: Annotated[str, typer.Option("--face-type", help="half, mid_full, full, whole or head.")] = "",
    size: Annotated[int, typer.Option("--size", min=0, help="Side of the aligned faces; 0: 512 pixels.")] = 0,
    detector: Annotated[str, typer.Option("--detector", help="`understudy doctor` lists them.")] = "",
    landmarker: Annotated[str, typer.Option("--landmarker", help="`understudy doctor` lists them.")] = "",
    pose: Annotated[str, typer.Option("--pose", help="Where pitch, yaw and roll come from.")] = "",
    identity: Annotated[str, typer.Option("--identity", help="How people are told apart by looks.")] = "",
    search_every: Annotated[
        int,
        typer.Option(
            "--search-every",
            min=0,
            metavar="N",
            help="Search the whole picture every N frames and follow faces in between; 0: 8, 1: every frame.",
        ),
    ] = 0,
    smallest: Annotated[
        float,
        typer.Option(
            "--smallest", min=0.0, help="Smallest face in plate pixels; 0: 40, more on large plates."
        ),
    ] = 0.0,
    max_faces: Annotated[int, typer.Option("--max-faces", min=0, help="A frame, the largest; 0: all.")] = 0,
    min_score: Annotated[
        options.Real,
        typer.Option("--min-score", min=0.0, max=1.0, help="Below it a find is no face. Default: 0.7."),
    ] = None,
    looks: Annotated[
        int, typer.Option("--looks", min=0, help="Average landmarks over so many shifted looks; 0: 1.")
    ] = 0,
    upright_only: Annotated[
        bool, typer.Option("--upright-only", help="Do not look for heads that lean over 45 degrees.")
    ] = False,
    pick: Annotated[
        str, typer.Option("--pick", metavar="FRAME,X,Y", help="Keep only the person who stands there.")
    ] = "",
    reference: Annotated[
        str,
        typer.Option("--reference", metavar="PICTURE", help="Keep only who looks like the face in it."),
    ] = "",
    reference_distance: Annotated[
        float,
        typer.Option("--reference-distance", min=0.0, help="How unlike one may look; 0: 1, another person."),
    ] = 0.0,
    device: options.Device = "",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes on the CPU; 0: by the machine.")
    ] = 0,
    detach: options.Detach = False,
) -> None:
    """Find the faces in a plate and keep them, aligned, in a faceset.

    Ends with how many frames have a face, and how many a person should look at.
    """
    given = Plate(plate, segments(frames, frames_dialect), colour_space, view or ())
    ours = State.of(context)
    run(
        ours,
        lambda session: session.extract(
            given,
            faceset,
            release=release,
            face_type=face_type,
            size=size,
            detector=detector,
            landmarker=landmarker,
            pose=pose,
            identity=identity,
            search_every=search_every,
            smallest=smallest,
            max_faces=max_faces,
            min_score=min_score,
            looks=looks,
            upright_only=upright_only,
            pick=_pick(pick) if pick else None,
            reference=reference,
            reference_distance=reference_distance,
            device=device,
            workers=workers,
        ),
        detach=detach,
        after=None if ours.as_json else _summary,
    )


def _pick(text: str) -> Pick:
    """`1001,640,360`."""
    try:
        frame, x, y = text.split(",")
        return Pick(frame=int(frame), x=float(x), y=float(y))
    except ValueError as error:
        raise Refused.invalid("pick", text, f"{text!r} is not FRAME,X,Y, e.g. 1001,640,360") from error


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _summary(session: Session, job: Job) -> None:
    """Say what was found, and what a person should look at."""
    path = job.message.spec.extract.faceset
    found = session.faceset(path)
    people = ", ".join(f"track {track.id} ({track.faces})" for track in found.tracks)
    with_face = ranges.expand(found.frames)
    without = len(set(ranges.expand(found.looked_at)).difference(with_face))
    none = f", none on {without}" if without else ""
    print(f"{'faces':<14}{found.faces} on {_frames(len(with_face))}{none}; {people}")
    review = len({(each.plate, each.view, each.frame) for each in session.review_frames(path)})
    if review:
        print(
            f"{'to review':<14}{_frames(review)}; list them with `understudy faceset review {shlex.quote(path)}`"
        )
