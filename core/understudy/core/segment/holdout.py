"""Which labels judge a segmenter: a few that it does not learn from, in this session or another."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.core.faceset import Faceset
from understudy.core.segment.samples import Samples

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
        names: of `judges`, as a state has them, then of labels that were held out before and are not here: they judge
            when they come back.
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


def choose(samples: Samples, past: Past, *, all_labels: bool = False) -> Holdout:
    """Hold out a sixth of the labels (one of 2 to 11, `MOST` at most), evenly spread over the shots.

    What was held out before stays so, and what was learnt from is never held out, lest the judge be one who knows the
    answer: then fewer are, and new labels take their places. A face that is in two facesets is one label.

    Args:
        all_labels: hold out none; those that were are learnt from like the others.

    Raises:
        NotFound, FrameUnreadable: a faceset has gone or broken since it was cut.
    """
    known = set(past.trained)
    before = set(past.held_out) - known
    rows = samples.labelled
    names = _names(samples, known | before)
    labels = list(dict.fromkeys(names))
    held = [label for label in labels if label in before and not all_labels]
    held = held[: max(0, len(labels) - 1)]  # something is left to learn from
    free = [label for label in labels if label not in before | known]
    wanted = min(MOST, max(1, len(labels) // 6)) if len(labels) > 1 and not all_labels else 0
    more = max(0, min(wanted - len(held), len(free)))
    held += [free[int((place + 0.5) * len(free) / more)] for place in range(more)]
    out, gone = np.array([n in held for n in names], np.bool_), before.difference(labels)
    return Holdout(
        judges=rows[out],
        labelled=rows[~out],
        hulls=samples.hulls,
        names=(
            *(label for label in labels if label in held),
            *(label for label in dict.fromkeys(past.held_out) if label in gone),
        ),
        trained=tuple(label for label in labels if label not in held),
    )


def shown(held: Holdout, count: int) -> Rows:
    """Rows for a preview of so many columns: those held out first, then others, the same each time."""
    judges = _spread(held.judges, count // 2)
    rest = np.concatenate([held.labelled, held.hulls])
    chosen = np.concatenate([judges, _spread(rest, count - len(judges))])
    return chosen[np.linspace(0, len(chosen) - 1, count).round().astype(np.int64)]


def _names(samples: Samples, past: Collection[str]) -> list[str]:
    """What a state calls the labels: `<folder>/<face>#<mark>`, the same when a faceset is moved or extracted anew.

    States of older versions have them without marks. Such a name goes on to mean every face that it fits: which one it
    was of, nobody knows.
    """
    found, marks = [], dict[Path, dict[str, str]]()
    for row in samples.labelled:
        sample = samples.rows[row]
        if sample.faceset not in marks:
            marks[sample.faceset] = _marks(sample.faceset)
        name = f"{sample.faceset.name}/{sample.name}"
        mark = marks[sample.faceset].get(sample.name, "")  # of a face that has gone since it was cut
        found.append(name if name in past else f"{name}#{mark}")
    return found


def _marks(path: Path) -> dict[str, str]:
    """Face → what tells it from one of equal name in a folder of equal name, as two shots' `faces` have them.

    Its plate; of an import, which knows but the name of that, what it was made of too.
    """
    columns = Faceset.open(path).columns
    plates, digests = columns.texts["plate"], columns.texts["digest"]
    made_of = [
        plate if "/" in plate else plate + digest for plate, digest in zip(plates, digests, strict=True)
    ]
    marks = [hashlib.sha256(each.encode()).hexdigest()[:8] for each in made_of]
    return dict(zip(columns.name.tolist(), marks, strict=True))


def _spread(rows: Rows, count: int) -> Rows:
    """At most so many, evenly."""
    places = np.linspace(0, max(0, len(rows) - 1), min(count, len(rows)))
    return rows[places.round().astype(np.int64)]
