"""`understudy frames`: what a frame range means, here and in other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client import frames as ranges
from understudy.client.cli import options
from understudy.client.cli.context import State, one_of
from understudy.client.lines import plain


def command(
    context: typer.Context,
    *,
    text: Annotated[str, typer.Argument(metavar="RANGE")],
    frames_dialect: options.Dialect = "fileseq",
    to: Annotated[
        str, typer.Option("--to", metavar="|".join(ranges.DIALECTS), help="Dialect to write.")
    ] = "fileseq",
    expand: Annotated[bool, typer.Option("--list", help="Every frame on a line of its own.")] = False,
) -> None:
    """Translate a frame range between dialects, or list its frames. Needs no daemon."""
    segments = ranges.parse(text, frames_dialect)
    written = ranges.text(segments, one_of(to, ranges.DIALECTS, "to"))
    numbers = ranges.expand(segments)
    data: dict[str, object] = {
        "text": written,
        "count": len(numbers),
        "segments": [plain(segment) for segment in segments],
    }
    State.of(context).result("frames", data, "\n".join(map(str, numbers)) if expand else written)
