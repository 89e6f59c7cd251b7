"""`understudy weights`: the networks' weights on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.errors import INPUT_MISSING
from understudy.v1 import system_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="List, fetch and check networks' weights.")

Names = Annotated[options.Texts, typer.Argument(metavar="[NAME]...", help="Default: those needed.")]
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
        for weights in session.weights():
            ours.result("weights", weights, row(weights))


def row(weights: pb.Weights) -> str:
    """A line for a person."""
    size = f"{weights.size_bytes / 1e6:.1f} MB"
    state = STATES.get(weights.state, "unknown")
    where = weights.path or weights.source
    return f"{weights.name:<24}{weights.kind:<12}{state:<9}{size:>9}  {weights.licence:<12}{where}"


@app.command()
def pull(context: typer.Context, names: Names = None, detach: options.Detach = False) -> None:
    """Fetch weights that are not here."""
    run(State.of(context), lambda session: session.pull_weights(names or (), label="weights"), detach=detach)


@app.command()
def verify(context: typer.Context, names: Names = None) -> None:
    """Compare weights with their published SHA-256. Exit code 3 when one is missing or differs."""
    ours = State.of(context)
    with ours.session() as session:
        for weights in session.verify_weights(names or ()):
            ours.result("weights", weights, row(weights))
            if weights.state != pb.WEIGHTS_STATE_PRESENT:
                ours.exit_code = INPUT_MISSING
