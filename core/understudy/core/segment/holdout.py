"""Which labels judge a segmenter: a few that it never learns from, in this session or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.segment.samples import Sample, Samples

MOST = 32  # held out: enough to judge by, and a label that is held out teaches nothing

Rows = npt.NDArray[np.int64]


class Past(Protocol):
    """What a state knows of earlier sessions."""

    @property
    def trained(self) -> tuple[str, ...]: ...
    @property
    def held_out(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Holdout:
    """The rows of samples by what they are for; no row is in two.

    Attributes:
        judges: labelled, held out.
        labelled: labelled, learnt from.
        hulls: learnt from, their labels are hulls.
        names: of `judges`, as a state has them.
        trained: of `labelled`.
    """

    judges: Rows
    labelled: Rows
    hulls: Rows
    names: tuple[str, ...]
    trained: tuple[str, ...]

    @property
    def groups(self) -> tuple[Rows, ...]:
        """What shares a batch."""
        return tuple(rows for rows in (self.labelled, self.hulls) if len(rows))


def choose(samples: Samples, past: Past) -> Holdout:
    """Hold out a sixth of the labels (one of 2 to 11, `MOST` at most), evenly spread over the shots.

    What was held out before stays so, and what was learnt from is never held out, lest the judge be one who knows the
    answer: then fewer are, and new labels take their places.
    """
    rows = samples.labelled
    names = [name(samples.rows[row]) for row in rows]
    before, known = set(past.held_out), set(past.trained)
    held = np.array([n in before for n in names], np.bool_)
    if held.all():
        held[-1:] = False  # something is left to learn from
    free = np.flatnonzero([n not in before | known for n in names])
    wanted = min(MOST, max(1, len(rows) // 6)) if len(rows) > 1 else 0
    more = min(wanted - int(held.sum()), len(free))
    if more > 0:
        held[free[((np.arange(more) + 0.5) * len(free) / more).astype(np.int64)]] = True
    return Holdout(
        judges=rows[held],
        labelled=rows[~held],
        hulls=samples.hulls,
        names=tuple(n for n, out in zip(names, held, strict=True) if out),
        trained=tuple(n for n, out in zip(names, held, strict=True) if not out),
    )


def shown(held: Holdout, count: int) -> Rows:
    """Rows for a preview of so many columns: those held out first, then others, the same each time."""
    judges = _spread(held.judges, count // 2)
    rest = np.concatenate([held.labelled, held.hulls])
    chosen = np.concatenate([judges, _spread(rest, count - len(judges))])
    return chosen[np.linspace(0, len(chosen) - 1, count).round().astype(np.int64)]


def name(sample: Sample) -> str:
    """Of a face among several facesets; stays when a faceset's folder is moved."""
    return f"{sample.faceset.name}/{sample.name}"


def _spread(rows: Rows, count: int) -> Rows:
    """At most so many, evenly."""
    places = np.linspace(0, max(0, len(rows) - 1), min(count, len(rows)))
    return rows[places.round().astype(np.int64)]
