"""`understudy frames`: what a frame range means, here and in other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client.cli.context import State, one_of
from understudy.client.lines import plain

_CHOICE = "|".join(ranges.DIALECTS)


def command(
    context: typer.Context,
    *,
    text: Annotated[str, typer.Argument(metavar="RANGE", help="Put -- before one that starts with a minus.")],
    dialect: Annotated[
        str, typer.Option("--from", "--frames-dialect", metavar=_CHOICE, help="Dialect of RANGE.")
    ] = "fileseq",
    to: Annotated[str, typer.Option("--to", metavar=_CHOICE, help="Dialect to write.")] = "fileseq",
    expand: Annotated[bool, typer.Option("--list", help="Every frame on a line of its own.")] = False,
) -> None:
    """Translate a frame range between dialects, or list its frames. Needs no daemon."""
    segments = ranges.canonical(ranges.parse(text, one_of(dialect, ranges.DIALECTS, "from")))
    written = ranges.text(segments, one_of(to, ranges.DIALECTS, "to"))
    numbers = ranges.expand(segments)
    data: dict[str, object] = {
        "text": written,
        "count": len(numbers),
        "segments": [plain(segment) for segment in segments],
    }
    State.of(context).result("frames", data, "\n".join(map(str, numbers)) if expand else written)
