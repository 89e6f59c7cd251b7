"""Which faces of a faceset, in which order: a question, and the indices that answer it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.faceset import keys, order
from understudy.core.faceset.store import Faceset
from understudy.core.frames import FrameRange

_LISTED = 8  # unknown ones that a message names


@dataclass(frozen=True, kw_only=True)
class Range:
    """Faces for which a key is between two limits, inclusive; at least one of them is there. NaN is in no range."""

    key: str
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        keys.check(self.key, "ranges.key")
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        for name, value in limits.items():
            if value is not None and math.isnan(value):
                raise _wrong(f"ranges.{name}", value, f"{self.key}: {name} is not a number")
        if self.minimum is None and self.maximum is None:
            raise _wrong("ranges", self.key, f"{self.key} has neither a minimum nor a maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise _wrong(
                "ranges",
                self.minimum,
                f"{self.key}: minimum {self.minimum:g} is above maximum {self.maximum:g}",
            )


@dataclass(frozen=True, kw_only=True)
class Query:
    """All conditions hold at once; empty ones let every face through.

    Attributes:
        names: of image files.
        tracks: ids of people.
        frames: of the plate.
        views: of a stereo plate.
        ranges: limits on sort keys.
        invert: take the faces that do not fit instead.
        order: sort key; empty is the faceset's own order.
        reverse: against the key's own direction.
        limit: only the first so many; 0 is all. Of `best` also how many are looked for.
    """

    names: tuple[str, ...] = ()
    tracks: tuple[int, ...] = ()
    frames: FrameRange | None = None
    views: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    invert: bool = False
    order: str = ""
    reverse: bool = False
    limit: int = 0

    def __post_init__(self) -> None:
        if self.order:
            keys.check(self.order, "order")
        if self.limit < 0:
            raise _wrong("limit", self.limit, f"{self.limit} is below 0")

    @property
    def empty(self) -> bool:
        """Whether it asks for all faces."""
        conditions = self.names or self.tracks or self.frames or self.views or self.ranges
        return not (conditions or self.invert or self.limit)


def find(faceset: Faceset, query: Query) -> npt.NDArray[np.int64]:
    """(M,) int64 indices into the records that answer the query. Sorting happens among the faces that fit.

    Raises:
        InvalidInput: a name, track or view that the faceset does not have; the message lists them.
        NotMeasured: a range or the order needs measures that are not there.
    """
    chosen = np.flatnonzero(_fitting(faceset, query) != query.invert).astype(np.int64)
    if query.order:
        within = order.order(faceset.subset(chosen), query.order, query.reverse, limit=query.limit)
        chosen = chosen[within]
    elif query.reverse:
        chosen = chosen[::-1]
    return chosen[: query.limit] if query.limit else chosen


def _fitting(faceset: Faceset, query: Query) -> npt.NDArray[np.bool_]:
    columns = faceset.columns
    fitting = np.ones(len(columns.name), bool)
    for field, wanted, of in (
        ("names", query.names, columns.name),
        ("tracks", query.tracks, columns.track),
        ("views", query.views, columns.view),
    ):
        if not wanted:
            continue
        if unknown := _lacking(wanted, of):
            more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
            listed = ", ".join(repr(each) for each in unknown[:_LISTED])
            raise _wrong(field, unknown[0], f"{faceset.path} does not have {listed}{more}")
        fitting &= np.isin(of, wanted)
    if query.frames:
        fitting &= np.isin(columns.frame, list(query.frames))
    for limits in query.ranges:
        found = order.values(faceset, limits.key)
        low = -math.inf if limits.minimum is None else limits.minimum
        high = math.inf if limits.maximum is None else limits.maximum
        fitting &= (found >= low) & (found <= high)
    return fitting


def _wrong(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"{field}: {why}", field=field, value=value)


def _lacking(wanted: tuple[str, ...] | tuple[int, ...], of: npt.NDArray[Any]) -> list[str | int]:
    there = set(of.tolist())
    return [each for each in wanted if each not in there]
