"""Results for a person: cards of labelled lines, and tables that fit a terminal or a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

LABEL, COLUMNS, READABLE = 14, 80, 120  # of a card; longer lines are hard to read on a wide terminal too


def width() -> int:
    """How wide a card may be here."""
    return max(40, min(READABLE, shutil.get_terminal_size((COLUMNS, 0)).columns))


def card(rows: Iterable[tuple[str, str]], columns: int) -> str:
    """Labels and texts in lines of at most `columns` characters where no single word is longer."""
    lines: list[str] = []
    for label, text in rows:
        lines += textwrap.wrap(
            clean(text),
            columns,
            initial_indent=f"{label:<{LABEL}}",
            subsequent_indent=" " * LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def clean(text: str) -> str:
    """Without what a terminal would take for commands: headers and file names may hold control codes."""
    return "".join(c if c.isprintable() else " " for c in text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Print rows under heads: ruled on a terminal, plain columns in a pipe. Columns named in `left` are text."""
    found = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        ruled = Table(box=None, pad_edge=False, header_style="bold")
        for head in heads:
            ruled.add_column(head, justify="left" if head in left else "right", no_wrap=head in left[:1])
        for row in found:
            ruled.add_row(*row)
        Console(markup=False, highlight=False).print(ruled)
        return
    widths = [max(len(row[i]) for row in [list(heads), *found]) for i in range(len(heads))]
    for row in [list(heads), *found]:
        cells = (
            f"{cell:<{w}}" if head in left else f"{cell:>{w}}" for cell, w, head in zip(row, widths, heads)
        )
        print("  ".join(cells).rstrip(), flush=False)
    sys.stdout.flush()
