"""The enhancers of a merge: which its look asks for, whether they may be used, and what frames say of them.

Imports no torch: the daemon's server process checks requests with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from understudy.core import release
from understudy.core.enhance import TRAINED, Enhancer
from understudy.core.enhancer import store as enhancers
from understudy.core.errors import InvalidInput
from understudy.core.merge import headers
from understudy.core.merge.recipe import Recipe
from understudy.core.release import Release
from understudy.core.reports import Warned

NONE = Recipe().super_resolution


def asked(recipe: Recipe) -> tuple[str, ...]:
    """The members of `enhance` that any frame's look may ask for, sorted."""
    said = (each.get("super_resolution", NONE) for each in recipe.said)
    return tuple(sorted({recipe.super_resolution, *map(str, said)} - {NONE}))


def releases(recipe: Recipe, folder: Path | None, on: date) -> tuple[Release, ...]:
    """The records of the enhancer that is used, each of which must hold on a day (promise 10).

    Raises:
        ReleaseMissing, ReleaseInvalid: one does not, or there is none.
        NotFound, ModelInvalid: of the folder.
    """
    if folder is None or TRAINED not in asked(recipe):
        return ()
    found = enhancers.read_state(folder).releases
    for record in found or (None,):
        release.check(record, on, f"merge with {folder}")
    return found


def unused(recipe: Recipe, folder: Path | None) -> Iterator[Warned]:
    """That an enhancer is named and the look does not ask for it."""
    if folder is not None and TRAINED not in asked(recipe):
        yield Warned(
            reason="ENHANCER_UNUSED",
            message=f"{folder}: the recipe's super_resolution is nowhere {TRAINED}: it is not used",
        )


def refuse_space(recipe: Recipe, folder: Path | None, working: str) -> None:
    """Raises InvalidInput: the enhancer that is used was trained in another working space."""
    if folder is None or TRAINED not in asked(recipe):
        return
    trained = enhancers.read_state(folder).working_space
    if trained and trained != working:
        raise InvalidInput(
            f"{folder}: was trained in {trained!r}, but the working space here is {working!r}; merge with the "
            "enhancer's colour config",
            path=folder,
            field="enhancer",
            value=folder,
        )


def header(made: Mapping[str, Enhancer], folder: Path | None) -> dict[str, str]:
    """What every output frame says of the networks among them."""
    used = {
        (folder.name if folder is not None and name == TRAINED else name): each.digest
        for name, each in made.items()
        if each.digest
    }
    if not used:
        return {}
    return {headers.ENHANCER: ",".join(used), headers.ENHANCER_SHA: ",".join(used.values())}
