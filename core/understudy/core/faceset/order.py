"""Faces in the order of a key: views, not renames. What keys there are, and what each means, is in `KEYS`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from understudy.core.errors import NotMeasured
from understudy.core.faceset import chains, measures, reference
from understudy.core.faceset import keys as sort_keys
from understudy.core.faceset.chains import Indices
from understudy.core.faceset.keys import KEYS, Key
from understudy.core.faceset.measured import Table
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array, Float

__all__ = ["BEST", "KEYS", "Key", "available", "crop_sides", "order", "values"]

BEST = 2000
"""How many faces `best` looks for where nobody says how many: DeepFaceLab's number."""

Values = npt.NDArray[np.float64]


def values(faceset: Faceset, key: str, *, limit: int = 0) -> Values:
    """(N,) float64, what the key says of each face, in the order of the records; NaN for a face whose file is broken.

    Args:
        faceset: may be a subset: ranks and likeness are then within it.
        key: of `KEYS`.
        limit: of `best` and `best_fast`, how many faces are looked for; 0 is 2000. Others do not heed it.

    Raises:
        InvalidInput: there is no such key.
        NotMeasured: it needs what was not measured for all of the faces.
    """
    sort_keys.check(key, "key")
    if not len(faceset.columns.name):
        return np.empty(0)
    from_header = _from_header(faceset, key)
    if from_header is not None:
        return from_header
    if key == "reference":
        return _of_reference(faceset)
    table = Table(faceset, measures.GROUP)
    if not table.known.all():
        raise _not_measured(faceset, key, int(np.count_nonzero(~table.known)))
    if key in measures.NUMBERS:
        return _rows(table, "numbers")[:, measures.NUMBERS.index(key)].astype(np.float64)
    return _of_rows(faceset, table, key, limit)


def order(faceset: Faceset, key: str, reverse: bool = False, *, limit: int = 0) -> Indices:
    """(N,) int64 indices into the records: in the key's own direction, or against it; NaN last, equals as they were.

    Args and errors are those of `values`.
    """
    found = values(faceset, key, limit=limit)
    signed = -found if KEYS[key].descending != reverse else found
    return np.argsort(signed, kind="stable").astype(np.int64)  # NumPy puts NaN last


def available(faceset: Faceset) -> tuple[str, ...]:
    """The keys by which the faceset can be sorted now."""
    looks = bool(Table(faceset, measures.GROUP).known.all())
    kept = reference.kept(faceset.path)
    described = kept is not None and bool(Table(faceset, reference.group(kept.family)).known.all())
    return tuple(
        name
        for name, key in KEYS.items()
        if not key.measures or (described if "reference" in key.measures else looks)
    )


def _from_header(faceset: Faceset, key: str) -> Values | None:
    """What no pixel needs to be looked at for; None for another key."""
    columns = faceset.columns
    pose = {"pitch": 0, "yaw": 1, "roll": 2}
    found: Array | None = None
    if key in pose:
        found = columns.pose[:, pose[key]]
    elif key == "name":
        found = np.empty(len(columns.name))
        found[np.lexsort((columns.name, columns.view, columns.track, columns.frame, columns.plate))] = (
            np.arange(len(columns.name))
        )
    elif key == "size":
        found = crop_sides(faceset)
    else:
        plain = {"frame": "frame", "confidence": "score", "source_rect_size": "area", "one_face": "faces"}
        found = getattr(columns, plain[key]) if key in plain else None
    return None if found is None else found.astype(np.float64)


def crop_sides(faceset: Faceset) -> Values:
    """(N,) side of each crop on the plate, in square pixels of the plate's height."""
    columns = faceset.columns
    scale = np.sqrt(np.abs(np.linalg.det(columns.matrix[:, :, :2])) / columns.pixel_aspect)
    return np.asarray(columns.size / scale, np.float64)


def roots(stored: Array) -> Float:
    """(…, 256) float32 of the halves that are stored, each row of length 1 again."""
    rows = stored.astype(np.float32)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-6), np.float32)


def _colours(stored: Array) -> chains.Histograms:
    """`stored` (N, 3, 256)."""
    return chains.Histograms(roots(np.ascontiguousarray(stored.swapaxes(0, 1))))


def _of_rows(faceset: Faceset, table: Table, key: str, limit: int) -> Values:
    """Of the keys that compare faces with each other; those that could not be read are left out, and get NaN."""
    good = np.flatnonzero(np.isfinite(_rows(table, "numbers")[:, 0]))
    found = np.full(len(table.known), np.nan)
    if not len(good):
        return found
    match key:
        case "hist":
            found[good[chains.chain(_colours(_rows(table, "colours")[good]))]] = np.arange(len(good))
        case "absolute":
            found[good[chains.chain(chains.Pictures(_rows(table, "thumbnail")[good]))]] = np.arange(len(good))
        case "hist_dissim":
            found[good] = chains.unlike_histograms(roots(_rows(table, "grey")[good]))
        case "absolute_dissim":
            found[good] = chains.unlike_pictures(_rows(table, "thumbnail")[good])
        case "best" | "best_fast":
            name = "blur" if key == "best" else "source_rect_size"
            merit, grey = values(faceset, name)[good], roots(_rows(table, "grey")[good])
            ranked = chains.best(
                faceset.columns.pose[good][:, 1::-1], merit, grey, limit or min(BEST, len(good))
            )
            found[good[ranked]] = np.arange(len(good))
        case _:
            raise AssertionError(f"{key} is a key without an order")
    return found


def _of_reference(faceset: Faceset) -> Values:
    kept = reference.kept(faceset.path)
    known = (
        Table(faceset, reference.group(kept.family)).known
        if kept
        else np.zeros(len(faceset.columns.name), bool)
    )
    found = reference.distances(faceset)
    if found is None or not known.all():
        raise _not_measured(faceset, "reference", int(np.count_nonzero(~known)))
    return found


def _rows(table: Table, name: str) -> Array:
    rows = table.column(name)
    assert rows is not None, f"{name} is not in a table whose faces are all known"
    return rows


def _not_measured(faceset: Faceset, key: str, lacking: int) -> NotMeasured:
    of = " --reference PICTURE" if key == "reference" else ""
    return NotMeasured(
        f"{key}: not measured for {lacking} of the {len(faceset.columns.name)} faces of {faceset.path}; run "
        f"`understudy faceset measure {faceset.path}{of}`",
        path=faceset.path,
        field="key",
        value=key,
    )
