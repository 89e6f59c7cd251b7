"""Names of colour spaces, displays and views: which is meant, and what a message says there is instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

from understudy.core.errors import InvalidInput, meant

SHOWN = 5
"""How many names a message has."""

_ALIKE = 0.7


def one_of(name: str, known: Iterable[str], field: str) -> str:
    """Which of `known` is meant, in any spelling of case; refuses what is none."""
    names = {each.casefold(): each for each in known}
    if name.casefold() not in names:
        raise InvalidInput(
            f"{field}: {name!r} is none of {', '.join(names.values())}{meant(name, names.values())}",
            field=field,
            value=name,
        )
    return names[name.casefold()]


def plain(name: str) -> str:
    """Letters and digits only, in lower case: configs differ in everything else."""
    return "".join(filter(str.isalnum, name.casefold()))


def closest(name: str, spellings: Mapping[str, Sequence[str]]) -> list[str]:
    """The spaces that a name most likely means, best first.

    Likeness is the share of the name's pieces of three characters that a space has in any of its spellings,
    plus `difflib`'s ratio to the closest of them. Pieces, because `AlexaV3LogC`, `ARRI LogC3 (EI800)` and
    `logc3ei800_alexawide` have the same words in another order; each counts by how few spaces have it, since
    `log` says little and `gc3` much.

    Args:
        name: what was asked for.
        spellings: the spaces and how each may be written.
    """
    wanted = plain(name)
    pieces = {wanted[i : i + 3] for i in range(max(1, len(wanted) - 2))}
    known = {space: [plain(each) for each in names] for space, names in spellings.items()}
    holders = {p: {s for s, names in known.items() if any(p in n for n in names)} for p in pieces}
    weights = {p: math.log((1 + len(known)) / (1 + len(holders[p]))) for p in pieces}
    total = sum(weights.values()) or 1.0

    def likeness(space: str) -> float:
        shared = sum(weight for piece, weight in weights.items() if space in holders[piece])
        return shared / total + max(difflib.SequenceMatcher(None, wanted, n).ratio() for n in known[space])

    scores = {space: likeness(space) for space in known}
    best = sorted(scores, key=scores.__getitem__, reverse=True)
    return [space for space in best[:SHOWN] if scores[space] >= _ALIKE]
