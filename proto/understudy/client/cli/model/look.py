"""Looking at models: `show` one, list its `backups`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timezone

import typer

from understudy.client import lines
from understudy.client.cli import printed
from understudy.client.cli.context import State
from understudy.client.cli.model.jobs import Model
from understudy.client.progress import clock
from understudy.v1 import resource_pb2 as pb

SHORT = 12  # digits of a digest


def show(context: typer.Context, *, model: Model) -> None:
    """Tell what a model is: its network, how far it is trained and on what, and whose likeness it may put where."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.model(model)
    ours.result("model", found, lambda: printed.card(_card(found), printed.width()))


def backups(context: typer.Context, *, model: Model) -> None:
    """List the checkpoints that were kept, the oldest first; with --json one a line."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.model_backups(model)
    if ours.as_json:
        for each in found:
            print(lines.line("backup", lines.plain(each)))
    elif not found:
        print("No backup was kept yet.")
    else:
        columns = ("backup", "iterations", "trained", "written (UTC)", "id")
        printed.table(columns, map(_row, found), left=("backup", "written (UTC)", "id"))


def _row(backup: pb.ModelBackup) -> tuple[str, ...]:
    if not backup.id:
        return backup.name, "-", "-", "cannot be read", "-"
    written = backup.create_time.ToDatetime(timezone.utc).strftime("%Y-%m-%d %H:%M")
    spent = clock(backup.time_spent.ToTimedelta().total_seconds())
    return backup.name, str(backup.iteration), spent, written, backup.id[:SHORT]


def _card(found: pb.Model) -> Iterator[tuple[str, str]]:
    """Label and text of each thing there is to tell."""
    kind = f"{found.architecture}-{found.options}" if found.options else found.architecture
    yield "model", found.path
    yield "network", f"{kind}, {found.resolution} px, {found.face_type}"
    yield "preset", found.preset or "none of this version's"
    yield (
        "dims",
        f"encoder {found.e_dims}, decoder {found.d_dims}, its matte {found.d_mask_dims}, inter {found.ae_dims}",
    )
    if not found.id:
        yield "trained", "not yet: its training has not come to a checkpoint"
        return
    yield (
        "parameters",
        f"{found.parameters:,} ({_named((n, f'{c:,}') for n, c in found.part_parameters.items())})",
    )
    yield from _training(found)
    for each in found.releases:
        yield "release", _release(each)
    if not found.releases:
        yield "release", "none: a merge or an export is refused"
    yield "backups", str(found.backups) if found.backups else "none"
    yield "id", found.id


def _training(found: pb.Model) -> Iterator[tuple[str, str]]:
    """How it came to be what it is."""
    spent = clock(found.time_spent.ToTimedelta().total_seconds())
    yield "trained", f"{found.iteration} iterations in {spent}" + (f", way {found.way}" if found.way else "")
    if found.losses:
        yield "losses", _named((name, f"{value:.4f}") for name, value in found.losses.items())
    if found.average:
        yield "weights", "the mean over iterations"
    if found.working_space:
        yield "colour", found.working_space
    if found.pretrained:
        yield "started from", found.pretrained[:SHORT]
    if found.combined:
        yield "made of", _named((part, digest[:SHORT]) for part, digest in found.combined.items())
    for change in found.changes:
        yield f"at {change.iteration}", _named(change.options.items())
    facesets = {"src": found.src_id, "dst": found.dst_id}
    if any(facesets.values()):
        yield "facesets", _named((who, id_[:SHORT]) for who, id_ in facesets.items() if id_)
    if found.versions:
        yield "made with", _named(found.versions.items())


def _release(given: pb.ModelRelease) -> str:
    record = given.release
    until = ""
    if record.HasField("valid_until"):
        until = f" until {record.valid_until.ToDatetime().date()}"
    held = "valid" if given.valid else f"NOT VALID: {given.message}"
    return f"{record.subject}, {record.kind}, for {record.scope}{until}, {held} ({record.id})"


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values in the names' order: a map has none of its own."""
    return ", ".join(f"{name} {value}" for name, value in sorted(pairs))
