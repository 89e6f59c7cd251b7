"""Weeding: `reject`, `restore`, `duplicates`. Files are moved, never deleted."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client import lines, specs
from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.faceset import wanted as which


def reject(
    context: typer.Context,
    *,
    faceset: which.Folder,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")] = False,
) -> None:
    """Move faces into `rejected/` in the faceset: those named, of a person, of frames, or where a key is so.

    At least one of these must be said. `restore` brings them back.
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
        if dry_run:
            count = sum(1 for _ in wanted.faces(ours, session, faceset))
            ours.result("would_reject", {"count": count}, f"would reject {count} faces")
            return
        moved = wanted.measured(ours, session, faceset, lambda: session.reject_faces(faceset, wanted.query))
        _told(ours, "rejected", moved)


def restore(
    context: typer.Context,
    *,
    faceset: which.Folder,
    name: Annotated[
        options.Texts, typer.Option("--name", metavar="FILE", help="Only this face; again for more.")
    ] = None,
) -> None:
    """Move rejected faces back: all, or those named."""
    ours = State.of(context)
    with ours.session() as session:
        moved = session.restore_faces(faceset, name or ())
    _told(ours, "restored", moved)


def duplicates(
    context: typer.Context,
    *,
    faceset: which.Faceset,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", min=0.0, max=1.0, help="Difference up to which two faces are the same; 0: 0.02."
        ),
    ] = 0.0,
    reject_: Annotated[
        bool, typer.Option("--reject", help="Keep the sharpest of each group, reject the others.")
    ] = False,
) -> None:
    """List faces that are the same picture but for grain and codec, a group a line, the sharpest first."""
    ours = State.of(context)
    wanted = which.Wanted(specs.query())
    with ours.session() as session:
        groups = wanted.measured(ours, session, faceset, lambda: session.duplicates(faceset, threshold))
        for names in groups:
            if ours.as_json:
                print(lines.line("duplicates", {"names": names}))
            else:
                print("  ".join(names))
        if reject_:
            worse = [name for names in groups for name in names[1:]]
            moved = session.reject_faces(faceset, specs.query(names=worse)) if worse else 0
            _told(ours, "rejected", moved)


def _told(state: State, what: str, moved: int) -> None:
    state.result(what, {"count": moved}, f"{what} {moved} face{'' if moved == 1 else 's'}")
