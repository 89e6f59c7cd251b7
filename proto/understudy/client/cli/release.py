"""`understudy release`: records of the right to use a likeness."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.errors import NOT_ALLOWED, Refused
from understudy.client.specs import absolute
from understudy.v1.resource_pb2 import Release

app = typer.Typer(no_args_is_help=True, help="Make and read release records.")


@app.command()
def create(
    context: typer.Context,
    *,
    kind: Annotated[
        str,
        typer.Option("--kind", help="Of the right: test, own-face, public-domain, …; a wrong one lists all."),
    ],
    subject: Annotated[str, typer.Option("--subject", help="Whose likeness: a pseudonym, e.g. performer-a.")],
    granted_by: Annotated[
        str, typer.Option("--granted-by", help="Who gave the right, or why none is needed.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="FILE.json")],
    scope: Annotated[str, typer.Option("--scope", help="What it may be used for.")] = "",
    valid_from: Annotated[
        options.Text, typer.Option("--valid-from", metavar="YYYY-MM-DD", help="Default: today.")
    ] = None,
    valid_until: Annotated[
        options.Text, typer.Option("--valid-until", metavar="YYYY-MM-DD", help="Default: without end.")
    ] = None,
    document: Annotated[
        options.Text,
        typer.Option("--document", metavar="FILE", help="The signed paper: only its SHA-256 is recorded."),
    ] = None,
) -> None:
    """Write a release record. Records are not overwritten."""
    record = Release(subject=subject, kind=kind, granted_by=granted_by, scope=scope)
    for name, text in (("valid_from", valid_from), ("valid_until", valid_until)):
        if text is not None:
            getattr(record, name).FromDatetime(_day(text, name))
    if document is not None:
        record.document_sha256 = _digest(Path(document))
    ours = State.of(context)
    with ours.session() as session:
        made = session.create_release(record, out)
    ours.result("release", made, f"{absolute(out)}  release {made.id} of {made.subject}")


@app.command()
def show(context: typer.Context, path: Annotated[str, typer.Argument(metavar="FILE.json")]) -> None:
    """Tell what a record says and whether it is valid today. Exit code 4 when it is not."""
    ours = State.of(context)
    with ours.session() as session:
        answer = session.release(path)
    ours.result("release", answer, lambda: _card(answer.release, answer.valid, answer.message))
    if not answer.valid:
        ours.exit_code = NOT_ALLOWED


def _card(release: Release, valid: bool, why_not: str) -> str:
    until = release.valid_until.ToDatetime().date() if release.HasField("valid_until") else "without end"
    parts = {
        "id": release.id,
        "subject": release.subject,
        "kind": release.kind,
        "granted by": release.granted_by,
        "granted": release.granted_time.ToDatetime().date(),
        "valid from": release.valid_from.ToDatetime().date() if release.HasField("valid_from") else "at once",
        "valid until": until,
        "scope": release.scope,
        "document": release.document_sha256,
        "today": "valid" if valid else f"not valid: {why_not}",
    }
    return "\n".join(f"{name:<14}{value}" for name, value in parts.items() if value)


def _day(text: str, option: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise Refused.invalid(option, text, f"{text!r} is not a day, e.g. 2026-12-31") from error


def _digest(document: Path) -> str:
    try:
        return hashlib.sha256(document.read_bytes()).hexdigest()
    except OSError as error:
        raise Refused.missing(str(document), f"document: {error.strerror}: {document}") from error
