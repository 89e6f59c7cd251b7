"""Refusals that all of the room share."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.core.errors import InvalidInput, meant


def within(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number that is not from `low` to `high`, or none at all; raises InvalidInput."""
    if not low <= value <= high:
        raise InvalidInput(f"{field}: {value:g} is outside {low:g} to {high:g}", field=field, value=value)


def one_of(field: str, name: str, known: Sequence[str]) -> None:
    """Refuse a name that is not known, with the one that was meant; raises InvalidInput."""
    if name not in known:
        why = f"{name!r} is none of {', '.join(known)}{meant(name, known)}"
        raise InvalidInput(f"{field}: {why}", field=field, value=name)
