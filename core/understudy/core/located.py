"""How many pixels of a kind there are, and where the first of them is: what a report says beside "some"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Window

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Located:
    """Pixels of a kind.

    Attributes:
        count: how many, at least 1.
        x, y: the first of them in reading order, plate coordinates.
    """

    count: int
    x: int
    y: int

    @classmethod
    def of(cls, mask: Mask, window: Window) -> Located | None:
        """The true pixels of a mask (h, w) over `window`; None where none is."""
        count = int(np.count_nonzero(mask))
        if not count:
            return None
        row, column = divmod(int(mask.argmax()), mask.shape[1])
        return cls(count=count, x=window.x + column, y=window.y + row)

    def __str__(self) -> str:
        return f"first at ({self.x}, {self.y})"


class Tally:
    """What is found in a window, band after band from its top."""

    def __init__(self) -> None:
        self.found: dict[str, Located] = {}

    def count(self, kind: str, mask: Mask, band: Window) -> None:
        """Add the true pixels of a mask over `band`."""
        more = Located.of(mask, band)
        if more:
            first = self.found.get(kind)
            self.found[kind] = (
                Located(count=first.count + more.count, x=first.x, y=first.y) if first else more
            )


def by_channel(masks: Mapping[str, Mask], window: Window) -> dict[str, Located]:
    """Channel → where it is true, for those that are anywhere."""
    return {name: found for name, mask in masks.items() if (found := Located.of(mask, window))}


def listed(found: Mapping[str, Located]) -> dict[str, Any]:
    """As JSON can hold it: channel → count and first pixel [x, y]."""
    return {name: {"count": at.count, "first": [at.x, at.y]} for name, at in found.items()}
