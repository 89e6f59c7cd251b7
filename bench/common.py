"""What the benchmarks share: where they work, on which plates, and how a table looks."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from bench import clips
from understudy.core.merge.recipe import Recipe
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Plate, find
from understudy.core.weights import WeightStore

FOLDER = Path("out/bench")
FRAMES = 24


def plate(name: str, frames: int = FRAMES) -> Plate:
    """The plate of a performer (see `clips`), made where it is not there."""
    pattern = clips.make(name, str(FOLDER / "plates" / f"{name}.%04d.exr"), frames=frames)
    return find(pattern, colour_space=clips.COLOUR_SPACE)


def looking(settings: MergeSettings, recipe: Recipe) -> MergeSettings:
    """The same merge with another look."""
    return replace(settings, people=tuple(replace(person, recipe=recipe) for person in settings.people))


def weights() -> WeightStore:
    """The user's own cache, with what the defaults need; and `$UNDERSTUDY_WEIGHTS`, a folder with others, of which
    `$UNDERSTUDY_ACCEPTED_LICENCES` names those for non-commercial use that may be used.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("UNDERSTUDY_WEIGHTS")
    accepted = os.environ.get("UNDERSTUDY_ACCEPTED_LICENCES", "").split(",")
    store = WeightStore(cache / "understudy" / "weights", (Path(named),) if named else (), accepted=accepted)
    for _ in store.pull():
        pass
    return store


def show(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table whose first column is text and the others numbers, with the machine it was measured on."""
    first, *others = columns
    table = Table(
        first, *(Column(name, justify="right") for name in others), title=title, title_justify="left"
    )
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # in a file nothing need be cut
    console.print(table)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n", style="dim"
    )
