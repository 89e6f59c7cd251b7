"""Numbers about all faces of a faceset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.core.faceset import measures, order, reference
from understudy.core.faceset.keys import KEYS
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One quantity over the faces that have it.

    Attributes:
        name: a sort key, or `box_side`.
        unit: of all its numbers but `count`.
        count: faces that have it.
    """

    name: str
    unit: str
    count: int
    mean: float
    minimum: float
    percentile_5: float
    median: float
    percentile_95: float
    maximum: float


_HEADERS = ("yaw", "pitch", "roll", "confidence", "size", "one_face")


def statistics(faceset: Faceset) -> list[Statistic]:
    """Pose, confidence and size of all faces, and what was measured, of the faces it was measured of."""
    found = [(name, KEYS[name].unit, order.values(faceset, name)) for name in _HEADERS]
    found.insert(5, ("box_side", "px", np.sqrt(order.values(faceset, "source_rect_size"))))
    found += [(n, KEYS[n].unit, v) for n, v in measures.measured(faceset).items() if n in KEYS]
    distances = reference.distances(faceset)
    if distances is not None:
        found.append(("reference", KEYS["reference"].unit, distances))
    told = [_statistic(name, unit, values[np.isfinite(values)]) for name, unit, values in found]
    return [statistic for statistic in told if statistic is not None]


def _statistic(name: str, unit: str, values: Array) -> Statistic | None:
    if not len(values):
        return None
    low, median, high = np.percentile(values.astype(np.float64), (5, 50, 95)).tolist()
    return Statistic(
        name=name,
        unit=unit,
        count=len(values),
        mean=float(values.mean(dtype=np.float64)),
        minimum=float(values.min()),
        percentile_5=low,
        median=median,
        percentile_95=high,
        maximum=float(values.max()),
    )
