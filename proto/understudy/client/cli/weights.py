"""`understudy weights`: the networks' weights on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from understudy.client import lines
from understudy.client.cli import options, printed
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.errors import INPUT_MISSING
from understudy.v1 import system_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="List, fetch and check networks' weights.")

Names = Annotated[options.Texts, typer.Argument(metavar="[NAME]...", help="Default: those needed.")]
LICENCE = 24  # characters of it that a table shows; --json has all
STATES = {
    pb.WEIGHTS_STATE_PRESENT: "present",
    pb.WEIGHTS_STATE_MISSING: "missing",
    pb.WEIGHTS_STATE_CORRUPT: "corrupt",
}


@app.command("list")
def list_(context: typer.Context) -> None:
    """List all weights that the registry knows."""
    ours = State.of(context)
    with ours.session() as session:
        _show(ours, session.weights())


def _show(state: State, found: Iterable[pb.Weights]) -> None:
    """As a table: what is missing says where it comes from, what is here where it lies."""
    if state.as_json:
        for weights in found:
            print(lines.line("weights", lines.plain(weights)), flush=True)
        return
    heads = ("name", "for", "state", "default", "size", "licence", "where")
    printed.table(heads, map(_row, found), left=("name", "for", "state", "default", "licence", "where"))


def _row(weights: pb.Weights) -> tuple[str, ...]:
    return (
        weights.name,
        weights.kind,
        STATES.get(weights.state, "unknown"),
        "yes" if weights.by_default else "",
        f"{weights.size_bytes / 1e6:.1f} MB",
        weights.licence if len(weights.licence) <= LICENCE else f"{weights.licence[: LICENCE - 1]}…",
        weights.path or weights.source,
    )


@app.command()
def pull(context: typer.Context, names: Names = None, detach: options.Detach = False) -> None:
    """Fetch weights that are not here."""
    run(State.of(context), lambda session: session.pull_weights(names or (), label="weights"), detach=detach)


@app.command()
def verify(context: typer.Context, names: Names = None) -> None:
    """Compare weights with their published SHA-256. Exit code 3 when one is missing or differs."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.verify_weights(names or ())
    _show(ours, found)
    if any(weights.state != pb.WEIGHTS_STATE_PRESENT for weights in found):
        ours.exit_code = INPUT_MISSING
