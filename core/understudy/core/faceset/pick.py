"""Who stands at a point of a frame."""

from __future__ import annotations

import math

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.faceset.store import Faceset


def person_at(
    faceset: Faceset, frame: int, x: float, y: float, *, plate: str = "", view: str = ""
) -> int | None:
    """The track of the person in whose box a point lies; of several, the one whose middle is nearest.

    Args:
        x, y: plate pixels.
        plate: template of the plate as the records have it; empty where the faceset has just one.
        view: of a stereo plate; empty is the first one.

    Returns:
        None where nobody is.

    Raises:
        InvalidInput: the point is not finite, there is no such plate or view, or several plates and none is named.
    """
    for name, value in (("x", x), ("y", y)):
        if not math.isfinite(value):
            raise InvalidInput(f"pick: {name} {value} is not a number", field=f"pick.{name}", value=value)
    columns = faceset.columns
    on_plate = _named(columns.plate, plate, "plate", only=True)
    on_view = _named(columns.view, view or faceset.views()[0], "view", only=False)
    box = columns.box
    inside = (box[:, 0] <= x) & (x <= box[:, 2]) & (box[:, 1] <= y) & (y <= box[:, 3])
    found = np.flatnonzero(inside & (columns.frame == frame) & on_plate & on_view)
    if not len(found):
        return None
    middle = (box[found, :2] + box[found, 2:]) / 2
    nearest = np.hypot(middle[:, 0] - x, middle[:, 1] - y).argmin()
    return int(columns.track[found[nearest]])


def _named(
    column: object, name: str, field: str, *, only: bool
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows have the name; all where none is given and there is but one."""
    values = np.asarray(column)
    there = np.unique(values)
    if only and not name:
        if len(there) > 1:
            listed = ", ".join(map(str, there))
            raise InvalidInput(f"{field}: the faceset has several, {listed}; name one", field=field, value="")
        return np.ones(len(values), np.bool_)
    if name not in there:
        listed = ", ".join(repr(str(each)) for each in there)
        raise InvalidInput(f"{field}: {name!r} is none of {listed}", field=field, value=name)
    same: np.ndarray[tuple[int], np.dtype[np.bool_]] = values == name
    return same
