"""Looking and tidying: `show` a segmenter or a faceset's labels, what to label `next`, `clear` mattes or labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client import lines
from understudy.client.cli import options, printed
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which
from understudy.client.errors import NotFound, Refused
from understudy.client.progress import clock
from understudy.client.session import Session
from understudy.v1 import segment_pb2 as pb
from understudy.v1.resource_pb2 import FaceQuery


def show(
    context: typer.Context,
    *,
    path: Annotated[str, typer.Argument(metavar="SEGMENTER|FACESET", help="A folder, or a packed faceset.")],
) -> None:
    """Tell what a segmenter is and how good, or which faces of a faceset have labels; with --json one a line."""
    ours = State.of(context)
    with ours.session() as session:
        try:
            found = session.segmenter(path)
        except NotFound as missing:
            labels = _labels_of(session, path, missing)
        else:
            ours.result("segmenter", found, lambda: printed.card(_card(found), printed.width()))
            return
    if ours.as_json:
        for each in labels.labels:
            print(lines.line("label", lines.plain(each)))
        print(lines.line("mattes", {"count": labels.mattes}))
    else:
        _table(labels)


def next_(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    count: Annotated[int, typer.Option("--count", min=0, metavar="N", help="How many; 0: ten.")] = 0,
    track: Annotated[
        options.Whole, typer.Option("--track", metavar="ID", help="Only this person. Default: all.")
    ] = None,
) -> None:
    """Name the faces that it pays most to label next: those whose mattes are least sure, and not two alike.

    Where no segmenter was applied yet, those that differ most from each other.
    """
    ours = State.of(context)
    with ours.session() as session:
        found = session.suggest_labels(faceset, count=count, track=track)
    suggested(ours, found)


def clear(
    context: typer.Context,
    *,
    faceset: which.Folder,
    labels: Annotated[
        bool, typer.Option("--labels", help="Delete what people drew. It does not come back.")
    ] = False,
    mattes: Annotated[bool, typer.Option("--mattes", help="Delete what segmenters made.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Of every face; --labels wants this where no faces are chosen.")
    ] = False,
    name: which.Names = None,
    track: which.Tracks = None,
    frames: which.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    view: options.Views = None,
    range_: which.Ranges = None,
    invert: which.Invert = False,
) -> None:
    """Delete mattes or labels of faces: of those chosen, or of --all. At least one of --labels and --mattes."""
    ours = State.of(context)
    wanted = which.wanted(
        names=name,
        tracks=track,
        frames=segments(frames, frames_dialect),
        views=view,
        ranges=range_,
        invert=invert,
        order="",
        reverse=False,
        limit=0,
        reference="",
    )
    if labels and not all_ and wanted.query == FaceQuery():
        raise Refused.invalid("all", all_, "no faces are chosen; to delete every label for good, say --all")
    with ours.session() as session:
        gone = wanted.measured(
            ours,
            session,
            faceset,
            lambda: session.clear_segmentation(faceset, labels=labels, mattes=mattes, query=wanted.query),
        )
    ours.result("cleared", gone, f"cleared {_count(gone.labels, 'label')}, {_count(gone.mattes, 'matte')}")


def suggested(state: State, found: Sequence[pb.LabelSuggestion]) -> None:
    """Print faces to label, best first: a JSON line each, or a table and their frames as a range to load."""
    if state.as_json:
        for each in found:
            print(lines.line("suggestion", lines.plain(each)))
        return
    if not found:
        print("Every face has a label.")
        return
    columns = {"face": [s.face for s in found], "frame": [str(s.frame) for s in found]}
    columns["track"] = [str(s.track) for s in found]
    if any(s.view for s in found):
        columns["view"] = [s.view for s in found]
    if any(s.HasField("confidence") for s in found):
        columns["sure"] = [f"{s.confidence:.2f}" if s.HasField("confidence") else "-" for s in found]
    printed.table(list(columns), zip(*columns.values()), left=("face", "view"))
    print(f"{'frames':<{printed.LABEL}}{ranges.text(ranges.segments_of(sorted({s.frame for s in found})))}")


def judged(segmenter: pb.Segmenter) -> str:
    """How good its mattes are, as text."""
    if not segmenter.HasField("iou"):
        return "not known: no label was held out"
    return f"{segmenter.iou:.3f} on {_count(segmenter.held_out, 'label')} that it never saw"


def _labels_of(session: Session, path: str, missing: NotFound) -> pb.ListLabelsResponse:
    """The labels of a folder in which there is no segmenter."""
    try:
        return session.labels(path)
    except NotFound:
        raise Refused.missing(path, f"{path}: there is neither a segmenter nor a faceset here") from missing


def _card(found: pb.Segmenter) -> Iterator[tuple[str, str]]:
    """Label and text of each thing there is to tell."""
    yield "segmenter", found.path
    yield "network", f"{found.network}, {found.resolution} px, {found.face_type}"
    yield "preset", found.preset or "none of this version's"
    if not found.digest:
        yield "trained", "not yet: its training has not come to a checkpoint"
        return
    spent = clock(found.time_spent.ToTimedelta().total_seconds())
    yield "trained", f"{found.iteration} iterations on {_count(found.labels, 'label')} in {spent}"
    yield "IoU", judged(found)
    yield "converged", "yes" if found.converged else "no"
    yield "id", found.digest


def _table(found: pb.ListLabelsResponse) -> None:
    if found.labels:
        columns = {
            "face": [each.face for each in found.labels],
            "frame": [str(e.frame) for e in found.labels],
        }
        columns["track"] = [str(each.track) for each in found.labels]
        if any(each.view for each in found.labels):
            columns["view"] = [each.view for each in found.labels]
        columns["kind"] = [each.kind for each in found.labels]
        columns["origin"] = [each.origin for each in found.labels]
        printed.table(list(columns), zip(*columns.values()), left=("face", "view", "kind", "origin"))
    print(f"{'labels':<{printed.LABEL}}{len(found.labels)}")
    print(f"{'mattes':<{printed.LABEL}}{found.mattes}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
