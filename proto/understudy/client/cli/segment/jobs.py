"""Jobs of segmentation: `label`, `train`, `apply`, `preview`. Each says what to do next."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which
from understudy.client.cli.follow import run
from understudy.client.cli.printed import LABEL
from understudy.client.cli.segment import look
from understudy.client.errors import Refused
from understudy.client.job import Job
from understudy.client.session import Session
from understudy.client.specs import Plate

FEW = 4  # labels below which too few can be held out to say how good the mattes are
Segmenter = Annotated[str, typer.Option("--segmenter", metavar="SEGMENTER", help="Its folder.")]


def label(
    context: typer.Context,
    *,
    faceset: which.Folder,
    roto: Annotated[
        str,
        typer.Option("--roto", metavar="MATTE.####.exr", help="Roto of the plate that the faces are from."),
    ] = "",
    polygons: Annotated[
        str, typer.Option("--polygons", metavar="FILE.json", help="Polygons, by frame or face.")
    ] = "",
    crops: Annotated[
        str,
        typer.Option("--crops", metavar="FOLDER", help="Mattes of the faces' own crops, named as they are."),
    ] = "",
    frames: Annotated[
        options.Text,
        typer.Option("--frames", metavar="RANGE", help="Of the roto, e.g. 1001,1040. Default: all on disk."),
    ] = None,
    frames_dialect: options.Dialect = "fileseq",
    view: options.Views = None,
    channel: Annotated[
        str,
        typer.Option("--channel", metavar="NAME", help="Of the mattes. Default: alpha, else the only one."),
    ] = "",
    invert: Annotated[bool, typer.Option("--invert", help="The mattes are 1 outside.")] = False,
    marks: Annotated[
        str,
        typer.Option(
            "--marks", metavar="face|occluder", help="What is 1 in the mattes: the face, or what covers it."
        ),
    ] = "",
    track: Annotated[
        options.Whole, typer.Option("--track", metavar="ID", help="Which person, where there are several.")
    ] = None,
    detach: options.Detach = False,
) -> None:
    """Make labels of mattes that a person drew: roto of a host, polygons, or mattes of the crops.

    Just one of --roto, --polygons and --crops. A face that has a label gets the new one.
    """
    shot = segments(frames, frames_dialect)
    if (shot or view) and not roto:
        raise Refused.invalid("frames", frames or view, "--frames and --view are of a --roto")
    ours = State.of(context)
    run(
        ours,
        lambda session: session.label_faces(
            faceset,
            roto=Plate(roto, shot, views=view or ()) if roto else None,
            polygons=polygons,
            crops=crops,
            channel=channel,
            invert=invert,
            marks=marks,
            track=track,
        ),
        detach=detach,
        after=None if ours.as_json else _labelled,
    )


def train(
    context: typer.Context,
    *,
    segmenter: Annotated[str, typer.Argument(metavar="SEGMENTER", help="Folder; one that is there goes on.")],
    faceset: Annotated[
        list[str], typer.Option("--faceset", metavar="FACESET", help="With labels; again for more.")
    ],
    preset: Annotated[
        str, typer.Option("--preset", help="Of the segmenter; `understudy doctor` lists all.")
    ] = "",
    self_label: Annotated[
        bool,
        typer.Option(
            "--self-label",
            help="Faces that nothing covers label themselves, with made-up hands and hair laid over them.",
        ),
    ] = False,
    iterations: Annotated[
        options.Whole, typer.Option("--iterations", min=1, help="Until it has had so many in all.")
    ] = None,
    minutes: Annotated[
        options.Real, typer.Option("--minutes", min=0.0, help="Until it has had so many in all.")
    ] = None,
    until_converged: Annotated[
        bool, typer.Option("--until-converged", help="Until the mattes of held-out labels get no better.")
    ] = False,
    all_labels: Annotated[
        bool, typer.Option("--all-labels", help="Learn from those too that would be held out to judge by.")
    ] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=0, help="0: the preset's.")] = 0,
    seed: options.Seed = 0,
    start_from: Annotated[
        str,
        typer.Option(
            "--start-from", metavar="SEGMENTER|FILE", help="Of a new one: a segmenter, or published weights."
        ),
    ] = "",
    device: options.Device = "",
    detach: options.Detach = False,
) -> None:
    """Train a segmenter on labelled faces, or go on with one. Ends with how good it is on labels that it never saw.

    At least one of --iterations, --minutes and --until-converged; whichever is reached first ends it.
    """
    ours = State.of(context)
    run(
        ours,
        lambda session: session.train_segmenter(
            segmenter,
            faceset,
            preset=preset,
            self_label=self_label,
            iterations=iterations,
            minutes=minutes,
            until_converged=until_converged,
            all_labels=all_labels,
            batch_size=batch_size,
            seed=seed,
            device=device,
            start_from=start_from,
        ),
        detach=detach,
        after=lambda session, job: _trained(ours, session, job),
    )


def apply(
    context: typer.Context,
    *,
    faceset: which.Folder,
    segmenter: Segmenter,
    track: Annotated[
        options.Whole, typer.Option("--track", metavar="ID", help="Only this person. Default: all.")
    ] = None,
    device: options.Device = "",
    detach: options.Detach = False,
) -> None:
    """Write a segmenter's mattes beside the faces, and name the ten faces that it pays most to label next.

    Labels stay as they are, and hold where there are both. Faces whose matte this segmenter has made are skipped.
    """
    ours = State.of(context)
    run(
        ours,
        lambda session: session.apply_segmenter(segmenter, faceset, track=track, device=device),
        detach=detach,
        after=lambda session, job: _applied(ours, session, job),
    )


def preview(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    out: Annotated[str, typer.Option("--out", metavar="PREVIEW.png")],
    segmenter: Annotated[
        str,
        typer.Option(
            "--segmenter",
            metavar="SEGMENTER",
            help="Draw what this one makes of them, and write nothing else.",
        ),
    ] = "",
    count: Annotated[int, typer.Option("--count", min=0, help="At most so many, evenly spread; 0: 24.")] = 0,
    cell: Annotated[int, typer.Option("--cell", min=0, help="Side of a face in pixels; 0: 192.")] = 0,
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
    device: options.Device = "",
    overwrite: options.Overwrite = False,
    detach: options.Detach = False,
) -> None:
    """Draw faces with their labels and mattes in a PNG."""
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
        reference="",
    )
    run(
        ours,
        lambda session: wanted.measured(
            ours,
            session,
            faceset,
            lambda: session.preview_segmentation(
                faceset,
                out,
                segmenter=segmenter,
                query=wanted.query,
                count=count,
                cell=cell,
                device=device,
                overwrite=overwrite,
            ),
        ),
        detach=detach,
    )


def _labelled(session: Session, job: Job) -> None:
    """Say how many labels there are now, and what to do with them."""
    faceset = job.message.spec.label_faces.faceset
    labels = len(session.labels(faceset).labels)
    print(f"{'labels':<{LABEL}}{labels} in all")
    steps = [f"understudy segment train SEGMENTER --faceset {shlex.quote(faceset)} --until-converged"]
    if labels < FEW:
        more = "label some more, so that some can be held out to judge by; the faces that differ most:"
        steps = [more, f"understudy segment next {shlex.quote(faceset)}", *steps]
    if labels:
        _tell("next", steps)


def _trained(state: State, session: Session, job: Job) -> None:
    """Say how good it is, and what to do with it."""
    spec = job.message.spec.train_segmenter
    found = session.segmenter(spec.segmenter)
    if state.as_json:
        state.result("segmenter", found, "")
        return
    print(f"{'IoU':<{LABEL}}{look.judged(found)}")
    print(f"{'converged':<{LABEL}}{'yes' if found.converged else 'not yet: give it more time or iterations'}")
    steps = [
        f"understudy segment apply {shlex.quote(each)} --segmenter {shlex.quote(spec.segmenter)}"
        for each in spec.facesets
        if not each.endswith(".faceset")  # a pack is never changed
    ]
    _tell("next", steps)


def _applied(state: State, session: Session, job: Job) -> None:
    """Name the faces to label next."""
    spec = job.message.spec.apply_segmenter
    found = session.suggest_labels(spec.faceset, track=spec.track if spec.HasField("track") else None)
    if found and not state.as_json:
        print("Faces that it pays most to label next, the best first:")
    look.suggested(state, found)
    if found and not state.as_json:
        faceset, segmenter = shlex.quote(spec.faceset), shlex.quote(spec.segmenter)
        steps = [
            f"understudy segment label {faceset} --roto MATTE.####.exr",
            f"understudy segment train {segmenter} --faceset {faceset} --until-converged",
        ]
        _tell("next", steps)


def _tell(what: str, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        print(f"{'' if number else what:<{LABEL}}{text}")
